"""In-gamut ab bins: soft encoding and colour prior.

After Zhang, Isola and Efros, "Colorful Image Colorization" (ECCV 2016): the ab plane on a grid
of 10, only bins that some sRGB colour falls into; a colour is encoded on its 5 nearest bins with a
Gaussian of σ = 5. The paper counts 313 bins on a wider hull; the exact sRGB gamut fills 261.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from colorcli.color.lab import rgb_to_lab

GRID = 10
NEIGHBOURS = 5
SIGMA = 5.0
COUNT = 261  # Q, the number of centres(), which take their time
REACH = 110  # the encoding table spans −REACH…REACH in a and b, one entry for each integer


@lru_cache(maxsize=1)
def centres() -> np.ndarray:
    """Bin centres (Q, 2) float32 in ab units, sorted by a, then b.

    The gamut is a solid, so its shadow on the ab plane is that of its surface: the six faces of
    the RGB cube at 8-bit steps.
    """
    u, v = np.meshgrid(np.arange(256) / 255, np.arange(256) / 255, indexing="ij")
    faces = [
        np.moveaxis(np.roll([np.full_like(u, edge), u, v], axis, axis=0), 0, -1)
        for edge in (0.0, 1.0)
        for axis in range(3)
    ]
    ab = rgb_to_lab(np.stack(faces)).reshape(-1, 3)[:, 1:]
    cells = np.rint(ab / GRID).astype(np.int64) + 100
    a, b = np.divmod(np.unique(cells[:, 0] * 1000 + cells[:, 1]), 1000)  # one number: sorts faster
    return ((np.stack([a, b], axis=-1) - 100) * GRID).astype(np.float32)


def _nearest(ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squared = ((ab[:, None, :] - centres()[None]) ** 2).sum(-1)
    index = np.argpartition(squared, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    near = np.take_along_axis(squared, index, axis=1)
    # The smallest distance is taken out first so that far, out-of-gamut ab do not underflow.
    weight = np.exp(-(near - near.min(1, keepdims=True)) / (2 * SIGMA**2))
    return index, weight / weight.sum(1, keepdims=True)


@lru_cache(maxsize=1)
def table() -> np.ndarray:
    """Soft encodings (2·REACH+1)² × Q float16 of every integer (a, b), rows summing to 1."""
    span = np.arange(-REACH, REACH + 1, dtype=np.float32)
    grid = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    out = np.zeros((len(grid), len(centres())), np.float16)
    for rows in np.array_split(np.arange(len(grid)), 32):
        index, weight = _nearest(grid[rows])
        np.put_along_axis(out[rows[0] : rows[-1] + 1], index, weight.astype(np.float16), axis=1)
    return out


def table_index(ab: Any, xp: Any = np) -> Any:
    """Row (…) of ``table()`` for ab (…, 2), rounded to integers and clipped to ±REACH."""
    cell = xp.round(xp.clip(ab, -REACH, REACH))
    cell = cell.astype(np.int32) if xp is np else xp.cast(cell, "int32")
    return (cell[..., 0] + REACH) * (2 * REACH + 1) + cell[..., 1] + REACH


def encode(ab: Any, xp: Any = np, lookup: Any = None) -> Any:
    """Soft encoding (…, Q) float of ab (…, 2). ``lookup``: ``table()`` as a tensor of ``xp``."""
    lookup = table() if lookup is None else lookup
    return xp.take(lookup, table_index(ab, xp), axis=0)


@lru_cache(maxsize=1)
def nearest_table() -> np.ndarray:
    """Index of the nearest bin for each row of ``table()``, which it spares making."""
    span = np.arange(-REACH, REACH + 1, dtype=np.float32)
    squared = ((span[:, None] - centres().T[:, None]) ** 2).astype(np.float32)
    return np.concatenate([(a[None] + squared[1]).argmin(-1) for a in squared[0]])


def prior(counts: np.ndarray, sigma: float = SIGMA, floor: float = 1e-5) -> np.ndarray:
    """Empirical colour prior (Q,) float32, Σ = 1: the histogram smoothed by a Gaussian on ab.

    ``floor`` keeps log p finite for colours no photograph had.
    """
    squared = ((centres()[:, None] - centres()[None]) ** 2).sum(-1)
    kernel = np.exp(-squared / (2 * sigma**2))
    smooth = (kernel / kernel.sum(0)) @ np.asarray(counts, np.float64)
    p = smooth / max(smooth.sum(), 1e-12) + floor
    return (p / p.sum()).astype(np.float32)


def check_prior(p: np.ndarray) -> None:
    """Raise ``ValueError`` where ``p`` cannot be a colour prior: (Q,), above 0, Σ = 1."""
    if p.shape != (COUNT,):
        raise ValueError(f"a prior of {'×'.join(map(str, p.shape)) or 1} values, not {COUNT}")
    if not (np.isfinite(p).all() and (p > 0).all() and abs(float(p.sum()) - 1) < 0.01):
        raise ValueError("a prior that is no distribution")


def rebalance(p: np.ndarray, mix: float) -> np.ndarray:
    """Weight of each bin (Q,), w ∝ 1/((1−λ)p + λ/Q) with Σ p·w = 1 (paper, eq. 4).

    λ = ``mix``: 1 gives ones (no rebalancing), 1/2 is the paper's setting, 0 the full inverse.
    """
    p = np.asarray(p, np.float64)
    w = 1.0 / ((1 - mix) * p + mix / len(p))
    return (w / (p * w).sum()).astype(np.float32)
