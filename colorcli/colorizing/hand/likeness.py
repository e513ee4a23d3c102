"""Colours of one photograph, carried over to what is like it in another.

Kernel regression of what the network got wrong of a photograph whose colours are known, over its own
distribution and lightness: soft hints, which count as far as there is anything alike. Pure NumPy on
squares; nothing here knows files, models or pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Chosen by benchmarks/references.py on photographs other than those it reports.
STUFF = 0.2  # distance of the distributions' roots over which an error fades; hints reach farther
LIGHT = 15.0  # difference of L
DOUBT = 0.02  # share of the reference that must be alike for half of its errors to be believed
GRID = 20  # points of the reference along each side,
SPARSE = 3  # of which one of so many is told of where the reference is the very picture:
SAME = 0.9  # correlation of L from which on it is


@dataclass(frozen=True, eq=False)
class Square:
    """What the network made of one square: ``ab`` (s, s, 2) of ``lightness`` (S, S) as it was shown.

    ab may have more planes. ``shares``: its distribution (s, s, Q), where it has one. ``ways``: how
    likely turns by 0, 90, 180 and 270 degrees are to set it upright (4,), where it has an opinion.
    """

    ab: np.ndarray
    lightness: np.ndarray
    shares: np.ndarray | None = None
    ways: np.ndarray | None = None

    def light(self, side: int) -> np.ndarray:
        """L (side, side) in 0…100 of as many cells a side, each their mean."""
        return cv2.resize(self.lightness, (side, side), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True, eq=False)
class Taught:
    """What a photograph in colour teaches, at N points of it.

    ``roots`` (N, Q) float16: of the network's distribution there; ``lightness`` (N,) float32: L that
    it was shown; ``error`` (N, 2) float32: the true ab less the network's; ``true`` (N, 2) float32.
    The points are those of ``_grid``, row by row.
    """

    roots: np.ndarray
    lightness: np.ndarray
    error: np.ndarray
    true: np.ndarray

    @property
    def feature(self) -> np.ndarray:
        """What it is like as a whole, see ``feature``."""
        return feature(self.roots.astype(np.float32))


def feature(roots: np.ndarray) -> np.ndarray:
    """What a picture is like (Q,), of length 1: the mean of the roots (…, Q) of its distributions."""
    mean = roots.reshape(-1, roots.shape[-1]).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-6)


def taught(true: np.ndarray, ab: np.ndarray, lightness: np.ndarray, shares: np.ndarray) -> Taught:
    """What the network's ``ab`` (s, s, 2) teaches beside the ``true`` one (s, s, 2).

    ``lightness`` (s, s) in 0…100 and its distribution ``shares`` (s, s, Q) are of the same square.
    """
    at = _grid(len(ab))
    chosen = np.ix_(at, at)
    colours = true[chosen].reshape(-1, 2).astype(np.float32)
    return Taught(
        np.sqrt(shares[chosen]).reshape(at.size**2, -1).astype(np.float16),
        lightness[chosen].reshape(-1).astype(np.float32),
        colours - ab[chosen].reshape(-1, 2), colours,
    )  # fmt: skip


def _grid(side: int) -> np.ndarray:
    """Which cells of a square's side are learned from."""
    return np.unique(np.linspace(0, side - 1, GRID).round().astype(np.intp))


def is_same(taught: Taught, lightness: np.ndarray) -> bool:
    """Whether L (s, s) is the picture that was learned from, brighter or darker perhaps."""
    at = _grid(len(lightness))
    here = lightness[np.ix_(at, at)].reshape(-1)
    if here.shape != taught.lightness.shape or min(here.std(), taught.lightness.std()) < 1:
        return False
    return float(np.corrcoef(here, taught.lightness)[0, 1]) > SAME


def spots(taught: Taught, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 2), x and y in 0…1, all over a square of ``side`` cells, and the true ab (n, 2) there."""
    at = _grid(side)
    few = np.arange(SPARSE // 2, at.size, SPARSE)
    rows, columns = (part.reshape(-1) for part in np.meshgrid(few, few, indexing="ij"))
    places = (np.stack([at[columns], at[rows]], axis=1) + 0.5) / side
    return places, taught.true[rows * at.size + columns]


def carried(taught: Taught, lightness: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What to add (s, s, 2) float32 to the ab of another square of ``lightness`` (s, s), ``shares`` (s, s, Q).

    With K = exp(−|Δ√p|² / 2 STUFF² − ΔL² / 2 LIGHT²) over the N points X of what is taught, it is
    K(·, X) e / (Σ K(·, X) + DOUBT·N): the errors e of what is alike, and nothing where nothing is.
    """
    known = taught.roots.astype(np.float32).T
    error, doubt = taught.error, DOUBT * len(taught.error)
    out = np.empty((*lightness.shape, 2), np.float32)
    for row, (light, own) in enumerate(zip(lightness, shares, strict=True)):  # stays in the caches
        # |√p − √q|² = 2 − 2 √p·√q
        stuff = (np.minimum(np.sqrt(own) @ known, 1) - 1) / STUFF**2
        alike = np.exp(stuff - 0.5 * ((light[:, None] - taught.lightness) / LIGHT) ** 2)
        out[row] = alike @ error / (alike.sum(axis=1, keepdims=True) + doubt)
    return out
