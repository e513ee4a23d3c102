"""One photograph in memory, from its bytes to coloured bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from colorcli.color.lab import join
from colorcli.color.tone import is_colour
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.result import Result, Stopwatch
from colorcli.config import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.system.parallel import Stopped


def colorize_bytes(
    data: bytes,
    name: str,
    colorizer: Colorizer,
    format: str | Callable[[reading.Document], str] | None = None,
    config: PredictConfig = PredictConfig(),
    *,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[bytes, Result]:
    """Encoded colours of an encoded photograph, every frame of it.

    ``format`` None: that of the photograph; a function chooses for what was decoded. Raises
    ``ImageError``, and ``Stopped`` soon after ``stop()`` is true.
    """
    clock = Stopwatch()
    document = reading.decode(
        data, name, max_pixels=config.max_pixels, keep_color=config.keep_color
    )
    width, height = document.size
    format = format(document) if callable(format) else format
    clock("decode")
    kept = 0
    notes: dict[str, None] = {}  # each once, in order

    def coloured() -> Iterator[tuple[np.ndarray, reading.Picture]]:
        nonlocal kept
        for index in range(len(document.frames)):
            if stop():
                raise Stopped
            picture = document.frames[index]
            notes.update(dict.fromkeys(picture.notes))
            clock("decode")
            if config.keep_color and picture.rgb is not None and is_colour(picture.rgb):
                kept += 1
                yield picture.rgb, picture
            else:
                ab = colorizer.ab(picture.gray)
                clock("network")
                rgb = join(picture.gray, ab, np.uint16 if picture.depth == 16 else np.uint8)
                clock("join")
                if stop():
                    raise Stopped
                yield rgb, picture
                del rgb
            clock("encode")
            del picture

    encoded = writing.encode(
        coloured(), document, format or document.format,
        quality=config.quality, strip=config.strip,
    )  # fmt: skip
    frames = len(document.frames)
    # Nothing was changed and nothing is asked for: the very file, without another loss.
    if kept == frames and format in (None, document.format) and config.changes_nothing:
        encoded = data
    clock("encode")
    return encoded, Result(
        name, None, "kept" if kept == frames else "done", width=width, height=height,
        frames=frames, milliseconds=clock.spent, notes=tuple(notes),
    )  # fmt: skip
