"""Photoshop documents: the flattened picture that nearly all of them carry."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from colorcli.imaging.refusals import Final, Refused, check_size
from colorcli.imaging.sixteen_bit import Samples, cut, from_integers, from_light
from colorcli.imaging.truncation import truncated
from colorcli.system.errors import ImageError

_BITMAP, _GRAY, _INDEXED, _RGB, _CMYK, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 8, 9
_COLOURS = {_BITMAP: 1, _GRAY: 1, _INDEXED: 1, _RGB: 3, _CMYK: 4, _DUOTONE: 1, _LAB: 3}
_DTYPES = {8: ">u1", 16: ">u2", 32: ">f4"}
_ICC, _VERSION = 1039, 1057  # image resources


@dataclass(frozen=True)
class _Header:
    channels: int
    size: tuple[int, int]
    bits: int
    mode: int
    palette: bytes
    resources: dict[int, bytes]
    layers: int  # negative where the first extra channel is the picture's transparency
    start: int


def _header(data: bytes) -> _Header:
    version, channels, height, width, bits, mode = struct.unpack_from(">H6xHIIHH", data, 4)
    at = 26
    (length,) = struct.unpack_from(">I", data, at)
    palette, at = data[at + 4 : at + 4 + length], at + 4 + length
    (length,) = struct.unpack_from(">I", data, at)
    resources, at = _resources(data[at + 4 : at + 4 + length]), at + 4 + length
    form = ">Q" if version == 2 else ">I"
    wide = struct.calcsize(form)
    (length,) = struct.unpack_from(form, data, at)
    layers = 0
    if length > wide + 2 and struct.unpack_from(form, data, at + wide)[0]:
        (layers,) = struct.unpack_from(">h", data, at + 2 * wide)
    return _Header(
        channels=channels, size=(width, height), bits=bits, mode=mode, palette=palette,
        resources=resources, layers=layers, start=at + wide + length,
    )  # fmt: skip


def _resources(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 12 <= len(data) and data[at + 1 : at + 4] in (b"BIM", b"eSa", b"HUT", b"gHg"):
        number, name = struct.unpack_from(">HB", data, at + 4)
        body = at + 6 + (name + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", data, body)
        found[number] = data[body + 4 : body + 4 + size]
        at = body + 4 + (size + 1) // 2 * 2
    return found


def _unpacked(row: bytes, size: int) -> bytes:
    """A row of PackBits."""
    out, at = bytearray(), 0
    while at < len(row) and len(out) < size:
        count = row[at]
        if count < 128:
            out += row[at + 1 : at + 2 + count]
            at += 2 + count
        else:
            if count > 128:
                out += row[at + 1 : at + 2] * (257 - count)
            at += 1 + (count > 128)
    if len(out) < size:
        raise truncated()
    return bytes(out[:size])


def _planes(data: bytes, header: _Header, version: int) -> np.ndarray:
    """All channels (C, H, bytes of a row) uint8."""
    (width, height), count = header.size, header.channels
    line = (width * header.bits + 7) // 8
    (compression,) = struct.unpack_from(">H", data, header.start)
    at = header.start + 2
    if compression == 0:
        if at + count * height * line > len(data):
            raise truncated()
        return np.frombuffer(data, np.uint8, count * height * line, at).reshape(count, height, line)
    if compression != 1:
        raise Refused(f"Photoshop document of compression {compression}; save it as TIFF")
    form = ">u4" if version == 2 else ">u2"
    sizes = np.frombuffer(data, form, count * height, at).astype(int)
    at += sizes.size * np.dtype(form).itemsize
    if at + sizes.sum() > len(data):
        raise truncated()
    rows = []
    for size in sizes:
        rows.append(_unpacked(data[at : at + size], line))
        at += size
    return np.frombuffer(b"".join(rows), np.uint8).reshape(count, height, line)


def read(data: bytes, max_pixels: int) -> Samples:
    """The flattened picture of a PSD or PSB file; raises ``ImageError``."""
    try:
        header = _header(data)
        check_size(*header.size, max_pixels)
        if not 1 <= header.channels <= 56 or header.bits not in (1, 8, 16, 32):
            raise ImageError("damaged picture (an impossible header); check the file")
        planes = _planes(data, header, data[5])
    except (struct.error, ValueError):
        raise truncated() from None
    if header.resources.get(_VERSION, b"\0\0\0\0\1")[4:5] == b"\0":
        raise Final(
            "Photoshop document without its flattened picture; save it for compatibility, or as TIFF"
        )
    mode, width = header.mode, header.size[0]
    count = _COLOURS.get(mode)
    if count is None or header.channels < count or (header.bits == 1) != (mode == _BITMAP):
        raise Refused(f"Photoshop document of colour mode {mode}; save it as RGB first")
    if mode == _BITMAP:
        return Samples(255 - 255 * np.unpackbits(planes[0], axis=1)[:, :width])
    values = planes.reshape(-1).view(_DTYPES[header.bits]).reshape(*planes.shape[:2], width)
    values = np.moveaxis(values, 0, -1)
    profile = header.resources.get(_ICC)
    if mode == _LAB:
        return _lab(values, header.bits)
    colours = _scaled(values[..., 0] if count == 1 else values[..., :count], header)
    alpha = None
    if header.channels > count and header.layers < 0:
        alpha = (
            cut(values[..., count]) if header.bits == 32 else _scaled(values[..., count], header)
        )
    if mode == _CMYK:  # 0 is full ink
        colours = np.iinfo(colours.dtype).max - colours
    if mode == _INDEXED:
        colours = (
            np.frombuffer(header.palette[:768].ljust(768, b"\0"), np.uint8)
            .reshape(3, 256)
            .T[colours]
        )
        colours = np.ascontiguousarray(colours)
    return Samples(colours, alpha, profile)


def _scaled(values: np.ndarray, header: _Header) -> np.ndarray:
    """Samples as uint8 or uint16; 32 bits are light, unless the profile says how they are encoded."""
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    if header.bits < 32:
        return from_integers(values, header.bits)
    if not np.isfinite(values).all():
        raise Refused("floating-point samples of which some are no numbers; fill these first")
    return cut(values) if header.resources.get(_ICC) else from_light(values)


def _lab(values: np.ndarray, bits: int) -> Samples:
    if bits == 32:
        raise Refused("32-bit CIELAB document; convert it to 8 or 16 bits first")
    lab = values[..., :3].astype(np.float32)
    lab[..., 0] *= 100 / (2**bits - 1)
    lab[..., 1:] = lab[..., 1:] / np.float32(2 ** (bits - 8)) - 128
    return Samples(np.empty(lab.shape[:2], np.uint8 if bits == 8 else np.uint16), lab=lab)
