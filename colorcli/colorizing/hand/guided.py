"""Known colours of a picture, brought into the squares that the network saw of it.

The one place that knows where a point of the picture lies in each square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from colorcli.color.lab import gray_to_L
from colorcli.colorizing import hints
from colorcli.colorizing.hand import likeness
from colorcli.colorizing.hand.hint import Known
from colorcli.colorizing.hand.likeness import Square
from colorcli.colorizing.hand.reference import Lent, References
from colorcli.colorizing.hints import FINE, Point
from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.windows import Look, View, Window, whole
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
        Point(float(x), float(y), k.ab, k.stuff)
        for (x, y), k, there in zip(spots, known, inside, strict=True)
        if there or (k.stuff is not None and np.isnan(x))
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
        light = square.light(side)
        if first is not None:
            ab[..., :2] += _carried(first, windows[0], window)
        roots = None if square.shares is None else np.sqrt(square.shares)
        field = hints.corrections(ab[..., :2], light, roots, _within(known, window))
        first = field if first is None else first
        ab[..., :2] += field
        found.append(ab)
    return found


def lent(view: View, known: References, strength: float, look: Look) -> View:
    """A view with the colours of the nearest of some references.

    To choose it the network looks at the whole; where that is what the picture is coloured by,
    the look is kept.
    """
    if not known.several:
        return replace(view, lent=known.only(strength))
    seen = view.looked[0] if view.looked and not view.regions else None
    if seen is None and not view.regions:
        seen = look(view, 0)
        view = replace(view, looked=(seen,))
    name = known.nearest(seen or look(whole(view.base), 0))
    return replace(view, lent=known.lent(name, strength))


def of_still(view: View, square: Square, still: Lent) -> list[Known]:
    """The colours of a still all over a view that is seen whole; none where that is another picture."""
    side = square.ab.shape[0]
    light = square.light(side)
    if not likeness.is_same(still.taught, light):
        return []
    places, true = likeness.spots(still.taught, side)
    present = hints.shown(square.ab[..., :2], *places.T)
    asked = present + still.strength * (true - present)
    width, height = view.size
    return [
        Known(float(x * width), float(y * height), (float(a), float(b)), None, colour=still.name)
        for (x, y), (a, b) in zip(places, asked, strict=True)
    ]


def remembered(view: View, square: Square, known: Sequence[Known]) -> list[Known]:
    """Known colours with what lies at their places in a view that is seen whole, in one square.

    As they are, for a network without a distribution: it cannot know the like of it again.
    """
    if view.lent is not None:
        square = view.lent.like(square)
    if square.shares is None or not known:
        return [*known]
    side = square.shares.shape[0]
    light = square.light(side)
    points = _within(known, view.windows[0][0])
    stuffs = hints.remembered(square.ab[..., :2], light, np.sqrt(square.shares), points)
    return [replace(k, stuff=stuff) for k, stuff in zip(known, stuffs, strict=True)]


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
