"""A watched folder, as cameras, scanners and people fill it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import saved, scene
from PIL import Image

from colorcli.colorizing import watch as watching
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.intake import Request
from colorcli.config.predict import PredictConfig
from colorcli.system import atomic
from colorcli.system.errors import UsageError

SETTLE = 0.4


def jpeg(seed: int) -> bytes:
    return saved(Image.fromarray(scene(seed)[..., 0]), "JPEG")


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


class Watched:
    """``watch`` in a thread; ``until`` waits for what is to be true."""

    def __init__(self, folder, colorizer, **request):
        self.inbox, self.out = folder / "in", folder / "out"
        self.inbox.mkdir(exist_ok=True)
        self.results, self.stop = [], threading.Event()
        self._request = Request([str(self.inbox)], f"{self.out}{os.sep}", **request)
        self._colorizer = colorizer
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        for result in watching.watch(
            self._request, lambda: self._colorizer, PredictConfig(), stop=self.stop, settle=SETTLE
        ):
            self.results.append(result)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()

    def until(self, true, seconds=30.0):
        end = time.monotonic() + seconds
        while not true():
            assert self.thread.is_alive() and time.monotonic() < end, self.results
            time.sleep(0.05)

    def made(self):
        return sorted(p.name for p in self.out.rglob("*.*")) if self.out.exists() else []

    def told(self):
        return [(os.path.basename(r.input), r.status) for r in self.results]


@pytest.fixture
def watched(tmp_path, colorizer):
    return Watched(tmp_path, colorizer)


def test_what_is_there_and_what_arrives(watched):
    watched.inbox.mkdir(exist_ok=True)
    (watched.inbox / "a.jpg").write_bytes(jpeg(0))
    with watched:
        watched.until(lambda: watched.made() == ["a.jpg"])
        (watched.inbox / "b.jpg").write_bytes(jpeg(1))
        (watched.inbox / "notes.txt").write_text("no picture")
        watched.until(lambda: watched.made() == ["a.jpg", "b.jpg"])
    assert watched.told() == [("a.jpg", "done"), ("b.jpg", "done")]


def test_a_slow_upload_is_coloured_once_and_whole(watched):
    data = jpeg(2)
    with watched, (watched.inbox / "slow.jpg").open("wb", buffering=0) as file:
        for start in range(0, len(data), len(data) // 6):
            file.write(data[start : start + len(data) // 6])
            time.sleep(SETTLE / 3)
            assert not watched.made()
        watched.until(lambda: watched.results)
    assert watched.told() == [("slow.jpg", "done")]


def test_an_upload_that_pauses_is_done_again_when_it_goes_on(watched):
    data, path = jpeg(3), watched.inbox / "a.jpg"
    with watched:
        path.write_bytes(data[: len(data) // 2])
        watched.until(lambda: watched.told() == [("a.jpg", "failed")])
        path.write_bytes(data)
        watched.until(lambda: watched.told()[1:] == [("a.jpg", "done")])
        path.write_bytes(jpeg(4))  # another version replaces its result
        watched.until(lambda: watched.told()[2:] == [("a.jpg", "done")])
    assert watched.made() == ["a.jpg"]


def test_renames_and_deletions(watched):
    with watched:
        (watched.inbox / ".a.jpg.part").write_bytes(jpeg(0))
        (watched.inbox / ".a.jpg.part").rename(watched.inbox / "a.jpg")
        watched.until(lambda: watched.made() == ["a.jpg"])
        (watched.inbox / "gone.jpg").write_bytes(jpeg(1))
        (watched.inbox / "gone.jpg").unlink()
        (watched.inbox / "a.jpg").rename(watched.inbox / "b.jpg")
        watched.until(lambda: watched.made() == ["a.jpg", "b.jpg"])
    assert watched.told() == [("a.jpg", "done"), ("b.jpg", "done")]


def test_one_that_vanishes_in_its_turn_is_no_failure(watched, monkeypatch):
    (watched.inbox / "a.jpg").write_bytes(jpeg(0))
    real = watching.intake.jobs_for

    def jobs(sources, *rest, **options):
        made = real(sources, *rest, **options)
        for source in sources:
            os.unlink(source.path)
        return made

    monkeypatch.setattr(watching.intake, "jobs_for", jobs)
    with watched:
        watched.until(lambda: not list(watched.inbox.iterdir()))
        monkeypatch.setattr(watching.intake, "jobs_for", real)
        (watched.inbox / "b.jpg").write_bytes(jpeg(1))
        watched.until(lambda: watched.results)
    assert watched.told() == [("b.jpg", "done")]


def test_earlier_results_are_left_and_two_sources_of_one_are_told(tmp_path, colorizer):
    watched = Watched(tmp_path, colorizer)
    (watched.out).mkdir()
    for name in ("a.jpg", "b.pgm"):
        (watched.inbox / name).write_bytes(jpeg(0))
    (watched.out / "a.jpg").write_bytes(b"was there")
    with watched:
        watched.until(lambda: watched.made() == ["a.jpg", "b.ppm"])
        (watched.inbox / "b.ppm").write_bytes(jpeg(1))  # would be b.ppm, too
        watched.until(lambda: len(watched.results) == 2)
    assert (watched.out / "a.jpg").read_bytes() == b"was there"
    assert watched.told() == [("b.pgm", "done"), ("b.ppm", "failed")]
    assert "is that of" in watched.results[1].error


def test_a_full_disk_is_told_once_and_survived(watched, monkeypatch):
    monkeypatch.setattr(watching, "PAUSE", 0.2)
    full = [True]
    keep = atomic.Part.keep

    def kept(self):
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        keep(self)

    monkeypatch.setattr(atomic.Part, "keep", kept)
    (watched.inbox / "a.jpg").write_bytes(jpeg(0))
    with watched:
        watched.until(lambda: watched.results)
        time.sleep(1)
        assert watched.told() == [("a.jpg", "failed")] and not watched.made()
        full[0] = False
        watched.until(lambda: len(watched.results) == 2)
    assert watched.told()[1] == ("a.jpg", "done") and watched.made() == ["a.jpg"]


def test_many_at_once(watched, monkeypatch):
    monkeypatch.setattr(watching, "BATCH", 16)
    data = jpeg(0)
    with watched:
        for i in range(100):
            (watched.inbox / f"{i:03}.jpg").write_bytes(data)
        watched.until(lambda: len(watched.results) == 100, 120)
    assert len(watched.made()) == 100 and {r.status for r in watched.results} == {"done"}


def test_a_folder_that_comes_and_goes(watched):
    with watched:
        (watched.inbox / "a.jpg").write_bytes(jpeg(0))
        watched.until(lambda: watched.made() == ["a.jpg"])
        shutil.rmtree(watched.inbox)
        watched.until(lambda: len(watched.results) == 2)
        time.sleep(0.5)
        watched.inbox.mkdir()
        (watched.inbox / "b.jpg").write_bytes(jpeg(1))
        watched.until(lambda: watched.made() == ["a.jpg", "b.jpg"])
    assert [status for _, status in watched.told()] == ["done", "failed", "done"]


@pytest.mark.parametrize(("inputs", "output", "word"), [
    (["-"], "out/", "folders that are there"), (["none/"], "out/", "folders that are there"),
    (["."], "-", "cannot name one"), (["."], "a.png", "give a folder"),
    (["."], "o/{index}.png", "no {index}"),
])  # fmt: skip
def test_what_cannot_be_watched(inputs, output, word):
    with pytest.raises(UsageError) as error:
        watching.check(Request(inputs, output), PredictConfig())
    assert word in str(error.value)


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_the_good_end(number, small_model, tmp_path):
    inbox, out = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    (inbox / "a.jpg").write_bytes(jpeg(0))
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "predict", inbox, "-o", f"{out}/", "-m", small_model,
         "--watch", "--settle", "0.2", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        bufsize=0,  # communicate() would not see what readline() had buffered
    )  # fmt: skip
    try:
        first = json.loads(process.stdout.readline())
        assert first["status"] == "done" and (out / "a.jpg").is_file()
        for i in range(20):
            (inbox / f"{i}.jpg").write_bytes(jpeg(i))
        second = process.stdout.readline()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    stderr = stderr.decode()
    assert process.returncode == 0, stderr
    assert "watching" in stderr and "coloured" in stderr and "Traceback" not in stderr
    told = [json.loads(line) for line in (second + stdout).splitlines()]
    made = {p.name for p in out.iterdir()}
    assert made == {"a.jpg"} | {os.path.basename(one["output"]) for one in told}  # no part is left
