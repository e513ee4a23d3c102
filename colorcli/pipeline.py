"""Many pictures at once: threads whose results come in order, and a bound on their memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")

BYTES_PER_PIXEL = 20  # planes, coloured picture, Pillow's copy and the encoded file, generously


class Stopped(BaseException):
    """Raised by work that gave up because it was told to: no error that anything should catch."""


def in_order(
    work: Callable[[Item], Done],
    items: Iterable[Item],
    *,
    threads: int,
    window: int,
    stop: threading.Event | None = None,
) -> Generator[Done, None, None]:
    """``work`` of each item on ``threads`` threads, in the order of ``items``.

    At most ``window`` items are taken ahead of the result last given, so endless iterators do.
    After ``stop`` is set nothing new begins; what is finished still comes, then the end. An
    exception of ``work`` is raised in its turn (``Stopped``: the item is left out).
    """
    stop = stop or threading.Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="colorize")
    flying: deque[Future[Done]] = deque()
    waiting = iter(items)
    exhausted = False
    try:
        while True:
            while not exhausted and not stop.is_set() and len(flying) < window:
                try:
                    flying.append(pool.submit(work, next(waiting)))
                except StopIteration:
                    exhausted = True
            if not flying:
                return
            future = flying.popleft()
            if stop.is_set():
                for one in (future, *flying):
                    one.cancel()
            try:
                done = future.result()
            except (Stopped, CancelledError):
                continue
            yield done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Budget:
    """Pixels that may be worked on at the same time; a larger picture waits to run alone."""

    def __init__(self, pixels: int) -> None:
        self._total = self._free = max(1, pixels)
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def __call__(self, pixels: int) -> Iterator[None]:
        """Hold ``pixels`` of the budget meanwhile; waits until they are free."""
        share = min(pixels, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


def _number(path: str, key: str = "") -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError), open(path) as lines:
        for line in lines:
            if line.startswith(key):
                words = line.removeprefix(key).split()
                return int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return None


def affordable_pixels() -> int:
    """Pixels that half of the memory that can be had (the container's, if less) has room for."""
    limits = [
        _number("/proc/meminfo", "MemAvailable:"),
        _number("/sys/fs/cgroup/memory.max"),
        _number("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ]
    known = [limit for limit in limits if limit]
    if not known:
        with contextlib.suppress(AttributeError, ValueError, OSError):
            known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return (min(known) if known else 4 << 30) // 2 // BYTES_PER_PIXEL


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
