"""Where names lie: on this machine's disks, or in a store of which the name is an address.

An address has ``://``, as in ``s3://bucket/scans/``; what reaches it (``remote``) is loaded when
one turns up. ``file://`` is a path. Paths are asked of the system, or, where many of one folder
are asked for, of one listing of it.
"""

from __future__ import annotations

import errno
import operator
import os
import re
import stat
import sys
from typing import NamedTuple, Protocol

from colorcli.system import windows
from colorcli.system.errors import UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # one letter is a drive
_SECRET = re.compile(r"(://)[^/@:]*:[^/@]*@")
_LOOKS = 32  # names of one folder that are looked up one by one before it is listed
_EXACT = sys.platform not in ("darwin", "win32")  # a name has one spelling, as a rule


class Entry(Protocol):
    """A name in a folder, as ``os.DirEntry``."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    @property
    def path(self) -> str:
        """The folder's, and its name."""

    def is_file(self) -> bool:
        """Whether it is a file, or a link to one."""

    def is_dir(self) -> bool:
        """Whether it is a folder, or a link to one."""


class Status(NamedTuple):
    """What is under a name: ``special`` is a pipe or a device.

    ``links``: names that the same file has; ``file`` tells files apart.
    """

    folder: bool
    special: bool = False
    links: int = 1
    file: tuple[int, int] | None = None


# --- names -------------------------------------------------------------------------------------


def is_remote(name: str) -> bool:
    """Whether a name is the address of something that is no path."""
    return "://" in name and _SCHEME.match(name) is not None and path_of(name) is None


def path_of(address: str) -> str | None:
    """The path that a ``file://`` address means; None for other names."""
    for start in ("file://localhost/", "file:///"):
        if address.startswith(start):
            path = address[len(start) :]
            return path if windows.HERE and path[1:2] == ":" else f"/{path}"
    return None


def refusal(address: str) -> str | None:
    """Why an address is not followed, or None."""
    if _SECRET.search(address):
        return "a key or password in a name is seen by all; give it in the driver's own way"
    if "::" in address:
        return "chained addresses are not followed; unpack the archive first"
    if address.startswith(("http://", "https://")):  # lists nothing, and may hold a key
        return "web addresses are not fetched; download it first, as by curl -O"
    return None


def shown(address: str) -> str:
    """An address without the password in it."""
    return _SECRET.sub(r"\1…@", address)


def located(name: str | None) -> str | None:
    """The name of an output: the path of a ``file://`` address. ``UsageError`` for a refused one."""
    if name is None or not is_remote(name):
        return name and (path_of(name) or name)
    if why := refusal(name):
        raise UsageError(f"{shown(name)}: {why}")
    return name


def normal(name: str) -> str:
    """The plainest spelling of a name: no empty, ``.`` or ``..`` parts."""
    if not is_remote(name):
        return os.path.normpath(name)
    scheme, _, rest = name.partition("://")
    return f"{scheme}://{os.path.normpath(rest).lstrip('/') if rest.strip('/') else ''}"


def real(name: str) -> str:
    """What tells files apart: the path with links followed, or the address."""
    return normal(name) if is_remote(name) else os.path.realpath(name)


def ignores_case(path: str) -> bool:
    """Whether the file system that will hold ``path`` takes ``A`` and ``a`` for one name."""
    if is_remote(path):
        return False
    folder = os.path.realpath(path)
    while (parent := os.path.dirname(folder)) != folder:
        folder = parent
        name = os.path.basename(folder)
        if name.swapcase() != name and os.path.isdir(folder):
            other = os.path.join(os.path.dirname(folder), name.swapcase())
            return os.path.exists(other) and os.path.samefile(folder, other)
    return False


# --- what is there -----------------------------------------------------------------------------


def scan(folder: str) -> list[Entry]:
    """What a folder holds, in order of name. Raises ``OSError``; ``DataError`` of a store."""
    if is_remote(folder):
        from colorcli.system.files import remote

        return list(remote.listing(folder).values())
    with os.scandir(windows.reachable(folder)) as entries:
        return sorted(entries, key=operator.attrgetter("name"))


def status(name: str) -> Status | None:
    """What is under a name, links followed; None where nothing is. ``DataError`` of a store."""
    if is_remote(name):
        from colorcli.system.files import remote

        kind = remote.kind(name)
        return None if kind is None else Status(kind == "folder")
    try:
        found = os.stat(windows.reachable(name))
    except (OSError, ValueError):
        return None
    folder = stat.S_ISDIR(found.st_mode)
    special = not folder and not stat.S_ISREG(found.st_mode)
    return Status(folder, special, found.st_nlink, (found.st_dev, found.st_ino))


def is_folder(name: str) -> bool:
    """Whether there is a folder of this name."""
    return (status(name) or Status(False)).folder


def require_folders(name: str) -> None:
    """Raise ``UsageError`` where ``name`` lies below a file, as ``FILE/`` does: before any work."""
    if is_remote(name):
        return
    above = os.path.dirname(name)
    while above and os.path.dirname(above) != above:
        if (found := status(above)) is not None:
            if not found.folder:
                raise UsageError(f"{name}: {above} is a file, not a folder; choose another name")
            return
        above = os.path.dirname(above)


def read(name: str) -> bytes:
    """All bytes of a file or a pipe. Raises ``OSError``, for devices too, some of which never end.

    Raises ``DataError`` of a store.
    """
    if is_remote(name):
        from colorcli.system.files import remote

        return remote.read(name)
    with open(windows.reachable(name), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "a device, no file")
        return file.read()


class Folders:
    """What lies under many names of few folders: a folder that is asked for much is listed once."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._links: dict[str, dict[str, bool]] = {}  # by folder, by name: whether it is a link
        self._stores: dict[str, dict[str, Entry]] = {}

    def _listed(self, folder: str) -> dict[str, bool] | None:
        """Names in a folder; None where they are to be looked up one by one."""
        if (known := self._links.get(folder)) is not None:
            return known
        asked = self._asked[folder] = self._asked.get(folder, 0) + 1
        if asked != _LOOKS or not _EXACT:
            return None
        try:
            with os.scandir(folder or os.curdir) as entries:
                listed = {entry.name: entry.is_symlink() for entry in entries}
        except FileNotFoundError:
            listed = {}
        except OSError:
            return None
        if ignores_case(os.path.join(folder or os.curdir, "x")):
            return None
        self._links[folder] = listed
        return listed

    def is_linkless(self, folder: str) -> bool:
        """Whether a folder is known to hold no link."""
        return folder in self._links and not any(self._links[folder].values())

    def is_link(self, path: str) -> bool:
        """Whether a path is a symbolic link."""
        folder, _, name = path.rpartition(os.sep)
        listed = self._listed(folder or (os.sep if path.startswith(os.sep) else ""))
        return os.path.islink(path) if listed is None else listed.get(name, False)

    def status(self, name: str) -> Status | None:
        """See ``status``."""
        if is_remote(name):
            return self._stored(name)
        folder, _, last = name.rpartition(os.sep)
        listed = self._listed(folder or (os.sep if name.startswith(os.sep) else ""))
        return None if listed is not None and last not in listed else status(name)

    def _stored(self, address: str) -> Status | None:
        from colorcli.system.files import remote

        folder, _, last = address.rstrip("/").rpartition("/")
        if folder not in self._stores:
            self._stores[folder] = dict(remote.listing(folder))
        entry = self._stores[folder].get(last)
        return None if entry is None else Status(entry.is_dir())
