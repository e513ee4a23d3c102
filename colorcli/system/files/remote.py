"""Files in stores that fsspec reaches: S3, Google Cloud, Azure and its other file systems.

Credentials are the drivers' matter and never part of a message. What a store or the way to it
fails at for a moment is tried again.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from colorcli.system.errors import DataError, UsageError, reason

Given = TypeVar("Given")

TRIES, PATIENCE = 6, 60.0  # attempts at one thing, and seconds after which no other begins
FIRST_WAIT = 0.2  # seconds, twice as many after each attempt
# Stores in which a name is given to a file when all of it is there.
OBJECT_STORES = {
    "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "ocilake", "obs", "r2", "b2",
    "tos", "wasb", "wasbs", "memory",
}  # fmt: skip
READ_ONLY = {"http", "https", "data", "github", "git", "zip", "tar", "libarchive"}
# What another attempt would come to as well.
_FINAL = (
    FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError,
    FileExistsError, ImportError, ValueError, TypeError,
)  # fmt: skip


@dataclass(frozen=True)
class StoredEntry:
    """A name in a folder of a store, with what ``os.DirEntry`` has of it."""

    name: str
    path: str
    folder: bool

    def is_file(self) -> bool:
        """Whether it is a file."""
        return not self.folder

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return self.folder


_systems: dict[tuple[str, str], Any] = {}
_lock = threading.Lock()


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, one for all threads, and the address's path in it."""
    scheme, _, rest = address.partition("://")
    try:
        import fsspec
    except ImportError:
        raise UsageError(f"{address}: needs pip install 'colorcli[remote]'") from None
    try:
        with _lock:
            key = scheme, rest.partition("/")[0]
            if key not in _systems:
                system, _ = fsspec.core.url_to_fs(address)
                if hasattr(system, "dircache"):
                    system.dircache.use_listings_cache = False  # others write there, too
                _systems[key] = system
        return _systems[key], _systems[key]._strip_protocol(address)
    except ImportError as error:
        raise UsageError(f"{address}: {reason(error)}, the driver of {scheme}://") from None
    except ValueError as error:
        raise UsageError(f"{address}: {reason(error)}; check what stands before ://") from None
    except Exception as error:  # a driver's own kinds
        raise DataError(f"{address}: {reason(error)}; check {scheme}'s settings") from None


def _tried(address: str, does: Callable[[Any, str], Given]) -> Given:
    """What ``does(file system, path)`` gives, at last; ``FileNotFoundError`` and ``DataError``."""
    system, path = _opened(address)
    began, wait = time.monotonic(), FIRST_WAIT
    for attempt in range(1, TRIES + 1):
        try:
            return does(system, path)
        except FileNotFoundError:
            raise
        except Exception as error:  # drivers have errors of their own
            final = isinstance(error, _FINAL) or "Credential" in type(error).__name__
            late = attempt == TRIES or time.monotonic() - began > PATIENCE
            if final or late:
                tries = f" ({attempt} attempts)" if attempt > 1 else ""
                remedy = "check name and rights" if final else "try again later"
                raise DataError(f"{address}: {reason(error)}{tries}; {remedy}") from None
        time.sleep(wait * random.uniform(0.5, 1.5))
        wait *= 2
    raise AssertionError


def kind(address: str) -> str | None:
    """``file`` or ``folder``; None where nothing is. Raises ``DataError``."""
    if not address.partition("://")[2].strip("/"):
        return "folder"
    try:
        found = _tried(address, lambda system, path: system.info(path))
    except FileNotFoundError:
        return None
    return "folder" if found["type"] == "directory" else "file"


def listing(folder: str) -> dict[str, StoredEntry]:
    """What a folder holds by name, in order; nothing where it is not. Raises ``DataError``."""
    folder = folder.rstrip("/") if folder.partition("://")[2] else folder
    try:
        found = _tried(folder, lambda system, path: system.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    slash = "" if folder.endswith("/") else "/"
    names = ((os.path.basename(info["name"].rstrip("/")), info) for info in found)
    own = os.path.basename(folder)
    return {
        name: StoredEntry(name, f"{folder}{slash}{name}", info["type"] == "directory")
        for name, info in sorted(names, key=lambda pair: pair[0])
        # Some stores keep an empty file for a folder itself.
        if name and not (name == own and info["name"].endswith("/"))
    }


def read(address: str) -> bytes:
    """All bytes of a file. Raises ``DataError`` and ``FileNotFoundError``."""

    def whole(system: Any, path: str) -> bytes:
        data: bytes = system.cat_file(path)
        return data

    return _tried(address, whole)


def write(address: str, data: bytes) -> None:
    """Put a file there whole or not at all; what was there is replaced. Raises ``DataError``."""
    _put(address, lambda system, path: system.pipe_file(path, data))


def upload(address: str, path: str) -> None:
    """Put the file ``path`` there, as ``write``."""
    _put(address, lambda system, target: system.put_file(path, target))


def _put(address: str, put: Callable[[Any, str], None]) -> None:
    scheme = address.partition("://")[0].lower()
    if scheme in READ_ONLY:
        raise UsageError(f"{address}: nothing can be written there; choose another -o")

    def whole(system: Any, path: str) -> None:
        if scheme in OBJECT_STORES:
            put(system, path)
            return
        folder = path.rpartition("/")[0]
        system.makedirs(folder, exist_ok=True)
        part = f"{folder}/.colorize-{os.urandom(8).hex()}"  # hidden, so no photograph
        try:
            put(system, part)
            system.mv(part, path)
        except BaseException:
            if system.exists(part):
                system.rm_file(part)
            raise

    try:
        _tried(address, whole)
    except FileNotFoundError as error:  # a bucket that there is not
        raise DataError(f"{address}: cannot be written: {reason(error)}; check the name") from None
