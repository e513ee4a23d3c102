"""Finished results into their places: files that come whole or not at all, stores, or stdout."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from colorcli.system import disk
from colorcli.system.atomic import atomic, write_atomic
from colorcli.system.errors import DataError, reason
from colorcli.system.files import places
from colorcli.system.files.inputs import STREAM


def deliver(target: str, encoded: bytes) -> None:
    """Put a result where it belongs; raises ``DataError``, and ``BrokenPipeError`` of a reader gone."""
    if target == STREAM:
        to_stdout([encoded])
    elif places.is_remote(target):
        from colorcli.system.files import remote

        remote.write(target, encoded)
    else:
        write_atomic(target, encoded)


@contextlib.contextmanager
def delivered(target: str) -> Iterator[BinaryIO]:
    """A file that becomes the result at the end of the block; raises as ``deliver``."""
    if places.is_remote(target):
        from colorcli.system.files import remote

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
        to_stdout(iter(lambda: file.read(1 << 20), b""))


@contextlib.contextmanager
def placed(name: str, last: Sequence[str] = ()) -> Iterator[Path]:
    """Where to make the file or folder ``name``: there; of an address on this machine's disk.

    At the end of the block what was made is put there, the files called ``last`` at the end, so
    that what is not whole lacks them. With them, what a block that fails has made is kept for the
    same call to go on from. Raises ``DataError``, also of an address that has them already.
    """
    name = places.located(name) or name
    if not places.is_remote(name):
        yield Path(name)
        return
    address = name.rstrip("/")
    if last and places.status(f"{address}/{last[-1]}"):
        raise DataError(f"{name}: finished already; remove it, or choose another -o")
    with contextlib.ExitStack() as stack:
        if last:
            cached = disk.cache() / "placed" / disk.digest_of(address.encode())[:16]
        else:
            cached = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        part = cached / os.path.basename(address)
        part.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _upload(part, address, last)
        shutil.rmtree(part, ignore_errors=True)


def _upload(part: Path, address: str, last: Sequence[str]) -> None:
    from colorcli.system.files import remote

    files = [part] if part.is_file() else [p for p in part.rglob("*") if p.is_file()]
    visible = [file for file in files if not file.name.startswith(".")]
    order = {name: number for number, name in enumerate(last, 1)}
    for file in sorted(visible, key=lambda file: (order.get(file.name, 0), str(file))):
        below = "" if file == part else f"/{file.relative_to(part).as_posix()}"
        remote.upload(address + below, str(file))


def to_stdout(parts: Iterable[bytes]) -> None:
    """Write bytes as they come; raises as ``deliver``."""
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
