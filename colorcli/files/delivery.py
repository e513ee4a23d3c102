"""Finished results into their places: files that come whole or not at all, stores, or stdout."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from colorcli.errors import DataError, reason
from colorcli.files import places
from colorcli.files.inputs import STREAM
from colorcli.system.atomic import atomic, write_atomic


def deliver(target: str, encoded: bytes) -> None:
    """Put a result where it belongs; raises ``DataError``, and ``BrokenPipeError`` of a reader gone."""
    if target == STREAM:
        _to_stdout([encoded])
    elif places.is_remote(target):
        from colorcli.files import remote

        remote.write(target, encoded)
    else:
        write_atomic(target, encoded)


@contextlib.contextmanager
def delivered(target: str) -> Iterator[BinaryIO]:
    """A file that becomes the result at the end of the block; raises as ``deliver``."""
    if places.is_remote(target):
        from colorcli.files import remote

        with tempfile.TemporaryDirectory() as folder:
            part = os.path.join(folder, "part")
            with open(part, "w+b") as file:
                yield file
            remote.upload(target, part)
        return
    if target != STREAM:
        with atomic(target) as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:  # nothing half-done goes down a pipe
        yield file
        file.seek(0)
        _to_stdout(iter(lambda: file.read(1 << 20), b""))


def _to_stdout(parts: Iterable[bytes]) -> None:
    if sys.stdout is None:
        raise DataError("-: stdout is closed; give -o FILE")
    try:
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader has gone: for the whole call, not for this picture
        raise
    except OSError as error:
        raise DataError(f"-: stdout cannot be written: {reason(error)}") from None
