"""What Windows asks of names and of open files, and no other system does.

Names: https://learn.microsoft.com/windows/win32/fileio/naming-a-file.
"""

from __future__ import annotations

import ntpath
import os
import re
import sys
import time

HERE = sys.platform == "win32"
LONGEST = 255  # UTF-16 units of one part of a path
_NEAR = 248  # characters of a path from which on not all calls take it as it is; of a folder's
_FAR = "\\\\?\\"  # before a path: take it as it stands, however long
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\..*)?", re.I)
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*]')
_HELD = (5, 32, 33)  # access denied, sharing and lock violation: also of a file that is looked at
_TRIES, _WAIT = 10, 0.05


def refused(path: str) -> str | None:
    """Why Windows takes no file or folder called ``path``, or None; never elsewhere."""
    if not HERE:
        return None
    for part in re.split(r"[\\/]+", ntpath.splitdrive(path)[1]):
        if part in ("", ".", ".."):
            continue
        if found := _FORBIDDEN.search(part):
            return f"Windows takes no {found[0]!r} in a name: {part}"
        if _DEVICE.fullmatch(part):
            return f"Windows keeps the name {part} for a device"
        if part[-1] in ". ":
            return f"Windows takes no name that ends in a dot or a space: {part!r}"
        if len(part.encode("utf-16-le", "surrogatepass")) > 2 * LONGEST:
            return f"a name would be longer than {LONGEST} characters"
    return None


def reachable(path: str) -> str:
    """A path as Windows opens it where it is long; as it is where it is not, and elsewhere."""
    if not HERE or (len(path) < _NEAR and len(ntpath.abspath(path)) < _NEAR):
        return path
    if path.startswith((_FAR, "\\\\.\\")):
        return path
    whole = ntpath.abspath(path)
    return f"{_FAR}UNC\\{whole[2:]}" if whole.startswith("\\\\") else _FAR + whole


def replace(part: str, target: str) -> None:
    """``os.replace``; where Windows says that a file is held, as scanners for viruses do, again.

    Raises ``OSError`` after half a second of that.
    """
    for last in (False,) * (_TRIES - 1) + (True,):
        try:
            os.replace(part, target)
            return
        except OSError as error:
            if last or getattr(error, "winerror", None) not in _HELD:
                raise
        time.sleep(_WAIT)
