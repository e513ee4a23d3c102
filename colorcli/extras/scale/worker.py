"""What runs in a process of the cluster: a model that is opened once, and colours what it is given."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from colorcli.colorizing.result import Result
from colorcli.config.predict import PredictConfig
from colorcli.network.decoding import Knobs
from colorcli.system.files.outputs import Job

if TYPE_CHECKING:
    from colorcli.extras.scale.cluster import Carried, Home

AHEAD = 4  # photographs, at most, that a worker has begun at the same time


class Worker:
    """An actor. ``colour`` yields a row for each job, in their order; errors are rows."""

    def __init__(self, carried: Carried, knobs: Knobs, config: PredictConfig, home: Home) -> None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        self._config, self._stop = config, threading.Event()
        self._why = home.missing()
        if self._why is None:
            from colorcli.colorizing.colorizer import Colorizer

            self._open = contextlib.ExitStack()  # for as long as the process lives
            model = self._open.enter_context(carried.here())
            self._colorizer: Any = Colorizer(model, knobs, device=config.device, scans=config.scans)

    def ready(self) -> str | None:
        """Why it cannot work here, or None."""
        return self._why

    def colour(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """A row for each; none for those not begun when ``halt`` came."""
        from colorcli.colorizing.predict import predict

        yield from predict(jobs, self._colorizer, self._config, stop=self._stop)

    def halt(self) -> None:
        """Begin nothing more."""
        self._stop.set()
