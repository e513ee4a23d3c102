"""A picture of what was seen of a picture: the photographs found, which way up, the squares shown."""

from __future__ import annotations

import cv2
import numpy as np

from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.windows import View, Window

SIDE = 1024  # pixels of the longer side
FRAME, SQUARE, UP = (255, 64, 32), (40, 150, 255), (255, 210, 0)  # red, blue, yellow, in sRGB
SHADE = 0.55  # light left of what is no photograph


def _lines(sheet: np.ndarray, points: np.ndarray, ink: tuple[int, int, int], wide: int) -> None:
    fixed = np.rint(points * 16).astype(np.int32)
    cv2.polylines(
        sheet, [fixed], isClosed=True, color=ink, thickness=wide, lineType=cv2.LINE_AA, shift=4
    )


def _arrow(sheet: np.ndarray, corners: np.ndarray, wide: int) -> None:
    """From the middle of a shape towards its upper side, as the network sees it."""
    middle, up = corners.mean(axis=0), corners[:2].mean(axis=0)
    tip = middle + (up - middle) * 0.5
    ends = [(int(x), int(y)) for x, y in (middle, tip)]
    cv2.arrowedLine(sheet, ends[0], ends[1], UP, wide, line_type=cv2.LINE_AA, tipLength=0.3)


def explained(view: View) -> np.ndarray:
    """sRGB (h, w, 3) uint8: what is no photograph is dark, frames are red, squares blue, up yellow."""
    width, height = view.size
    share = min(1.0, SIDE / max(width, height))
    size = max(1, round(width * share)), max(1, round(height * share))
    how = cv2.INTER_AREA if size[0] < view.base.shape[1] else cv2.INTER_LINEAR
    gray = cv2.resize(view.base, size, interpolation=how)
    if gray.dtype == np.uint16:
        gray = cv2.convertScaleAbs(gray, alpha=1 / 257)
    map = quads.scaling(size[0] / width, size[1] / height)
    wide = max(1, round(max(size) / 400))
    light = np.full(gray.shape, SHADE if view.regions else 1.0, np.float32)
    frames = [quads.moved(region.corners, map) for region in view.regions]
    for region, corners in zip(view.regions, frames, strict=True):
        if region.oval:
            wide_, high = quads.sides(corners)
            x, y = corners.mean(axis=0)
            cv2.ellipse(light, ((x, y), (wide_, high), region.angle), 1.0, cv2.FILLED)
        else:
            cv2.fillConvexPoly(light, np.rint(corners).astype(np.int32), 1.0)
    sheet = cv2.cvtColor((gray * light).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    for windows in view.windows:
        for window in windows[1:]:
            _lines(sheet, _drawn(window, map), SQUARE, wide)
    for number, corners in enumerate(frames, 1):
        _lines(sheet, corners, FRAME, 2 * wide)
        at = int(corners[0, 0]) + 6 * wide, int(corners[0, 1]) + 14 * wide
        cv2.putText(
            sheet, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * wide,
            color=FRAME, thickness=wide,
        )  # fmt: skip
    for windows in view.windows:
        _arrow(sheet, _drawn(windows[0], map, 0), wide)
    return sheet


def _drawn(window: Window, map: np.ndarray, inset: float = 2.0) -> np.ndarray:
    """A window's corners on the sheet, a little inside, so that neighbours' lines stay apart."""
    return quads.grown(quads.moved(window.corners, map), -inset)
