"""Four straight sides about a thing that lies on a sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.background import Sheet

POINTS = 48  # along a side
REACH = 0.2  # of the way to the opposite side: how far inside of a guess a side may lie…
RIM = 0.42  # …and how wide a rim may be
SLACK = 0.006  # of the longer side: how far an edge may stray from its line, and a pixel at least
LEAST = 8  # points that make a line
ASKEW = math.radians(2.0)  # by which a side may be turned otherwise than the others
STEADY, HOPE = 0.8, 0.5  # support of every side of a good guess; of all, of one worth another
ENDS = 0.5  # support below which a rim is taken to have no such side
_PAIRS = np.array(list(combinations(range(1, POINTS, 4), 2)))
_SHARES = np.linspace(0.04, 0.96, POINTS)


@dataclass(frozen=True, eq=False)
class Fit:
    """Four sides: ``corners`` (4, 2); ``support`` (4,): share of each that an edge was found on,
    from the upper one clockwise; ``free`` (4,): whether it lies inside of the picture.
    ``filled``: share of the shape that stands out. ``tone``, ``close``: the sheet's level, and the
    levels about it that are still the sheet's. ``oval``: the ellipse between the corners alone.
    ``rim``: it is where a rim ends inwards.
    """

    corners: np.ndarray
    support: np.ndarray
    free: np.ndarray
    filled: float
    tone: float
    close: float
    oval: bool = False
    rim: bool = False


class _Sides:
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
        points = self.at(which, np.where(told, edges, 0.0)[..., None] + _ABOUT)
        half = _halfway(sheet, points.reshape(2, -1, len(_ABOUT))).reshape(edges.shape)
        return np.where(told, edges + half, np.nan)

    def lines(
        self, sheet: Sheet, which: list[int], edges: list[np.ndarray], slack: float,
        lean: float | None = None,
    ) -> list[_Line | None]:  # fmt: skip
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
        found: list[_Line | None] = []
        for i, side in enumerate(which):
            if not np.isfinite(start[i]) or held[i].sum() < LEAST:
                found.append(None)
                continue
            offset, turn, on = (part[i] for part in (finer if better[i] else coarse))
            way = self.unit[side] + turn * self.inwards[side]
            first = self.first[side] + offset * self.inwards[side]
            found.append(_Line(first, way / math.hypot(*way), float(on.mean()), math.atan(turn)))
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


_ABOUT = np.arange(-4.0, 6.01, 0.5)  # pixels about an edge, from outside inwards


def _halfway(sheet: Sheet, points: np.ndarray) -> np.ndarray:
    """Which of ``_ABOUT`` (n,) is halfway between sheet and thing, along points (2, n, len); or NaN."""
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
    return np.where(clear, _ABOUT[first - 1] + 0.5 * part, np.nan)


def _crossing(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:  # fmt: skip
    """Where two lines, each a point and a direction, meet; NaN where they do not."""
    ((px, py), (ux, uy)), ((qx, qy), (vx, vy)) = one, other
    area = ux * vy - uy * vx
    factor = ((qx - px) * vy - (qy - py) * vx) / area if abs(area) > 1e-9 else math.nan
    return px + factor * ux, py + factor * uy


def _guess(outline: np.ndarray) -> np.ndarray:
    corners = quads.ordered(cv2.boxPoints(cv2.minAreaRect(cv2.convexHull(outline))) + 0.5)
    return quads.grown(corners, 0.5)


def about(sheet: Sheet, outline: np.ndarray) -> Fit | None:
    """Straight sides about a thing, of which ``outline`` (n, 1, 2) is the contour; None: too small."""
    corners = _guess(outline)
    if min(quads.sides(corners)) < 8:
        return None
    own = cv2.drawContours(np.zeros_like(sheet.things), [outline], -1, 1, cv2.FILLED)
    found = _fit(sheet, corners, own)
    if found is None or found.support.min() >= STEADY or found.support.mean() < HOPE:
        return found
    # Writing beside it may have turned the guess.
    again = _fit(sheet, _rectangle(found), own)
    return again if again and again.support.sum() > found.support.sum() else found


def _rectangle(found: Fit) -> np.ndarray:
    """Corners of the upright rectangle about those found, turned as its best side is."""
    corners = found.corners
    best = int(np.argmax(found.support * found.free))
    x, y = corners[(best + 1) % 4] - corners[best]
    turn = np.arctan2(y, x) - best * np.pi / 2
    unit = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    seen = corners @ unit.T
    ordered = np.sort(seen, axis=0)
    (left, top), (right, bottom) = ordered[:2].mean(axis=0), ordered[2:].mean(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ unit


def within(sheet: Sheet) -> Fit | None:
    """Straight sides where a sheet that is seen all around ends inwards: those of a rim."""
    height, width = sheet.away.shape
    return _fit(sheet, quads.box(width, height), None)


def _found(
    sheet: Sheet, sides: _Sides, own: np.ndarray | None, borders: Sequence[object]
) -> list[_Line | None]:
    """The lines of four sides that edges tell; None where there are none, or the picture ends."""
    slack = max(1.0, SLACK * max(sheet.away.shape))
    which = [i for i in range(4) if borders[i] is None or own is None]
    near = sheet.near
    edges = [sides.ends(near, i) if own is None else sides.edges(own, i, 3.0) for i in which]
    found: list[_Line | None] = [None] * 4
    for i, line in zip(which, sides.lines(sheet, which, edges, slack), strict=True):
        found[i] = None if borders[i] and line and line.support < ENDS else line
    turn = _common_turn(sides, found)
    # Writing, or a corner, where one is turned otherwise than the others.
    off = [i for i in which if (line := found[i]) and abs(line.turn - turn) > ASKEW]
    own_edges = [edges[which.index(i)] for i in off]
    for i, line in zip(off, sides.lines(sheet, off, own_edges, slack, math.tan(turn)), strict=True):
        found[i] = line
    return found


def _fit(sheet: Sheet, corners: np.ndarray, own: np.ndarray | None) -> Fit | None:
    """Sides near those between ``corners``, on the edges found at points of each.

    ``own`` (h, w): the thing alone; None: a rim, whose sides may lie at the picture's edge.
    """
    height, width = sheet.away.shape
    sides = _Sides(corners)
    borders = sides.at_border(width, height)
    found = _found(sheet, sides, own, borders)
    support, free, lines = np.zeros(4), np.ones(4, bool), []
    for i, line in enumerate(found):
        border = borders[i]
        free[i] = line is not None or border is None
        support[i] = line.support if line else float(border is not None)
        lines.append((line.first, line.way) if line else border or (sides.first[i], sides.unit[i]))
    fitted = np.array([_crossing(lines[i - 1], lines[i]) for i in range(4)])
    if not (np.isfinite(fitted).all() and cv2.isContourConvex(fitted.astype(np.float32))):
        return None
    beyond = 0.03 * max(height, width)
    if fitted.min() < -beyond or (fitted - (width, height)).max() > beyond:
        return None
    return Fit(
        corners=fitted, support=support, free=free, filled=_filled(sheet, fitted, own),
        tone=sheet.tone, close=sheet.close, rim=own is None,
    )  # fmt: skip


def _filled(sheet: Sheet, corners: np.ndarray, own: np.ndarray | None) -> float:
    """Share of a shape that stands out."""
    height, width = sheet.away.shape
    left, top = np.floor(corners.min(axis=0)).astype(int).clip(0) - 1
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    part = np.s_[max(0, top) : min(bottom, height), max(0, left) : min(right, width)]
    shape = np.zeros((part[0].stop - part[0].start, part[1].stop - part[1].start), np.uint8)
    if not shape.size:
        return 0.0
    moved = corners - (part[1].start, part[0].start)
    cv2.fillConvexPoly(shape, np.rint(moved - 0.5).astype(np.int32), 1)
    stands = own[part] if own is not None else 1 - sheet.near[part]
    return cv2.countNonZero(cv2.bitwise_and(stands, shape)) / max(1, cv2.countNonZero(shape))


@dataclass(frozen=True, eq=False)
class _Line:
    """A side found: a point and a direction, and the share of the points that lie on it.

    ``turn``: radians, clockwise, from the guessed side.
    """

    first: np.ndarray
    way: np.ndarray
    support: float
    turn: float


def _common_turn(sides: _Sides, found: list[_Line | None]) -> float:
    """Radians by which most of the sides found are turned from the guess, by length and support."""
    told = sorted(
        (line.turn, line.support * length)
        for length, line in zip(sides.length, found, strict=True) if line is not None
    )  # fmt: skip
    half, below = sum(weight for _, weight in told) / 2, 0.0
    for turn, weight in told:
        below += weight
        if below >= half:
            return turn
    return 0.0


def oval(sheet: Sheet, outline: np.ndarray) -> Fit | None:
    """The ellipse that a thing is, upright and in the middle as under a mat; None: it is none."""
    height, width = sheet.away.shape
    if len(outline) < 20:
        return None
    found = _ellipse(outline.astype(np.float32) + 0.5)
    if (
        found is None or np.abs(found[0] / (width, height) - 0.5).max() > 0.08
        or np.min(found[1] * 2 / (width, height)) < 0.4
        or abs(cv2.contourArea(outline) / (np.pi * found[1].prod()) - 1) > 0.08
    ):  # fmt: skip
        return None
    middle, half = found
    turns = np.linspace(0, 2 * np.pi, 2 * POINTS, endpoint=False)
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    outwards = around / half
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    edge = middle + around * half
    points = edge[:, None] - _ABOUT[:, None] * outwards[:, None]
    depth = _halfway(sheet, np.moveaxis(points, 2, 0))
    told = np.isfinite(depth)
    if told.sum() < POINTS:
        return None
    edge = (edge - depth[:, None] * outwards)[told]
    found = _ellipse(edge[:, None].astype(np.float32))
    if found is None:
        return None
    middle, half = found
    off = np.abs(np.linalg.norm((edge - middle) / half, axis=1) - 1) * half.mean()
    if np.percentile(off, 75) > max(1.0, 1.5 * SLACK * max(height, width)):
        return None
    corners = quads.box(*(2 * half)) + (middle - half)
    sides = np.ones(4)
    return Fit(
        corners=corners, support=sides, free=sides > 0, filled=1.0, tone=sheet.tone,
        close=sheet.close, oval=True,
    )  # fmt: skip


def _ellipse(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Middle and half axes (x, y) of the upright ellipse through points (n, 1, 2), clearly no circle."""
    (x, y), (first, second), angle = cv2.fitEllipse(points)
    wide, high = (first, second) if angle < 45 or angle > 135 else (second, first)
    upright = min(angle % 90, 90 - angle % 90) < 3
    short, long = sorted((wide, high))  # 0 or NaN where the points lie on a line
    if not (upright and short > 0 and 1.12 * short < long < 1.8 * short):
        return None
    return np.array([x, y]), np.array([wide, high]) / 2


def _border(at: np.ndarray, inwards: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The picture's own edge that faces so, as a point and a direction."""
    if abs(inwards[1]) > abs(inwards[0]):
        y = 0.0 if inwards[1] > 0 else float(height)
        return np.array([at[0], y]), np.array([np.sign(inwards[1]), 0.0])
    x = 0.0 if inwards[0] > 0 else float(width)
    return np.array([x, at[1]]), np.array([0.0, -np.sign(inwards[0])])
