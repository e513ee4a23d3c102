"""``FORMATS``: the formats of this folder by name, found by looking into it."""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path

from colorcli.exporting import formats
from colorcli.exporting.formats.common import Format

MODULES: dict[str, Format] = {  # by the name of the file
    name: importlib.import_module(f"{formats.__name__}.{name}").FORMAT
    for name in sorted(module.name for module in pkgutil.iter_modules(formats.__path__))
    if name not in ("common", "table")
}
FORMATS: dict[str, Format] = {found.name: found for found in MODULES.values()}


def of(path: Path | str) -> str | None:
    """The format that a file name's suffix means; None for one that means none."""
    suffix = os.path.splitext(path)[1].lower()
    return next((name for name, f in FORMATS.items() if f.suffix and f.suffix == suffix), None)
