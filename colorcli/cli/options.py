"""Options that several commands share, and how a command gets its own from a config."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer

from colorcli.network.decoding import KNOBS, Knob, Knobs
from colorcli.system import settings

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too


def bundled(incomplete: str) -> Iterable[str]:
    """Names of bundled models that start so, for completion."""
    root = Path(__file__).parents[1] / "models"
    return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name.startswith(incomplete))


Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", envvar="COLORIZE_MODEL", autocompletion=bundled,
        help="Bundled model name, model folder, training run or exported file.",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into sub-folders too.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
FilesFrom = Annotated[
    Optional[str], typer.Option(help="Read names from this file, or - for stdin.")
]
Nul = Annotated[bool, typer.Option("--null", "-0", help="Those names end in NUL.")]


def listed(files_from: Optional[str], nul: bool) -> Iterable[str]:
    """Names of ``--files-from``, as they come."""
    if files_from is None:
        return ()
    from colorcli.files.listing import read_names

    return read_names(files_from, nul)


Output = Annotated[str, typer.Option("--output", "-o", help="Folder to make.", show_default=False)]
Limit = Annotated[int, typer.Option(min=0, help="At most this many, by chance; 0: all.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]


def extended(
    command: Any,
    options: list[inspect.Parameter],
    name: str,
    build: Callable[[dict[str, Any]], Any],
) -> Any:
    """A command with more options, whose values ``build`` makes into its argument ``name``."""

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        values = {option.name: arguments.pop(option.name) for option in options}
        command(**arguments, **{name: build(values)})

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != name
    ]
    signature = inspect.Signature([*own, *options])
    vars(run).update(__signature__=signature)
    run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return run


def configurable(config: type) -> Any:
    """Decorator: a command with an option for each setting of ``config``, given as ``values``.

    ``values`` holds what the user gave, by name, as text or number for ``settings.parse``.
    """

    def option(setting: settings.Setting) -> inspect.Parameter:
        limits, kind = setting.limits, setting.type if setting.type in (int, float) else str
        bounds: dict[str, Any] = {}
        if kind is not str:
            bounds = {"min": limits.get("least"), "max": limits.get("most")}
        if "choices" in limits:
            kind = Literal[tuple(limits["choices"])]
        about = typer.Option(help=limits["help"], show_default=False, **bounds)
        return inspect.Parameter(
            setting.name, inspect.Parameter.KEYWORD_ONLY, default=None,
            annotation=Annotated[Optional[kind], about],
        )  # fmt: skip

    options = [option(setting) for setting in settings.settings(config).values()]

    def given(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    return lambda command: extended(command, options, "values", given)


def _environment(name: str) -> str:
    return f"COLORIZE_{name.upper()}"


def _knob(knob: Knob, note: str) -> inspect.Parameter:
    about = typer.Option(
        envvar=_environment(knob.name), show_default=False,
        help=f"{knob.help}{note} [default: {knob.default:g}]",
    )  # fmt: skip
    return inspect.Parameter(
        knob.name, inspect.Parameter.KEYWORD_ONLY, default=None,
        annotation=Annotated[Optional[float], about],
    )  # fmt: skip


_FLIP = inspect.Parameter(
    "flip_average", inspect.Parameter.KEYWORD_ONLY, default=False,
    annotation=Annotated[
        bool,
        typer.Option(
            "--flip-average", envvar=_environment("flip_average"),
            help="Average with the mirrored picture's colours; twice the network's time.",
        ),
    ],
)  # fmt: skip


def steerable(command: Any = None, *, passes: bool = True, note: str = "") -> Any:
    """Decorator: a command with an option for each knob, given as ``knobs``.

    ``passes``: it runs the network, and may run it more than once. ``note`` ends the knobs' help.
    """
    options = [_knob(knob, note) for knob in KNOBS.values()] + ([_FLIP] if passes else [])

    def decorate(command: Any) -> Any:
        return extended(command, options, "knobs", lambda values: Knobs(**values))

    return decorate if command is None else decorate(command)


def items(text: str) -> tuple[str, ...]:
    """The words of a comma-separated option."""
    return tuple(item.strip() for item in text.split(",") if item.strip())
