"""Files as they arrive in folders: which have stopped growing, and when to look again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

Signature = tuple[int, int, int]  # size, time of the last change in ns, inode
EMPTY = 10  # times as long as others an empty file is given to get content
POLL = 1.0  # seconds between looks where no one tells of changes
STEP = 500  # milliseconds after which the one who tells is asked whether to stop


def signature(path: str) -> Signature | None:
    """What changes when a file does; None where it is gone."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


class Arrivals:
    """Tells files that are whole, as far as one can, from those that still grow.

    A file is settled when it has not changed for ``settle`` seconds: by its own time where it is met
    first, else by ours, so that clocks of file servers do not matter. One that was ``done`` comes
    again when it changes.
    """

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._seen: dict[str, tuple[Signature, float]] = {}  # since when it is like that
        self._done: dict[str, Signature] = {}
        self.waiting = False  # whether some of the last look still grow

    def settled(self, paths: Iterable[str]) -> dict[str, Signature]:
        """Those of ``paths``, all there are, that are to be taken, in their order."""
        now, clock = time.monotonic(), time.time()
        ready: dict[str, Signature] = {}
        seen, done = {}, {}
        self.waiting = False
        for path in paths:
            found = signature(path)
            if found is None:
                continue
            if self._done.get(path) == found:
                done[path] = found
                continue
            if path in self._done:
                done[path] = self._done[path]
            known, since = self._seen.get(path, (None, now))
            if known is None:
                since = now - max(0.0, clock - found[1] / 1e9)
            elif known != found:
                since = now
            seen[path] = found, since
            if now - since >= self._settle * (1 if found[0] else EMPTY):
                ready[path] = found
            else:
                self.waiting = True
        self._seen, self._done = seen, done  # what is gone is forgotten
        return ready

    def was_done(self, path: str) -> bool:
        """Whether another version of this file was done."""
        return path in self._done

    def done(self, path: str, what: Signature) -> None:
        """Do not give this version again."""
        self._done[path] = what
        self._seen.pop(path, None)


def waker(
    folders: Sequence[str], recursive: bool, stop: threading.Event
) -> Callable[[float], None]:
    """A function that waits until something changes in ``folders``, or so many seconds.

    By ``watchfiles``, which the system tells of changes; where that is missing or has no more
    watches to give, by waiting a little. It returns soon after ``stop`` is set.
    """

    def poll(seconds: float) -> None:
        stop.wait(min(seconds, POLL))

    try:
        from watchfiles import watch
    except ImportError:
        return poll
    changes: Iterator[object] = watch(
        *folders, watch_filter=None, debounce=STEP, rust_timeout=STEP, yield_on_timeout=True,
        stop_event=stop, recursive=recursive, raise_interrupt=False,
    )  # fmt: skip
    broken = False

    def wait(seconds: float) -> None:
        nonlocal broken
        end = time.monotonic() + seconds
        while not broken and time.monotonic() < end and not stop.is_set():
            try:
                if next(changes, None):
                    return
            except (OSError, RuntimeError):  # no watches left; a folder that has gone
                broken = True
        if broken:
            poll(seconds)

    return wait
