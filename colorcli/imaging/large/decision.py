"""Whether a photograph is coloured in strips, and what that takes."""

from __future__ import annotations

from PIL import Image

from colorcli.imaging import kinds, reading
from colorcli.imaging.formats import vips
from colorcli.imaging.large.photograph import LOADERS
from colorcli.imaging.large.writing import WRITERS
from colorcli.system.errors import ImageError

TAKES = 384 << 20  # bytes of memory that strips take, whatever the size; measured up to 350 MB

_EXTRA = "pip install 'colorcli[large]'"


def _decoder_holds(image: Image.Image, header: reading.Header) -> int:
    """Bytes that a decoder cannot do without: a progressive or interlaced picture comes whole."""
    if image.info.get("progressive"):
        return header.pixels * header.bands * 2  # coefficients
    return header.pixels * header.bands * (header.depth // 8) * bool(image.info.get("interlace"))


def decide(
    source: str | bytes,
    header: reading.Header,
    format: str,
    *,
    memory: int,
    large: int,
    name: str = "-",
) -> int | None:
    """Bytes that it takes to colour a photograph in strips; None where it is coloured whole.

    ``source`` is a file, or its bytes. Strips it is when half of ``memory`` bytes would not hold
    the work, or when there are more than ``large`` pixels; and when they can be had. Raises
    ``ImageError`` when it would not fit and they cannot.
    """
    if header.need <= memory // 2 and header.pixels <= large:
        return None
    need, remedy = TAKES, None
    try:
        with kinds.opened(source) as file:
            image = kinds.lazily(file, header.kind)
            loader = LOADERS.get(header.kind)
            if loader is None or not header.single or not loader.does(image):
                remedy = "save it as an 8- or 16-bit JPEG, PNG or TIFF of one page"
            need += _decoder_holds(image, header)
    except Exception:  # let decode() say what is wrong with it
        return None
    if remedy is None and format not in WRITERS:
        remedy = f"choose --format from: {', '.join(WRITERS)}"
    if remedy is None and vips.library() is None:
        remedy = _EXTRA
    if remedy is None and need <= memory:
        return need
    if header.need <= memory:
        return None
    need = header.need if remedy else need
    width, height = header.size
    raise ImageError(
        f"{name}: {width} x {height} pixels need {need / 1e9:.1f} GB of memory, and "
        f"{memory / 1e9:.1f} GB are free; {remedy or 'use a machine with more'}"
    )
