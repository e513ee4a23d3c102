"""Photographs before they are coloured: found, known as earlier results, given a name for theirs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from colorcli.colorizing import sureness
from colorcli.config import PredictConfig
from colorcli.errors import DataError, ImageError, reason
from colorcli.files.inputs import STREAM, Found, Source, find
from colorcli.files.outputs import Job, agreed, output_folder, plan
from colorcli.imaging import reading, writing
from colorcli.system.atomic import is_special


def read(source: Source) -> bytes:
    """The bytes of a photograph; raises ``ImageError``, and ``DataError`` without a stdin."""
    if source.data is not None:
        return source.data
    if source.path == STREAM:
        if sys.stdin is None:
            raise DataError("-: stdin is closed; give a file")
        return sys.stdin.buffer.read()
    try:
        return Path(source.path).read_bytes()
    except OSError as error:
        raise ImageError(f"{source.path}: {reason(error)}; check the file") from None


def is_result(path: str) -> bool:
    """Whether a file is what an earlier run made; its header is read."""
    header = None if is_special(path) else reading.peek(path)
    return header is not None and header.result


def named(
    sources: Iterable[Source], max_pixels: int = reading.MAX_PIXELS, *, stdin: bool = True
) -> list[Source]:
    """The sources, with a suffix for the results of those whose names have none that is known.

    It is that of a format which holds what the file holds. For it, ``stdin`` is read.
    """

    def tells(source: Source) -> bool:
        known = os.path.splitext(source.relative)[1].lower() in writing.READABLE
        return known or source.error is not None or (source.path == STREAM and not stdin)

    return [source if tells(source) else _suffixed(source, max_pixels) for source in sources]


def _suffixed(source: Source, max_pixels: int) -> Source:
    if is_special(source.path):  # a pipe, whose turn comes
        return source
    try:
        if source.path == STREAM:
            source = replace(source, data=read(source))
        header = reading.peek(source.path if source.data is None else source.data)
        if header is None or header.single:
            return source
        document = reading.decode(read(source), source.path, max_pixels=max_pixels)
    except (DataError, OSError):  # said when its turn comes
        return source
    return replace(source, suffix=writing.FORMATS[writing.holding(document)].suffixes[0])


@dataclass(frozen=True)
class Request:
    """What to colour and where to, as a command line says it.

    ``listed`` names are taken literally. See ``files.inputs.find`` and ``files.outputs.plan``.
    """

    inputs: Sequence[str]
    output: str | None = None
    listed: Iterable[str] = ()
    recursive: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    model: str = "default"


def planned(request: Request, config: PredictConfig) -> tuple[Found, list[Job]]:
    """What was found, and a job for each photograph.

    Raises ``UsageError`` for outputs that cannot be, before any work, and ``DataError`` for a
    stdin that is wanted and closed.
    """
    format, output = config.format, request.output
    if format is not None:
        writing.check_format(format, f"--format {format}")
    found = find(
        request.inputs, writing.READABLE, listed=request.listed, recursive=request.recursive,
        leave_out=output_folder(output), results=config.again,
    )  # fmt: skip
    entries: Sequence[Source] = found.entries
    if format is None and output != STREAM:
        entries = named(entries, config.max_pixels, stdin=output is not None)
    jobs = plan(
        entries, output, suffix=format and writing.FORMATS[format].suffixes[0],
        copies=writing.READABLE, model=Path(request.model).name,
        existing="replace" if request.overwrite else "skip" if request.skip_existing else "refuse",
        is_result=(lambda path: False) if config.again else is_result,
    )  # fmt: skip
    for job in jobs:
        if job.todo and job.target != STREAM:
            meant = writing.SUFFIXES.get(os.path.splitext(job.target)[1].lower())
            if agreed(job.target, format, meant) is None and not is_special(job.target):
                writing.format_of(job.target)  # raises, with what is known
    if config.confidence is not None:
        sureness.check(jobs, config.confidence, replace=request.overwrite or request.skip_existing)
    return found, jobs
