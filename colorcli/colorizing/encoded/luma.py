"""One JPEG that becomes a JPEG: its luma stays, chroma is added."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from colorcli.color.ycbcr import chroma
from colorcli.colorizing.colorizer import Colours
from colorcli.colorizing.framing import halved, halvings
from colorcli.colorizing.result import Result, Stopwatch
from colorcli.colorizing.scans.byproducts import Byproducts
from colorcli.config.predict import PredictConfig
from colorcli.imaging.jpeg import luma
from colorcli.imaging.planes import turned
from colorcli.system.parallel import Stopped


def colorize_luma(
    data: bytes,
    name: str,
    colorizer: Colours,
    config: PredictConfig = PredictConfig(),
    *,
    beside: Byproducts | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[bytes, Result] | None:
    """The coloured JPEG of a JPEG that ``luma.may_stay`` is for; None where it shall go by Lab.

    Raises ``Stopped`` soon after ``stop()`` is true.
    """
    clock, beside = Stopwatch(), beside or Byproducts(config)
    source = luma.source(data, strip=config.strip)
    clock("decode")
    if source is None:
        return None
    lies, plane = source.orientation, source.luma
    height, width = plane.shape
    small = halved(plane, *halvings(height, width, colorizer.side))
    view = colorizer.view(turned(small, lies), size=source.size, name=name)
    beside.see(view)
    ab = turned(colorizer.ab_of(view), lies, back=True)
    clock("network")
    if stop():
        raise Stopped
    if view.stands:
        source, ab = luma.stood(source, view.stands), np.rot90(turned(ab, lies), -view.stands // 90)
    planes = chroma(source.luma, ab, halved=luma.halves_chroma(config.quality))
    clock("join")
    if stop():
        raise Stopped
    origin = None if config.no_provenance else colorizer.origin
    encoded = luma.encode(source, planes, quality=config.quality, origin=origin, name=name)
    clock("encode")
    return encoded, beside.result(name, source.size, clock, origin)
