"""Targa that Pillow stops at: runs that cross rows, and pictures that begin in another corner."""

from __future__ import annotations

import struct

import numpy as np

from colorcli.imaging.refusals import Refused, check_size
from colorcli.imaging.sixteen_bit import Samples
from colorcli.imaging.truncation import truncated
from colorcli.system.errors import ImageError

_NUMBERED, _COLOURED, _GRAY, _RUNS = 1, 2, 3, 8  # image types; the last is added to others
_HEADER = 18


def _unpacked(data: bytes, at: int, count: int, step: int) -> bytes:
    """``count`` pixels of ``step`` bytes from packets, which need not end with their row."""
    out, size = bytearray(), count * step
    while len(out) < size:
        if at >= len(data):
            raise truncated()
        number = (data[at] & 0x7F) + 1
        if data[at] & 0x80:
            out += data[at + 1 : at + 1 + step] * number
            at += 1 + step
        else:
            out += data[at + 1 : at + 1 + step * number]
            at += 1 + step * number
    return bytes(out[:size])


def _channels(pixels: np.ndarray) -> np.ndarray:
    """Stored bytes (…, 2, 3 or 4) as RGB or RGBA (…, 3 or 4) uint8."""
    if pixels.shape[-1] > 2:
        return pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]
    packed = pixels[..., 0].astype(np.uint16) | pixels[..., 1].astype(np.uint16) << 8
    fives = np.stack([packed >> shift & 31 for shift in (10, 5, 0)], axis=-1)
    return np.rint(fives * (255 / 31)).astype(np.uint8)


def read(data: bytes, max_pixels: int) -> Samples:
    """The picture; raises ``ImageError``."""
    if len(data) < _HEADER:
        raise truncated()
    noted, _, kind, first, colours, entry = struct.unpack_from("<BBBHHB", data)
    width, height, bits, layout = struct.unpack_from("<HHBB", data, 12)
    check_size(width, height, max_pixels)
    meaning, step = kind & ~_RUNS, (bits + 7) // 8
    depths = {_NUMBERED: (8, 16), _COLOURED: (15, 16, 24, 32), _GRAY: (8, 16)}
    if bits not in depths.get(meaning, ()) or (colours and entry not in depths[_COLOURED]):
        raise Refused(f"Targa of type {kind} and {bits} bits; save it as PNG")
    table_at, wide = _HEADER + noted, (entry + 7) // 8
    at, size = table_at + colours * wide, width * height * step
    body = _unpacked(data, at, width * height, step) if kind & _RUNS else data[at : at + size]
    if len(body) < size:
        raise truncated()
    pixels = np.frombuffer(body, np.uint8).reshape(height, width, step)
    if layout & 0x10:
        pixels = pixels[:, ::-1]
    if not layout & 0x20:
        pixels = pixels[::-1]
    if meaning == _NUMBERED:
        index = pixels[..., 0].astype(int) + (pixels[..., 1].astype(int) << 8 if step > 1 else 0)
        table = np.frombuffer(data, np.uint8, colours * wide, table_at).reshape(colours, wide)
        if int(index.max()) - first >= colours or int(index.min()) < first:
            raise ImageError("damaged picture (colours are missing in its palette); check the file")
        pixels = table[index - first]
    if meaning == _GRAY:
        return _parted(pixels, 1, layout)
    return _parted(_channels(pixels), 3, layout)


def _parted(pixels: np.ndarray, count: int, layout: int) -> Samples:
    """Colours, and alpha where the header says that the bits over are it."""
    shown = pixels[..., 0] if count == 1 else pixels[..., :count]
    alpha = None
    if pixels.shape[2] > count and layout & 15 and pixels[..., count].any():
        alpha = np.ascontiguousarray(pixels[..., count])
    return Samples(np.ascontiguousarray(shown), alpha)
