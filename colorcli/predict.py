"""``colorize predict``: a bounded pipeline from files to coloured files."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import cv2
import numpy as np

from colorcli import images
from colorcli.colorizer import Colorizer
from colorcli.errors import ColorizeError, ImageError, reason
from colorcli.files import Job, write_atomic
from colorcli.lab import join


@dataclass(frozen=True)
class Output:
    """How results are written. ``format`` None: by the target's suffix."""

    format: str | None = None
    quality: int | None = None
    max_pixels: int = images.MAX_PIXELS


@dataclass(frozen=True)
class Result:
    """One photograph's line in the JSON output."""

    input: str
    output: str | None
    status: str  # "done", "skipped" or "failed"
    width: int | None = None
    height: int | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    error: str | None = None


def colorize_bytes(
    data: bytes, name: str, colorizer: Colorizer, format: str | None, output: Output = Output()
) -> tuple[bytes, Result]:
    """Encoded colours of an encoded photograph. Raises ``ImageError``."""
    marks = [time.perf_counter()]
    document = images.decode(data, name, max_pixels=output.max_pixels)
    picture = document.frames[0]
    marks.append(time.perf_counter())
    ab = colorizer.ab(picture.gray)
    marks.append(time.perf_counter())
    rgb = join(picture.gray, ab, np.uint16 if picture.depth == 16 else np.uint8)
    marks.append(time.perf_counter())
    try:
        encoded = images.encode(
            [(rgb, picture)], document, format or document.format, quality=output.quality
        )
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    marks.append(time.perf_counter())
    spent = dict(zip(("decode", "network", "join", "encode"), np.diff(marks) * 1000, strict=True))
    height, width = picture.gray.shape
    stages = {stage: round(float(ms), 1) for stage, ms in spent.items()}
    return encoded, Result(name, None, "done", width, height, stages)


def _colorize_file(job: Job, colorizer: Colorizer, output: Output) -> Result:
    name, target = str(job.source.path), str(job.target)
    try:
        try:
            data = job.source.path.read_bytes()
        except OSError as error:
            raise ImageError(f"{name}: {reason(error)}; check the file") from None
        format = output.format or images.format_of(job.target)
        encoded, result = colorize_bytes(data, name, colorizer, format, output)
        write_atomic(job.target, encoded)
    except ColorizeError as error:
        return Result(name, target, "failed", error=str(error))
    except MemoryError:
        message = f"{name}: not enough memory for a picture of this size; lower --workers"
        return Result(name, target, "failed", error=message)
    return Result(name, target, "done", result.width, result.height, result.milliseconds)


def predict(
    jobs: Sequence[Job],
    colorizer: Colorizer,
    output: Output = Output(),
    *,
    workers: int = 0,
    progress: Callable[..., None] | None = None,
) -> Iterator[Result]:
    """Colour ``jobs``; yield a ``Result`` for each, in their order. Failures are results too.

    ``workers`` threads (0: one for each core) each own an interpreter; decoding, the network and
    OpenCV all release the GIL. At most two photographs for each worker are in flight.
    """
    workers = min(workers or os.cpu_count() or 1, max(1, len(jobs)))
    if workers > 1:
        cv2.setNumThreads(1)
    # An interpreter for each worker, all made here: making one silences stderr for a moment.
    idle = SimpleQueue()
    for _ in range(workers - 1):
        idle.put(colorizer.copy())
    idle.put(colorizer)

    def work(job: Job) -> Result:
        mine = idle.get()
        try:
            return _colorize_file(job, mine, output)
        finally:
            idle.put(mine)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="colorize")
    flying: deque[Future[Result]] = deque()
    waiting = iter(jobs)
    try:
        for done in range(1, len(jobs) + 1):
            while len(flying) < 2 * workers and (job := next(waiting, None)):
                flying.append(pool.submit(work, job))
            result = flying.popleft().result()
            if progress:
                progress(done, len(jobs))
            yield result
    finally:
        # An interrupt drops what has not begun; a file being written is finished whole.
        pool.shutdown(wait=True, cancel_futures=True)


def suffix_for(format: str | None) -> str | None:
    """The suffix that ``--format`` gives to output names; None keeps the source's."""
    return None if format is None else images.FORMATS[format].suffixes[0]
