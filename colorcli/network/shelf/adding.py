"""A model into the user's folder, checked and tried first, and out of it again.

Only the files that a model folder has, or one exported file, are taken, by name; nothing in them is
executable: JSON, arrays without pickle, and graphs of the runtimes' own operations.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import numpy as np

from colorcli.config.choices import EXPORTED
from colorcli.network import model_folder
from colorcli.network.model_folder import CONFIG, HISTORY, LITERT, METADATA, WEIGHTS
from colorcli.network.runtimes import open_model
from colorcli.network.shelf import places
from colorcli.network.shelf.places import RECORD
from colorcli.network.upright.head import FILE as UPRIGHT
from colorcli.system import disk
from colorcli.system.atomic import atomic_folder, scratch
from colorcli.system.download import fetch
from colorcli.system.errors import DataError, ModelError, UsageError, reason

PARTS = (CONFIG, WEIGHTS, LITERT, METADATA, HISTORY, UPRIGHT)
NEEDED = (CONFIG, WEIGHTS, LITERT, METADATA)
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_MOST = 2 << 30  # bytes of one file, unpacked
_SCHEMES = ("http://", "https://", "file:")


@dataclass(frozen=True, kw_only=True)
class Added:
    """A model that was added: its name, where it lies, and where it came from."""

    name: str
    path: str
    source: str


def add(
    source: str,
    *,
    name: str | None = None,
    overwrite: bool = False,
    progress: Callable[..., None] | None = None,
) -> Added:
    """Put a model folder, a run's best one, an archive of one, or an exported file on the shelf.

    ``source``: its path, or ``URL#sha256=HEX``. ``name`` None: that of the folder or file. Raises
    ``UsageError`` for names that cannot be, ``ModelError`` for what is no whole, working model,
    ``DataError`` for a download or a disk that fails.
    """
    url, _, digest = source.partition("#sha256=")
    remote = source.startswith(_SCHEMES)
    if remote and len(digest) != 64:
        raise UsageError(
            f"{source}: an address needs the file's checksum; give URL#sha256=HEX, of 64 digits"
        )
    name = name or _named(urlsplit(url).path if remote else source)
    _check(name, overwrite)
    home = places.home()
    try:
        with scratch(home) as place, atomic_folder(home / name) as part:
            path = Path(source)
            if remote:
                path = place / (PurePosixPath(urlsplit(url).path).name or "model")
                fetch(url, path, sha256=digest, progress=progress)
            answers = _taken(path, part, source)
            _try(part if answers == METADATA else part / answers, source)
            known = {"source": source, "file": answers, "sha256": disk.digest(part / answers)}
            (part / RECORD).write_text(json.dumps(known, indent=1), "utf-8")
    except OSError as error:
        raise DataError(
            f"{home / name}: cannot be written: {reason(error)}; {disk.remedy(error)}, or name "
            f"one by {places.HOME}"
        ) from None
    return Added(name=name, path=str(home / name), source=source)


def remove(name: str) -> Path:
    """Take a model off the shelf; where it lay. Raises ``UsageError`` where it is not on it."""
    if name in model_folder.bundled():
        raise UsageError(f"{name}: is bundled with the program and stays; name one that was added")
    folder = places.home() / name
    if name not in places.names():
        known = ", ".join(places.names()) or "none"
        raise UsageError(f"{name}: no added model has this name; added: {known}")
    try:
        with scratch(folder.parent) as place:  # gone at once, under its name
            folder.rename(place / "old")
    except OSError as error:
        raise DataError(f"{folder}: cannot be removed: {reason(error)}") from None
    return folder


def _named(path: str) -> str:
    """What a model is called by where it comes from."""
    base = Path(path.rstrip("/\\")).name
    if base in ("model-best", "model-last"):
        base = Path(path).parent.name
    for suffix in (*ARCHIVES, *EXPORTED):
        if base.lower().endswith(suffix):
            return base[: -len(suffix)]
    return base


def _check(name: str, overwrite: bool) -> None:
    places.check_name(name)
    if name in model_folder.bundled():
        raise UsageError(f"{name}: a bundled model has this name; give --name")
    if (places.home() / name).exists() and not overwrite:
        raise UsageError(
            f"{name}: a model of this name was added already; give --name or --overwrite"
        )


def _taken(path: Path, part: Path, source: str) -> str:
    """Copy what makes a model into ``part``; the name of the file that answers for it.

    Raises ``ModelError``.
    """
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        _unpack(path, part, source)
    elif path.is_file() and path.suffix.lower() in EXPORTED:
        shutil.copyfile(path, part / f"export{path.suffix.lower()}")
        return f"export{path.suffix.lower()}"
    elif path.is_file():
        known = " ".join((*EXPORTED, *ARCHIVES))
        raise ModelError(f"{source}: not a model that can be added; a file ends in {known}")
    else:
        folder = model_folder.find(path)
        for name in PARTS:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, part / name)
    if missing := [name for name in NEEDED if not (part / name).is_file()]:
        raise ModelError(f"{source}: holds no {missing[0]}; give a whole model folder")
    return METADATA


def _try(model: Path, source: str) -> None:
    """Raise ``ModelError`` where a model is damaged, or does not colour."""
    try:
        if model.is_dir():
            folder = model_folder.load(model)
            listed = set(folder.metadata["files"])
            if odd := listed - {*PARTS}:
                raise ModelError(f"lists {min(odd)}, which is no part of a model")
            if faults := [f for f in model_folder.verify(folder).values() if f]:
                raise ModelError(faults[0])
            model_folder.read_arrays(model / WEIGHTS)
        opened = open_model(model)
        side = opened.engine.size
        ramp = np.linspace(0, 100, side * side, dtype=np.float32).reshape(side, side)
        ab = opened.engine(ramp)
        if ab.ndim != 3 or ab.shape[2] != 2 or not np.isfinite(ab).all():
            raise ModelError("gives no colours")
    except ModelError as error:
        message = str(error).replace(f"{model}/", "").replace(f"{model}: ", "")
        raise ModelError(f"{source}: cannot be added: {message}") from None


# --- archives ----------------------------------------------------------------------------------


def _unpack(path: Path, part: Path, source: str) -> None:
    """The parts of a model in one folder of an archive; whatever else is in it stays there."""
    try:
        with _members(path) as members:
            found: dict[str, Callable[[], IO[bytes] | None]] = {}
            folders = set()
            for name, size, opener in members:
                inside = PurePosixPath(name.replace("\\", "/"))
                if inside.name not in PARTS:
                    continue
                if size > _MOST:
                    raise ModelError(
                        f"{source}: {inside.name} of {size} bytes is no part of a model"
                    )
                folders.add(inside.parent)
                found[inside.name] = opener
            if len(folders) > 1:
                raise ModelError(f"{source}: holds several models; give one")
            for name, opener in found.items():
                stream = opener()
                if stream is not None:
                    with closing(stream), (part / name).open("wb") as file:
                        _copied(stream, file, source)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, ValueError) as error:
        raise ModelError(f"{source}: not a readable archive ({reason(error)})") from None


def _copied(stream: IO[bytes], file: IO[bytes], source: str) -> None:
    """Copy at most what a part may have, whatever the archive says."""
    left = _MOST
    while block := stream.read(1 << 20):
        left -= len(block)
        if left < 0:
            raise ModelError(f"{source}: unpacks to more than {_MOST} bytes")
        file.write(block)


Members = Iterable[tuple[str, int, Callable[[], "IO[bytes] | None"]]]


@contextmanager
def _members(path: Path) -> Iterator[Members]:
    """Name, size and content of the regular files in an archive."""
    archive: Any
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            yield [
                (info.filename, info.file_size, partial(archive.open, info))
                for info in archive.infolist()
                if not info.is_dir()
            ]
        return
    with tarfile.open(path) as archive:
        yield [
            (info.name, info.size, partial(archive.extractfile, info))
            for info in archive.getmembers()
            if info.isreg()
        ]
