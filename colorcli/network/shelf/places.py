"""Where added models lie and what they are called. Loads nothing heavy: completion asks it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from colorcli.system import disk, windows
from colorcli.system.errors import ModelError, UsageError, reason

HOME = "COLORIZE_MODELS"  # names another folder
RECORD = "added.json"  # of each: where it came from, and the checksum that answers for it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def home() -> Path:
    """The folder that holds added models, a folder for each; it need not be there."""
    if given := os.environ.get(HOME):
        return Path(given)
    from platformdirs import user_data_path

    return user_data_path("colorize", appauthor=False) / "models"


def names() -> list[str]:
    """Of all added models."""
    try:
        return sorted(p.parent.name for p in home().glob(f"*/{RECORD}") if _is_name(p.parent.name))
    except OSError:  # a home that may not be looked into
        return []


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and not text.endswith(".")


def check_name(name: str) -> None:
    """Raise ``UsageError`` for a name that no folder of every system could have."""
    if not _is_name(name):
        raise UsageError(
            f"{name}: no name for a model; give --name of at most 64 letters, digits, . _ and -"
        )
    if why := windows.refused(name):
        raise UsageError(f"{name}: {why}; give --name")


def record(name: str) -> dict[str, Any] | None:
    """What is known of an added model: ``source``, ``file`` and its ``sha256``; None where there is none.

    Raises ``ModelError`` where that cannot be read.
    """
    if not _is_name(name) or not (path := home() / name / RECORD).is_file():
        return None
    try:
        known = json.loads(path.read_text("utf-8"))
        return {key: str(known[key]) for key in ("source", "file", "sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: damaged ({reason(error)}); remove the model and add it again"
        ) from None


def held(name: str) -> Path | None:
    """The model folder or exported file of an added model; None where there is none of this name.

    Raises ``ModelError`` where it is not what was added.
    """
    known = record(name)
    if known is None:
        return None
    folder = home() / name
    file = folder / Path(known["file"]).name
    try:
        same = disk.digest(file) == known["sha256"]
    except OSError as error:
        raise ModelError(f"{file}: {reason(error)}; remove the model and add it again") from None
    if not same:
        raise ModelError(f"{file}: is not what was added; remove the model and add it again")
    # The metadata of a folder answers for its other files (``model_folder.load``).
    return folder if file.suffix == ".json" else file
