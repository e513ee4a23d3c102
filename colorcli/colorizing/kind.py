"""Pictures that are not photographs: how another room takes its part in ``predict``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.result import Result
from colorcli.config.predict import PredictConfig
from colorcli.system.files.inputs import Source
from colorcli.system.files.outputs import Job


@dataclass(frozen=True)
class Task:
    """A job for a kind, with what it is done with.

    ``progress(done, total)`` is told of its parts; after ``stop`` is set, ``Stopped`` is raised.
    """

    job: Job
    colorizer: Colorizer
    config: PredictConfig
    workers: int
    stop: threading.Event
    progress: Callable[[int, int], None]


class Kind(Protocol):
    """A kind of picture. One job of each is worked on at a time, with all workers.

    ``copies`` are the suffixes by which it is known, with those of results; ``found`` are those
    that folders are searched for.
    """

    @property
    def copies(self) -> Mapping[str, str]:
        """Suffixes, lower case and with dot."""
        ...

    @property
    def found(self) -> Collection[str]:
        """Some of them."""
        ...

    def suffix(self, source: Source) -> str | None:
        """Of the result of a source of this kind; None for any other."""
        ...

    def check(self, job: Job) -> None:
        """Raise ``UsageError`` for a target that cannot be."""
        ...

    def upright(self, path: str) -> tuple[int, int] | None:
        """Width and height of its pictures as they are shown; None for what cannot be read."""
        ...

    def is_result(self, path: str) -> bool:
        """Whether a file is what an earlier run made; its header is read."""
        ...

    def colour(self, task: Task) -> Result:
        """Do a job; raises ``ColorizeError`` and ``Stopped``."""
        ...
