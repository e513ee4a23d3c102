"""Samples to a picture: upright, in sRGB, gray kept apart from colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from colorcli.color.lab import (
    L_to_luminance,
    is_neutral,
    lab_to_rgb,
    neutral,
    srgb_encoded,
    strips,
)  # fmt: skip
from colorcli.color.levels import STEP, to_depth
from colorcli.imaging import sixteen_bit
from colorcli.imaging.formats import vips
from colorcli.imaging.tags.icc import Conversion, conversion, system_press_profile


@dataclass(frozen=True)
class Picture:
    """A decoded photograph or page, upright.

    ``gray`` (H, W) uint8 or uint16: the sRGB-encoded neutral whose CIE L is the picture's.
    ``rgb`` (H, W, 3) uint8 or uint16: its colours in sRGB; None where R = G = B everywhere, or
    where ``decode`` was not told to keep them. ``alpha`` (H, W) uint8 or uint16, or None.
    ``depth``: bits for each sample of the source, 8 or 16. ``duration``: milliseconds of an
    animation's frame, None for a page. ``notes``: what a user should know of how it was read.
    """

    gray: np.ndarray
    rgb: np.ndarray | None = None
    alpha: np.ndarray | None = None
    depth: int = 8
    duration: float | None = None
    notes: tuple[str, ...] = ()


# EXIF orientation to what turns rows and columns upright.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: np.rot90,
}


def turned(plane: np.ndarray, orientation: int, back: bool = False) -> np.ndarray:
    """(H, W) or (H, W, C) upright, as EXIF's ``orientation`` says; ``back``: as it lay before."""
    turn = _TURNS.get({6: 8, 8: 6}.get(orientation, orientation) if back else orientation)
    return plane if turn is None else np.ascontiguousarray(turn(plane))


def upright(picture: Picture, orientation: int) -> Picture:
    """A picture turned as EXIF's ``orientation`` says."""
    gray, rgb, alpha = (
        None if plane is None else turned(plane, orientation)
        for plane in (picture.gray, picture.rgb, picture.alpha)
    )
    assert gray is not None
    return replace(picture, gray=gray, rgb=rgb, alpha=alpha)


def band(strip: Image.Image, convert: Conversion) -> np.ndarray:
    """A strip of a Pillow image in sRGB: (h, w) where neutral, else (h, w, 3)."""
    if strip.mode == "CMYK":
        return _neutral_or(np.asarray(_inks(convert).flat(strip).convert("RGB")))
    if strip.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return _neutral_or(
            np.asarray(ImageCms.profileToProfile(strip, lab, srgb, outputMode="RGB"))
        )
    strip = strip if strip.mode == "RGB" else strip.convert("RGB")  # which would copy it
    return _from_rgb(np.asarray(strip), convert)


@lru_cache(maxsize=1)
def _press() -> Conversion:
    """The way of a generic press to sRGB; none where neither libvips nor the system has one."""
    for profile in (vips.press_profile(), system_press_profile()):
        convert = conversion(profile)
        if convert.space == "CMYK":
            return convert
    return Conversion()


def _inks(convert: Conversion) -> Conversion:
    """How CMYK becomes sRGB: by its own profile, or else by that of a generic press."""
    return convert if convert.space == "CMYK" else _press()


def notes_of_inks(convert: Conversion) -> tuple[str, ...]:
    """What to say of CMYK samples under ``convert``: nothing, where any profile serves them."""
    return () if _inks(convert).space == "CMYK" else ("no profile: approximate",)


def _neutral_or(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., 0] if is_neutral(rgb) else rgb


def _from_rgb(rgb: np.ndarray, convert: Conversion) -> np.ndarray:
    """Stored RGB in sRGB: (h, w) where neutral, else (h, w, 3)."""
    converts = convert.space == "RGB "
    if (not converts or convert.gray) and is_neutral(rgb):
        return in_srgb(rgb[..., 0], convert)
    if not converts:
        return rgb
    if rgb.dtype == np.uint16:
        return convert.deep(rgb)
    return np.asarray(convert.flat(Image.fromarray(rgb)))


def _from_cmyk(cmyk: np.ndarray, convert: Conversion) -> np.ndarray:
    """CMYK by its profile, which takes 8 bits, or as light left over by the inks."""
    if cmyk.dtype == np.uint8:
        return band(Image.frombytes("CMYK", cmyk.shape[1::-1], cmyk.tobytes()), convert)
    convert = _inks(convert)
    if convert.space == "CMYK":
        high = np.ascontiguousarray(cmyk >> 8).astype(np.uint8)
        rgb = np.asarray(convert.flat(Image.frombytes("CMYK", high.shape[1::-1], high.tobytes())))
        return _neutral_or(to_depth(rgb, np.uint16))
    light = (65535 - cmyk).astype(np.float32)
    return _neutral_or(np.rint(light[..., :3] * light[..., 3:] / 65535).astype(np.uint16))


def from_samples(samples: sixteen_bit.Samples, keep: bool) -> Picture:
    """A page, or a strip of one, as a picture; ``keep`` fills its ``rgb``."""
    pixels, convert = samples.pixels, conversion(samples.profile)
    depth = 8 * pixels.dtype.itemsize
    if samples.lab is not None:
        return _from_lab(samples, samples.lab, keep)
    if pixels.ndim == 2:
        picture = Picture(in_srgb(pixels, convert), None, samples.alpha, depth, notes=samples.notes)
        return upright(picture, samples.orientation)
    inked = pixels.shape[2] == 4
    to_strip = _from_cmyk if inked else _from_rgb
    shape = pixels.shape[:2]
    bands = ((rows, to_strip(pixels[rows], convert)) for rows in strips(*shape))
    gray, rgb = by_strips(bands, shape, pixels.dtype, keep)
    notes = samples.notes + (notes_of_inks(convert) if inked else ())
    return upright(Picture(gray, rgb, samples.alpha, depth, notes=notes), samples.orientation)


@lru_cache(maxsize=1)
def _gray_of_lightness() -> np.ndarray:
    """Gray (65536,) uint16 of L in 65536 steps from 0 to 100."""
    y = L_to_luminance(np.linspace(0, 100, 65536))
    return np.rint(srgb_encoded(y) * 65535).astype(np.uint16)


def _from_lab(samples: sixteen_bit.Samples, lab: np.ndarray, keep: bool) -> Picture:
    """CIELAB: its own L is the gray's."""
    depth, shape = 8 * samples.pixels.dtype.itemsize, lab.shape[:2]
    gray, rgb = np.empty(shape, np.uint16), None
    if keep:
        rgb = np.empty((*shape, 3), samples.pixels.dtype)
    for rows in strips(*shape):
        steps = np.rint(np.clip(lab[rows][..., 0], 0, 100) * 655.35)
        gray[rows] = _gray_of_lightness()[steps.astype(np.uint16)]
        if rgb is not None:
            full = np.iinfo(rgb.dtype).max
            rgb[rows] = np.rint(lab_to_rgb(lab[rows]) * full)
    return upright(Picture(gray, rgb, samples.alpha, depth), samples.orientation)


def in_srgb(gray: np.ndarray, convert: Conversion) -> np.ndarray:
    """Neutral samples in sRGB, 16 bits where a profile moved them."""
    if convert.gray is None:
        return gray
    return np.take(convert.gray(np.iinfo(gray.dtype).max + 1), gray)


def by_strips(
    bands: Iterable[tuple[slice, np.ndarray]], shape: tuple[int, int], dtype: np.dtype, keep: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray and, with ``keep``, colours of ``dtype`` from sRGB strips, (h, w) where neutral.

    An 8-bit plane stays one until the first strip that needs 16 bits for its L.
    """
    gray = np.empty(shape, dtype)
    rgb = np.empty((*shape, 3), dtype) if keep else None
    coloured = False
    for rows, strip in bands:
        coloured |= strip.ndim == 3
        plane = neutral(strip) if strip.ndim == 3 else strip
        if plane.dtype == np.uint16 and gray.dtype == np.uint8:
            wide = np.empty(shape, np.uint16)
            np.multiply(gray[: rows.start], STEP, out=wide[: rows.start], dtype=np.uint16)
            gray = wide
        gray[rows] = to_depth(plane, gray.dtype)
        if rgb is not None:
            rgb[rows] = strip if strip.ndim == 3 else to_depth(plane, dtype)[..., None]
    return gray, rgb if coloured else None
