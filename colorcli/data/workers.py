"""Photographs read side by side by processes, in order, none lost to another's crash."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from colorcli.config.prepare import PrepareConfig
from colorcli.data import samples
from colorcli.data.samples import Sample

CHUNK = 8  # photographs handed to a worker at a time
AHEAD = 4  # chunks under way for each worker
FEW = 64  # photographs that are not worth a pool
CRASHED = "its reader crashed or ran out of memory"
# (names, config, how many there are) to a sample of each, in their order.
Samples = Callable[[Iterator[str], PrepareConfig, int], Generator[Sample, None, None]]
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def samples_of(
    names: Iterator[str], config: PrepareConfig, total: int
) -> Generator[Sample, None, None]:
    """``samples.sample`` of each name, in order, by a pool of processes.

    A photograph that kills its process (a decoder's crash, no memory left) counts as broken; the
    others under way are done again, one at a time.
    """
    workers = min(config.workers or os.cpu_count() or 1, -(-total // CHUNK))
    if workers <= 1 or total < FEW:
        for name in names:
            yield samples.sample(name, config)
        return
    pool = _pool(workers)
    pending: deque[tuple[list[str], Future[list[Sample]] | None]] = deque()
    try:
        while True:
            while len(pending) < AHEAD * workers and (chunk := list(islice(names, CHUNK))):
                pending.append((chunk, _submitted(pool, chunk, config)))
            if not pending:
                return
            chunk, future = pending.popleft()
            try:
                found = None if future is None else future.result()
            except BrokenProcessPool:
                found = None
            if found is not None:
                yield from found
                continue
            pool.shutdown(wait=False, cancel_futures=True)
            lost = [chunk, *(c for c, _ in pending)]
            pending.clear()
            yield from _one_by_one((name for chunk in lost for name in chunk), config)
            pool = _pool(workers)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a fork of a process that holds other libraries' threads may hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=settle)


def settle() -> None:
    """In a worker: one thread, deaf to Ctrl-C, which is the parent's, and gone when that is."""
    import cv2
    from PIL import AvifImagePlugin

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # glibc gives a picture's memory back to the system and asks for it anew each time: a seventh
    # of the time of a worker. Keep up to 256 MB; other allocators know no such call.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_M_TRIM_THRESHOLD, 256 << 20)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def chunk_of(names: list[str], config: PrepareConfig) -> list[Sample]:
    """A sample of each name."""
    return [samples.sample(name, config) for name in names]


def _submitted(
    pool: ProcessPoolExecutor, chunk: list[str], config: PrepareConfig
) -> Future[list[Sample]] | None:
    try:
        return pool.submit(chunk_of, chunk, config)
    except BrokenProcessPool:
        return None


def _one_by_one(names: Iterable[str], config: PrepareConfig) -> Iterator[Sample]:
    """Each in a process that holds no other, so that a crash tells which one it was."""
    pool = _pool(1)
    try:
        for name in names:
            try:
                yield pool.submit(chunk_of, [name], config).result()[0]
            except BrokenProcessPool:
                yield Sample(dropped="broken", detail=CRASHED)
                pool = _pool(1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
