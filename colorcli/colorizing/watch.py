"""Folders whose photographs are coloured as they arrive, until one says stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from colorcli.colorizing import confidence_maps, intake
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.intake import Request
from colorcli.colorizing.kind import Kind
from colorcli.colorizing.predict import predict
from colorcli.colorizing.result import Result
from colorcli.config.predict import PredictConfig
from colorcli.system.errors import UsageError
from colorcli.system.files import arrivals
from colorcli.system.files.arrivals import Arrivals, Signature
from colorcli.system.files.inputs import STREAM, Source
from colorcli.system.files.outputs import Job, is_folder

BATCH = 256  # photographs between two looks at the folders
IDLE = 10.0  # seconds between looks where nothing was told: not all file systems tell
PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds to wait where results cannot be written, doubling


def check(request: Request, config: PredictConfig) -> None:
    """Raise ``UsageError`` for what cannot be watched, and for outputs that would not do."""
    if list(request.listed):
        raise UsageError("--watch and --files-from contradict each other; name folders")
    for name in request.inputs:
        if name == STREAM or not os.path.isdir(name):
            raise UsageError(f"{name}: --watch is for folders that are there; make it first")
    output = request.output
    if output == STREAM or (config.confidence is not None and "." in config.confidence):
        raise UsageError("--watch makes many files; -o and --confidence cannot name one")
    if output is not None and "{index" in output:
        raise UsageError(f"{output}: there is no {{index}} in what --watch finds; use {{stem}}")
    if output is not None and "{" not in output and not is_folder(output):
        root, suffix = os.path.splitext(output)
        if suffix:
            raise UsageError(f"{output}: --watch makes many files; give a folder, {root}{os.sep}")


class _Watch:
    """One run: what was done, and whose result is where."""

    def __init__(
        self, request: Request, config: PredictConfig, kinds: Sequence[Kind], settle: float
    ) -> None:
        self._request, self._config, self._kinds = request, config, kinds
        self.arrivals = Arrivals(settle)
        self._owners: dict[str, str] = {}
        self._told: set[str] = set()

    def once(self, result: Result) -> Iterator[Result]:
        """A failure that lasts is told once."""
        key = f"{result.input}\0{result.error}"
        if key not in self._told:
            self._told.add(key)
            yield result

    def look(self) -> tuple[dict[str, Signature], list[Source], list[Result]]:
        """Photographs to take now, and what to say of the folders."""
        found = intake.sought(self._request, self._config, self._kinds)
        ready = self.arrivals.settled(source.path for source in found.sources)
        ready = dict(islice(ready.items(), BATCH))
        wrong = [
            Result(path, None, "failed", error=f"{path}: {error}")
            for path, error in found.failures
            if not error.startswith("no photographs")
        ]
        return ready, [source for source in found.sources if source.path in ready], wrong

    def jobs(self, sources: Sequence[Source]) -> tuple[list[Job], list[Result]]:
        """What to do for each; a name that cannot be costs no other photograph its result."""
        request = replace(self._request, overwrite=True, skip_existing=False)
        try:
            jobs = self._drawn(sources, request)
        except UsageError:
            jobs, wrong = [], []
            for source in sources:
                try:
                    jobs += self._drawn([source], request)
                except UsageError as error:
                    wrong.append(Result(source.path, None, "failed", error=str(error)))
            return jobs, wrong
        return jobs, []

    def _drawn(self, sources: Sequence[Source], request: Request) -> list[Job]:
        names = request.names(self._config, self._kinds)
        jobs = intake.jobs_for(sources, request, names, self._config, kinds=self._kinds)
        if self._config.confidence is not None:
            confidence_maps.check(jobs, self._config.confidence, replace=True)
        return jobs

    def judged(self, job: Job) -> Job:
        """A job that is skipped where its result is there, and fails where that is another's."""
        path, target = job.source.path, job.target
        if not job.todo:
            return job
        owner = self._owners.setdefault(os.path.realpath(target), path)
        if owner != path and os.path.exists(owner):
            error = f"its result {target} is that of {owner}; rename one of them"
            return replace(job, source=replace(job.source, error=error))
        self._owners[os.path.realpath(target)] = path
        fresh = self._request.overwrite or self.arrivals.was_done(path)
        return job if fresh or not os.path.exists(target) else replace(job, skip=True)


def _unwritable(result: Result) -> bool:
    """Whether a result had no place, which it may have later."""
    error = result.error or ""
    return result.status == "failed" and ": cannot be written: " in error


def watch(
    request: Request,
    colorizer: Callable[[], Colorizer],
    config: PredictConfig = PredictConfig(),
    *,
    kinds: Sequence[Kind] = (),
    stop: threading.Event,
    settle: float = 2.0,
) -> Iterator[Result]:
    """Colour what is in ``request``'s folders, and then what arrives, until ``stop`` is set.

    Pictures of other ``kinds`` too, each in its turn: what arrives meanwhile waits.

    A file is taken once it has not changed for ``settle`` seconds, and again whenever it changes;
    results that were there before are left, unless ``request.overwrite``. What goes away before its
    turn is forgotten. Where results cannot be written, as on a full disk, it is said once and tried
    again. Raises ``UsageError``, and whatever ``colorizer``, which is asked once, does.
    """
    check(request, config)
    run = _Watch(request, config, kinds, settle)
    wait = arrivals.waker(request.inputs, request.recursive, stop)
    opened, pause = colorizer(), 0.0
    while not stop.is_set():
        ready, sources, wrong = run.look()
        for failure in wrong:
            yield from run.once(failure)
        jobs, wrong = run.jobs(sources)
        for failure in wrong:
            run.arrivals.done(failure.input, ready[failure.input])
            yield failure
        blocked = False
        judged = [run.judged(job) for job in jobs]
        for result in predict(judged, opened, config, kinds=kinds, stop=stop):
            if _unwritable(result):
                blocked = True
                yield from run.once(result)
                continue
            before = ready[result.input]
            now = arrivals.signature(result.input)
            if result.status == "failed" and now != before:  # gone, or it comes again
                continue
            run.arrivals.done(result.input, before)
            if result.status != "skipped":
                yield result
        if blocked:
            pause = min(max(PAUSE, 2 * pause), LONGEST_PAUSE)
            stop.wait(pause)
        elif len(ready) < BATCH:
            pause = 0.0
            wait(settle / 4 if run.arrivals.waiting else IDLE)
