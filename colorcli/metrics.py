"""Figures that compare a coloured picture with the true one. All take sRGB (H, W, 3) uint8."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np


def psnr(truth: np.ndarray, image: np.ndarray) -> float:
    """Peak signal-to-noise ratio over RGB in dB, peak 255; infinite for equal pictures."""
    return float(cv2.PSNR(truth, image)) if not np.array_equal(truth, image) else float("inf")


def ssim(truth: np.ndarray, image: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004), Gaussian window σ 1.5, mean over channels."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            truth,
            image,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
    )


def _colorfulness(rg: np.ndarray, yb: np.ndarray) -> float:
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def _opponents(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r, g, b = np.moveaxis(image.astype(np.float64), -1, 0)
    return r - g, 0.5 * (r + g) - b


def colorfulness(image: np.ndarray) -> float:
    """Colorfulness M3 of Hasler and Süsstrunk (2003)."""
    return _colorfulness(*_opponents(image))


def colorfulness_abs(image: np.ndarray) -> float:
    """The colorization literature's variant: the same of |rg| and |yb|."""
    rg, yb = _opponents(image)
    return _colorfulness(np.abs(rg), np.abs(yb))


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "psnr": psnr,
    "ssim": ssim,
    "cf": lambda _, image: colorfulness(image),
    "cf_abs": lambda _, image: colorfulness_abs(image),
}
