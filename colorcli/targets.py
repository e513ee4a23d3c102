"""Where results go: names from sources, one for each, nothing replaced unasked."""

from __future__ import annotations

import contextlib
import os
import stat
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from colorcli.atomic import is_special
from colorcli.errors import UsageError, reason
from colorcli.files import MARK, STREAM, Identity, Source

FALLBACK = ".png"  # of results whose source has no suffix, or one unheard of
FIELDS = ("stem", "ext", "dir", "model", "index")


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
    identity = Identity()
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
