"""Whether a run folder holds the very run that is asked for, so that it may go on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from colorcli.config.training import TrainConfig
from colorcli.data.dataset import Dataset
from colorcli.system.errors import DataError, UsageError

RUN = "run.json"

# What may change between a run's start and its going on; the rest would make it another run.
MAY_CHANGE_ON_RESUME = {
    "epochs",
    "steps",
    "minutes",
    "patience",
    "checkpoint_minutes",
    "panel",
    "precision",
}


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= (
            {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        )
    return flat


def identity(config: TrainConfig, data: Dataset, judges: Dataset) -> dict[str, Any]:
    """What ``run.json`` holds: the settings, what is learnt from and what judges."""
    seen = {"data": data.fingerprint("train"), "validation": judges.fingerprint("val")}
    return json.loads(json.dumps({**asdict(config), **seen}))


def record(identity: dict[str, Any]) -> bytes:
    """The text of ``run.json``."""
    return json.dumps(identity, indent=1).encode()


def check(folder: Path, mine: dict[str, Any], data: Dataset) -> None:
    """Raise ``UsageError`` where ``folder`` holds another run."""
    path = folder / RUN
    if not path.is_file():
        return
    try:
        before = _flat(json.loads(path.read_text("utf-8")))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); choose another -o") from None
    now = _flat(mine)
    # A run of a version without some setting went as its default has it.
    known = _flat(json.loads(json.dumps(asdict(TrainConfig())))) | before
    changed = [k for k in now if k not in MAY_CHANGE_ON_RESUME and known.get(k, now[k]) != now[k]]
    if problem := _difference(changed, before, now, data):
        raise UsageError(f"{folder}: holds a run {problem}")


def _difference(
    changed: list[str], before: dict[str, Any], now: dict[str, Any], data: Dataset
) -> str:
    """In words, with a remedy, how the run that is there differs; empty where it does not."""
    architecture = [k for k in changed if k.startswith("model.")]
    if architecture:
        was = ", ".join(
            f"{k.removeprefix('model.')} {before.get(k)}, not {now[k]}" for k in architecture
        )
        return f"of another architecture ({was}); choose another -o"
    if "data" in changed:
        return f"on other data than {data}; choose another -o, or go on from its model with --init"
    if "validation" in changed:
        return "that other photographs judge; repeat its --val, or choose another -o"
    if changed:
        both = "; ".join(
            f"--{k.rpartition('.')[2].replace('_', '-')} {before.get(k)}, not {now[k]}"
            for k in changed
        )
        return (
            f"with other settings ({', '.join(changed)}): {both}; "
            "repeat its command to resume it, or choose another -o"
        )
    return ""
