"""PNG in its parts: the signature, chunks, and plain pictures written small."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import cv2
import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = 33  # bytes of signature and IHDR, after which other chunks may stand
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: colour type


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    check = zlib.crc32(data, zlib.crc32(name))
    return b"".join([struct.pack(">I", len(data)), name, data, struct.pack(">I", check)])


def head(width: int, height: int, *, channels: int, bits: int) -> bytes:
    """Signature and ``IHDR`` of a picture that is not interlaced; ``bits`` a sample."""
    colour = _COLOURS[channels]
    size = struct.pack(">II", width, height)
    return _SIGNATURE + chunk(b"IHDR", size + bytes([bits, colour, 0, 0, 0]))


def encoded(bgr: np.ndarray, options: Sequence[int] = (), chunks: bytes = b"") -> bytes:
    """(H, W, 3) BGR or (H, W, 4) BGRA, uint8 or uint16, with ``chunks`` after ``IHDR``.

    ``options`` are OpenCV's.
    """
    data = cv2.imencode(".png", bgr, options)[1].data.cast("B")
    return b"".join([data[:_HEAD], chunks, data[_HEAD:]])


def plain(rgb: np.ndarray) -> bytes:
    """sRGB (H, W, 3) uint8 without metadata."""
    return encoded(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
