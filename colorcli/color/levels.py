"""Integer samples in 8 and in 16 bits: one level of the former is 257 of the latter."""

from __future__ import annotations

import cv2
import numpy as np

STEP = 257  # 65535 / 255


def to_depth(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """uint8 or uint16 samples as the other, rounded."""
    if values.dtype == dtype:
        return values
    if dtype == np.uint16:
        return values * np.uint16(STEP)
    return cv2.convertScaleAbs(values, alpha=1 / STEP)
