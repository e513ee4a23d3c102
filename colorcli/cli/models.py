"""``colorize models``: what is bundled, where, and whether it is whole."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import Json, bundled
from colorcli.errors import ExitCode, ModelError, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too


def models(
    names: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="[MODEL]...",
            autocompletion=bundled,
            show_default=False,
            help="Model names, folders or training runs. [default: the bundled models]",
        ),
    ] = None,
    path: Annotated[bool, typer.Option("--path", help="Print only where each is.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every file's sha256; exit 4 if one differs.")
    ] = False,
    json: Json = False,
) -> None:
    """List the bundled models, say where they are, check their files."""
    if path and json:
        raise UsageError("--path and --json contradict each other; --json says the path too")
    from colorcli.network import model_folder

    damaged = False
    for name in names or model_folder.bundled():
        try:
            folder = model_folder.load(name, needs=())
            states = model_folder.verify(folder) if verify else {}
        except ModelError as error:
            terminal.say(f"colorize: {error}")
            damaged = True
            continue
        for fault in filter(None, states.values()):
            terminal.say(f"colorize: {fault}")
        whole = not any(states.values())
        damaged |= not whole
        entry = {
            "name": name,
            "path": str(folder.path),
            "backbone": folder.config.backbone,
            "loss": folder.config.loss,
            "size": folder.config.size,
        }
        if json:
            checked = {"whole": whole, "files": {k: v or "ok" for k, v in states.items()}}
            terminal.emit({**entry, **(checked if verify else {})})
        elif path:
            terminal.show(str(folder.path))
        else:
            state = ("whole" if whole else "damaged",) if verify else ()
            terminal.show(*map(str, entry.values()), *state)
    if damaged:
        raise typer.Exit(ExitCode.MODEL)
