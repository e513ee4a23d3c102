"""Samples that Pillow would flatten to 8 bits: what they are, their scale, PNG and JPEG 2000."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from colorcli.color.lab import XYZ_FROM_RGB, srgb_encoded
from colorcli.imaging import png
from colorcli.imaging.refusals import Refused
from colorcli.system.errors import ImageError


@dataclass(frozen=True)
class Samples:
    """One page as its file holds it.

    ``pixels`` (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK with 0 for no ink; uint8 or uint16.
    ``alpha`` (H, W) of the same dtype, or None. ``profile``: ICC bytes, or None.
    ``orientation``: EXIF's 1…8, still to be applied. ``lab`` (H, W, 3) float32 instead of
    ``pixels``' colours, which then only give depth and shape, where the file holds CIELAB.
    ``notes``: what a user should know of how they were read.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    orientation: int = 1
    lab: np.ndarray | None = None
    notes: tuple[str, ...] = ()


# --- scale -------------------------------------------------------------------------------------

# What encoded floating-point samples reach to, and the least that the largest of them must be: 8 or
# 16 bits that were only stored as floats come near their own white. Whole numbers are 8 bits anyway.
_FLOAT_RANGES = ((255.0, 64.0), (65535.0, 16384.0))


def _stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """``low``…``high`` as uint16; values beyond are cut off."""
    steps = values.astype(np.float64)
    steps -= low
    steps *= 65535 / (high - low)
    return np.rint(np.clip(steps, 0, 65535, out=steps), out=steps).astype(np.uint16)


def cut(values: np.ndarray) -> np.ndarray:
    """Encoded floating-point samples of 0…1 as uint16; those beyond are cut off."""
    return _stretched(values, 0, 1)


def from_floats(
    values: np.ndarray, beyond: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """Floating-point samples as uint16: encoded ones of 0…1, 0…255 or 0…65535.

    ``beyond`` is for those that reach beyond 0…1 although at least half of them lie below 1: ``cut``
    where a profile says how they are encoded; by default ``from_light`` for colours. Raises
    ``ImageError`` where their range says none of these, or says nothing.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise Refused("floating-point samples of which some are no numbers; fill these first")
    if low >= -0.001 and high <= 1.001:
        return cut(values)
    if low >= -0.001:
        whole = bool((values == np.floor(values)).all())
        for full, least in _FLOAT_RANGES:
            counts = whole and full == 255
            if high <= full * 1.001 and (counts or (high >= least and not _is_below_white(values))):
                return _stretched(values, 0, full)
    if beyond is not None and low > -_BRIGHTEST and _is_below_white(values):
        return beyond(values)
    if beyond is None and _is_light(values):
        return from_light(values)
    raise Refused(
        f"floating-point samples from {low:.4g} to {high:.4g}; scale them to 0…1 first, "
        "as by: magick FILE -auto-level NEW.tif"
    )


_BRIGHTEST = 1e4  # times white, of light that is one


def _is_below_white(values: np.ndarray) -> bool:
    """Whether at least half of the samples, alpha apart, are at most 1, as in any photograph's light."""
    step = max(1, min(values.shape[:2]) // 512)
    some = values[::step, ::step]
    return float(np.median(some[..., :3] if values.ndim == 3 else some)) <= 1


def _is_light(values: np.ndarray) -> bool:
    low, high = float(values.min()), float(values.max())
    colours = values.ndim == 3 and values.shape[2] in (3, 4)
    beyond = (high > 1.001 or low < -0.001) and low > -_BRIGHTEST
    return colours and beyond and _is_below_white(values)


def from_light(values: np.ndarray) -> np.ndarray:
    """Linear light (H, W) or (H, W, 3 or 4), 1 for white, as encoded uint16.

    Its own luminance up to white stays; colours beyond sRGB are drawn towards gray until they fit.
    """
    out = np.clip(values.astype(np.float32), 0, 1)
    if out.ndim == 2:
        return np.rint(srgb_encoded(out) * 65535).astype(np.uint16)
    light = values[..., :3].astype(np.float32)
    y = np.clip(light @ XYZ_FROM_RGB[1].astype(np.float32), 0, 1)[..., None]
    above = (light.max(-1, keepdims=True) - y) / np.maximum(1 - y, 1e-6)
    below = (y - light.min(-1, keepdims=True)) / np.maximum(y, 1e-6)
    drawn = y + (light - y) / np.maximum(np.maximum(above, below), 1)
    out[..., :3] = srgb_encoded(np.clip(drawn, 0, 1))
    return np.rint(out * 65535).astype(np.uint16)


def remarks(values: np.ndarray) -> tuple[str, ...]:
    """What to say of stored samples that are neither encoded nor counted from black."""
    if values.dtype.kind == "i" and int(values.min()) < 0:
        if _is_misnamed(values):
            return ("samples said to be signed were read as unsigned, which they are",)
        return ("signed samples: 0 was read as middle gray",)
    if values.dtype.kind == "f" and _is_light(values):
        return ("high dynamic range: what is brighter than white was cut off",)
    return ()


def _is_misnamed(values: np.ndarray) -> bool:
    """Whether samples said to be signed are unsigned: neighbours then lie closer to each other.

    Read the wrong way, all that is near the sign's change leaps from white to black.
    """
    step, size = max(1, values.shape[0] // 512), min(2, values.dtype.itemsize)
    plain = values[::step].astype(f"u{size}")  # negative ones wrap around, as they would lie
    signed = plain ^ plain.dtype.type(1 << (8 * size - 1))
    leaps = [
        np.abs(np.diff(read.astype(np.int32), axis=1)).sum(dtype=np.int64)
        for read in (plain, signed)
    ]
    return bool(leaps[0] < leaps[1])


def from_integers(
    values: np.ndarray, bits: int, declared: tuple[float, float] | None = None
) -> np.ndarray:
    """Integer samples of ``bits`` bits as uint8 (up to 8 bits) or uint16.

    Their range is that of ``bits``, whatever the values are; ``declared`` is another that the
    file says. Negative ones are counted from the least that ``bits`` hold, unless they are so only by
    name. Raises ``ImageError`` for those of more than 16 bits without a declared range.
    """
    if declared is not None and (bits > 16 or values.dtype.kind == "i"):
        wide = _stretched(values, *declared)
        return (wide >> 8).astype(np.uint8) if bits <= 8 else wide
    if values.dtype.kind == "i":
        low, high = int(values.min()), int(values.max())
        if low < 0 and bits in (8, 16):
            zero = 0 if _is_misnamed(values) else 2 ** (bits - 1)
            return (values.astype(np.int32) + zero).astype(f"u{bits // 8}")
        if low < 0 or high > 65535:
            raise Refused(
                f"signed {bits}-bit samples from {low} to {high}; shift them to 8 or 16 bits "
                "without a sign first"
            )
        return values.astype(np.uint8 if bits <= 8 else np.uint16)
    full = 2**bits - 1
    if bits in (8, 16):
        return np.ascontiguousarray(values, np.uint8 if bits == 8 else np.uint16)
    if bits < 8:
        return np.rint(np.arange(full + 1) * (255 / full)).astype(np.uint8)[values]
    if bits < 16:
        return np.rint(np.arange(full + 1) * (65535 / full)).astype(np.uint16)[values]
    return _stretched(values, 0, full)


def integers(image: Image.Image) -> np.ndarray:
    """A loaded Pillow image of mode I, I;16 or F as (H, W) uint16."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        return from_floats(values)
    return from_integers(values, 8 * values.dtype.itemsize)


# --- PNG and JPEG 2000 through OpenCV ----------------------------------------------------------


def opencv(data: bytes) -> Samples:
    """The samples of a file that OpenCV reads, as they lie; raises ``ImageError``."""
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ImageError("damaged picture; check the file")
    if pixels.ndim == 2:
        return Samples(pixels)
    if pixels.shape[2] == 3:
        return Samples(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return Samples(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), np.ascontiguousarray(pixels[..., 3]))


def is_deep_png(data: bytes) -> bool:
    """Whether a file is a still PNG of 16-bit colours, or grays with alpha, by how it begins."""
    deep = data[:4] == b"\x89PNG" and data[24:25] == b"\x10"
    return deep and data[25] in (2, 4, 6) and b"acTL" not in data[:1024]


def _bgr(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    if alpha is None:
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.merge([rgb[..., 2], rgb[..., 1], rgb[..., 0], alpha])


def write_png(rgb: np.ndarray, alpha: np.ndarray | None, chunks: bytes) -> bytes:
    """(H, W, 3) uint16, alpha (H, W) uint16 or None, as a PNG with ``chunks`` after ``IHDR``."""
    options = (cv2.IMWRITE_PNG_COMPRESSION, 1)
    return png.encoded(_bgr(rgb, alpha), options, chunks)


def write_jp2(rgb: np.ndarray, alpha: np.ndarray | None) -> bytes:
    """(H, W, 3) uint16, alpha (H, W) uint16 or None, as a lossless JPEG 2000 in sRGB.

    Raises ``ImageError`` for a picture too small for OpenCV's six levels of halving.
    """
    if min(rgb.shape[:2]) < 32:
        raise ImageError("16-bit jp2 is written from 32 pixels a side; choose --format png or tiff")
    _, buffer = cv2.imencode(
        ".jp2", _bgr(rgb, alpha), [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    )
    return buffer.tobytes()
