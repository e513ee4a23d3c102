"""Gray, of one tone, or in colour: what a picture is, one definition for all who ask.

It is judged small, where noise and the blocks of a JPEG average out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from colorcli.color.lab import picture_to_lab
from colorcli.color.limits import ONE_HUE, SPOT, Limits

Kind = Literal["gray", "toned", "colour"]

REDUCED = 64  # short side, at most, of the picture that is judged
LEVELS = 32  # of lightness, for the colour that each has on the whole


def reduced(rgb: np.ndarray) -> np.ndarray:
    """sRGB (H, W, 3) with a short side of about ``REDUCED`` pixels, averaged; never enlarged."""
    factor = -(-min(rgb.shape[:2]) // REDUCED)
    while factor > 1:
        # Whole factors have a fast way of area averaging, two the fastest.
        step = 2 if factor % 2 == 0 else factor
        height, width = (side // step for side in rgb.shape[:2])
        rgb = cv2.resize(
            rgb[: height * step, : width * step], (width, height), interpolation=cv2.INTER_AREA
        )
        factor //= step
    return rgb


@dataclass(frozen=True, eq=False)
class Colours:
    """What the colours of a picture come to; ``lab`` (H, W, 3) float32."""

    lab: np.ndarray

    @classmethod
    def of(cls, rgb: np.ndarray) -> Colours:
        """Those of sRGB (H, W, 3) uint8 or uint16 of any size."""
        return cls(picture_to_lab(np.ascontiguousarray(reduced(rgb))))

    @cached_property
    def chroma(self) -> float:
        """Mean √(a²+b²): how far from gray."""
        return float(cv2.magnitude(*cv2.split(self.lab)[1:]).mean(dtype=np.float64))

    @cached_property
    def mean(self) -> tuple[float, float]:
        """Mean (a, b)."""
        a, b = self.lab[..., 1:].mean((0, 1), dtype=np.float64)
        return float(a), float(b)

    @property
    def one_hue(self) -> bool:
        """Whether nearly every pixel has the same hue."""
        return float(np.hypot(*self.mean)) >= ONE_HUE * self.chroma

    @cached_property
    def spread(self) -> float:
        """Root mean square distance of colours to the mean colour of their lightness."""
        lightness, a, b = (plane.ravel() for plane in cv2.split(self.lab))
        level = np.clip((lightness * (LEVELS / 100)).astype(np.intp), 0, LEVELS - 1)
        pixels = np.maximum(np.bincount(level, minlength=LEVELS), 1)
        variance = 0.0
        for channel in (a, b):
            sums = np.bincount(level, channel, LEVELS)
            variance += (float(channel @ channel) - (sums * sums / pixels).sum()) / len(level)
        return max(0.0, variance) ** 0.5

    @property
    def spot(self) -> float:
        """How far the most coloured hundredth is from a tone: from what a parabola ab(L) explains."""
        lab = self.lab.reshape(-1, 3)
        lightness = lab[:, 0] / 100
        tones = np.stack([np.ones_like(lightness), lightness, lightness**2], axis=1)
        rest = lab[:, 1:] - tones @ np.linalg.lstsq(tones, lab[:, 1:], rcond=None)[0]
        return float(np.percentile(np.hypot(rest[:, 0], rest[:, 1]), 99))

    def kind(self, limits: Limits = Limits()) -> Kind:
        """Gray, toned (sepia, cyanotype, a yellowed print) or in colour, on the whole."""
        if self.chroma < limits.min_chroma:
            return "gray"
        return "toned" if self.spread < limits.min_spread and self.one_hue else "colour"


def is_colour(rgb: np.ndarray) -> bool:
    """Whether sRGB (H, W, 3) uint8 or uint16 is in colour, or has a spot of it to be lost."""
    found = Colours.of(rgb)
    return found.kind() == "colour" or found.spot >= SPOT
