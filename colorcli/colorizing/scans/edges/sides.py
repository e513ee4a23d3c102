"""Sides of a guessed shape: the edges that are found near each, and the lines that they lie on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.background import Sheet

POINTS = 48  # along a side
REACH = 0.2  # of the way to the opposite side: how far inside of a guess a side may lie…
RIM = 0.42  # …and how wide a rim may be
LEAST = 8  # points that make a line
ASKEW = math.radians(2.0)  # by which a side may be turned otherwise than the others
STEADY = 0.8  # support of every side of a good guess
_PAIRS = np.array(list(combinations(range(1, POINTS, 4), 2)))
_SHARES = np.linspace(0.04, 0.96, POINTS)


@dataclass(frozen=True, eq=False)
class Line:
    """A side found: a point and a direction, and the share of the points that lie on it.

    ``turn``: radians, clockwise, from the guessed side.
    """

    first: np.ndarray
    way: np.ndarray
    support: float
    turn: float


class Sides:
    """Sides of a guessed shape: points along each, and how deep inside their edges lie there.

    ``which``: their numbers, from the upper one clockwise; all planes below have a row for each.
    """

    def __init__(self, corners: np.ndarray) -> None:
        wide, high = quads.sides(corners)
        way = corners[[1, 2, 3, 0]] - corners
        self.first, self.far = corners, (high, wide, high, wide)
        self.length = np.hypot(way[:, 0], way[:, 1])
        self.unit = way / self.length[:, None]
        self.inwards = np.stack([-self.unit[:, 1], self.unit[:, 0]], axis=1)
        self.along = _SHARES * self.length[:, None]

    def at(self, which: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """x and y, (2, k, POINTS, n), of points at depths (k, POINTS, n) of some sides."""
        base = self.first[which, None] + self.along[which, :, None] * self.unit[which, None]
        inwards = self.inwards[which].T[:, :, None, None]
        return np.moveaxis(base, 2, 0)[..., None] + depth * inwards

    def _strip(self, plane: np.ndarray, side: int, start: float, count: int) -> np.ndarray:
        """Nearest values (POINTS, count) of plane (h, w) uint8 along a side, every half pixel inwards."""
        step = (self.along[side, 1] - self.along[side, 0]) * self.unit[side]
        origin = self.first[side] + self.along[side, 0] * self.unit[side]
        origin = origin + start * self.inwards[side] - 0.5
        map = np.stack([self.inwards[side] / 2, step, origin], axis=1)
        return cv2.warpAffine(
            plane, map, (count, POINTS), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip

    def edges(self, things: np.ndarray, side: int, out: float) -> np.ndarray:
        """Depth (POINTS,) of the first pixel of a thing from outside; NaN where there is none."""
        count = math.ceil(2 * (out + max(3.0, self.far[side] * REACH)))
        there = self._strip(things, side, -out, count)
        steady = there[:, :-4] & there[:, 2:-2] & there[:, 4:]
        return np.where(steady.any(axis=1), steady.argmax(axis=1) / 2 - out, np.nan)

    def ends(self, near: np.ndarray, side: int) -> np.ndarray:
        """Depth (POINTS,) at which the sheet, once seen from outside, ends; NaN where it does not."""
        count = math.ceil(2 * (max(4.0, self.far[side] * RIM) - 0.25))
        sheet = self._strip(near, side, 0.25, count)
        run = np.cumsum(sheet, axis=1, dtype=np.int16)
        seen = np.zeros(sheet.shape, bool)
        np.logical_or.accumulate(run[:, 4:] - run[:, :-4] >= 4, axis=1, out=seen[:, 4:])
        end = np.zeros(sheet.shape, bool)
        end[:, :-6] = seen[:, :-6] & (sheet[:, :-6] == 0) & (run[:, 6:] - run[:, :-6] <= 1)
        return np.where(end.any(axis=1), end.argmax(axis=1) / 2, np.nan)

    def sharpened(self, sheet: Sheet, which: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """Where (k, POINTS) between sheet and thing the levels are halfway; NaN where they hardly differ."""
        told = np.isfinite(edges)
        points = self.at(which, np.where(told, edges, 0.0)[..., None] + ABOUT)
        half = halfway(sheet, points.reshape(2, -1, len(ABOUT))).reshape(edges.shape)
        return np.where(told, edges + half, np.nan)

    def lines(
        self, sheet: Sheet, which: list[int], edges: list[np.ndarray], slack: float,
        lean: float | None = None,
    ) -> list[Line | None]:  # fmt: skip
        """The line that edges (POINTS,) of each side lie on; of the slope ``lean``, or nearly, where given."""
        if not which:
            return []
        some, along = np.array(which), self.along[which]
        coarse = _lines(along, np.stack(edges), slack + 0.5, lean)
        start, slope, held = coarse
        near = np.where(held, start[:, None] + slope[:, None] * along, np.nan)
        fine = self.sharpened(sheet, some, near)
        finer = _lines(along, fine, slack, lean)
        better = (np.isfinite(fine).sum(axis=1) >= LEAST) & np.isfinite(finer[0])
        found: list[Line | None] = []
        for i, side in enumerate(which):
            if not np.isfinite(start[i]) or held[i].sum() < LEAST:
                found.append(None)
                continue
            offset, turn, on = (part[i] for part in (finer if better[i] else coarse))
            way = self.unit[side] + turn * self.inwards[side]
            first = self.first[side] + offset * self.inwards[side]
            found.append(Line(first, way / math.hypot(*way), float(on.mean()), math.atan(turn)))
        return found

    def at_border(self, width: int, height: int) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """The picture's own edge where a side lies on it; else None."""
        middle = self.first + self.unit * self.length[:, None] / 2
        room = np.minimum(middle, (width, height) - middle).min(axis=1)
        return [
            _border(middle[i], self.inwards[i], width, height) if room[i] <= 1.5 else None
            for i in range(4)
        ]


def _lines(
    along: np.ndarray, depth: np.ndarray, slack: float, lean: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offset (k,) and slope (k,) of the lines that most points (k, POINTS) lie on, and which do.

    Of lines that hold as many the outer one. ``lean``: what the slope is about. NaN: no point.
    """
    a, b = _PAIRS.T
    along, depth = along.astype(np.float32), depth.astype(np.float32)  # as exact as is needed
    slopes = (depth[:, b] - depth[:, a]) / (along[:, b] - along[:, a])
    limit = 0.09 if lean is None else math.tan(ASKEW)
    with np.errstate(invalid="ignore"):
        keep = np.abs(slopes - (lean or 0.0)) < limit  # NaN is not
        starts = depth[:, a] - slopes * along[:, a]
        off = depth[:, None] - (starts[..., None] + slopes[..., None] * along[:, None])
        good = np.abs(off) <= slack
    value = np.where(keep, np.count_nonzero(good, axis=2) - 1e-3 * starts, -np.inf)
    held = good[np.arange(len(along)), value.argmax(axis=1)]
    held &= keep.any(axis=1)[:, None]
    count = np.maximum(held.sum(axis=1), 1)
    x, y = np.where(held, along, 0), np.where(held, depth, 0)
    middle, level = x.sum(axis=1) / count, y.sum(axis=1) / count
    aside = np.where(held, along - middle[:, None], 0)
    slope = (aside * y).sum(axis=1) / np.maximum((aside * aside).sum(axis=1), 1e-9)
    start = np.where(keep.any(axis=1), level - slope * middle, np.nan)
    return start, slope, held


ABOUT = np.arange(-4.0, 6.01, 0.5)  # pixels about an edge, from outside inwards


def halfway(sheet: Sheet, points: np.ndarray) -> np.ndarray:
    """Which of ``ABOUT`` (n,) is halfway between sheet and thing, along points (2, n, len); or NaN."""
    x, y = (points - 0.5).astype(np.float32)
    mode = cv2.BORDER_REPLICATE
    levels = cv2.remap(sheet.away, x, y, cv2.INTER_LINEAR, borderMode=mode)
    outside, inside = levels[:, :5].mean(axis=1), levels[:, 11:].mean(axis=1)
    other = outside > sheet.close  # a shadow or a fold lies there: by the levels themselves
    if other.any():
        own = cv2.remap(sheet.gray, x[other], y[other], cv2.INTER_LINEAR, borderMode=mode)
        own = own.astype(np.float32)
        ends = own[:, :5].mean(axis=1), own[:, 11:].mean(axis=1)
        rise = np.where(ends[1] < ends[0], -1, 1)
        levels[other] = own * rise[:, None]
        outside[other], inside[other] = ends[0] * rise, ends[1] * rise
    half = (outside + inside) / 2
    above = levels > half[:, None]
    above[:, :4] = False
    first = np.clip(above.argmax(axis=1), 1, None)
    rows = np.arange(len(levels))
    low, high = levels[rows, first - 1], levels[rows, first]
    part = np.clip((half - low) / np.maximum(high - low, 1e-3), 0, 1)
    clear = (inside - outside > max(4.0, 2 * sheet.sigma)) & above.any(axis=1)
    return np.where(clear, ABOUT[first - 1] + 0.5 * part, np.nan)


def _border(at: np.ndarray, inwards: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The picture's own edge that faces so, as a point and a direction."""
    if abs(inwards[1]) > abs(inwards[0]):
        y = 0.0 if inwards[1] > 0 else float(height)
        return np.array([at[0], y]), np.array([np.sign(inwards[1]), 0.0])
    x = 0.0 if inwards[0] > 0 else float(width)
    return np.array([x, at[1]]), np.array([0.0, -np.sign(inwards[0])])
