"""Figures picture by picture, one line each, for tables and scripts; room for all outputs first."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from colorcli.system.atomic import atomic_text, scratch
from colorcli.system.errors import DataError, UsageError, reason

Write = Callable[[Mapping[str, Any]], None]


def _csv(file: TextIO, columns: Sequence[str]) -> Write:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    return writer.writerow


def _jsonl(file: TextIO, columns: Sequence[str]) -> Write:
    def write(record: Mapping[str, Any]) -> None:
        plain = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in record.items()
        }
        file.write(json.dumps(plain, ensure_ascii=False) + "\n")

    return write


# suffix: what makes a writer of records with these columns
RECORDS: dict[str, Callable[[TextIO, Sequence[str]], Write]] = {".csv": _csv, ".jsonl": _jsonl}


PAGES = (".html", ".htm")


def check(path: Path) -> None:
    """Raise ``UsageError`` for a suffix that names no format."""
    if path.suffix.lower() not in RECORDS:
        raise UsageError(f"{path}: unknown suffix for figures; known: {' '.join(RECORDS)}")


def check_page(path: Path) -> None:
    """Raise ``UsageError`` where a report is asked for as something else than HTML."""
    if path.suffix and path.suffix.lower() not in PAGES:
        raise UsageError(f"{path}: unknown suffix for a report; known: {' '.join(PAGES)}")


def check_folder(path: Path, files: Collection[str]) -> None:
    """Raise ``UsageError`` where a folder is called like one of the ``files`` that go into it."""
    if path.suffix.lower() in files and not path.is_dir():
        raise UsageError(f"{path}: many pictures go there; give a folder, such as {path.stem}")


@contextlib.contextmanager
def writer(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """Write records to ``path`` line by line; the file appears whole, or not at all on an error.

    Raises ``DataError`` when it cannot be written.
    """
    check(path)
    with atomic_text(path) as file:
        yield RECORDS[path.suffix.lower()](file, columns)


def check_writable(
    files: Sequence[Path | None], folder: Path | None = None, *, overwrite: bool = False
) -> None:
    """Find out before the work whether its outputs can be written; None entries are not asked for.

    Raises ``UsageError`` when a file exists, or the folder holds something, without ``overwrite``;
    ``DataError`` when one cannot be made.
    """
    for path in files:
        if path is None:
            continue
        if path.is_dir():
            raise UsageError(f"{path}: a folder is in the way of the output")
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: exists already; use --overwrite")
    if folder is not None and not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder}: holds something already; use --overwrite")
    for path in [*(file.parent for file in files if file), *([folder] if folder else [])]:
        try:
            with scratch(path):
                pass
        except OSError as error:
            raise DataError(
                f"{path}: cannot be written to: {reason(error)}; choose another place"
            ) from None
