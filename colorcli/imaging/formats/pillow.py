"""Pictures that Pillow reads: its pages, and planes of each."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from PIL import ExifTags, Image

from colorcli.color.lab import strips
from colorcli.imaging import sixteen_bit, truncation
from colorcli.imaging.formats import jp2, jpeg, tiff
from colorcli.imaging.kinds import KINDS, lazily
from colorcli.imaging.planes import (
    Picture,
    band,
    by_strips,
    from_samples,
    in_srgb,
    notes_of_inks,
    upright,
)  # fmt: skip
from colorcli.imaging.refusals import Damaged, Declined, Final, check_size, failures
from colorcli.imaging.tags import metadata
from colorcli.imaging.tags.icc import conversion
from colorcli.system.errors import ImageError


@dataclass(frozen=True)
class Request:
    """A file to read. ``extra`` takes the metadata that its copy is to carry."""

    data: bytes
    kind: str
    max_pixels: int
    keep: bool
    extra: dict[str, Any]


@dataclass(frozen=True)
class Pages:
    """A file as one reader sees it; ``load`` gives a page, or raises whatever its library does."""

    count: int
    load: Callable[[int], Picture]


# Multi-picture JPEGs of phones hold previews and gain maps besides the photograph; only frames
# of the "Multi-Frame" kinds are photographs in their own right (CIPA DC-007, 5.2.3.3).
def page_numbers(image: Image.Image, data: bytes) -> list[int]:
    """Pillow's numbers of the frames that are pictures, not thumbnails, masks or previews."""
    if image.format == "GIF":
        return list(range(max(1, truncation.gif_frames(data)[0])))
    if image.format in ("PSD", "ICO"):  # layers; sizes of one
        return [0]
    count, plugin = getattr(image, "n_frames", 1), cast("Any", image)  # what its plugin adds
    if image.format == "MPO":
        kinds = [entry["Attribute"]["MPType"] for entry in plugin.mpinfo[0xB002]]
        return [0, *(i for i, kind in enumerate(kinds) if i and kind.startswith("Multi-Frame"))]
    if image.format == "TIFF" and 1 < count <= truncation.MAX_FRAMES:
        kinds = []
        for i in range(count):
            image.seek(i)
            kinds.append(int(plugin.tag_v2.get(254, 0)))
        image.seek(0)
        return [i for i, kind in enumerate(kinds) if not kind & 5] or [0]
    return list(range(count))


_EXIF = {"exif", "Raw profile type exif", "Raw profile type APP1"}  # keys of Pillow's for it


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1…8; not XMP's, which only Pillow heeds."""
    if not hasattr(image, "tag_v2") and not image.info.keys() & _EXIF:
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return value[0] if isinstance(value, bytes) else int(value)
    except Exception:  # damaged EXIF raises anything: leave the picture as it lies
        return 1


# What the two sides of a PNG or JPEG 2000 inside another file stand behind, and how far.
_INSIDE = {b"IHDR": 4, b"ihdr": 4, b"\xff\x4f\xff\x51": 8}


def _check_inside(data: bytes, max_pixels: int) -> None:
    """Raise ``ImageError`` for an icon whose pictures are larger than its own table says."""
    for found in re.finditer(b"|".join(map(re.escape, _INSIDE)), data):
        sides = data[found.start() + _INSIDE[found[0]] :][:8]
        if len(sides) == 8:
            width, height = struct.unpack(">II", sides)
            check_size(max(1, width), max(1, height), max_pixels)


def open_pages(request: Request) -> Pages:
    """The pages of a file; raises ``ImageError``."""
    if request.kind in ("ICNS", "ICO", "CUR"):
        _check_inside(request.data, request.max_pixels)
    return pages_of(lazily(io.BytesIO(request.data), request.kind), request)


def open_bare_jpeg(request: Request) -> Pages:
    """The first picture of a JPEG whose other segments are broken."""
    return pages_of(jpeg.bare(request.data), request)


def open_bare_png(request: Request) -> Pages:
    """The still picture of a PNG whose animation or text is broken; raises ``ImageError``."""
    data, moves = truncation.bare_png(request.data)
    pages = pages_of(lazily(io.BytesIO(data), "PNG"), replace(request, data=data))
    note = "its animation is damaged; only its still picture was read"
    notes = (note,) if moves else ()
    return Pages(1, lambda i: replace(pages.load(i), notes=notes))


def pages_of(image: Image.Image, request: Request) -> Pages:
    """The pages of a file that Pillow has opened; raises ``ImageError``."""
    data, extra, kind = request.data, request.extra, image.format or ""
    check_size(*image.size, request.max_pixels)
    numbers = page_numbers(image, data)
    if len(numbers) > truncation.MAX_FRAMES:
        raise Final(f"more than {truncation.MAX_FRAMES} frames; split the file first")
    animated = len(numbers) > 1 and KINDS[request.kind].format not in ("tiff", "heic", "jpeg")
    if animated:
        check_size(image.width * len(numbers), image.height, request.max_pixels)
    notes: tuple[str, ...] = ()
    if kind == "GIF" and (wrong := truncation.gif_frames(data)[1]):
        notes = (wrong,)
    if len(numbers) > 1 and kind in ("PNG", "MPO"):
        try:
            _try_all(image, numbers, decode=kind == "PNG")
        except Exception:
            if kind == "PNG":
                raise
            numbers, notes = [0], ("only its first picture could be read",)
    if animated and ("loop" in image.info or kind == "AVIF"):
        extra["loop"] = int(image.info.get("loop", 0))
    held = [image]

    def load(i: int) -> Picture:
        # One page: its decoder is given up as soon as the planes are made.
        source = (
            held[0] if len(numbers) > 1 or i else held.pop() if held
            else lazily(io.BytesIO(data), request.kind)
        )  # fmt: skip
        if len(numbers) > 1:
            try:
                source.seek(numbers[i])
            except EOFError:
                raise ImageError("damaged picture (frames are missing)") from None
            check_size(*source.size, request.max_pixels)
            if source.format == "PNG" and source.palette:  # forgotten where Pillow goes back
                source.palette.dirty = 1
        if source.format == "TIFF" and not tiff.pillow_does(cast("Any", source).tag_v2):
            raise Declined("a TIFF for another reader")
        picture = _picture(source, data, numbers[i], request.keep)
        if animated:
            picture = replace(picture, duration=float(source.info.get("duration", 100)))
        height, width = picture.gray.shape
        collect(source, (width, height), extra)
        return replace(picture, notes=picture.notes + notes)

    return Pages(len(numbers), load)


def collect(image: Image.Image, size: tuple[int, int], extra: dict[str, Any]) -> None:
    """Add an image's metadata for a copy of ``size`` to ``extra``, unless some is there."""
    if not extra.keys() - {"loop"}:
        extra.update(metadata.collect(image, size))


def _try_all(image: Image.Image, numbers: list[int], decode: bool) -> None:
    """Raise whatever Pillow does where a frame cannot be had."""
    for number in numbers:
        with failures():
            try:
                image.seek(number)
            except EOFError:
                raise Damaged("damaged picture (frames are missing); check the file") from None
            if decode:
                image.load()
    image.seek(0)


def depth(image: Image.Image, head: bytes) -> int:
    """Bits of a sample, 8 or 16, of a file that Pillow has opened; ``head`` is how it begins."""
    tags = getattr(image, "tag_v2", {})
    wide = image.mode[0] in "IF" or max(tags.get(258, (1,))) > 8
    return 16 if wide or sixteen_bit.is_deep_png(head) or jp2.is_deep(head) else 8


def _beyond(image: Image.Image, data: bytes) -> sixteen_bit.Samples | None:
    """The samples of a file that Pillow opens, where it would give others; else None."""
    if image.format == "PNG" and sixteen_bit.is_deep_png(data):
        return sixteen_bit.opencv(data)
    if image.format == "JPEG2000" and jp2.is_deep(data):
        return jp2.read(data)
    if image.format == "JPEG2000" and jp2.is_arranged(data):
        return jp2.arranged(data)
    return None


def _picture(image: Image.Image, data: bytes, page: int, keep: bool) -> Picture:
    """The current frame of a Pillow image."""
    if image.format == "JPEG2000":
        truncation.check_jp2(data)
    special = _beyond(image, data)
    if special is not None:
        profile, turned = image.info.get("icc_profile"), orientation(image)
        return from_samples(replace(special, profile=profile, orientation=turned), keep)
    image.load()
    if image.format in ("JPEG", "MPO") and page == 0:
        truncation.check_jpeg(image, data)
    turned = orientation(image)
    convert = conversion(image.info.get("icc_profile"))
    if image.mode.startswith("I") or image.mode == "F":
        gray = sixteen_bit.integers(image)
        clear = image.info.get("transparency")
        alpha = np.where(gray == clear, 0, 65535).astype(np.uint16) if clear is not None else None
        return upright(Picture(in_srgb(gray, convert), None, alpha, 16), turned)
    alpha = None
    if image.mode in ("1", "L", "LA"):
        if image.has_transparency_data:
            image = image.convert("LA")
            alpha = np.asarray(image.getchannel("A"))
        if image.mode == "LA":
            image = image.getchannel("L")
        gray = np.empty(image.size[::-1], np.uint8)
        for rows in strips(*gray.shape):  # a sixth of the time that Pillow takes for all at once
            strip = image.crop((0, rows.start, image.width, rows.stop))
            gray[rows] = np.asarray(strip if strip.mode == "L" else strip.convert("L"))
        return upright(Picture(in_srgb(gray, convert), None, alpha, 8), turned)
    height, width = shape = image.size[::-1]
    alpha = np.empty(shape, np.uint8) if image.has_transparency_data else None

    def bands() -> Iterator[tuple[slice, np.ndarray]]:
        for rows in strips(height, width):
            strip = image.crop((0, rows.start, width, rows.stop))
            if alpha is not None:
                strip = strip.convert("RGBA")
                alpha[rows] = np.asarray(strip.getchannel("A"))
            yield rows, band(strip, convert)

    gray, rgb = by_strips(bands(), shape, np.dtype(np.uint8), keep)
    notes = notes_of_inks(convert) if image.mode == "CMYK" else ()
    return upright(Picture(gray, rgb, alpha, 8, notes=notes), turned)
