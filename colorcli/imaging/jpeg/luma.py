"""The luma of a JPEG: out of a photograph, and into its copy without ever leaving it.

The scans of a gray JPEG are taken as they are. What a colour JPEG has of luma is interleaved with
its chroma; that is encoded again by the file's own quantization, which leaves nearly every
coefficient what it was.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from PIL import Image

from colorcli.imaging import kinds, writing
from colorcli.imaging.formats import jpeg
from colorcli.imaging.formats.pillow import orientation
from colorcli.imaging.jpeg import scans
from colorcli.imaging.planes import Picture, turned
from colorcli.imaging.reading import Document, Header
from colorcli.imaging.tags import metadata
from colorcli.imaging.tags.icc import moves
from colorcli.imaging.tags.origin import Origin

FULL_CHROMA = 90  # quality over which chroma is not halved, where one is asked for
_LONGEST = 65500  # libjpeg's longest side


def _library() -> Any | None:
    """libjpeg-turbo with its warnings, which Pillow keeps to itself; None where it has no wheel."""
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None


# --- in ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A JPEG whose luma stays.

    ``luma`` (H, W) uint8, and the ``orientation`` that the EXIF in ``extra`` gives it. ``table``:
    its quantization, 64 numbers row by row. ``coded``: its scans, where they can stay as they are.
    ``extra``: metadata for the copy.
    """

    luma: np.ndarray
    orientation: int
    table: Sequence[int]
    coded: scans.Component | None
    extra: Mapping[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, upright."""
        height, width = self.luma.shape
        return (height, width) if self.orientation > 4 else (width, height)


def may_stay(header: Header, keep_color: bool = False) -> bool:
    """The rule for a photograph whose copy is a JPEG too: whether its luma stays.

    It does in a JPEG of one picture, gray or YCbCr, of 8 bits and Huffman codes, whose samples are
    in sRGB, and of which libjpeg-turbo has nothing to say, not so much as a warning; unless its own
    colours are to be looked at. This is as much of it as a header tells, ``source`` sees to the
    rest; all others go by Lab, as every other format does.
    """
    return (
        header.kind == "JPEG" and header.single and max(header.size) <= _LONGEST
        and (header.bands == 1 or (header.bands == 3 and not keep_color))
        and _library() is not None
    )  # fmt: skip


def need(header: Header) -> int:
    """Bytes of memory that it takes to colour a photograph so, as measured and rounded up."""
    return header.pixels * (4 + 2 * header.bands * header.progressive)


def source(data: bytes, *, strip: bool = False) -> Source | None:
    """A JPEG decoded whose luma can stay; None for others, and for whatever is damaged.

    ``strip`` leaves all metadata out, so that luma is turned upright where it does not lie so.
    """
    library = _library()
    frame = jpeg.frame(data)
    if library is None or frame is None or frame.marker not in scans.FRAMES or frame.bits != 8:
        return None
    try:
        outline = cast("Any", kinds.outline(io.BytesIO(data), "JPEG"))
        _, _, colours, _ = library.decode_jpeg_header(data, strict=True)
        gray = colours == "Gray"
        if not (gray or colours == "YCbCr") or moves(outline.info.get("icc_profile"), gray=gray):
            return None
        luma = library.decode_jpeg(data, "gray", strict=True)[..., 0]
    except Exception:  # whatever it is, the general way says whether it matters
        return None
    if outline.size != luma.shape[::-1]:
        return None
    lies = orientation(outline)
    lies = lies if 1 <= lies <= 8 else 1
    coded = scans.component(data) if gray else None
    table = outline.quantization[outline.layer[0][3]]
    extra = {} if strip else metadata.collect(outline, outline.size, lies)
    if lies != 1 and not 0 < len(extra.get("exif", b"")) <= metadata.EXIF_LIMIT:  # none tells it
        # Its blocks lie otherwise then: nothing of them would be kept by their own quantization.
        luma, table, coded = turned(luma, lies), _standard()[0], None
        extra = {} if strip else metadata.collect(outline, luma.shape[::-1])
        lies = 1
    return Source(luma, lies, table, coded, extra)


def stood(source: Source, degrees: int) -> Source:
    """The same JPEG with its pixels upright, and turned by so many degrees clockwise then.

    Its blocks lie otherwise, so that they are encoded anew.
    """
    luma = np.rot90(turned(source.luma, source.orientation), -degrees // 90)
    luma = np.ascontiguousarray(luma)
    extra = metadata.of_size(source.extra, luma.shape[::-1], upright=True)
    return Source(luma, 1, _standard()[0], None, extra)


# --- out ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _standard() -> tuple[Sequence[int], Sequence[int]]:
    """The quantization of luma and of chroma at the format's own quality, row by row."""
    options = {"quality": writing.FORMATS["jpeg"].quality}
    data = writing.saved(Image.new("YCbCr", (8, 8)), "JPEG", options)
    tables = cast("Any", kinds.lazily(io.BytesIO(data), "JPEG")).quantization
    return tables[0], tables[1]


def _coded(
    plane: np.ndarray, table: Sequence[int], *, progressive: bool = False
) -> scans.Component:
    options = {"qtables": [list(table)], "progressive": progressive}
    coded = scans.component(writing.saved(Image.fromarray(plane), "JPEG", options))
    assert coded is not None, "what libjpeg writes is laid out plainly"
    return coded


def _head(extra: Mapping[str, Any], origin: Origin | None, name: str) -> bytes:
    """How the file begins that ``writing.encode`` makes: all that it says but pixels."""
    tiny = Picture(np.zeros((1, 1), np.uint8))
    document = Document("jpeg", [tiny], extra, name)
    twin = writing.encode([(np.zeros((1, 1, 3), np.uint8), tiny)], document, "jpeg", origin=origin)
    return twin[: scans.body(twin)]


def halves_chroma(quality: int | None) -> bool:
    """Whether chroma is stored at half size, ``quality`` None where none is asked for.

    There is nothing finer in it where it is predicted, but who asks for much gets all of it.
    """
    return quality is None or quality <= FULL_CHROMA


def encode(
    source: Source,
    chroma: tuple[np.ndarray, np.ndarray],
    *,
    quality: int | None = None,
    origin: Origin | None = None,
    name: str = "-",
) -> bytes:
    """A JPEG of a photograph's luma with Cb and Cr, uint8, as large as it or half as large.

    Without a ``quality`` luma's scans stay, or its quantization does, and chroma has that of the
    format's own; a viewer must take in all of such a file before it shows any. With one, all is
    encoded anew, in one scan as most files are. ``origin``: what made the colours. Raises
    ``ImageError``.
    """
    head = _head(source.extra, origin, name)
    if quality is not None:
        blue, red = chroma
        data = cast("Any", _library()).encode_jpeg_yuv_planes(source.luma, blue, red, quality)
        return head + data[scans.body(data) :]
    coded = source.coded or _coded(source.luma, source.table)
    progressive = coded.frame == scans.PROGRESSIVE
    planes = [_coded(plane, _standard()[1], progressive=progressive) for plane in chroma]
    return scans.assembled(head, coded, planes)
