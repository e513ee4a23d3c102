"""Versions of what ``colorize`` runs on, without loading any of it."""

from __future__ import annotations

import platform
from importlib import metadata

# Label -> distributions of which one provides it.
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "litert": ("ai-edge-litert",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
    "keras": ("keras",),
    "numpy": ("numpy",),
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
    "pillow": ("pillow",),
}


def versions() -> dict[str, str | None]:
    """Version by label, Python's first; None: not installed."""
    return {"python": platform.python_version()} | {
        label: next(filter(None, map(_version, names)), None)
        for label, names in DISTRIBUTIONS.items()
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
