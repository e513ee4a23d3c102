"""Files in: which photographs a call means, of names, folders and globs."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from colorcli.system import windows
from colorcli.system.errors import ColorizeError, reason
from colorcli.system.files import places

JUNK = {"thumbs.db", "desktop.ini", "ehthumbs.db"}
STREAM = "-"  # stdin as an input, stdout as an output
MARK = "-color"  # what a result is called beside its source: NAME-color.EXT


@dataclass(frozen=True, slots=True)
class Source:
    """A photograph to read, or with ``error`` an input that names none.

    ``relative`` is where its result goes below an output folder, under ``suffix`` where its own
    name says nothing. ``data``: its bytes where it was read to find that out, and can be read once.
    """

    path: str
    relative: str
    error: str | None = None
    suffix: str = ""
    data: bytes | None = None


@dataclass(frozen=True)
class Found:
    """What the inputs came to, in input order; ``results`` of earlier runs were left out.

    ``others``: files in folders that were passed over for their suffix.
    """

    entries: tuple[Source, ...]
    results: tuple[str, ...] = ()
    others: int = 0

    @property
    def sources(self) -> tuple[Source, ...]:
        """The photographs."""
        return tuple(entry for entry in self.entries if entry.error is None)

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """(input, message) of inputs that name no photograph."""
        return tuple((e.path, e.error) for e in self.entries if e.error is not None)


class Identity:
    """Real paths of many files, looking each folder up once."""

    def __init__(self, folders: places.Folders | None = None) -> None:
        self._folders: dict[str, str] = {}
        self._linkless: dict[str, str] = {}  # of these no name need be looked at
        self._places = folders or places.Folders()

    def __call__(self, path: str) -> str:
        """The real path, links followed, or an address."""
        head, slash, tail = path.rpartition(os.sep)  # of many thousand names
        own = tail not in ("", os.curdir, os.pardir)
        if own and (real := self._linkless.get(head)) is not None:
            return real + tail
        if places.is_remote(path):
            return places.normal(path)
        if os.altsep or not own or self._places.is_link(path):
            return os.path.realpath(path)
        real = self._folders.get(head + slash)
        if real is None:
            real = os.path.join(os.path.realpath(head + slash or os.curdir), "")
            self._folders[head + slash] = real
        if head and self._places.is_linkless(head):
            self._linkless[head] = real
        return real + tail


def is_below(name: str) -> bool:
    """Whether a name that a file gives stays below the folder it belongs to."""
    path = PurePath(name)
    below = not path.anchor and bool(path.parts) and ".." not in path.parts
    return below and "\0" not in name and windows.refused(name) is None


def ending(name: str) -> str:
    """The suffix of a name in lower case, with its dot: that of ``os.path.splitext``, for millions."""
    root, _, end = name.rpartition(".")
    if not root or root[-1] in "./\\" or "/" in end or "\\" in end:
        return os.path.splitext(name)[1].lower()
    return "." + end.lower()


# --- inputs ------------------------------------------------------------------------------------


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK


def _is_photograph(name: str, suffixes: Collection[str]) -> bool:
    return not _is_hidden(name) and ending(name) in suffixes


_NOWHERE = "a link that leads nowhere; check what it points to"


def _leads_nowhere(entry: places.Entry) -> bool:
    return os.path.islink(entry.path) and not os.path.exists(entry.path)


def _walk(
    folder: str,
    suffixes: Collection[str],
    recursive: bool,
    leave_out: str | None,
    other: Callable[[str], None],
) -> Iterator[Source]:
    """Photographs below ``folder``, each folder's own first, in order of name.

    ``other`` is told of each file that is passed over for its suffix.
    """
    waiting, seen = [(folder, "")], set()
    while waiting:
        path, relative = waiting.pop()
        real = places.real(path)
        if real in seen or (real == leave_out and relative):  # a link that leads back; our output
            continue
        seen.add(real)
        below, within = [], os.path.join(relative, "") if relative else ""
        try:
            found = places.scan(path)
        except OSError as error:
            yield Source(path, relative, f"{reason(error)}; check the folder")
            continue
        for entry in found:
            inside = within + entry.name
            if _is_photograph(entry.name, suffixes):
                with contextlib.suppress(OSError):
                    if entry.is_file():
                        yield Source(entry.path, inside)
                        continue
                if _leads_nowhere(entry):
                    yield Source(entry.path, inside, _NOWHERE)
                    continue
            elif not _is_hidden(entry.name):
                with contextlib.suppress(OSError):
                    if entry.is_file():
                        other(entry.path)
                        continue
            if recursive and not entry.name.startswith("."):
                with contextlib.suppress(OSError):
                    if entry.is_dir():
                        below.append((entry.path, inside))
        waiting += reversed(below)


def _glob(pattern: str) -> Iterator[str]:
    """Files that match, in order of name; like ``glob``, but no loop of links traps ``**``."""
    seen: set[tuple[int, str]] = set()

    def names(folder: str) -> list[places.Entry]:
        try:
            return places.scan(folder or os.curdir)
        except OSError:
            return []

    def match(folder: str, parts: list[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            real = places.real(folder or os.curdir)
            if (len(parts), real) in seen:
                return
            seen.add((len(parts), real))
            yield from match(folder, rest or ["*"])
            for entry in names(folder):
                if not entry.name.startswith(".") and entry.is_dir():
                    yield from match(os.path.join(folder, entry.name), parts)
        elif not glob.has_magic(part):
            path = os.path.join(folder, part)
            found = places.status(path)
            if found and not found.folder and not found.special and not rest:
                yield path
            elif found and found.folder and rest:
                yield from match(path, rest)
        else:
            fits = re.compile(fnmatch.translate(part)).match
            for entry in names(folder):
                if fits(entry.name) and (part.startswith(".") or not entry.name.startswith(".")):
                    path = os.path.join(folder, entry.name)
                    if not rest and entry.is_file():
                        yield path
                    elif rest and entry.is_dir():
                        yield from match(path, rest)

    start, parts = _parts(pattern)
    yield from match(start, parts) if parts else ()


def _parts(pattern: str, system: Any = os.path) -> tuple[str, list[str]]:
    """Where a pattern begins ("", a root, a drive or a bucket), and its parts below that."""
    if places.is_remote(pattern):
        scheme, _, rest = pattern.partition("://")
        bucket, _, rest = rest.partition("/")
        return f"{scheme}://{bucket}/", [part for part in rest.split("/") if part]
    drive, rest = system.splitdrive(pattern)
    if system.altsep:
        rest = rest.replace(system.altsep, system.sep)
    root = system.sep if rest.startswith(system.sep) else ""
    return drive + root, [part for part in rest.split(system.sep) if part]


def _matches(pattern: str, suffixes: Collection[str]) -> list[Source]:
    start, parts = _parts(pattern)
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), parts[:-1])
    root = start + os.sep.join(fixed) or os.curdir
    hits = list(_glob(pattern))
    if places.is_remote(pattern):
        hits = [h for h in hits if _is_photograph(os.path.basename(h), suffixes)] or hits
        return [Source(hit, hit.removeprefix(root).lstrip("/")) for hit in hits]
    # Like a folder, a pattern means its photographs; unless it names only files of other kinds.
    hits = [h for h in hits if _is_photograph(os.path.basename(h), suffixes)] or hits
    return [Source(hit, os.path.relpath(hit, root)) for hit in hits]


def without_results(sources: list[Source], identity: Identity) -> tuple[list[Source], list[str]]:
    """Part photographs from what an earlier run made of them: NAME-color.* beside a NAME.*."""

    def stem(source: Source) -> str:
        return os.path.splitext(identity(source.path))[0]

    marked = [s for s in sources if MARK in s.path and not s.error]
    marked = [s for s in marked if os.path.splitext(s.path)[0].endswith(MARK)]
    if not marked:
        return sources, []
    stems = {stem(s) for s in sources if not s.error and s.path != STREAM}
    results = {s.path for s in marked if stem(s)[: -len(MARK)] in stems}
    return [s for s in sources if s.path not in results], sorted(results)


def _slashed(name: str) -> str:
    """A name as Windows wrote it, with slashes where that is what is there."""
    slashed = name.replace("\\", "/")
    return (
        slashed if slashed != name and not places.status(name) and places.status(slashed) else name
    )


def stream(
    inputs: Iterable[str],
    suffixes: Iterable[str],
    *,
    listed: Iterable[str] = (),
    recursive: bool = False,
    leave_out: str | None = None,
    other: Callable[[str], None] = lambda path: None,
) -> Iterator[Source]:
    """What ``find`` finds, as it is met and as often: for a million photographs.

    An input that names none comes as a source with an error. ``other`` is told of each file in
    folders that is passed over for its suffix. Never raises.
    """
    known = frozenset(suffixes)
    leave_out = leave_out and places.real(leave_out)
    others = 0

    def passed(path: str) -> None:
        nonlocal others
        others += 1
        other(path)

    def named(text: str, literal: bool) -> Iterator[Source]:
        text = places.path_of(text) or (_slashed(text) if literal else text)
        if text == STREAM and not literal:
            yield Source(STREAM, "stdin")
            return
        if why := places.is_remote(text) and places.refusal(text):
            yield Source(places.shown(text), places.shown(text), why)
            return
        found = places.status(text)
        if found and found.folder:
            empty, before = True, others
            for source in _walk(text, known, recursive, leave_out, passed):
                empty = False
                yield source
            if empty:
                hint = "" if recursive else "; -r looks into folders below it"
                if others > before:
                    hint = f", but {others - before} files with other suffixes{hint}"
                yield Source(text, text, f"no photographs in this folder{hint}")
        elif found:
            yield Source(text, os.path.basename(text))
        elif os.path.islink(text):
            yield Source(text, text, _NOWHERE)
        elif not literal and glob.has_magic(text):
            hits = _matches(text, known)
            yield from hits or [Source(text, text, "no file matches this pattern")]
        else:
            yield Source(text, text, "no such file or folder; check the path")

    for literal, texts in ((False, inputs), (True, listed)):
        for text in texts:
            try:
                yield from named(text, literal)
            except ColorizeError as error:  # of a store, which names it
                yield Source(text, text, str(error).removeprefix(f"{text}: "))
            except (OSError, ValueError) as error:
                yield Source(text, text, f"{reason(error)}; check the path")


def find(
    inputs: Sequence[str],
    suffixes: Iterable[str],
    *,
    listed: Iterable[str] = (),
    recursive: bool = False,
    leave_out: str | None = None,
    results: bool = False,
) -> Found:
    """Photographs named by files, folders, globs (``**`` too) and ``-``, each once, in order.

    Folders and globs give the files whose suffix is in ``suffixes`` (lower case, with dot),
    without hidden and junk files; a file named outright is taken whatever its suffix. ``listed``
    are further names, taken literally. A folder ``leave_out``, where results go, is not searched
    below an input folder, and ``NAME-color.*`` is left out when its ``NAME.*`` is an input too,
    unless ``results`` are wanted.
    Never raises: an input that names nothing becomes an entry with an error.
    """
    identity = Identity()
    sources: dict[str, Source] = {}
    others: set[str] = set()  # each once, whatever leads to it
    for source in stream(
        inputs, suffixes, listed=listed, recursive=recursive, leave_out=leave_out,
        other=lambda path: others.add(identity(path)),
    ):  # fmt: skip
        if source.error is not None:
            key = f"\0{source.path}"
        else:
            key = STREAM if source.path == STREAM else identity(source.path)
        sources.setdefault(key, source)
    kept, left_out = list(sources.values()), list[str]()
    if not results:
        kept, left_out = without_results(kept, identity)
    # A file may be passed over in a folder and be named outright.
    return Found(tuple(kept), tuple(left_out), len(others - sources.keys()))
