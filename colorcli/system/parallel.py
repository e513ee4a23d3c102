"""Many pictures at once: threads whose results come in order, and a bound on their memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")

# Seconds. A signal that arrives while a thread is about to wait for a lock is looked at when the wait
# ends, and a film may take hours.
WAKE = 0.5


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
            while not future.done():
                wait((future,), WAKE)
            try:
                done = future.result()
            except (Stopped, CancelledError):
                continue
            yield done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Budget:
    """Bytes that may be worked with at the same time; what needs more waits to run alone."""

    def __init__(self, size: int) -> None:
        self._total = self._free = max(1, size)
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def __call__(self, size: int) -> Iterator[None]:
        """Hold ``size`` of the budget meanwhile; waits until it is free."""
        share = min(size, self._total)
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


# A container's limit, what it has taken, and what of that are cached files: cgroup 2 and 1.
_CGROUPS = (
    ("memory.max", "memory.current", "inactive_file "),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file "),
)


def available_memory(root: str = "/") -> int:
    """Bytes of memory that can still be had, in this container if it is one.

    Where the system does not say, all that the machine has; failing that, 4 GiB.
    """
    known = [_number(f"{root}proc/meminfo", "MemAvailable:")]
    for limit, usage, cached in _CGROUPS:
        folder = f"{root}sys/fs/cgroup/"
        most, used = _number(folder + limit), _number(folder + usage) or 0
        stat = os.path.join(os.path.dirname(folder + limit), "memory.stat")
        known.append(most and max(1, most - used + (_number(stat, cached) or 0)))
    found = [size for size in known if size]
    if not found:
        with contextlib.suppress(AttributeError, ValueError, OSError):
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=4 << 30)


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
