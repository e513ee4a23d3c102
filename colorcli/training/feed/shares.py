"""What a mixture is made of: folders and sets with weights, as words and as tables of a file.

``photos/:3`` is the folder ``photos/`` with a weight of 3. A number after the last colon is a weight
whatever is on the disk, so that a call means the same everywhere; a folder whose own name ends so is
written with a slash, ``odd:3/``, and where it exists the word without one is refused.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from colorcli.system.errors import UsageError

_WEIGHED = re.compile(r"(.*):([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.DOTALL)
TABLES = ("data", "val", "sets")


class Share(NamedTuple):
    """A folder or set, and how much each of its photographs counts."""

    name: str
    weight: float


@dataclass(frozen=True)
class Mixture:
    """What is trained on, what judges, and sets that count more or less than their folders say."""

    data: tuple[Share, ...] = ()
    val: tuple[Share, ...] = ()
    sets: tuple[Share, ...] = ()

    def over(self, other: Mixture) -> Mixture:
        """This one, with what it leaves open taken from ``other``; sets are taken one by one."""
        sets = {share.name: share for share in (*other.sets, *self.sets)}
        return Mixture(self.data or other.data, self.val or other.val, tuple(sets.values()))


def _checked(share: Share, table: str, origin: str) -> Share:
    least = "above 0" if table == "data" else "0 or more"
    weight = share.weight
    if not math.isfinite(weight) or weight < 0 or (table == "data" and weight == 0):
        raise UsageError(f"{origin}: the weight of {share.name} must be {least}, not {weight:g}")
    return share


def _folder(text: str, table: str, origin: str) -> Share:
    found = _WEIGHED.fullmatch(text)
    if not found or not found[1]:
        return Share(text, 1.0)
    if os.path.isdir(text):
        raise UsageError(
            f"{text}: :{found[2]} at the end is a weight, and there is a folder of this very name; "
            f"write {text}/ for the folder"
        )
    return _checked(Share(found[1], float(found[2])), table, origin)


def _set(text: str, origin: str) -> Share:
    found = _WEIGHED.fullmatch(text)
    if not found or not found[1]:
        raise UsageError(f"{origin} {text}: needs the name of a set and a weight, as in food:2")
    return _checked(Share(found[1], float(found[2])), "sets", origin)


def _summed(shares: Iterable[Share]) -> tuple[Share, ...]:
    """A folder named twice counts twice."""
    weights: dict[str, float] = {}
    for name, weight in shares:
        weights[name] = weights.get(name, 0.0) + weight
    return tuple(Share(*item) for item in weights.items())


def parse(data: Iterable[str], val: Iterable[str], sets: Iterable[str]) -> Mixture:
    """The mixture that the words of a command line mean. Raises ``UsageError``."""
    return Mixture(
        _summed(_folder(text, "data", text) for text in data),
        _judging(_summed(_folder(text, "val", f"--val {text}") for text in val), "--val"),
        tuple({s.name: s for s in (_set(text, "--set") for text in sets)}.values()),
    )


def _judging(val: tuple[Share, ...], origin: str) -> tuple[Share, ...]:
    if val and not any(share.weight for share in val):
        raise UsageError(f"{origin}: every weight is 0, so that nothing judges; give one a weight")
    return val


def taken(document: dict[str, Any], origin: str) -> Mixture:
    """Take the tables ``[data]``, ``[val]`` and ``[sets]`` out of a TOML document.

    Their keys are folders (no weights in their names here) or sets, their values weights. Raises
    ``UsageError`` naming ``origin``.
    """
    found: dict[str, tuple[Share, ...]] = {}
    for table in TABLES:
        entries = document.pop(table, {})
        if not isinstance(entries, Mapping):
            raise UsageError(f"{origin}: {table} must be a table of names and weights: [{table}]")
        for name, weight in entries.items():
            if not isinstance(weight, int | float) or isinstance(weight, bool):
                raise UsageError(f"{origin}: {table}.{name} must be a number, not {weight!r}")
        shares = (Share(name, float(weight)) for name, weight in entries.items())
        found[table] = tuple(_checked(share, table, origin) for share in shares)
    return Mixture(found["data"], _judging(found["val"], f"{origin}: val"), found["sets"])
