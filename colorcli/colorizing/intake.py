"""Photographs before they are coloured: read, known as earlier results, named by their content."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from colorcli.errors import DataError, ImageError, reason
from colorcli.files.inputs import STREAM, Source
from colorcli.imaging import large, reading, writing
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
    header = None if is_special(path) else large.peek(path)
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
        header = large.peek(source.path if source.data is None else source.data)
        if header is None or header.single:
            return source
        document = reading.decode(read(source), source.path, max_pixels=max_pixels)
    except (DataError, OSError):  # said when its turn comes
        return source
    return replace(source, suffix=writing.FORMATS[writing.holding(document)].suffixes[0])
