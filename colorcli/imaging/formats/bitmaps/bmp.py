"""BMP and DIB of every header, bit field and run length (Windows and OS/2 bitmaps)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from colorcli.imaging.refusals import Declined, Refused, check_size
from colorcli.imaging.sixteen_bit import Samples, opencv
from colorcli.imaging.truncation import truncated
from colorcli.system.errors import ImageError

_PLAIN, _RLE8, _RLE4, _FIELDS, _JPEG, _PNG, _ALPHA_FIELDS = range(7)  # biCompression
_RLE24 = _JPEG  # in OS/2's headers
_OS2_SIZES = (16, 24, 48, 64)  # of headers in which compression 3 and 4 mean other things
_DEFAULT_FIELDS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


@dataclass(frozen=True)
class _Header:
    size: tuple[int, int]
    upside_down: bool
    bits: int
    fields: tuple[int, ...]
    colours: np.ndarray  # (N, 3) uint8, or of no rows
    start: int
    runs: bool


def _number(data: bytes, at: int, form: str = "I") -> int:
    return struct.unpack_from(f"<{form}", data, at)[0]


def _header(data: bytes, at: int, start: int | None) -> _Header:
    """The header of a bitmap at ``at``, whose pixels begin at ``start``, or behind its palette."""
    length = _number(data, at)
    if length == 12:
        width, height, bits = (_number(data, at + i, "H") for i in (4, 6, 10))
        compression = used = 0
    elif 16 <= length <= 1024:
        width, height = _number(data, at + 4, "i"), _number(data, at + 8, "i")
        bits = _number(data, at + 14, "H")
        compression = _number(data, at + 16) if length >= 20 else 0
        used = _number(data, at + 32) if length >= 36 else 0
    else:
        raise ImageError("damaged picture (an impossible header); check the file")
    behind, fields = at + length, _DEFAULT_FIELDS.get(bits, ())
    if compression in (_FIELDS, _ALPHA_FIELDS) and length not in _OS2_SIZES and bits in (16, 32):
        count = 4 if length >= 56 or compression == _ALPHA_FIELDS else 3
        fields = struct.unpack_from(f"<{count}I", data, at + 40) + (0,) * (4 - count)
        behind = max(behind, at + 40 + 4 * count) if length == 40 else behind
    elif compression in (_JPEG, _PNG) and length not in _OS2_SIZES:
        bits = 0
    elif (compression, bits) not in ((_PLAIN, bits), (_RLE8, 8), (_RLE4, 4), (_RLE24, 24)):
        raise Declined(f"a bitmap of compression {compression}")
    if bits not in (0, 1, 2, 4, 8, 16, 24, 32):
        raise Refused(f"BMP of {bits} bits a pixel; save it with 24")
    colours = np.empty((0, 3), np.uint8)
    if 0 < bits <= 8:
        entry = 3 if length == 12 else 4
        count = min(used or 2**bits, 256)
        if start is not None and start > behind:
            count = min(count, (start - behind) // entry)
        table = np.frombuffer(data, np.uint8, count * entry, behind).reshape(count, entry)
        colours, behind = table[:, 2::-1], behind + count * entry
    return _Header(
        size=(width, abs(height)), upside_down=height > 0, bits=bits, fields=fields,
        colours=colours, start=behind if start is None else start,
        runs=compression in (_RLE8, _RLE4, _RLE24),
    )  # fmt: skip


def _field(pixels: np.ndarray, mask: int) -> np.ndarray:
    """One channel of bit fields as uint8: from its lowest to its highest bit, stretched."""
    shift = (mask & -mask).bit_length() - 1
    full = mask >> shift
    if full & (full + 1):
        raise ImageError("damaged picture (bits of a colour are not side by side); check the file")
    values = ((pixels & np.uint32(mask)) >> np.uint32(shift)).astype(np.float32)
    return np.rint(values * np.float32(255 / full)).astype(np.uint8)


def read(data: bytes, kind: str, max_pixels: int) -> Samples:
    """The pixels of a BMP, or of a ``DIB``, which has no file header; raises ``ImageError``."""
    try:
        at = 14 if data[:2] == b"BA" else 0  # the first of an array of OS/2's
        header = (
            _header(data, at + 14, _number(data, at + 10))
            if kind == "BMP"
            else _header(data, 0, None)
        )
    except (struct.error, ValueError, IndexError):
        raise truncated() from None
    (width, height), bits = header.size, header.bits
    check_size(width, height, max_pixels)
    if bits == 0:  # a JPEG or PNG in place of pixels
        return opencv(data[header.start :])
    if header.runs:
        pixels = _runs(data, header)[:: -1 if header.upside_down else 1]
        if bits == 24:
            return Samples(np.ascontiguousarray(pixels[..., ::-1]))
        return Samples(_coloured(pixels[..., 0], header))
    line = (width * bits + 31) // 32 * 4
    if header.start + line * (height - 1) + (width * bits + 7) // 8 > len(data):
        raise truncated()
    body = data[header.start : header.start + line * height].ljust(line * height, b"\0")
    rows = np.frombuffer(body, np.uint8).reshape(height, line)
    if header.upside_down:
        rows = rows[::-1]
    if bits <= 8:
        return Samples(_palette(rows, width, header))
    if bits == 24:
        return Samples(
            np.ascontiguousarray(rows[:, : 3 * width].reshape(height, width, 3)[..., ::-1])
        )
    packed = np.ascontiguousarray(rows).view("<u2" if bits == 16 else "<u4")[:, :width]
    packed = packed.astype(np.uint32)
    if not all(header.fields[:3]):
        raise ImageError("damaged picture (a colour of no bits); check the file")
    rgb = np.dstack([_field(packed, mask) for mask in header.fields[:3]])
    alpha = _field(packed, header.fields[3]) if header.fields[3] else None
    if alpha is not None and not alpha.any():  # left empty by writers that know no alpha
        alpha = None
    return Samples(rgb, alpha)


def _palette(rows: np.ndarray, width: int, header: _Header) -> np.ndarray:
    """Indices of 1…8 bits as gray (H, W), where all colours are, or RGB."""
    bits = header.bits
    steps = np.unpackbits(rows, axis=1)[:, : width * bits].reshape(len(rows), width, bits)
    index = np.packbits(steps, axis=2)[..., 0] >> (8 - bits)
    return _coloured(index, header)


def _coloured(index: np.ndarray, header: _Header) -> np.ndarray:
    colours = header.colours
    if int(index.max()) >= len(colours):  # what decoders make of a missing colour: black
        colours = np.concatenate([colours, np.zeros((256 - len(colours), 3), np.uint8)])
    return colours[index]


def _runs(data: bytes, header: _Header) -> np.ndarray:
    """Indices (H, W, 1) of run lengths of 4 or 8 bits, or B, G, R (H, W, 3) of 24; uint8.

    Raises ``ImageError``.
    """
    (width, height), step = header.size, 3 if header.bits == 24 else 1
    out, x, y, at = np.zeros((height, width, step), np.uint8), 0, 0, header.start

    def put(values: np.ndarray) -> None:
        nonlocal x
        out[y, x : x + len(values)] = values[: max(0, width - x)]
        x += len(values)

    def pixels(count: int) -> np.ndarray:
        """The next ones (N, step), as they lie."""
        nonlocal at
        size = (count + 1) // 2 if header.bits == 4 else count * step
        raw = np.frombuffer(data[at : at + size], np.uint8)
        if len(raw) < size:
            raise truncated()
        at += size
        if header.bits == 4:
            raw = np.stack([raw >> 4, raw & 15], axis=1).ravel()
        return raw.reshape(-1, step)

    while y < height:
        if at + 2 > len(data):
            raise truncated()
        count, value = data[at], data[at + 1]
        if count:
            at += 1
            some = pixels(2 if header.bits == 4 else 1)
            put(np.tile(some, (-(-count // len(some)), 1))[:count])
            continue
        at += 2
        if value == 0:
            x, y = 0, y + 1
        elif value == 1:
            break
        elif value == 2:
            if at + 2 > len(data):
                raise truncated()
            x, y, at = x + data[at], y + data[at + 1], at + 2
        else:
            begin = at
            put(pixels(value)[:value])
            at += (at - begin) % 2
    return out
