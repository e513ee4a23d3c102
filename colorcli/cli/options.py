"""Options that several commands share, and how a command gets its own from a config."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, get_args, get_origin

import typer

from colorcli.config import settings
from colorcli.config.calls import NamesConfig
from colorcli.network.decoding import KNOBS, Knob, Knobs
from colorcli.network.shelf import places
from colorcli.system.errors import UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too


def added_names(incomplete: str) -> list[str]:
    """Names of added models that start so, for completion."""
    return [name for name in places.names() if name.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """Names of bundled and added models that start so, for completion."""
    root = Path(__file__).parents[1] / "models"
    bundled = sorted(p.name for p in root.iterdir() if p.is_dir())
    return [name for name in bundled if name.startswith(incomplete)] + added_names(incomplete)


Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", envvar="COLORIZE_MODEL", autocompletion=model_names,
        help="Name of a model (see colorize models), model folder, training run or exported file.",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
Output = Annotated[str, typer.Option("--output", "-o", help="Folder to make.", show_default=False)]


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


# --- from the fields of a config ---------------------------------------------------------------


def _flag(setting: settings.Setting) -> str:
    return "--" + setting.limits.get("flag", setting.name).replace("_", "-")


def _beginning(choices: Iterable[str]) -> Callable[[str], list[str]]:
    """A completion."""
    return lambda incomplete: [name for name in choices if name.startswith(incomplete)]


def _is_list(setting: settings.Setting) -> bool:
    return get_origin(setting.type) is tuple and get_args(setting.type)[-1] is ...


def _parameter(name: str, kind: Any, default: Any, about: Any) -> inspect.Parameter:
    kind = Optional[kind] if default is None else kind
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, about]
    )


def _option(setting: settings.Setting, text: bool) -> inspect.Parameter:
    """An option for a field. ``text``: its default is None, and a list comes as a text."""
    limits, kind, default = setting.limits, setting.type, setting.default
    about: dict[str, Any] = {"help": limits["help"], "metavar": limits.get("metavar")}
    about["envvar"] = limits.get("environment")
    choices = limits.get("choices")
    if text or "[default" in limits["help"]:  # which says it better
        default, about["show_default"] = None, False
    if kind in (int, float) and "words" not in limits:
        about |= {"min": limits.get("least"), "max": limits.get("most")}
    elif _is_list(setting) and not text:
        kind, default = list[str], None
        if choices:  # Typer knows no list of choices
            about |= {"autocompletion": _beginning(choices), "metavar": f"[{'|'.join(choices)}]"}
    elif choices:
        kind = Literal[tuple(choices)]
    elif text or "words" in limits:
        kind = str
    flags = [flag for flag in (_flag(setting), limits.get("short")) if flag]
    return _parameter(setting.name, kind, default, typer.Option(*flags, **about))


def configurable(config: type) -> Any:
    """Decorator: a command with an option for each setting of ``config``, given as ``values``.

    ``values`` holds what the user gave, by name, as text or number for ``settings.parse``.
    """
    options = [_option(setting, text=True) for setting in settings.settings(config).values()]

    def given(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    return lambda command: extended(command, options, "values", given)


def _value(setting: settings.Setting, given: Any) -> Any:
    """What an option gave, as its field's value; raises ``UsageError`` for what cannot be one."""
    choices, words = setting.limits.get("choices", ()), setting.limits.get("words")
    if _is_list(setting):
        for item in given or ():
            if choices and item not in choices:
                raise UsageError(f"{_flag(setting)} {item}: unknown; known: {', '.join(choices)}")
        return tuple(given or ())
    if words and given is not None:
        value = settings.parse(setting, given)
        if isinstance(value, str):
            raise UsageError(f"{_flag(setting)} {given}: give a number, or {' or '.join(words)}")
        return settings.checked(setting, value, f"{_flag(setting)} {given}")
    if isinstance(given, float) and not math.isfinite(given):  # which has no limit to exceed
        raise UsageError(f"{_flag(setting)} {given}: give a finite number")
    return setting.default if given is None else given


def configured(config: type, name: str = "config") -> Any:
    """Decorator: a command with an option for each field of ``config`` that has a help.

    They are given as one ``config``, its argument ``name``.
    """
    # A config inside of it is another's argument.
    known = {name: s for name, s in settings.settings(config).items() if not s.table}
    options = [_option(setting, text=False) for setting in known.values()]

    def build(values: dict[str, Any]) -> Any:
        return config(**{key: _value(known[key], value) for key, value in values.items()})

    return lambda command: extended(command, options, name, build)


def listed(names: NamesConfig) -> Iterable[str]:
    """Names of ``--files-from``, as they come."""
    if names.files_from is None:
        return ()
    from colorcli.system.files.listing import read_names

    return read_names(names.files_from, names.null)


# --- what eval judges --------------------------------------------------------------------------


def judged(sources: Mapping[str, Any]) -> Any:
    """Decorator: a command with the options of each kind of source, given as ``where`` by name."""
    settled: dict[str, settings.Setting] = {}
    for name, kind in sources.items():
        told = kind.judged
        if told and told.help:
            limits = {"help": told.help, "metavar": told.metavar}
            settled[name] = settings.Setting(name, "", told.type, None, limits)
        for also, help in (told.also if told else {}).items():
            settled.setdefault(also, settings.Setting(also, "", str, None, {"help": help}))
    options = [_option(setting, text=False) for setting in settled.values()]

    def given(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value}

    return lambda command: extended(command, options, "where", given)


# --- knobs -------------------------------------------------------------------------------------


def _environment(name: str) -> str:
    return f"COLORIZE_{name.upper()}"


def _knob(knob: Knob, note: str) -> inspect.Parameter:
    about = typer.Option(
        envvar=_environment(knob.name), show_default=False,
        help=f"{knob.help}{note} [default: {knob.default:g}]",
    )  # fmt: skip
    return _parameter(knob.name, float, None, about)


_FLIP = _parameter(
    "flip_average", bool, False,
    typer.Option(
        "--flip-average", envvar=_environment("flip_average"),
        help="Average with the mirrored picture's colours; twice the network's time.",
    ),
)  # fmt: skip


def steerable(command: Any = None, *, passes: bool = True, note: str = "") -> Any:
    """Decorator: a command with an option for each knob, given as ``knobs``.

    ``passes``: it runs the network, and may run it more than once. ``note`` ends the knobs' help.
    """
    options = [_knob(knob, note) for knob in KNOBS.values()] + ([_FLIP] if passes else [])

    def decorate(command: Any) -> Any:
        return extended(command, options, "knobs", lambda values: Knobs(**values))

    return decorate if command is None else decorate(command)
