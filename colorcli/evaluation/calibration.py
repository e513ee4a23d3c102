"""How far a model's confidence can be believed: a table of it against the error of its colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from colorcli.color.lab import join, picture_to_lab
from colorcli.color.limits import Limits
from colorcli.color.tone import Colours
from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.evaluation import EvalConfig
from colorcli.data.sources.common import Item, Selection
from colorcli.evaluation import protocols
from colorcli.evaluation.metrics import ciede2000
from colorcli.system.errors import DataError, ImageError
from colorcli.system.parallel import cores, in_order

STEPS = 1000  # of confidence, that pixels are counted by
ROWS = 10  # of the table, each of about as many pixels
QUARTER = 4  # the surest and the least sure share of the photographs
DECIMALS = 4


@dataclass(frozen=True, kw_only=True)
class Level:
    """Pixels of about the same confidence.

    ``least`` and ``most`` confidence, its ``confidence`` in the mean, the ``share`` of all pixels,
    and their mean error: ``ciede2000``, and ``ab``, the distance to the true ab.
    """

    least: float
    most: float
    confidence: float
    share: float
    ciede2000: float
    ab: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What confidence says of error.

    ``levels``: of pixels, from unsure to sure. ``correlation``: Spearman's, of the photographs'
    mean confidence and mean CIEDE2000; −1 were perfect. ``surest`` and ``least_sure``: mean CIEDE2000
    of those quarters of the photographs, ``all``: of all. ``bounds``: mean confidence of a
    photograph below and above which those quarters lie.
    """

    photographs: int
    levels: list[Level]
    correlation: float | None
    surest: float
    least_sure: float
    all: float
    bounds: tuple[float, float]


@dataclass(frozen=True)
class _Counted:
    """A photograph's pixels by step of confidence: how many, and sums of their figures."""

    sums: np.ndarray  # (4, STEPS) float64: count, confidence, CIEDE2000, ab distance
    confidence: float
    error: float


def _counted(
    item: Item, colorizer: Colorizer, protocol: protocols.Protocol, config: EvalConfig
) -> _Counted | None:
    """None for what ``evaluate`` does not judge either."""
    try:
        truth = protocol(item.read())
    except ImageError:  # which ``evaluate`` tells
        return None
    if min(truth.shape[:2]) < 11 or Colours.of(truth).kind(Limits(config.min_chroma)) == "gray":
        return None
    gray = protocols.GRAYS[config.gray](truth)
    predicted = colorizer.predicted(gray)
    assert predicted.confidence is not None
    true, made = picture_to_lab(truth), picture_to_lab(join(gray, predicted.ab, np.uint8))
    height, width = truth.shape[:2]
    sure = cv2.resize(predicted.confidence, (width, height), interpolation=cv2.INTER_LINEAR)
    error = ciede2000(true, made)
    distance = cv2.magnitude(*cv2.split(true - made)[1:])
    steps = np.minimum((sure * STEPS).astype(np.int64), STEPS - 1).ravel()
    planes = (np.ones_like(sure), sure, error, distance)
    sums = [np.bincount(steps, p.ravel().astype(np.float64), STEPS) for p in planes]
    return _Counted(np.stack(sums), float(sure.mean()), float(error.mean()))


def _levels(sums: np.ndarray) -> list[Level]:
    """Rows of about as many pixels, of sums (4, STEPS)."""
    share = np.cumsum(sums[0]) / sums[0].sum()
    row = np.minimum((share - sums[0] / sums[0].sum() / 2) * ROWS, ROWS - 1).astype(int)
    found = []
    for number in range(ROWS):
        inside = (row == number) & (sums[0] > 0)
        if not inside.any():
            continue
        steps = np.flatnonzero(inside)
        count, sure, error, distance = sums[:, inside].sum(axis=1)
        numbers = {
            "least": steps[0] / STEPS, "most": (steps[-1] + 1) / STEPS, "confidence": sure / count,
            "share": count / sums[0].sum(), "ciede2000": error / count, "ab": distance / count,
        }  # fmt: skip
        found.append(Level(**{k: round(float(v), DECIMALS) for k, v in numbers.items()}))
    return found


def _correlation(x: np.ndarray, y: np.ndarray) -> float | None:
    """Spearman's, None for too few; equal figures, which hardly occur, keep their order."""
    if len(x) < 3:
        return None
    ranks = [np.argsort(np.argsort(v, kind="stable"), kind="stable") for v in (x, y)]
    return round(float(np.corrcoef(ranks[0], ranks[1])[0, 1]), DECIMALS)


def _told(counted: Sequence[_Counted]) -> Calibration:
    sure = np.array([c.confidence for c in counted])
    error = np.array([c.error for c in counted])
    order = np.argsort(sure, kind="stable")
    few = max(1, len(order) // QUARTER)
    mean = partial(round, ndigits=DECIMALS)
    return Calibration(
        photographs=len(counted), levels=_levels(np.sum([c.sums for c in counted], axis=0)),
        correlation=_correlation(sure, error), surest=mean(float(error[order[-few:]].mean())),
        least_sure=mean(float(error[order[:few]].mean())), all=mean(float(error.mean())),
        bounds=(mean(float(sure[order[few - 1]])), mean(float(sure[order[-few]]))),
    )  # fmt: skip


def calibrate(
    selection: Selection,
    colorizer: Colorizer,
    config: EvalConfig = EvalConfig(),
    *,
    progress: Callable[..., None] | None = None,
) -> Calibration:
    """Confidence against error over the pictures of ``selection`` that ``evaluate`` judges.

    Raises ``UsageError`` for a model without a distribution, ``DataError`` for nothing to judge.
    """
    colorizer.require_distribution()
    protocol = protocols.named(config.protocol, config.size)
    count = partial(_counted, colorizer=colorizer, protocol=protocol, config=config)
    items, found = selection.items, []
    workers = min(config.workers or cores(), max(1, len(items)))
    for done, one in enumerate(in_order(count, items, threads=workers, window=2 * workers), 1):
        if one is not None:
            found.append(one)
        if progress:
            progress(done, len(items))
    if not found:
        raise DataError("no colour photograph to judge confidence by; give photographs in colour")
    return _told(found)
