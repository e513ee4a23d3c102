"""Samples that Pillow would flatten to 8 bits: 16-bit colour and floating point, in and out."""

from __future__ import annotations

import io
import logging
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import cv2
import numpy as np
from PIL import ExifTags, Image

from colorcli import metadata
from colorcli.errors import ImageError
from colorcli.pipeline import in_order
from colorcli.whole import truncated


@dataclass(frozen=True)
class Samples:
    """One page as its file holds it.

    ``pixels`` (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK with 0 for no ink; uint8 or uint16.
    ``alpha`` (H, W) of the same dtype, or None. ``profile``: ICC bytes, or None.
    ``orientation``: EXIF's 1…8, still to be applied.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    orientation: int = 1


def _sixteen(values: np.ndarray, bits: int = 16) -> np.ndarray:
    """Samples of any type as uint16; raises ``ImageError`` where their scale is not known.

    Floats are taken as encoded 0…1, integers wider than 16 bits as 16-bit values.
    """
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not (low >= -0.001 and high <= 1.001):
            raise ImageError(
                f"floating-point samples from {low:.4g} to {high:.4g}; scale them to 0…1 first"
            )
        return np.rint(np.clip(values, 0, 1).astype(np.float32) * 65535).astype(np.uint16)
    if values.dtype == np.uint16:
        if bits == 16:
            return np.ascontiguousarray(values)
        return (values.astype(np.uint32) * 65535 // (2**bits - 1)).astype(np.uint16)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(f"samples from {low} to {high}; convert the picture to 8 or 16 bits first")
    return values.astype(np.uint16)


def integers(image: Image.Image) -> np.ndarray:
    """A loaded Pillow image of mode I, I;16 or F as (H, W) uint16."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(258, (16,))[0]
    values = np.asarray(image)
    deep = _sixteen(values, bits if values.dtype == np.uint16 and bits < 16 else 16)
    return 65535 - deep if tags.get(262) == 0 and tags.get(258) else deep  # white is zero


# --- PNG and JPEG 2000 through OpenCV ----------------------------------------------------------


def _opencv(data: bytes) -> Samples:
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ImageError("damaged picture; check the file")
    if pixels.ndim == 2:
        return Samples(pixels)
    if pixels.shape[2] == 3:
        return Samples(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return Samples(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), np.ascontiguousarray(pixels[..., 3]))


def _deep_png(data: bytes) -> bool:
    deep = data[:4] == b"\x89PNG" and data[24:25] == b"\x10"
    return deep and data[25] in (2, 4, 6) and b"acTL" not in data[:1024]


def _deep_jp2(data: bytes) -> bool:
    at = data.find(b"\xff\x4f\xff\x51")  # SOC and SIZ open the codestream
    return (
        at >= 0 and data[at + 40 : at + 42] in (b"\0\3", b"\0\4") and (data[at + 42] & 0x7F) + 1 > 8
    )


def depth(image: Image.Image, head: bytes) -> int:
    """Bits of a sample, 8 or 16, of a file that Pillow has opened; ``head`` is how it begins."""
    tags = getattr(image, "tag_v2", {})
    deep = image.mode[0] in "IF" or max(tags.get(258, (1,))) > 8
    return 16 if deep or _deep_png(head) or _deep_jp2(head) else 8


def from_image(image: Image.Image, data: bytes, index: int) -> Samples | None:
    """The samples of page ``index`` where Pillow, which opened it, would lose some; else None."""
    if (image.format == "PNG" and _deep_png(data)) or (
        image.format == "JPEG2000" and _deep_jp2(data)
    ):
        return _opencv(data)
    if image.format == "TIFF":
        tags = cast("Any", image).tag_v2
        bits = tags.get(258, (1,))
        if max(bits) > 8 and (len(bits) > 1 or tags.get(277, 1) > 1 or max(bits) > 16):
            return tiff_page(data, index, image.width * image.height)
    return None


# --- Netpbm ------------------------------------------------------------------------------------

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PNM = re.compile(rb"P([36])" + (_GAP + rb"(\d{1,9})") * 3 + rb"\s")
_PFM = re.compile(rb"P([Ff])\s+(\d{1,9})\s+(\d{1,9})\s+(-?[\d.eE+-]{1,20})\s")


@dataclass(frozen=True)
class Netpbm:
    """The header of a 16-bit PPM or a PFM, and where its samples begin."""

    size: tuple[int, int]
    channels: int
    start: int
    peak: int = 0
    plain: bool = False
    order: str = ">"

    def read(self, data: bytes) -> Samples:
        """The picture; raises ``ImageError`` when it is not whole."""
        (width, height), channels = self.size, self.channels
        count = width * height * channels
        if self.plain:
            values = np.array(data[self.start :].split()[:count], np.uint32)
        else:
            dtype = np.dtype(f"{self.order}{'u2' if self.peak else 'f4'}")
            if len(data) - self.start < count * dtype.itemsize:
                raise truncated()
            values = np.frombuffer(data, dtype, count, self.start)
        if values.size < count:
            raise truncated()
        shape = (height, width, channels) if channels > 1 else (height, width)
        if not self.peak:  # PFM: floats, bottom row first
            return Samples(_sixteen(values.reshape(shape)[::-1]))
        if values.max() > self.peak:
            raise ImageError("damaged picture (samples over the maximum); check the file")
        scaled = values.astype(np.uint16) if self.peak == 65535 else values * (65535 / self.peak)
        return Samples(np.rint(scaled).astype(np.uint16).reshape(shape))


def netpbm(data: bytes) -> Netpbm | None:
    """The header when ``data`` is a Netpbm picture that Pillow would flatten or not read."""
    if match := _PNM.match(data):
        width, height, peak = (int(v) for v in match.groups()[1:])
        if 255 < peak < 65536 and width and height:
            return Netpbm((width, height), 3, match.end(), peak, match[1] == b"3")
    elif match := _PFM.match(data):
        width, height = int(match[2]), int(match[3])
        if width and height:
            channels = 3 if match[1] == b"F" else 1
            order = "<" if match[4].startswith(b"-") else ">"
            return Netpbm((width, height), channels, match.end(), order=order)
    return None


def write_ppm(rgb: np.ndarray) -> bytes:
    """(H, W, 3) uint8 or uint16 as a binary PPM of that depth."""
    height, width = rgb.shape[:2]
    big = rgb.astype(rgb.dtype.newbyteorder(">"), copy=False)
    return b"P6\n%d %d\n%d\n" % (width, height, np.iinfo(rgb.dtype).max) + big.tobytes()


def _bgr(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    if alpha is None:
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.merge([rgb[..., 2], rgb[..., 1], rgb[..., 0], alpha])


def write_png(rgb: np.ndarray, alpha: np.ndarray | None, chunks: bytes) -> bytes:
    """(H, W, 3) uint16, alpha (H, W) uint16 or None, as a PNG with ``chunks`` after ``IHDR``."""
    _, buffer = cv2.imencode(".png", _bgr(rgb, alpha), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    data = buffer.data.cast("B")
    return b"".join([data[:33], chunks, data[33:]])


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


# --- TIFF through tifffile ---------------------------------------------------------------------


def _tifffile() -> Any:
    import tifffile  # 0.1 s: only for pictures that need it

    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    return tifffile


def tiff_size(file: BinaryIO) -> tuple[int, int, int]:
    """Width and height of the first page and the number of pages, for what Pillow cannot open."""
    with _tifffile().TiffFile(file) as tiff:
        page = tiff.pages[0]
        return page.imagewidth, page.imagelength, len(tiff.pages)


def tiff_profile(file: BinaryIO) -> bytes | None:
    """The ICC profile of the first page, for what Pillow cannot open."""
    with _tifffile().TiffFile(file) as tiff:
        return tiff.pages[0].iccprofile


def _missing(page: Any) -> ImageError:
    kind = f"{page.compression.name} TIFF of {page.bitspersample} bits"
    return ImageError(f"{kind}; pip install 'colorcli[tiff]', or save it uncompressed")


def _check_page(page: Any, size: int, max_pixels: int) -> None:
    """Raise ``ImageError`` before tifffile believes a damaged directory and takes all memory."""
    pixels = page.imagewidth * page.imagelength
    tile = page.tilewidth * page.tilelength * max(1, page.tiledepth)
    odd = page.imagedepth > 1 or page.samplesperpixel > 16 or page.bitspersample > 64
    if not 0 < pixels <= max_pixels or odd or tile > max(4 * pixels, 1 << 22):
        raise ImageError("damaged picture (an impossible layout); check the file")
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    whole = page.compression > 1 or page.nbytes <= size
    if not whole or any(start + count > size or not count for start, count in parts):
        raise truncated()


def tiff_page(data: bytes, index: int, max_pixels: int) -> Samples:
    """Page ``index`` of a TIFF file as it is stored; raises ``ImageError``."""
    with _tifffile().TiffFile(io.BytesIO(data)) as file:
        page = file.pages[index]
        _check_page(page, len(data), max_pixels)
        tag = page.tags.get(ExifTags.Base.Orientation)
        turned = int(tag.value) if tag else 1
        try:
            pixels = page.asarray(maxworkers=1)
        except (ValueError, NotImplementedError, RuntimeError) as error:
            if "imagecodecs" not in str(error):
                raise
            pixels = _libtiff(data, index, page)
        if page.axes == "SYX":  # planes one after the other
            pixels = np.moveaxis(pixels, 0, -1)
        elif page.axes not in ("YX", "YXS"):
            raise ImageError(f"TIFF page of axes {page.axes}; not a photograph")
        kind = page.photometric.name
        wanted = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3, "SEPARATED": 4}.get(kind)
        if wanted is None:
            raise ImageError(f"{page.bitspersample}-bit {kind} TIFF; convert it to RGB first")
        bits = page.bitspersample
        if pixels.dtype != np.uint8:
            pixels = _sixteen(pixels, bits if pixels.dtype == np.uint16 else 16)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if pixels.shape[2] < wanted:
            raise ImageError("damaged picture (samples are missing); check the file")
        extra = [getattr(e, "name", str(e)) for e in page.extrasamples]
        alpha = None
        if pixels.shape[2] > wanted and extra[:1] in (["UNASSALPHA"], ["ASSOCALPHA"]):
            alpha = np.ascontiguousarray(pixels[..., wanted])
        pixels = np.ascontiguousarray(
            pixels[..., :wanted].squeeze(2) if wanted == 1 else pixels[..., :wanted]
        )
        full = np.iinfo(pixels.dtype).max
        if kind == "MINISWHITE":
            pixels = full - pixels
        if alpha is not None and extra[0] == "ASSOCALPHA":
            shown = np.maximum(alpha, 1).astype(np.float32)
            shown = full / (shown if pixels.ndim == 2 else shown[..., None])
            pixels = np.rint(np.minimum(pixels * shown, full)).astype(pixels.dtype)
        return Samples(pixels, alpha, page.iccprofile, turned)


def _libtiff(data: bytes, index: int, page: Any) -> np.ndarray:
    """RGB(A) pages in a compression that tifffile lacks, through OpenCV's libtiff."""
    plain = page.photometric.name == "RGB" and page.bitspersample == 16
    if not plain or page.samplesperpixel not in (3, 4):
        raise _missing(page)
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    done, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), flags, range=(index, index + 1))
    if not done or pages[0].dtype != np.uint16 or pages[0].ndim != 3:
        raise _missing(page)
    how = cv2.COLOR_BGR2RGB if pages[0].shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(pages[0], how)


@dataclass(frozen=True)
class Strips:
    """A page too large to hold: ``rows`` are (h, W, C) of ``dtype``, and end with its last."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    rows: Iterable[np.ndarray]

    def cut(self, tall: int) -> Iterator[np.ndarray]:
        """The same rows ``tall`` at a time; fewer in the end."""
        left: list[np.ndarray] = []
        for rows in self.rows:
            rows = np.concatenate([*left, rows]) if left else rows
            even = rows.shape[0] // tall * tall
            for top in range(0, even, tall):
                yield rows[top : top + tall]
            left = [rows[even:].copy()] if even < rows.shape[0] else []
        yield from left


TIFF_STRIP = 1 << 20  # bytes, before they are deflated
_DEFLATE = 3  # level


def _deflated(rows: np.ndarray) -> bytes:
    """A strip of a TIFF: differences to the pixel before (TIFF 6.0, section 14), deflated.

    tifffile does the same to whole pages, but takes strips one by one only when it is done.
    """
    steps = rows.astype(rows.dtype.newbyteorder("<"))
    steps[:, 1:] -= rows[:, :-1]
    return zlib.compress(steps.data, _DEFLATE)


def write_tiff(
    file: BinaryIO,
    pages: Iterable[np.ndarray | Strips],
    extra: Mapping[str, Any],
    profile: bytes,
    big: bool = False,
) -> None:
    """Pages (H, W, 3) RGB or (H, W, 4) with alpha, uint8 or uint16, as a deflated TIFF."""
    tags, below = metadata.tiff_tags(extra, below=not big)
    more: dict[str, Any] = {"iccprofile": profile, "extratags": tags}
    if "dpi" in extra:
        more |= {"resolution": extra["dpi"], "resolutionunit": "INCH"}
    tifffile = _tifffile()
    # With a name of our own: that of an open file may be a number, at which tifffile stumbles.
    handle = tifffile.FileHandle(file, name="pages.tif")
    with tifffile.TiffWriter(handle, bigtiff=big, byteorder="<") as writer:
        for page in pages:
            _, width, channels = page.shape
            tall = max(1, TIFF_STRIP // (width * channels * page.dtype.itemsize))
            writer.write(
                in_order(_deflated, page.cut(tall), threads=2, window=4)
                if isinstance(page, Strips)
                else page,
                shape=page.shape,
                dtype=page.dtype,
                photometric="rgb",
                extrasamples=("unassalpha",) if channels == 4 else (),
                compression="zlib",
                compressionargs={"level": _DEFLATE},
                predictor=True,
                rowsperstrip=tall,
                metadata=None,
                software=False,
                maxworkers=1,
                **more,
            )
            more["extratags"] = ()  # the file's own stand on its first page
    if below:
        _append_directories(file, below)


def _append_directories(file: BinaryIO, below: Mapping[int, dict[int, Any]]) -> None:
    """EXIF and GPS directories behind the pages, and their offsets into the first."""

    def unpack(form: str, place: int) -> int:
        file.seek(place)
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]

    offsets = {}
    for tag, values in below.items():
        start = file.seek(0, io.SEEK_END)
        start += file.write(b"\0" * (start % 2))
        file.write(metadata.directory(values, tag, start))
        offsets[tag] = start
    first = unpack("<I", 4)
    for place in range(first + 2, first + 2 + 12 * unpack("<H", first), 12):
        tag = unpack("<H", place)
        if tag + 1 in offsets:  # tifffile writes no pointers; their neighbours hold the place
            file.seek(place)
            file.write(struct.pack("<H", tag + 1))
            file.seek(place + 8)
            file.write(struct.pack("<I", offsets[tag + 1]))
