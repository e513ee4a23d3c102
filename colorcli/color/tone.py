"""Gray, one tone, or colour: what a picture is."""

from __future__ import annotations

import cv2
import numpy as np

from colorcli.color.lab import rgb_to_lab


def is_colour(rgb: np.ndarray, least: float = 3.0, spot: float = 15.0) -> bool:
    """Whether sRGB (H, W, 3) uint8 or uint16 holds more than grays of one tone.

    Sepia, a yellowed print and a scanner's tint are chroma that follows from L: what a parabola
    ab(L) explains does not count. Of the rest the mean must reach ``least``, or the 99th
    percentile ``spot``, both in ab units at 128 × 128 pixels.
    """
    small = cv2.resize(rgb, (128, 128), interpolation=cv2.INTER_AREA)
    lab = rgb_to_lab(small.astype(np.float32) / np.iinfo(rgb.dtype).max).reshape(-1, 3)
    lightness = lab[:, 0] / 100
    tones = np.stack([np.ones_like(lightness), lightness, lightness**2], axis=1)
    rest = lab[:, 1:] - tones @ np.linalg.lstsq(tones, lab[:, 1:], rcond=None)[0]
    chroma = np.hypot(rest[:, 0], rest[:, 1])
    return bool(chroma.mean() >= least or np.percentile(chroma, 99) >= spot)
