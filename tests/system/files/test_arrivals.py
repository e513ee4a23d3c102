"""Files that still grow are told from those that are whole."""

import os
import sys
import threading
import time

import pytest

from colorcli.system.files import arrivals
from colorcli.system.files.arrivals import Arrivals, waker


@pytest.fixture
def clock(monkeypatch):
    """Both clocks, moved by hand."""
    now = [time.time()]
    monkeypatch.setattr(arrivals.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(arrivals.time, "time", lambda: now[0])
    return now


def put(path, content, at):
    path.write_bytes(content)
    os.utime(path, (at, at))
    return str(path)


def test_old_files_are_whole_and_growing_ones_are_not(tmp_path, clock):
    look = Arrivals(2.0)
    old = put(tmp_path / "old", b"x", clock[0] - 60)
    new = put(tmp_path / "new", b"x", clock[0])
    assert list(look.settled([old, new])) == [old] and look.waiting
    look.done(old, arrivals.signature(old))
    for size in (2, 3):
        clock[0] += 1.5
        put(tmp_path / "new", b"x" * size, clock[0])
        assert not look.settled([old, new])
    clock[0] += 2.1
    assert list(look.settled([old, new])) == [new] and not look.waiting


def test_done_files_come_again_when_they_change_and_not_else(tmp_path, clock):
    look, path = Arrivals(2.0), put(tmp_path / "a", b"x", clock[0] - 60)
    (first,) = look.settled([path]).items()
    look.done(*first)
    assert not look.settled([path]) and look.was_done(path)
    put(tmp_path / "a", b"yy", clock[0])
    assert not look.settled([path]) and look.waiting and look.was_done(path)
    clock[0] += 3
    assert list(look.settled([path])) == [path]


def test_what_is_gone_is_forgotten(tmp_path, clock):
    look, path = Arrivals(2.0), put(tmp_path / "a", b"x", clock[0] - 60)
    look.done(path, look.settled([path])[path])
    (tmp_path / "a").unlink()
    assert not look.settled([path]) and not look.was_done(path) and not look.waiting


def test_a_clock_that_is_ahead_and_an_empty_file_wait(tmp_path, clock):
    look = Arrivals(2.0)
    ahead = put(tmp_path / "ahead", b"x", clock[0] + 3600)
    empty = put(tmp_path / "empty", b"", clock[0] - 5)
    assert not look.settled([ahead, empty])
    clock[0] += 2.1
    assert list(look.settled([ahead, empty])) == [ahead]
    clock[0] += 20
    assert list(look.settled([ahead, empty])) == [ahead, empty]


@pytest.mark.parametrize("told", [True, False])
def test_waiting_ends_with_a_change_or_a_stop(tmp_path, told, monkeypatch):
    if told:
        pytest.importorskip("watchfiles")
    else:
        monkeypatch.setitem(sys.modules, "watchfiles", None)
    stop = threading.Event()
    wait = waker([str(tmp_path)], False, stop)
    threading.Timer(0.3, (tmp_path / "a").touch).start()
    began = time.monotonic()
    wait(30)
    assert time.monotonic() - began < 10
    threading.Timer(0.2, stop.set).start()
    wait(30)
    assert stop.is_set() and time.monotonic() - began < 20


def test_a_folder_that_goes_away_is_waited_for(tmp_path):
    pytest.importorskip("watchfiles")
    folder = tmp_path / "in"
    folder.mkdir()
    wait = waker([str(folder)], False, threading.Event())
    folder.rmdir()
    for _ in range(3):
        wait(0.1)
