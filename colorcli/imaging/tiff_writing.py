"""TIFF out through tifffile: pages of 8 and 16 bits, whole or a strip of rows at a time."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from colorcli.imaging.formats.tiff import library
from colorcli.imaging.tags import metadata
from colorcli.system.parallel import in_order


@dataclass(frozen=True)
class Strips:
    """A page too large to hold: ``rows`` are (h, W, C) of ``dtype``, and end with its last."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    rows: Iterable[np.ndarray]

    def cut(self, tall: int) -> Iterator[np.ndarray]:
        """The same rows ``tall`` at a time; fewer in the end."""
        left: list[np.ndarray] = []
        for rows in self.rows:
            rows = np.concatenate([*left, rows]) if left else rows
            even = rows.shape[0] // tall * tall
            for top in range(0, even, tall):
                yield rows[top : top + tall]
            left = [rows[even:].copy()] if even < rows.shape[0] else []
        yield from left


TIFF_STRIP = 1 << 20  # bytes, before they are deflated
_DEFLATE = 3  # level


def _deflated(rows: np.ndarray) -> bytes:
    """A strip of a TIFF: differences to the pixel before (TIFF 6.0, section 14), deflated.

    Not left to tifffile, which takes strips one by one only when it is done, and whose bytes
    depend on what else is installed.
    """
    steps = rows.astype(rows.dtype.newbyteorder("<"))
    steps[:, 1:] -= rows[:, :-1]
    return zlib.compress(steps.data, _DEFLATE)


def write_tiff(
    file: BinaryIO,
    pages: Iterable[np.ndarray | Strips],
    extra: Mapping[str, Any],
    profile: bytes,
    big: bool = False,
) -> None:
    """Pages (H, W, 3) RGB or (H, W, 4) with alpha, uint8 or uint16, as a deflated TIFF."""
    tags, below = metadata.tiff_tags(extra, below=not big)
    more: dict[str, Any] = {"iccprofile": profile, "extratags": tags}
    if "dpi" in extra:
        more |= {"resolution": extra["dpi"], "resolutionunit": "INCH"}
    tifffile = library()
    # With a name of our own: that of an open file may be a number, at which tifffile stumbles.
    handle = tifffile.FileHandle(file, name="pages.tif")
    with tifffile.TiffWriter(handle, bigtiff=big, byteorder="<") as writer:
        for page in pages:
            if isinstance(page, np.ndarray):
                page = Strips(page.shape, page.dtype, [page])
            _, width, channels = page.shape
            tall = max(1, TIFF_STRIP // (width * channels * page.dtype.itemsize))
            writer.write(
                in_order(_deflated, page.cut(tall), threads=2, window=4),
                shape=page.shape,
                dtype=page.dtype,
                photometric="rgb",
                extrasamples=("unassalpha",) if channels == 4 else (),
                compression="zlib",
                compressionargs={"level": _DEFLATE},
                predictor=True,
                rowsperstrip=tall,
                metadata=None,
                software=False,
                maxworkers=1,
                **more,
            )
            more["extratags"] = ()  # the file's own stand on its first page
    if below:
        _append_directories(file, below)


def _append_directories(file: BinaryIO, below: Mapping[int, dict[int, Any]]) -> None:
    """EXIF and GPS directories behind the pages, and their offsets into the first."""

    def unpack(form: str, place: int) -> int:
        file.seek(place)
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]

    offsets = {}
    for tag, values in below.items():
        start = file.seek(0, io.SEEK_END)
        start += file.write(b"\0" * (start % 2))
        file.write(metadata.directory(values, tag, start))
        offsets[tag] = start
    first = unpack("<I", 4)
    for place in range(first + 2, first + 2 + 12 * unpack("<H", first), 12):
        tag = unpack("<H", place)
        if tag + 1 in offsets:  # tifffile writes no pointers; their neighbours hold the place
            file.seek(place)
            file.write(struct.pack("<H", tag + 1))
            file.seek(place + 8)
            file.write(struct.pack("<I", offsets[tag + 1]))
