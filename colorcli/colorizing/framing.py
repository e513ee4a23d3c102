"""What the network is shown of a picture: the one way from gray to the L it reads.

``Colorizer``, training's validation and the check of exports all go through ``shown``; exports of
pictures hold its twin in graph form (``signatures``), and a test holds the two equal. Nothing here
knows files or models.
"""

from __future__ import annotations

import cv2
import numpy as np

from colorcli.color.lab import gray_to_L

NARROW = 55.0  # range of L below which a photograph counts as faded
TAILS = 0.5  # percent of the pixels left outside the range at either end
SPREAD = (3.0, 97.0)  # the range of L that a faded photograph is shown to the network with
BLANK = 10.0  # a range is taken for no narrower: a blank page stays blank


def reach(lightness: np.ndarray) -> tuple[float, float]:
    """The range of L (H, W) float32 that all but its ``TAILS`` lie in.

    It is that of ``np.percentile``, which loads another part of NumPy first.
    """
    last = lightness.size - 1
    low, high = (_place(last * (share / 100), last) for share in (TAILS, 100 - TAILS))
    ordered = np.partition(lightness, sorted({*low[:2], *high[:2]}), axis=None)
    return _between(ordered, *low), _between(ordered, *high)


def _place(at: float, last: int) -> tuple[int, int, float]:
    """The numbers of the two values about a place among ordered ones, and the share of the second."""
    return int(at), min(int(at) + 1, last), at % 1


def _between(ordered: np.ndarray, before: int, after: int, share: float) -> float:
    one, other = ordered[before], ordered[after]
    way = float(other - one)
    return float(one) + way * share if share < 0.5 else float(other) - way * (1 - share)


def stretch(lightness: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """What the network is shown of L (H, W) float32: itself, or stretched where its range is narrow.

    Fading takes colours along with contrast from what a network recognises; photographs of normal
    contrast lose by stretching (benchmarks/old.py). The output's own L is never touched.
    ``limits``: the range of the photograph that it is a part of.
    """
    low, high = limits or reach(lightness)
    if high - low >= NARROW:
        return lightness
    factor = (SPREAD[1] - SPREAD[0]) / max(high - low, BLANK)
    middle = (low + high) / 2
    spread = sum(SPREAD) / 2 + (lightness - middle) * factor
    return np.clip(spread, 0, 100).astype(np.float32)


def halved(plane: np.ndarray, down: int, across: int) -> np.ndarray:
    """Means over 2 ** ``down`` rows and 2 ** ``across`` columns of (H, W) or (H, W, C).

    Exact halves cost a tenth of odd fractions; what is left of an odd number is cut off.
    """
    while down or across:
        even = plane[: plane.shape[0] >> 1 << 1 if down else None]
        even = even[:, : plane.shape[1] >> 1 << 1 if across else None]
        fx, fy = 0.5 if across else 1.0, 0.5 if down else 1.0
        plane = cv2.resize(even, None, fx=fx, fy=fy, interpolation=cv2.INTER_AREA)
        down, across = max(down - 1, 0), max(across - 1, 0)
    return plane


def halvings(height: int, width: int, side: int) -> tuple[int, int]:
    """How often rows and columns of a picture are halved, by ``halved``, on their way to ``side``."""
    down, across = (n // (8 * side + 1) for n in (height, width))
    return down.bit_length(), across.bit_length()


def squared(gray: np.ndarray, side: int) -> np.ndarray:
    """Gray (H, W) uint8 or uint16 stretched to (side, side), averaged when shrinking."""
    if gray.shape == (side, side):
        return gray
    height, width = gray.shape
    small = halved(gray, *halvings(height, width, side))
    how = cv2.INTER_AREA if min(small.shape) > side else cv2.INTER_LINEAR
    return cv2.resize(small, (side, side), interpolation=how)


def shown(gray: np.ndarray, side: int) -> np.ndarray:
    """L (side, side) float32 in 0…100 that the network is shown of gray (H, W) uint8 or uint16."""
    return stretch(gray_to_L(squared(gray, side)))
