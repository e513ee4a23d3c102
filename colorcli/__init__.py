"""Colorize grayscale photographs; train, judge and export colorizers.

>>> from colorcli import Colorizer
>>> Colorizer()(Image.open("photo.jpg")).save("colour.jpg")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.network.decoding import Knobs

__version__ = "0.1.0"
__all__ = ["Colorizer", "Knobs", "__version__"]

# TensorFlow reads these once, at import; nothing else may import it first.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
# OpenCV too: damaged pictures are reported in our words.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

_LAZY = {"Colorizer": "colorizing.colorizer", "Knobs": "network.decoding"}


def __getattr__(name: str) -> Any:
    """Load the library's names when they are first asked for (PEP 562): the CLI starts fast."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
