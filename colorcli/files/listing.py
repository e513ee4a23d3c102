"""Names of photographs by the million: on disk, mapped, eight bytes of memory each."""

from __future__ import annotations

import array
import contextlib
import hashlib
import mmap
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from colorcli.errors import UsageError, reason

BLOCK = 1 << 20
BOM = b"\xef\xbb\xbf"


def read_names(path: str, nul: bool = False) -> Iterator[str]:
    """Names in the list ``path`` (``-``: stdin), one to a line or ended by NUL, as they come.

    Empty ones are skipped; lines may end as Windows ends them and begin with a byte order mark.
    Raises ``UsageError`` when there is no such list.
    """
    for name in _pieces(path, b"\0" if nul else b"\n"):
        name = name if nul else name.removesuffix(b"\r")
        if name:
            yield os.fsdecode(name)


def _pieces(path: str, separator: bytes) -> Iterator[bytes]:
    if path == "-" and sys.stdin is None:
        raise UsageError("stdin is closed; --files-from needs a list")
    try:
        with contextlib.ExitStack() as stack:
            file = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
            rest = file.read(len(BOM))
            if separator == b"\n":
                rest = rest.removeprefix(BOM)
            while block := file.read(BLOCK):
                *names, rest = (rest + block).split(separator)
                yield from names
    except OSError as error:
        raise UsageError(f"{path}: {reason(error)}; --files-from needs a list") from None
    yield from rest.split(separator)


class Listing(Sequence[str]):
    """A sequence of names kept in a file, each ended by NUL; only what is looked at is in memory."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        state, offsets, at = hashlib.sha256(), array.array("Q", [0]), 0
        with path.open("wb", buffering=BLOCK) as file:
            for name in names:
                data = os.fsencode(name) + b"\0"
                file.write(data)
                state.update(data)
                at += len(data)
                offsets.append(at)
        self.digest = state.hexdigest()
        self._offsets = np.frombuffer(offsets, np.uint64)
        with path.open("rb") as file:  # an empty file cannot be mapped
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if at else b""

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return os.fsdecode(self._map[int(self._offsets[index]) : int(self._offsets[index + 1]) - 1])

    def close(self) -> None:
        """Unmap the file, so that it can be removed everywhere."""
        if isinstance(self._map, mmap.mmap):
            self._map.close()
