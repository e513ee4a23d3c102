"""Mean, median and bootstrap interval of figures measured picture by picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DECIMALS = 6
CELLS = 1 << 22  # drawn indices held at once: bounds memory for a million pictures


@dataclass(frozen=True)
class Stat:
    """A figure of a data set: mean, median, and the 95 % interval (low, high) of the mean."""

    mean: float
    median: float | None = None
    low: float | None = None
    high: float | None = None


def _replicates(
    values: np.ndarray, weights: np.ndarray | None, samples: int, seed: int
) -> np.ndarray:
    """Means (samples, K) of ``values`` (N, K) over pictures drawn with replacement.

    SciPy's ``bootstrap`` draws the same. It gathers where this counts, which takes many times as
    long, and refuses a single picture.
    """
    count = len(values)
    random = np.random.default_rng(seed)
    weights = np.ones_like(values) if weights is None else weights
    both = np.concatenate([values * weights, weights], axis=1)
    step = max(1, CELLS // count)
    parts = []
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = random.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        hits = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        parts.append(hits @ both)
    sums = np.concatenate(parts)
    columns = values.shape[1]
    with np.errstate(invalid="ignore"):
        return sums[:, :columns] / sums[:, columns:]


def summarise(
    values: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    magnitude: np.ndarray | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> list[Stat]:
    """One ``Stat`` for each column of ``values`` (N, K), N ≥ 1.

    ``weights`` (N, K) make the mean a weighted one; where ``magnitude`` (K,) is true the figure is
    the mean's magnitude. All columns, and calls with the same N and seed, draw the same pictures,
    so intervals of differences are those of paired figures. Percentile method; Efron and
    Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    flip = np.zeros(values.shape[1], bool) if magnitude is None else magnitude
    mean = np.average(values, axis=0, weights=weights)
    median = np.median(values, axis=0)
    drawn = _replicates(values, weights, samples, seed)
    mean, median, drawn = (np.where(flip, np.abs(x), x) for x in (mean, median, drawn))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return [
        Stat(*(round(float(x), DECIMALS) for x in row))
        for row in zip(mean, median, low, high, strict=True)
    ]
