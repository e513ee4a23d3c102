"""Files in and out: which photographs a call means, where their results go, atomic writes."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from colorcli.errors import DataError, UsageError, reason

JUNK = {"thumbs.db", "desktop.ini"}
PART = ".colorize-"  # prefix of temporary names, so that a killed run's leftovers are known


@dataclass(frozen=True)
class Source:
    """A photograph to read; ``relative`` is where its result goes below an output folder."""

    path: Path
    relative: Path


@dataclass(frozen=True)
class Job:
    """One photograph and where its colours go."""

    source: Source
    target: Path


@dataclass(frozen=True)
class Found:
    """What the inputs came to: photographs, and inputs that name none (path, message)."""

    sources: tuple[Source, ...]
    failures: tuple[tuple[str, str], ...]


def _walk(folder: Path, suffixes: Iterable[str], recursive: bool) -> Iterator[Path]:
    known, seen = frozenset(suffixes), set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if recursive and not f.startswith("."))
        for name in sorted(names):
            hidden = name.startswith(".") or name.lower() in JUNK
            if not hidden and os.path.splitext(name)[1].lower() in known:
                yield Path(root) / name


def find(inputs: Sequence[str], suffixes: Iterable[str], *, recursive: bool = False) -> Found:
    """Photographs named by files, folders and globs (``**`` too), each once, in input order.

    Folders give the files whose suffix is in ``suffixes`` (lower case, with dot), without hidden
    and junk files; a file named outright is taken whatever its suffix. Never raises: an input
    that names nothing is a failure beside the others.
    """
    sources: dict[str, Source] = {}
    failures: list[tuple[str, str]] = []

    def add(path: Path, relative: Path) -> None:
        sources.setdefault(os.path.realpath(path), Source(path, relative))

    for text in inputs:
        path = Path(text)
        try:
            if path.is_dir():
                before = len(sources)
                inside = list(_walk(path, suffixes, recursive))
                for file in inside:
                    add(file, file.relative_to(path))
                if not inside and len(sources) == before:
                    hint = "" if recursive else "; -r looks into folders below it"
                    failures.append((text, f"no photographs in this folder{hint}"))
            elif path.exists():
                add(path, Path(path.name))
            elif glob.has_magic(text):
                hits = sorted(h for h in glob.glob(text, recursive=True) if os.path.isfile(h))
                for hit in hits:
                    add(Path(hit), Path(os.path.basename(hit)))
                if not hits:
                    failures.append((text, "no file matches this pattern"))
            else:
                failures.append((text, "no such file or folder; check the path"))
        except OSError as error:
            failures.append((text, reason(error)))
    return Found(tuple(sources.values()), tuple(failures))


def stream(
    inputs: Iterable[str], suffixes: Iterable[str], *, recursive: bool = False
) -> Iterator[tuple[str, str]]:
    """Like ``find`` for a million photographs: (path, "") for each as it is met.

    An input that names none comes as (input, message). A file that two inputs name comes twice.
    """
    known = frozenset(suffixes)
    for text in inputs:
        path, found = Path(text), False
        try:
            if path.is_dir():
                for file in _walk(path, known, recursive):
                    found = True
                    yield str(file), ""
                hint = "" if recursive else "; -r looks into folders below it"
                message = f"no photographs in this folder{hint}"
            elif path.exists():
                found = True
                yield text, ""
            else:
                for hit in sorted(glob.iglob(text, recursive=True)) if glob.has_magic(text) else ():
                    if os.path.isfile(hit):
                        found = True
                        yield hit, ""
                message = "no such file or folder, and no file matches it; check the path"
        except OSError as error:
            message = reason(error)
        if not found:
            yield text, message


def _target(source: Source, output: str | None, suffix: str | None, single: bool) -> Path:
    if output is None:
        path = source.path
        return path.with_name(f"{path.stem}-color{suffix or path.suffix}")
    if single:
        return Path(output)
    relative = source.relative
    return Path(output) / (relative.with_suffix(suffix) if suffix else relative)


def plan(
    sources: Sequence[Source],
    output: str | None,
    *,
    suffix: str | None = None,
    file_suffixes: Iterable[str] = (),
    overwrite: bool = False,
    skip_existing: bool = False,
) -> tuple[list[Job], list[Job]]:
    """Where each result goes: (to do, skipped because it exists).

    ``output`` None puts ``NAME-color.EXT`` beside the source; a name with one of
    ``file_suffixes`` that is no folder is a single file; anything else is a folder. ``suffix``
    replaces the source's. Raises ``UsageError`` before any work when two results would share a
    name, a result exists, or a result is one of the sources.
    """
    single = (
        output is not None
        and os.path.splitext(output)[1].lower() in set(file_suffixes)
        and not os.path.isdir(output)
        and not output.endswith(os.sep)
    )
    if single and len(sources) > 1:
        raise UsageError(
            f"{output}: one file cannot hold {len(sources)} photographs; give a folder"
        )
    real_sources = {os.path.realpath(source.path): source for source in sources}
    jobs, skipped, targets = [], [], {}
    for source in sources:
        target = _target(source, output, suffix, single)
        real = os.path.realpath(target)
        if real in real_sources:
            raise UsageError(f"{target}: the output would replace a source; choose another -o")
        if real in targets:
            raise UsageError(
                f"{target}: both {targets[real]} and {source.path} would go there; "
                "use -r with their common folder, or colour them into different folders"
            )
        targets[real] = source.path
        if target.is_dir():
            raise UsageError(f"{target}: a folder is in the way of the output")
        exists = target.exists()
        if exists and not (overwrite or skip_existing):
            raise UsageError(f"{target}: exists already; use --overwrite or --skip-existing")
        (skipped if exists and skip_existing else jobs).append(Job(source, target))
    return jobs, skipped


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all: temporary name, fsync, rename.

    Makes missing parent folders. Raises ``DataError``; nothing is left behind then.
    """
    path = Path(path)
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=f"{PART}{os.getpid()}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)  # mkstemp's 0600 would hide a shared folder's results
        os.replace(part, path)
        part = None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written: {reason(error)}; choose another place"
        ) from None
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                os.unlink(part)
