"""Another tool's colours beside the true ones, to be judged."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from colorcli.data.sources.common import Files, Judged, Selection, Source, drawn, key_of
from colorcli.system.errors import DataError, UsageError
from colorcli.system.files.inputs import Source as File
from colorcli.system.files.inputs import find


@dataclass(frozen=True, kw_only=True)
class Pairs(Source):
    """Another tool's colours beside the true ones: two folders with the same names, in depth."""

    judged = Judged(
        help="Judge another tool's output: two folders with the same names.",
        type=tuple[Path, Path], metavar="TRUTH COLOURED", called="--pairs",
        make=lambda folders, also: Pairs(truth=folders[0], coloured=folders[1]),
    )  # fmt: skip

    truth: str | Path
    coloured: str | Path

    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """See ``Source``."""
        from colorcli.imaging import writing

        sides = []
        for folder in (self.truth, self.coloured):
            if not os.path.isdir(folder):
                raise DataError(f"{folder}: no such folder; --pairs takes two folders")
            found = find([str(folder)], writing.READABLE, recursive=True)
            if not found.sources:
                raise DataError(f"{folder}: no pictures in this folder")
            sides.append(found.sources)
        matched = match(*sides)
        if not matched.files:
            raise DataError(
                f"{self.coloured}: no name of {self.truth} is there; pairs have the same relative "
                "name, whatever their suffix"
            )
        return Selection(
            items=Files(drawn(matched.files, limit, seed)),
            missing=list(matched.missing),
            extra=list(matched.extra),
            coloured=matched.predicted,
            tool=str(self.coloured),
        )


@dataclass(frozen=True)
class Matched:
    """Two folders by relative name without suffix: pairs, and what one side lacks."""

    files: tuple[File, ...]
    predicted: Mapping[str, str]
    missing: tuple[str, ...]  # true pictures nobody coloured
    extra: tuple[str, ...]  # coloured pictures without a true one


def match(truth: Sequence[File], predicted: Sequence[File]) -> Matched:
    """Pair true pictures with coloured ones. Raises ``UsageError`` for an ambiguous name."""

    def bykey_of(files: Sequence[File]) -> dict[str, File]:
        known: dict[str, File] = {}
        for file in files:
            key = key_of(file)
            if key in known:
                raise UsageError(
                    f"{file.path}: {known[key].path} has the same name without suffix; "
                    "which belongs to the pair cannot be told, so remove one"
                )
            known[key] = file
        return known

    true, coloured = bykey_of(truth), bykey_of(predicted)
    return Matched(
        tuple(file for key, file in true.items() if key in coloured),
        {key: file.path for key, file in coloured.items()},
        tuple(file.path for key, file in true.items() if key not in coloured),
        tuple(file.path for key, file in coloured.items() if key not in true),
    )


SOURCE = Pairs
