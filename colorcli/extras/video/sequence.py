"""Frames that are files: photographs in the order of their numbers, coloured as a film is."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby

import numpy as np

from colorcli.colorizing import intake
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand.files import Asked
from colorcli.colorizing.predict import Worker
from colorcli.colorizing.result import Result
from colorcli.colorizing.scans.windows import View, whole
from colorcli.config.predict import FilmConfig, PredictConfig
from colorcli.extras.video.colouring import Means
from colorcli.extras.video.following import Followed, Glance, followed, moments
from colorcli.extras.video.steady import REACH, Look
from colorcli.imaging import reading
from colorcli.system.errors import ColorizeError, UsageError
from colorcli.system.files.outputs import Job
from colorcli.system.parallel import cores, in_order

_SEEN = 4  # bytes of a pixel that is held
_FADED = 5.0  # time constants after which a frame has no say any more


def by_number(job: Job) -> tuple[str, list[tuple[int, str]]]:
    """What sorts frames: their folder, then their name with its numbers as numbers."""
    folder, name = os.path.split(job.source.path)
    parts = re.findall(r"\d+|\D+", name)
    return folder, [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


class _Given:
    """``Colours`` that are known already: for each thread those of its frame."""

    def __init__(self, colorizer: Colorizer) -> None:
        self.side, self.origin = colorizer.side, colorizer.origin
        self._here = threading.local()

    def now(self, ab: np.ndarray) -> None:
        """What this thread colours with from now on."""
        self._here.ab = ab

    def view(
        self, gray: np.ndarray, *, size: tuple[int, int] | None = None, name: str = "-",
        page: tuple[int, int] = (1, 1),
    ) -> View:  # fmt: skip
        """See ``Colorizer``."""
        return whole(gray)

    def ab_of(self, view: View) -> np.ndarray:
        """See ``Colorizer``."""
        given: np.ndarray = self._here.ab
        return given


def predict(
    jobs: Sequence[Job],
    colorizer: Colorizer | None,
    config: PredictConfig = PredictConfig(),
    *,
    film: FilmConfig = FilmConfig(),
    progress: Callable[..., None] | None = None,
    stop: threading.Event | None = None,
    drop: threading.Event | None = None,
) -> Iterator[Result]:
    """Like ``colorizing.predict``, with the photographs of each folder as the frames of a film.

    Results come by folder and number. Every frame is a photograph to the rest of the program, so
    all that holds for those holds here. Frames whose results are there already are looked at where
    those near them are coloured: a run that goes on gives the colours of one that never stopped.
    """
    if config.confidence is not None:
        raise UsageError("--confidence is for photographs, not for frames; leave it out")
    stop = stop or threading.Event()
    done = failed = 0
    for _, group in groupby(sorted(jobs, key=by_number), key=lambda job: by_number(job)[0]):
        frames = list(group)
        if colorizer is None:
            results = iter([Worker(None, config, 1)(job) for job in frames])
        else:
            means = Means(colorizer, film.steady, config.workers or cores(), stop)
            results = _Sequence(frames, means, config, film.fps).planned().results()
        for result in results:
            done, failed = done + 1, failed + (result.status == "failed")
            if progress:
                progress(done, len(jobs), failed=failed)
            yield result


class _Sequence:
    """The frames of one folder. Each is read twice: to find its colours, and to be coloured."""

    def __init__(self, jobs: list[Job], means: Means, config: PredictConfig, fps: float) -> None:
        self._jobs, self._means, self._config, self._fps = jobs, means, config, fps
        self._given = _Given(means.colorizer)
        # The network's part is done, so that a worker needs nothing of a colorizer but ab.
        self._worker = Worker(self._given, config, means.workers)  # type: ignore[arg-type]
        self._worker.drop = means.stop

    def planned(self) -> _Sequence:
        """Itself, once what is known of moments was followed. Raises ``UsageError``."""
        colorizer = self._means.colorizer
        hand, told = colorizer.hand, list[Asked]()
        for index, job in enumerate(self._jobs):
            if beside := hand.named.get(job.source.path):
                beside.check_still()  # its time is that of its frame
                told.append(beside.at(index / self._fps))
        known = moments([*hand.of_film(""), *told], colorizer.stills)
        if known and any(job.todo for job in self._jobs):
            plan = followed(known, self._glances(), colorizer)
            if not self._means.stop.is_set():
                plan.check()
            self._means = replace(self._means, plan=plan)
        return self

    def _glances(self) -> Iterator[Glance]:
        """Frames that can be read."""
        for index, job in enumerate(self._jobs):
            if self._means.stop.is_set():
                return
            if job.source.error is not None or job.result:
                continue
            try:
                glance = self._means.glance(self._gray(index), index / self._fps, index)
            except ColorizeError:  # said when its turn comes
                continue
            yield glance

    def _gray(self, index: int) -> np.ndarray:
        source = self._jobs[index].source
        data = intake.read(source)
        document = reading.decode(data, source.path, max_pixels=self._config.max_pixels)
        return document.frames[0].gray

    def results(self) -> Iterator[Result]:
        """A result for each job, in order; the first that is done tells what was known of all."""
        means = self._means
        plan: Followed | None = means.plan
        with closing(means.looks(self._near(), self._look)) as looks:
            seen = (look for look in looks if look is not None)
            coloured = in_order(
                self._coloured, self._items(means.steadied(_SEEN)(seen)),
                threads=means.workers, window=2 * means.workers, stop=means.stop,
            )  # fmt: skip
            with closing(coloured):
                for result in coloured:
                    if plan is not None and result.status == "done":
                        result = plan.on(result)
                        plan = None
                    yield result

    def _near(self) -> Iterator[int]:
        """Places of frames to colour, and of those that have a say in their colours."""
        reach = int(max(_FADED, REACH) * self._means.seconds * self._fps) + 1
        todo = [index for index, job in enumerate(self._jobs) if job.todo]
        at = 0
        for index, job in enumerate(self._jobs):
            while at + 1 < len(todo) and todo[at + 1] <= index:
                at += 1
            close = [t for t in todo[at : at + 2] if abs(t - index) <= reach]
            if close and job.source.error is None and not job.result:
                yield index

    def _look(self, index: int) -> Look | None:
        """None for what cannot be read, which is said when its turn comes."""
        try:
            return self._means.look(self._gray(index), index / self._fps, index, index=index)
        except ColorizeError:
            return None

    def _items(
        self, seen: Iterator[tuple[Look, np.ndarray]]
    ) -> Iterator[tuple[Job, np.ndarray | None]]:
        """All jobs in order, with colours where there are any."""
        after = 0
        for look, ab in seen:
            yield from ((job, None) for job in self._jobs[after : look.frame])
            yield self._jobs[look.frame], ab
            after = look.frame + 1
        if not self._means.stop.is_set():
            yield from ((job, None) for job in self._jobs[after:])

    def _coloured(self, item: tuple[Job, np.ndarray | None]) -> Result:
        job, ab = item
        self._given.now(np.zeros((1, 1, 2), np.float32) if ab is None else ab)
        return self._worker(job)
