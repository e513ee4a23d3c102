"""CIE Lab (D65, 2° observer) and sRGB: exact formulas for training, OpenCV for whole photographs.

Units everywhere: L in 0…100, a and b in about −110…110, sRGB in 0…1 as float or in full integer
range. The formulas take ``xp``: ``numpy`` or ``keras.ops``; both see the same code. Constants are
those of IEC 61966-2-1 and CIE 15 as scikit-image rounds them, so that figures agree with it.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

L_MAX = 100.0
NEUTRAL = (1.0, 99.0)  # L up to which, and from which on, photographs are shown without chroma
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
_DARK, _KAPPA, _OFFSET = 0.008856, 7.787, 16.0 / 116.0  # of CIE's f: its line near black
_DARK_SRGB, _DARK_LINEAR, _SLOPE = 0.04045, 0.0031308, 12.92  # of sRGB's curve: its line

# Pixels of one strip in whole-photograph work: its planes fit the caches, and its products are too
# small for BLAS to wake its threads, which cost more than they give here.
STRIP = 1 << 16


# Each curve begins with a line. It is written as the curve of what is above the edge and the line of
# what is below: no branch, so that gradients stay finite, and neither select nor pow, which are slow
# in a graph.


def _power(base: Any, exponent: float, xp: Any) -> Any:
    return xp.exp(exponent * xp.log(base))


# In a graph these are no maximum and minimum: LiteRT's quantizer would give the values the range of
# the constant, and int8 exports would end at it.
def above(values: Any, least: float, xp: Any = np) -> Any:
    """The values, or ``least`` where they are below it."""
    return np.maximum(values, least) if xp is np else xp.relu(values - least) + least


def _below(values: Any, most: float, xp: Any) -> Any:
    return np.minimum(values, most) if xp is np else most - xp.relu(most - values)


def srgb_linear(srgb: Any, xp: Any = np) -> Any:
    """Encoded sRGB in 0…1 to linear light in 0…1 (IEC 61966-2-1)."""
    curve = _power((above(srgb, _DARK_SRGB, xp) + 0.055) / 1.055, 2.4, xp)
    return curve + (_below(srgb, _DARK_SRGB, xp) - _DARK_SRGB) / _SLOPE


def srgb_encoded(linear: Any, xp: Any = np) -> Any:
    """Linear light to encoded sRGB (IEC 61966-2-1); both in 0…1."""
    curve = 1.055 * _power(above(linear, _DARK_LINEAR, xp), 1 / 2.4, xp) - 0.055
    return curve + (_below(linear, _DARK_LINEAR, xp) - _DARK_LINEAR) * _SLOPE


def cie_f(t: Any, xp: Any = np) -> Any:
    """The f of CIE Lab, of X, Y or Z over that of white: a cube root, and a line near black."""
    return _power(above(t, _DARK, xp), 1 / 3, xp) + _KAPPA * (_below(t, _DARK, xp) - _DARK)


def _constant(matrix: np.ndarray, xp: Any, like: Any) -> Any:
    return matrix.T.astype(like.dtype if xp is np else "float32")


def linear_to_f(linear: Any, xp: Any = np) -> Any:
    """``cie_f`` (…, 3) of X, Y and Z of linear sRGB (…, 3) in 0…1; Lab is linear in it."""
    return cie_f(xp.matmul(linear, _constant(F_FROM_RGB, xp, linear)), xp)


def f_to_L(fy: Any) -> Any:
    """L of ``cie_f`` of Y."""
    return 116.0 * fy - 16.0


def f_to_ab(f: Any, xp: Any = np) -> Any:
    """ab (…, 2) of ``cie_f`` (…, 3) of X, Y and Z."""
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return xp.stack([500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def rgb_to_lab(rgb: Any, xp: Any = np) -> Any:
    """sRGB (…, 3) in 0…1 to Lab (…, 3), same float dtype (integers are a ``TypeError``)."""
    if xp is np:
        rgb = np.asarray(rgb)
        if rgb.dtype.kind != "f":
            raise TypeError(f"rgb_to_lab takes floats in 0…1, not {rgb.dtype}")
    f = linear_to_f(srgb_linear(rgb, xp), xp)
    return xp.concatenate([f_to_L(f[..., 1:2]), f_to_ab(f, xp)], axis=-1)


def _t(f: Any, xp: Any = np) -> Any:
    """Back from ``cie_f``."""
    edge = 0.2068966  # where scikit-image, too, changes from the cube to the line
    return xp.where(f > edge, f * f * f, (f - _OFFSET) * (1 / _KAPPA))


def _linear(light: Any, a: Any, b: Any, xp: Any) -> tuple[list[Any], Any]:
    """Linear red, green and blue, beyond 0…1 where sRGB has no such colour, and Y; plane by plane."""
    fy = (light + 16.0) * (1 / 116.0)
    x, y, z = _t(fy + a * 0.002, xp), _t(fy, xp), _t(fy - b * 0.005, xp)
    rows = _RGB_FROM_F.tolist()  # Python's numbers leave the planes their dtype
    return [p * x + q * y + r * z for p, q, r in rows], y


def share_shown(up: Any, down: Any, upper: Any, lower: Any, xp: Any = np) -> Any:
    """The share, 0…1, of a chroma that can be shown: what is left when it is drawn towards gray.

    The chroma moves one channel ``up`` from the gray of its lightness and another ``down``; there
    is room for ``upper`` and ``lower``, both over 0. All in one unit.
    """
    return 1.0 / above(xp.maximum(up / upper, down / lower), 1.0, xp)


def _shown(light: Any, a: Any, b: Any, xp: Any) -> list[Any]:
    """Linear red, green and blue in 0…1 of the same Y: the rule of ``lab_to_shown``."""
    channels, y = _linear(light, a, b, xp)
    red, green, blue = channels
    most = xp.maximum(xp.maximum(red, green), blue)
    least = xp.minimum(xp.minimum(red, green), blue)
    room = above(1.0 - y, 1e-3, xp), above(y, 1e-4, xp)
    low, high = NEUTRAL
    coloured = xp.abs(light - (low + high) / 2) < (high - low) / 2
    share = xp.where(coloured, share_shown(most - y, y - least, *room, xp), 0.0)
    return [xp.clip(y + (channel - y) * share, 0.0, 1.0) for channel in channels]


def lab_to_rgb(lab: Any, xp: Any = np) -> Any:
    """Lab (…, 3) to sRGB (…, 3), its channels clipped to 0…1, same float dtype."""
    lab = np.asarray(lab) if xp is np else lab
    channels, _ = _linear(lab[..., 0], lab[..., 1], lab[..., 2], xp)
    return xp.clip(srgb_encoded(xp.stack(channels, axis=-1), xp), 0.0, 1.0)


def lab_to_shown(lab: Any, xp: Any = np) -> Any:
    """Lab (…, 3) to sRGB (…, 3) in 0…1 that keeps L whatever ab is, same float dtype.

    Where sRGB has no such colour, chroma is drawn towards gray until it has: in linear light, where
    the gray of the same Y lies straight across the cube and the way to its wall is a division. At
    L ≤ 1 and ≥ 99 the result is neutral.
    """
    lab = np.asarray(lab) if xp is np else lab
    channels = _shown(lab[..., 0], lab[..., 1], lab[..., 2], xp)
    return xp.clip(srgb_encoded(xp.stack(channels, axis=-1), xp), 0.0, 1.0)


def lightness(gray: Any, xp: Any = np) -> Any:
    """L of neutral sRGB ``gray`` in 0…1: the first plane of ``rgb_to_lab`` where R = G = B."""
    return luminance_to_L(srgb_linear(gray, xp), xp)


def luminance_to_L(y: Any, xp: Any = np) -> Any:
    """L of linear Y in 0…1."""
    return f_to_L(cie_f(y, xp))


def L_to_luminance(light: Any, xp: Any = np) -> Any:
    """Linear Y in 0…1 of L."""
    return _t((light + 16.0) * (1 / 116.0), xp)


# --- whole photographs -------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _lightness_table(dtype: np.dtype) -> np.ndarray:
    levels = np.iinfo(dtype).max
    return lightness(np.arange(levels + 1) / levels).astype(np.float32)


@lru_cache(maxsize=2)
def _luminance_tables(dtype: np.dtype) -> list[np.ndarray]:
    """What R, G and B give to Y of 0…65535; with one half, so that cutting their sum rounds it."""
    levels = np.iinfo(dtype).max
    linear = srgb_linear(np.arange(levels + 1) / levels)
    shares = XYZ_FROM_RGB[1] / XYZ_FROM_RGB[1].sum() * 65535
    halves = (0.499, 0.0, 0.0)
    return [(linear * s + h).astype(np.float32) for s, h in zip(shares, halves, strict=True)]


@lru_cache(maxsize=2)
def _encoded_table(dtype: np.dtype) -> np.ndarray:
    """sRGB in the full range of ``dtype``, of linear light in 0…65535."""
    return np.rint(srgb_encoded(np.arange(65536) / 65535) * np.iinfo(dtype).max).astype(dtype)


def _look_up(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    return cv2.LUT(values, table) if values.dtype == np.uint8 else np.take(table, values)


@lru_cache(maxsize=2)
def _linear_table(dtype: np.dtype) -> np.ndarray:
    levels = np.iinfo(dtype).max
    return srgb_linear(np.arange(levels + 1) / levels).astype(np.float32)


_F_TO_LAB = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)


def picture_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Lab (H, W, 3) float32 of sRGB (H, W, 3) uint8 or uint16, within 1e-3 of ``rgb_to_lab``.

    OpenCV's own conversion is twice as fast and off by up to 0.4.
    """
    t = cv2.transform(_look_up(_linear_table(rgb.dtype), rgb), F_FROM_RGB.astype(np.float32))
    f = np.cbrt(t)
    dark = t <= _DARK
    f[dark] = _KAPPA * t[dark] + _OFFSET
    return cv2.transform(f, _F_TO_LAB)


def gray_to_L(gray: np.ndarray) -> np.ndarray:
    """Integer gray (H, W) uint8 or uint16 to L (H, W) float32, by table."""
    return _look_up(_lightness_table(gray.dtype), gray)


def strips(height: int, width: int, pixels: int = STRIP) -> list[slice]:
    """Row slices that cover ``height`` with about so many ``pixels`` each."""
    rows = max(1, pixels // max(1, width))
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def is_neutral(rgb: np.ndarray) -> bool:
    """Whether R = G = B everywhere in (H, W, 3) uint8 or uint16."""
    sample = rgb[:: max(1, rgb.shape[0] // 64), :: max(1, rgb.shape[1] // 64)]
    if (sample != sample[..., :1]).any():  # most colour photographs show it at once
        return False
    for rows in strips(*rgb.shape[:2]):
        r, g, b = cv2.split(np.ascontiguousarray(rgb[rows]))
        if not (np.array_equal(r, g) and np.array_equal(g, b)):
            return False
    return True


def neutral(rgb: np.ndarray) -> np.ndarray:
    """The gray whose L is that of each colour: (H, W, 3) uint8 or uint16 to (H, W) uint16.

    16 bits hold L to within 0.02 of ``rgb_to_lab``.
    """
    out = np.empty(rgb.shape[:2], np.uint16)
    tables, encoded = _luminance_tables(rgb.dtype), _encoded_table(out.dtype)
    for rows in strips(*rgb.shape[:2]):
        # Channel by channel: several times faster than one look-up of interleaved colours.
        channels = cv2.split(np.ascontiguousarray(rgb[rows]))
        y = _look_up(tables[0], channels[0])
        for table, channel in zip(tables[1:], channels[1:], strict=True):
            y += _look_up(table, channel)
        out[rows] = np.take(encoded, y.astype(np.uint16))
    return out


class _Edge:
    """Paints again, by ``lab_to_shown``, what OpenCV has cut to sRGB: few pixels of most photographs.

    ``out`` (H, W, 3) is painted from ``gray`` (H, W) in strips of up to ``tall`` rows.
    """

    batch = 1 << 14  # pixels: calls cost little then, and all in between stays in the cache

    def __init__(self, out: np.ndarray, gray: np.ndarray, tall: int) -> None:
        self._out, self._gray = out, gray
        light, (low, high) = _lightness_table(gray.dtype), NEUTRAL
        self._darkest = int(np.searchsorted(light, low, "right"))  # these two still have chroma
        self._brightest = int(np.searchsorted(light, high, "left")) - 1
        self._planes = np.empty((4, tall, gray.shape[1]), np.uint8)
        self._eight = np.empty((tall, *out.shape[1:]), np.uint8)
        self._shade = np.empty((tall, *out.shape[1:]), out.dtype)
        self._found: list[tuple[np.ndarray, np.ndarray]] = []  # where, and ab (2, n)
        self._count = 0

    def look(self, rows: slice, chroma: np.ndarray) -> None:
        """Note what of a strip was cut; ``chroma`` is its ab (2, h, w). Paint its ends neutral."""
        at = np.flatnonzero(self._suspects(self._out[rows], self._gray[rows]))
        if at.size:
            ab = np.take(chroma.reshape(2, -1), at, axis=1)
            self._found.append((at + rows.start * self._gray.shape[1], ab))
            self._count += at.size
            if self._count >= self.batch:
                self.draw()

    def draw(self) -> None:
        """Paint again what was noted."""
        if not self._found:
            return
        places, chroma = zip(*self._found, strict=True)
        self._found, self._count = [], 0
        at, ab = np.concatenate(places), np.concatenate(chroma, axis=1)
        gray, colour = self._gray.reshape(-1), np.dtype((np.void, 3 * self._out.itemsize))
        light, encoded = _lightness_table(gray.dtype), _encoded_table(self._out.dtype)
        pixels = self._out.reshape(-1).view(colour)  # one thing to move, not three
        for start in range(0, at.size, self.batch):
            some = np.s_[start : start + self.batch]
            a, b = ab[:, some]
            linear = _shown(light[gray[at[some]]], a, b, np)
            codes = cv2.merge([(c * 65535 + 0.5).astype(np.uint16)[None] for c in linear])
            levels = np.take(encoded, codes)
            pixels[at[some]] = levels.reshape(-1).view(colour)

    def _suspects(self, out: np.ndarray, gray: np.ndarray) -> np.ndarray:
        """Where (h, w) a channel is at an end of its range, black and white left out."""
        height, eight = out.shape[0], out
        if out.dtype != np.uint8:
            eight = cv2.convertScaleAbs(out, dst=self._eight[:height], alpha=1 / 257)
        red, green, blue, least = self._planes[:, :height]
        cv2.split(eight, [red, green, blue])
        cv2.min(cv2.min(red, green, dst=least), blue, dst=least)
        most = cv2.max(cv2.max(red, green, dst=red), blue, dst=red)
        cv2.max(most, np.subtract(least, 1, out=least), dst=most)  # 0 becomes 255
        low, high, *_ = cv2.minMaxLoc(gray)
        if low < self._darkest or high > self._brightest:
            coloured = cv2.inRange(gray, self._darkest, self._brightest, dst=green)
            cv2.bitwise_and(most, coloured, dst=most)
            shade = gray
            if gray.dtype != out.dtype:
                scale = np.float32(np.iinfo(out.dtype).max / np.iinfo(gray.dtype).max)
                shade = np.rint(gray * scale).astype(out.dtype)
            neutral = cv2.bitwise_not(coloured, dst=blue)
            cv2.copyTo(cv2.merge([shade] * 3, dst=self._shade[:height]), neutral, out)
        return most == 255


def join(gray: np.ndarray, ab: np.ndarray, dtype: Any = None) -> np.ndarray:
    """The photograph's own lightness with predicted chroma: sRGB at full resolution.

    ``gray`` (H, W) uint8 or uint16; ``ab`` (h, w, 2) float32 of any size, stretched bicubically
    over the photograph; returns (H, W, 3) of ``dtype`` (that of ``gray`` by default). Only ab is
    interpolated; where sRGB ends, it is drawn towards gray (``lab_to_shown``). Peak memory beyond
    input and output is a few strips.
    """
    return Join(ab, *gray.shape)(gray, 0, dtype)


@lru_cache(maxsize=1)
def tables() -> threading.Thread:
    """Have OpenCV make its tables of Lab meanwhile, once: 0.1 s of work at the first ``join``."""
    nothing = np.zeros((1, 1), np.uint8), np.zeros((1, 1, 2), np.float32)
    thread = threading.Thread(target=join, args=nothing)  # a daemon would abort an early exit
    thread.start()
    return thread


class Join:
    """``join`` for a photograph of (height, width) that comes in strips."""

    def __init__(self, ab: np.ndarray, height: int, width: int) -> None:
        # Bicubic interpolation is separable: columns first, once; rows strip by strip, as a
        # product with the few rows of weights that are not zero.
        size = ab.shape[0]
        self._wide = [
            cv2.resize(chroma, (width, size), interpolation=cv2.INTER_CUBIC)
            for chroma in cv2.split(ab.astype(np.float32, copy=False))
        ]
        self._weights = cv2.resize(
            np.eye(size, dtype=np.float32), (size, height), interpolation=cv2.INTER_CUBIC
        )
        used = self._weights != 0
        self._first, self._last = used.argmax(axis=1), size - used[:, ::-1].argmax(axis=1)

    def __call__(self, gray: np.ndarray, top: int = 0, dtype: Any = None) -> np.ndarray:
        """The rows of the photograph from ``top`` on, as many as ``gray`` (h, width) has."""
        height, width = gray.shape
        dtype = np.dtype(gray.dtype if dtype is None else dtype)
        out = np.empty((height, width, 3), dtype)
        tall = max(rows.stop - rows.start for rows in strips(height, width))
        buffers = np.empty((2, tall, width), np.float32)
        lab_buffer = np.empty((tall, width, 3), np.float32)
        edge = _Edge(out, gray, tall)
        for rows in strips(height, width):
            at = slice(top + rows.start, top + rows.stop)
            near = slice(int(self._first[at].min()), int(self._last[at].max()))
            planes = buffers[:, : rows.stop - rows.start]
            for chroma, wide in zip(planes, self._wide, strict=True):
                np.matmul(self._weights[at, near], wide[near], out=chroma)
            lab = lab_buffer[: rows.stop - rows.start]
            cv2.merge([gray_to_L(gray[rows]), *planes], dst=lab)
            rgb = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB, dst=lab)
            if dtype == np.uint8:
                cv2.convertScaleAbs(rgb, dst=out[rows], alpha=255)
            else:
                rgb *= np.float32(np.iinfo(dtype).max)
                out[rows] = np.rint(rgb, out=rgb)
            edge.look(rows, planes)
        edge.draw()
        return out
