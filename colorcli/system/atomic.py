"""Files written whole or not at all: a temporary name, then a rename; leftovers swept."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from colorcli.errors import DataError, reason

PART = ".colorize-"  # prefix of temporary names, so that a killed run's leftovers are known
_parts: set[str] = set()  # temporary files of this process that still exist
TOKEN = os.urandom(4).hex()  # tells this process from a dead one that had its number


def is_special(path: str) -> bool:
    """Whether ``path`` is a pipe or a device: written to, never replaced."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@lru_cache(maxsize=1)
def host() -> str:
    """A short name of this machine, of letters and digits."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return re.sub(r"[^A-Za-z0-9]", "", name)[:20] or "host"


def _part_prefix() -> str:
    return f"{PART}{host()}-{os.getpid()}-{TOKEN}-"


def is_alive(pid: int) -> bool:
    """Whether this machine runs process ``pid``; true where that cannot be told."""
    if sys.platform == "win32":  # os.kill would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def sweep(folder: str) -> list[str]:
    """Remove temporary files that dead processes of this machine left in ``folder``.

    Returns their names; those of running processes and of other machines stay.
    """
    removed = []
    ours = re.compile(re.escape(PART) + re.escape(host()) + r"-(\d+)-([0-9a-f]{8})-[0-9a-f]+")
    with contextlib.suppress(OSError), os.scandir(folder or os.curdir) as entries:
        for entry in entries:
            if not (match := ours.fullmatch(entry.name)):
                continue
            pid, token = int(match[1]), match[2]
            dead = token != TOKEN if pid == os.getpid() else not is_alive(pid)
            if dead:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
                    removed.append(entry.path)
    return removed


def discard_parts() -> None:
    """Remove this process's temporary files: for leaving without finishing them."""
    for part in list(_parts):
        with contextlib.suppress(OSError):
            os.unlink(part)


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[BinaryIO]:
    """A file open for writing and reading that becomes ``path`` whole or not at all.

    Temporary name, fsync, rename, at the end of the block; an exception in it leaves nothing
    behind. Makes missing parent folders; writes through a symbolic link; a pipe or a device gets
    its bytes at the end. Raises ``DataError``.
    """
    path = os.fspath(path)
    part, begun = None, False
    try:
        if is_special(path):
            with tempfile.TemporaryFile() as file:
                begun = True
                yield file
                file.seek(0)
                with open(path, "wb") as special:
                    shutil.copyfileobj(file, special, 1 << 20)
            return
        real = os.path.realpath(path) if os.path.islink(path) else path
        folder = os.path.dirname(real)
        if folder:
            os.makedirs(folder, exist_ok=True)
        part = os.path.join(folder, _part_prefix() + os.urandom(6).hex())
        _parts.add(part)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(part, flags, 0o666), "w+b") as file:
            begun = True
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, real)
        _parts.discard(part)
        part = None
    except (OSError, ValueError) as error:
        if begun and isinstance(error, ValueError):  # not of the path, then
            raise
        raise DataError(
            f"{path}: cannot be written: {reason(error)}; choose another place"
        ) from None
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                os.unlink(part)
            _parts.discard(part)


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all; see ``atomic``."""
    with atomic(path) as file:
        file.write(data)
