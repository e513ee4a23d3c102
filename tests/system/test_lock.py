"""One process at a time in a folder, and none that is dead."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import REPO

from colorcli.errors import DataError
from colorcli.system import lock
from colorcli.system.atomic import TOKEN, host
from colorcli.system.lock import alone

HOLD = (
    "import sys, time; from pathlib import Path; from colorcli.system.lock import alone\n"
    "with alone(Path(sys.argv[1], '.lock'), Path(sys.argv[1]), 'train', 'wait'):\n"
    "    print('held', flush=True); time.sleep(600)"
)


def held(folder):
    """Hold the folder for a moment; its lock file's text meanwhile."""
    with alone(folder / ".lock", folder, "train", "wait for it"):
        return (folder / ".lock").read_text()


@pytest.fixture
def holder(tmp_path):
    """A process that holds ``tmp_path``; ended with the test, whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert process.stdout.readline() == b"held\n"
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_dies_with_its_process(holder, tmp_path, number):
    with pytest.raises(DataError) as refused:
        held(tmp_path)
    wanted = f"{tmp_path}: another train is at work on it (process {holder.pid}); wait for it"
    assert str(refused.value) == wanted
    holder.send_signal(number)
    holder.wait(30)
    assert (tmp_path / ".lock").is_file()  # nobody was left to remove it
    assert held(tmp_path) == f"{host()} {os.getpid()} {TOKEN}\n"
    assert os.listdir(tmp_path) == []


def test_a_lock_is_let_go_of_after_an_error_too(tmp_path):
    with pytest.raises(KeyError), alone(tmp_path / ".lock", tmp_path, "train", "wait"):
        raise KeyError
    assert held(tmp_path)


@pytest.mark.parametrize(
    ("note", "free"),
    [
        ("", True),
        ("nonsense", True),
        (f"{host()} {os.getppid()} 0123abcd", False),
        (f"{host()} {os.getpid()} {TOKEN}", False),
        (f"{host()} {os.getpid()} 0123abcd", True),  # our number, an earlier life
        (f"{host()} 999999999 0123abcd", True),
        ("elsewhere 1 0123abcd", True),  # nobody can tell
    ],
    ids=["empty", "nonsense", "parent", "ourselves", "before us", "gone", "elsewhere"],
)
def test_without_locks_the_process_is_looked_for(tmp_path, monkeypatch, note, free):
    monkeypatch.setattr(lock, "_lock", lambda file: None)
    (tmp_path / ".lock").write_text(note)
    if free:
        assert held(tmp_path)
    else:
        with pytest.raises(DataError, match="another train is at work"):
            held(tmp_path)


def test_a_place_that_cannot_be_locked_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/run: cannot be written"):
        held(tmp_path / "file" / "run")
