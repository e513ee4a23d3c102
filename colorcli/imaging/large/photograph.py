"""A photograph read in strips, and which files libvips reads so."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

from colorcli.imaging import kinds, planes, reading, sixteen_bit, truncation
from colorcli.imaging.formats import vips
from colorcli.imaging.formats.pillow import orientation
from colorcli.imaging.refusals import failures
from colorcli.imaging.tags import metadata
from colorcli.system.errors import ImageError, reason
from colorcli.system.parallel import in_order

STRIP = 4 << 20  # bytes of one, coloured

Halve = Callable[[np.ndarray], np.ndarray]


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
class Loader:
    """libvips' reader of a kind of file, what makes it give up, and the files it does well.

    ``halvings``: how often it halves both sides while it decodes, which costs less than not to.
    """

    name: str
    fail_on: str
    does: Callable[[Image.Image], bool] = lambda image: True
    halvings: int = 0


LOADERS: dict[str, Loader] = {
    "JPEG": Loader("jpegload_source", "error", halvings=3),
    "PNG": Loader("pngload_source", "error"),
    "TIFF": Loader("tiffload_source", "warning", _plain_tiff),  # a tile too short is a warning
}


@dataclass(frozen=True)
class Halvings:
    """How often rows and columns are halved, and what halves samples (H, W) or (H, W, C) so often."""

    down: int
    across: int
    halved: Callable[[np.ndarray, int, int], np.ndarray]


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

    ``format``: its own. ``size``: width and height. ``extra``: metadata for a copy. ``channels``,
    ``dtype``: of a coloured copy, 4 with alpha.
    """

    def __init__(self, source: str | bytes, header: reading.Header, name: str = "-") -> None:
        """Read the header of the file ``source``, or of its bytes; raises ``ImageError``."""
        self._source, self._kind, self.name = source, header.kind, name
        self.format = header.format
        with failures(name), kinds.opened(source) as file:
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

    def _open(self, fail_on: str | None = None, shrink: int = 1) -> _Upright:
        loader, streams = LOADERS[self._kind], self._turned in _STREAMED
        options: dict[str, Any] = {"access": "sequential" if streams else "random"}
        options["fail_on"] = fail_on or loader.fail_on
        if shrink > 1:
            options["shrink"] = shrink
        return _Upright(self._source, loader.name, options, _TURNS.get(self._turned, ()))

    def _strips(self, width: int, height: int, multiple: int = 1) -> list[slice]:
        line = width * self.channels * self.dtype.itemsize
        tall = -(-max(1, STRIP // line) // multiple) * multiple
        return [slice(top, min(top + tall, height)) for top in range(0, height, tall)]

    def _picture(self, pixels: np.ndarray, keep: bool, halve: Halve | None) -> planes.Picture:
        alpha = pixels[..., self._colours] if self.channels == 4 and halve is None else None
        colours = pixels[..., 0 if self._colours == 1 else slice(self._colours)]
        colours = np.ascontiguousarray(colours)
        samples = sixteen_bit.Samples(
            halve(colours) if halve else colours,
            None if alpha is None else np.ascontiguousarray(alpha),
            self._profile,
        )
        return planes.from_samples(samples, keep)

    def pictures(self, keep: bool = False) -> Iterator[tuple[slice, planes.Picture]]:
        """Strips from top to bottom; ``keep`` fills ``Picture.rgb``.

        One strip is read ahead. Raises ``ImageError``.
        """
        return self._pass(keep, self._strips(*self.size))

    def reduced(self, by: Halvings, keep: bool = False) -> Iterator[planes.Picture]:
        """``pictures`` of the photograph halved, without alpha; what is left of an odd number is cut off.

        The decoder does its part of it; samples are halved as they are stored.
        """
        early = min(by.down, by.across, LOADERS[self._kind].halvings)
        down, across = by.down - early, by.across - early
        width, height = (side >> early for side in self.size)

        def halve(pixels: np.ndarray) -> np.ndarray:
            return by.halved(pixels[:, :width], down, across)

        tall = 1 << down
        rows = self._strips(width, height >> down << down, tall)
        return (picture for _, picture in self._pass(keep, rows, halve, 1 << early))

    def _pass(
        self, keep: bool, strips: list[slice], halve: Halve | None = None, shrink: int = 1
    ) -> Iterator[tuple[slice, planes.Picture]]:
        with self._failures(), self._open(shrink=shrink) as opened:

            def read(rows: slice) -> tuple[slice, planes.Picture]:
                pixels = opened.fetch(rows)
                if rows is strips[-1]:
                    opened.finish()
                return rows, self._picture(pixels, keep, halve)

            # One thread: what libvips hands out is for the thread that asked first.
            ahead = in_order(read, strips, threads=1, window=2)
            try:
                yield from ahead
            finally:
                ahead.close()
            if self._kind == "JPEG" and not self._whole and truncation.is_filler(opened.tail()):
                self._check()
            # A decoder that halves leaves out what is left of an odd number.
            self._whole |= not any(side % shrink for side in self.size)

    def _check(self) -> None:
        """Read all once more, for damage that libjpeg has no more than a warning for.

        At full size: libvips does not look for warnings behind its last eight lines.
        """
        with self._open("warning") as opened:
            for rows in self._strips(*self.size):
                opened.fetch(rows)

    def copy_to(self, file: BinaryIO) -> None:
        """Write the very file; raises ``ImageError`` where it is damaged."""
        if not self._whole:
            for _ in self.pictures():
                pass
        with kinds.opened(self._source) as source:
            while part := source.read(1 << 20):
                file.write(part)


class _Upright:
    """A libvips image of a file, upright, for a ``with`` block."""

    def __init__(
        self, source: str | bytes, loader: str, options: dict[str, Any], turns: tuple[str, ...]
    ) -> None:
        library = vips.library()
        self._file = kinds.opened(source)
        self._error: OSError | None = None
        # Through functions of ours: of a file that it opens itself libvips maps all into memory,
        # and takes what stands in brackets in a name for options.
        self._custom = library.SourceCustom()  # held: libvips calls what would be gone otherwise
        self._custom.on_read(self._read)
        self._custom.on_seek(self._seek)
        self._base = getattr(library.Image, loader)(self._custom, **options)
        self.image, self._streams = self._base, options["access"] == "sequential"
        for turn in turns:
            self.image = getattr(self.image, turn)()
        self.dtype = np.dtype({"uchar": np.uint8, "ushort": np.uint16}[self.image.format])
        self._region: Any = None
        self._last: np.ndarray | None = None
        self._next = 0

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
        self._last, self._next = pixels[-1], rows.stop
        return pixels

    def finish(self) -> None:
        """Read what rows there are below those fetched, for the damage in them."""
        if self._next < self.image.height:
            self.fetch(slice(self._next, self.image.height))

    def tail(self) -> np.ndarray:
        """The last row as it is stored, after all rows were fetched."""
        if self._streams and self._last is not None:
            return self._last
        base = self._base
        return np.frombuffer(
            vips.library().Region.new(base).fetch(0, base.height - 1, base.width, 1), self.dtype
        )

    def __enter__(self) -> _Upright:
        return self

    def __exit__(self, *_: object) -> None:
        self._region = self.image = self._base = None
        self._file.close()
        if self._error is not None:
            raise ImageError(f"{reason(self._error)}; check the file")
