"""Strips written as a copy of the photograph they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from colorcli.imaging import planes, reading, tiff_writing, writing
from colorcli.imaging.formats import vips
from colorcli.imaging.jpeg.scans import body as jpeg_body
from colorcli.imaging.large.photograph import Photograph
from colorcli.imaging.large.streams import Head, png_body, through_vips
from colorcli.imaging.tags.icc import srgb_profile
from colorcli.imaging.tags.origin import Origin
from colorcli.system.errors import ImageError


def _write_jpeg(
    page: tiff_writing.Strips, file: BinaryIO, twin: bytes, quality: int, extra: Any
) -> None:
    options = {"Q": quality, "subsample_mode": "off" if quality > 90 else "on"}
    through_vips(page, file, Head(twin, jpeg_body), "jpegsave_target", options)


def _write_png(
    page: tiff_writing.Strips, file: BinaryIO, twin: bytes, quality: Any, extra: Any
) -> None:
    options = {"compression": 2, "filter": "sub"}  # files as large as Pillow's, as fast
    through_vips(page, file, Head(twin, png_body, 33), "pngsave_target", options)


def _write_tiff(
    page: tiff_writing.Strips, file: BinaryIO, twin: bytes, quality: Any, extra: Any
) -> None:
    height, width, _ = page.shape
    tiff_writing.write_tiff(
        file, [page], extra, srgb_profile(), writing.needs_big_tiff(width * height)
    )


WRITERS: dict[str, Callable[[tiff_writing.Strips, BinaryIO, bytes, Any, Any], None]] = {
    "jpeg": _write_jpeg,
    "png": _write_png,
    "tiff": _write_tiff,
}


def write(
    file: BinaryIO,
    photograph: Photograph,
    rows: Iterator[tuple[np.ndarray, np.ndarray | None]],
    format: str,
    *,
    quality: int | None = None,
    strip: bool = False,
    origin: Origin | None = None,
) -> None:
    """Write sRGB strips (h, W, 3) with alpha (h, W) or None as a copy of ``photograph``.

    ``format``: a key of ``WRITERS``; ``file`` must allow seeking. As ``writing.encode`` otherwise.
    """
    chosen, name = writing.FORMATS[format], photograph.name
    quality = chosen.quality if quality is None else quality
    extra = writing.carried(photograph.extra, strip, origin)
    width, height = photograph.size
    channels = photograph.channels if chosen.alpha else 3
    dtype = photograph.dtype if 16 in chosen.depths else np.dtype(np.uint8)

    def fitted() -> Iterator[np.ndarray]:
        for rgb, alpha in rows:
            colours, clear = writing.fitted(format, rgb, alpha)
            yield colours if clear is None else np.dstack([colours, clear])

    tiny = planes.Picture(np.zeros((1, 1), dtype), depth=8 * dtype.itemsize)
    twin = writing.encode(
        [(np.zeros((1, 1, 3), dtype), tiny)], reading.Document(format, [tiny], extra, name), format,
        quality=quality,
    )  # fmt: skip
    page = tiff_writing.Strips((height, width, channels), dtype, fitted())
    try:
        WRITERS[format](page, file, twin, quality, extra)
    except vips.library().Error as error:
        raise ImageError(f"{name}: {format} cannot be written ({vips.cause(error)})") from None
