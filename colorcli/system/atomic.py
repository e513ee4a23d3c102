"""Files and folders written whole or not at all: a temporary name, then a rename; leftovers swept."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TextIO

from colorcli.system import disk, windows
from colorcli.system.errors import DataError, reason

PART = ".colorize-"  # prefix of temporary names, so that a killed run's leftovers are known
_parts: set[str] = set()  # temporary files and folders of this process that still exist
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


def _part_name() -> str:
    return _part_prefix() + os.urandom(6).hex()


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
    """Remove temporary files and folders that dead processes of this machine left in ``folder``.

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
                _remove(entry.path)
                removed.append(entry.path)
    return removed


def discard_parts() -> None:
    """Remove this process's temporary files: for leaving without finishing them."""
    for part in list(_parts):
        _remove(part)


def _remove(part: str) -> None:
    """A temporary file or folder."""
    if os.path.isdir(part):
        shutil.rmtree(part, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(part)


class Part:
    """A file under a temporary name beside ``path``, which ``keep`` gives it, whole.

    As a context manager it discards what was not kept. Makes missing parent folders and writes
    through a symbolic link. ``sync``: on the disk before it gets its name. Raises ``OSError``, and
    ``ValueError`` for a path that cannot be one.
    """

    def __init__(self, path: Path | str, *, sync: bool = True) -> None:
        path = os.fspath(path)
        path = os.path.realpath(path) if os.path.islink(path) else path
        if why := windows.refused(path):  # a:b would be a stream of a, and con the console
            raise OSError(errno.EINVAL, why)
        self.target = windows.reachable(path)
        self._sync = sync
        folder = os.path.dirname(self.target)
        if folder:
            os.makedirs(folder, exist_ok=True)
        self.path = windows.reachable(os.path.join(folder, _part_name()))
        _parts.add(self.path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self.file: BinaryIO = os.fdopen(os.open(self.path, flags, 0o666), "w+b")
        except BaseException:
            _parts.discard(self.path)
            raise

    def keep(self) -> None:
        """Give it its name; what was there is replaced."""
        self.file.flush()
        if self._sync:
            os.fsync(self.file.fileno())
        self.file.close()
        windows.replace(self.path, self.target)
        _parts.discard(self.path)

    def discard(self) -> None:
        """Remove it, unless it was kept."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self.path in _parts:
            _remove(self.path)
            _parts.discard(self.path)

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def _unwritable(path: Path | str, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be written: {reason(error)}; {disk.remedy(error)}")


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[BinaryIO]:
    """A file open for writing and reading that becomes ``path`` whole or not at all.

    Temporary name, fsync, rename, at the end of the block; an exception in it leaves nothing
    behind. Makes missing parent folders; writes through a symbolic link; a pipe or a device gets
    its bytes at the end. Raises ``DataError``.
    """
    path, begun = os.fspath(path), False
    try:
        if is_special(path):
            import tempfile

            with tempfile.TemporaryFile() as file:
                begun = True
                yield file
                file.seek(0)
                with open(path, "wb") as special:
                    shutil.copyfileobj(file, special, 1 << 20)
            return
        with Part(path) as part:
            begun = True
            yield part.file
            part.keep()
    except (OSError, ValueError) as error:
        if begun and isinstance(error, ValueError):  # not of the path, then
            raise
        raise _unwritable(path, error) from None


@contextlib.contextmanager
def atomic_text(path: Path | str) -> Iterator[TextIO]:
    """``atomic`` for UTF-8 text with its line ends as they are; names of odd bytes are escaped."""
    with atomic(path) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
        yield text
        text.detach()  # writes what it holds, and leaves the file open


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all; see ``atomic``."""
    with atomic(path) as file:
        file.write(data)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder inside ``folder``, on the same disk; gone at the end. Raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / _part_name()
    place.mkdir()
    _parts.add(str(place))
    try:
        yield place
    finally:
        _remove(str(place))
        _parts.discard(str(place))


def put(part: Path, target: Path) -> None:
    """Rename ``part``, which lies in a ``scratch`` folder, over a file or folder ``target``."""
    if target.is_dir() and not target.is_symlink():
        target.rename(part.with_name("old"))
    part.replace(target)


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A new folder that becomes ``folder`` at the end of the block, in place of an older one.

    An exception in the block leaves nothing behind. Raises ``OSError``.
    """
    with scratch(folder.parent) as place:
        part = place / "new"
        part.mkdir()
        yield part
        put(part, folder)
