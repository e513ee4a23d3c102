"""One photograph too large to hold, coloured a strip of rows at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import BinaryIO

import cv2
import numpy as np

from colorcli.color.lab import Join
from colorcli.color.levels import to_depth
from colorcli.color.tone import is_colour
from colorcli.colorizing.colorizer import Colours
from colorcli.colorizing.framing import halved, halvings
from colorcli.colorizing.result import Result, Stopwatch
from colorcli.colorizing.scans.byproducts import Byproducts
from colorcli.colorizing.scans.windows import View
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.imaging.large.photograph import Halvings, Photograph
from colorcli.imaging.large.writing import write
from colorcli.system.parallel import Stopped

Stop = Callable[[], bool]


@dataclass(frozen=True)
class _Small:
    """A photograph at about the network's size: gray, colours if asked for, notes of reading."""

    gray: np.ndarray
    rgb: np.ndarray | None
    notes: tuple[str, ...]


def _reduced(photograph: Photograph, side: int, keep_color: bool, stop: Stop) -> _Small:
    """A first pass over all strips, which reads no more of them than this takes."""
    width, height = photograph.size
    grays, colours = [], []
    notes: tuple[str, ...] = ()
    by = Halvings(*halvings(height, width, side), halved)
    for picture in photograph.reduced(by, keep_color):
        if stop():
            raise Stopped
        notes = picture.notes
        grays.append(picture.gray)
        if keep_color:
            gray = picture.gray
            colours.append(
                cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB) if picture.rgb is None else picture.rgb
            )
    return _Small(_stacked(grays), _stacked(colours) if keep_color else None, notes)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Strips as one plane, of 16 bits where any of them is."""
    dtype = np.result_type(*parts)
    return np.concatenate([to_depth(part, dtype) for part in parts])


@dataclass(frozen=True)
class _Shown:
    """Strips in colour: a negative's as a positive."""

    join: Join
    view: View

    def __call__(self, gray: np.ndarray, top: int, dtype: np.dtype) -> np.ndarray:
        return self.join(self.view.shown(gray), top, dtype)


def _pages(
    photograph: Photograph, joined: _Shown | None, clock: Stopwatch, stop: Stop
) -> Generator[writing.Page, None, None]:
    """A second pass: strips in colour, with their alpha; ``joined`` None keeps their own."""
    for rows, picture in photograph.pictures(keep=joined is None):
        if stop():
            raise Stopped
        clock("decode")
        if joined:
            rgb = joined(picture.gray, rows.start, photograph.dtype)
        elif picture.rgb is None:
            rgb = cv2.cvtColor(to_depth(picture.gray, photograph.dtype), cv2.COLOR_GRAY2RGB)
        else:
            rgb = picture.rgb
        clock("join")
        yield rgb, picture.alpha
        clock("encode")


def colorize_strips(
    photograph: Photograph,
    file: BinaryIO,
    colorizer: Colours,
    format: str,
    config: PredictConfig = PredictConfig(),
    *,
    beside: Byproducts | None = None,
    stop: Stop = lambda: False,
) -> Result:
    """Colour a photograph that ``large.decision.decide`` was for.

    Like ``colorize_bytes``, in two passes that never hold more than a few strips; the encoded
    colours go to ``file``, open for writing and seeking.
    """
    clock, beside = Stopwatch(), beside or Byproducts(config)
    width, height = photograph.size
    with reading.failures(photograph.name):
        reading.check_size(width, height, config.max_pixels)
        writing.check_sides(format, width, height)
    small = _reduced(photograph, colorizer.side, config.keep_color, stop)
    kept = small.rgb is not None and is_colour(small.rgb)
    origin = None if config.no_provenance or kept else colorizer.origin
    clock("decode")
    if kept and format == photograph.format and config.changes_nothing:
        photograph.copy_to(file)
    else:
        joined = None
        if not kept:
            view = colorizer.view(small.gray, size=(width, height), name=photograph.name)
            if view.stands:
                beside.note("lies turned, and is too large to be turned upright in memory")
                view = replace(view, standing=False)
            beside.see(view)
            joined = _Shown(Join(colorizer.ab_of(view), height, width), view)
        clock("network")
        with contextlib.closing(_pages(photograph, joined, clock, stop)) as pages:
            write(
                file, photograph, pages, format,
                quality=config.quality, strip=config.strip, origin=origin,
            )  # fmt: skip
    clock("encode")
    return beside.result(
        photograph.name, photograph.size, clock, origin, kept=kept, notes=small.notes
    )
