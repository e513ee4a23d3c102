"""What of a mixture is too small for the size it is trained at: counted, so that it can be said."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from colorcli.data import dataset
from colorcli.data.dataset import Dataset
from colorcli.system.errors import DataError

HARMLESS = 1.3  # factor of enlargement that nobody sees
NAMED = 4  # sets that a line names


@dataclass(frozen=True, kw_only=True)
class Enlarged:
    """Training photographs at crops of ``size`` pixels, by set.

    ``small``: those that even whole are enlarged by more than ``HARMLESS``, by ``most`` at most.
    ``left_out``: those that ``--enlarge`` leaves out. ``crops``: the share of all crops, in 0…1,
    expected to be enlarged by more than ``HARMLESS``.
    """

    size: int
    photographs: int
    small: dict[str, int]
    left_out: dict[str, int]
    most: float
    crops: float

    def __str__(self) -> str:
        told = [
            f"{sum(sets.values())} of {self.photographs} photographs {words} ({_listed(sets)})"
            for sets, words in (
                (self.left_out, "are too small for --enlarge and left out"),
                (self.small, f"are enlarged by more than {HARMLESS}, up to {self.most:.2f}"),
            )
            if sets
        ]
        if self.crops >= 0.005:
            told.append(f"{self.crops:.0%} of the crops are enlarged by more than {HARMLESS}")
        return f"at {self.size} px " + "; ".join(told) if told else ""


def _listed(sets: dict[str, int]) -> str:
    ordered = sorted(sets.items(), key=lambda item: -item[1])
    text = ", ".join(f"{name} {count}" for name, count in ordered[:NAMED])
    more = len(ordered) - NAMED
    return f"{text} and {more} sets more" if more > 0 else text


def at_size(data: Dataset, size: int, crop: float, enlarge: float) -> Enlarged:
    """Count for crops of at least ``crop`` of the area; ``enlarge`` 0 leaves nothing out.

    Raises ``DataError`` where nothing is left.
    """
    small: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    fewest = math.ceil(size / enlarge) if enlarge else 0
    most, seen, beyond, photographs = 1.0, 0.0, 0.0, 0
    for part in data.named:
        weights = part.weights
        for name, counted in dataset.sides(part).items():
            for side, count in counted.items() if weights[name] else ():
                photographs += count
                if side < fewest:
                    left_out[name] += count
                    continue
                if size / side > HARMLESS:
                    small[name] += count
                    most = max(most, size / side)
                least = min(1.0, max(crop, (fewest / side) ** 2))
                seen += weights[name] * count
                beyond += weights[name] * count * _below((size / HARMLESS / side) ** 2, least)
    if not seen:
        raise DataError(
            f"{data}: no photograph is large enough for {size} px and --enlarge {enlarge:g}; "
            "allow more, or smaller --stages"
        )
    return Enlarged(
        size=size, photographs=photographs, small=dict(small), left_out=dict(left_out), most=most,
        crops=beyond / seen,
    )  # fmt: skip


def _below(area: float, least: float) -> float:
    """The share of areas drawn evenly from ``least`` to 1 that are smaller than ``area``."""
    if least >= 1:
        return float(area > 1 + 1e-9)
    return min(1.0, max(0.0, (area - least) / (1 - least)))
