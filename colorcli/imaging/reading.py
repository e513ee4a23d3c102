"""Pictures in: bytes to planes, one page at a time, with what their copies are to carry along.

Readers are a table, asked in its order. A reader gives the whole picture or says why not; of a
picture that none gives, the reason is told that says most.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from colorcli.imaging import truncation
from colorcli.imaging.formats import codecs, jp2, jpeg, netpbm, pillow, psd, raw, tiff, vips
from colorcli.imaging.formats.bitmaps import bmp, pcx, tga
from colorcli.imaging.formats.pillow import Pages, Request
from colorcli.imaging.kinds import KINDS, kind_of, lazily, opened, outline
from colorcli.imaging.planes import Picture, from_samples
from colorcli.imaging.refusals import Declined, Final, Refused, best, check_size, failures
from colorcli.imaging.sixteen_bit import Samples
from colorcli.imaging.tags import provenance
from colorcli.system import windows
from colorcli.system.errors import ImageError, reason

__all__ = [
    "MAX_PIXELS", "READERS", "Document", "Header", "Picture", "Reader", "check_size", "decode",
    "failures", "is_picture", "peek", "read",
]  # fmt: skip

MAX_PIXELS = 512_000_000
HEAD = 4096  # bytes that say what kind of file it is
UNKNOWN = "not a picture that can be read; check the file"


@dataclass(frozen=True)
class Document:
    """A decoded file.

    ``format``: what its copy is written as by default. ``frames``: its pages or frames, decoded
    when asked for, one at a time; indexing raises ``ImageError``. ``extra``: metadata for the
    copy (see ``metadata.collect``) and an animation's ``loop``. ``name``: for messages.
    """

    format: str
    frames: Sequence[Picture]
    extra: Mapping[str, Any] = field(default_factory=dict)
    name: str = "-"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame."""
        height, width = self.frames[0].gray.shape
        return width, height


class _Frames(Sequence[Picture]):
    """Pages decoded on demand; the last one is kept, so that asking twice costs nothing."""

    def __init__(self, count: int, load: Callable[[int], Picture], first: Picture) -> None:
        self._count, self._load = count, load
        self._last: tuple[int, Picture] | None = (0, first)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        at = range(self._count)[index]
        if self._last is None or self._last[0] != at:
            self._last = None  # free the old one before the new one is made
            self._last = at, self._load(at)
        return self._last[1]


# --- readers -----------------------------------------------------------------------------------


def _one(read: Callable[[Request], Samples]) -> Callable[[Request], Pages]:
    """A reader of one picture, from what gives its samples."""

    def open_pages(request: Request) -> Pages:
        def load(_: int) -> Picture:
            samples = read(request)
            height, width = samples.pixels.shape[:2]
            check_size(width, height, request.max_pixels)
            return from_samples(samples, request.keep)

        return Pages(1, load)

    return open_pages


def _netpbm(request: Request) -> Samples:
    header = netpbm.header(request.data)
    if header is None:
        raise Declined("a Netpbm picture for Pillow")
    check_size(*header.size, request.max_pixels)
    return header.read(request.data)


def _jpeg(request: Request) -> Samples:
    header = jpeg.frame(request.data)
    if header is not None:
        check_size(*header.size, request.max_pixels)
    return jpeg.read(request.data)


def _tiff(request: Request) -> Pages:
    data, most = request.data, request.max_pixels
    size, numbers = tiff.pages_of(data)
    check_size(*size, most)
    if len(numbers) > truncation.MAX_FRAMES:
        raise Final(f"more than {truncation.MAX_FRAMES} frames; split the file first")
    return Pages(
        len(numbers),
        lambda i: from_samples(tiff.read_page(data, numbers[i], most), request.keep),
    )


def _vips(request: Request) -> Pages:
    numbers = tiff.pages_of(request.data)[1] if request.kind == "TIFF" else [None]

    def load(i: int) -> Picture:
        samples = vips.read_page(request.data, numbers[i], request.max_pixels)
        return from_samples(samples, request.keep)

    return Pages(len(numbers), load)


@dataclass(frozen=True)
class Reader:
    """``open``: a file's pages, or an error that says why not, as loading a page may raise one."""

    name: str
    kinds: Collection[str]
    open: Callable[[Request], Pages]


READERS: tuple[Reader, ...] = (
    Reader("Netpbm", ("PPM",), _one(_netpbm)),
    Reader("bitmap", ("BMP", "DIB"), _one(lambda r: bmp.read(r.data, r.kind, r.max_pixels))),
    Reader("Photoshop", ("PSD",), _one(lambda r: psd.read(r.data, r.max_pixels))),
    Reader("Pillow", [k for k, v in KINDS.items() if v.plugin or v.module], pillow.open_pages),
    Reader("PCX", ("PCX",), _one(lambda r: pcx.read(r.data, r.max_pixels))),
    Reader("Targa", ("TGA",), _one(lambda r: tga.read(r.data, r.max_pixels))),
    Reader("tifffile", ("TIFF",), _tiff),
    Reader("imagecodecs", ("JPEG",), _one(_jpeg)),
    Reader("bare JPEG", ("JPEG",), pillow.open_bare_jpeg),
    Reader("bare PNG", ("PNG",), pillow.open_bare_png),
    Reader("OpenCV", ("JPEG2000",), _one(lambda r: jp2.read(r.data))),
    Reader("JPEG XR", ("JXR",), _one(lambda r: codecs.read_jpeg_xr(r.data))),
    Reader("Radiance", ("HDR",), _one(lambda r: codecs.read_radiance(r.data))),
    Reader("LibRaw", ("RAW",), _one(lambda r: raw.read(r.data, r.max_pixels))),
    Reader("libvips", ("TIFF", "JPEG"), _vips),
)


class _Chain:
    """Readers of one file, each opened when those before it have refused."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._readers = [reader for reader in READERS if request.kind in reader.kinds]
        self._opened: dict[str, Pages | ImageError] = {}
        self.count: int | None = None
        self._collected = False

    def _pages(self, reader: Reader) -> Pages:
        if isinstance(self._opened.get(reader.name), ImageError):
            raise self._opened[reader.name]  # type: ignore[misc]
        if reader.name not in self._opened:
            try:
                with failures():
                    self._opened[reader.name] = reader.open(self._request)
            except ImageError as error:
                self._opened[reader.name] = error
                raise
        pages = self._opened[reader.name]
        assert isinstance(pages, Pages)
        if self.count not in (None, pages.count):
            raise Declined(f"{reader.name} counts {pages.count} pages")
        return pages

    def load(self, index: int) -> Picture:
        """A page, by the first reader that gives it; raises ``ImageError``."""
        reasons: list[ImageError] = []
        try:
            return self._given(index, reasons)
        except ImageError:
            self._opened.clear()
            raise
        finally:  # errors hold the frames they came through, which must not hold them, and the file
            reasons.clear()

    def _given(self, index: int, reasons: list[ImageError]) -> Picture:
        for reader in self._readers:
            try:
                pages = self._pages(reader)
                with failures():
                    picture = pages.load(index)
            except ImageError as error:
                reasons.append(error)
                if isinstance(error, Final):
                    break
            else:
                self.count = pages.count
                self._collected |= reader.name == "Pillow"
                self._collect(picture)
                return picture if index else self._with_what_is_lost(picture)
        unread = f"{self._request.kind} files are not read; save it as TIFF, PNG or JPEG"
        raise best(reasons or [Refused(unread)])

    def _with_what_is_lost(self, picture: Picture) -> Picture:
        kind, data = self._request.kind, self._request.data
        lost = truncation.tiff_pages_lost(data) if kind == "TIFF" else None
        return replace(picture, notes=(*picture.notes, lost)) if lost else picture

    def _collect(self, picture: Picture) -> None:
        """Metadata by Pillow, also where another library read the pixels."""
        request, (height, width) = self._request, picture.gray.shape
        if self._collected:
            return
        self._collected = True
        kind = "TIFF" if request.kind == "RAW" else request.kind
        with contextlib.suppress(Exception):  # the picture matters more
            image = outline(io.BytesIO(request.data), kind)
            pillow.collect(image, (width, height), request.extra)


def _kind(file: BinaryIO) -> str | None:
    """The kind of a file by its content; the file is left at its beginning."""
    kind = kind_of(file.read(HEAD))
    if kind == "TIFF" and raw.is_raw_tiff(file):
        kind = "RAW"
    file.seek(0)
    return kind


def is_picture(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is of a known kind."""
    return kind_of(head) is not None


def decode(
    data: bytes, name: str = "-", *, max_pixels: int = MAX_PIXELS, keep_color: bool = False
) -> Document:
    """A document from the bytes of its file, whatever its suffix; its first frame is decoded.

    EXIF orientation is applied, ICC profiles are converted to sRGB, 16-bit depth and alpha kept.
    ``keep_color`` fills ``Picture.rgb``. Raises ``ImageError``, one line beginning with ``name``,
    for what is not a whole picture, and for more than ``max_pixels`` in a frame or an animation.
    """
    with failures(name):
        if not data:
            raise ImageError("empty file; nothing to colour")
        kind = _kind(io.BytesIO(data))
        if kind is None:
            raise ImageError(UNKNOWN)
        extra: dict[str, Any] = {}
        chain = _Chain(Request(data, kind, max_pixels, keep_color, extra))
        first = chain.load(0)

    def load(i: int) -> Picture:
        with failures(name):
            return chain.load(i)

    assert chain.count is not None
    frames = _Frames(chain.count, load, first)
    return Document(KINDS[kind].format, frames, extra, name)


def read(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The first frame of a file with its colours; raises ``ImageError``."""
    try:
        data = Path(windows.reachable(os.fspath(path))).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {reason(error)}; check the path and its permissions") from None
    return decode(data, str(path), max_pixels=max_pixels, keep_color=True).frames[0]


# --- headers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    """What a file says of its first page before pixels are decoded.

    ``kind``: as Pillow calls its format. ``size``: width and height as it lies. ``depth``: 8 or 16
    bits a sample. ``bands``: samples a pixel. ``single``: whether it is the only page.
    ``progressive``: whether a JPEG comes in scans, rough ones first. ``result``: whether it is what
    an earlier run made. ``turned``: whether upright its sides are exchanged.
    """

    kind: str
    size: tuple[int, int]
    depth: int = 8
    bands: int = 1
    single: bool = False
    progressive: bool = False
    result: bool = False
    turned: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as it is seen."""
        return self.size[::-1] if self.turned else self.size

    @property
    def format(self) -> str:
        """What a copy is written as by default."""
        return KINDS[self.kind].format

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.size[0] * self.size[1]

    @property
    def need(self) -> int:
        """Bytes of memory that it takes to colour it whole, as measured and rounded up."""
        return self.pixels * (self.depth // 8) * (8 + 2 * self.bands)


def peek(source: str | bytes) -> Header | None:
    """The header of the file ``source``, or of its bytes; None where ``decode`` would raise, or may."""
    try:
        with opened(source) as file:
            return _header(file)
    except Exception:  # whatever damage does; decode() has the words for it
        return None


def _header(file: BinaryIO) -> Header | None:
    kind = _kind(file)
    head = file.read(HEAD)
    file.seek(0)
    header = netpbm.header(head)
    if header is not None:
        ours = provenance.is_ours(head, {})
        return Header("PPM", header.size, 16, header.channels, result=ours)
    if kind is None:
        return None
    if kind == "RAW":
        return Header(kind, raw.size(file), 16, 3)
    try:
        image = lazily(file, kind)
    except ImageError:
        if kind != "TIFF":
            return None
        file.seek(0)
        data = file.read()
        ours = provenance.is_ours(head, {"icc_profile": tiff.profile_of(data)})
        return Header(kind, tiff.pages_of(data)[0], 16, 4, result=ours)
    single = image.format == kind != "GIF" and pillow.page_numbers(image, head) == [0]
    tags = getattr(image, "tag_v2", {})  # of a TIFF, whose size Pillow gives upright
    size = (tags[256], tags[257]) if 256 in tags else image.size
    ours = provenance.is_ours(head, image.info)
    depth, bands = pillow.depth(image, head), len(image.getbands())
    turned = pillow.orientation(image) > 4
    return Header(
        kind, size, depth, bands, single=single, result=ours, turned=turned,
        progressive=bool(image.info.get("progressive")),
    )  # fmt: skip
