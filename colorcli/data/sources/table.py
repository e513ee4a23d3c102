"""``SOURCES``: the sources of this folder by the name of their file, found by looking into it."""

from __future__ import annotations

import importlib
import pkgutil

from colorcli.data import sources
from colorcli.data.sources.common import Source

SOURCES: dict[str, type[Source]] = {
    name: importlib.import_module(f"{sources.__name__}.{name}").SOURCE
    for name in sorted(m.name for m in pkgutil.iter_modules(sources.__path__))
    if name not in ("common", "table")
}
