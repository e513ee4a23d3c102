"""Known colours of a picture, brought into the squares that the network saw of it.

The one place that knows where a point of the picture lies in each square.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from colorcli.color.lab import gray_to_L
from colorcli.colorizing import hints
from colorcli.colorizing.hand.hint import Known
from colorcli.colorizing.hand.likeness import Square
from colorcli.colorizing.hints import FINE, Point
from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.windows import View, Window
from colorcli.system.errors import UsageError

UNLIKE = 25.0  # of L, by which a colour asked for is told to be much lighter or darker
EDGE = 1e-6  # of a square's side


def _within(known: Sequence[Known], window: Window) -> list[Point]:
    """Those that lie in a window, in its square."""
    if not known:
        return []
    spots = quads.moved(np.array([[k.x, k.y] for k in known]), window.to_square(1))
    inside: np.ndarray = np.all((spots >= -EDGE) & (spots <= 1 + EDGE), axis=1)
    return [
        Point(float(x), float(y), k.ab)
        for (x, y), k, there in zip(spots, known, inside, strict=True)
        if there
    ]


def _carried(field: np.ndarray, source: Window, target: Window) -> np.ndarray:
    """What a field (s, s, 2) over one window is over another."""
    side = field.shape[0]
    map = source.to_square(side) @ np.linalg.inv(target.to_square(side))
    return cv2.warpPerspective(
        field, quads.centred(np.linalg.inv(map)), (side, side), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def guided(view: View, windows: Sequence[Window], squares: Sequence[Square]) -> list[np.ndarray]:
    """ab (S, S, 2) float32 of each window of one photograph of a view, the whole first, with known colours.

    As the squares have it, where there are none.
    The others take the whole's corrections along, so that a hint counts for all of them, and
    then meet the hints within them exactly.
    """
    if view.lent is not None:
        squares = [view.lent.like(square) for square in squares]
    known = view.known
    if not known:
        return [square.ab for square in squares]
    found: list[np.ndarray] = []
    first: np.ndarray | None = None
    for window, square in zip(windows, squares, strict=True):
        side = FINE * square.ab.shape[0]
        ab = cv2.resize(square.ab, (side, side), interpolation=cv2.INTER_CUBIC)
        light = cv2.resize(square.lightness, (side, side), interpolation=cv2.INTER_AREA)
        if first is not None:
            ab[..., :2] += _carried(first, windows[0], window)
        roots = None if square.shares is None else np.sqrt(square.shares)
        field = hints.corrections(ab[..., :2], light, roots, _within(known, window))
        first = field if first is None else first
        ab[..., :2] += field
        found.append(ab)
    return found


def check(view: View, known: Sequence[Known]) -> None:
    """Raise ``UsageError`` for a hint that lies in none of the photographs found in a scan."""
    for k in known:
        if not any(_within([k], windows[0]) for windows in view.windows):
            raise UsageError(
                f"the hint {int(k.x)},{int(k.y)},{k.colour} lies in none of the "
                f"{len(view.regions)} photographs found; --regions none takes the picture whole"
            )


def notes(view: View, known: Sequence[Known], distribution: bool) -> list[str]:
    """What a person who gave hints should know."""
    told = []
    if known and not distribution:
        told.append("the model has no colour distribution: hints reach what is near alone")
    shades = gray_to_L(view.base)[..., None]
    for k in known:
        if k.lightness is None:
            continue
        x, y = np.array([k.x / view.size[0]]), np.array([k.y / view.size[1]])
        own = float(hints.sampled(shades, x, y)[0, 0])
        if abs(own - k.lightness) > UNLIKE:
            told.append(
                f"{k.colour} is {'lighter' if k.lightness > own else 'darker'} than the photograph "
                f"at {int(k.x)},{int(k.y)}; the photograph's lightness stays, the hint gives hue "
                "and chroma alone"
            )
            break
    return told
