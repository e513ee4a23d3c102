"""What a disk holds and has room for: checksums of files, free space, what to do when it is full."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from colorcli.system.errors import DataError

BLOCK = 1 << 20  # bytes read at a time
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def cache() -> Path:
    """The folder for what is kept between calls: ``colorize`` below the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "colorize"


def digest(path: Path | str, algorithm: str = "sha256") -> str:
    """Hexadecimal checksum of a file by a ``hashlib`` algorithm, in constant memory."""
    import hashlib  # 5 ms of every start, for what few calls ask

    state = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def digest_of(data: bytes) -> str:
    """Hexadecimal sha256 of bytes."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def remedy(error: BaseException, full: str = "free some space") -> str:
    """What to do about a place that cannot be written: ``full`` where the disk is."""
    return full if getattr(error, "errno", None) in FULL else "choose another place"


def require_room(place: Path, needed: float, what: str, advice: str) -> None:
    """Raise ``DataError`` where the disk of the folder ``place`` lacks ``needed`` more bytes.

    ``what`` would take them; ``advice`` says what to do about it.
    """
    free = shutil.disk_usage(place).free
    if needed > free:
        raise DataError(
            f"{place}: {what} would take {_size(needed)} more and the disk has {_size(free)} free; "
            f"{advice}"
        )


def _size(number: float) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"
