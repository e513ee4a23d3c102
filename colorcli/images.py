"""Pictures in and out: bytes to planes, planes to bytes, metadata carried along."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from colorcli.errors import ImageError, UsageError, reason
from colorcli.lab import neutral, strips

MAX_PIXELS = 512_000_000
Image.MAX_IMAGE_PIXELS = None  # decode() has its own limit, read from the header


@dataclass(frozen=True)
class Format:
    """An output format: suffixes, Pillow's name, bit depths, whether it holds alpha, options."""

    suffixes: tuple[str, ...]
    pillow: str
    depths: tuple[int, ...] = (8,)
    alpha: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    quality: int | None = None  # default; None where the format has no such knob


FORMATS: dict[str, Format] = {
    "jpeg": Format((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG", quality=95),
    # Level 1 costs a tenth of the default's time for a few percent of size.
    "png": Format((".png",), "PNG", (8, 16), alpha=True, options={"compress_level": 1}),
    "tiff": Format((".tif", ".tiff"), "TIFF", alpha=True, options={"compression": "tiff_deflate"}),
    "webp": Format((".webp",), "WEBP", alpha=True, quality=90),
    "avif": Format((".avif",), "AVIF", alpha=True, quality=85),
    "bmp": Format((".bmp",), "BMP"),
    "ppm": Format((".ppm",), "PPM"),
}
SUFFIXES: dict[str, str] = {s: name for name, f in FORMATS.items() for s in f.suffixes}
# Formats read, though never written, when a folder is searched.
READABLE = (*SUFFIXES, ".pgm", ".pnm", ".gif", ".jp2")


def format_of(path: Path | str) -> str:
    """The output format a file name asks for; raises ``UsageError`` naming the known suffixes."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: unknown output suffix; known: {' '.join(SUFFIXES)}")
    return SUFFIXES[suffix]


@dataclass(frozen=True)
class Picture:
    """A decoded photograph.

    ``gray`` (H, W) uint8 or uint16: the sRGB-encoded neutral whose CIE L is the picture's.
    ``rgb`` (H, W, 3) uint8: its colours in sRGB, None where R = G = B everywhere.
    ``alpha`` (H, W) uint8 or None. ``extra``: EXIF and DPI for the output, orientation applied.
    """

    gray: np.ndarray
    rgb: np.ndarray | None = None
    alpha: np.ndarray | None = None
    format: str = "png"
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Bits for each sample of the source: 8 or 16."""
        return 16 if self.gray.dtype == np.uint16 and self.rgb is None else 8


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """A small ICC profile that says sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _is_neutral(rgb: np.ndarray) -> bool:
    for rows in strips(*rgb.shape[:2]):
        r, g, b = cv2.split(np.ascontiguousarray(rgb[rows]))
        if not (np.array_equal(r, g) and np.array_equal(g, b)):
            return False
    return True


def _to_srgb(image: Image.Image, mode: str) -> Image.Image:
    """Through the embedded profile where there is a usable one, else as Pillow converts."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(source).lower()
            if "srgb" not in name:
                converted = ImageCms.profileToProfile(
                    image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                return converted if mode == "RGB" else converted.convert(mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile must not lose the picture
    return image if image.mode == mode else image.convert(mode)


def srgb(image: Image.Image) -> Image.Image:
    """``image`` as RGB in sRGB, through its embedded profile where there is a usable one."""
    return _to_srgb(image, "RGB")


# EXIF orientation to what turns rows and columns upright, for planes Pillow does not hold.
_TURNS = {
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: np.rot90,
}


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF raises anything: leave the picture as it lies
        return 1


def _extra(image: Image.Image) -> dict[str, Any]:
    """EXIF and DPI of an upright picture, for its output."""
    extra: dict[str, Any] = {}
    try:
        exif = image.getexif()
        if exif:
            exif[ExifTags.Base.Orientation] = 1
            extra["exif"] = exif.tobytes()
    except Exception:  # damaged EXIF is dropped; the picture matters more
        pass
    dpi = image.info.get("dpi")
    if dpi and all(0 < float(v) < 1e5 for v in dpi):
        extra["dpi"] = tuple(float(v) for v in dpi)
    return extra


def _deep_rgb(data: bytes, orientation: int) -> np.ndarray | None:
    """16-bit colour, which Pillow flattens to 8: upright (H, W, 3|4) uint16 RGB(A), or None."""
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if deep is None or deep.dtype != np.uint16 or deep.ndim != 3:
        return None
    order = cv2.COLOR_BGRA2RGBA if deep.shape[2] == 4 else cv2.COLOR_BGR2RGB
    turn = _TURNS.get(orientation, lambda p: p)
    return np.ascontiguousarray(turn(cv2.cvtColor(deep, order)))


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    if not data:
        raise ImageError(f"{name}: empty file; nothing to colour")
    try:
        image = Image.open(io.BytesIO(data))
        frames = getattr(image, "n_frames", 1)
    except MemoryError:
        raise
    except Exception as error:
        known = "cannot identify" not in str(error)
        cause = f"damaged picture ({reason(error)})" if known else "not a picture that can be read"
        raise ImageError(f"{name}: {cause}; check the file") from None
    if image.width * image.height > max_pixels:
        megapixels = image.width * image.height / 1e6
        raise ImageError(
            f"{name}: {megapixels:.0f} megapixels is over the limit; allow it with --max-megapixels"
        )
    if frames > 1:
        raise ImageError(
            f"{name}: {frames} frames in one file; split it into single pictures first"
        )
    return image


def decode(data: bytes, name: str = "-", *, max_pixels: int = MAX_PIXELS) -> Picture:
    """A photograph from the bytes of its file, whatever its suffix.

    EXIF orientation is applied, an ICC profile converted to sRGB, 16-bit depth and alpha kept.
    Raises ``ImageError``, one line with ``name``, for what is not a whole picture.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(data, name, max_pixels)
        try:
            image.load()
            return _planes(image, data, name)
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # readers of damaged bytes raise nearly anything
            raise ImageError(f"{name}: damaged picture ({reason(error)}); check the file") from None


def _planes(image: Image.Image, data: bytes, name: str) -> Picture:
    orientation = _orientation(image)
    if orientation in _TURNS:
        ImageOps.exif_transpose(image, in_place=True)
    known = {f.pillow: key for key, f in FORMATS.items()}
    base = {"format": known.get(image.format or "", "png"), "extra": _extra(image)}
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        gray = np.asarray(image)
        if gray.min() < 0 or gray.max() > 65535:
            raise ImageError(f"{name}: 32-bit samples; convert the picture to 8 or 16 bits first")
        return Picture(gray.astype(np.uint16), **base)
    if image.mode == "F":
        raise ImageError(
            f"{name}: floating-point samples; convert the picture to 8 or 16 bits first"
        )
    is_deep = image.format == "PNG" and data[24:25] == b"\x10"
    if is_deep and (deep := _deep_rgb(data, orientation)) is not None:
        colour = np.ascontiguousarray(deep[..., :3])
        gray = colour[..., 0].copy() if _is_neutral(colour) else neutral(colour)
        alpha = (deep[..., 3] >> 8).astype(np.uint8) if deep.shape[2] == 4 else None
        return Picture(gray, None, alpha, **base)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
        profile = image.info.get("icc_profile")
        image = image.convert("RGB")
        if profile:
            image.info["icc_profile"] = profile
    if image.mode in ("1", "L"):
        return Picture(np.asarray(_to_srgb(image, "L")), None, alpha, **base)
    rgb = np.asarray(_to_srgb(image, "RGB"))
    if _is_neutral(rgb):
        return Picture(np.ascontiguousarray(rgb[..., 0]), None, alpha, **base)
    return Picture(neutral(rgb), rgb, alpha, **base)


def read(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """``decode`` of a file; raises ``ImageError`` when it cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {reason(error)}; check the path and its permissions") from None
    return decode(data, str(path), max_pixels=max_pixels)


def encode(rgb: np.ndarray, picture: Picture, format: str, *, quality: int | None = None) -> bytes:
    """The file of sRGB (H, W, 3) uint8 or uint16 with the alpha, EXIF and DPI of ``picture``.

    16 bits are kept where the format holds them. Alpha is laid over white where it holds none.
    Raises ``ImageError`` when the format cannot hold the picture (its size, mostly).
    """
    chosen = FORMATS[format]
    alpha = picture.alpha
    if rgb.dtype == np.uint16 and 16 in chosen.depths:
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        if alpha is not None:
            bgr = np.dstack([bgr, alpha.astype(np.uint16) * 257])
        done, buffer = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if done:
            return buffer.tobytes()
    if rgb.dtype == np.uint16:
        rgb = ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
    image = Image.fromarray(rgb)
    if alpha is not None:
        mask = Image.fromarray(alpha)
        if chosen.alpha:
            image.putalpha(mask)
        else:
            image = Image.composite(image, Image.new("RGB", image.size, "white"), mask)
    options = dict(chosen.options)
    if chosen.quality is not None:
        options["quality"] = chosen.quality if quality is None else quality
    if format == "jpeg" and options["quality"] > 90:
        options["subsampling"] = 0
    if format not in ("bmp", "ppm"):
        options["icc_profile"] = srgb_profile()
    options.update(
        {k: v for k, v in picture.extra.items() if k == "dpi" or format not in ("bmp", "ppm")}
    )
    buffer = io.BytesIO()
    try:
        image.save(buffer, chosen.pillow, **options)
    except Exception:
        # EXIF too large or odd for this writer: the picture without it is better than none.
        options.pop("exif", None)
        buffer = io.BytesIO()
        try:
            image.save(buffer, chosen.pillow, **options)
        except Exception as error:
            raise ImageError(
                f"{format} cannot hold this picture ({reason(error)}); choose another --format"
            ) from None
    return buffer.getvalue()
