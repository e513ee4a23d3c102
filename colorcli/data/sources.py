"""Where photographs come from, to be prepared or judged: a record for each kind of source.

``SOURCES`` is the table that ``colorize prepare`` and ``colorize eval`` read. What a record needs to
open what it names it imports when it is asked: the table itself costs nothing.
"""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from colorcli.errors import DataError, UsageError
from colorcli.files.inputs import Source as File
from colorcli.files.inputs import find, stream

if TYPE_CHECKING:
    import numpy as np

    from colorcli.data.coco import Selection as Annotated
    from colorcli.data.dataset import Dataset

# --- pictures ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A picture to judge. ``read`` gives sRGB (H, W, 3) uint8 or raises ``ImageError``."""

    index: int
    name: str
    key: str  # relative path without suffix, which names the picture in a folder of colours
    read: Callable[[], np.ndarray]


class Items(Protocol):
    """Pictures that can be gone through again; each is cheap until it is read."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


def read_rgb(path: Path | str) -> np.ndarray:
    """sRGB (H, W, 3) uint8 of a file; R = G = B for a gray one. Raises ``ImageError``."""
    import numpy as np

    from colorcli.color.levels import to_depth
    from colorcli.errors import ImageError, reason
    from colorcli.files import places
    from colorcli.imaging import reading

    if not places.is_remote(str(path)):
        picture = reading.read(path)
    else:
        try:
            data = places.read(str(path))
        except OSError as error:
            raise ImageError(f"{path}: {reason(error)}; check the name") from None
        picture = reading.decode(data, str(path), keep_color=True).frames[0]
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


# --- what sources come to ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Pictures to judge, and what of the request there is not."""

    items: Items
    broken: list[dict[str, str]] = field(default_factory=list)  # inputs that name nothing
    missing: list[str] = field(default_factory=list)  # named, or to be coloured, but not there
    extra: list[str] = field(default_factory=list)  # coloured pictures without a true one
    coloured: Mapping[str, str] | None = None  # another tool's files, by the key of the true one


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Files to prepare, met one by one: there may be a million of them.

    One that has an ``error`` names none. ``missing``: named, but not there; ``bad``: names, each
    with what is wrong with it. ``origin`` is what the prepared set remembers of its source, by
    option.
    """

    files: Iterable[File]
    origin: dict[str, Any]
    missing: Sequence[str] = ()
    bad: Sequence[tuple[str, str]] = ()

    @property
    def left_out(self) -> list[dict[str, str]]:
        """Lines of the report on what is missing or bad."""
        gone = "named, but not there"
        return [
            *({"path": p, "reason": "missing", "detail": gone} for p in self.missing),
            *({"path": p, "reason": "broken", "detail": why} for p, why in self.bad),
        ]


def _drawn(items: Sequence[Any], limit: int, seed: int) -> list[Any]:
    """At most ``limit`` by chance (0: all), in their order."""
    if not limit or limit >= len(items):
        return list(items)
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), limit))]


class Source(ABC):
    """A kind of source: its fields say which pictures, its methods find them."""

    @abstractmethod
    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """The pictures to judge, at most ``limit`` of them drawn by ``seed`` (0: all).

        Raises ``DataError`` when there are none, ``UsageError`` for a request that cannot be meant.
        """

    def photographs(self) -> Photographs:
        """The files to prepare. Raises ``UsageError`` where a source is there to be judged only."""
        raise UsageError("this source can be judged, not prepared; give folders of photographs")


# --- the sources -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Folder(Source):
    """Files, folders and globs (``inputs``), and names ``listed`` somewhere, taken literally.

    ``files_from`` says where they were listed.
    """

    inputs: Sequence[str] = ()
    listed: Iterable[str] = ()
    files_from: str | None = None
    recursive: bool = False

    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """See ``Source``."""
        from colorcli.imaging import writing

        found = find(
            self.inputs, writing.READABLE, listed=tuple(self.listed), recursive=self.recursive
        )
        broken = [{"path": name, "reason": f"{name}: {why}"} for name, why in found.failures]
        if not found.sources:
            raise DataError(broken[0]["reason"] if broken else "no photographs given")
        return Selection(items=Files(_drawn(found.sources, limit, seed)), broken=broken)

    def photographs(self) -> Photographs:
        """See ``Source``."""
        from colorcli.imaging import writing

        files = stream(self.inputs, writing.READABLE, listed=self.listed, recursive=self.recursive)
        origin = {"kind": "folder", "inputs": list(self.inputs), "files_from": self.files_from}
        return Photographs(files=files, origin=origin)


@dataclass(frozen=True, kw_only=True)
class Coco(Source):
    """Photographs that an annotation file of COCO's kind names.

    They lie in ``root``/``split``; ``annotations`` None: COCO's own file of the split.
    ``categories`` (names or ids), of which a photograph shows "any" or "all" (``match``), in a
    crowd too unless ``ignore_crowds``; ``licenses``: ids of those it may be under.
    """

    root: str | Path = "."
    split: str = "train2017"
    annotations: str | None = None
    categories: Sequence[str] = ()
    match: str = "any"
    ignore_crowds: bool = False
    licenses: Sequence[int] = ()

    def _found(self) -> tuple[Annotated, list[tuple[str, str]]]:
        """What the annotations name, and the names among it that are bad, with what is wrong."""
        from colorcli.data import coco

        chosen = coco.select(
            self.annotations or f"{self.root}/annotations/instances_{self.split}.json",
            Path(self.root) / self.split,
            coco.Filter(
                tuple(self.categories), self.match, not self.ignore_crowds, tuple(self.licenses)
            ),
        )
        return chosen, [(name, coco.OUTSIDE) for name in chosen.outside]

    def _files(self, paths: Iterable[str]) -> list[File]:
        folder = Path(self.root) / self.split
        return [File(path, os.path.relpath(path, folder)) for path in paths]

    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """See ``Source``."""
        chosen, bad = self._found()
        where = self.annotations or Path(self.root) / "annotations" / f"instances_{self.split}.json"
        return Selection(
            items=Files(_drawn(self._files(chosen.paths), limit, seed)),
            broken=[{"path": name, "reason": f"{where}: {name}: {why}"} for name, why in bad],
            missing=list(chosen.missing),
        )

    def photographs(self) -> Photographs:
        """See ``Source``."""
        chosen, bad = self._found()
        origin = {
            "kind": "coco", "split": self.split, "category": ",".join(self.categories),
            "match": self.match, "ignore_crowds": self.ignore_crowds,
            "license": ",".join(map(str, self.licenses)),
        }  # fmt: skip
        files = self._files(chosen.paths)
        return Photographs(files=files, origin=origin, missing=chosen.missing, bad=bad)


@dataclass(frozen=True, kw_only=True)
class Prepared(Source):
    """The split of a prepared data set."""

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
        return Selection(items=Stored(data, self.split, _drawn(range(count), limit, seed)))


@dataclass(frozen=True, kw_only=True)
class Pairs(Source):
    """Another tool's colours beside the true ones: two folders with the same names, in depth."""

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
            items=Files(_drawn(matched.files, limit, seed)),
            missing=list(matched.missing),
            extra=list(matched.extra),
            coloured=matched.predicted,
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


SOURCES: dict[str, type[Source]] = {
    "folder": Folder, "coco": Coco, "prepared": Prepared, "pairs": Pairs
}  # fmt: skip
