"""``colorize predict``: a bounded pipeline from files to coloured files."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2

from colorcli.colorizing import confidence_maps, intake
from colorcli.colorizing.colorizer import Colorizer, Colours
from colorcli.colorizing.confidence_maps import Witness
from colorcli.colorizing.encoded import signature
from colorcli.colorizing.encoded.luma import colorize_luma
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.colorizing.encoded.signature import Pen
from colorcli.colorizing.encoded.strips import colorize_strips
from colorcli.colorizing.kind import Kind, Task
from colorcli.colorizing.result import STAGES, Result, Stopwatch
from colorcli.colorizing.scans.byproducts import Byproducts
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.imaging.jpeg import luma
from colorcli.imaging.large.decision import decide
from colorcli.imaging.large.photograph import Photograph
from colorcli.system.atomic import is_special, sweep
from colorcli.system.errors import ColorizeError, reason
from colorcli.system.files.delivery import deliver, delivered
from colorcli.system.files.inputs import STREAM
from colorcli.system.files.outputs import Job
from colorcli.system.files.places import is_remote
from colorcli.system.parallel import Budget, Stopped, available_memory, cores, in_order

# Of a killed run neither the encoder's frames ahead nor, in MP4, the index are in the file.
BEGUN_ANEW = (
    "what a killed run had left half-done was removed, and the film begun anew: half a film cannot "
    "be gone on from; cut a long one into parts first, as by ffmpeg -c copy -f segment"
)


def settled(job: Job) -> Result | None:
    """The result of a job that is no work, None of one that is."""
    name = job.source.path
    if job.source.error is not None:
        return Result(name, None, "failed", error=f"{name}: {job.source.error}")
    if job.skip:
        return Result(name, job.target, "skipped")
    return Result(name, None, "result") if job.result else None


def _folder(target: str) -> str | None:
    """The folder on this machine that a result goes to; None where there is none."""
    return None if target == STREAM or is_remote(target) else str(Path(target).parent)


class Worker:
    """What all threads share: the model, how to write, and who may work when; called with a job."""

    def __init__(
        self, colorizer: Colorizer | None, config: PredictConfig, workers: int,
        kinds: Sequence[Kind] = (),
    ) -> None:  # fmt: skip
        self._colorizer, self._config, self._kinds = colorizer, config, kinds
        # Twice as many threads as workers: while one waits for the disk, another computes.
        self._slots = threading.BoundedSemaphore(workers)
        self._signer = signature.signer_of(config) if colorizer is not None else None
        self._memory = available_memory()
        self._budget = Budget(self._memory // 2)
        self._swept: set[str] = set()
        self._lock = threading.Lock()
        self.closed = threading.Event()
        self.drop = self.stop = self.closed
        self.progress: Callable[[int, int], None] = lambda done, total: None
        self._alone = threading.Lock()

    def _stopped(self) -> bool:
        return self.drop.is_set() or self.closed.is_set()

    def _sweep(self, target: str) -> list[str]:
        """Remove what killed runs left beside ``target``, once for each folder; its names."""
        folder = _folder(target)
        if folder is None:
            return []
        with self._lock:
            if folder in self._swept:
                return []
            self._swept.add(folder)
            return sweep(folder)

    @contextlib.contextmanager
    def _turn(self, need: int) -> Iterator[None]:
        """A worker's place and ``need`` bytes of memory, for a ``with`` block."""
        with self._slots, self._budget(need):
            if self._stopped():
                raise Stopped
            yield

    def _format(self, target: str) -> str | Callable[[reading.Document], str]:
        """What a result is written as; a function where that hangs on what the file holds."""
        format = self._config.format
        stream = target == STREAM or is_special(target)
        if format is None and stream:
            format = writing.SUFFIXES.get(os.path.splitext(target)[1].lower())
        # Into a pipe what holds it all, unless asked otherwise; PNG where it is one picture.
        return format or (writing.holding if stream else writing.format_of(target))

    def _may_keep_luma(self, header: reading.Header) -> bool:
        config = self._config
        if config.scans.split or config.scans.negative:  # parts of it, or its reverse
            return False
        fits = luma.need(header) <= self._memory // 2 and header.pixels <= config.max_pixels
        return fits and luma.may_stay(header, config.keep_color)

    def _coloured(self, job: Job, clock: Stopwatch) -> Result:
        assert self._colorizer is not None, "work to do needs a colorizer"
        name, target, config = job.source.path, job.target, self._config
        if kind := intake.kind_of(job.source, self._kinds):
            result = self._other(kind, job)
            clock("colour")
            return result
        witness = Witness(self._colorizer) if config.confidence is not None else None
        colorizer: Colours = witness or self._colorizer
        chosen = self._format(target)
        format = "png" if callable(chosen) else chosen
        once = name == STREAM or is_special(name)  # can be read
        source = intake.read(job.source) if once or is_remote(name) else name
        header = reading.peek(source)
        clock("read")
        if header is not None and header.result and not once and not config.again:
            return Result(name, None, "result")
        hand = signature.pen(self._signer, self._colorizer, name, source, header)
        need, beside = None, Byproducts(config, self._colorizer.origin)
        if format == "jpeg" and header is not None and self._may_keep_luma(header):
            with self._turn(luma.need(header)):
                data = source if isinstance(source, bytes) else intake.read(job.source)
                clock("read")
                done = colorize_luma(
                    data, name, colorizer, config, beside=beside, stop=self._stopped
                )
            if done is not None:
                clock("colour")
                return self._delivered(*done, job, beside=beside, witness=witness, pen=hand)
            del data
        whole = config.scans.split or config.scans.upright  # is needed in memory
        large = header.pixels if header and whole else config.large
        if header is not None and header.pixels <= config.max_pixels:
            need = decide(source, header, format, memory=self._memory, large=large, name=name)
        if header is not None and need is not None:
            self._sweep(target)
            colour = partial(
                colorize_strips, Photograph(source, header, name), colorizer=colorizer,
                format=format, config=config, beside=beside, stop=self._stopped,
            )  # fmt: skip
            with self._turn(need), delivered(target) as file:
                beside.require_room(target, job.source)
                result = signature.colour_onto(hand, file, format, colour, _folder(target))
                clock("colour")
            return self._accompanied(result, job, beside, witness)
        data = source if isinstance(source, bytes) else intake.read(job.source)
        del source
        clock("read")
        with self._turn(header.need if header else 0):
            encoded, result = colorize_bytes(
                data, name, colorizer, chosen, config, beside=beside, stop=self._stopped
            )
            del data
        clock("colour")
        return self._delivered(encoded, result, job, beside=beside, witness=witness, pen=hand)

    def _delivered(
        self, encoded: bytes, result: Result, job: Job, *, beside: Byproducts,
        witness: Witness | None, pen: Pen | None,
    ) -> Result:  # fmt: skip
        assert job.target is not None, "work to do has a target"
        if pen is not None:
            encoded, result = pen.over(encoded, result, beside)
        self._sweep(job.target)
        beside.require_room(job.target, job.source)
        deliver(job.target, encoded)
        return self._accompanied(result, job, beside, witness)

    def _accompanied(
        self, result: Result, job: Job, beside: Byproducts, witness: Witness | None
    ) -> Result:
        """A delivered result, with what is to lie beside it: what fails there costs it nothing."""
        try:
            beside.deliver(job.target, job.source)
            return self._mapped(result, job.target, witness)
        except ColorizeError as error:
            told = f"{job.source.path}: coloured, but {error}; --overwrite does it again"
            return replace(result, error=told)

    def _mapped(self, result: Result, target: str, witness: Witness | None) -> Result:
        """A result with the map of where the model was sure, which is written."""
        if witness is None or not witness.seen or self._config.confidence is None:
            return result
        seen = witness.seen
        if result.frames == 1 and result.width and result.height:  # one in strips was shown less
            seen = [replace(seen[0], size=(result.height, result.width))]
        path = confidence_maps.write(self._config.confidence, target, seen)
        return replace(result, confidence=witness.mean, confidence_map=path)

    def _other(self, kind: Kind, job: Job) -> Result:
        """Do what another room does: one at a time, for it uses all workers itself."""
        assert self._colorizer is not None, "work to do needs a colorizer"
        left = self._sweep(job.target)
        with self._alone, self._turn(0):
            workers = self._config.workers or cores()
            task = Task(
                job, self._colorizer, self._config,
                workers=workers, stop=self.stop, progress=self.progress,
            )  # fmt: skip
            result = kind.colour(task)
        return replace(result, notes=(*result.notes, BEGUN_ANEW)) if left else result

    def __call__(self, job: Job) -> Result:
        """Colour one photograph; what goes wrong with it is its result."""
        if (result := settled(job)) is not None:
            return result
        name, target = job.source.path, job.target
        clock = Stopwatch()
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
    kinds: Sequence[Kind] = (),
    progress: Callable[..., None] | None = None,
    stop: threading.Event | None = None,
    drop: threading.Event | None = None,
) -> Iterator[Result]:
    """Colour ``jobs``; yield a ``Result`` for each, in their order. Failures are results too.

    ``config.workers`` photographs are worked on at the same time, fewer when they are so large
    that half of the memory would not hold them; decoding, the network, OpenCV and writing all
    release the GIL. Jobs of other ``kinds`` tell ``progress`` of their parts, and give up at
    ``stop``: they may take hours. ``colorizer`` may be None when no job is to do. After ``stop`` is
    set nothing is begun, and what is begun is finished; after ``drop`` is, it is dropped without a
    trace. Raises ``UsageError`` where ``config.confidence`` is asked of a model that cannot tell.
    """
    if config.confidence is not None and colorizer is not None:
        colorizer.require_distribution()
    todo = sum(job.todo for job in jobs)
    together = max(1, min(config.workers or cores(), todo))
    worker = Worker(colorizer, config, together, kinds)
    worker.drop, worker.stop = drop or worker.closed, stop or worker.closed
    opencv_threads = cv2.getNumThreads()
    # A single picture may use all cores, unless it was told otherwise.
    cv2.setNumThreads(max(1, cores() // together) if not config.workers else 1)
    done = failed = 0

    def part(parts: int, total: int) -> None:
        if progress and len(jobs) == 1:
            progress(parts, total)
        elif progress:
            progress(done, len(jobs), failed=failed, frame=parts)

    worker.progress = part
    # Stores keep one waiting: more photographs are fetched while others are coloured.
    far = any(is_remote(name) for job in jobs[:1] for name in (job.source.path, job.target))
    ahead = 4 if far else 2
    results = in_order(
        worker, jobs, threads=ahead * together if todo > 1 else 1, window=16 * together, stop=stop
    )
    try:
        for done, result in enumerate(results, 1):
            failed += result.status == "failed"
            if progress and not (len(jobs) == 1 and result.shots):
                progress(done, len(jobs), failed=failed)
            yield result
    finally:
        worker.closed.set()
        results.close()
        cv2.setNumThreads(opencv_threads)


def foretold(
    jobs: Sequence[Job], config: PredictConfig = PredictConfig(), kinds: Sequence[Kind] = ()
) -> Iterator[Result]:
    """What would become of ``jobs``; nothing but headers is read."""
    for job in jobs:
        path, result = job.source.path, settled(job)
        if result is None and not config.again and intake.is_result(path, kinds):
            result = Result(path, None, "result")
        yield result or Result(path, job.target, "planned")
