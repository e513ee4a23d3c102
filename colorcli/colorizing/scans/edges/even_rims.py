"""A rim's sides by each other: where a photograph is as light as its rim, the other sides tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.colorizing.scans.background import Sheet
from colorcli.colorizing.scans.edges.sides import RIM, STEADY, Line, Sides

EVEN = 0.25  # of its width, by which the sides of a rim may differ…
APART = 4.0  # …and pixels
PURE = 0.9  # share of a rim that is the sheet
CLEAR = 0.6  # share of a line across which a rim ends
_MIDDLE = slice(5, -5)  # of a side's points, clear of photo corners


def evened(sheet: Sheet, sides: Sides, found: list[Line | None], turn: float) -> None:
    """A rim is as wide at one side as at the others: sought there where bright sky hid its end."""
    half, slope = sides.length / 2, math.tan(turn)
    wide = np.full(4, np.nan)
    for i, line in enumerate(found):
        if line and line.support >= STEADY:
            off = line.first - sides.first[i]
            wide[i] = off @ sides.inwards[i] + math.tan(line.turn) * (half[i] - off @ sides.unit[i])
    usual = _usual(wide[np.isfinite(wide)])
    if usual is None:
        return
    for i in range(4):
        if abs(wide[i] - usual) <= max(APART, 2 * EVEN * usual):
            continue
        profile = _Profile.of(sheet, sides, i, slope, 4 * usual)
        depth = profile.near(usual)
        if depth is None and np.isnan(wide[i]):
            depth = profile.sharp()
        if depth is None:
            continue
        way = sides.unit[i] + slope * sides.inwards[i]
        first = sides.first[i] + (depth - slope * half[i]) * sides.inwards[i]
        found[i] = Line(first, way / math.hypot(*way), STEADY, turn)


def _usual(widths: np.ndarray) -> float | None:
    """The width that at least two sides of a rim share."""
    if len(widths) < 2:
        return None
    widths = np.sort(widths)
    gaps = np.diff(widths)
    at = int(np.argmin(gaps / np.maximum(widths[1:], 1.0)))
    if gaps[at] > max(APART, EVEN * widths[at]) or widths[at] < 3:
        return None
    return float(widths[at : at + 2].mean())


@dataclass(frozen=True, eq=False)
class _Profile:
    """What lies along lines of one slope, every half pixel ``depth`` (n,) inwards of a side's middle.

    ``rise`` (n,): levels by which they step there. ``pure`` (n,): share of a line that is
    the sheet. ``ends`` (n,): share of one across which the sheet ends.
    """

    depth: np.ndarray
    rise: np.ndarray
    pure: np.ndarray
    ends: np.ndarray
    least: float

    @classmethod
    def of(cls, sheet: Sheet, sides: Sides, side: int, slope: float, deepest: float) -> _Profile:
        half = sides.length[side] / 2
        depth = np.arange(0.5, min(deepest, RIM * sides.far[side]) + 3, 0.5)
        along = slope * (sides.along[side][None, :, None] - half)
        x, y = sides.at(np.array([side]), depth + along)[:, 0, _MIDDLE].astype(np.float32) - 0.5
        away = cv2.remap(sheet.away, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        near = away <= sheet.close
        # The levels themselves: the sheet's surface may follow a sky that lies beside it.
        gray = cv2.remap(sheet.gray, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mean = gray.mean(axis=0)
        rise, ends = np.zeros(len(depth)), np.zeros(len(depth))
        rise[3:-3] = mean[5:-1] + mean[6:] - mean[:-6] - mean[1:-5]
        rise = np.abs(rise) / 2
        ends[5:-4] = (near[:, :-9] & near[:, 2:-7] & ~near[:, 7:-2] & ~near[:, 9:]).mean(axis=0)
        least = max(1.0, sheet.sigma / 2)
        return cls(depth=depth, rise=rise, pure=near.mean(axis=0), ends=ends, least=least)

    def near(self, usual: float) -> float | None:
        """The depth about ``usual`` at which the levels rise, all sheet before it; None: nowhere."""
        reach = max(2.0, 2 * EVEN * usual)
        rise = np.where(np.abs(self.depth - usual) <= reach, self.rise, -np.inf)
        at = int(rise.argmax())
        before = self.pure[at // 2 : max(at - 2, at // 2 + 1)]
        if rise[at] < self.least or before.mean() < PURE:
            return None
        return float(self.depth[at])

    def sharp(self) -> float | None:
        """The depth at which most of a line is where the sheet ends."""
        at = int(self.ends.argmax())
        return float(self.depth[at]) if self.ends[at] >= CLEAR else None
