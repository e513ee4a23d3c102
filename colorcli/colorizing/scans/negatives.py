"""Black-and-white negatives: seen through, and turned into positives."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.color.lab import srgb_encoded, srgb_linear
from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.quads import Region

ENDS = (0.5, 99.5)  # percent of the pixels of a photograph that become black and white
PAPER = (0.004, 0.9)  # linear light of a positive's black and white
SPAN = 0.15  # density that is no photograph's range: a blank stays blank
SMALL = 256  # pixels of the longer side of the copy that is measured


def _densities(dtype: np.dtype) -> np.ndarray:
    """Density of each level of gray."""
    most = np.iinfo(dtype).max
    return -np.log10(np.maximum(srgb_linear(np.arange(most + 1) / most), 1e-4))


def _sample(gray: np.ndarray, regions: tuple[Region, ...]) -> np.ndarray:
    """Pixels of the photographs in gray (H, W), of a small copy; all where there are none."""
    height, width = gray.shape
    share = min(1.0, SMALL / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    mask = np.zeros(small.shape, np.uint8)
    map = quads.scaling(size[0] / width, size[1] / height)
    for region in regions:
        corners = quads.grown(quads.moved(region.corners, map), -1)
        cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 1)
    inside = small[mask > 0]
    return inside if inside.size > 64 else small.ravel()


@dataclass(frozen=True)
class Positive:
    """Turns a negative into a positive: densities ``low``…``high`` of it are black…white.

    The light that a negative lets through is 10 to the minus its density, and its density follows
    the light of the scene.
    """

    low: float
    high: float

    def __call__(self, gray: np.ndarray) -> np.ndarray:
        """The positive of gray (H, W) uint8 or uint16, of the same dtype."""
        middle, half = (self.low + self.high) / 2, max(self.high - self.low, SPAN) / 2
        share = np.clip((_densities(gray.dtype) - middle + half) / (2 * half), 0, 1)
        dark, bright = np.log10(PAPER)
        light = 10 ** (dark + (bright - dark) * share)
        table = np.rint(srgb_encoded(light) * np.iinfo(gray.dtype).max).astype(gray.dtype)
        return cv2.LUT(gray, table) if gray.dtype == np.uint8 else np.take(table, gray)


def positive(gray: np.ndarray, regions: tuple[Region, ...] = ()) -> Positive:
    """How a negative (H, W) uint8 or uint16 becomes a positive, by the range of its photographs."""
    densities = _densities(gray.dtype)[_sample(gray, regions)]
    low, high = np.percentile(densities, ENDS)
    return Positive(float(low), float(high))
