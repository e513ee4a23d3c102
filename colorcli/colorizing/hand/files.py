"""Hints from files: CSV, JSON, and PNG of painted strokes."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colorcli.colorizing.hand import strokes
from colorcli.colorizing.hand.hint import FORM, Hint, is_fraction, parse, seconds
from colorcli.system.errors import UsageError, reason
from colorcli.system.files import places

MOST = 1000  # hints of a file: the time they take goes with their square, 3 s for these


@dataclass(frozen=True)
class Asked:
    """Hints for one photograph; ``size`` (width, height) where they fit no other."""

    hints: tuple[Hint, ...]
    size: tuple[int, int] | None = None
    origin: str = ""

    def at(self, time: float | None) -> Asked:
        """The same, those without a time at this one."""
        hints = (replace(h, time=time) if h.time is None else h for h in self.hints)
        return self if time is None else replace(self, hints=tuple(hints))

    def check_still(self) -> None:
        """Raise ``UsageError`` for hints that are of a film."""
        for hint in self.hints:
            hint.check_still()

    def check_film(self) -> None:
        """Raise ``UsageError`` for hints that are of pages."""
        for hint in self.hints:
            if hint.page is not None:
                raise UsageError(
                    f"{hint.origin}: a film has no pages; say when, as in 12.5s:120,80,red"
                )

    def check(self, size: tuple[int, int]) -> None:
        """Raise ``UsageError`` for a picture of ``size`` that they do not fit."""
        if self.size is not None and self.size != size:
            own, other = (f"{w} x {h}" for w, h in (self.size, size))
            raise UsageError(
                f"{self.origin}: {own} pixels, the picture upright {other}; paint on a picture "
                "of its size"
            )
        if not any((hint.page or 1) > 1 for hint in self.hints):  # pages have sizes of their own
            for hint in self.hints:
                next(hint.placed(size))

    def check_pages(self, name: str, pages: int) -> None:
        """Raise ``UsageError`` for a hint on a page that the photograph ``name`` has not."""
        for hint in self.hints:
            if (hint.page or 1) > pages:
                raise UsageError(
                    f"{hint.origin}: there is no page {hint.page} in {name}; it has {pages}"
                )


_HEADS = [["x", "y", name, *radius] for name in ("colour", "color") for radius in ((), ("radius",))]


def _csv(path: str) -> Asked:
    lines = places.read(path).decode("utf-8-sig").splitlines()
    hints: list[Hint] = []
    when: int | None = None  # the column of the time
    for number, line in enumerate(lines, 1):
        bare = line.strip().replace('"', "")
        cells = [cell.strip() for cell in bare.lower().split(",")]
        if {"x", "y"} <= {*cells} and not hints:
            when = {"t": 0}.get(cells[0], -1) if "t" in cells else None
            if [cell for cell in cells if cell != "t"] not in _HEADS or "t" in cells[1:-1]:
                raise ValueError(
                    f"its columns are {bare}, and should be x,y,colour,radius, in films t before them"
                )
        elif bare and not bare.startswith("#"):
            hints.append(_line(bare, when, f"{path}, line {number}"))
    return Asked(tuple(hints))


def _line(text: str, when: int | None, origin: str) -> Hint:
    """The hint of a line whose first or last cell is the time, or that has none for it."""
    if when is None:
        return parse(text, origin)
    first, _, last = text.partition(",") if when == 0 else text.rpartition(",")
    time, rest = (first, last) if when == 0 else (last, first)
    return replace(parse(rest.rstrip(", "), origin), time=_time(time.strip(), origin))


def _time(value: Any, origin: str) -> float | None:
    """Seconds of a cell or key; none where it is empty."""
    if value is None or value == "":
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    time = seconds(value) if isinstance(value, str) else float(value) if number else None
    if time is None or not 0 <= time < math.inf:
        raise UsageError(
            f"{origin}: {value} is no time; give seconds or H:MM:SS, as 12.5 or 1:02:03"
        )
    return time


_KEYS = {"x", "y", "colour", "color", "radius", "page", "t"}


def _object(entry: dict[str, Any], origin: str) -> Hint:
    if unknown := entry.keys() - _KEYS:
        raise UsageError(f"{origin}: unknown key {min(unknown)}; known: {', '.join(sorted(_KEYS))}")
    colour = entry.get("colour", entry.get("color"))
    x, y, radius = entry.get("x"), entry.get("y"), entry.get("radius", 0)
    page = entry.get("page")
    numbers = all(
        isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n)
        for n in (x, y, radius)
    )
    if not numbers or not isinstance(colour, str) or not (page is None or isinstance(page, int)):
        raise UsageError(f"{origin}: needs numbers x and y, and a colour as text")
    return Hint(
        float(x or 0), float(y or 0), colour, radius=float(radius), page=page,
        time=_time(entry.get("t"), origin),
        fraction=is_fraction(x or 0, y or 0), origin=origin,
    )  # fmt: skip


def _json(path: str) -> Asked:
    document = json.loads(places.read(path).decode("utf-8-sig"))
    entries = document.get("hints") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise ValueError("give a list of hints")
    hints = []
    for number, entry in enumerate(entries, 1):
        origin = f"{path}, hint {number}"
        if isinstance(entry, list) and 3 <= len(entry) <= 4:
            entry = dict(zip(("x", "y", "colour", "radius"), entry, strict=False))
        if isinstance(entry, str):
            hints.append(parse(entry, origin))
        elif isinstance(entry, dict):
            hints.append(_object(entry, origin))
        else:
            raise UsageError(f"{origin}: not a hint; {FORM}")
    return Asked(tuple(hints))


def _png(path: str) -> Asked:
    from PIL import Image

    with Image.open(io.BytesIO(places.read(path))) as image:
        if not image.has_transparency_data:
            raise ValueError("it has no transparency; paint strokes on a transparent layer")
        rgba = np.asarray(image.convert("RGBA"))
    return Asked(tuple(strokes.hints_of(rgba, path)), (rgba.shape[1], rgba.shape[0]), path)


READERS: dict[str, Callable[[str], Asked]] = {".json": _json, ".csv": _csv, ".png": _png}


def read(path: str) -> Asked:
    """The hints of a file of one of ``READERS``' suffixes; raises ``UsageError`` that names it."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in READERS:
        raise UsageError(f"{path}: not a file of hints; give {', '.join(READERS)}")
    try:
        asked = READERS[suffix](path)
    except UsageError:
        raise
    except Exception as error:  # Pillow raises anything for damaged files
        raise UsageError(
            f"{path}: no hints can be read ({reason(error)}); check the file"
        ) from None
    if not asked.hints:
        raise UsageError(f"{path}: there are no hints in it; {FORM}")
    if len(asked.hints) > MOST:
        raise UsageError(f"{path}: {len(asked.hints)} hints; give {MOST} at most")
    return asked


def sidecars(path: str) -> list[str]:
    """Files of hints beside a photograph: ``photo.hints.csv``, or ``photo.jpg.hints.csv``."""
    stems = dict.fromkeys((path, os.path.splitext(path)[0]))
    names = (f"{stem}.hints{suffix}" for stem in stems for suffix in READERS)
    return [name for name in names if os.path.isfile(name)]
