"""One photograph in memory, from its bytes to coloured bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from colorcli.color.lab import join
from colorcli.color.tone import is_colour
from colorcli.colorizing.colorizer import Colours
from colorcli.colorizing.result import Result, Stopwatch
from colorcli.colorizing.scans.byproducts import Byproducts
from colorcli.colorizing.scans.windows import View
from colorcli.config import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.system.parallel import Stopped


def _kept(frames: Sequence[reading.Picture], config: PredictConfig) -> list[bool]:
    """Which frames are passed on in the colours that they have."""
    if not config.keep_color:
        return [False] * len(frames)  # without decoding them
    return [frame.rgb is not None and is_colour(frame.rgb) for frame in frames]


def _joined(
    picture: reading.Picture, view: View, colorizer: Colours, clock: Stopwatch
) -> np.ndarray:
    """A page in colour, of the depth that it has."""
    ab = colorizer.ab_of(view)
    clock("network")
    depth = np.uint16 if picture.depth == 16 else np.uint8
    rgb = join(view.shown(picture.gray), ab, depth)
    clock("join")
    return rgb


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
    notes: dict[str, None] = {}  # each once, in order

    def coloured() -> Iterator[tuple[np.ndarray, reading.Picture]]:
        for index in range(len(keeps)):
            if stop():
                raise Stopped
            picture = document.frames[index]
            notes.update(dict.fromkeys(picture.notes))
            clock("decode")
            if keeps[index]:
                assert picture.rgb is not None
                yield picture.rgb, picture
            else:
                view = colorizer.view(picture.gray, name=name, page=(index + 1, len(keeps)))
                beside.see(view, index if len(keeps) > 1 else None)
                rgb = _joined(picture, view, colorizer, clock)
                if stop():
                    raise Stopped
                beside.split(view, rgb, picture, document, written)
                yield rgb, picture
                del rgb, view
            clock("encode")
            del picture

    encoded = writing.encode(
        coloured(), document, written,
        quality=config.quality, strip=config.strip, origin=origin,
    )  # fmt: skip
    # Nothing was changed and nothing is asked for: the very file, without another loss.
    if all(keeps) and written == document.format and config.changes_nothing:
        encoded = data
    clock("encode")
    return encoded, Result(
        name, None, "kept" if all(keeps) else "done", width=document.size[0],
        height=document.size[1], frames=len(keeps), milliseconds=clock.spent, notes=(*notes, *beside.notes),
        provenance=origin.told() if origin else None, **({} if all(keeps) else beside.told()),
    )  # fmt: skip
