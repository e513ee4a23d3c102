"""One colour that a person knows, as text, and where it lies in a picture."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ImageColor

from colorcli.color.lab import rgb_to_lab
from colorcli.colorizing.hints import Stuff
from colorcli.system.errors import UsageError

NEUTRAL, KEEP = "neutral", "keep"  # gray; and what the network says there
_RING = 6  # points of a dab beside its centre,
_OUT = 0.7  # and how far out of its radius they lie
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_TIME = r"\d+(?:\.\d+)?s|(?:\d+:){1,2}\d{1,2}(?:\.\d+)?"  # 12.5s, 1:02.5 or 1:00:02
_HINT = re.compile(
    rf"(?:(?P<time>{_TIME}):|(?P<page>\d+):)?\s*(?P<x>{_NUMBER})\s*,\s*(?P<y>{_NUMBER})\s*,\s*(?P<colour>[^,]+|\w+\(.*\))"
    rf"(?:,\s*(?P<radius>{_NUMBER}))?\s*"
)
_TIMED = re.compile(rf"(?P<time>{_TIME})=(?P<rest>.+)", re.DOTALL)
FORM = (
    "give [PAGE:]X,Y,COLOUR[,RADIUS], such as 120,80,#7a4b2c or 0.3,0.5,skyblue, and in films "
    "TIME:X,Y,COLOUR, such as 12.5s:120,80,red"
)


@dataclass(frozen=True)
class Known:
    """A hint in its place: ``x``, ``y`` in pixels of the upright picture, from its outer corner.

    ``ab`` None: as the network has it. ``lightness`` is the colour's own, which does not count.
    ``time``: seconds, where it was told of a film; ``stuff``: what lay there then. ``x`` is NaN
    where the place is out of sight.
    """

    x: float
    y: float
    ab: tuple[float, float] | None
    lightness: float | None
    colour: str
    page: int | None = None
    time: float | None = None
    stuff: Stuff | None = None

    def told(self) -> dict[str, float | int | str]:
        """What the JSON says of it, and ``--hints`` takes."""
        found = {"page": self.page, "t": self.time}
        where = {name: number for name, number in found.items() if number is not None}
        return {"x": int(self.x), "y": int(self.y), "colour": self.colour, **where}


@dataclass(frozen=True)
class Hint:
    """A colour at a place, as a person gives it.

    ``x`` and ``y`` are pixels of the upright picture, counted from 0, or with ``fraction`` shares
    of its width and height; ``radius`` is that of a dab of this colour, in pixels or a share of the
    shorter side. ``page`` counts from 1; None is every page. ``time``: seconds from a film's
    beginning; None is the beginning. ``origin``: where it was given.
    """

    x: float
    y: float
    colour: str
    radius: float = 0.0
    page: int | None = None
    time: float | None = None
    fraction: bool = False
    origin: str = "hint"

    def __post_init__(self) -> None:
        """Raise ``UsageError`` for an unknown colour and a radius that is none."""
        lab_of(self.colour, self.origin)
        if not (math.isfinite(self.radius) and self.radius >= 0):
            raise UsageError(f"{self.origin}: a radius of {self.radius}; give 0 or more")

    def check_still(self) -> None:
        """Raise ``UsageError`` where it is of a moment in a film."""
        if self.time is not None:
            raise UsageError(f"{self.origin}: a photograph has no times; leave the time out")

    def placed(self, size: tuple[int, int]) -> Iterator[Known]:
        """Its points in a picture of ``size`` (width, height); ``UsageError`` where it lies outside."""
        width, height = size
        x, y = (self.x * width, self.y * height) if self.fraction else (self.x, self.y)
        # Of fractions 1 is the last pixel; pixels are counted from 0.
        within = [n <= most if self.fraction else n < most for n, most in ((x, width), (y, height))]
        if not all(within) or min(x, y) < 0:
            raise UsageError(
                f"{self.origin}: lies outside of the picture's {width} x {height} pixels; give "
                f"pixels from 0,0 to {width - 1},{height - 1}, or fractions such as 0.3,0.5"
            )
        lab = lab_of(self.colour, self.origin)
        ab = None if lab is None else (float(lab[1]), float(lab[2]))
        shade = None if lab is None or self.colour == NEUTRAL else float(lab[0])
        radius = self.radius * (min(size) if 0 < self.radius < 1 else 1)
        turns = np.arange(_RING) * (2 * math.pi / _RING) if radius else ()
        ring = [(x + _OUT * radius * math.cos(t), y + _OUT * radius * math.sin(t)) for t in turns]
        for u, v in [(x, y), *ring]:
            if 0 <= u <= width and 0 <= v <= height:
                # The pixel there, at its centre: between pixels none would show what was asked.
                u, v = min(int(u), width - 1) + 0.5, min(int(v), height - 1) + 0.5
                yield Known(u, v, ab, shade, colour=self.colour, page=self.page, time=self.time)


def lab_of(colour: str, origin: str) -> np.ndarray | None:
    """Lab (3,) of a CSS colour or ``neutral``, None for ``keep``; ``UsageError`` for an unknown one."""
    name = colour.strip().lower()
    if name == KEEP:
        return None
    if name == NEUTRAL:
        return np.array([50.0, 0.0, 0.0])
    try:
        spaced = re.sub(r"(?<=[\d%])\s+(?=\d)", ",", name)  # as CSS writes it today: rgb(1 2 3)
        rgb = ImageColor.getrgb(spaced)[:3]
    except ValueError:
        near = difflib.get_close_matches(name, (*ImageColor.colormap, NEUTRAL, KEEP), 1)
        hint = f"did you mean {near[0]}?" if near else "give #7a4b2c, rgb(122,75,44) or a CSS name"
        raise UsageError(f"{origin}: unknown colour {colour!r}; {hint}") from None
    return np.asarray(rgb_to_lab(np.clip(np.array(rgb, np.float64), 0, 255) / 255))


def is_fraction(x: str | float, y: str | float) -> bool:
    """Whether two numbers, as they were written, are shares of a picture's sides.

    They are where neither is above 1 and one has a decimal point: 1,1 is a pixel, 1.0,1.0 a corner.
    """
    pointed = any("." in n if isinstance(n, str) else isinstance(n, float) for n in (x, y))
    return pointed and max(float(x), float(y)) <= 1


def seconds(text: str) -> float | None:
    """The time that ``12.5s``, ``12.5``, ``1:02.5`` or ``1:00:02`` says; None where it is none."""
    if not re.fullmatch(rf"{_TIME}|\d+(?:\.\d+)?", text):
        return None
    total = 0.0
    for part in text.removesuffix("s").split(":"):
        total = 60 * total + float(part)
    return total


def timed(text: str) -> tuple[float | None, str]:
    """What ``TIME=FILE`` says: the time in seconds and the file; None where there is no time."""
    found = _TIMED.fullmatch(text)
    return (None, text) if found is None else (seconds(found["time"]), found["rest"])


def parse(text: str, origin: str | None = None) -> Hint:
    """A hint of ``[PAGE:|TIME:]X,Y,COLOUR[,RADIUS]``; raises ``UsageError``."""
    origin = origin or f"--hint {text}"
    found = _HINT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{origin}: not a hint; {FORM}")
    x, y, page = found["x"], found["y"], found["page"]
    if page is not None and int(page) < 1:
        raise UsageError(f"{origin}: pages are counted from 1")
    return Hint(
        float(x), float(y), found["colour"].strip().strip("\"'"),
        radius=float(found["radius"] or 0), page=int(page) if page else None,
        time=seconds(found["time"]) if found["time"] else None, fraction=is_fraction(x, y),
        origin=origin,
    )  # fmt: skip


def placed(hints: Iterable[str | tuple[Any, ...] | Hint], size: tuple[int, int]) -> list[Known]:
    """Hints as a program gives them, text, (x, y, colour[, radius]) or ``Hint``, in their places.

    Raises ``UsageError`` for one that cannot be or lies outside of ``size`` (width, height).
    """
    found: list[Known] = []
    for given in hints:
        if isinstance(given, tuple):
            x, y, colour, radius = (*given, 0.0)[:4]
            fraction = is_fraction(x, y)
            hint = Hint(float(x), float(y), colour, radius=float(radius), fraction=fraction)
        else:
            hint = parse(given) if isinstance(given, str) else given
        hint.check_still()
        found += hint.placed(size)
    return found
