"""Whether all of a picture is in its file, where decoders fill what is missing and say nothing."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from colorcli.imaging import png
from colorcli.system.errors import ImageError

MAX_FRAMES = 10_000


def truncated() -> ImageError:
    """The error for a file that ends, or whose pixels end, too early."""
    return ImageError("damaged picture (the file is truncated); check the file")


def gif_frames(data: bytes) -> tuple[int, str | None]:
    """Frames of a GIF, by its blocks, and what is wrong behind the last of them.

    Counts no further than one over ``MAX_FRAMES``. A file that ends behind a whole block lacks its
    end mark, which some writers leave out. Raises ``ImageError`` where it ends within a block.
    """
    frames, at = 0, 13

    def table(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    try:
        at += table(data[10])
        while frames <= MAX_FRAMES:
            if frames and at == len(data):
                return frames, "its end mark is missing: all that is in it was read"
            if (kind := data[at]) == 0x3B:
                break
            if kind == 0x2C:
                frames += 1
                at += 11 + table(data[at + 9])
            elif kind == 0x21:
                at += 2
            elif frames:
                return frames, f"what follows its frame {frames} is damaged and was left out"
            else:
                raise ImageError("damaged picture (unknown block); check the file")
            while size := data[at]:
                at += size + 1
            at += 1
    except IndexError:
        raise truncated() from None
    return frames, None


def tiff_pages_lost(data: bytes) -> str | None:
    """What is wrong behind the last page of a TIFF: another that its directory says is beyond its end.

    Libraries end there and say nothing, also where most of the pages were cut off.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    counts, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    pages, seen = 0, set[int]()
    at = 8 if big else 4
    try:
        while (at := struct.unpack_from(order + pointer, data, at)[0]) and at not in seen:
            if at + struct.calcsize(order + counts) > len(data):
                return f"what follows its page {pages} is beyond its end and was left out"
            seen.add(at)
            pages += 1
            (count,) = struct.unpack_from(order + counts, data, at)
            at += struct.calcsize(order + counts) + entry * count
    except struct.error:  # of a directory that is cut off, readers have something to say
        pass
    return None


def _jpeg_scan(data: bytes) -> int:
    """Where the first scan of a JPEG begins."""
    at = 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + length
    return at


def is_filler(row: np.ndarray) -> bool:
    """Whether a JPEG's last row has only the mid-gray that libjpeg paints for missing data."""
    return not ((row != 128) & (row != 127)).any()


def check_jpeg(image: Image.Image, data: bytes) -> None:
    """Raise ``ImageError`` where scan data ends early behind a proper end-of-image marker.

    libjpeg paints what is missing mid-gray. So when a loaded picture's last row is that gray,
    it is decoded again with noise where its data ends: only a picture that lacks data changes.
    """

    def last_row(picture: Image.Image) -> np.ndarray:
        return np.asarray(picture.crop((0, picture.height - 1, picture.width, picture.height)))

    row = last_row(image)
    if not is_filler(row):
        return
    try:
        end = data.find(b"\xff\xd9", _jpeg_scan(data))
    except (IndexError, struct.error):
        return
    if end < 0:
        raise truncated()
    length = 4096 + image.width * image.height // 2
    noise = np.random.default_rng(0).integers(0, 255, length, np.uint8).tobytes()
    again = Image.open(io.BytesIO(data[:end] + noise + b"\xff\xd9"), formats=["JPEG"])
    if not np.array_equal(last_row(again), row):
        raise truncated()


def check_jp2(data: bytes) -> None:
    """Raise ``ImageError`` where a JPEG 2000 codestream lacks tiles, which OpenJPEG leaves black.

    Markers SIZ and SOT of ISO/IEC 15444-1, A.4.2 and A.5.1.
    """
    start = data.find(b"\xff\x4f\xff\x51")
    at = data.find(b"\xff\x90\x00\x0a", start)
    if start < 0 or at < 0:
        raise truncated()
    width, height, _, _, tile_width, tile_height, left, top = struct.unpack_from(
        ">8I", data, start + 8
    )
    if not tile_width or not tile_height:
        raise ImageError("damaged picture (tiles of no size); check the file")
    count = -(-(width - left) // tile_width) * -(-(height - top) // tile_height)
    seen = set()
    while data[at : at + 4] == b"\xff\x90\x00\x0a" and at + 10 <= len(data):
        tile, length = struct.unpack_from(">HI", data, at + 4)
        seen.add(tile)
        at += length or len(data)
    if len(seen) < count:
        raise truncated()


_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS")  # chunks that a PNG's pixels hang on
_MOTION = (b"acTL", b"fcTL", b"fdAT")


def bare_png(data: bytes) -> tuple[bytes, bool]:
    """A PNG without the chunks that its still picture does not need, and whether it was to move.

    Raises ``ImageError`` where the file ends before its pixels, or an animation, do.
    """
    parts, at, moves, body = [data[:8]], 8, False, False
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        moves |= name in _MOTION
        body |= name == b"IDAT"
        if name in _PIXELS:
            parts.append(data[at:end])
        at = end
        if name == b"IEND":
            return b"".join(parts), moves
    if moves or not body:
        raise truncated()
    return b"".join([*parts, png.chunk(b"IEND", b"")]), False
