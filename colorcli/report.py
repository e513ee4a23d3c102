"""What the user sees: JSON on stdout, progress and tables on stderr."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

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
    if isinstance(value, str):  # names that are no UTF-8 come as surrogates; JSON must stay valid
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def emit(value: Any) -> None:
    """One JSON document on one line of stdout, at once."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One line on stderr."""
    line = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(label: str, quiet: bool = False) -> Iterator[Progress | None]:
    """A rich progress bar as ``progress(done, total, **values)``; None unless on a terminal."""
    if quiet or not sys.stderr.isatty():
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
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[values]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=None, values="")

        def update(done: int, total: int, **values: float) -> None:
            shown = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
            bar.update(task, completed=done, total=total or None, values=shown)

        yield update


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A rich table on stderr."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title)
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        drawn.add_row(*row)
    Console(stderr=True).print(drawn)
