"""JPEGs that Pillow does not open: of broken markers, lossless ones, of 12 bits, and JPEG-LS."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from colorcli.imaging.kinds import lazily
from colorcli.imaging.refusals import Declined, Refused, Wanting
from colorcli.imaging.sixteen_bit import Samples, from_integers

_SOI, _SOS, _APP2, _APP14, _COM = 0xD8, 0xDA, 0xE2, 0xEE, 0xFE


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, beginning and end of each segment before the first scan, markers included."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # bytes between segments, which libjpeg passes over
            at = data.find(b"\xff", at)
            if at < 0:
                return
            continue
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        yield marker, at, end
        if marker == _SOS:
            return
        at = max(end, at + 4)


@dataclass(frozen=True)
class Frame:
    """What a JPEG's frame header says: its marker, bits a sample, size, components."""

    marker: int
    bits: int
    size: tuple[int, int]
    components: int


def frame(data: bytes) -> Frame | None:
    """The frame header of a JPEG, or None."""
    for marker, start, end in _segments(data):
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            if end - start < 10 or end > len(data):
                return None
            bits, height, width, count = struct.unpack_from(">BHHB", data, start + 4)
            return Frame(marker, bits, (width, height), count)
    return None


def profile(data: bytes) -> bytes | None:
    """The ICC profile in the segments of a JPEG, or None."""
    parts = {}
    for marker, start, end in _segments(data):
        if marker == _APP2 and data[start + 4 : start + 16] == b"ICC_PROFILE\0":
            parts[data[start + 16]] = data[start + 18 : end]
    return b"".join(parts[i] for i in sorted(parts)) or None


def bare(data: bytes) -> Image.Image:
    """A JPEG without the segments that say nothing of its pixels, for those that are broken."""
    kept = [data[:2]]
    end = 2
    for marker, start, end in _segments(data):
        about = (0xE0 <= marker <= 0xEF and marker != _APP14) or marker == _COM
        icc = marker == _APP2 and data[start + 4 : start + 16] == b"ICC_PROFILE\0"
        if icc or not about:
            kept.append(data[start:end])
    kept.append(data[end:])
    return lazily(io.BytesIO(b"".join(kept)), "JPEG")


# Frame markers to imagecodecs' decoders: ISO/IEC 10918-1, table B.1, and 14495-1.
_LOSSLESS, _LS = 0xC3, 0xF7
_DECODERS = {_LOSSLESS: ("lossless JPEG", "jpegsof3_decode"), _LS: ("JPEG-LS", "jpegls_decode")}


def read(data: bytes) -> Samples:
    """A lossless JPEG, a JPEG-LS, or one of more than 8 bits, by imagecodecs.

    Raises ``Declined`` for others, ``Wanting`` without imagecodecs.
    """
    header = frame(data)
    if header is None:
        raise Declined("no frame header")
    name, decoder = _DECODERS.get(header.marker, (f"{header.bits}-bit JPEG", "jpeg_decode"))
    if header.marker not in _DECODERS and header.bits == 8:
        raise Declined("a JPEG like others")
    try:
        import imagecodecs
    except ImportError:
        raise Wanting(f"{name} needs pip install 'colorcli[tiff]'") from None
    pixels = getattr(imagecodecs, decoder)(data)
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4):
        raise Refused(f"{name} of {pixels.shape[2]} components; convert it first")
    pixels = from_integers(pixels, header.bits)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[2] == 4 and re.search(rb"\xff\xee..Adobe", data[:65536]):
        pixels = np.iinfo(pixels.dtype).max - pixels  # Adobe's inks are stored the other way round
    return Samples(np.ascontiguousarray(pixels), None, profile(data))
