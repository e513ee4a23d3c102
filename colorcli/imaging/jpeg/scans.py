"""A JPEG as the scans of its components: taken apart where it is gray, put together in colour.

A scan of one component holds the same bits whether its frame has one component or three: such
scans are not interleaved (ISO/IEC 10918-1, A.2.2). So the scans of a gray JPEG are, byte for byte,
those of Y in a colour JPEG, and those of two more gray JPEGs are its Cb and Cr.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
_BASELINE, _EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
FRAMES = (_BASELINE, _EXTENDED, PROGRESSIVE)  # markers of those of Huffman codes
_WHOLE_SCAN = bytes((0, 63, 0))  # all coefficients at once, as a sequential scan has them


@dataclass(frozen=True)
class Scan:
    """A scan of one component: tables and restarts that go before it, how it is coded, its bits."""

    before: bytes
    coding: bytes  # of its header: Huffman tables, first and last coefficient, bit positions
    bits: memoryview


@dataclass(frozen=True)
class Component:
    """What a one-component JPEG is made of, ready to be one of several.

    ``frame``: marker of its frame. ``size``: width and height. ``table``: its quantization as in
    a ``DQT`` segment, precision first.
    """

    frame: int
    size: tuple[int, int]
    table: bytes
    scans: tuple[Scan, ...]


class _Odd(ValueError):
    """A file that is laid out as few are; it may well be whole."""


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # that ends what a scan has coded


def _segments(data: bytes) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Marker, body and, of a scan, coded bits of each segment up to the end of the image.

    Raises ``_Odd`` for anything between or instead of segments.
    """
    view, at = memoryview(data), 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill
            at += 1
        if data[at : at + 1] != b"\xff" or at + 2 > len(data):
            raise _Odd
        marker = data[at + 1]
        if marker == _EOI:
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        body = view[at + 4 : end]
        if marker < 0xC0 or 0xD0 <= marker <= _SOI or end > len(data) or end < at + 4:
            raise _Odd
        at = end
        if marker == _SOS:
            found = _MARKER.search(data, at)
            if found is None:
                raise _Odd
            at = found.start()
        yield marker, body, view[end:at]


def _tables(body: memoryview) -> Iterator[tuple[int, bytes]]:
    """Number and content, precision first, of each table of a ``DQT`` segment."""
    while body:
        deep, number = body[0] >> 4, body[0] & 15
        length = 64 << deep
        if deep > 1 or len(body) <= length:
            raise _Odd
        yield number, bytes((deep,)) + bytes(body[1 : 1 + length])
        body = body[1 + length :]


def _component(data: bytes) -> Component:
    tables: dict[int, bytes] = {}
    scans: list[Scan] = []
    before: list[bytes] = []
    frame: tuple[int, tuple[int, int], int, int] | None = None
    for marker, body, bits in _segments(data):
        if marker in FRAMES and frame is None:
            depth, height, width, count = struct.unpack_from(">BHHB", body)
            if depth != 8 or count != 1 or len(body) != 9 or not height or not width:
                raise _Odd
            frame = marker, (width, height), body[6], body[8]
        elif marker == _DQT and not scans:
            tables.update(_tables(body))
        elif marker in (_DHT, _DRI):
            before.append(_segment(marker, bytes(body)))
        elif marker == _SOS and frame is not None:
            whole = frame[0] == PROGRESSIVE or (not scans and body[3:] == _WHOLE_SCAN)
            if len(body) != 6 or body[0] != 1 or body[1] != frame[2] or not whole:
                raise _Odd
            scans.append(Scan(b"".join(before), bytes(body[2:]), bits))
            before = []
        elif not 0xE0 <= marker <= 0xEF and marker != _COM:
            raise _Odd
    if frame is None or not scans or frame[3] not in tables:
        raise _Odd
    return Component(frame[0], frame[1], tables[frame[3]], tuple(scans))


def component(data: bytes) -> Component | None:
    """The parts of a JPEG of one component and 8 bits; None where it is laid out otherwise.

    That is: Huffman coded, whole to its end, one quantization table, nothing but segments.
    """
    try:
        return _component(data)
    except (_Odd, struct.error, IndexError):
        return None


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def assembled(head: bytes, luma: Component, chroma: Sequence[Component]) -> bytes:
    """A colour JPEG of Y, and of Cb and Cr as large as it or half as large on both sides.

    ``head``: its beginning, down to where tables begin. ``luma`` may be progressive where chroma
    is. Raises ``ValueError`` for sizes that do not belong together.
    """
    (width, height), sizes = luma.size, {part.size for part in chroma}
    halved = sizes == {(-(-width // 2), -(-height // 2))} and sizes != {luma.size}
    if not halved and sizes != {luma.size}:
        raise ValueError(f"chroma of {sizes} for luma of {luma.size}")
    components = (luma, *chroma)
    frames = {part.frame for part in components}
    if PROGRESSIVE in frames and len(frames) > 1:
        raise ValueError("progressive and sequential components")
    first = 0x22 if halved else 0x11
    layout = bytes((1, first, 0, 2, 0x11, 1, 3, 0x11, 1))
    pieces: list[bytes | memoryview] = [
        head,
        *(_segment(_DQT, bytes((part.table[0] << 4 | i,)) + part.table[1:])
          for i, part in enumerate(components[:2])),
        _segment(max(frames), struct.pack(">BHHB", 8, height, width, 3) + layout),
    ]  # fmt: skip
    restarts = False
    for number, part in enumerate(components, 1):
        for scan in part.scans:
            if restarts and number > 1:
                pieces.append(_segment(_DRI, b"\0\0"))
                restarts = False
            restarts |= _segment(_DRI, b"")[:2] in scan.before
            pieces += scan.before, _segment(_SOS, bytes((1, number)) + scan.coding), scan.bits
    return b"".join([*pieces, bytes((0xFF, _EOI))])


def body(data: bytes | bytearray) -> int | None:
    """Where the first segment begins that is neither an APPn nor a comment; None before it is there."""
    at = 2
    while len(data) >= at + 4:
        if not (0xE0 <= data[at + 1] <= 0xEF or data[at + 1] == _COM):
            return at
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
