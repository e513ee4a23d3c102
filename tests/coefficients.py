"""Quantized coefficients of sequential JPEGs: a decoder of its own (ISO/IEC 10918-1, F.2), to judge by."""

from __future__ import annotations

import struct

import numpy as np


class _Bits:
    """Bits of a scan, without the bytes that were stuffed in and the restarts."""

    def __init__(self, data: bytes) -> None:
        self._bits, self._at = "".join(f"{byte:08b}" for byte in data), 0

    def take(self, count: int) -> str:
        self._at += count
        return self._bits[self._at - count : self._at]


def _codes(lengths: bytes, values: bytes) -> dict[str, int]:
    codes, code, at = {}, 0, 0
    for length, count in enumerate(lengths, 1):
        for value in values[at : at + count]:
            codes[f"{code:0{length}b}"] = value
            code += 1
        at, code = at + count, code << 1
    return codes


def _symbol(bits: _Bits, codes: dict[str, int]) -> int:
    word = bits.take(1)
    while word not in codes:
        assert len(word) < 17, "no such code"
        word += bits.take(1)
    return codes[word]


def _number(bits: _Bits, size: int) -> int:
    word = bits.take(size)
    return 0 if not size else int(word, 2) if word[0] == "1" else int(word, 2) - (1 << size) + 1


def _block(bits: _Bits, before: int, direct: dict[str, int], others: dict[str, int]) -> list[int]:
    block = [0] * 64
    block[0] = before + _number(bits, _symbol(bits, direct))
    at = 1
    while at < 64:
        symbol = _symbol(bits, others)
        run, size = symbol >> 4, symbol & 15
        if not size and run < 15:
            break
        at += run
        if size:
            block[at] = _number(bits, size)
        at += 1
    return block


def coefficients(data: bytes) -> dict[int, np.ndarray]:
    """Blocks (rows, columns, 64), in zigzag order, of each component by its place in the frame.

    Blocks that only fill the last MCU of an interleaved scan are left out.
    """
    at, tables, restart = 2, {}, 0
    found: dict[int, np.ndarray] = {}
    while (marker := data[at + 1]) != 0xD9:
        (length,) = struct.unpack_from(">H", data, at + 2)
        body, at = data[at + 4 : at + 2 + length], at + 2 + length
        if marker == 0xC4:
            while body:
                count = sum(body[1:17])
                tables[body[0]] = _codes(body[1:17], body[17 : 17 + count])
                body = body[17 + count :]
        elif marker == 0xDD:
            (restart,) = struct.unpack(">H", body)
        elif marker in (0xC0, 0xC1):
            height, width = struct.unpack_from(">HH", body, 1)
            parts = [body[6 + 3 * i : 9 + 3 * i] for i in range(body[5])]
            most = max(p[1] >> 4 for p in parts), max(p[1] & 15 for p in parts)
        elif marker == 0xDA:
            end = at
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
            scan = [(next(i for i, p in enumerate(parts) if p[0] == body[1 + 2 * j]),
                     body[2 + 2 * j]) for j in range(body[0])]  # fmt: skip
            _scan(data[at:end], scan, (width, height, parts, most), (tables, restart), found)
            at = end
    return found


def _scan(coded, scan, frame, coding, found) -> None:
    width, height, parts, most = frame
    tables, restart = coding
    sides = {}
    for part, _ in scan:
        sampling = parts[part][1] >> 4, parts[part][1] & 15
        across, down = (
            ((side * s + m - 1) // m + 7) // 8
            for side, s, m in zip((width, height), sampling, most, strict=True)
        )
        sides[part] = across, down, sampling if len(scan) > 1 else (1, 1)
        found[part] = np.zeros((down, across, 64), int)
    first = sides[scan[0][0]]
    columns, rows = -(-first[0] // first[2][0]), -(-first[1] // first[2][1])
    pieces = [b""]
    at = 0
    while at < len(coded):
        byte = coded[at]
        if byte == 0xFF and coded[at + 1]:
            pieces.append(b"")
        else:
            pieces[-1] += bytes((byte,))
        at += 2 if byte == 0xFF else 1
    bits, before = _Bits(pieces[0]), dict.fromkeys(sides, 0)
    for unit in range(rows * columns):
        if restart and unit and unit % restart == 0:
            bits, before = _Bits(pieces[unit // restart]), dict.fromkeys(sides, 0)
        for part, chosen in scan:
            across, down, (wide, tall) = sides[part]
            for i in range(wide * tall):
                block = _block(bits, before[part], tables[chosen >> 4], tables[16 | chosen & 15])
                before[part] = block[0]
                row = unit // columns * tall + i // wide
                column = unit % columns * wide + i % wide
                if row < down and column < across:
                    found[part][row, column] = block
