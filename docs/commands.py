"""Print the help of every command as Markdown: the source of docs/commands.md."""

import os
import subprocess
import sys

COMMANDS = (
    [], ["predict"], ["prepare", "folder"], ["prepare", "coco"], ["train"], ["eval"], ["export"],
    ["models"],
)  # fmt: skip


def text(command: list[str]) -> str:
    """The help of one command, 80 columns wide."""
    return subprocess.run(
        [sys.executable, "-m", "colorcli", *command, "--help"],
        check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
    ).stdout  # fmt: skip


if __name__ == "__main__":
    print("# Commands\n\nMade by `make docs` from the program itself.")
    for command in COMMANDS:
        lines = "\n".join(line.rstrip() for line in text(command).strip().splitlines())
        print(f"\n## colorize {' '.join(command)}\n\n```\n{lines}\n```")
