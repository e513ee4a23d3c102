"""CIE Lab (D65, 2° observer) and sRGB: exact formulas for training, OpenCV for whole photographs.

Units everywhere: L in 0…100, a and b in about −110…110, sRGB in 0…1 as float or in full integer
range. The formulas take ``xp``: ``numpy`` or ``keras.ops``; both see the same code. Constants are
those of IEC 61966-2-1 and CIE 15 as scikit-image rounds them, so that figures agree with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

L_MAX = 100.0
AB_MAX = 110.0  # every sRGB colour has |a|, |b| below 108

WHITE = np.array([0.95047, 1.0, 1.08883])
XYZ_FROM_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
# Rows and columns scaled so that white is (1, 1, 1) on both sides.
F_FROM_RGB = XYZ_FROM_RGB / WHITE[:, None]
_RGB_FROM_F = np.linalg.inv(F_FROM_RGB)
_EPSILON, _KAPPA, _OFFSET = 0.008856, 7.787, 16.0 / 116.0

STRIP = 1 << 20  # pixels of one strip in whole-photograph work: bounds memory, fits caches


def _linear(srgb: Any, xp: Any) -> Any:
    # maximum() keeps the unused branch finite, so gradients through where() stay finite too.
    return xp.where(
        srgb > 0.04045, ((xp.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4, srgb / 12.92
    )


def _encoded(linear: Any, xp: Any) -> Any:
    powered = 1.055 * xp.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return xp.where(linear > 0.0031308, powered, linear * 12.92)


def _constant(matrix: np.ndarray, xp: Any, like: Any) -> Any:
    return matrix.T.astype(like.dtype if xp is np else "float32")


def rgb_to_lab(rgb: Any, xp: Any = np) -> Any:
    """sRGB (…, 3) in 0…1 to Lab (…, 3), same float dtype (integers are a ``TypeError``)."""
    if xp is np:
        rgb = np.asarray(rgb)
        if rgb.dtype.kind != "f":
            raise TypeError(f"rgb_to_lab takes floats in 0…1, not {rgb.dtype}")
    t = xp.matmul(_linear(rgb, xp), _constant(F_FROM_RGB, xp, rgb))
    f = xp.where(t > _EPSILON, xp.maximum(t, _EPSILON) ** (1 / 3), _KAPPA * t + _OFFSET)
    fx, fy, fz = f[..., 0], f[..., 1], f[..., 2]
    return xp.stack([116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)], axis=-1)


def lab_to_rgb(lab: Any, xp: Any = np) -> Any:
    """Lab (…, 3) to sRGB (…, 3) clipped to 0…1, same float dtype."""
    lab = np.asarray(lab) if xp is np else lab
    fy = (lab[..., 0] + 16.0) / 116.0
    f = xp.stack([fy + lab[..., 1] / 500.0, fy, fy - lab[..., 2] / 200.0], axis=-1)
    edge = 0.2068966  # where scikit-image, too, changes from the cube to the line
    t = xp.where(f > edge, f**3, (f - _OFFSET) / _KAPPA)
    rgb = _encoded(xp.matmul(t, _constant(_RGB_FROM_F, xp, lab)), xp)
    return xp.clip(rgb, 0.0, 1.0)


def lightness(gray: Any, xp: Any = np) -> Any:
    """L of neutral sRGB ``gray`` in 0…1: the first plane of ``rgb_to_lab`` where R = G = B."""
    y = _linear(gray, xp)
    f = xp.where(y > _EPSILON, xp.maximum(y, _EPSILON) ** (1 / 3), _KAPPA * y + _OFFSET)
    return 116.0 * f - 16.0


def in_gamut(lab: np.ndarray, tolerance: float = 1e-6) -> np.ndarray:
    """Boolean (…): whether a Lab colour (…, 3) has an sRGB triple in 0…1."""
    fy = (lab[..., 0] + 16.0) / 116.0
    f = np.stack([fy + lab[..., 1] / 500.0, fy, fy - lab[..., 2] / 200.0], axis=-1)
    linear = np.where(f > 0.2068966, f**3, (f - _OFFSET) / _KAPPA) @ _RGB_FROM_F.T
    return np.all((linear >= -tolerance) & (linear <= 1 + tolerance), axis=-1)


# --- whole photographs -------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _lightness_table(dtype: np.dtype) -> np.ndarray:
    levels = np.iinfo(dtype).max
    return lightness(np.arange(levels + 1) / levels).astype(np.float32)


@lru_cache(maxsize=2)
def _linear_table(dtype: np.dtype) -> np.ndarray:
    levels = np.iinfo(dtype).max
    return _linear(np.arange(levels + 1) / levels, np).astype(np.float32)


@lru_cache(maxsize=1)
def _encoded_table() -> np.ndarray:
    return np.rint(_encoded(np.arange(65536) / 65535, np) * 65535).astype(np.uint16)


def _look_up(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    return cv2.LUT(values, table) if values.dtype == np.uint8 else np.take(table, values)


def plane(gray: np.ndarray) -> np.ndarray:
    """Integer gray (H, W) uint8 or uint16 to L (H, W) float32, by table."""
    return _look_up(_lightness_table(gray.dtype), gray)


def strips(height: int, width: int) -> list[slice]:
    """Row slices that cover ``height`` with about ``STRIP`` pixels each."""
    rows = max(1, STRIP // max(1, width))
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def neutral(rgb: np.ndarray) -> np.ndarray:
    """The gray whose L is that of each colour: (H, W, 3) uint8 or uint16 to (H, W) uint16.

    16 bits hold L to within 0.02 of ``rgb_to_lab``.
    """
    out = np.empty(rgb.shape[:2], np.uint16)
    weights = XYZ_FROM_RGB[1:2].astype(np.float32)
    for rows in strips(*out.shape):
        linear = _look_up(_linear_table(rgb.dtype), rgb[rows])
        y = cv2.transform(linear, weights * 65535)
        out[rows] = np.take(_encoded_table(), np.rint(y).astype(np.uint16)).reshape(out[rows].shape)
    return out


def join(gray: np.ndarray, ab: np.ndarray, dtype: Any = None) -> np.ndarray:
    """The photograph's own lightness with predicted chroma: sRGB at full resolution.

    ``gray`` (H, W) uint8 or uint16; ``ab`` (h, w, 2) float32 of any size, stretched bicubically
    over the photograph; returns (H, W, 3) of ``dtype`` (that of ``gray`` by default). Only ab is
    interpolated. Peak memory beyond input and output is a few strips.
    """
    height, width = gray.shape
    dtype = np.dtype(gray.dtype if dtype is None else dtype)
    out = np.empty((height, width, 3), dtype)
    # Bicubic interpolation is separable: rows first, once; columns strip by strip.
    tall = cv2.resize(
        ab.astype(np.float32, copy=False), (ab.shape[1], height), interpolation=cv2.INTER_CUBIC
    )
    for rows in strips(height, width):
        wide = cv2.resize(
            tall[rows], (width, rows.stop - rows.start), interpolation=cv2.INTER_CUBIC
        )
        lab = cv2.merge([plane(gray[rows]), *cv2.split(wide)])
        rgb = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
        if dtype == np.uint8:
            cv2.convertScaleAbs(rgb, dst=out[rows], alpha=255)
        else:
            out[rows] = np.rint(np.clip(rgb, 0, 1) * np.iinfo(dtype).max)
    return out
