"""One process at a time in a folder, and none that is dead."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from conftest import REPO

from colorcli.system import lock
from colorcli.system.atomic import TOKEN, host
from colorcli.system.errors import DataError
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


class Msvcrt:
    """Windows' byte locks, as its runtime gives them: by open file and place, not by process."""

    LK_NBLCK = 2

    def __init__(self):
        self.held = {}

    def locking(self, number, mode, count):
        place = (os.fstat(number).st_ino, os.lseek(number, 0, os.SEEK_CUR), count)
        assert mode == self.LK_NBLCK
        if self.held.get(place, number) != number:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.held[place] = number


@pytest.fixture
def windows(monkeypatch):
    msvcrt, unlink = Msvcrt(), lock.Path.unlink

    def held(path, *_):
        raise PermissionError(errno.EACCES, "in use by another process")

    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(lock.sys, "platform", "win32")
    monkeypatch.setattr(lock.Path, "unlink", held)  # what is open is not removed there
    yield msvcrt
    monkeypatch.setattr(lock.Path, "unlink", unlink)


def test_windows_locks_a_byte_that_nobody_reads(windows, tmp_path):
    with alone(tmp_path / ".lock", tmp_path, "train", "wait"):
        assert [place[1:] for place in windows.held] == [(1 << 30, 1)]
        with pytest.raises(DataError, match=rf"another train .*\(process {os.getpid()}\); wait"):
            held(tmp_path)
    windows.held.clear()  # as closing does
    assert (tmp_path / ".lock").read_text() == ""
    assert held(tmp_path) == f"{host()} {os.getpid()} {TOKEN}\n"
    assert (tmp_path / ".lock").stat().st_size == 0


@pytest.mark.parametrize("step", ["_lock", "stat"])
def test_a_file_that_another_client_of_a_network_disk_removed_is_made_anew(
    tmp_path, monkeypatch, step
):
    times = iter([OSError(errno.ESTALE, "Stale file handle"), FileNotFoundError()])
    place = lock if step == "_lock" else lock.os.path
    name = step if step == "_lock" else "samestat"
    real = getattr(place, name)

    def stale(*arguments):
        if error := next(times, None):
            raise error
        return real(*arguments)

    monkeypatch.setattr(place, name, stale)
    assert held(tmp_path) and next(times, "all") == "all"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_lock_that_cannot_be_had_is_told(tmp_path, monkeypatch, number):
    def broken(file):
        raise OSError(number, "no luck")

    monkeypatch.setattr(lock, "_lock", broken)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: None)
    with pytest.raises(DataError, match="cannot be written: .*; choose another place"):
        held(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_network_disk_without_locks_goes_by_the_process(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def none(file, how):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    with alone(tmp_path / ".lock", tmp_path, "train", "wait"), pytest.raises(DataError):
        held(tmp_path)
    (tmp_path / ".lock").write_text(f"{host()} 999999999 0123abcd")
    assert held(tmp_path)
