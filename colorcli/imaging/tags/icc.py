"""ICC profiles: what a picture's samples mean, converted to sRGB.

Gray and matrix profiles (ICC.1:2022, 8.3 and 10.6) are evaluated here in floating point, because
Little CMS, which Pillow brings for profiles made of tables, takes and gives 8 bits.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from colorcli.color.lab import L_to_luminance, srgb_encoded
from colorcli.color.levels import STEP, to_depth
from colorcli.imaging.tags import provenance

# IEC 61966-2-1 primaries adapted to the D50 of the profile connection space (Bradford), as the
# sRGB profile itself gives them.
_SRGB_D50 = np.array(
    [
        [0.43607, 0.38515, 0.14307],
        [0.22249, 0.71687, 0.06061],
        [0.01392, 0.09708, 0.71410],
    ]
)
_D50 = (0.9642, 1.0, 0.8249)  # the white of the connection space (ICC.1:2022, 7.2.16)
_NODES = np.arange(0, 256, 5)  # 52 nodes an axis: 0 and 255 are both 8-bit levels


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """A small ICC profile that says sRGB, and that it is ours."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return provenance.of_profile(profile)


def _fixed_bytes(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


@lru_cache(maxsize=1)
def gray_profile() -> bytes:
    """A small ICC profile (version 4.3) of gray with sRGB's curve, and that it is ours."""

    def text(words: str) -> bytes:
        data = words.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data

    curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
    tags = {
        b"desc": text("Gray, sRGB curve"),
        b"cprt": text("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed_bytes(*_D50),
        b"kTRC": b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed_bytes(*curve),
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"", 0x04300000, b"mntr", b"GRAY", b"XYZ "
    )  # fmt: skip
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed_bytes(*_D50)
    profile = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return provenance.of_profile(profile)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Tag data by signature; ``ValueError`` or ``struct.error`` when it is no profile."""
    if profile[36:40] != b"acsp":
        raise ValueError("no ICC profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 200:
        raise ValueError("too many tags")
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count))
    return {name: profile[start : start + size] for name, start, size in entries}


def _fixed(data: bytes, count: int, offset: int) -> np.ndarray:
    return np.frombuffer(data, ">i4", count, offset) / 65536


def _curve(tag: bytes, levels: int) -> np.ndarray:
    """A ``curv`` or ``para`` tag at ``levels`` even steps of 0…1 (ICC.1:2022, 10.6 and 10.18)."""
    x = np.linspace(0, 1, levels)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return x
        if count == 1:
            return x ** (struct.unpack_from(">H", tag, 12)[0] / 256)
        table = np.frombuffer(tag, ">u2", count, 12) / 65535
        return np.interp(x, np.linspace(0, 1, count), table)
    if tag[:4] != b"para":
        raise ValueError("unknown curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    g, *rest = _fixed(tag, (1, 3, 4, 5, 7)[kind], 12)
    shapes: dict[int, Callable[[], tuple[float, ...]]] = {
        0: lambda: (1, 0, 0, -1, 0, 0),
        1: lambda: (rest[0], rest[1], 0, -rest[1] / rest[0], 0, 0),
        2: lambda: (rest[0], rest[1], 0, -rest[1] / rest[0], rest[2], rest[2]),
        3: lambda: (*rest, 0, 0),
        4: lambda: tuple(rest),
    }
    a, b, c, d, e, f = shapes[kind]()
    return np.clip(np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f), 0, 1)


def _same(pixels: Any) -> Any:
    return pixels


@dataclass(frozen=True)
class Conversion:
    """One profile's way to sRGB. ``space``: GRAY, "RGB " or CMYK; "" where nothing is to do.

    ``gray(levels)``: table (levels,) uint16 from a neutral sample to encoded sRGB.
    ``flat(image)``: an RGB or CMYK Pillow image to RGB, 8 bits.
    ``deep(rgb)``: (H, W, 3) uint16 to the same in sRGB.
    """

    space: str = ""
    gray: Callable[[int], np.ndarray] | None = None
    flat: Callable[[Image.Image], Image.Image] = _same
    deep: Callable[[np.ndarray], np.ndarray] = _same


def _sixteen(encoded: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(encoded, 0, 1) * 65535).astype(np.uint16)


def _gray_table(tag: bytes, pcs: bytes) -> Callable[[int], np.ndarray]:
    def table(levels: int) -> np.ndarray:
        y = _curve(tag, levels)
        if pcs == b"Lab ":  # the curve gives L / 100
            y = L_to_luminance(y * 100)
        return _sixteen(srgb_encoded(y))

    return lru_cache(maxsize=2)(table)


def _matrix(tags: dict[bytes, bytes]) -> Callable[[np.ndarray], np.ndarray]:
    columns = [_fixed(tags[name], 3, 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    matrix = np.linalg.inv(_SRGB_D50) @ np.stack(columns, axis=1)
    curves = [_curve(tags[name], 65536).astype(np.float32) for name in (b"rTRC", b"gTRC", b"bTRC")]
    encode = _sixteen(srgb_encoded(np.arange(65536) / 65535))

    def convert(rgb: np.ndarray) -> np.ndarray:
        linear = cv2.merge([curve[rgb[..., i]] for i, curve in enumerate(curves)])
        linear = cv2.transform(linear, matrix.astype(np.float32))
        return encode[np.rint(np.clip(linear, 0, 1) * 65535).astype(np.uint16)]

    return convert


def _grid(flat: Callable[[Image.Image], Image.Image]) -> Callable[[np.ndarray], np.ndarray]:
    """16 bits through an 8-bit conversion: trilinear between nodes, so that no level is lost."""
    side, step = len(_NODES), 65535 / (len(_NODES) - 1)
    nodes = np.stack(np.meshgrid(_NODES, _NODES, _NODES, indexing="ij"), axis=-1)
    image = Image.fromarray(nodes.astype(np.uint8).reshape(side, side * side, 3))
    levels = to_depth(np.asarray(flat(image)), np.uint16)
    table = levels.astype(np.float32).reshape(side, side, side, 3)

    def convert(rgb: np.ndarray) -> np.ndarray:
        at = rgb.astype(np.float32) / np.float32(step)
        low = np.minimum(at.astype(np.int32), side - 2)
        part = at - low
        out = np.zeros(rgb.shape, np.float32)
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1 - part), axis=-1, keepdims=True)
            out += weight * table[tuple(np.moveaxis(low + corner, -1, 0))]
        return np.rint(out).astype(np.uint16)

    return convert


def _flat(profile: bytes, mode: str) -> Callable[[Image.Image], Image.Image]:
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    # Inks by measurement, as everyone else takes them: the darkest that a press has is not black.
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC if mode == "CMYK" else ImageCms.Intent.PERCEPTUAL
    transform = ImageCms.buildTransform(source, target, mode, "RGB", intent)
    return transform.apply


def _is_srgb(convert: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether a conversion moves no colour by half an 8-bit level."""
    axis = np.linspace(0, 65535, 9).astype(np.uint16)
    colours = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(27, 27, 3)
    return bool(np.abs(convert(colours).astype(int) - colours).max() < 128)


@lru_cache(maxsize=16)
def conversion(profile: bytes | None) -> Conversion:
    """How samples under ``profile`` become sRGB; no conversion for None, sRGB and broken ones.

    A broken profile must not lose the picture: its samples are then taken as sRGB.
    """
    if not profile:
        return Conversion()
    with np.errstate(all="ignore"):
        return _conversion(profile)


def _conversion(profile: bytes) -> Conversion:
    try:
        tags = _tags(profile)
        space, pcs = profile[16:20], profile[20:24]
        if space == b"GRAY":
            return Conversion("GRAY", gray=_gray_table(tags[b"kTRC"], pcs))
        if space == b"CMYK":
            return Conversion("CMYK", flat=_flat(profile, "CMYK"))
        if space != b"RGB ":
            return Conversion()
        if b"A2B0" in tags or b"A2B1" in tags:
            flat = _flat(profile, "RGB")
            return Conversion("RGB ", flat=flat, deep=_grid(flat))
        deep = _matrix(tags)
        if _is_srgb(deep):
            return Conversion()
        same = tags[b"rTRC"] == tags[b"gTRC"] == tags[b"bTRC"]
        return Conversion(
            "RGB ",
            gray=_gray_table(tags[b"gTRC"], b"XYZ ") if same else None,
            flat=_flat(profile, "RGB"),
            deep=deep,
        )
    except Exception:  # damaged profiles raise nearly anything, in Little CMS too
        return Conversion()


def moves(profile: bytes | None, *, gray: bool) -> bool:
    """Whether ``profile`` makes other colours of 8-bit samples than sRGB does, by half a level."""
    convert = conversion(profile)
    if convert.gray is None or not gray:
        return convert.space != "" and not gray
    return bool(np.abs(convert.gray(256) - STEP * np.arange(256)).max() > STEP / 2)


def srgb(image: Image.Image) -> Image.Image:
    """An RGB or CMYK Pillow image as 8-bit RGB in sRGB, by its own profile where that is usable."""
    convert = conversion(image.info.get("icc_profile"))
    if convert.space.strip() == image.mode:
        return convert.flat(image)
    return image if image.mode == "RGB" else image.convert("RGB")


# Profiles of a generic press where systems keep them: Ghostscript's and colord's, ColorSync's,
# and those of Windows.
_PRESS = (
    "/usr/share/color/icc/ghostscript/default_cmyk.icc",
    "/usr/share/color/icc/colord/FOGRA39L_coated.icc",
    "/usr/share/color/icc/colord/SWOP2006_Coated3v2.icc",
    "/System/Library/ColorSync/Profiles/Generic CMYK Profile.icc",
    "C:/Windows/System32/spool/drivers/color/RSWOP.icm",
)


def system_press_profile() -> bytes | None:
    """A generic CMYK profile of this machine, or None."""
    for path in _PRESS:
        with contextlib.suppress(OSError):
            return Path(path).read_bytes()
    return None
