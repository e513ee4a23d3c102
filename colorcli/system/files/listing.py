"""Names of photographs by the million: on disk, mapped, eight bytes of memory each."""

from __future__ import annotations

import array
import codecs
import contextlib
import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from colorcli.system.errors import UsageError, reason

BLOCK = 1 << 20
BOM = b"\xef\xbb\xbf"


def read_names(path: str, nul: bool = False) -> Iterator[str]:
    """Names in the list ``path`` (``-``: stdin), one to a line or ended by NUL, as they come.

    Empty ones are skipped; lines may end as Windows ends them and begin with a byte order mark,
    also that of UTF-16, which PowerShell writes. Raises ``UsageError`` when there is no such list.
    """
    for name in _pieces(path, b"\0" if nul else b"\n"):
        name = name if nul else name.removesuffix(b"\r")
        if name:
            try:
                yield os.fsdecode(name)
            except UnicodeDecodeError:  # Windows, whose names are no bytes
                raise UsageError(f"{path}: not UTF-8; save the list as UTF-8") from None


def _pieces(path: str, separator: bytes) -> Iterator[bytes]:
    if path == "-" and sys.stdin is None:
        raise UsageError("stdin is closed; --files-from needs a list")
    try:
        with contextlib.ExitStack() as stack:
            file = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
            rest = file.read(len(BOM))
            convert = _from_utf_16(rest) if separator == b"\n" else None
            rest = convert(rest) if convert else rest
            if separator == b"\n":
                rest = rest.removeprefix(BOM)
            while block := file.read(BLOCK):
                *names, rest = (rest + (convert(block) if convert else block)).split(separator)
                yield from names
    except UnicodeError:
        raise UsageError(f"{path}: damaged UTF-16; save the list as UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path}: {reason(error)}; --files-from needs a list") from None
    yield from rest.split(separator)


def _from_utf_16(start: bytes) -> Callable[[bytes], bytes] | None:
    """What makes UTF-8 of blocks of a file that begins so; None where it is no UTF-16."""
    if not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None
    decoder = codecs.getincrementaldecoder("utf-16")()
    return lambda block: decoder.decode(block).encode()


class Listing(Sequence[str]):
    """A sequence of names kept in a file, each ended by NUL; only what is looked at is in memory."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        import hashlib

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
