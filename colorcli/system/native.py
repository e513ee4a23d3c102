"""Native libraries: silence on stderr, and which of them runs LiteRT files."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send file descriptor 2 to the null device meanwhile; for the main thread, briefly.

    LiteRT announces its delegate and TensorFlow its processor features this way, and a tool's
    stderr is for the user. Python exceptions pass through untouched.
    """
    try:
        saved = os.dup(2)
    except OSError:  # closed by the caller: silent already
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def own_stderr() -> None:
    """Keep stderr for Python: native libraries write into the null device from now on.

    For the command's process, once, at its start: libtiff, libpng and TensorFlow speak past Python
    and in words that name no file. ``COLORIZE_NATIVE_STDERR=1`` lets them speak.
    """
    if os.environ.get("COLORIZE_NATIVE_STDERR") or sys.stderr is None:
        return
    ours = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    sys.stderr = ours


_MMAP_THRESHOLD, _LARGE = -3, 1 << 20  # glibc's number of the setting; bytes


def give_back_large_blocks() -> None:
    """Have blocks of a megabyte and more go back to the system when they are freed, from now on.

    glibc keeps what threads free for the next of that size, and with frames of a film in several
    threads' hands much of it never comes. Other C libraries are left as they are.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


def require(module: str) -> None:
    """Raise ``ModuleNotFoundError`` where a large module is missing, before any work for it."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def tensorflow() -> None:
    """Import TensorFlow and start its runtime without its banner."""
    with quiet():
        import tensorflow as tf

        tf.constant(0)


# --- LiteRT --------------------------------------------------------------------------------------


def _interpreter() -> Any:
    """The light runtime's, or TensorFlow's own where that has no wheel."""
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
    import numpy as np

    run = _interpreter()(model_content=litert, num_threads=1)
    found = {}
    for detail in run.get_tensor_details():
        if detail["dtype"] is np.float16:
            try:
                found[int(detail["index"])] = run.get_tensor(detail["index"])
            except ValueError:  # computed, not stored
                continue
    return found
