"""A folder for one process at a time; the system lets go of it when the process ends, however."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from colorcli.system.atomic import TOKEN, host, is_alive
from colorcli.system.errors import DataError, reason

# What systems say of a lock that another process holds, and of a file system that has none.
_HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_NONE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_GONE = getattr(errno, "ESTALE", None)  # over NFS: another client has removed the file meanwhile
_FAR = 1 << 30  # the byte that Windows locks: one that nobody wants to read
_TRIES = 20


def _lock(file: int, *, wait: bool = False) -> bool | None:
    """Whether the open file is ours now; None where this system, or its file system, has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, _FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            # Over NFS, Linux makes of this a lock of the server's, which dies with the client.
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except ImportError:
        return None
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NONE:
            return None
        raise
    return True


def _holder(file: TextIO) -> tuple[str, int, str] | None:
    """(host, process, token) that the file names; None where it names nobody."""
    try:
        file.seek(0)
        name, number, token = file.read(200).split()
        return name, int(number), token
    except (ValueError, OSError):
        return None


def _lives(holder: tuple[str, int, str] | None) -> bool:
    """Whether the process a file names is at work, as far as this machine can tell."""
    if holder is None or holder[0] != host():
        return False
    return holder[2] == TOKEN if holder[1] == os.getpid() else is_alive(holder[1])


def _opened(path: Path) -> tuple[TextIO, bool]:
    """The lock file and whether it is ours; not one that its holder has removed meanwhile."""
    for _ in range(_TRIES):
        file = path.open("a+", encoding="utf-8")
        try:
            ours = _lock(file.fileno())
            if ours is None:
                ours = not _lives(_holder(file))
            if not ours or os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file, ours
        except OSError as error:
            if not isinstance(error, FileNotFoundError) and error.errno != _GONE:
                file.close()
                raise
        file.close()
        time.sleep(0.01)
    raise OSError(errno.EBUSY, "its lock comes and goes")


@contextlib.contextmanager
def held(file: int) -> Iterator[None]:
    """Have the open ``file`` for a ``with`` block, waiting for others who have it so.

    Nothing is held where there are no locks. Raises ``OSError`` of the disk.
    """
    ours = _lock(file, wait=True)
    try:
        yield
    finally:
        if ours:
            _let_go(file)


def _let_go(file: int) -> None:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, _FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_UN)


@contextlib.contextmanager
def alone(path: Path, folder: Path | str, work: str, remedy: str) -> Iterator[None]:
    """Hold ``folder`` (or a file) for a ``with`` block by the lock file ``path``, made and removed.

    The lock goes with its process, whatever ends that. Where there are no locks (some network
    disks), the process named in the file is looked for instead, on its own machine. Raises
    ``DataError`` where another process, doing ``work``, holds it, or the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file, ours = _opened(path)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written: {reason(error)}; choose another place"
        ) from None
    with file:
        if not ours:
            holder = _holder(file)
            place = "" if holder is None or holder[0] == host() else f" on {holder[0]}"
            who = f" (process {holder[1]}{place})" if holder else ""
            raise DataError(f"{folder}: another {work} is at work on it{who}; {remedy}")
        try:
            _write(file, f"{host()} {os.getpid()} {TOKEN}\n")
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows removes nothing that is open
                path.unlink()
            _write(file, "")


def _write(file: TextIO, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock itself needs no room
        file.seek(0)
        file.truncate()
        file.write(text)
        file.flush()
