"""Photographs too large to hold: read and written a strip of rows at a time, through libvips.

libvips decodes and encodes; what samples mean (gray, profiles, Lab) stays with ``reading`` and
``lab``, so that a strip gets the very colours that it has in a photograph coloured whole.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

from colorcli.errors import ImageError, reason
from colorcli.imaging import kinds, planes, png, reading, sixteen_bit, truncation, writing
from colorcli.imaging.formats import tiff_writing, vips
from colorcli.imaging.formats.pillow import orientation
from colorcli.imaging.refusals import failures
from colorcli.imaging.tags import metadata
from colorcli.imaging.tags.icc import srgb_profile
from colorcli.system.parallel import in_order

STRIP = 4 << 20  # bytes of one, coloured
TAKES = 384 << 20  # bytes of memory that strips take, whatever the size; measured up to 350 MB

_EXTRA = "pip install 'colorcli[large]'"


# --- whether -----------------------------------------------------------------------------------


def _decoder_holds(image: Image.Image, header: reading.Header) -> int:
    """Bytes that a decoder cannot do without: a progressive or interlaced picture comes whole."""
    if image.info.get("progressive"):
        return header.pixels * header.bands * 2  # coefficients
    return header.pixels * header.bands * (header.depth // 8) * bool(image.info.get("interlace"))


def _plain_tiff(image: Image.Image) -> bool:
    tags = cast(Any, image).tag_v2
    bits, extra = tags.get(258, (1,)), tags.get(338, ())
    return (
        set(bits) in ({1}, {8}, {16})
        and tags.get(262) in (0, 1, 2, 3, 5, 6)  # gray, RGB, palette, CMYK, YCbCr
        and set(tags.get(339, (1,))) == {1}  # unsigned
        and extra in ((), (2,))  # alpha that colours were not multiplied by
    )


@dataclass(frozen=True)
class _Loader:
    """libvips' reader of a kind of file, what makes it give up, and the files it does well."""

    name: str
    fail_on: str
    does: Callable[[Image.Image], bool] = lambda image: True


_LOADERS: dict[str, _Loader] = {
    "JPEG": _Loader("jpegload_source", "error"),
    "PNG": _Loader("pngload_source", "error"),
    "TIFF": _Loader("tiffload_source", "warning", _plain_tiff),  # a tile too short is a warning
}


def peek(source: str | bytes) -> reading.Header | None:
    """The header of the file ``source``, or of its bytes; None where ``decode`` says why not."""
    try:
        with _opened(source) as file:
            return reading.peek(file)
    except OSError:
        return None


def decide(
    source: str | bytes,
    header: reading.Header,
    format: str,
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
        with _opened(source) as file:
            image = kinds.lazily(file, header.kind)
            loader = _LOADERS.get(header.kind)
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


# --- reading -----------------------------------------------------------------------------------


def _opened(source: str | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")


# EXIF orientation to what libvips does to turn a picture upright.
_TURNS: dict[int, tuple[str, ...]] = {
    2: ("fliphor",),
    3: ("rot180",),
    4: ("flipver",),
    5: ("rot90", "fliphor"),
    6: ("rot90",),
    7: ("rot270", "fliphor"),
    8: ("rot270",),
}
_STREAMED = (1, 2)  # orientations whose rows come in their order; others pass a file on disk


class Photograph:
    """A photograph read in strips, as often as asked for. Its pixels are upright sRGB.

    ``size``: width and height. ``extra``: metadata for a copy. ``channels``, ``dtype``: of a
    coloured copy, 4 with alpha.
    """

    def __init__(self, source: str | bytes, header: reading.Header, name: str = "-") -> None:
        """Read the header of the file ``source``, or of its bytes; raises ``ImageError``."""
        self._source, self._kind, self.name = source, header.kind, name
        with failures(name), _opened(source) as file:
            outline = kinds.outline(file, header.kind)
            turned = orientation(outline)
            self._turned = turned if turned in _TURNS else 1
            self._profile = outline.info.get("icc_profile")
            self.size = header.size[::-1] if self._turned > 4 else header.size
            self.extra = metadata.collect(outline, self.size)
        with self._failures(), self._open() as opened:
            image = opened.image
            if (image.width, image.height) != self.size:
                raise ImageError("its headers contradict each other")
            cmyk = image.interpretation == "cmyk"
            self._colours = 4 if cmyk else 3 if image.bands > 2 else 1
            self.channels = 4 if image.bands > self._colours else 3
            self.dtype = opened.dtype
            self._whole = False  # known to be

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """What libvips says, as an ``ImageError`` of one line."""
        with failures(self.name):
            try:
                yield
            except vips.library().Error as error:
                what = "the file"
                if self._turned not in _STREAMED:
                    what += f", and the space in {tempfile.gettempdir()}"
                raise ImageError(f"damaged picture ({vips.cause(error)}); check {what}") from None

    def _open(self, fail_on: str | None = None) -> _Opened:
        loader, streams = _LOADERS[self._kind], self._turned in _STREAMED
        turns = _TURNS.get(self._turned, ())
        return _Opened(self._source, loader.name, streams, turns, fail_on or loader.fail_on)

    def _strips(self, multiple: int = 1) -> list[slice]:
        width, height = self.size
        line = width * self.channels * self.dtype.itemsize
        tall = -(-max(1, STRIP // line) // multiple) * multiple
        return [slice(top, min(top + tall, height)) for top in range(0, height, tall)]

    def pictures(
        self, multiple: int = 1, keep: bool = False
    ) -> Iterator[tuple[slice, planes.Picture]]:
        """Strips from top to bottom; all but the last are a ``multiple`` of so many rows high.

        ``keep`` fills ``Picture.rgb``. One strip is read ahead. Raises ``ImageError``.
        """
        with self._failures(), self._open() as opened:

            def read(rows: slice) -> tuple[slice, planes.Picture]:
                pixels = opened.fetch(rows)
                alpha = pixels[..., self._colours] if self.channels == 4 else None
                colours = pixels[..., 0 if self._colours == 1 else slice(self._colours)]
                samples = sixteen_bit.Samples(
                    np.ascontiguousarray(colours),
                    None if alpha is None else np.ascontiguousarray(alpha),
                    self._profile,
                )
                return rows, planes.from_samples(samples, keep)

            # One thread: what libvips hands out is for the thread that asked first.
            ahead = in_order(read, self._strips(multiple), threads=1, window=2)
            try:
                yield from ahead
            finally:
                ahead.close()
            if self._kind == "JPEG" and not self._whole and truncation.is_filler(opened.tail()):
                self._check()
            self._whole = True

    def _check(self) -> None:
        """Read all once more, for damage that libjpeg has no more than a warning for."""
        with self._open("warning") as opened:
            for rows in self._strips():
                opened.fetch(rows)

    def copy_to(self, file: BinaryIO) -> None:
        """Write the very file."""
        with _opened(self._source) as source:
            while part := source.read(1 << 20):
                file.write(part)


class _Opened:
    """A libvips image of a file, upright, for a ``with`` block."""

    def __init__(
        self, source: str | bytes, loader: str, streams: bool, turns: tuple[str, ...], fail_on: str
    ) -> None:
        library = vips.library()
        self._file = _opened(source)
        self._error: OSError | None = None
        # Through functions of ours: of a file that it opens itself libvips maps all into memory,
        # and takes what stands in brackets in a name for options.
        self._custom = library.SourceCustom()  # held: libvips calls what would be gone otherwise
        self._custom.on_read(self._read)
        self._custom.on_seek(self._seek)
        access = "sequential" if streams else "random"
        self._base = getattr(library.Image, loader)(self._custom, access=access, fail_on=fail_on)
        self.image, self._streams = self._base, streams
        for turn in turns:
            self.image = getattr(self.image, turn)()
        self.dtype = np.dtype({"uchar": np.uint8, "ushort": np.uint16}[self.image.format])
        self._region: Any = None
        self._last: np.ndarray | None = None

    def _read(self, count: int) -> bytes | None:
        try:
            return self._file.read(count) or None
        except OSError as error:  # no exception may cross libvips; it takes this for the end
            self._error = error
            return None

    def _seek(self, offset: int, whence: int) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):  # before the beginning, in a damaged file
            return -1

    def fetch(self, rows: slice) -> np.ndarray:
        """Stored samples (h, W, bands) of ``rows``; each row once and in order."""
        if self._region is None:
            self._region = vips.library().Region.new(self.image)
        image, height = self.image, rows.stop - rows.start
        data = self._region.fetch(0, rows.start, image.width, height)
        pixels = np.frombuffer(data, self.dtype).reshape(height, image.width, image.bands)
        self._last = pixels[-1]
        return pixels

    def tail(self) -> np.ndarray:
        """The last row as it is stored, after all rows were fetched."""
        if self._streams and self._last is not None:
            return self._last
        base = self._base
        return np.frombuffer(
            vips.library().Region.new(base).fetch(0, base.height - 1, base.width, 1), self.dtype
        )

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._region = self.image = self._base = None
        self._file.close()
        if self._error is not None:
            raise ImageError(f"{reason(self._error)}; check the file")


# --- writing -----------------------------------------------------------------------------------


class _Feed:
    """Rows for libvips, which asks for them: as a PNG without compression, the one plain stream
    of samples that all its builds read.
    """

    def __init__(self, page: tiff_writing.Strips) -> None:
        self._parts, self._rest = self._png(page), memoryview(b"")
        self.error: BaseException | None = None
        self._lock = threading.Lock()

    @staticmethod
    def _png(page: tiff_writing.Strips) -> Iterator[bytes]:
        height, width, channels = page.shape
        yield png.head(width, height, channels=channels, bits=8 * page.dtype.itemsize)
        packed = zlib.compressobj(0)
        for rows in page.rows:
            big = rows.astype(page.dtype.newbyteorder(">"), copy=False)
            lines = np.zeros((rows.shape[0], 1 + rows[0].nbytes), np.uint8)  # 0: no filter
            lines[:, 1:] = big.reshape(rows.shape[0], -1).view(np.uint8)
            del rows, big
            yield png.chunk(b"IDAT", packed.compress(lines.data))
        yield png.chunk(b"IDAT", packed.flush()) + png.chunk(b"IEND", b"")

    def read(self, count: int) -> bytes | memoryview | None:
        """At most ``count`` bytes; None at the end, and early where ``error`` says why."""
        try:
            with self._lock:
                while not self._rest:
                    self._rest = memoryview(next(self._parts))
                part, self._rest = self._rest[:count], self._rest[count:]
                return part
        except StopIteration:
            return None
        except BaseException as error:  # libvips is between us and who should see it
            self.error = self.error or error
            return None


Body = Callable[[bytes | bytearray], int | None]  # where a file's own head ends


class _Sink:
    """Takes a file from libvips and gives it on with another head: that of ``twin``."""

    def __init__(self, file: BinaryIO, twin: bytes, body: Body, keep: int) -> None:
        self._file, self._body, self._begin = file, body, bytearray()
        self._head: bytes | None = twin[keep : body(twin)]
        self._keep = keep
        self.error: BaseException | None = None

    def write(self, data: Any) -> int:
        """All of ``data``; −1 where ``error`` says why not."""
        try:
            if self._head is None:
                self._file.write(data)
                return len(data)
            self._begin += data
            start = self._body(self._begin)
            if start is not None:
                begin = bytes(self._begin)
                self._file.write(begin[: self._keep] + self._head + begin[start:])
                self._head = None
            return len(data)
        except BaseException as error:
            self.error = self.error or error
            return -1


def _jpeg_body(data: bytes | bytearray) -> int | None:
    """Where the first segment begins that is neither an APPn nor a comment."""
    at = 2
    while len(data) >= at + 4:
        if not (0xE0 <= data[at + 1] <= 0xEF or data[at + 1] == 0xFE):
            return at
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _png_body(data: bytes | bytearray) -> int | None:
    """Where the first ``IDAT`` begins."""
    at = 8
    while len(data) >= at + 8:
        if data[at + 4 : at + 8] == b"IDAT":
            return at
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return None


def _through_vips(
    page: tiff_writing.Strips, file: BinaryIO, twin: bytes, body: Body, keep: int, saver: str,
    options: dict[str, Any],
) -> None:  # fmt: skip
    library = vips.library()
    feed, sink = _Feed(page), _Sink(file, twin, body, keep)
    source, target = library.SourceCustom(), library.TargetCustom()
    source.on_read(feed.read)
    target.on_write(sink.write)
    try:
        image = library.Image.pngload_source(source, access="sequential", fail_on="error")
        getattr(image, saver)(target, **options)
    except library.Error:
        for error in (feed.error, sink.error):
            if error is not None:
                raise error from None
        raise
    finally:
        image = None  # before what it reads from


def _write_jpeg(
    page: tiff_writing.Strips, file: BinaryIO, twin: bytes, quality: int, extra: Any
) -> None:
    options = {"Q": quality, "subsample_mode": "off" if quality > 90 else "on"}
    _through_vips(page, file, twin, _jpeg_body, 0, "jpegsave_target", options)


def _write_png(
    page: tiff_writing.Strips, file: BinaryIO, twin: bytes, quality: Any, extra: Any
) -> None:
    options = {"compression": 2, "filter": "sub"}  # files as large as Pillow's, as fast
    _through_vips(page, file, twin, _png_body, 33, "pngsave_target", options)


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
) -> None:
    """Write sRGB strips (h, W, 3) with alpha (h, W) or None as a copy of ``photograph``.

    ``format``: a key of ``WRITERS``; ``file`` must allow seeking. As ``encoding.encode`` otherwise.
    """
    chosen, name = writing.FORMATS[format], photograph.name
    quality = chosen.quality if quality is None else quality
    extra = {} if strip else photograph.extra
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
