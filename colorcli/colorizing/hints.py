"""Colours that a person knows at some points, spread over the square that the network saw.

Kernel regression of what the network got wrong there, over place, lightness and the network's own
distribution: what is the same stuff to the network shares its correction, far away too. Pure NumPy
on one square; nothing here knows files, models or the picture that the square was taken from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

# Chosen by benchmarks/hints.py on photographs other than those it reports.
NEAR = 0.5  # of the square's side: how far a correction goes among unlike things
LIGHT = 24.0  # difference of L over which it fades
STUFF = 0.6  # and of the roots of the distributions, whose distance is at most √2
ELSEWHERE = 0.4  # share of it that goes anywhere, to what is the same stuff:
SAME = 3  # this power of that fading
NOISE = 0.005  # how little a hint's own colour is doubted; contradicting hints meet half-way
FINE = 2  # times the network's own grid: the square that corrections are worked out on
ROUNDS = 6  # in which what the picture shows at a hint's point comes to what was asked
OTHER = 0.7  # distance of the roots beyond which a followed point has come off its thing
AWAY = 1e3  # sides of the square: nothing there is near anything
FEW = 12  # points whose likeness is told at once
ROWS = 32  # of the square at once, so that the planes of many hints stay in the caches


@dataclass(frozen=True, eq=False)
class Stuff:
    """What lay at a point when its colour was told.

    ``root`` (Q,) of its distribution, ``shade`` its L in 0…100, ``rest`` (2,) the ab asked for less
    the network's.
    """

    root: np.ndarray
    shade: float
    rest: np.ndarray


@dataclass(frozen=True)
class Point:
    """A known colour: ``x``, ``y`` in 0…1 of the square, from its upper left corner, and its ab.

    ``ab`` None stands for what the network says there: nothing is to change. ``stuff``: what it
    was told of, in another picture of the same things; it counts for its like where the place does
    not show it, and alone where ``x`` is NaN.
    """

    x: float
    y: float
    ab: tuple[float, float] | None
    stuff: Stuff | None = None


def _between(at: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two cells of a row of ``side`` that places (N,) in 0…1 lie between, and the second's share."""
    place = np.clip(np.asarray(at, np.float32) * side - 0.5, 0, side - 1)
    first = place.astype(np.intp)
    return first, np.minimum(first + 1, side - 1), place - first


def sampled(plane: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples (N, C) of (h, w, C) at places ``x``, ``y`` (N,) in 0…1 of its sides."""
    top, bottom, down = _between(y, plane.shape[0])
    left, right, across = (part[:, None] for part in _between(x, plane.shape[1]))
    upper = plane[top, left[:, 0]] * (1 - across) + plane[top, right[:, 0]] * across
    lower = plane[bottom, left[:, 0]] * (1 - across) + plane[bottom, right[:, 0]] * across
    return upper + (lower - upper) * down[:, None]


def shown(plane: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bicubic samples (N, C) of (h, w, C) at places in 0…1, as a stretched picture shows them."""
    down, below = _four(y, plane.shape[0])
    across, beside = _four(x, plane.shape[1])
    near = plane[down[:, :, None], across[:, None]]
    return np.einsum("nijc,ni,nj->nc", near, below, beside)


def _four(at: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The four cells (N, 4) about places (N,), and their weights by OpenCV's INTER_CUBIC."""
    place = np.asarray(at, np.float32) * side - 0.5
    first = np.floor(place)
    x, a = place - first, -0.75
    outer = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    left, right = (((a + 2) * t - (a + 3)) * t * t + 1 for t in (x, 1 - x))
    weights = [outer, left, right, 1 - outer - left - right]
    cells = first.astype(np.intp)[:, None] + np.arange(-1, 3)
    return np.clip(cells, 0, side - 1), np.stack(weights, axis=1)


def _stretched(plane: np.ndarray, side: int, axis: int) -> np.ndarray:
    """A plane's ``axis`` stretched bilinearly to ``side``. No product: BLAS would wake its threads."""
    first, second, share = _between((np.arange(side) + 0.5) / side, plane.shape[axis])
    share = share.reshape([-1 if n == axis else 1 for n in range(plane.ndim)])
    low, high = np.take(plane, first, axis), np.take(plane, second, axis)
    return low + (high - low) * share


def _products(roots: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Scalar products (h, w, N) of roots (h, w, Q) with N others, few at once: more wake BLAS's threads."""
    parts = (known[at : at + FEW] for at in range(0, len(known), FEW))
    return np.concatenate([np.matmul(roots, part.T) for part in parts], axis=2)


def _gaussian(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * np.square(distance / width)).astype(np.float32)


def _near(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of distances. Not a Gaussian: that is so smooth that two near hints could hardly differ."""
    return np.exp(np.hypot(x, y) / -NEAR).astype(np.float32)


def _kernel(near: np.ndarray, light: np.ndarray, stuff: np.ndarray | None) -> np.ndarray:
    """How much of a correction goes from one place to another, 1 to itself.

    ``near`` falls with the distance, ``light`` with L's difference; ``stuff`` is the scalar product
    of the roots. None, for a network without a distribution: nothing goes elsewhere.
    """
    if stuff is None:
        return near * light
    # Two roots are |√p − √q|² = 2 − 2 √p·√q apart.
    alike = np.exp((np.minimum(stuff, 1) - 1) / STUFF**2)
    return light * alike * ((1 - ELSEWHERE) * near + ELSEWHERE * alike ** (SAME - 1))


@dataclass(frozen=True, eq=False)
class _Sources:
    """Where N corrections begin: places, shades (N,), roots ``known`` (N, Q), and what is to be added.

    ``lost``: which have no place; those lie away from all.
    """

    x: np.ndarray
    y: np.ndarray
    shade: np.ndarray
    known: np.ndarray | None
    rest: np.ndarray
    lost: np.ndarray

    @property
    def inside(self) -> tuple[np.ndarray, np.ndarray]:
        """Places that are in the square."""
        return np.minimum(self.x, 1), np.minimum(self.y, 1)


def _sources(
    ab: np.ndarray, lightness: np.ndarray, roots: np.ndarray | None, points: Sequence[Point]
) -> _Sources:
    x, y = (
        np.nan_to_num(np.array([getattr(p, name) for p in points], np.float32)) for name in "xy"
    )
    present = shown(ab, x, y)
    wanted = np.array([p.ab or here for p, here in zip(points, present, strict=True)], np.float32)
    shade = sampled(lightness[..., None], x, y)[:, 0]
    nowhere = np.zeros(len(points), bool)
    found = _Sources(x, y, shade, known=None, rest=wanted - present, lost=nowhere)
    if roots is None:
        return found
    known = sampled(roots, x, y)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    for at, point in enumerate(points):
        if (stuff := point.stuff) is None:
            continue
        apart = np.sqrt(max(0.0, 2 - 2 * float(known[at] @ stuff.root)))
        if np.isnan(point.x) or apart > OTHER:
            known[at], shade[at], found.rest[at] = stuff.root, stuff.shade, stuff.rest
            x[at], found.lost[at] = AWAY * (1 + at), True
    return replace(found, known=known)


def remembered(
    ab: np.ndarray, lightness: np.ndarray, roots: np.ndarray, points: Sequence[Point]
) -> list[Stuff]:
    """What lies at each of the points of a square; arrays as in ``corrections``."""
    found = _sources(ab, lightness, roots, points)
    assert found.known is not None
    return [Stuff(*one) for one in zip(found.known, found.shade.tolist(), found.rest, strict=True)]


def corrections(
    ab: np.ndarray, lightness: np.ndarray, roots: np.ndarray | None, points: Sequence[Point]
) -> np.ndarray:
    """What to add (S, S, 2) float32 to ``ab`` (S, S, 2), so that ``points`` get their colours.

    ``lightness`` (S, S) is the L in 0…100 that the network was shown; ``roots`` (s, s, Q) the
    square roots of its distribution, or None where it has none. With

        K = light·alike·((1 − ELSEWHERE)·near + ELSEWHERE·alike^(SAME − 1)),
        near = exp(−|Δxy| / NEAR), light = exp(−ΔL² / 2 LIGHT²), alike = exp(−|Δ√p|² / 2 STUFF²)

    it is K(·, X) (K(X, X) + NOISE·I)⁻¹ r, where r is the wanted less the present ab at the points X;
    what the grid's cells about a point show there, which may be less, is solved for again.
    """
    side, count = lightness.shape[0], len(points)
    if not count:
        return np.zeros_like(ab, dtype=np.float32)
    source = _sources(ab, lightness, roots, points)
    x, y, shade = source.x, source.y, source.shade
    product, own = None, None
    if roots is not None and source.known is not None:
        own = source.known @ source.known.T
        product = _stretched(_products(roots, source.known), side, 0)
    near = _near(x[:, None] - x, y[:, None] - y)
    gram = _kernel(near, _gaussian(shade[:, None] - shade, LIGHT), own)
    gram = gram.astype(np.float64) + NOISE * np.eye(count)
    centre = (np.arange(side, dtype=np.float32)[:, None] + 0.5) / side
    across, down = centre - x, centre - y
    kernel = np.empty((side, side, count), np.float32)
    for top in range(0, side, ROWS):
        rows = slice(top, top + ROWS)
        near = _near(across, down[rows, None])
        light = _gaussian(lightness[rows, :, None] - shade, LIGHT)
        stuff = None if product is None else _stretched(product[rows], side, 1)
        kernel[rows] = _kernel(near, light, stuff)
    rest = source.rest.astype(np.float64)
    solved = np.linalg.solve(gram, rest)
    reached = np.where(source.lost[:, None], gram, shown(kernel, *source.inside))
    for _ in range(ROUNDS):
        solved += np.linalg.solve(gram, rest - reached @ solved)
    return kernel @ solved.astype(np.float32)
