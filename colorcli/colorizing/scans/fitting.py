"""Four straight sides about a thing that lies on a sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.background import Sheet
from colorcli.colorizing.scans.edges.even_rims import evened
from colorcli.colorizing.scans.edges.sides import ABOUT, ASKEW, POINTS, STEADY, Line, Sides, halfway

SLACK = 0.006  # of the longer side: how far an edge may stray from its line, and a pixel at least
HOPE = 0.5  # mean support of a guess worth another
ENDS = 0.5  # support below which a rim is taken to have no such side


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
    sheet: Sheet, sides: Sides, own: np.ndarray | None, borders: Sequence[object]
) -> list[Line | None]:
    """The lines of four sides that edges tell; None where there are none, or the picture ends."""
    slack = max(1.0, SLACK * max(sheet.away.shape))
    which = [i for i in range(4) if borders[i] is None or own is None]
    near = sheet.near
    edges = [sides.ends(near, i) if own is None else sides.edges(own, i, 3.0) for i in which]
    found: list[Line | None] = [None] * 4
    for i, line in zip(which, sides.lines(sheet, which, edges, slack), strict=True):
        found[i] = None if borders[i] and line and line.support < ENDS else line
    turn = _common_turn(sides, found)
    if own is None:
        evened(sheet, sides, found, turn)
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
    sides = Sides(corners)
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


def _common_turn(sides: Sides, found: list[Line | None]) -> float:
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
    points = edge[:, None] - ABOUT[:, None] * outwards[:, None]
    depth = halfway(sheet, np.moveaxis(points, 2, 0))
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
    if corners.min() < -2 or (corners - (width, height)).max() > 2:
        return None  # waves on a shore, above and below
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
