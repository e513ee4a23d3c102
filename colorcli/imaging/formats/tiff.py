"""TIFF in through tifffile: every depth, layout and meaning of samples that photographs come in."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import ExifTags

from colorcli.color.levels import to_depth
from colorcli.imaging.refusals import Refused, Wanting
from colorcli.imaging.sixteen_bit import Samples, cut, from_floats, from_integers, remarks
from colorcli.imaging.truncation import truncated
from colorcli.system.errors import ImageError


def library() -> Any:
    """tifffile, which takes 0.1 s to load: only for pictures that need it."""
    import tifffile

    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    return tifffile


# Tags of the Exif and TIFF specifications that libraries have no short name for.
SUBFILE, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, PREDICTOR = 254, 259, 262, 277, 284, 317
BITS, EXTRA, SAMPLE_FORMAT, SMALLEST, LARGEST, SUBSAMPLING, COLOURS = (
    258,
    338,
    339,
    340,
    341,
    530,
    320,
)

# What Pillow reads as it is meant: 1 and 8 bits, and few bits of gray or palette; none, CCITT, LZW,
# both JPEGs, deflate, PackBits. Of others its libtiff may say on stderr that it lacks them.
_PILLOW_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946)
_PILLOW_BITS = {0: (1, 2, 4, 8), 1: (1, 2, 4, 8), 2: (8,), 3: (1, 2, 4, 8), 5: (8,), 6: (8,)}


def pillow_does(tags: Any) -> bool:
    """Whether Pillow reads a page of these tags as it is meant; it says nothing where it does not."""
    kind, bits = tags.get(PHOTOMETRIC, 0), tags.get(BITS, (1,))
    samples, planar = tags.get(SAMPLES, 1), tags.get(PLANAR, 1)
    if set(tags.get(SAMPLE_FORMAT, (1,))) - {1, 4} or len(set(bits)) > 1:
        return False
    if tags.get(COMPRESSION, 1) not in _PILLOW_COMPRESSIONS:
        return False
    if kind == 3 and max(tags.get(COLOURS, (256,))) < 256:  # a palette of 8 bits: black
        return False
    if kind == 1 and samples == 1 and bits[0] == 16:
        return tags.get(PREDICTOR, 1) < 3
    if bits[0] not in _PILLOW_BITS.get(kind, ()) or (samples > 1 and bits[0] != 8):
        return False
    if planar == 2 and samples > 1 and (kind not in (2, 5) or EXTRA in tags):
        return False
    if kind == 6 and tags.get(COMPRESSION) == 1:
        return tags.get(SUBSAMPLING, (2, 2)) == (1, 1)
    return not (kind == 0 and samples > 1) and tags.get(PREDICTOR, 1) < 3


# --- pages -------------------------------------------------------------------------------------


def pages_of(data: bytes) -> tuple[tuple[int, int], list[int]]:
    """Width and height of the first page, and the numbers of pages that are no thumbnails or masks."""
    with library().TiffFile(io.BytesIO(data)) as file:
        first = file.pages[0]
        size, count = (first.imagewidth, first.imagelength), len(file.pages)
        if count == 1:
            return size, [0]
        kept = [i for i, page in enumerate(file.pages) if not _subfile(page) & 5]
        return size, kept or [0]


def profile_of(data: bytes) -> bytes | None:
    """The ICC profile of the first page."""
    with library().TiffFile(io.BytesIO(data)) as file:
        return file.pages[0].iccprofile


def _subfile(page: Any) -> int:
    tag = page.keyframe.tags.get(SUBFILE) if not hasattr(page, "tags") else page.tags.get(SUBFILE)
    return int(tag.value) if tag else 0


def _check_page(page: Any, size: int, max_pixels: int) -> None:
    """Raise ``ImageError`` before tifffile believes a damaged directory and takes all memory."""
    pixels = page.imagewidth * page.imagelength
    tile = page.tilewidth * page.tilelength * max(1, page.tiledepth)
    odd = page.imagedepth > 1 or page.samplesperpixel > 16 or page.bitspersample > 64
    if not 0 < pixels <= max_pixels or odd or tile > max(4 * pixels, 1 << 22):
        raise ImageError("damaged picture (an impossible layout); check the file")
    stored = page.imagelength * (page.imagewidth * page.samplesperpixel * page.bitspersample // 8)
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    whole = page.compression > 1 or page.is_subsampled or stored <= size
    if not whole or any(start + count > size or not count for start, count in parts):
        raise truncated()


def _stored(page: Any) -> np.ndarray:
    """Samples (H, W, S) as they are stored, of whatever type; raises ``ImageError``."""
    try:
        pixels = _assembled(page)
    except (ValueError, NotImplementedError, RuntimeError, TypeError) as error:
        what = f"{_name(page.compression)} TIFF of {page.bitspersample} bits"
        if "imagecodecs" in str(error) and not _codecs():
            raise Wanting(f"{what} needs pip install 'colorcli[tiff]'") from None
        if page.is_subsampled:
            raise Refused("YCbCr TIFF of subsampled colours; save it as RGB") from None
        if isinstance(error, NotImplementedError) or "not supported" in str(error):
            raise Refused(f"{what} is not read; save it uncompressed") from None
        raise
    if page.predictor == 2 and page.bitspersample not in (8, 16, 32, 64):
        pixels &= pixels.dtype.type(2**page.bitspersample - 1)  # differences wrap at their depth
    if page.bitspersample == 24:  # tifffile turns four bytes where there are three
        big = page.parent.byteorder == ">"
        pixels = pixels >> np.uint32(8) if big else pixels.byteswap() >> np.uint32(8)
    return pixels


def _assembled(page: Any) -> np.ndarray:
    """All strips or tiles (H, W, S); raises ``ImageError`` where one is short.

    ``asarray`` would fill up what is missing.
    """
    if page.axes not in ("YX", "YXS", "SYX"):
        raise Refused(f"TIFF page of axes {page.axes}; not a photograph")
    planes, _, height, width, samples = page.shaped
    out = np.empty((planes, height, width, samples), page.dtype)
    left = out.size
    for part, (plane, _, top, across, _), shape in page.segments(maxworkers=1):
        if part is None:
            raise truncated()
        tall, wide = min(shape[1], height - top), min(shape[2], width - across)
        out[plane, top : top + tall, across : across + wide] = part[0, :tall, :wide]
        left -= tall * wide * samples
    if left:
        raise truncated()
    return np.moveaxis(out[..., 0], 0, -1) if planes > 1 else out[0]


def _codecs() -> bool:
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return False
    return True


def _name(value: Any) -> str:
    return getattr(value, "name", str(value))


def _declared(page: Any) -> tuple[float, float] | None:
    """The range of samples by their tags, ``SMinSampleValue`` and ``SMaxSampleValue``."""
    ends = []
    for number in (SMALLEST, LARGEST):
        tag = page.tags.get(number)
        if tag is None:
            return None
        ends.append(float(np.ravel(tag.value)[0]))
    low, high = ends
    return (low, high) if low < high else None


def _scaled(pixels: np.ndarray, page: Any) -> np.ndarray:
    kind = pixels.dtype.kind
    if kind == "f":
        encoded = page.iccprofile or _name(page.photometric) == "SEPARATED"
        return from_floats(pixels, cut if encoded else None)
    if kind not in "uib":
        raise Refused(f"TIFF of {pixels.dtype} samples; not a photograph")
    return from_integers(pixels, page.bitspersample, _declared(page))


# --- what samples mean -------------------------------------------------------------------------


def _plain(pixels: np.ndarray, page: Any) -> np.ndarray:
    return _scaled(pixels, page)


def _white_is_zero(pixels: np.ndarray, page: Any) -> np.ndarray:
    light = _scaled(pixels, page)
    light[..., 0] = np.iinfo(light.dtype).max - light[..., 0]
    return light


def _palette(pixels: np.ndarray, page: Any) -> np.ndarray:
    colours = np.asarray(page.colormap).T
    if colours.size and colours.max() < 256:  # 8-bit values, by old and careless writers
        colours = to_depth(colours.astype(np.uint8), np.uint16)
    if page.bitspersample <= 8:
        colours = (colours >> 8).astype(np.uint8)
    index = pixels[..., 0]
    if index.dtype.kind not in "ub" or int(index.max()) >= len(colours):
        raise ImageError("damaged picture (colours are missing in its palette); check the file")
    return np.concatenate([colours[index], _scaled(pixels[..., 1:], page)], axis=2)


_DECODED_TO_RGB = ("JPEG", "OJPEG", "ALT_JPEG", "WEBP", "JPEGXL", "JPEGXL_DNG", "APERIO_JP2000_RGB")


def _ycbcr(pixels: np.ndarray, page: Any) -> np.ndarray:
    """YCbCr (TIFF 6.0, section 21) of full resolution, where the codec did not convert it."""
    if _name(page.compression) in _DECODED_TO_RGB:
        return _scaled(pixels, page)
    if page.tags.get(SUBSAMPLING) is None:  # by default a quarter of the chroma is there
        raise Refused("YCbCr TIFF of subsampled colours; save it as RGB")
    if pixels.dtype != np.uint8:
        raise Refused(f"{page.bitspersample}-bit YCbCr TIFF; convert it to RGB first")
    red, green, blue = _numbers(page, 529, (0.299, 0.587, 0.114))
    levels = _numbers(page, 532, (0, 255, 128, 255, 128, 255))
    y, cb, cr = (
        (pixels[..., i].astype(np.float32) - black) * (full / (white - black))
        for i, (full, black, white) in enumerate(
            zip((255, 127, 127), levels[::2], levels[1::2], strict=True)
        )
    )
    r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
    g = (y - red * r - blue * b) / green
    colours = np.rint(np.clip(np.stack([r, g, b], axis=-1), 0, 255)).astype(np.uint8)
    return np.concatenate([colours, pixels[..., 3:]], axis=2)


def _numbers(page: Any, number: int, default: tuple[float, ...]) -> tuple[float, ...]:
    """A tag of rationals, which tifffile gives as numerators and denominators."""
    tag = page.tags.get(number)
    if tag is None or len(np.ravel(tag.value)) != 2 * len(default):
        return default
    pairs = np.asarray(tag.value, float).reshape(-1, 2)
    return tuple(pairs[:, 0] / np.maximum(pairs[:, 1], 1))


@dataclass(frozen=True)
class _Meaning:
    """Samples of a photometric interpretation: how many, how many come of them, how."""

    stored: int
    given: int
    convert: Callable[[np.ndarray, Any], np.ndarray] = _plain


_MEANINGS = {
    "MINISWHITE": _Meaning(1, 1, _white_is_zero),
    "MINISBLACK": _Meaning(1, 1),
    "RGB": _Meaning(3, 3),
    "PALETTE": _Meaning(1, 3, _palette),
    "SEPARATED": _Meaning(4, 4),
    "YCBCR": _Meaning(3, 3, _ycbcr),
}


@dataclass(frozen=True)
class _Lab:
    """A TIFF's CIELAB (TIFF 6.0, section 23, and ICC's own): what is 100 and 1, and whether
    a and b are signed.
    """

    full: dict[int, float]
    signed: bool

    def __call__(self, pixels: np.ndarray, page: Any) -> np.ndarray:
        """(H, W, 3) float32 Lab; raises ``ImageError``."""
        bits = page.bitspersample
        if pixels.dtype.kind == "f":
            return np.ascontiguousarray(pixels, np.float32)
        if bits not in self.full:
            raise Refused(f"{bits}-bit CIELAB TIFF; convert it to 8 or 16 bits first")
        raw = pixels.view(f"u{bits // 8}")
        lab = raw.astype(np.float32)
        lab[..., 0] *= 100 / self.full[bits]
        steps = raw[..., 1:].view(f"i{bits // 8}") if self.signed else lab[..., 1:]
        lab[..., 1:] = steps / np.float32(2 ** (bits - 8)) - (0 if self.signed else 128)
        return lab


_LABS = {
    "CIELAB": _Lab({8: 255, 16: 65535}, signed=True),
    "ICCLAB": _Lab({8: 255, 16: 65280}, signed=False),
}


def read_page(data: bytes, index: int, max_pixels: int) -> Samples:
    """Page ``index`` of a TIFF file; raises ``ImageError``."""
    with library().TiffFile(io.BytesIO(data)) as file:
        page = file.pages[index]
        if page.dtype is None or not isinstance(page.bitspersample, int):
            raise Refused(f"TIFF of {page.bitspersample} bits a sample; save it with 8 or 16")
        _check_page(page, len(data), max_pixels)
        tag = page.tags.get(ExifTags.Base.Orientation)
        turned, profile = int(tag.value) if tag else 1, page.iccprofile
        kind = _name(page.photometric)
        if kind in _LABS:
            lab = _LABS[kind](_enough(_stored(page), min(3, page.samplesperpixel)), page)
            if lab.shape[2] < 3:
                lab = np.dstack([lab[..., 0], np.zeros((*lab.shape[:2], 2), np.float32)])
            depth = np.uint8 if page.bitspersample <= 8 else np.uint16
            return Samples(np.empty(lab.shape[:2], depth), None, None, turned, lab)
        meaning = _MEANINGS.get(kind)
        if meaning is None:
            raise Refused(f"{page.bitspersample}-bit {kind} TIFF; convert it to RGB first")
        stored = _stored(page)
        count = meaning.stored
        if kind == "SEPARATED" and page.samplesperpixel < 4:
            raise Refused(f"TIFF of {page.samplesperpixel} inks; convert it to RGB first")
        extra = [_name(e) for e in page.extrasamples]
        alpha = extra[0] if extra[:1] in (["UNASSALPHA"], ["ASSOCALPHA"]) else None
        pixels = _enough(stored, count + (alpha is not None))
        notes = () if _declared(page) else remarks(pixels)
        samples = _parted(meaning.convert(pixels, page), meaning.given, alpha, profile, turned)
        return replace(samples, notes=notes)


def _enough(pixels: np.ndarray, count: int) -> np.ndarray:
    if pixels.shape[2] < count:
        raise ImageError("damaged picture (samples are missing); check the file")
    return np.ascontiguousarray(pixels[..., :count])


def _parted(
    pixels: np.ndarray, count: int, kind: str | None, profile: bytes | None, turned: int
) -> Samples:
    """Colours and alpha apart; colours that alpha was multiplied into are divided by it."""
    alpha = None if kind is None else np.ascontiguousarray(pixels[..., count])
    colours = np.ascontiguousarray(pixels[..., 0] if count == 1 else pixels[..., :count])
    if alpha is not None and kind == "ASSOCALPHA":
        full = np.iinfo(pixels.dtype).max
        shown = full / np.maximum(alpha, 1).astype(np.float32)
        shown = shown if colours.ndim == 2 else shown[..., None]
        colours = np.rint(np.minimum(colours * shown, full)).astype(pixels.dtype)
    return Samples(colours, alpha, profile, turned)
