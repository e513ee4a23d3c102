"""Films as one more kind of picture that ``predict`` colours; nothing is loaded before there is one."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from colorcli.colorizing.kind import Task
from colorcli.colorizing.result import Result
from colorcli.config.predict import FilmConfig
from colorcli.extras.video.containers import reading
from colorcli.extras.video.containers.formats import (
    HEAD,
    SUFFIXES,
    Container,
    asked,
    container_of,
    suffix_of,
)
from colorcli.imaging import writing as pictures
from colorcli.system.atomic import is_special
from colorcli.system.errors import DataError, ImageError
from colorcli.system.files.inputs import STREAM, Source, ending
from colorcli.system.files.outputs import Job

_AMBIGUOUS = {".ts"}  # in folders more often programs


@dataclass(frozen=True)
class Films:
    """The kind that films are; see ``colorizing.kind``."""

    config: FilmConfig = field(default_factory=FilmConfig)

    @property
    def copies(self) -> Mapping[str, str]:
        """See ``Kind``."""
        return SUFFIXES

    @property
    def found(self) -> Collection[str]:
        """See ``Kind``; without PyAV folders are searched for photographs alone."""
        return SUFFIXES.keys() - _AMBIGUOUS if reading.installed() else ()

    def suffix(self, source: Source) -> str | None:
        """See ``Kind``: by name, else by the first bytes where the name says nothing."""
        own = ending(source.relative)
        if own in SUFFIXES:
            return SUFFIXES[own]
        if own in pictures.READABLE or source.error is not None:
            return None
        return suffix_of(_head(source))

    def check(self, job: Job) -> None:
        """See ``Kind``."""
        self._container(job)
        if self.config.video_codec is not None:
            asked(self.config.video_codec)

    def upright(self, path: str) -> tuple[int, int] | None:
        """See ``Kind``."""
        return reading.upright(path)

    def is_result(self, path: str) -> bool:
        """See ``Kind``."""
        return reading.is_result(path)

    def colour(self, task: Task) -> Result:
        """See ``Kind``."""
        name = task.job.source.path
        if not task.config.again and not _once(task.job.source) and self.is_result(name):
            return Result(name, None, "result")
        if task.config.confidence is not None:
            raise ImageError(f"{name}: --confidence is for photographs; leave it out")
        if task.config.c2pa is not None:
            raise ImageError(f"{name}: --c2pa signs photographs, not films; leave it out")
        if task.config.keep_color and _once(task.job.source):
            raise ImageError(f"{name}: --keep-color looks at a film twice; give it as a file")
        hand = task.colorizer.hand
        if hand.reference is not None and os.path.isdir(hand.reference):
            raise ImageError(
                f"{name}: --reference {hand.reference}: a film is like one photograph; give a file"
            )
        if (hand.of_film(name) or hand.stills) and _once(task.job.source):
            raise ImageError(f"{name}: hints and stills look at a film twice; give it as a file")
        from colorcli.extras.video.film import coloured

        return coloured(task, _bytes(task.job.source), self.config, self._container(task.job))

    def _container(self, job: Job) -> Container:
        suffix = os.path.splitext(job.target)[1].lower()
        if job.target == STREAM or (is_special(job.target) and not suffix):
            suffix = self.suffix(job.source) or ".mkv"
        return container_of(job.target, suffix)


def _once(source: Source) -> bool:
    """Whether it can be read a single time."""
    return source.path == STREAM or is_special(source.path)


def _head(source: Source) -> bytes:
    if source.data is not None:
        return source.data[:HEAD]
    if source.path == STREAM:
        peek = getattr(getattr(sys.stdin, "buffer", None), "peek", None)
        return peek(HEAD)[:HEAD] if peek else b""
    if is_special(source.path):
        return b""
    try:
        with open(source.path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def _bytes(source: Source) -> str | BinaryIO:
    """What FFmpeg is given: a path, or a stream of bytes."""
    if source.data is not None:
        return io.BytesIO(source.data)
    if source.path == STREAM:
        if sys.stdin is None:
            raise DataError("-: stdin is closed; give a file")
        return sys.stdin.buffer
    return source.path
