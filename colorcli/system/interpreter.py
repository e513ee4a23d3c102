"""The light LiteRT runtime, or TensorFlow's own interpreter where it has no wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def _interpreter() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # no wheel for this platform
        import tensorflow as tf

        return tf.lite.Interpreter
    return Interpreter


def open_interpreter(source: Path | bytes) -> Any:
    """A one-thread LiteRT interpreter of a file, or of its bytes.

    What its runtime raises passes through.
    """
    # One thread: a second one inside an interpreter gives nothing, a second interpreter does.
    if isinstance(source, bytes):
        return _interpreter()(model_content=source, num_threads=1)
    return _interpreter()(str(source), num_threads=1)


def constants(litert: bytes) -> dict[int, np.ndarray]:
    """The float16 constants of a LiteRT file by the number of their tensor.

    Raises ``ValueError`` for what is no such file.
    """
    run = _interpreter()(model_content=litert, num_threads=1)
    found = {}
    for detail in run.get_tensor_details():
        if detail["dtype"] is np.float16:
            try:
                found[int(detail["index"])] = run.get_tensor(detail["index"])
            except ValueError:  # computed, not stored
                continue
    return found
