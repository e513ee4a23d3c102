"""Bars and rims: even strips with straight borders around a photograph that are no part of it.

Letterboxed and pillarboxed frames, and pictures with a margin of one colour. A strip at one side
alone is a white sky over the sea or a black stage as often as a bar: it is left in peace.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

EVEN = 10  # levels of 255 by which a pixel of a bar may differ from the bar's colour
ODD = 0.02  # share of a line's pixels that may differ more
STEP = 14  # levels by which the photograph differs from the bar at their border…
STRAIGHT = 0.7  # …along this share of it
DEEPEST = 0.4  # share of the picture that one bar may take
ROUNDS = 3  # bars inside a rim inside bars
LEAST = {2: 3, 4: 2}  # lines that a bar must have: of a pair, of four around


class Box(NamedTuple):
    """A part of a picture: the first row and column in it, and the first ones after it."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """That part of ``pixels`` (H, W, …)."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def scaled(self, small: np.ndarray, large: np.ndarray) -> Box:
        """The box in ``large``, rounded inwards, that this one is in ``small``; both (H, W, …)."""
        rows, columns = (large.shape[i] / small.shape[i] for i in range(2))
        return Box(
            math.ceil(self.top * rows), math.ceil(self.left * columns),
            math.floor(self.bottom * rows), math.floor(self.right * columns),
        )  # fmt: skip


def described(box: Box, pixels: np.ndarray) -> str:
    """What lies outside of the box in ``pixels`` (H, W, …), in words."""
    height, width = pixels.shape[:2]
    sides = {
        "top": box.top / height, "bottom": 1 - box.bottom / height,
        "left": box.left / width, "right": 1 - box.right / width,
    }  # fmt: skip
    return "bars of " + ", ".join(f"{v:.1%} {k}" for k, v in sides.items() if v > 0)


def _bar(lines: np.ndarray) -> tuple[int, np.ndarray]:
    """Depth of the bar at the first of ``lines`` (n, m, 3) uint8, and its colour (3,); 0: none."""
    colour = np.median(lines[0, :: max(1, lines.shape[1] // 48)], axis=0).astype(np.int16)

    def away(some: np.ndarray) -> np.ndarray:
        return np.abs(some - colour).max(axis=2)

    if (away(lines[:1]) > EVEN).mean() > ODD:  # as most photographs have it
        return 0, colour
    most = int(len(lines) * DEEPEST) + 1
    distance = away(lines[: most + 2])
    uneven = (distance > EVEN).mean(axis=1) > ODD
    depth = int(uneven.argmax()) if uneven.any() else 0
    if not 0 < depth <= most - 1:
        return 0, colour
    # The line after the last even one may be a blend of both.
    inside = distance[depth : depth + 2].max(axis=0)
    return (depth, colour) if (inside > STEP).mean() >= STRAIGHT else (0, colour)


def _pair(pixels: np.ndarray) -> tuple[int, int]:
    """Depths of bars of one colour above and below ``pixels`` (H, W, 3); 0 for none."""
    first, colour = _bar(pixels)
    if not first:
        return 0, 0
    second, other = _bar(pixels[::-1])
    return (first, second) if second and np.abs(colour - other).max() <= EVEN else (0, 0)


def _around(pixels: np.ndarray, inside: bool) -> Box:
    """One round; ``inside`` bars that were found already, others need not be alike."""
    height, width = pixels.shape[:2]
    top, bottom = _pair(pixels)
    left, right = _pair(pixels[top : height - bottom].swapaxes(0, 1))
    least = LEAST[4 if min(top, left) else 2]

    def cut(first: int, second: int) -> tuple[int, int]:
        """The bars and the blend beside them, where they are deep enough, and alike where alone."""
        alike = inside or least == LEAST[4] or abs(first - second) <= 2 + 0.25 * min(first, second)
        return (first + 1, second + 1) if min(first, second) >= least and alike else (0, 0)

    (top, bottom), (left, right) = cut(top, bottom), cut(left, right)
    return Box(top, left, height - bottom, width - right)


def photograph(pixels: np.ndarray) -> Box | None:
    """Where the photograph lies in sRGB ``pixels`` (H, W, 3) uint8; None: it fills them."""
    whole = found = Box(0, 0, *pixels.shape[:2])
    for _ in range(ROUNDS):
        part = found.of(pixels)
        if min(part.shape[:2]) < 8:
            return None
        inner = _around(part, inside=found != whole)
        if inner == Box(0, 0, *part.shape[:2]):
            break
        top, left = found.top + inner.top, found.left + inner.left
        found = Box(top, left, found.top + inner.bottom, found.left + inner.right)
    return found if found != whole else None
