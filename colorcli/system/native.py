"""What native libraries must be told from outside: silence on stderr, and thrift with memory."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator


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


def require(module: str) -> None:
    """Raise ``ModuleNotFoundError`` where a large module is missing, before any work for it."""
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def tensorflow() -> None:
    """Import TensorFlow and start its runtime without its banner."""
    with quiet():
        import tensorflow as tf

        tf.constant(0)
