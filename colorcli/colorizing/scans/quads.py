"""Four corners: the shape of everything that is found, and the maps between such shapes.

Points are (x, y) in pixels, (0, 0) the outer corner of the first pixel; a picture of width w and
height h reaches from (0, 0) to (w, h). Corners come from the upper left, clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np


def box(width: float, height: float) -> np.ndarray:
    """Corners (4, 2) of an upright picture at the origin."""
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The map (3, 3) that takes four corners to four others."""
    return cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))


def moved(points: np.ndarray, map: np.ndarray) -> np.ndarray:
    """Points (n, 2) by a map (3, 3)."""
    return cv2.perspectiveTransform(points[None].astype(np.float64), map.astype(np.float64))[0]


def scaling(x: float, y: float) -> np.ndarray:
    """The map (3, 3) that stretches by x and y."""
    return np.diag([x, y, 1.0])


_HALF = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
_BACK = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])


def centred(map: np.ndarray) -> np.ndarray:
    """A map between outer corners as one between pixels' centres, which OpenCV counts from."""
    return _BACK @ map @ _HALF


def ordered(points: np.ndarray) -> np.ndarray:
    """Corners (4, 2) of a convex shape, clockwise from the upper left."""
    middle = points.mean(axis=0)
    around = points[np.argsort(np.arctan2(*(points - middle).T[::-1]))]
    first = int(np.argmin(around.sum(axis=1)))
    return np.roll(around, -first, axis=0).astype(np.float64)


def sides(corners: np.ndarray) -> tuple[float, float]:
    """Mean width and height of a shape, along its own sides."""
    a, b, c, d = corners.tolist()
    return (math.dist(a, b) + math.dist(c, d)) / 2, (math.dist(b, c) + math.dist(d, a)) / 2


def area(corners: np.ndarray) -> float:
    """Square pixels inside."""
    return float(cv2.contourArea(corners.astype(np.float32)))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two convex shapes."""
    common, _ = cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))
    return float(common / max(area(one) + area(other) - common, 1e-9))


def grown(corners: np.ndarray, by: float) -> np.ndarray:
    """Corners moved outwards along both sides by so many pixels; inwards where negative."""
    width, height = (max(side, 1e-6) for side in sides(corners))
    unit = homography(box(width, height), corners)
    outer = box(width + 2 * by, height + 2 * by) - by
    return moved(outer, unit)


@dataclass(frozen=True, eq=False)
class Region:
    """A photograph in a picture. ``corners`` (4, 2) in pixels of the picture, from the photograph's
    own upper left, clockwise. ``oval``: only what lies in the ellipse between them is photograph.
    ``turned``: degrees (0, 90, 180, 270) by which it would be turned clockwise to stand upright.
    """

    corners: np.ndarray
    oval: bool = False
    turned: int = 0

    @property
    def angle(self) -> float:
        """Degrees, clockwise, by which its upper side is askew; −45…45."""
        x, y = self.corners[1] - self.corners[0]
        return (math.degrees(math.atan2(y, x)) + 45) % 90 - 45

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels of the picture."""
        return sides(self.corners)

    def by(self, map: np.ndarray) -> Region:
        """The same photograph in a picture that ``map`` (3, 3) takes this one to."""
        return Region(moved(self.corners, map), self.oval, self.turned)


def straightened(
    gray: np.ndarray, corners: np.ndarray, size: tuple[int, int], *, fill: int | None = None
) -> np.ndarray:
    """What of ``gray`` (H, W, …) lies between ``corners``, as (height, width) for ``size`` (w, h).

    Averaged where it shrinks; beyond the picture the nearest pixel, or ``fill``.
    """
    width, height = size
    finest = max(a / b for a, b in zip(sides(corners), size, strict=True))
    dense = min(8, max(1, math.ceil(finest / 1.4)))
    whole = (width * dense, height * dense)
    map = centred(homography(box(*whole), corners))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mode = cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
    wide = cv2.warpPerspective(
        gray, map, whole, flags=flags, borderMode=mode, borderValue=fill or 0
    )
    return cv2.resize(wide, size, interpolation=cv2.INTER_AREA) if dense > 1 else wide
