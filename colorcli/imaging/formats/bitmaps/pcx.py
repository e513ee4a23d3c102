"""PCX of every number of planes and bits, CGA's four colours among them (ZSoft's PCX, 5)."""

from __future__ import annotations

import struct

import numpy as np

from colorcli.imaging.refusals import Refused, check_size
from colorcli.imaging.sixteen_bit import Samples
from colorcli.imaging.truncation import truncated
from colorcli.system.errors import ImageError

_HEADER = 128
_NO_PALETTE = 3  # version: of a programme that leaves the header's colours as they were
# IBM's sixteen: a bit each of blue, green and red, and one of intensity; dark yellow is brown.
_IBM = np.array(
    [
        [0, 0, 0], [0, 0, 170], [0, 170, 0], [0, 170, 170],
        [170, 0, 0], [170, 0, 170], [170, 85, 0], [170, 170, 170],
        [85, 85, 85], [85, 85, 255], [85, 255, 85], [85, 255, 255],
        [255, 85, 85], [255, 85, 255], [255, 255, 85], [255, 255, 255],
    ],
    np.uint8,
)  # fmt: skip


def _unpacked(data: bytes, size: int) -> bytes:
    """``size`` bytes of run lengths, which may cross rows."""
    out, at = bytearray(), _HEADER
    while len(out) < size:
        if at + 2 > len(data) and (at >= len(data) or data[at] >= 0xC0):
            raise truncated()
        if data[at] >= 0xC0:
            out += data[at + 1 : at + 2] * (data[at] & 0x3F)
            at += 2
        else:
            out.append(data[at])
            at += 1
    return bytes(out[:size])


def _cga(header: bytes) -> np.ndarray:
    """CGA's background and three colours, by bits of the first and fourth byte of the palette."""
    _, second, bright = (header[19] >> bit & 1 for bit in (7, 6, 5))
    shown = (3, 5, 7) if second else (2, 4, 6)
    return _IBM[[header[16] >> 4, *(8 * bright + colour for colour in shown)]]


def _palette(data: bytes, depth: int, index: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of ``depth`` bits in all; ``index`` says which of them are wanted."""
    if depth == 1:
        return np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
    if depth > 4:
        if len(data) < _HEADER + 769 or data[-769] != 0x0C:
            raise ImageError("damaged picture (colours are missing in its palette); check the file")
        return np.frombuffer(data, np.uint8, 768, len(data) - 768).reshape(256, 3)
    if data[1] == _NO_PALETTE:
        return _IBM
    colours = np.frombuffer(data, np.uint8, 48, 16).reshape(16, 3)
    used = np.unique(index)
    if depth == 2 and len(np.unique(colours[used], axis=0)) < len(used):
        return _cga(data)  # whose writers fill the header with other things
    return colours


def read(data: bytes, max_pixels: int) -> Samples:
    """The picture; raises ``ImageError``."""
    if len(data) < _HEADER:
        raise truncated()
    packed, bits = data[2], data[3]
    left, top, right, bottom = struct.unpack_from("<4H", data, 4)
    planes, line = struct.unpack_from("<BH", data, 65)
    width, height = right - left + 1, bottom - top + 1
    check_size(width, height, max_pixels)
    coloured = bits == 8 and planes in (3, 4)
    if bits not in (1, 2, 4, 8) or not (coloured or 1 <= planes * bits <= 8):
        raise Refused(f"PCX of {planes} planes of {bits} bits; save it with 3 of 8")
    if line < (width * bits + 7) // 8:
        raise ImageError("damaged picture (its rows are too short); check the file")
    size = height * planes * line
    body = _unpacked(data, size) if packed else data[_HEADER : _HEADER + size]
    if len(body) < size:
        raise truncated()
    rows = np.frombuffer(body, np.uint8).reshape(height, planes, line)
    if coloured:
        return Samples(np.ascontiguousarray(rows[:, :3, :width].transpose(0, 2, 1)))
    steps = np.unpackbits(rows, axis=2)[..., : width * bits]
    steps = steps.reshape(height, planes, width, bits)
    values = np.packbits(steps, axis=3)[..., 0] >> (8 - bits)
    index = np.zeros((height, width), np.uint8)
    for plane in range(planes):
        index |= values[:, plane] << (plane * bits)
    return Samples(_palette(data, bits * planes, index)[index])
