"""Four straight sides about a thing that lies on a sheet."""

from __future__ import annotations

import math
from collections.abc import Callable
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


@dataclass(frozen=True, eq=False)
class Fit:
    """Four sides: ``corners`` (4, 2); ``support`` (4,): share of each that an edge was found on,
    from the upper one clockwise; ``free`` (4,): whether it lies inside of the picture.
    ``filled``: share of the shape that stands out. ``tone``, ``close``: the sheet's level, and the
    levels about it that are still the sheet's. ``oval``: the ellipse between the corners alone.
    """

    corners: np.ndarray
    support: np.ndarray
    free: np.ndarray
    filled: float
    tone: float
    close: float
    oval: bool = False


def _looked_up(plane: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of plane (h, w) at points (…, 2); the nearest ones outside."""
    height, width = plane.shape
    x = np.clip(points[..., 0].astype(np.intp), 0, width - 1)
    y = np.clip(points[..., 1].astype(np.intp), 0, height - 1)
    return plane[y, x]


def _line(
    along: np.ndarray, depth: np.ndarray, slack: float, lean: float | None = None
) -> tuple[float, float, np.ndarray]:
    """Offset and slope of the line that most points (along, depth) lie on, and which do.

    Of lines that hold as many the outer one. ``lean``: what the slope is about. NaN: no point.
    """
    a, b = _PAIRS.T
    run = along[b] - along[a]
    slopes = (depth[b] - depth[a]) / run
    limit = 0.09 if lean is None else math.tan(ASKEW)
    keep = np.isfinite(slopes) & (np.abs(slopes - (lean or 0.0)) < limit)
    if not keep.any():
        return float("nan"), 0.0, np.zeros(len(along), bool)
    slopes, starts = slopes[keep], (depth[a] - slopes * along[a])[keep]
    off = depth[None] - (starts[:, None] + slopes[:, None] * along[None])
    with np.errstate(invalid="ignore"):
        good = np.abs(off) <= slack
    value = good.sum(axis=1) - 1e-3 * starts
    held = good[int(value.argmax())]
    x, y = along[held], depth[held]
    middle = x.mean()
    off = x - middle
    slope = float(off @ y / max(off @ off, 1e-9))
    return float(y.mean()) - slope * float(middle), slope, held


class _Side:
    """One side of a guessed shape: points along it, and how deep inside its edge lies there."""

    def __init__(self, first: np.ndarray, last: np.ndarray, far: float) -> None:
        self.first, way = first, last - first
        self.length = float(np.linalg.norm(way))
        self.unit = way / self.length
        self.inwards = np.array([-self.unit[1], self.unit[0]])
        self.along = np.linspace(0.04, 0.96, POINTS) * self.length
        self.far = far

    def at(self, depth: np.ndarray) -> np.ndarray:
        """Points (POINTS, n, 2) at depths (POINTS, n)."""
        base = self.first + self.along[:, None] * self.unit
        return base[:, None] + depth[..., None] * self.inwards

    def edges(self, things: np.ndarray, out: float) -> np.ndarray:
        """Depth (POINTS,) of the first pixel of a thing from outside; NaN where there is none."""
        depths = np.arange(-out, max(3.0, self.far * REACH), 0.5)
        there = _looked_up(things, self.at(np.broadcast_to(depths, (POINTS, len(depths))))) > 0
        steady = there[:, :-4] & there[:, 2:-2] & there[:, 4:]
        found = depths[steady.argmax(axis=1)]
        return np.where(steady.any(axis=1), found, np.nan)

    def ends(self, near: np.ndarray) -> np.ndarray:
        """Depth (POINTS,) at which the sheet, once seen from outside, ends; NaN where it does not."""
        depths = np.arange(0.25, max(4.0, self.far * RIM), 0.5)
        sheet = _looked_up(near, self.at(np.broadcast_to(depths, (POINTS, len(depths)))))
        run = np.cumsum(sheet, axis=1, dtype=np.int16)
        seen = np.zeros_like(sheet)
        seen[:, 4:] = (run[:, 4:] - run[:, :-4] >= 4).cumsum(axis=1) > 0
        ahead = np.full_like(run, 6)
        ahead[:, :-6] = run[:, 6:] - run[:, :-6]
        end = seen & ~sheet & (ahead <= 1)
        return np.where(end.any(axis=1), depths[end.argmax(axis=1)] - 0.25, np.nan)

    def sharpened(self, sheet: Sheet, edges: np.ndarray) -> np.ndarray:
        """Where between sheet and thing the levels are halfway; NaN where they hardly differ."""
        at = np.where(np.isfinite(edges), edges, 0.0)[:, None] + _ABOUT
        return np.where(np.isfinite(edges), edges + _halfway(sheet, self.at(at)), np.nan)


_ABOUT = np.arange(-4.0, 6.01, 0.5)  # pixels about an edge, from outside inwards


def _halfway(sheet: Sheet, points: np.ndarray) -> np.ndarray:
    """Which of ``_ABOUT`` (n,) is halfway between sheet and thing, along points (n, len, 2); or NaN."""
    x, y = (points[..., i].astype(np.float32) - 0.5 for i in range(2))
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


def _crossing(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:  # fmt: skip
    """Where two lines, each a point and a direction, meet."""
    (p, u), (q, v) = one, other
    factor = np.linalg.solve(np.stack([u, -v], axis=1), q - p)[0]
    return p + factor * u


def _guess(outline: np.ndarray) -> np.ndarray:
    corners = quads.ordered(cv2.boxPoints(cv2.minAreaRect(cv2.convexHull(outline))) + 0.5)
    return quads.grown(corners, 0.5)


def about(sheet: Sheet, outline: np.ndarray) -> Fit | None:
    """Straight sides about a thing, of which ``outline`` (n, 1, 2) is the contour; None: too small."""
    corners = _guess(outline)
    if min(quads.sides(corners)) < 8:
        return None
    own = cv2.drawContours(np.zeros_like(sheet.things), [outline], -1, 1, cv2.FILLED)
    found = _fit(sheet, corners, lambda side: side.edges(own, out=3.0), own)
    if found is None or found.support.min() >= STEADY or found.support.mean() < HOPE:
        return found
    # Writing beside it may have turned the guess.
    again = _fit(sheet, _rectangle(found), lambda side: side.edges(own, out=3.0), own)
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
    near = sheet.near
    return _fit(sheet, quads.box(width, height), lambda side: side.ends(near), None)


def _fit(
    sheet: Sheet, corners: np.ndarray, edges: Callable[[_Side], np.ndarray], own: np.ndarray | None
) -> Fit | None:
    """Sides near those between ``corners``, on the edges found at points of each.

    ``own`` (h, w): the thing alone; None: a rim, whose sides may lie at the picture's edge.
    """
    height, width = sheet.away.shape
    slack = max(1.0, SLACK * max(height, width))
    wide, high = quads.sides(corners)
    sides = [
        _Side(corners[i], corners[(i + 1) % 4], high if i % 2 == 0 else wide) for i in range(4)
    ]
    borders = [_at_border(side, width, height) for side in sides]
    found: list[_Line | None] = [None] * 4
    for i, (side, border) in enumerate(zip(sides, borders, strict=True)):
        if border is None or own is None:
            found[i] = _edge_line(sheet, side, edges(side), slack)
        line = found[i]
        if border and (line is None or line.support < ENDS):
            found[i] = None
    turn = _common_turn(sides, found)
    for i, line in enumerate(found):
        if line is not None and abs(line.turn(sides[i]) - turn) > ASKEW:  # writing, or a corner
            found[i] = _edge_line(sheet, sides[i], edges(sides[i]), slack, math.tan(turn))
    support, free, lines = np.zeros(4), np.ones(4, bool), []
    for i, line in enumerate(found):
        border, side = borders[i], sides[i]
        free[i] = line is not None or border is None
        support[i] = line.support if line else float(border is not None)
        lines.append((line.first, line.way) if line else border or (side.first, side.unit))
    try:
        fitted = np.array([_crossing(lines[i - 1], lines[i]) for i in range(4)])
    except np.linalg.LinAlgError:
        return None
    if not (np.isfinite(fitted).all() and cv2.isContourConvex(fitted.astype(np.float32))):
        return None
    beyond = 0.03 * max(height, width)
    if fitted.min() < -beyond or (fitted - (width, height)).max() > beyond:
        return None
    shape = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(shape, np.rint(fitted - 0.5).astype(np.int32), 1)
    stands = own > 0 if own is not None else ~sheet.near
    filled = float((stands & (shape > 0)).sum() / max(1, int(shape.sum())))
    return Fit(
        corners=fitted,
        support=support,
        free=free,
        filled=filled,
        tone=sheet.tone,
        close=sheet.close,
    )


@dataclass(frozen=True, eq=False)
class _Line:
    """A side found: a point and a direction, and the share of the points that lie on it."""

    first: np.ndarray
    way: np.ndarray
    support: float

    def turn(self, side: _Side) -> float:
        """Radians, clockwise, from the guessed side."""
        return math.atan2(float(self.way @ side.inwards), float(self.way @ side.unit))


def _common_turn(sides: list[_Side], found: list[_Line | None]) -> float:
    """Radians by which most of the sides found are turned from the guess, by length and support."""
    told = sorted(
        (line.turn(side), line.support * side.length)
        for side, line in zip(sides, found, strict=True) if line is not None
    )  # fmt: skip
    half, below = sum(weight for _, weight in told) / 2, 0.0
    for turn, weight in told:
        below += weight
        if below >= half:
            return turn
    return 0.0


def _at_border(side: _Side, width: int, height: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The picture's own edge where a side lies on it; else None."""
    edge = side.at(np.zeros((POINTS, 1)))[:, 0]
    room = np.minimum(edge, (width, height) - edge).min(axis=1)
    if np.median(room) > 1.5:
        return None
    return _border(np.median(edge, axis=0), side.inwards, width, height)


def _edge_line(
    sheet: Sheet, side: _Side, edges: np.ndarray, slack: float, lean: float | None = None
) -> _Line | None:
    """The line that edges (POINTS,) lie on; of the slope ``lean``, or nearly, where it is given."""
    start, slope, held = _line(side.along, edges, slack + 0.5, lean)
    if not np.isfinite(start) or held.sum() < LEAST:
        return None
    near = np.where(held, start + slope * side.along, np.nan)
    fine = side.sharpened(sheet, near)
    if np.isfinite(fine).sum() >= LEAST:
        finer = _line(side.along, fine, slack, lean)
        start, slope, held = finer if np.isfinite(finer[0]) else (start, slope, held)
    first = side.first + start * side.inwards
    way = side.unit + slope * side.inwards
    return _Line(first, way / np.linalg.norm(way), float(held.mean()))


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
    depth = _halfway(sheet, edge[:, None] - _ABOUT[:, None] * outwards[:, None])
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
    if not (upright and 1.12 < max(wide / high, high / wide) < 1.8):
        return None
    return np.array([x, y]), np.array([wide, high]) / 2


def _border(at: np.ndarray, inwards: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The picture's own edge that faces so, as a point and a direction."""
    if abs(inwards[1]) > abs(inwards[0]):
        y = 0.0 if inwards[1] > 0 else float(height)
        return np.array([at[0], y]), np.array([np.sign(inwards[1]), 0.0])
    x = 0.0 if inwards[0] > 0 else float(width)
    return np.array([x, at[1]]), np.array([0.0, -np.sign(inwards[0])])
