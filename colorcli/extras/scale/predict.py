"""``colorize predict --engine ray``: the plan streams to actors, each result's row comes back."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from colorcli.colorizing import confidence_maps, intake
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.kind import Kind
from colorcli.colorizing.predict import settled
from colorcli.colorizing.result import Result
from colorcli.config.predict import PredictConfig
from colorcli.extras.scale import cluster
from colorcli.extras.scale.pool import CONTROL, LIVES, Pool
from colorcli.extras.scale.worker import AHEAD, Worker
from colorcli.network.decoding import Knobs
from colorcli.system.errors import UsageError
from colorcli.system.files.inputs import STREAM
from colorcli.system.files.outputs import Job, is_folder, output_folder
from colorcli.system.files.places import is_remote


def opened(
    request: intake.Request, config: PredictConfig, knobs: Knobs, address: str | None,
    *, others: Sequence[Kind] = (),
) -> OnRay:  # fmt: skip
    """A run on a Ray cluster, on which pictures of ``others`` fail: they are for one machine.

    Raises ``UsageError`` for what goes only on one machine.
    """
    if STREAM in request.inputs or request.output == STREAM:
        raise UsageError(
            "--engine ray: stdin and stdout are this machine's; name files and a folder"
        )
    if "{index" in (request.output or ""):
        raise UsageError(
            f"{request.output}: {{index}} counts what is found, which --engine ray does not wait "
            "for; use {dir} and {stem}"
        )
    if config.confidence is not None and confidence_maps.is_file(config.confidence):
        raise UsageError(
            f"--confidence {config.confidence}: one file cannot take the maps of many photographs; "
            "give an ending of names, such as _confidence"
        )
    return OnRay(request, config, knobs, address, others)


class OnRay:
    """Photographs coloured by a cluster's workers; ``todo`` nobody knows while they are found."""

    todo: int | None = None
    piped = endless = slow = whole = False
    remark: str | None = None  # what became of the workers, where any was lost

    def __init__(
        self, request: intake.Request, config: PredictConfig, knobs: Knobs, address: str | None,
        others: Sequence[Kind],
    ) -> None:  # fmt: skip
        self._request, self._config, self._knobs = request, config, knobs
        self._address, self._others = address, others

    def __call__(
        self,
        *,
        progress: Callable[..., None] | None = None,
        stop: threading.Event | None = None,
        drop: threading.Event | None = None,
    ) -> Iterator[Result]:
        """A ``Result`` for each photograph, in the order in which they are finished.

        After ``stop`` is set workers finish what they have begun; after ``drop`` they are ended.
        """
        model = Colorizer(
            self._request.model, self._knobs, device=self._config.device, scans=self._config.scans
        )  # raises here
        if self._config.confidence is not None:
            model.require_distribution()  # what is wrong is said here
        folder = output_folder(self._request.output)
        if folder is not None and (is_remote(folder) or not is_folder(folder)):
            folder = None if is_remote(folder) or os.path.splitext(folder)[1] else folder
        with (
            cluster.joined(self._address) as ray,
            cluster.home(folder) as home,
            contextlib.closing(self._rows(ray, home, stop, drop)) as rows,
        ):
            failed = 0
            for done, row in enumerate(rows, 1):
                failed += row.status == "failed"
                if progress:
                    progress(done, 0, failed=failed)
                yield row

    def _rows(
        self,
        ray: Any,
        home: cluster.Home,
        stop: threading.Event | None,
        drop: threading.Event | None,
    ) -> Generator[Result, None, None]:
        pool = self._pool(ray, home)
        halted = stop or threading.Event()
        try:
            jobs = intake.streamed(self._request, self._config, self._others)
            for row in pool.rows(jobs, halted.is_set):
                yield row
                if drop is not None and drop.is_set():
                    return
        finally:
            pool.close()
            if pool.died:
                self.remark = (
                    f"{pool.died} workers were lost, and {pool.repeated} photographs that they had "
                    "begun were begun again"
                )

    def _pool(self, ray: Any, home: cluster.Home) -> Pool[Job, Result]:
        config = replace(self._config, workers=1)
        shared = ray.put((cluster.Carried.of(self._request.model), self._knobs, config, home))
        kind = ray.remote(concurrency_groups={CONTROL: 1})(_Actor)
        actor = kind.options(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")
        return Pool(
            ray,
            start=lambda: actor.remote(shared),
            wanted=lambda: self._config.workers or cluster.processors(ray),
            ahead=AHEAD,
            settled=settled,
            lost=_given_up,
        )


def _given_up(job: Job) -> Result:
    name = job.source.path
    message = (
        f"{name}: killed its worker {LIVES} times (a crash of its reader, or no memory left); "
        "colour it alone, or leave it out"
    )
    return Result(name, job.target, "failed", error=message)


class _Actor(Worker):
    """A ``Worker`` of what the driver shares."""

    def __init__(self, shared: tuple[Any, ...]) -> None:
        super().__init__(*shared)
