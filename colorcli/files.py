"""Files in and out: which photographs a call means, where their results go, atomic writes."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
import re
import shutil
import stat
import string
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from colorcli.errors import DataError, UsageError, reason

JUNK = {"thumbs.db", "desktop.ini", "ehthumbs.db"}
PART = ".colorize-"  # prefix of temporary names, so that a killed run's leftovers are known
STREAM = "-"  # stdin as an input, stdout as an output
MARK = "-color"  # what a result is called beside its source: NAME-color.EXT
FALLBACK = ".png"  # of results whose source has no suffix, or one unheard of
FIELDS = ("stem", "ext", "dir", "model", "index")


@dataclass(frozen=True, slots=True)
class Source:
    """A photograph to read, or with ``error`` an input that names none.

    ``relative`` is where its result goes below an output folder.
    """

    path: str
    relative: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A source and where its colours go: with ``skip`` they are there already.

    ``target`` is empty for a source that names no photograph.
    """

    source: Source
    target: str
    skip: bool = False

    @property
    def todo(self) -> bool:
        """Whether there is work to do."""
        return not self.skip and self.source.error is None


@dataclass(frozen=True)
class Found:
    """What the inputs came to, in input order; ``results`` of earlier runs were left out."""

    entries: tuple[Source, ...]
    results: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The photographs."""
        return tuple(entry for entry in self.entries if entry.error is None)

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """(input, message) of inputs that name no photograph."""
        return tuple((e.path, e.error) for e in self.entries if e.error is not None)


class _Identity:
    """Real paths of many files, looking each folder up once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        head, tail = os.path.split(path)
        if tail in ("", os.curdir, os.pardir) or os.path.islink(path):
            return os.path.realpath(path)
        if head not in self._folders:
            self._folders[head] = os.path.realpath(head or os.curdir)
        return os.path.join(self._folders[head], tail)


# --- inputs ------------------------------------------------------------------------------------


def _is_photograph(name: str, suffixes: Collection[str]) -> bool:
    hidden = name.startswith(".") or name.lower() in JUNK
    return not hidden and os.path.splitext(name)[1].lower() in suffixes


def _walk(
    folder: str, suffixes: Collection[str], recursive: bool, leave_out: str | None
) -> Iterator[Source]:
    """Photographs below ``folder``, each folder's own first, in order of name."""
    waiting, seen = [(folder, "")], set()
    while waiting:
        path, relative = waiting.pop()
        real = os.path.realpath(path)
        if real in seen or (real == leave_out and relative):  # a link that leads back; our output
            continue
        seen.add(real)
        below = []
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Source(path, relative, f"{reason(error)}; check the folder")
            continue
        for entry in found:
            inside = os.path.join(relative, entry.name)
            if _is_photograph(entry.name, suffixes):
                with contextlib.suppress(OSError):
                    if entry.is_file():
                        yield Source(entry.path, inside)
                        continue
            if recursive and not entry.name.startswith("."):
                with contextlib.suppress(OSError):
                    if entry.is_dir():
                        below.append((entry.path, inside))
        waiting += reversed(below)


def _glob(pattern: str) -> Iterator[str]:
    """Files that match, in order of name; like ``glob``, but no loop of links traps ``**``."""
    seen: set[tuple[int, str]] = set()

    def names(folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder or os.curdir) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError:
            return []

    def match(folder: str, parts: list[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            real = os.path.realpath(folder or os.curdir)
            if (len(parts), real) in seen:
                return
            seen.add((len(parts), real))
            yield from match(folder, rest or ["*"])
            for entry in names(folder):
                if not entry.name.startswith(".") and os.path.isdir(entry.path):
                    yield from match(os.path.join(folder, entry.name), parts)
        elif not glob.has_magic(part):
            path = os.path.join(folder, part)
            if not rest and os.path.isfile(path):
                yield path
            elif rest and os.path.isdir(path):
                yield from match(path, rest)
        else:
            fits = re.compile(fnmatch.translate(part)).match
            for entry in names(folder):
                if fits(entry.name) and (part.startswith(".") or not entry.name.startswith(".")):
                    path = os.path.join(folder, entry.name)
                    if not rest and os.path.isfile(path):
                        yield path
                    elif rest and os.path.isdir(path):
                        yield from match(path, rest)

    start = os.sep if pattern.startswith(os.sep) else ""
    parts = [part for part in pattern.split(os.sep) if part]
    yield from match(start, parts) if parts else ()


def _matches(pattern: str, suffixes: Collection[str]) -> list[Source]:
    fixed = []
    for part in pattern.split(os.sep)[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    root = os.sep.join(fixed) or (os.sep if pattern.startswith(os.sep) else os.curdir)
    hits = list(_glob(pattern))
    # Like a folder, a pattern means its photographs; unless it names only files of other kinds.
    hits = [h for h in hits if _is_photograph(os.path.basename(h), suffixes)] or hits
    return [Source(hit, os.path.relpath(hit, root)) for hit in hits]


def _without_results(sources: list[Source], identity: _Identity) -> tuple[list[Source], list[str]]:
    """Part photographs from what an earlier run made of them: NAME-color.* beside a NAME.*."""

    def stem(source: Source) -> str:
        return os.path.splitext(identity(source.path))[0]

    marked = [s for s in sources if os.path.splitext(s.path)[0].endswith(MARK) and not s.error]
    if not marked:
        return sources, []
    stems = {stem(s) for s in sources if not s.error and s.path != STREAM}
    results = {s.path for s in marked if stem(s)[: -len(MARK)] in stems}
    return [s for s in sources if s.path not in results], sorted(results)


def stream(
    inputs: Iterable[str],
    suffixes: Iterable[str],
    *,
    listed: Iterable[str] = (),
    recursive: bool = False,
    leave_out: str | None = None,
) -> Iterator[Source]:
    """What ``find`` finds, as it is met and as often: for a million photographs.

    An input that names none comes as a source with an error. Never raises.
    """
    known = frozenset(suffixes)
    leave_out = leave_out and os.path.realpath(leave_out)

    def named(text: str, literal: bool) -> Iterator[Source]:
        if text == STREAM and not literal:
            yield Source(STREAM, "stdin")
        elif os.path.isdir(text):
            empty = True
            for source in _walk(text, known, recursive, leave_out):
                empty = False
                yield source
            if empty:
                hint = "" if recursive else "; -r looks into folders below it"
                yield Source(text, text, f"no photographs in this folder{hint}")
        elif os.path.exists(text):
            yield Source(text, os.path.basename(text))
        elif os.path.islink(text):
            yield Source(text, text, "a link that leads nowhere; check what it points to")
        elif not literal and glob.has_magic(text):
            hits = _matches(text, known)
            yield from hits or [Source(text, text, "no file matches this pattern")]
        else:
            yield Source(text, text, "no such file or folder; check the path")

    for literal, texts in ((False, inputs), (True, listed)):
        for text in texts:
            try:
                yield from named(text, literal)
            except (OSError, ValueError) as error:
                yield Source(text, text, f"{reason(error)}; check the path")


def find(
    inputs: Sequence[str],
    suffixes: Iterable[str],
    *,
    listed: Iterable[str] = (),
    recursive: bool = False,
    leave_out: str | None = None,
) -> Found:
    """Photographs named by files, folders, globs (``**`` too) and ``-``, each once, in order.

    Folders and globs give the files whose suffix is in ``suffixes`` (lower case, with dot),
    without hidden and junk files; a file named outright is taken whatever its suffix. ``listed``
    are further names, taken literally. A folder ``leave_out``, where results go, is not searched
    below an input folder, and ``NAME-color.*`` is left out when its ``NAME.*`` is an input too.
    Never raises: an input that names nothing becomes an entry with an error.
    """
    identity = _Identity()
    sources: dict[str, Source] = {}
    for source in stream(inputs, suffixes, listed=listed, recursive=recursive, leave_out=leave_out):
        if source.error is not None:
            key = f"\0{source.path}"
        else:
            key = STREAM if source.path == STREAM else identity(source.path)
        sources.setdefault(key, source)
    kept, results = _without_results(list(sources.values()), identity)
    return Found(tuple(kept), tuple(results))


# --- outputs -----------------------------------------------------------------------------------


def _fields(template: str) -> set[str]:
    """Names between braces. Raises ``UsageError`` for unknown ones and broken braces."""
    known = " ".join(f"{{{name}}}" for name in FIELDS)
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(
            f"{template}: {reason(error)}; known fields: {known}; double a brace that is meant"
        ) from None
    names = {name for _, name, _, _ in parsed if name is not None}
    conversions = any(conversion for _, _, _, conversion in parsed)
    if names - set(FIELDS) or conversions:
        odd = min(names - set(FIELDS), default="!")
        raise UsageError(
            f"{template}: unknown field {{{odd}}}; known fields: {known}; double a brace that is meant"
        )
    return names


def output_folder(output: str | None) -> str | None:
    """The folder below which ``output`` puts all results, as far as it is fixed."""
    if output is None or output == STREAM:
        return None
    if os.path.isdir(output) or "{" not in output:
        return output
    return os.path.dirname(output.partition("{")[0]) or None


def _namer(
    output: str | None, suffix: str | None, copies: Mapping[str, str], model: str, count: int
) -> Callable[[Source, int], str]:
    """(source, its index) to target."""

    def extension(source: Source) -> str:
        own = os.path.splitext(source.relative)[1]
        copy = suffix or copies.get(own.lower(), FALLBACK)
        return own if copy == own.lower() else copy

    def beside(source: Source, index: int) -> str:
        if source.path == STREAM:
            return STREAM
        return os.path.splitext(source.path)[0] + MARK + extension(source)

    if output is None:
        return beside

    def below(source: Source, index: int) -> str:
        return os.path.join(output, os.path.splitext(source.relative)[0] + extension(source))

    def filled(source: Source, index: int) -> str:
        folder, name = os.path.split(source.relative)
        values = {
            "stem": os.path.splitext(name)[0], "ext": extension(source)[1:],
            "dir": folder or os.curdir, "model": model, "index": index,
        }  # fmt: skip
        try:
            return os.path.normpath(output.format(**values))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{output}: {reason(error)}; e.g. {{index:05d}}") from None

    if output != STREAM and not os.path.exists(output) and ("{" in output or "}" in output):
        _fields(output)
        return filled
    single = output == STREAM or (os.path.exists(output) and not os.path.isdir(output))
    named = os.path.splitext(output)[1].lower() in copies and not output.endswith(os.sep)
    if single or (named and not os.path.isdir(output)):
        if count > 1:
            what = "stdout" if output == STREAM else output
            raise UsageError(f"{what}: one file cannot hold {count} photographs; give a folder")
        return lambda source, index: output
    return below


def is_special(path: str) -> bool:
    """Whether ``path`` is a pipe or a device: written to, never replaced."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _ignores_case(path: str) -> bool:
    """Whether the file system that will hold ``path`` takes ``A`` and ``a`` for one name."""
    folder = os.path.realpath(path)
    while (parent := os.path.dirname(folder)) != folder:
        folder = parent
        name = os.path.basename(folder)
        if name.swapcase() != name and os.path.isdir(folder):
            other = os.path.join(os.path.dirname(folder), name.swapcase())
            return os.path.exists(other) and os.path.samefile(folder, other)
    return False


def plan(
    sources: Sequence[Source],
    output: str | None,
    *,
    suffix: str | None = None,
    copies: Mapping[str, str],
    model: str = "default",
    overwrite: bool = False,
    skip_existing: bool = False,
) -> list[Job]:
    """Where each result goes, in the order of ``sources``; existing ones marked as skipped.

    ``output`` None puts ``NAME-color.EXT`` beside the source (stdin's on stdout), ``-`` is
    stdout, a name with ``{stem} {ext} {dir} {model} {index}`` is filled in for each photograph, a
    name with a suffix among ``copies`` that is no folder is a single file, anything else a folder.
    ``copies`` gives the suffix of a result by that of its source (lower case, with dot),
    ``suffix`` replaces it for all. Raises ``UsageError`` before any work when two
    results would share a name, a result exists, or a result is one of the sources, be it through
    links.
    """
    identity = _Identity()
    photographs = [s for s in sources if s.error is None]
    target_of = _namer(output, suffix, copies, model, len(photographs))
    real_sources = {identity(s.path) for s in photographs if s.path != STREAM}
    inodes: set[tuple[int, int]] = set()  # of the sources, filled when a hard link turns up
    jobs: list[Job] = []
    targets: dict[str, str] = {}
    index = 0
    for source in sources:
        if source.error is not None:
            jobs.append(Job(source, ""))
            continue
        index += 1
        target = target_of(source, index)
        if target == STREAM or is_special(target):
            jobs.append(Job(source, target))
            continue
        real = identity(target)
        if real in targets:
            raise UsageError(
                f"{target}: both {targets[real]} and {source.path} would go there; use -r with "
                "their common folder, or name them apart with -o 'FOLDER/{dir}/{stem}_{ext}.png'"
            )
        targets[real] = source.path
        try:
            status = os.stat(target)
        except (OSError, ValueError):
            status = None
        if status and status.st_nlink > 1 and not inodes:
            for path in real_sources:
                with contextlib.suppress(OSError):
                    inodes.add(((s := os.stat(path)).st_dev, s.st_ino))
        if real in real_sources or (status and (status.st_dev, status.st_ino) in inodes):
            raise UsageError(f"{target}: the output would replace a source; choose another -o")
        if status and stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{target}: a folder is in the way of the output")
        if status and not (overwrite or skip_existing):
            raise UsageError(f"{target}: exists already; use --overwrite or --skip-existing")
        jobs.append(Job(source, target, skip=bool(status) and skip_existing))
    _check_case(targets)
    return jobs


def _check_case(targets: dict[str, str]) -> None:
    folded: dict[str, str] = {}
    for target, source in targets.items():
        other = folded.setdefault(target.casefold(), target)
        if other != target and _ignores_case(target):
            raise UsageError(
                f"{target}: {targets[other]} and {source} differ only by case, which this file "
                "system ignores; colour them into different folders"
            )


# --- atomic writes -----------------------------------------------------------------------------

_parts: set[str] = set()  # temporary files of this process that still exist
_TOKEN = os.urandom(4).hex()  # tells this process from a dead one that had its number


@lru_cache(maxsize=1)
def _host() -> str:
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return re.sub(r"[^A-Za-z0-9]", "", name)[:20] or "host"


def _part_prefix() -> str:
    return f"{PART}{_host()}-{os.getpid()}-{_TOKEN}-"


def _is_alive(pid: int) -> bool:
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
    ours = re.compile(re.escape(PART) + re.escape(_host()) + r"-(\d+)-([0-9a-f]{8})-[0-9a-f]+")
    with contextlib.suppress(OSError), os.scandir(folder or os.curdir) as entries:
        for entry in entries:
            if not (match := ours.fullmatch(entry.name)):
                continue
            pid, token = int(match[1]), match[2]
            dead = token != _TOKEN if pid == os.getpid() else not _is_alive(pid)
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
