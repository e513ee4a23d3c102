"""What was done, a line of JSON for each photograph, added to a file that grows over many calls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from colorcli.system import disk
from colorcli.system.errors import DataError, UsageError, reason
from colorcli.system.files.places import is_remote
from colorcli.system.lock import held


class Journal:
    """A file of lines. Each is added whole, also while other processes add theirs."""

    def __init__(self, path: Path | str) -> None:
        """Open ``path``, made where it is missing. Raises ``DataError``, ``UsageError`` of a store."""
        self._path = path
        if is_remote(str(path)):
            raise UsageError(f"{path}: a log grows, which files of stores cannot; give a path")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            folder = os.path.dirname(path)
            os.makedirs(folder or os.curdir, exist_ok=True)
            self._file = os.open(path, flags, 0o666)
            # Others may be in the middle of a line; one that a power cut broke off must not swallow
            # the next.
            with held(self._file):
                size = os.fstat(self._file).st_size
                if size and os.read(self._file, 1) != b"{":
                    raise UsageError(f"{path}: exists, and is no log; give --log another name")
                if (
                    size
                    and os.lseek(self._file, -1, os.SEEK_END)
                    and os.read(self._file, 1) != b"\n"
                ):
                    os.write(self._file, b"\n")
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> DataError:
        return DataError(f"{self._path}: cannot be written: {reason(error)}; {disk.remedy(error)}")

    def add(self, line: str) -> None:
        """Add a line, without its end. Raises ``DataError``."""
        data = line.encode("utf-8") + b"\n"
        try:
            with held(self._file):
                while data:  # one write, unless the disk is nearly full
                    data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@contextlib.contextmanager
def journal(path: Path | str | None) -> Iterator[Journal | None]:
    """A ``Journal`` for a ``with`` block; None without a ``path``."""
    if path is None:
        yield None
        return
    opened = Journal(path)
    try:
        yield opened
    finally:
        opened.close()
