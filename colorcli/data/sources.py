"""Pictures to judge: files, COCO splits, prepared sets, and folders of another tool's colours."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from colorcli.color.levels import to_depth
from colorcli.errors import DataError, UsageError
from colorcli.files.inputs import Source as File
from colorcli.files.inputs import find
from colorcli.imaging import reading, writing


@dataclass(frozen=True)
class Item:
    """A picture to judge. ``read`` gives sRGB (H, W, 3) uint8 or raises ``ImageError``."""

    index: int
    name: str
    key: str  # relative path without suffix, which names the picture in a folder of colours
    read: Callable[[], np.ndarray]


class Source(Protocol):
    """Pictures that can be gone through again; items are cheap until they are read."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


def read_rgb(path: Path | str) -> np.ndarray:
    """sRGB (H, W, 3) uint8 of a file; R = G = B for a gray one. Raises ``ImageError``."""
    picture = reading.read(path)
    planes = picture.gray if picture.rgb is None else picture.rgb
    planes = to_depth(planes, np.uint8)
    return np.dstack([planes] * 3) if planes.ndim == 2 else planes


def _key(file: File) -> str:
    return os.path.splitext(file.relative)[0]


@dataclass(frozen=True)
class Files:
    """Photographs on disk."""

    files: Sequence[File]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Item]:
        for index, file in enumerate(self.files):
            yield Item(index, file.path, _key(file), partial(read_rgb, file.path))


@dataclass(frozen=True)
class Prepared:
    """The split of a prepared data set; ``chosen`` are the indices to judge, in order."""

    data: Any  # dataset.Dataset
    split: str
    chosen: Sequence[int]

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[Item]:
        from colorcli.data import dataset

        wanted = set(self.chosen)
        stored = dataset.photographs(self.data, self.split, max(wanted) + 1 if wanted else 0)
        index = 0
        for number, rgb in enumerate(stored):
            if number in wanted:
                name = f"{self.split}-{number:06d}"
                yield Item(index, name, name, partial(np.asarray, rgb))
                index += 1


@dataclass(frozen=True)
class Selection:
    """Pictures to judge, and what of the request there is not."""

    source: Source
    broken: list[dict[str, str]] = field(default_factory=list)  # inputs that name nothing
    missing: list[str] = field(default_factory=list)  # named, or to be coloured, but not there
    extra: list[str] = field(default_factory=list)  # coloured pictures without a true one


def _drawn(items: Sequence[Any], limit: int, seed: int) -> list[Any]:
    """At most ``limit`` by chance (0: all), in their order."""
    if not limit or limit >= len(items):
        return list(items)
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), limit))]


def from_names(
    names: Sequence[str],
    *,
    listed: Sequence[str] = (),
    recursive: bool = False,
    limit: int = 0,
    seed: int = 0,
) -> Selection:
    """Files, folders and globs, and ``listed`` names taken literally. Raises ``DataError`` when none names a picture."""
    found = find(names, writing.READABLE, listed=listed, recursive=recursive)
    broken = [{"path": name, "reason": f"{name}: {why}"} for name, why in found.failures]
    if not found.sources:
        raise DataError(broken[0]["reason"] if broken else "no photographs given")
    return Selection(Files(_drawn(found.sources, limit, seed)), broken)


def from_prepared(
    folder: Path | str, split: str = "val", *, limit: int = 0, seed: int = 0
) -> Selection:
    """The split of a prepared data set. Raises ``DataError`` when it is damaged or empty."""
    from colorcli.data import dataset

    data = dataset.load(folder)
    if split not in data.shards:
        raise UsageError(f"{folder}: no split {split!r}; known: {', '.join(data.shards)}")
    if not data.counts[split]:
        raise DataError(f"{folder}: its {split} split is empty; prepare with a --val-fraction")
    return Selection(Prepared(data, split, _drawn(range(data.counts[split]), limit, seed)))


def from_coco(
    root: Path,
    split: str = "val2017",
    *,
    annotations: Path | str | None = None,
    categories: Sequence[str] = (),
    limit: int = 0,
    seed: int = 0,
) -> Selection:
    """Photographs of a COCO split. Raises ``DataError`` when none of them is on disk."""
    from colorcli.data import coco

    path = annotations or root / "annotations" / f"instances_{split}.json"
    chosen = coco.select(path, root / split, coco.Filter(tuple(categories)))
    files = [File(p, os.path.relpath(p, root / split)) for p in chosen.paths]
    broken = [{"path": n, "reason": f"{path}: {n}: {coco.OUTSIDE}"} for n in chosen.outside]
    return Selection(Files(_drawn(files, limit, seed)), broken, list(chosen.missing))


@dataclass(frozen=True)
class Matched:
    """Two folders by relative name without suffix: pairs, and what one side lacks."""

    files: tuple[File, ...]
    predicted: Mapping[str, str]
    missing: tuple[str, ...]  # true pictures nobody coloured
    extra: tuple[str, ...]  # coloured pictures without a true one


def match(truth: Sequence[File], predicted: Sequence[File]) -> Matched:
    """Pair true pictures with coloured ones. Raises ``UsageError`` for an ambiguous name."""

    def by_key(files: Sequence[File]) -> dict[str, File]:
        known: dict[str, File] = {}
        for file in files:
            key = _key(file)
            if key in known:
                raise UsageError(
                    f"{file.path}: {known[key].path} has the same name without suffix; "
                    "which belongs to the pair cannot be told, so remove one"
                )
            known[key] = file
        return known

    true, coloured = by_key(truth), by_key(predicted)
    return Matched(
        tuple(file for key, file in true.items() if key in coloured),
        {key: file.path for key, file in coloured.items()},
        tuple(file.path for key, file in true.items() if key not in coloured),
        tuple(file.path for key, file in coloured.items() if key not in true),
    )


def from_pairs(
    truth: Path, coloured: Path, *, limit: int = 0, seed: int = 0
) -> tuple[Selection, Mapping[str, str]]:
    """True pictures, and the coloured files by key. Folders are searched in depth.

    Raises ``DataError`` for an empty folder or when no name is in both.
    """
    sides = []
    for folder in (truth, coloured):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; --pairs takes two folders")
        found = find([str(folder)], writing.READABLE, recursive=True)
        if not found.sources:
            raise DataError(f"{folder}: no pictures in this folder")
        sides.append(found.sources)
    matched = match(*sides)
    if not matched.files:
        raise DataError(
            f"{coloured}: no name of {truth} is there; pairs have the same relative name, "
            "whatever their suffix"
        )
    source = Files(_drawn(matched.files, limit, seed))
    selection = Selection(source, missing=list(matched.missing), extra=list(matched.extra))
    return selection, matched.predicted
