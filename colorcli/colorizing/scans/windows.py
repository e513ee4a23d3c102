"""What the network is to see of a picture: photographs, squares of each, and their chroma as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from colorcli.colorizing.framing import halved, halvings
from colorcli.colorizing.hand.hint import Known
from colorcli.colorizing.hand.likeness import Square
from colorcli.colorizing.hand.reference import Lent
from colorcli.colorizing.scans import negatives, quads
from colorcli.colorizing.scans.finding import find
from colorcli.colorizing.scans.negatives import Positive
from colorcli.colorizing.scans.quads import Region
from colorcli.config.predict import ScansConfig
from colorcli.network.upright.head import WAYS, agreed

LONG = 1.6  # longer side by the shorter one from which on a photograph is seen in squares, too
STEP = 0.7  # of a square's side, from one to the next
MANY = 12  # squares along a photograph: beyond, they become longer
QUARTER = 0.8  # of a side, that of the squares of a photograph that is not long
PARTS, QUARTERS = (
    2.0,
    1.0,
)  # weight of squares along a long photograph, and of others; the whole has 1
CANVAS = 768  # pixels of the longer side of chroma put together
ROOM = 48 << 20  # bytes that its stretching over the picture may take
DOUBT = 0.5  # share from which on another way up than a picture lies is worth a second look
KEPT = 8  # photographs of a page whose first look is kept until they are coloured


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a picture that the network is shown as one square.

    ``corners`` (4, 2) in pixels of the picture, in the order of the square's own. ``weight``: how
    much it counts where others overlap it. ``open``: whether others go on beyond its left, upper,
    right and lower side, so that it fades there.
    """

    corners: np.ndarray
    weight: float = 1.0
    open: tuple[bool, bool, bool, bool] = (False, False, False, False)

    def to_square(self, side: int) -> np.ndarray:
        """The map (3, 3) from pixels of the picture to those of the square."""
        return quads.homography(self.corners, quads.box(side, side))


@dataclass(frozen=True, eq=False)
class View:
    """What the network is to see of a picture of ``size`` (width, height).

    ``regions``: photographs found in it, none where it is one itself. ``windows``: for each of
    them, or for the picture, the whole first. ``base`` (h, w) uint8 or uint16: the gray that it is
    seen from. ``border``: what lies around the regions is coloured, too. ``positive``: what a
    negative goes through. ``notes``: what its owner should know. ``known``:
    colours that a person knows; ``lent``: those that a reference gives. ``turn``: degrees by which
    a picture without regions is seen turned clockwise. ``looked``: of each photograph what the
    network made of its whole already, to tell which way is up; None: nothing that may be used.
    ``standing``: the result is turned upright.
    """

    size: tuple[int, int]
    base: np.ndarray
    regions: tuple[Region, ...]
    windows: tuple[tuple[Window, ...], ...]
    border: bool = False
    positive: Positive | None = None
    notes: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()
    lent: Lent | None = None
    turn: int = 0
    looked: tuple[Square | None, ...] = ()
    standing: bool = False

    def shown(self, gray: np.ndarray) -> np.ndarray:
        """Gray of the picture, or of rows of it, as it is coloured: a negative's positive."""
        return gray if self.positive is None else self.positive(gray)

    @property
    def plain(self) -> bool:
        """Whether the picture is shown as it is, once."""
        return not self.regions and len(self.windows[0]) == 1

    @property
    def by_hand(self) -> bool:
        """Whether colours are given that the network's distribution carries on."""
        return bool(self.known) or self.lent is not None

    @property
    def turns(self) -> tuple[int, ...]:
        """Degrees by which each photograph is seen turned clockwise."""
        return tuple(region.turned for region in self.regions) or (self.turn,)

    @property
    def turned(self) -> int:
        """Degrees by which the picture is to be turned clockwise to stand upright.

        0 where it holds photographs that lie in different ways.
        """
        ways = set(self.turns)
        return ways.pop() if len(ways) == 1 else 0

    @property
    def stands(self) -> int:
        """Degrees by which the result is turned clockwise."""
        return self.turned if self.standing else 0

    def upright(self, turns: Sequence[int], squares: int) -> View:
        """The same, each photograph seen turned by so many degrees. ``squares``: as ``windows`` has it."""
        if tuple(turns) == self.turns:
            return self
        if not self.regions:
            return replace(
                self, turn=turns[0], windows=(windows(quads.box(*self.size), turns[0], squares),)
            )
        regions = tuple(
            replace(region, turned=turn) for region, turn in zip(self.regions, turns, strict=True)
        )
        seen = tuple(windows(r.corners, r.turned, squares) for r in regions)
        return replace(self, regions=regions, windows=seen)

    @property
    def passes(self) -> int:
        """Squares that the network sees of the photograph that has most."""
        return max(len(windows) for windows in self.windows)


def _turned(corners: np.ndarray, turned: int) -> np.ndarray:
    """Corners in the order that shows what lies between them turned clockwise by so many degrees."""
    return np.roll(corners, turned // 90, axis=0)


def _along(count: int, length: float, total: float) -> list[tuple[float, float]]:
    """Beginnings and ends in 0…1 of so many equal parts that cover a side evenly."""
    part = min(1.0, length / total)
    starts = np.linspace(0, 1 - part, count) if count > 1 else [(1 - part) / 2]
    return [(float(start), float(start) + part) for start in starts]


def _grid(width: float, height: float, passes: int) -> list[tuple[tuple[float, float], tuple[float, float]]]:  # fmt: skip
    """Spans (x, y) in 0…1 of the squares beside the whole; ``passes`` with the whole, 0: by shape."""
    ratio = max(width, height) / max(min(width, height), 1e-6)
    whole = [(0.0, 1.0)]
    count = passes - 1
    if not passes:
        if ratio < LONG:
            return []
        count = min(MANY, math.ceil((ratio - 1) / STEP) + 1)
    if count < 2:
        return []
    per_side = math.isqrt(count)
    if ratio >= LONG or per_side < 2:
        length = max(1.0, ratio / (1 + (count - 1) * STEP)) if ratio >= LONG else QUARTER * ratio
        spans = _along(count, length, ratio)
        return [(s, whole[0]) if width >= height else (whole[0], s) for s in spans]
    spans = _along(per_side, QUARTER if per_side == 2 else 1.5 / (per_side + 0.5), 1.0)
    return [(x, y) for y in spans for x in spans]


def windows(corners: np.ndarray, turned: int, passes: int) -> tuple[Window, ...]:
    """The squares that are shown of what lies between corners (4, 2): the whole first.

    ``passes``: how many; 0: one, and more of a long photograph.
    """
    width, height = quads.sides(corners)
    parts = _grid(width, height, passes)
    unit = quads.homography(quads.box(1, 1), corners)
    weight = PARTS if max(width, height) >= LONG * min(width, height) else QUARTERS
    found = [Window(_turned(corners, turned))]
    for (left, right), (top, bottom) in parts:
        box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        beyond = left > 1e-6, top > 1e-6, right < 1 - 1e-6, bottom < 1 - 1e-6
        shift = turned // 90
        beyond = tuple(np.roll(beyond, shift).tolist())
        found.append(Window(_turned(quads.moved(box, unit), turned), weight, beyond))
    return tuple(found)


def canvas(size: tuple[int, int], few: bool) -> tuple[int, int]:
    """Width and height of the plane that chroma is put together on, for a picture of ``size``."""
    width, height = size
    long = CANVAS if not few else CANVAS // 2
    share = min(1.0, long / max(width, height))
    most = ROOM / (8 * width + 4 * height)  # rows
    share = min(share, most / height)
    return max(4, round(width * share)), max(4, round(height * share))


def _spots(map: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (1, w), (h, 1) by a map (3, 3), as planes (h, w) float32."""
    m = map.astype(np.float32)
    over = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    u = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / over
    return u, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / over


def _fading(at: np.ndarray, low: bool, high: bool) -> np.ndarray:
    """Weight in 0…1 of places in 0…1 of a square that fades to its open ends."""
    weight = np.ones_like(at)
    if low:
        weight = np.minimum(weight, at / (1 - STEP))
    if high:
        weight = np.minimum(weight, (1 - at) / (1 - STEP))
    weight = np.clip(weight, 0, 1)
    return weight * weight * (3 - 2 * weight)


@dataclass(frozen=True, eq=False)
class _Canvas:
    """Chroma (h, w, 2) float32 of a whole picture in the making, and the map from the picture to it."""

    ab: np.ndarray
    map: np.ndarray

    def place(self, corners: np.ndarray) -> tuple[slice, slice] | None:
        """The part of it about a shape of the picture; None where that lies outside."""
        height, width = self.ab.shape[:2]
        points = quads.moved(corners, self.map)
        left, top = np.floor(points.min(axis=0) - 1).astype(int).clip(0)
        right, bottom = np.ceil(points.max(axis=0) + 1).astype(int)
        right, bottom = min(right, width), min(bottom, height)
        return (slice(top, bottom), slice(left, right)) if right > left and bottom > top else None

    def unit(self, corners: np.ndarray, at: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """Where in 0…1 between corners the centres of the pixels of a part lie."""
        map = quads.homography(quads.moved(corners, self.map), quads.box(1, 1))
        rows, columns = at
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] + 0.5
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5
        return _spots(map, x, y)

    def cover(self, region: Region, at: tuple[slice, slice]) -> np.ndarray:
        """Share (h, w) of each pixel of a part that the photograph covers."""
        u, v = self.unit(region.corners, at)
        wide, high = quads.sides(quads.moved(region.corners, self.map))
        if region.oval:
            inside = (1 - np.hypot(2 * u - 1, 2 * v - 1)) * min(wide, high) / 2 + 0.5
            return np.clip(inside, 0, 1)
        x = np.clip(np.minimum(u, 1 - u) * wide + 0.5, 0, 1)
        return x * np.clip(np.minimum(v, 1 - v) * high + 0.5, 0, 1)


def _mean(
    board: _Canvas, windows: Sequence[Window], chroma: Sequence[np.ndarray], at: tuple[slice, slice]
) -> np.ndarray:
    """Weighted mean (h, w, 2) over a part of what windows of one photograph say."""
    rows, columns = at
    shape = rows.stop - rows.start, columns.stop - columns.start
    total = np.zeros((*shape, chroma[0].shape[2]), np.float32)
    weights = np.zeros(shape, np.float32)
    for window, ab in zip(windows, chroma, strict=True):
        part = board.place(window.corners) if any(window.open) else at
        if part is None:
            continue
        inner = tuple(slice(max(p.start, a.start), min(p.stop, a.stop)) for p, a in zip(part, at, strict=True))  # fmt: skip
        if any(s.stop <= s.start for s in inner):
            continue
        u, v = board.unit(window.corners, (inner[0], inner[1]))
        side = ab.shape[0]
        values = cv2.remap(
            ab, u * side - 0.5, v * side - 0.5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        left, top, right, bottom = window.open
        weight = window.weight * _fading(u, left, right) * _fading(v, top, bottom)
        own = tuple(
            slice(s.start - a.start, s.stop - a.start) for s, a in zip(inner, at, strict=True)
        )
        total[own] += values * weight[..., None]
        weights[own] += weight
    return total / np.maximum(weights, 1e-6)[..., None]


def joined(view: View, chroma: Sequence[Sequence[np.ndarray]], around: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    """ab (h, w, 2) float32 of the whole picture from that of its windows, each (s, s, 2).

    A third plane, how sure it is, goes the same way. Neutral, and sure, outside of the regions, or
    ``around`` (s, s, 2), which is stretched over the picture.
    """
    width, height = canvas(view.size, not view.regions)
    board = _Canvas(
        np.zeros((height, width, chroma[0][0].shape[2]), np.float32),
        quads.scaling(width / view.size[0], height / view.size[1]),
    )
    whole = slice(0, height), slice(0, width)
    board.ab[..., 2:] = 1
    if around is not None:
        board.ab[:] = cv2.resize(around, (width, height), interpolation=cv2.INTER_CUBIC)
    if not view.regions:
        board.ab[:] = _mean(board, view.windows[0], chroma[0], whole)
        return board.ab
    for region, windows, ab in zip(view.regions, view.windows, chroma, strict=True):
        at = board.place(region.corners)
        if at is not None:
            cover = board.cover(region, at)[..., None]
            board.ab[at] += cover * (_mean(board, windows, ab, at) - board.ab[at])
    return board.ab


def whole(gray: np.ndarray, size: tuple[int, int] | None = None) -> View:
    """Gray (H, W) uint8 or uint16, seen as it is, once: a frame of a film, whose like must agree.

    ``size`` (width, height): of the picture that ``gray`` is a copy of.
    """
    size = size or (gray.shape[1], gray.shape[0])
    return View(size, gray, (), ((Window(quads.box(*size)),),))


def view(
    gray: np.ndarray, side: int, config: ScansConfig, *, size: tuple[int, int] | None = None,
    given: tuple[Region, ...] | None = None, turn: int = 0,
) -> View:  # fmt: skip
    """What a network of ``side`` sees of gray (H, W) uint8 or uint16.

    ``size`` (width, height): of the picture that ``gray`` is a copy of. ``given``: its photographs,
    in that picture's pixels; none: it is one itself, seen turned by ``turn`` degrees; None: they are
    sought.
    """
    height, width = gray.shape
    size = size or (width, height)
    base = halved(gray, *halvings(height, width, side))
    regions = given
    if regions is None:
        regions = find(base, size) if config.regions == "auto" else ()
    positive: negatives.Positive | None = None
    if config.negative:
        positive = negatives.positive(base, regions)
        base = positive(base)
    shapes = [(region.corners, region.turned) for region in regions] or [(quads.box(*size), turn)]
    seen = tuple(windows(corners, turned, config.squares) for corners, turned in shapes)
    border = config.color_border
    turn = 0 if regions else turn
    return View(
        size, base, regions, seen, border=border, positive=positive, turn=turn,
        standing=config.upright,
    )  # fmt: skip


Look = Callable[[View, int], Square]  # at the whole of that photograph of a view


def stood(view: View, look: Look, sure: float, squares: int) -> View:
    """A view whose photographs are seen upright, where the network is ``sure`` of their ways.

    Most lie upright, and cost no more than they do anyway: what the first look gave is kept. Only
    where it says otherwise the photograph is looked at as it would be turned, and both must agree.
    """
    looked: list[Square | None] = []
    for at in range(len(view.windows)):
        square = look(view, at)
        way = 0 if square.ways is None else int(square.ways.argmax())
        if way and square.ways is not None and square.ways[way] >= DOUBT:
            turns = list(view.turns)
            turns[at] = WAYS[way]
            other = view.upright(turns, squares)
            second = look(other, at)
            assert second.ways is not None
            if agreed(square.ways, second.ways, way)[way] >= sure:
                view, square = other, second
        looked.append(square if at < KEPT else None)
    return replace(view, looked=tuple(looked))
