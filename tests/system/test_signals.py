"""Ctrl-C, TERM, HUP and KILL while photographs are being coloured."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import scene
from PIL import Image

from colorcli.system.atomic import PART

COUNT = 40


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    for i in range(COUNT):
        Image.fromarray(scene(i % 5, 1500, 1000)[..., 0]).save(folder / f"{i:02d}.jpg")
    return folder


@pytest.fixture
def start(small_model):
    """A running ``colorize predict``; ended with the test, whatever happens."""
    running = []

    def begin(*arguments, **options):
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "colorcli", "predict", *map(str, arguments),
                 "-m", small_model, "--workers", "1"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0,  # communicate() would not see what readline() had buffered
                **options,
            )
        )  # fmt: skip
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def parts(folder):
    return [name for name in os.listdir(folder) if name.startswith(PART)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_finished_is_kept_and_named(start, scans, tmp_path, number):
    process = start(scans, "-o", tmp_path, "--json")
    first = process.stdout.readline()
    process.send_signal(number)
    rest, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    named = [json.loads(line)["output"] for line in [first, *rest.splitlines()]]
    assert sorted(named) == sorted(str(p) for p in tmp_path.iterdir()) and len(named) < COUNT
    for path in named:
        Image.open(path).load()
    message = told.decode().strip()
    assert message.startswith(f"colorize: interrupted; {len(named)} of {COUNT} are finished")
    assert named[0] in message and "\n" not in message


def test_a_second_interrupt_leaves_at_once(start, scans, tmp_path):
    os.mkfifo(tmp_path / "never.jpg")  # nobody writes: reading it lasts for ever
    process = start(scans / "00.jpg", tmp_path / "never.jpg", "-o", tmp_path / "out", "--json")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert os.listdir(tmp_path / "out") == ["00.jpg"]


def test_an_interrupt_before_any_work(start, tmp_path):
    process = start("-", stdin=subprocess.PIPE)  # waits for a photograph that does not come
    deadline = time.monotonic() + 30
    while not handles(process.pid, signal.SIGTERM) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert b"interrupted" in process.stderr.read()


def handles(pid, number):
    """Whether the process has a handler of its own for a signal."""
    with open(f"/proc/{pid}/status") as status:
        caught = next(line.split()[1] for line in status if line.startswith("SigCgt"))
    return int(caught, 16) >> (number - 1) & 1


def test_ignored_signals_stay_ignored(start, scans, tmp_path):
    process = start(
        scans / "00.jpg", scans / "01.jpg", "-o", tmp_path, "--json",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)  # as under nohup
    process.communicate(timeout=60)
    assert process.returncode == 0 and len(os.listdir(tmp_path)) == 2


def test_killed_and_resumed(start, scans, tmp_path):
    whole = tmp_path / "out"
    process = start(scans, "-o", whole, "--json")
    for _ in range(3):
        process.stdout.readline()
    process.kill()
    process.communicate()
    left = set(os.listdir(whole)) - set(parts(whole))
    # What a kill in the middle of writing leaves, named as this very process would have.
    from colorcli.system.atomic import host

    half = whole / f"{PART}{host()}-{process.pid}-00000000-ff"
    half.write_bytes(b"half a picture")
    for name in left:
        Image.open(whole / name).load()
    again = start(scans, "-o", whole, "--json", "--skip-existing")
    stdout, _ = again.communicate(timeout=120)
    assert again.returncode == 0
    status = [json.loads(line)["status"] for line in stdout.splitlines()]
    assert status.count("skipped") == len(left) and len(status) == COUNT
    assert len(os.listdir(whole)) == COUNT and not parts(whole)
