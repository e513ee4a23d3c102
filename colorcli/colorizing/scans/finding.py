"""Photographs found in a scan: on what they lie, what stands out there, and whether it is a photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from colorcli.colorizing.scans import quads, touching
from colorcli.colorizing.scans.background import Sheet, outlined, rims, sheets
from colorcli.colorizing.scans.fitting import Fit, about, oval, within
from colorcli.colorizing.scans.quads import Region

LONG = 512  # pixels of the longer side of the copy that a picture is searched on
CLOSER = 320  # and of that on which one photograph of several is looked at
SMALLEST = 0.045  # shorter side of a photograph among several, by the page's longer side…
ALONE = 0.2  # …and of one alone
SLIMMEST = 5.0  # longer side by the shorter one
MOST = 64  # photographs on one page
DEEPEST = 4  # rims inside of rims
SLIVER = 2.6  # longer side by the shorter one of what is left beside a photograph
FILLED = 0.7  # share of a photograph that stands out from the sheet
CLUSTER = 0.03  # of a page: a thing so large may be prints that touch
APART = 0.05  # overlap of photographs that are two
INSETS = (0.0, 0.02, 0.05)  # of a book's longer side that its edges may take…
CUT = 0.5  # …and what one counts less that they cut
# Of a page that is paper, and that is photographs; of what stands out on it, that is neither.
PAPER, COVERED, REST = 0.33, 0.12, 0.5
CLEAR = 0.8  # mean support of what lies on it
EDGE = 0.025  # of a print's longer side that its scalloped edge may take
TILED, SURE = (
    0.72,
    0.9,
)  # of an area that parts cover as panes do; support of a rim about all of them
SQUARE = 7.0  # degrees by which a corner may differ from a right angle
# Of a side's points that must lie on a straight edge: mean and least of all sides, of two that lie
# opposite each other with the picture's edge between them, of two that meet.
AROUND, ACROSS, MEETING = (0.62, 0.4), (0.8, 0.7), (0.9, 0.85)


@dataclass(frozen=True, eq=False)
class _View:
    """A gray copy (h, w) uint8 of a part of a picture, and the map (3, 3) back to the picture."""

    gray: np.ndarray
    back: np.ndarray

    @property
    def longer(self) -> int:
        return max(self.gray.shape)


def _view(base: np.ndarray, corners: np.ndarray, long: int) -> _View:
    width, height = quads.sides(corners)
    share = min(1.0, long / max(width, height))
    size = max(16, round(width * share)), max(16, round(height * share))
    gray = quads.straightened(base, corners, size)
    return _View(gray, quads.homography(quads.box(*size), corners))


def _right_angled(corners: np.ndarray) -> bool:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners.tolist()
    ways = (bx - ax, by - ay), (cx - bx, cy - by), (dx - cx, dy - cy), (ax - dx, ay - dy)
    limit = math.sin(math.radians(SQUARE))
    return all(
        abs(x * u + y * v) < limit * math.hypot(x, y) * math.hypot(u, v)
        for (x, y), (u, v) in zip(ways, (*ways[1:], ways[0]), strict=True)
    )


def _large(corners: np.ndarray, longer: float, alone: bool) -> bool:
    short, long = sorted(quads.sides(corners))
    return short >= (ALONE if alone else SMALLEST) * longer and long <= SLIMMEST * short


def _straight(found: Fit) -> bool:
    """Whether enough of its sides are straight edges, for where they lie."""
    told = found.support[found.free]
    if len(told) >= 3:
        mean, least = AROUND
    elif len(told) == 2:
        mean, least = ACROSS if found.free[0] == found.free[2] else MEETING
    else:
        return False
    return bool(told.mean() >= mean and told.min() >= least)


def _promising(outline: np.ndarray, longer: float) -> bool:
    """Whether a thing may have the size and shape of a photograph; costs little."""
    if cv2.contourArea(outline) < (0.8 * SMALLEST * longer) ** 2:
        return False
    _, sizes, _ = cv2.minAreaRect(outline)
    short, long = sorted(sizes)
    return bool(
        short > 0.8 * SMALLEST * longer and long < 1.3 * SLIMMEST * short
        and cv2.contourArea(outline) > 0.4 * short * long
    )  # fmt: skip


def _photograph(sheet: Sheet, outline: np.ndarray) -> Fit | None:
    """A thing's four straight sides; None where it has none, or not those of a photograph."""
    longer = max(sheet.away.shape)
    if not _promising(outline, longer):
        return None
    one = about(sheet, outline)
    good = (
        one is not None and _large(one.corners, longer, False) and _right_angled(one.corners)
        and one.filled > FILLED and _straight(one)
    )  # fmt: skip
    return one if good else None


def _fits(sheet: Sheet, things: np.ndarray | None = None, together: bool = False) -> list[Fit]:
    """What lies on a sheet and has four straight sides, or is an oval under a mat.

    ``together``: prints that touch are told apart by their rims.
    """
    things = sheet.things if things is None else things
    outlines, _ = cv2.findContours(things, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    least = (0.8 * SMALLEST * max(things.shape)) ** 2
    outlines = sorted(outlines, key=cv2.contourArea, reverse=True)[: 2 * MOST]
    outlines = [o for o in outlines if cv2.contourArea(o) >= least]
    if outlines and (one := oval(sheet, outlines[0])):
        return [one]
    found = []
    for outline in outlines:
        one = _photograph(sheet, outline)
        if one is not None:
            found.append(one)
        elif together and cv2.contourArea(outline) > CLUSTER * things.size:
            inner = rims(sheet, outline)
            parts = _fits(inner) if inner else []
            found += [part for part in parts if part.support.mean() > CLEAR]
    return found


def _rim(sheet: Sheet) -> list[Fit]:
    """The one photograph inside of a rim."""
    found, longer = within(sheet), max(sheet.away.shape)
    if found is None or not (_large(found.corners, longer, True) and _right_angled(found.corners)):
        return []
    return [found] if found.filled > 0.5 and _straight(found) else []


def _look(view: _View, several: bool = True) -> list[Fit]:
    """Photographs, or what holds them, in a view: at most one, or tiles of it, unless ``several``."""
    for sheet in sheets(view.gray, folds=several):
        found = _fits(sheet)
        if len(found) > 1 and _left(sheet, found) > REST:
            found = found[:1]  # things in a photograph
        tiled = sum(quads.area(one.corners) for one in found) / view.gray.size
        rim: list[Fit] | None = None
        if len(found) > 1 and (several or tiled > TILED):
            rim = _rim(sheet)
            whole = rim and rim[0].support.min() >= SURE
            if not (whole and tiled * view.gray.size > TILED * quads.area(rim[0].corners)):
                return (_several(sheet) if several else found)[:MOST]
        if len(found) == 1 and several and rim is None and (more := _clear(sheet)[1]):
            return more[:MOST]
        alone = [one for one in found if _large(one.corners, view.longer, True)][:1]
        if several and alone and rim is None:
            return alone
        if found := (_rim(sheet) if rim is None else rim) or alone:
            return found
    return []


def _look_on(view: _View) -> list[Fit]:
    """Several photographs on a thing whose own edges may be uneven: a book's, with the pages below."""
    best: tuple[float, list[Fit]] = 0.0, []
    for inset in INSETS:
        wide = round(inset * view.longer)
        for sheet in sheets(view.gray, wide, folds=True):
            good, found = _clear(sheet)
            good -= CUT * sum(_cut(one, view.gray.shape, wide) for one in found)
            if good > best[0]:
                best = good, found
    return best[1][:MOST]


def _cut(fit: Fit, shape: tuple[int, ...], inset: int) -> bool:
    """Whether a side lies where an ``inset`` of a picture of that shape ends."""
    ends = fit.corners.min(axis=0), shape[::-1] - fit.corners.max(axis=0)
    return inset > 0 and bool(np.abs(np.concatenate(ends) - inset).min() < 2)


def _look_in(view: _View) -> list[Fit]:
    """The photograph inside of a print's rim whose own edge is uneven: scalloped, or under tape."""
    for sheet in sheets(view.gray, round(EDGE * view.longer)):
        if found := _rim(sheet):
            return found
    return []


def _clear(sheet: Sheet) -> tuple[float, list[Fit]]:
    """What lies on a page, where it is one: mostly paper, with little on it but photographs.

    With it, how good the find is: their number, less what is left over.
    """
    if min(sheet.near.mean(), sheet.share) < PAPER or not sheet.things.any():
        return 0.0, []
    first = _fits(sheet, together=True)
    if not any(one.support.mean() > CLEAR for one in first):
        return 0.0, []  # before more is tried
    found = [one for one in _several(sheet, first) if one.support.mean() > CLEAR]
    areas = np.array([quads.area(one.corners) for one in found])
    if len(found) < 2 or areas.sum() < COVERED * sheet.gray.size or areas.std() > areas.mean():
        return 0.0, []
    left = _left(sheet, found)
    return (len(found) - left, found) if left < REST else (0.0, [])


def _left(sheet: Sheet, found: list[Fit]) -> float:
    """Share of what stands out from a sheet that lies in none of the photographs found on it."""
    rest = sheet.things.copy()
    for one in found:
        cv2.fillConvexPoly(rest, np.rint(quads.grown(one.corners, 3)).astype(np.int32), 0)
    return float(rest.sum() / max(1, int(sheet.things.sum())))


def _several(sheet: Sheet, first: list[Fit] | None = None) -> list[Fit]:
    """What lies on a page, also where shadows join it. ``first``: what stands out, where known."""
    found = list(_fits(sheet, together=True) if first is None else first)
    things = outlined(sheet)
    for one in found:  # what is known need not be found again
        cv2.fillConvexPoly(things, np.rint(quads.grown(one.corners, 2)).astype(np.int32), 0)
    for one in _fits(sheet, things, together=True):
        if all(quads.overlap(one.corners, other.corners) < APART for other in found):
            found.append(one)
    return found


def _settled(base: np.ndarray, fit: Fit, depth: int, several: bool) -> list[Region]:
    """A thing found, looked at from nearer: without its rim, or the several that it holds."""
    if fit.oval or depth >= DEEPEST:
        return [Region(fit.corners, fit.oval)]
    inset = 1.2 * max(quads.sides(fit.corners)) / LONG
    view = _view(base, quads.grown(fit.corners, -inset), LONG if several else CLOSER)
    inner = (_look_on(view) if several else []) or _look(view, several)
    if not inner and not several and not fit.rim:
        inner = _look_in(view)
    if inner:
        more = several and len(inner) == 1
        return [r for one in inner for r in _settled(base, _placed(one, view), depth + 1, more)]
    return _apart(base, fit, several)


def _apart(base: np.ndarray, fit: Fit, alone: bool) -> list[Region]:
    """A thing without a rim, or the photographs of which it is made where they touch."""
    short, long = sorted(quads.sides(fit.corners))
    if long < touching.USUAL * short and (alone or fit.rim):  # one in a rim, with a horizon
        return [Region(fit.corners)]
    view = _view(base, fit.corners, round(min(LONG, touching.SIDE * long / short)))
    off = np.abs(view.gray.astype(np.float32) - fit.tone)
    found = touching.parts(view.gray, off > 2 * fit.close)
    # A sliver is the edge of a page beside a print.
    found = [c for c in found if max(quads.sides(c)) < SLIVER * min(quads.sides(c))]
    if not found or (len(found) == 1 and quads.area(found[0]) > 0.9 * view.gray.size):
        return [Region(fit.corners)]
    return [Region(quads.moved(corners, view.back)) for corners in found]


def _placed(fit: Fit, view: _View) -> Fit:
    return replace(fit, corners=quads.moved(fit.corners, view.back))


def found_on(base: np.ndarray) -> list[Region]:
    """Photographs on ``base`` (h, w) uint8; none: it is one."""
    height, width = base.shape
    view = _view(base, quads.box(width, height), LONG)
    first = _look(view)
    return [r for one in first for r in _settled(base, _placed(one, view), 1, len(first) == 1)]


def read_through(regions: list[Region]) -> list[Region]:
    """Photographs in the order that a page is read: rows from above, each from the left."""
    waiting = sorted(regions, key=lambda region: float(region.corners[:, 1].mean()))
    ordered: list[Region] = []
    while waiting:
        low, high = waiting[0].corners[:, 1].min(), waiting[0].corners[:, 1].max()
        row = [r for r in waiting if low <= r.corners[:, 1].mean() <= high]
        ordered += sorted(row, key=lambda region: float(region.corners[:, 0].mean()))
        waiting = [r for r in waiting if not low <= r.corners[:, 1].mean() <= high]
    return ordered


def find(gray: np.ndarray, size: tuple[int, int] | None = None) -> tuple[Region, ...]:
    """Photographs in gray (h, w) uint8 or uint16, in reading order; none where it is one itself.

    Corners are in pixels of the picture of ``size`` (width, height) that ``gray`` is a copy of,
    whose pixels need not be square.
    """
    height, width = gray.shape
    wide, high = size or (width, height)
    share = min(1.0, 1600 / max(wide, high))
    copy = max(1, round(wide * share)), max(1, round(high * share))
    base = gray if copy == (width, height) else cv2.resize(gray, copy, interpolation=cv2.INTER_AREA)
    if base.dtype == np.uint16:
        base = cv2.convertScaleAbs(base, alpha=1 / 257)
    back = quads.scaling(wide / copy[0], high / copy[1])
    return tuple(region.by(back) for region in read_through(found_on(base)))
