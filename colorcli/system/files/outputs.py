"""Where results go: names from sources, one for each, nothing replaced unasked."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from colorcli.system import windows
from colorcli.system.errors import UsageError, reason
from colorcli.system.files import places
from colorcli.system.files.inputs import MARK, STREAM, Identity, Source
from colorcli.system.files.shards import Shard

FALLBACK = ".png"  # of results whose source has no suffix, or one unheard of
FIELDS = ("stem", "ext", "dir", "model", "index")
WIDEST = 99  # characters that a field of a template may be padded to, or given as precision
LONGEST = 255  # bytes of one name, on nearly every file system
_SPEC = re.compile(r"(?:.?[<>=^])?[-+ ]?z?#?0?(\d*)[_,]?(?:\.(\d+))?[A-Za-z%]?", re.DOTALL)
_SUFFIX = "{ext}"  # at the end of a template: what the result is written as


@dataclass(frozen=True, slots=True)
class Job:
    """A source and where its colours go: with ``skip`` they are there already.

    ``target`` is empty for a source that names no photograph, and for the ``result`` of an
    earlier run, which is not coloured again.
    """

    source: Source
    target: str
    skip: bool = False
    result: bool = False

    @property
    def todo(self) -> bool:
        """Whether there is work to do."""
        return not self.skip and not self.result and self.source.error is None


# --- names -------------------------------------------------------------------------------------


def is_folder(output: str) -> bool:
    """Whether the name of an output means a folder: it is one, or ends as only a folder's does."""
    separators = tuple(filter(None, (os.sep, os.altsep)))
    return output.endswith(separators) or places.is_folder(output)


def known_suffix(output: str, known: Sequence[str]) -> str:
    """The suffix of ``output`` in lower case, "" for a name without.

    Raises ``UsageError`` where it is not among ``known``, so that ``result.mp4`` makes no folder.
    """
    suffix = os.path.splitext(output)[1].lower()
    if suffix and suffix not in known:
        names, folder = " ".join(known), output + os.sep
        why = f"unknown output suffix; known: {names}; a folder is named {folder}"
        raise UsageError(f"{output}: {why}")
    return suffix


def agreed(output: str, asked: str | None, meant: str | None) -> str | None:
    """The format of ``output``: ``asked`` for by --format, or ``meant`` by its suffix.

    Raises ``UsageError`` where they differ.
    """
    if asked and meant and asked != meant:
        raise UsageError(f"{output}: its suffix means {meant}, not {asked}; change one of them")
    return asked or meant


def _judge(template: str) -> None:
    """Raise ``UsageError`` for unknown fields, broken braces, and formats that cannot be filled."""
    known = " ".join(f"{{{name}}}" for name in FIELDS)
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(
            f"{template}: {reason(error)}; known fields: {known}; double a brace that is meant"
        ) from None
    for _, name, spec, conversion in parsed:
        if name is None:
            continue
        if name not in FIELDS or conversion:
            odd = "!" if name in FIELDS else name
            raise UsageError(
                f"{template}: unknown field {{{odd}}}; known fields: {known}; double a brace "
                "that is meant"
            )
        numbers = _SPEC.fullmatch(spec or "")
        wide = numbers and any(len(n or "") > 4 or int(n or 0) > WIDEST for n in numbers.groups())
        if wide:
            raise UsageError(
                f"{template}: {{{name}:{spec}}} is too wide, {WIDEST} at most; e.g. {{index:05d}}"
            )
        try:
            if numbers is None or set(spec or "") & set("/\\"):  # filled up to another place
                raise ValueError(f"{{{name}:{spec}}} is no format")
            format(1 if name == "index" else "a", spec or "")
        except (ValueError, TypeError, OverflowError) as error:
            raise UsageError(f"{template}: {reason(error)}; e.g. {{index:05d}}") from None
    _judge_name(template, template.format(**dict.fromkeys(FIELDS[:-1], "field"), index=1))


def _judge_name(output: str, name: str) -> None:
    """Raise ``UsageError`` for an ``output`` whose results, as ``name``, this system cannot have."""
    found = places.status(name)
    if (why := windows.refused(name)) and not (found and found.special):
        raise UsageError(f"{output}: {why}; choose another -o")


def output_folder(output: str | None) -> str | None:
    """The folder below which ``output`` puts all results, as far as it is fixed."""
    if output is None or output == STREAM:
        return None
    if "{" not in output or places.is_folder(output):
        return output
    return os.path.dirname(output.partition("{")[0]) or None


@dataclass(frozen=True)
class Names:
    """What results are called; see ``plan`` for the fields."""

    output: str | None
    suffix: str | None
    copies: Mapping[str, str]
    model: str = "default"
    keeping: Collection[str] = ()

    def way(self) -> Callable[[Source, int], str] | None:
        """(source, its index) to target; None where ``output`` is one file. ``UsageError``."""
        output = self.output
        if output is None:
            return self._beside
        if output == STREAM:
            return None
        places.require_folders(output)
        if ("{" in output or "}" in output) and not places.status(output):
            _judge(output)
            return self._filled
        if not places.is_remote(output):
            _judge_name(output, output)
        if is_folder(output):
            return self._below
        if places.status(output):
            return None
        # With --format any name will do for a file.
        suffix = os.path.splitext(output)[1].lower()
        if not self.suffix and suffix not in self.copies:
            suffix = known_suffix(output, list(dict.fromkeys(self.copies.values())))
        return None if suffix else self._below

    def of(self, shard: Shard) -> Callable[[Source, str], bool]:
        """Whether (source, its target) is of a shard.

        It goes by the target's name below the folder of all results, so that two photographs of
        one target are of one shard, which finds that out. Raises ``UsageError`` for names that
        hang on what else there is.
        """
        template = self.output or ""
        if "{" in template and "index" in [f for _, f, _, _ in string.Formatter().parse(template)]:
            raise UsageError(
                f"{template}: {{index}} counts the photographs of one call, so that two shards "
                "would write the same name; use {dir} and {stem}"
            )
        folder = output_folder(self.output)
        if folder is None:
            return lambda source, target: shard.holds(source.relative)
        prefix = os.path.join(places.normal(folder), "")
        return lambda source, target: shard.holds(places.normal(target).removeprefix(prefix))

    def _extension(self, own: str, source: Source) -> str:
        """The suffix of a result by its source's ``own``."""
        known = own.lower()
        suffix = None if known in self.keeping else self.suffix
        copy = suffix or self.copies.get(known) or source.suffix or FALLBACK
        return own if copy == known else copy

    def _beside(self, source: Source, index: int) -> str:
        if source.path == STREAM:
            return STREAM
        own = os.path.splitext(source.relative)[1]
        return os.path.splitext(source.path)[0] + MARK + self._extension(own, source)

    def _below(self, source: Source, index: int) -> str:
        name, own = os.path.splitext(source.relative)
        return os.path.join(self.output or "", name + self._extension(own, source))

    def _filled(self, source: Source, index: int) -> str:
        folder, name = os.path.split(source.relative)
        stem, own = os.path.splitext(name)
        template, end = self.output or "", ""
        if template.endswith(_SUFFIX):
            template, end = template.removesuffix(_SUFFIX), self._extension(own, source)[1:]
        values = {
            "stem": stem, "ext": own[1:], "dir": folder or os.curdir, "model": self.model,
            "index": index,
        }  # fmt: skip
        return places.normal(template.format(**values) + end)


# --- plans -------------------------------------------------------------------------------------


Existing = Literal["refuse", "replace", "skip"]


@dataclass(frozen=True)
class _Dispute:
    """Why a plan cannot be, and the sources that may be results of earlier runs, so that it can.

    The last of ``suspects`` would have to give way.
    """

    message: str
    suspects: tuple[str, ...]


def plan(
    sources: Sequence[Source],
    output: str | None,
    *,
    suffix: str | None = None,
    copies: Mapping[str, str],
    model: str = "default",
    existing: Existing = "refuse",
    is_result: Callable[[str], bool] = lambda path: False,
) -> list[Job]:
    """Where each result goes, in the order of ``sources``.

    ``output`` None puts ``NAME-color.EXT`` beside the source (stdin's on stdout), ``-`` is
    stdout, a name with ``{stem} {ext} {dir} {model} {index}`` is filled in for each photograph. A
    folder is what is one, ends in a slash or has no suffix; else it is a single file, whose
    suffix must be among ``copies`` unless ``suffix`` is given. ``copies`` gives the suffix of a
    result by that of its source (lower case, with dot), ``suffix`` replaces it for all.
    ``{ext}`` is the source's suffix, and at the end of a template the result's. ``existing`` says
    what becomes of results that are there: refused, replaced, or marked as skipped.

    Raises ``UsageError`` before any work when two results would share a name, a result exists (and
    is refused), lies below a file, or is one of the sources, be it through links; unless
    ``is_result`` says of a path in the way that it is an earlier run's result, which then is left
    out. Nothing else is asked, so that 100,000 photographs need not be opened to be named.
    """
    names = Names(output, suffix, copies, model)
    return plan_part(sources, names, existing=existing, is_result=is_result)


def plan_part(
    sources: Sequence[Source],
    names: Names,
    *,
    shard: Shard | None = None,
    existing: Existing = "refuse",
    is_result: Callable[[str], bool] = lambda path: False,
    refuse: bool = True,
) -> list[Job]:
    """As ``plan``, of all ``sources`` those in ``shard``; raises as it does.

    Unless it is to ``refuse``: then a source that is in another's way gets an error.
    """
    way = names.way()
    mine = names.of(shard) if shard else None
    known: dict[str, bool] = {}
    blamed: dict[str, str] = {}
    while True:
        if blamed:
            why = blamed.get
            sources = [replace(s, error=why(s.path)) if s.path in blamed else s for s in sources]
            blamed = {}
        draft = _Draft(sources, {path for path, made in known.items() if made})
        found = False
        for dispute in draft.disputes(way, names.output, existing, mine):
            new = [path for path in dispute.suspects if path not in known]
            known |= {path: path != STREAM and is_result(path) for path in new}
            found |= any(known[path] for path in dispute.suspects)
            if not found and refuse:  # a later one may be gone when the results are
                raise UsageError(dispute.message)
            if not any(known[path] for path in dispute.suspects):
                blamed[dispute.suspects[-1]] = dispute.message
        if not found and not blamed:
            return draft.jobs
        if found:
            blamed = {}


class _Draft:
    """Jobs for ``sources``, but for those that are ``results``."""

    def __init__(self, sources: Sequence[Source], results: set[str]) -> None:
        self.jobs: list[Job] = []
        self._sources, self._results = sources, results
        self._folders = places.Folders()
        self._identity = Identity(self._folders)
        self._photographs = [s for s in sources if s.error is None and s.path not in results]
        self._real = {self._identity(s.path): s.path for s in self._photographs if s.path != STREAM}
        # Of the sources, filled when a hard link turns up.
        self._inodes: dict[tuple[int, int], str] = {}
        self._targets: dict[str, str] = {}

    def disputes(
        self,
        way: Callable[[Source, int], str] | None,
        output: str | None,
        existing: Existing,
        mine: Callable[[Source, str], bool] | None = None,
    ) -> Iterator[_Dispute]:
        """What is wrong with it, as it is drawn up; ``mine`` says whose targets it is made of."""
        count, index = len(self._photographs), 0
        if way is None and count > 1:
            what = "stdout" if output == STREAM else output
            yield _Dispute(
                f"{what}: one file cannot hold {count} photographs; give a folder",
                tuple(s.path for s in self._photographs),
            )
        for source in self._sources:
            if source.error is not None or source.path in self._results:
                if mine is None or mine(source, source.path):
                    self.jobs.append(Job(source, "", result=source.error is None))
                continue
            index += 1
            target = way(source, index) if way else output or ""
            if mine is not None and not mine(source, target):
                continue
            status = None if target == STREAM else self._folders.status(target)
            if target == STREAM or (status and status.special):
                self.jobs.append(Job(source, target))
                continue
            if error := _unfit(target):
                self.jobs.append(Job(replace(source, error=error), ""))
                continue
            if dispute := self._dispute(source, target, status, existing != "refuse"):
                yield dispute
            self.jobs.append(Job(source, target, skip=bool(status) and existing == "skip"))
        yield from _by_case(self._targets)

    def _dispute(
        self, source: Source, target: str, status: places.Status | None, may_exist: bool
    ) -> _Dispute | None:
        real, path = self._identity(target), source.path
        other = self._targets.setdefault(real, path)
        if other != path:
            return _Dispute(
                f"{target}: both {other} and {path} would go there; use -r with "
                "their common folder, or name them apart with -o 'FOLDER/{dir}/{stem}_{ext}.png'",
                (other, path),
            )
        replaced = self._real.get(real) or self._hard_linked(status)
        if replaced is not None:
            return _Dispute(
                f"{target}: the output would replace a source; choose another -o", (replaced, path)
            )
        if status and status.folder:
            return _Dispute(f"{target}: a folder is in the way of the output", (path,))
        if status and not may_exist:
            hint = "use --overwrite or --skip-existing"
            return _Dispute(f"{target}: exists already; {hint}", (path,))
        return None

    def _hard_linked(self, status: places.Status | None) -> str | None:
        """The source that is the same file under another name."""
        if status is None or status.links < 2 or status.file is None:
            return None
        if not self._inodes:
            for path in self._real.values():
                found = places.status(path)
                if found and found.file:
                    self._inodes[found.file] = path
        return self._inodes.get(status.file)


def _unfit(target: str) -> str | None:
    """Why no file can be called ``target``, and what to do about it; or None."""
    if windows.HERE and not places.is_remote(target):
        why = windows.refused(target)
        hint = "name it by -o 'FOLDER/x{index}.png'"
        return why and f"its result cannot be {target}: {why}; {hint}"
    # Counting bytes of 100,000 names takes its time: most are short enough by their letters.
    if len(target) > LONGEST // 4 and len(os.fsencode(target)) > LONGEST:
        parts = target.split(os.sep)
        if any(len(os.fsencode(part)) > LONGEST for part in parts):
            return f"the name of its result would be longer than {LONGEST} bytes; shorten it"
    return None


def _by_case(targets: dict[str, str]) -> Iterator[_Dispute]:
    folded: dict[str, str] = {}
    for target, source in targets.items():
        other = folded.setdefault(target.casefold(), target)
        if other != target and places.ignores_case(target):
            yield _Dispute(
                f"{target}: {targets[other]} and {source} differ only by case, which this file "
                "system ignores; colour them into different folders",
                (targets[other], source),
            )
