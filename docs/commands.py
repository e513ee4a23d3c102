"""Print the help of every command as Markdown: the source of docs/commands.md."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from colorcli.cli import Late, app


def tree(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it, in the order of the help."""
    command = command or get_command(app)
    if isinstance(command, Late):
        command = command.command
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        yield from tree(command.commands[name], (*path, name))


def text(command: tuple[str, ...]) -> str:
    """The help of one command, 80 columns wide."""
    return subprocess.run(
        [sys.executable, "-m", "colorcli", *command, "--help"],
        check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    ).stdout  # fmt: skip


if __name__ == "__main__":
    print("# Commands\n\nMade by `make docs` from the program itself.")
    for command in ((), *(path for path, _ in tree())):
        lines = "\n".join(line.rstrip() for line in text(command).strip().splitlines())
        print(f"\n## {' '.join(('colorize', *command))}\n\n```\n{lines}\n```")
