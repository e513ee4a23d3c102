"""One photograph in memory, from its bytes to coloured bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from colorcli.color.lab import join
from colorcli.color.tone import is_colour
from colorcli.colorizing.colorizer import Colours
from colorcli.colorizing.result import Result, Stopwatch
from colorcli.colorizing.scans.byproducts import Byproducts
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.imaging.tags import metadata
from colorcli.system.parallel import Stopped


def _kept(frames: Sequence[reading.Picture], config: PredictConfig) -> list[bool]:
    """Which frames are passed on in the colours that they have."""
    if not config.keep_color:
        return [False] * len(frames)  # without decoding them
    return [frame.rgb is not None and is_colour(frame.rgb) for frame in frames]


@dataclass
class _Pages:
    """The pages of a document in colour, one after the other; each with what it was made of.

    ``notes``: what its owner should know of how they were read.
    """

    document: reading.Document
    keeps: Sequence[bool]
    colorizer: Colours
    beside: Byproducts
    clock: Stopwatch
    stop: Callable[[], bool]
    notes: dict[str, None] = field(default_factory=dict)  # each once, in order

    def coloured(self, format: str) -> Iterator[tuple[np.ndarray, reading.Picture]]:
        """sRGB (H, W, 3) of each page. Raises ``Stopped`` soon after ``stop()`` is true."""
        for index, kept in enumerate(self.keeps):
            if self.stop():
                raise Stopped
            picture = self.document.frames[index]
            self.notes.update(dict.fromkeys(picture.notes))
            self.clock("decode")
            if kept:
                assert picture.rgb is not None
                yield picture.rgb, picture
            else:
                yield self._page(index, picture, format)
            self.clock("encode")
            del picture

    def _page(
        self, index: int, picture: reading.Picture, format: str
    ) -> tuple[np.ndarray, reading.Picture]:
        name, several = self.document.name, len(self.keeps) > 1
        view = self.colorizer.view(picture.gray, name=name, page=(index + 1, len(self.keeps)))
        if picture.duration is not None:  # frames must stay alike
            view = replace(view, standing=False)
        self.beside.see(view, index if several else None)
        ab = self.colorizer.ab_of(view)
        self.clock("network")
        rgb = join(view.shown(picture.gray), ab, np.uint16 if picture.depth == 16 else np.uint8)
        self.clock("join")
        if self.stop():
            raise Stopped
        self.beside.split(view, rgb, picture, self.document, format)
        return _stood(rgb, picture, view.stands)


def _stood(
    rgb: np.ndarray, picture: reading.Picture, degrees: int
) -> tuple[np.ndarray, reading.Picture]:
    """A page turned by so many degrees clockwise, with what it was made of."""
    if not degrees:
        return rgb, picture

    def turned(plane: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(plane, -degrees // 90))

    rgb, alpha = turned(rgb), None if picture.alpha is None else turned(picture.alpha)
    return rgb, replace(picture, gray=rgb[..., 0], rgb=None, alpha=alpha)


def colorize_bytes(
    data: bytes,
    name: str,
    colorizer: Colours,
    format: str | Callable[[reading.Document], str] | None = None,
    config: PredictConfig = PredictConfig(),
    *,
    beside: Byproducts | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[bytes, Result]:
    """Encoded colours of an encoded photograph, every frame of it.

    ``format`` None: that of the photograph; a function chooses for what was decoded. ``beside``
    takes what is asked for beside it. Raises ``ImageError``, ``UsageError`` for regions that lie
    outside, and ``Stopped`` soon after ``stop()`` is true.
    """
    clock, beside = Stopwatch(), beside or Byproducts(config)
    limit = config.max_pixels
    document = reading.decode(data, name, max_pixels=limit, keep_color=config.keep_color)
    written = (format(document) if callable(format) else format) or document.format
    keeps = _kept(document.frames, config)
    origin = None if config.no_provenance or all(keeps) else colorizer.origin
    clock("decode")
    pages = _Pages(document, keeps, colorizer, beside, clock=clock, stop=stop)
    coloured: Iterable[tuple[np.ndarray, reading.Picture]] = pages.coloured(written)
    if config.scans.upright and len(keeps) == 1:  # what is told of it depends on how it is turned
        coloured = list(coloured)
        size = coloured[0][0].shape[1::-1]
        extra = metadata.of_size(document.extra, size)
        document = replace(document, frames=[coloured[0][1]], extra=extra)
    encoded = writing.encode(
        coloured, document, written,
        quality=config.quality, strip=config.strip, origin=origin,
    )  # fmt: skip
    # Nothing was changed and nothing is asked for: the very file, without another loss.
    if all(keeps) and written == document.format and config.changes_nothing:
        encoded = data
    clock("encode")
    return encoded, beside.result(
        name, document.size, clock, origin, kept=all(keeps), frames=len(keeps), notes=pages.notes
    )
