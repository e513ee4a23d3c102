"""What the user sees: data on stdout (JSON, tables), progress and messages on stderr."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from colorcli.system.errors import DataError, reason

Progress = Callable[..., None]


def plain(value: Any) -> Any:
    """A result dataclass as JSON values; not-a-number and infinities become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, str):
        return text(value)
    return value


def text(name: str) -> str:
    """Valid Unicode of a file name; bytes that are no UTF-8 become ``\\xHH``."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # surrogates that no file name of this system can hold
        return name.encode("utf-8", "backslashreplace").decode()


def line(message: str) -> str:
    """``text`` on one line of a terminal: control characters as escapes."""
    shown = text(message)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def _print(shown: str) -> None:
    """One line of stdout, at once. Raises ``DataError`` when stdout cannot take it."""
    if sys.stdout is None:
        raise DataError("stdout is closed; give it a place to go, such as > FILE")
    try:
        sys.stdout.write(shown + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"stdout cannot be written: {reason(error)}") from None


def document(value: Any) -> str:
    """One JSON document on one line."""
    import json

    return json.dumps(plain(value), ensure_ascii=False)


def emit(value: Any) -> None:
    """One JSON document on one line of stdout, at once."""
    _print(document(value))


def show(*fields: str) -> None:
    """One line of data for people on stdout, fields apart by tabs."""
    _print("\t".join(map(line, fields)))


def say(message: str) -> None:
    """One line on stderr."""
    _tell(line(message) + "\n")


def _tell(shown: str) -> None:
    """Write on stderr. Where that has no room, what is said is lost and the work goes on."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(shown)
            sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        pass


@contextlib.contextmanager
def progress(label: str, quiet: bool = False) -> Iterator[Progress | None]:
    """A live line as ``progress(done, total, **values)``: rate, time left, values.

    None unless stderr is a terminal. Messages of ``say`` go above it meanwhile; stdout is never
    touched.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )  # fmt: skip
    from rich.progress import (
        Progress as Bar,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[values]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    began = time.monotonic()
    with Bar(*columns, console=Console(stderr=True), redirect_stdout=False) as bar:
        task = bar.add_task(label, total=None, values="", rate="")

        def update(done: int, total: int, **values: float) -> None:
            shown = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
            rate = f"{done / max(1e-3, time.monotonic() - began):.1f}/s"
            bar.update(task, completed=done, total=total or None, values=shown, rate=rate)

        yield update


def _width(shown: str) -> int:
    """Columns that a terminal gives to a text."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in shown)
    return len(shown) + wide - sum(map(bool, map(unicodedata.combining, shown)))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Rows of as many cells on stdout, the first column to the left, the others to the right."""
    rows = [list(map(line, row)) for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [" " * (w - _width(c)) + c for c, w in zip(rest, widths[1:], strict=True)]
        _print("  ".join(cells).rstrip())
