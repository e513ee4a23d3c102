"""The sheet that photographs lie on: its tone everywhere, and what stands out against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

RING = 0.012  # of the longer side: the outermost pixels, which tell what a picture lies on
NEAR = 14.0  # levels about the ring's commonest tone that count as that tone
LEAST = 0.2  # share of the ring that a background's tone must hold…
SIDE = 0.55  # …or of one side, of which there must be two
CLOSE, FAR = (
    (1.5, 3.0),
    (5.0, 5.0),
)  # levels plus σ of the sheet beyond which a pixel may, must stand out
THIN = 0.012  # of the longer side: what is thinner is writing, thread or dust
ALIKE, RUNS = 9.0, 0.55  # levels within which a column runs through, and the share of it that must
BAND = 0.1  # of the width, of such columns side by side: more is a sky between bars
RIM, RIMMED = (
    0.008,
    0.35,
)  # of the longer side: a print's rim; share of a thing's skin that must be one
STEEP = 5.0  # levels from pixel to pixel that are a sharp edge
STEP = 4  # every so many pixels are enough to fit a sheet…
ABOUT = 3  # …but for so many of them beside a fold


@dataclass(frozen=True, eq=False)
class Sheet:
    """A background of gray (h, w) uint8.

    ``away`` (h, w) float32: levels by which each pixel differs from it. ``sigma``: its own grain.
    ``things`` (h, w) uint8: 1 where something thicker than writing stands out, holes filled.
    ``share``: of the ring that shows it. ``tone``: its level about the middle.
    """

    gray: np.ndarray
    away: np.ndarray
    sigma: float
    things: np.ndarray
    share: float
    tone: float

    @cached_property
    def near(self) -> np.ndarray:
        """1 (h, w) uint8 where the sheet itself is seen."""
        return (self.away <= self.close).view(np.uint8)

    @property
    def close(self) -> float:
        """Levels within which a pixel is the sheet's."""
        return CLOSE[0] + CLOSE[1] * self.sigma


def _ring(gray: np.ndarray, inset: int) -> list[np.ndarray]:
    wide = max(2, round(RING * max(gray.shape)))
    gray = gray[inset : len(gray) - inset, inset : gray.shape[1] - inset]
    return [part.ravel() for part in (gray[:wide], gray[-wide:], gray[:, :wide], gray[:, -wide:])]


def tones(gray: np.ndarray, inset: int = 0) -> list[tuple[float, float]]:
    """What gray (h, w) uint8 may lie on: tones that its outermost pixels share, and their shares.

    The commonest first; none where nothing is common enough, as in most photographs. ``inset``:
    rows and columns at each side that are passed over.
    """
    ring = _ring(gray, inset)
    counts = np.stack([np.bincount(part, minlength=256) / part.size for part in ring])
    found = []
    levels = np.arange(256)
    total = counts.mean(axis=0)
    for _ in range(2):
        smooth = cv2.GaussianBlur(total[None], (0, 0), 3, borderType=cv2.BORDER_CONSTANT)[0]
        peak = int(smooth.argmax())
        near = np.abs(levels - peak) <= NEAR
        share, sides = total[near].sum(), counts[:, near].sum(axis=1)
        if share < LEAST or (sides >= SIDE).sum() < 2:
            break
        found.append((float((total * levels)[near].sum() / share), float(share)))
        total = np.where(np.abs(levels - peak) <= 1.5 * NEAR, 0, total)
    return found or (_commonest(gray) if inset else [])


def _commonest(gray: np.ndarray) -> list[tuple[float, float]]:
    """The tone that most of gray (h, w) has, and its share: a page's, where its edges are uneven."""
    counts = np.bincount(gray[::2, ::2].ravel(), minlength=256).astype(np.float64)
    counts /= counts.sum()
    smooth = cv2.GaussianBlur(counts[None], (0, 0), 3, borderType=cv2.BORDER_CONSTANT)[0]
    peak = int(smooth.argmax())
    near = np.abs(np.arange(256) - peak) <= NEAR
    share = float(counts[near].sum())
    return [(float((counts * np.arange(256))[near].sum() / share), share)] if share > LEAST else []


@lru_cache(maxsize=16)
def _terms(height: int, width: int) -> np.ndarray:
    """1, x, y, x², xy, y² (n, 6) of every ``STEP``th pixel, x and y in −1…1."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    y, x = y[::STEP, ::STEP].ravel(), x[::STEP, ::STEP].ravel()
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _spread(values: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(values))) if values.size else 0.0


def _surface(gray: np.ndarray, tone: float, inset: int, folds: bool) -> np.ndarray:
    """The sheet's level (h, w) float32, of light that changes slowly over it."""
    height, width = gray.shape
    few = gray[::STEP, ::STEP].astype(np.float32)
    flat, terms = few.ravel(), _terms(height, width)
    off = flat - tone
    keep = np.abs(off) <= NEAR
    level: np.ndarray = np.full_like(flat, tone)
    for count in (3, 6, 6):
        some = terms[keep, :count]
        if len(some) < 64:
            break
        product = some.T @ some + np.eye(count, dtype=np.float32) * 1e-3 * len(some)
        level = tone + terms[:, :count] @ np.linalg.solve(product, some.T @ off[keep])
        off_level = flat - level
        limit = float(np.clip(3 * _spread(off_level[keep]), CLOSE[0], NEAR))
        keep = np.abs(off_level) <= limit
    # What no parabola follows, such as the fold between two pages: means of what lies near.
    own = keep.reshape(few.shape).astype(np.float32)
    reach = max(3, round(0.06 * max(few.shape))) | 1
    weight = cv2.blur(own, (reach, reach))
    rest = cv2.blur(own * (few - level.reshape(few.shape)), (reach, reach))
    off_level = rest / (weight + 0.05)
    level = level.reshape(few.shape) + off_level - np.clip(off_level, -CLOSE[0], CLOSE[0])
    through = []
    for _ in range(2):  # rows, then columns
        few, level = few.T, level.T
        middle = _through(few - level, inset // STEP)
        through.append(middle != 0)
        level = level + middle
    level = cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR)
    if not folds:
        return level
    level = _followed(gray, level, through[1], inset)
    return _followed(gray.T, level.T, through[0], inset).T


def _followed(gray: np.ndarray, level: np.ndarray, through: np.ndarray, inset: int) -> np.ndarray:
    """The level (h, w) of gray, in the columns about those of every ``STEP`` that run through, exactly.

    A fold is steeper than what lies between so few pixels tells.
    """
    if not through.any():
        return level
    about = cv2.dilate(through.view(np.uint8)[None], np.ones((1, 2 * ABOUT + 1), np.uint8))[0]
    columns = np.flatnonzero(np.repeat(about, STEP)[: gray.shape[1]])
    middle, runs = _runs(gray[::2, columns] - level[::2, columns], inset // 2)
    level[:, columns] += np.where(runs, middle, 0)
    return level


def _runs(off: np.ndarray, inset: int) -> tuple[np.ndarray, np.ndarray]:
    """What most of each column of off (h, w) is (w,), and whether (w,) it is so from end to end."""
    middle = np.median(off, axis=0)
    alike = np.abs(off - middle) <= ALIKE
    ends = inset + max(2, len(off) // 40)
    both = alike[inset:ends].mean(axis=0), alike[-ends : len(off) - inset].mean(axis=0)
    return middle, (np.minimum(*both) > 0.6) & (alike.mean(axis=0) >= RUNS)


def _through(off: np.ndarray, inset: int) -> np.ndarray:
    """Of the differences off (h, w) from a sheet those (w,) of columns alike from end to end.

    The fold of a spread and the lid beyond a page's edge run through; a photograph's columns stop
    at its rim.
    """
    middle, runs = _runs(off, inset)
    runs &= np.abs(middle) > ALIKE
    bands = np.split(np.arange(len(runs)), np.flatnonzero(np.diff(runs)) + 1)
    for band in bands:
        if len(band) > BAND * len(runs):
            runs[band] = False
    return np.where(runs, middle, 0.0).astype(np.float32)


def _filled(mask: np.ndarray) -> np.ndarray:
    """Shapes without their holes."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED)


def _things(away: np.ndarray, sigma: float) -> np.ndarray:
    weak = (away > CLOSE[0] + CLOSE[1] * sigma).astype(np.uint8)
    strong = away > FAR[0] + FAR[1] * sigma
    count, labels = cv2.connectedComponents(weak, connectivity=4, ltype=cv2.CV_32S)
    stands = np.zeros(count, np.uint8)
    stands[labels[strong]] = 1
    stands[0] = 0
    return _solid(stands[labels])


def _solid(mask: np.ndarray) -> np.ndarray:
    """Shapes with their holes filled, without what is thin."""
    thin = max(3, round(THIN * max(mask.shape))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thin, thin))
    # A photograph at the picture's edge must not lose its corners there.
    framed = cv2.copyMakeBorder(
        _filled(mask), top=thin, bottom=thin, left=thin, right=thin, borderType=cv2.BORDER_REPLICATE
    )
    opened = cv2.morphologyEx(framed, cv2.MORPH_OPEN, kernel)
    return np.ascontiguousarray(opened[thin:-thin, thin:-thin])


def rims(sheet: Sheet, outline: np.ndarray) -> Sheet | None:
    """The rims of prints that touch as a sheet of their own; None where a thing has none.

    ``outline`` (n, 1, 2): of the thing that the prints are together.
    """
    own = cv2.drawContours(np.zeros_like(sheet.things), [outline], -1, 1, cv2.FILLED)
    wide = max(2, round(RIM * max(own.shape)))
    inner = cv2.erode(own, np.ones((2 * wide + 1, 2 * wide + 1), np.uint8))
    body = cv2.erode(own, np.ones((3, 3), np.uint8))
    skin = (body > 0) & (inner == 0)
    band = sheet.gray[skin]
    if band.size < 64:
        return None
    counts = np.bincount(band, minlength=256) / band.size
    smooth = cv2.GaussianBlur(counts[None], (0, 0), 3, borderType=cv2.BORDER_CONSTANT)[0]
    tone = int(smooth.argmax())
    share = float(counts[max(0, tone - 12) : tone + 13].sum())
    if share < RIMMED:
        return None
    away = np.where(own > 0, np.abs(sheet.gray - np.float32(tone)), 0).astype(np.float32)
    sigma = min(6.0, _spread(away[skin & (away <= NEAR)]))
    things = _things(cv2.blur(away, (3, 3)) * body, sigma)
    return Sheet(
        gray=sheet.gray, away=away, sigma=sigma, things=things, share=share, tone=float(tone)
    )


def outlined(sheet: Sheet) -> np.ndarray:
    """What sharp edges go all around of (h, w) uint8: things that lie in a fold's or a hand's shadow."""
    smooth = cv2.blur(sheet.gray, (3, 3))
    x, y = cv2.spatialGradient(smooth)
    steep = cv2.magnitude(x.astype(np.float32), y.astype(np.float32)) > 8 * max(
        STEEP, 1.5 * sheet.sigma
    )
    closed = cv2.morphologyEx(steep.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return _solid(closed)


def sheets(gray: np.ndarray, inset: int = 0, folds: bool = False) -> Iterator[Sheet]:
    """What gray (h, w) uint8 may lie on, likeliest first.

    ``inset``: rows and columns at each side that are no part of it, as the edges of a book's pages.
    ``folds``: it may have some.
    """
    for tone, share in tones(gray, inset):
        level = _surface(gray, tone, inset, folds)
        away = np.abs(gray - level)
        ring = np.concatenate(_ring(away, inset))
        sigma = min(6.0, _spread(ring[ring <= NEAR]))
        smooth = cv2.blur(away, (3, 3)) if sigma > 0.8 else away.copy()
        if inset:
            for side in (np.s_[:inset], np.s_[-inset:], np.s_[:, :inset], np.s_[:, -inset:]):
                smooth[side] = 0
        things = _things(smooth, sigma * 0.5 if sigma > 0.8 else sigma)
        yield Sheet(gray=gray, away=away, sigma=sigma, things=things, share=share, tone=tone)
