"""``colorize models``: what is bundled or was added, where, and whether it is whole."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from colorcli.cli import terminal
from colorcli.cli.options import (
    Json,
    Overwrite,
    Quiet,
    added_names,
    configured,
    model_names,
)
from colorcli.config.training import UprightConfig
from colorcli.system.errors import ExitCode, ModelError, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too


class _Models(TyperGroup):
    """``colorize models`` alone lists, and so does ``colorize models NAME``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` before what is no other command of it."""
        wanted = args and args[0] not in (*self.commands, *ctx.help_option_names)
        if wanted or (not args and not ctx.resilient_parsing):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The names of models beside the commands."""
        offered = super().shell_complete(ctx, incomplete)
        kind = next((type(item) for item in offered), None)
        if kind is None:
            listing = self.commands["list"]
            return listing.params[0].shell_complete(ctx, incomplete)
        return offered + [kind(name) for name in model_names(incomplete)]


app = typer.Typer(
    cls=_Models, add_completion=False, rich_markup_mode=None,
    help="List the models there are, say where they are, check their files; add and remove some. "
    "Without a command: list.",
)  # fmt: skip


def _entry(name: str, checked: bool) -> dict[str, Any]:
    """What is told of a model; raises ``ModelError``."""
    from colorcli.network import model_folder

    path = model_folder.find(name)
    entry: dict[str, Any] = {"name": name, "path": str(path)}
    if path.is_file():  # an export that was added, which finding it has checked
        if name not in added_names(""):
            raise ModelError(
                f"{path}: an exported file only colours; give the model folder it came from"
            )
        entry |= {"backbone": None, "loss": None, "size": None}
        return entry | ({"whole": True, "files": {path.name: "ok"}} if checked else {})
    folder = model_folder.load(name, needs=())
    config = folder.config
    entry |= {"path": str(folder.path), "backbone": config.backbone, "loss": config.loss}
    entry["size"] = config.size
    if checked:
        states = model_folder.verify(folder)
        entry["whole"] = not any(states.values())
        entry["files"] = {key: state or "ok" for key, state in states.items()}
    return entry


@app.command("list")
def listing(
    names: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="[MODEL]...", autocompletion=model_names, show_default=False,
            help="Model names, folders or training runs. [default: those bundled and added]",
        ),
    ] = None,
    path: Annotated[bool, typer.Option("--path", help="Print only where each is.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every file's sha256; exit 4 if one differs.")
    ] = False,
    json: Json = False,
) -> None:  # fmt: skip
    """List the bundled and added models, say where they are, check their files."""
    if path and json:
        raise UsageError("--path and --json contradict each other; --json says the path too")
    damaged = False
    for name in names or model_names(""):
        try:
            entry = _entry(name, verify)
        except ModelError as error:
            terminal.say(f"colorize: {error}")
            damaged = True
            continue
        whole = entry.get("whole", True)
        damaged |= not whole
        for state in entry.get("files", {}).values():
            if state != "ok":
                terminal.say(f"colorize: {state}")
        if json:
            terminal.emit(entry)
        elif path:
            terminal.show(entry["path"])
        else:
            columns = ("name", "path", "backbone", "loss", "size")
            shown = ["–" if entry[key] is None else str(entry[key]) for key in columns]
            terminal.show(*shown, *((("damaged", "whole")[whole],) if verify else ()))
    if damaged:
        raise typer.Exit(ExitCode.MODEL)


@app.command("add")
def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|FOLDER|URL#sha256=HEX",
            help="A model folder, a training run, an archive of one, or an exported file.",
        ),
    ],
    name: Annotated[
        Optional[str],
        typer.Option("--name", help="What --model calls it. [default: as it is called]",
                     show_default=False),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Put a model into your own folder of them, checked and tried, under a name for --model."""
    from colorcli.network.shelf import adding

    with terminal.progress("fetching", quiet) as bar:
        done = adding.add(source, name=name, overwrite=overwrite, progress=bar)
    if json:
        terminal.emit(done)
    elif not quiet:
        terminal.say(f"colorize: --model {done.name} is {done.path}")


@app.command("remove")
def remove(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", autocompletion=added_names, help="Names of added models."
        ),
    ],
    quiet: Quiet = False,
) -> None:
    """Remove models that were added."""
    from colorcli.network.shelf import adding

    for name in names:
        folder = adding.remove(name)
        if not quiet:
            terminal.say(f"colorize: removed {folder}")


@app.command("upright")
@configured(UprightConfig)
def upright(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", autocompletion=model_names, help="Model name, folder or training run."
        ),
    ],
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA...", help="Prepared folders of photographs that lie upright."),
    ],
    json: Json = False,
    quiet: Quiet = False,
    *,
    config: UprightConfig,
) -> None:
    """Teach a model which way is up: a small file in its folder, some minutes' work."""
    from colorcli.system import native

    native.require("tensorflow")  # before any work for it
    native.tensorflow()
    from colorcli.data import dataset
    from colorcli.training.feed.mixture import weighed
    from colorcli.training.upright.teach import teach

    photographs = weighed([(dataset.load(name), 1.0) for name in data])
    with terminal.progress("looking", quiet) as bar:
        done = teach(model, photographs, config, progress=bar)
    if json:
        terminal.emit(done)
    elif not quiet:
        terminal.say(
            f"colorize: {done.file}: {done.accuracy:.1%} right at a look; when sure, sets "
            f"{done.found:.1%} of the turned ones upright and turns {done.wrong:.2%} of the others"
        )
