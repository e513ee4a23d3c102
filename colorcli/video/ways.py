"""Which way a call of ``predict`` goes: photographs and films, or frames of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from colorcli.colorizing.intake import kind_of
from colorcli.colorizing.kind import Kind
from colorcli.colorizing.predict import foretold, predict
from colorcli.colorizing.result import Result
from colorcli.config import FilmConfig, PredictConfig
from colorcli.files.outputs import Job
from colorcli.video import sequence
from colorcli.video.film import Films


@dataclass(frozen=True)
class Way:
    """``inputs`` without patterns of numbered ``frames``, which are given by name.

    Where there are such frames, or ``--sequence``, all photographs are frames.
    """

    inputs: Sequence[str]
    frames: Sequence[str]
    film: FilmConfig

    @classmethod
    def of(cls, inputs: Sequence[str], film: FilmConfig) -> Way:
        """That of a command line's inputs."""
        return cls(*sequence.expanded(inputs), film)

    @property
    def _sequence(self) -> bool:
        return self.film.sequence or bool(self.frames)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is coloured beside photographs."""
        return () if self._sequence else (Films(self.film),)

    def is_long(self, job: Job) -> bool:
        """Whether a single job has parts to tell of."""
        return job.todo and kind_of(job.source, self.kinds) is not None

    def foretell(
        self, jobs: Sequence[Job], config: PredictConfig, told: Callable[[Result], None]
    ) -> None:
        """Tell of what would become of ``jobs``."""
        for result in foretold(jobs, config, self.kinds):
            told(result)

    def run(self, config: PredictConfig) -> Callable[..., Iterator[Result]]:
        """What colours jobs: called with them, a colorizer, ``progress`` and ``stop``."""
        if self._sequence:
            return partial(sequence.predict, config=config, film=self.film)
        return partial(predict, config=config, kinds=self.kinds)
