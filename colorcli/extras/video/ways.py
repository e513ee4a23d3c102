"""Which way a call of ``predict`` goes: photographs and films, or frames of a sequence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from colorcli.colorizing.intake import kind_of
from colorcli.colorizing.kind import Kind
from colorcli.colorizing.predict import foretold, predict
from colorcli.colorizing.result import Result
from colorcli.config.predict import FilmConfig, PredictConfig
from colorcli.extras.video.films import Films
from colorcli.system.files.inputs import Source
from colorcli.system.files.outputs import Job

_NUMBER = re.compile(r"%0?(\d*)d")


def expanded(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Inputs, and the files that those like ``frame_%06d.png`` among them mean, by number.

    A pattern that no file fits stays an input, so that it is said to be none.
    """
    rest, frames = [], list[str]()
    for text in inputs:
        folder, name = os.path.split(text)
        if len(parts := _NUMBER.split(name)) == 3 and not os.path.exists(text):
            found = _numbered(folder, *parts)
            frames += found
            if found:
                continue
        rest.append(text)
    return rest, frames


def _numbered(folder: str, before: str, width: str, after: str) -> list[str]:
    digits = rf"\d{{{width},}}" if width else r"\d+"
    fits = re.compile(rf"{re.escape(before)}({digits}){re.escape(after)}").fullmatch
    try:
        matches = [match for name in os.listdir(folder or os.curdir) if (match := fits(name))]
    except OSError:
        return []
    matches.sort(key=lambda match: int(match[1]))
    return [os.path.join(folder, match[0]) for match in matches]


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
        return cls(*expanded(inputs), film)

    @property
    def sequence(self) -> bool:
        """Whether photographs are frames."""
        return self.film.sequence or bool(self.frames)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is coloured beside photographs."""
        return () if self.sequence else (Films(self.film),)

    def upright(self, path: str) -> tuple[int, int] | None:
        """Width and height of what is coloured beside photographs; None for other files."""
        source = Source(path, os.path.basename(path))
        kind = kind_of(source, self.kinds) if os.path.isfile(path) else None
        return kind.upright(path) if kind else None

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
        if self.sequence:
            from colorcli.extras.video import sequence

            return partial(sequence.predict, config=config, film=self.film)
        return partial(predict, config=config, kinds=self.kinds)
