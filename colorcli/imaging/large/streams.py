"""What stands between libvips and our rows: a stream that it reads, and one that it writes."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from colorcli.imaging import png, tiff_writing
from colorcli.imaging.formats import vips


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


@dataclass(frozen=True)
class Head:
    """What a file is to begin with: its own first ``keep`` bytes, then those of the file ``twin``.

    ``body`` finds where the head of either ends.
    """

    twin: bytes
    body: Body
    keep: int = 0

    @property
    def rest(self) -> bytes:
        """The part that comes from ``twin``."""
        return self.twin[self.keep : self.body(self.twin)]


class _Sink:
    """Takes a file from libvips and gives it on with another head."""

    def __init__(self, file: BinaryIO, head: Head) -> None:
        self._file, self._head, self._begin = file, head, bytearray()
        self._begun = False
        self.error: BaseException | None = None

    def write(self, data: Any) -> int:
        """All of ``data``; −1 where ``error`` says why not."""
        try:
            if self._begun:
                self._file.write(data)
                return len(data)
            self._begin += data
            start = self._head.body(self._begin)
            if start is not None:
                begin = bytes(self._begin)
                self._file.write(begin[: self._head.keep] + self._head.rest + begin[start:])
                self._begun = True
            return len(data)
        except BaseException as error:
            self.error = self.error or error
            return -1


def png_body(data: bytes | bytearray) -> int | None:
    """Where the first ``IDAT`` begins."""
    at = 8
    while len(data) >= at + 8:
        if data[at + 4 : at + 8] == b"IDAT":
            return at
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return None


def through_vips(
    page: tiff_writing.Strips, file: BinaryIO, head: Head, saver: str, options: dict[str, Any]
) -> None:
    """Write ``page`` by libvips' ``saver`` into a file that begins as ``head`` says."""
    library = vips.library()
    feed, sink = _Feed(page), _Sink(file, head)
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
