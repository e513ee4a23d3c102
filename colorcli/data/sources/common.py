"""What makes a source: the record that every file of this folder holds as ``SOURCE``."""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from colorcli.system.errors import UsageError
from colorcli.system.files.inputs import Source as File

if TYPE_CHECKING:
    import numpy as np


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
    from colorcli.imaging import reading
    from colorcli.system.errors import ImageError, reason
    from colorcli.system.files import places

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


def key_of(file: File) -> str:
    """A file's relative path without its suffix."""
    return os.path.splitext(file.relative)[0]


@dataclass(frozen=True)
class Files:
    """Photographs on disk."""

    files: Sequence[File]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Item]:
        for index, file in enumerate(self.files):
            yield Item(index, file.path, key_of(file), partial(read_rgb, file.path))


# --- what sources come to ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Pictures to judge, and what of the request there is not."""

    items: Items
    broken: list[dict[str, str]] = field(default_factory=list)  # inputs that name nothing
    missing: list[str] = field(default_factory=list)  # named, or to be coloured, but not there
    extra: list[str] = field(default_factory=list)  # coloured pictures without a true one
    coloured: Mapping[str, str] | None = None  # another tool's files, by the key of the true one
    tool: str = ""  # what that tool's row is called


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


def drawn(items: Sequence[Any], limit: int, seed: int) -> list[Any]:
    """At most ``limit`` by chance (0: all), in their order."""
    if not limit or limit >= len(items):
        return list(items)
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), limit))]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How ``eval`` is told of a source, which ``make(named, also)`` makes of what was given.

    By an option of the source's name in the table, of this ``type``, ``help`` and ``metavar``; with
    an empty help there is none, and inputs tell (``Source.is_one``). ``also``: options that go with
    it, with their help. ``called``: what those are said to belong to.
    """

    make: Callable[[Any, Mapping[str, str]], Source]
    type: Any = Path
    help: str = ""
    metavar: str | None = None
    also: Mapping[str, str] = field(default_factory=dict)
    called: str = ""


Bar = Callable[[str], "AbstractContextManager[Any]"]  # a progress in bytes, by its label


class Source(ABC):
    """A kind of source: its fields say which pictures, its methods find them.

    ``prepares``: the help of ``prepare``'s command for it, whose options are the fields that have a
    help; "" where there is none by itself. ``judged``: how ``eval`` is told of it.
    """

    prepares: ClassVar[str] = ""
    judged: ClassVar[Judged | None] = None

    @staticmethod
    def is_one(name: str) -> bool:
        """Whether an input of ``eval`` is a folder of this kind of its own."""
        return False

    def obtain(self, bar: Bar) -> None:
        """Fetch what the fields ask for and is not there: for most, nothing."""
        return

    @abstractmethod
    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """The pictures to judge, at most ``limit`` of them drawn by ``seed`` (0: all).

        Raises ``DataError`` when there are none, ``UsageError`` for a request that cannot be meant.
        """

    def photographs(self) -> Photographs:
        """The files to prepare. Raises ``UsageError`` where a source is there to be judged only."""
        raise UsageError("this source can be judged, not prepared; give folders of photographs")
