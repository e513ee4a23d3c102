"""``colorize predict``: a bounded pipeline from files to coloured files."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from colorcli.color.lab import Join, join, rgb_to_lab
from colorcli.colorizing import intake
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.framing import halved, halvings
from colorcli.config import PredictConfig
from colorcli.errors import ColorizeError, DataError, reason
from colorcli.files.inputs import STREAM
from colorcli.files.outputs import Job
from colorcli.imaging import large, reading, writing
from colorcli.system.atomic import atomic, is_special, sweep, write_atomic
from colorcli.system.parallel import Budget, Stopped, available_memory, cores, in_order

STAGES = ("read", "decode", "network", "join", "encode", "write")


@dataclass(frozen=True)
class Result:
    """One photograph's line in the JSON output.

    ``status``: done, kept (in colour already, passed on), skipped (there already), failed,
    planned (dry run), result (of an earlier run, left alone). ``notes``: what to know of how it
    was read.
    """

    input: str
    output: str | None
    status: str
    _: KW_ONLY
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    notes: tuple[str, ...] = ()


class _Stopwatch:
    """Milliseconds by stage: each call books the time since the last one."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.spent[stage] = round(self.spent.get(stage, 0.0) + (now - self._last) * 1000, 1)
        self._last = now


def is_colour(rgb: np.ndarray, least: float = 3.0, spot: float = 15.0) -> bool:
    """Whether sRGB (H, W, 3) uint8 or uint16 holds more than grays of one tone.

    Sepia, a yellowed print and a scanner's tint are chroma that follows from L: what a parabola
    ab(L) explains does not count. Of the rest the mean must reach ``least``, or the 99th
    percentile ``spot``, both in ab units at 128 × 128 pixels.
    """
    small = cv2.resize(rgb, (128, 128), interpolation=cv2.INTER_AREA)
    lab = rgb_to_lab(small.astype(np.float32) / np.iinfo(rgb.dtype).max).reshape(-1, 3)
    lightness = lab[:, 0] / 100
    tones = np.stack([np.ones_like(lightness), lightness, lightness**2], axis=1)
    rest = lab[:, 1:] - tones @ np.linalg.lstsq(tones, lab[:, 1:], rcond=None)[0]
    chroma = np.hypot(rest[:, 0], rest[:, 1])
    return bool(chroma.mean() >= least or np.percentile(chroma, 99) >= spot)


def colorize_bytes(
    data: bytes,
    name: str,
    colorizer: Colorizer,
    format: str | Callable[[reading.Document], str] | None = None,
    config: PredictConfig = PredictConfig(),
    *,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[bytes, Result]:
    """Encoded colours of an encoded photograph, every frame of it.

    ``format`` None: that of the photograph; a function chooses for what was decoded. Raises ``ImageError``, and ``Stopped`` soon after
    ``stop()`` is true.
    """
    clock = _Stopwatch()
    document = reading.decode(
        data, name, max_pixels=config.max_pixels, keep_color=config.keep_color
    )
    width, height = document.size
    format = format(document) if callable(format) else format
    clock("decode")
    kept = 0
    notes: dict[str, None] = {}  # each once, in order

    def coloured() -> Iterator[tuple[np.ndarray, reading.Picture]]:
        nonlocal kept
        for index in range(len(document.frames)):
            if stop():
                raise Stopped
            picture = document.frames[index]
            notes.update(dict.fromkeys(picture.notes))
            clock("decode")
            if config.keep_color and picture.rgb is not None and is_colour(picture.rgb):
                kept += 1
                yield picture.rgb, picture
            else:
                ab = colorizer.ab(picture.gray)
                clock("network")
                rgb = join(picture.gray, ab, np.uint16 if picture.depth == 16 else np.uint8)
                clock("join")
                if stop():
                    raise Stopped
                yield rgb, picture
                del rgb
            clock("encode")
            del picture

    encoded = writing.encode(
        coloured(), document, format or document.format,
        quality=config.quality, strip=config.strip,
    )  # fmt: skip
    frames = len(document.frames)
    # Nothing was changed and nothing is asked for: the very file, without another loss.
    if kept == frames and format in (None, document.format) and config.changes_nothing:
        encoded = data
    clock("encode")
    return encoded, Result(
        name, None, "kept" if kept == frames else "done", width=width, height=height,
        frames=frames, milliseconds=clock.spent, notes=tuple(notes),
    )  # fmt: skip


def colorize_strips(
    source: str | bytes,
    header: reading.Header,
    file: BinaryIO,
    name: str,
    colorizer: Colorizer,
    format: str,
    config: PredictConfig = PredictConfig(),
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Colour a photograph that ``strips.decide`` was for: the file ``source``, or its bytes.

    Like ``colorize_bytes``, in two passes that never hold more than a few strips; the encoded
    colours go to ``file``, open for writing and seeking.
    """
    clock = _Stopwatch()
    photograph = large.Photograph(source, header, name)
    width, height = photograph.size
    with reading.failures(name):
        reading.check_size(width, height, config.max_pixels)
        writing.check_sides(format, width, height)
    down, across = halvings(height, width, colorizer.side)
    grays, colours = [], []
    notes: tuple[str, ...] = ()
    for rows, picture in photograph.pictures(1 << down, config.keep_color):
        if stop():
            raise Stopped
        notes = picture.notes
        if rows.stop - rows.start >> down:  # else less than one row is left
            grays.append(halved(picture.gray, down, across))
            if config.keep_color:
                rgb = cv2.cvtColor(picture.gray, cv2.COLOR_GRAY2RGB)
                colours.append(halved(rgb if picture.rgb is None else picture.rgb, down, across))
    kept = config.keep_color and is_colour(_stacked(colours))
    clock("decode")
    result = partial(
        Result, name, None, "kept" if kept else "done", width=width, height=height, frames=1
    )
    if kept and format == header.format and config.changes_nothing:
        photograph.copy_to(file)
        clock("encode")
        return result(milliseconds=clock.spent, notes=notes)
    joined = None if kept else Join(colorizer.ab(_stacked(grays)), height, width)
    clock("network")

    def coloured() -> Generator[writing.Page, None, None]:
        for rows, picture in photograph.pictures(keep=kept):
            if stop():
                raise Stopped
            clock("decode")
            if joined:
                rgb = joined(picture.gray, rows.start, photograph.dtype)
            elif picture.rgb is None:
                gray = reading.to_depth(picture.gray, photograph.dtype)
                rgb = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
            else:
                rgb = picture.rgb
            clock("join")
            yield rgb, picture.alpha
            clock("encode")

    with contextlib.closing(coloured()) as pages:
        large.write(file, photograph, pages, format, quality=config.quality, strip=config.strip)
    clock("encode")
    return result(milliseconds=clock.spent, notes=notes)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Strips as one plane, of 16 bits where any of them is."""
    dtype = np.result_type(*parts)
    return np.concatenate([reading.to_depth(part, dtype) for part in parts])


def _write(job: Job, encoded: bytes) -> None:
    if job.target == STREAM:
        _to_stdout([encoded])
    else:
        write_atomic(job.target, encoded)


@contextlib.contextmanager
def _written(job: Job) -> Iterator[BinaryIO]:
    """A file that becomes the job's result at the end of the block."""
    if job.target != STREAM:
        with atomic(job.target) as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:  # nothing half-done goes down a pipe
        yield file
        file.seek(0)
        _to_stdout(iter(lambda: file.read(1 << 20), b""))


def _to_stdout(parts: Iterable[bytes]) -> None:
    if sys.stdout is None:
        raise DataError("-: stdout is closed; give -o FILE")
    try:
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader has gone: for the whole call, not for this picture
        raise
    except OSError as error:
        raise DataError(f"-: stdout cannot be written: {reason(error)}") from None


class _Worker:
    """What all threads share: the model, how to write, and who may work when."""

    def __init__(self, colorizer: Colorizer | None, config: PredictConfig, workers: int) -> None:
        self._colorizer, self._config = colorizer, config
        # Twice as many threads as workers: while one waits for the disk, another computes.
        self._slots = threading.BoundedSemaphore(workers)
        self._memory = available_memory()
        self._budget = Budget(self._memory // 2)
        self._swept: set[str] = set()
        self._lock = threading.Lock()
        self.closed = threading.Event()
        self.stop = self.closed

    def _stopped(self) -> bool:
        return self.stop.is_set() or self.closed.is_set()

    def _sweep(self, target: str) -> None:
        folder = str(Path(target).parent)
        with self._lock:
            if folder not in self._swept:
                self._swept.add(folder)
                sweep(folder)

    @contextlib.contextmanager
    def _turn(self, need: int) -> Iterator[None]:
        """A worker's place and ``need`` bytes of memory, for a ``with`` block."""
        with self._slots, self._budget(need):
            if self._stopped():
                raise Stopped
            yield

    def _coloured(self, job: Job, clock: _Stopwatch) -> Result:
        assert self._colorizer is not None, "work to do needs a colorizer"
        name, target, config = job.source.path, job.target, self._config
        format = config.format
        stream = target == STREAM or is_special(target)
        if format is None and stream:
            format = writing.SUFFIXES.get(os.path.splitext(target)[1].lower())
        # Into a pipe what holds it all, unless asked otherwise; PNG where it is one picture.
        chosen = format or (writing.holding if stream else writing.format_of(target))
        format = "png" if callable(chosen) else chosen
        once = name == STREAM or is_special(name)  # can be read
        source = intake.read(job.source) if once else name
        header = large.peek(source)
        clock("read")
        if header is not None and header.result and not once and not config.again:
            return Result(name, None, "result")
        need = None
        if header is not None and header.pixels <= config.max_pixels:
            need = large.decide(source, header, format, self._memory, config.large, name)
        if header is not None and need is not None:
            if target != STREAM:
                self._sweep(target)
            with self._turn(need), _written(job) as file:
                result = colorize_strips(
                    source, header, file, name, self._colorizer, format, config,
                    stop=self._stopped,
                )  # fmt: skip
                clock("colour")
            return result
        data = source if isinstance(source, bytes) else intake.read(job.source)
        del source
        clock("read")
        with self._turn(header.need if header else 0):
            encoded, result = colorize_bytes(
                data, name, self._colorizer, chosen, config, stop=self._stopped
            )
            del data
        clock("colour")
        if target != STREAM:
            self._sweep(target)
        _write(job, encoded)
        return result

    def __call__(self, job: Job) -> Result:
        """Colour one photograph; what goes wrong with it is its result."""
        name, target = job.source.path, job.target
        if job.source.error is not None:
            return Result(name, None, "failed", error=f"{name}: {job.source.error}")
        if job.skip:
            return Result(name, target, "skipped")
        if job.result:
            return Result(name, None, "result")
        clock = _Stopwatch()
        try:
            result = self._coloured(job, clock)
            clock("write")
        except (Stopped, BrokenPipeError):
            raise
        except ColorizeError as error:
            return Result(name, target, "failed", error=str(error))
        except MemoryError:
            message = f"{name}: not enough memory for a picture of this size; lower --workers"
            return Result(name, target, "failed", error=message)
        except Exception as error:  # a bug, but the other photographs must not pay for it
            message = (
                f"{name}: unexpected {type(error).__name__} ({reason(error)}); please report it"
            )
            return Result(name, target, "failed", error=message)
        if result.status == "result":
            return result
        spent = {**clock.spent, **result.milliseconds}
        return replace(result, output=target, milliseconds={s: spent.get(s, 0.0) for s in STAGES})


def predict(
    jobs: Sequence[Job],
    colorizer: Colorizer | None,
    config: PredictConfig = PredictConfig(),
    *,
    progress: Callable[..., None] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Result]:
    """Colour ``jobs``; yield a ``Result`` for each, in their order. Failures are results too.

    ``config.workers`` photographs are worked on at the same time, fewer when they are so large
    that half of the memory would not hold them; decoding, the network, OpenCV and writing all
    release the GIL. ``colorizer`` may be None when no job is to do. After ``stop`` is set, what is
    finished still comes; what is begun is dropped without a trace.
    """
    todo = sum(job.todo for job in jobs)
    together = max(1, min(config.workers or cores(), todo))
    worker = _Worker(colorizer, config, together)
    worker.stop = stop or worker.closed
    opencv_threads = cv2.getNumThreads()
    # A single picture may use all cores, unless it was told otherwise.
    cv2.setNumThreads(max(1, cores() // together) if not config.workers else 1)
    failed = 0
    results = in_order(
        worker, jobs, threads=2 * together if todo > 1 else 1, window=16 * together, stop=stop
    )
    try:
        for done, result in enumerate(results, 1):
            failed += result.status == "failed"
            if progress:
                progress(done, len(jobs), failed=failed)
            yield result
    finally:
        worker.closed.set()
        results.close()
        cv2.setNumThreads(opencv_threads)


def foretold(jobs: Sequence[Job], config: PredictConfig = PredictConfig()) -> Iterator[Result]:
    """What would become of ``jobs``; nothing but headers is read."""
    for job in jobs:
        path, error = job.source.path, job.source.error
        if error is not None:
            yield Result(path, None, "failed", error=f"{path}: {error}")
        elif job.result or (job.todo and not config.again and intake.is_result(path)):
            yield Result(path, None, "result")
        else:
            yield Result(path, job.target, "skipped" if job.skip else "planned")
