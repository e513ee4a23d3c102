"""Data sets that ``colorize prepare`` made, to be judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from colorcli.data.sources.common import Item, Judged, Selection, Source, drawn
from colorcli.system.errors import DataError, UsageError

if TYPE_CHECKING:
    from colorcli.data.dataset import Dataset


@dataclass(frozen=True)
class Stored:
    """The split of a prepared data set; ``chosen`` are the indices to judge, in order."""

    data: Dataset
    split: str
    chosen: Sequence[int]

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[Item]:
        import numpy as np

        from colorcli.data import dataset

        wanted = set(self.chosen)
        stored = dataset.photographs(self.data, self.split, max(wanted) + 1 if wanted else 0)
        index = 0
        for number, rgb in enumerate(stored):
            if number in wanted:
                name = f"{self.split}-{number:06d}"
                yield Item(index, name, name, partial(np.asarray, rgb))
                index += 1


@dataclass(frozen=True, kw_only=True)
class Prepared(Source):
    """The split of a prepared data set."""

    judged = Judged(
        also={"split": ""}, called="a prepared data set",
        make=lambda folder, also: Prepared(folder=folder, **also),
    )  # fmt: skip

    folder: str | Path
    split: str = "val"

    @staticmethod
    def is_one(name: str) -> bool:
        """Whether ``name`` is a folder that ``colorize prepare`` made."""
        from colorcli.data import dataset

        return (Path(name) / dataset.INDEX).is_file()

    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """See ``Source``."""
        from colorcli.data import dataset

        data = dataset.load(self.folder)
        if self.split not in data.shards:
            known = ", ".join(data.shards)
            raise UsageError(f"{self.folder}: no split {self.split!r}; known: {known}")
        count = data.counts[self.split]
        if not count:
            raise DataError(
                f"{self.folder}: its {self.split} split is empty; prepare with a --val-fraction"
            )
        return Selection(items=Stored(data, self.split, drawn(range(count), limit, seed)))


SOURCE = Prepared
