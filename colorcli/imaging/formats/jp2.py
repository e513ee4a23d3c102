"""JPEG 2000 beyond what Pillow gives: its depth, and colours in another order than R, G, B."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from colorcli.color.lab import XYZ_FROM_RGB
from colorcli.imaging import sixteen_bit, truncation
from colorcli.imaging.kinds import lazily
from colorcli.imaging.refusals import Refused
from colorcli.imaging.sixteen_bit import Samples, from_integers, from_light
from colorcli.system.errors import ImageError

_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC and SIZ, which open it
_CINEMA = (3, 4)  # profiles of 2K and 4K (ISO/IEC 15444-1, table A.10)
_SYCC, _GRAY, _SRGB = 18, 17, 16  # enumerated colour spaces (ISO/IEC 15444-1, I.5.3.3)


def components(data: bytes) -> list[int]:
    """Bits of each component by the codestream's SIZ; none where there is no codestream."""
    at = data.find(_CODESTREAM)
    if at < 0 or len(data) < at + 42:
        return []
    (count,) = struct.unpack_from(">H", data, at + 40)
    return [(depth & 0x7F) + 1 for depth in data[at + 42 : at + 42 + 3 * count : 3]]


def is_deep(data: bytes) -> bool:
    """Whether a file, by how it begins, has colours of more than 8 bits, which Pillow cuts off."""
    bits = components(data)
    return len(bits) in (3, 4) and bits[0] > 8


def is_cinema(data: bytes) -> bool:
    """Whether a file holds X'Y'Z' of digital cinema, by the profile in its codestream's SIZ."""
    at = data.find(_CODESTREAM)
    if at < 0 or components(data) != [12, 12, 12]:
        return False
    return struct.unpack_from(">H", data, at + 6)[0] in _CINEMA


def _from_cinema(pixels: np.ndarray) -> np.ndarray:
    """X'Y'Z' (H, W, 3) uint16 as sRGB: SMPTE ST 428-1, white of 48 cd/m² and gamma 2.6."""
    xyz = (np.arange(65536, dtype=np.float32) / 65535) ** 2.6 * np.float32(52.37 / 48)
    to_rgb = np.linalg.inv(XYZ_FROM_RGB).T.astype(np.float32)
    return from_light(np.take(xyz, pixels) @ to_rgb)


def _header_boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, beginning and end of the boxes in the header box."""
    start = data.find(b"jp2h", 0, 4096)
    if start < 4:
        return
    at, end = start + 4, start - 4 + struct.unpack_from(">I", data, start - 4)[0]
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield name, at, min(at + size, end)
        at += size


def order(data: bytes) -> list[int] | None:
    """Which of R, G, B (or Y, Cb, Cr) each component is; None where they are in that order."""
    found: dict[int, int] = {}
    for name, start, end in _header_boxes(data):
        if name == b"cdef":
            for at in range(start + 10, end - 5, 6):
                channel, kind, meant = struct.unpack_from(">HHH", data, at)
                if kind == 0 and 1 <= meant <= 3:
                    found[channel] = meant - 1
    turned = [found.get(i, -1) for i in range(3)]
    return turned if sorted(turned) == [0, 1, 2] and turned != [0, 1, 2] else None


def palette(data: bytes) -> np.ndarray | None:
    """Colours (N, 3) uint8 that the samples number; None where there are no such."""
    for name, start, end in _header_boxes(data):
        if name == b"pclr" and end - start > 14:
            count, columns = struct.unpack_from(">HB", data, start + 8)
            table = np.frombuffer(data, np.uint8, end - start - 11 - columns, start + 11 + columns)
            if columns == 3 and set(data[start + 11 : start + 14]) == {7}:
                return table[: 3 * count].reshape(-1, 3)
    return None


def is_arranged(data: bytes) -> bool:
    """Whether colours are numbered or in another order, which Pillow gets wrong."""
    return order(data) is not None or palette(data) is not None


def arranged(data: bytes) -> Samples:
    """A picture of 8 bits whose boxes say what its components are; raises ``ImageError``."""
    turned, colours = order(data), palette(data)
    plain, luma = bytearray(data), False
    for name, start, end in _header_boxes(data):
        if name in (b"cdef", b"pclr", b"cmap"):
            plain[start + 4 : start + 8] = b"free"
        elif name == b"colr" and end - start >= 15 and data[start + 8] == 1:
            luma = struct.unpack_from(">I", data, start + 11)[0] == _SYCC
            # Gray for numbers and sRGB for the rest: as they are.
            struct.pack_into(">I", plain, start + 11, _GRAY if colours is not None else _SRGB)
    image = lazily(io.BytesIO(bytes(plain)), "JPEG2000")
    image.load()
    stored = np.asarray(image)
    if colours is not None and stored.ndim == 2 and stored.dtype == np.uint8:
        if int(stored.max()) >= len(colours):
            raise ImageError("damaged picture (colours are missing in its palette)")
        stored = colours[stored]
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise Refused("JPEG 2000 of colours in an odd order; convert it first")
    pixels = np.empty_like(stored)
    for channel, meant in enumerate(turned or (0, 1, 2)):
        pixels[..., meant] = stored[..., channel]
    if luma:
        pixels = np.asarray(Image.fromarray(pixels, "YCbCr").convert("RGB"))
    return Samples(np.ascontiguousarray(pixels))


def read(data: bytes) -> Samples:
    """The picture by OpenCV, or by imagecodecs where it is installed; raises ``ImageError``."""
    truncation.check_jp2(data)
    bits = max(components(data), default=8)
    try:
        samples = sixteen_bit.opencv(data)
    except (ImageError, cv2.error):
        samples = _by_codec(data)
    alpha = samples.alpha
    if is_cinema(data):
        return Samples(_from_cinema(from_integers(samples.pixels, bits)))
    return Samples(
        from_integers(samples.pixels, bits if samples.pixels.dtype == np.uint16 else 8),
        None if alpha is None else from_integers(alpha, bits if alpha.dtype == np.uint16 else 8),
    )


def _by_codec(data: bytes) -> Samples:
    try:
        import imagecodecs
    except ImportError:
        raise ImageError("damaged picture; check the file") from None
    pixels = imagecodecs.jpeg2k_decode(data)
    if pixels.ndim == 2:
        return Samples(pixels)
    count = {2: 1, 3: 3, 4: 3}.get(pixels.shape[2])
    if count is None or pixels.dtype not in (np.uint8, np.uint16):
        raise Refused(f"JPEG 2000 of {pixels.shape[2]} components; convert it first")
    alpha = np.ascontiguousarray(pixels[..., count]) if pixels.shape[2] > count else None
    shown = pixels[..., 0] if count == 1 else pixels[..., :count]
    return Samples(np.ascontiguousarray(shown), alpha)
