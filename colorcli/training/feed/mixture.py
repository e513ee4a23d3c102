"""How photographs of several weights make one epoch: passes over shards, some of them thinned.

A photograph of weight 2.3 comes twice in every epoch and a third time in three of ten, drawn anew
for each. The copies lie in passes of their own, so that they come far apart.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from colorcli.data.dataset import Dataset, joined
from colorcli.system.errors import UsageError
from colorcli.training.feed.shares import Share


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Once through a shard each; arrays of one entry a pass.

    ``files``, ``images``: the shard and its photographs. ``shards`` numbers it, ``parts`` the
    folder it is of. ``copies``: how many of a photograph's copies came in earlier passes. ``names``
    (S,) are sets, ``weights`` (parts, 1 + S) their photographs' weights in each folder; the first
    column is for those without a set's name. ``thinned``: some photographs come in some epochs only.
    """

    files: list[str]
    images: np.ndarray
    shards: np.ndarray
    parts: np.ndarray
    copies: np.ndarray
    names: list[str]
    weights: np.ndarray
    thinned: bool


def passes(data: Dataset) -> Passes:
    """The passes of an epoch of training; a set of weight 1 gives its shards in order."""
    names = sorted({name for part in data.named for name in part.weights})
    rows: list[tuple[str, int, int, int, int]] = []
    weights = np.ones((len(data.named), 1 + len(names)), np.float32)
    thinned, shard = False, 0
    for number, part in enumerate(data.named):
        own = part.weights
        weights[number] = [own[part.name], *(own.get(n, part.weight) for n in names)]
        most = max(own.values())
        thinned |= len(set(own.values())) > 1 or most % 1 > 0
        listed = list(zip(part.files("train"), part.shards["train"], strict=True))
        for copy in range(math.ceil(most)):
            rows += [(f, s["images"], shard + i, number, copy) for i, (f, s) in enumerate(listed)]
        shard += len(listed)
    columns = list(zip(*rows, strict=True)) or [()] * 5
    images, shards, parts, copies = (np.array(column, np.int64) for column in columns[1:])
    return Passes(
        files=list(columns[0]), images=images, shards=shards, parts=parts, copies=copies,
        names=names, weights=weights, thinned=thinned,
    )  # fmt: skip


def weighed(folders: Sequence[tuple[Dataset, float]], sets: Sequence[Share] = ()) -> Dataset:
    """Folders with their weights, and ``sets`` in them that count more or less, as one data set.

    Raises ``UsageError`` for a set that no folder has.
    """
    parts = [replace(data, weight=weight) for data, weight in folders]
    known = {name for part in parts for name in part.sets["train"]}
    by_set: Mapping[str, float] = dict(sets)
    for name in by_set:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            some = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known)[:8])}"
            raise UsageError(f"set {name}: none of the folders has it; {some}")
    return joined([replace(part, set_weights=by_set) for part in parts])
