"""A frozen config by name: read from TOML, set by flags, checked, written back.

Nested configs are flat here, because their fields' names differ: ``loss`` is ``model.loss``. In a
file they are tables, ``[model]`` and ``[weights]``.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from colorcli.system.errors import UsageError, reason

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")

LIMIT = "At most this many, by chance; 0: all."
SEED = "Same seed, same result."
WORKERS = "COLORIZE_WORKERS"


def value(default: Any, help: str, **limits: Any) -> Any:
    """A field of a config that flags and files can set: its help and what it may be.

    ``limits``: ``least``, ``most`` (both included), ``multiple`` and ``choices``; ``words`` that
    stand for numbers. ``settings`` checks them. For the option alone: ``flag``, where it is not
    the field's name, and a ``short`` one; ``environment``, the variable that is its default;
    ``metavar``. A field that has no help is no option.
    """
    return dataclasses.field(default=default, metadata={"help": help, **limits})


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field: where it sits (``table`` "" is the top), its type and its limits.

    ``type`` is without the None of a field that may be open.
    """

    name: str
    table: str
    type: Any
    default: Any
    limits: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The name as a TOML file spells it."""
        return f"{self.table}.{self.name}" if self.table else self.name


def _closed(hint: Any) -> Any:
    """A field's type without its None."""
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    return parts[0] if type(None) in typing.get_args(hint) else hint


def settings(config: type) -> dict[str, Setting]:
    """Every field with a help of a config class and of the configs in it, by name."""
    found: dict[str, Setting] = {}

    def walk(cls: type, table: str) -> Iterator[Setting]:
        hints = typing.get_type_hints(cls)
        for f in dataclasses.fields(cls):
            if dataclasses.is_dataclass(hints[f.name]):
                yield from walk(hints[f.name], f.name)
            elif "help" in f.metadata:
                yield Setting(f.name, table, _closed(hints[f.name]), f.default, f.metadata)

    for setting in walk(config, ""):
        found[setting.name] = setting
    return found


def words(text: str) -> tuple[str, ...]:
    """What a comma-separated text lists."""
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _number(text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text  # of the wrong type: ``checked`` says so


def parse(setting: Setting, text: str) -> Any:
    """The value of a flag's ``text``: ``128,96,64`` for widths, ``128:0.7,192:0.3`` for stages.

    A text that is none stays one, which ``checked`` refuses.
    """
    if text in (known := setting.limits.get("words", {})):
        return known[text]
    if setting.type in (int, float):
        return _number(text, setting.type)
    if setting.type is str:
        return text
    parts = words(text)
    if setting.type == tuple[int, ...]:
        return tuple(_number(part, int) for part in parts)
    pairs = [part.partition(":")[::2] for part in parts]
    return tuple((_number(size, int), _number(share or "1", float)) for size, share in pairs)


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple[int, ...]: "a list of whole numbers",
}


def _typed(setting: Setting, value: Any) -> Any:
    """``value`` as the setting's type, or None where it is of another."""

    def whole(x: Any) -> bool:
        return isinstance(x, int) and not isinstance(x, bool)

    def real(x: Any) -> bool:
        return (whole(x) or isinstance(x, float)) and math.isfinite(x)

    many = isinstance(value, list | tuple) and len(value) > 0
    if setting.type is int and whole(value):
        return value
    if setting.type is float and real(value):
        return float(value)
    if setting.type is str and isinstance(value, str):
        return value
    if setting.type == tuple[int, ...] and many and all(map(whole, value)):
        return tuple(value)
    if setting.type == tuple[tuple[int, float], ...] and many:
        pairs = [tuple(p) if isinstance(p, list | tuple) else () for p in value]
        if all(len(p) == 2 and whole(p[0]) and real(p[1]) for p in pairs):
            return tuple((p[0], float(p[1])) for p in pairs)
    return None


def checked(setting: Setting, value: Any, origin: str) -> Any:
    """``value`` as the setting's type; raises ``UsageError`` naming ``origin`` otherwise."""
    typed = _typed(setting, value)
    if typed is None:
        kind = _WORDS.get(setting.type, "pairs of side and share")
        raise UsageError(f"{origin}: {setting.path} must be {kind}, not {value!r}")
    choices, least, most = (setting.limits.get(key) for key in ("choices", "least", "most"))
    if choices and typed not in choices:
        near = difflib.get_close_matches(str(typed), choices, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(choices)}"
        raise UsageError(f"{origin}: {setting.path} {typed!r} is unknown{hint}")
    numbers = [typed] if setting.type in (int, float) else []
    if isinstance(typed, tuple):
        numbers = [item[0] if isinstance(item, tuple) else item for item in typed]
    for number in numbers:
        if (least is not None and number < least) or (most is not None and number > most):
            limits = " and ".join(
                f"{word} {limit}"
                for word, limit in (("at least", least), ("at most", most))
                if limit is not None
            )
            raise UsageError(f"{origin}: {setting.path} must be {limits}, not {number}")
        if number % setting.limits.get("multiple", number or 1):
            multiple = setting.limits["multiple"]
            raise UsageError(
                f"{origin}: {setting.path} must be a multiple of {multiple}, not {number}"
            )
    return typed


def overridden(config: Config, values: Mapping[str, Any], origin: str) -> Config:
    """``config`` with ``values`` by name put in; raises ``UsageError`` for one that cannot be."""
    known = settings(type(config))
    top: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        setting = known[name]
        place = nested.setdefault(setting.table, {}) if setting.table else top
        place[name] = checked(setting, value, origin)
    for table, inner in nested.items():
        top[table] = dataclasses.replace(getattr(config, table), **inner)
    return dataclasses.replace(config, **top)


def document(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ``UsageError`` for one that cannot be read."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {reason(error)}; --config needs a TOML file") from None
    except ValueError as error:
        raise UsageError(f"{path}: not TOML ({reason(error)})") from None


def read(path: str | Path, config: Config) -> Config:
    """``config`` with the values of a TOML file put in; see ``document`` and ``applied``."""
    return applied(document(path), config, str(path))


def applied(tables: Mapping[str, Any], config: Config, path: str) -> Config:
    """``config`` with the values of a document put in, which came from ``path``.

    Raises ``UsageError`` for a key that is none (with the nearest that is) and a value of the
    wrong type.
    """
    known = {setting.path: setting for setting in settings(type(config)).values()}
    names = {setting.table for setting in known.values() if setting.table}
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if key in names and isinstance(value, dict):
            flat |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            flat[key] = value
    for key in flat:
        if key in known:
            continue
        # A nested name at the top, too, is a near miss: loss for model.loss.
        leaves = {p.rpartition(".")[2]: p for p in known}
        leaf = key.rpartition(".")[2]
        near = [leaves[leaf]] if leaf in leaves else difflib.get_close_matches(key, known, 1, 0.5)
        near = near or [leaves[n] for n in difflib.get_close_matches(leaf, leaves, 1, 0.5)]
        hint = f"; did you mean {near[0]}?" if near else "; --print-config shows them all"
        raise UsageError(f"{path}: unknown key {key}{hint}")
    return overridden(config, {known[key].name: v for key, v in flat.items()}, path)


def toml(value: Any) -> str:
    """A value as TOML spells it."""
    if isinstance(value, str):
        # TOML's basic strings take the escapes of JSON, but surrogates only as the real thing, and
        # they must escape DEL, which JSON need not.
        import json

        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return repr(value)


def write(config: Any, apart: Mapping[str, Iterable[tuple[str, float]]] | None = None) -> str:
    """The config as TOML, each value with its help: what ``read`` reads back.

    ``apart``: tables of names and weights that are no part of it, after it.
    """
    tables: dict[str, list[str]] = {}
    for setting in settings(type(config)).values():
        holder = getattr(config, setting.table) if setting.table else config
        line = f"{setting.name} = {toml(getattr(holder, setting.name))}"
        choices = setting.limits.get("choices")
        note = f"{setting.limits['help']}{' ' + ' | '.join(choices) if choices else ''}"
        tables.setdefault(setting.table, []).append(f"{line}  # {note}")
    parts = ["\n".join(tables.pop("", []))]
    parts += [f"[{table}]\n" + "\n".join(lines) for table, lines in tables.items()]
    parts += [
        f"[{table}]\n" + "\n".join(f"{toml(name)} = {toml(value)}" for name, value in entries)
        for table, entries in (apart or {}).items()
    ]
    return "\n\n".join(parts) + "\n"
