"""Photographs before they are coloured: found, known as earlier results, given a name for theirs."""

from __future__ import annotations

import array
import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from colorcli.colorizing import confidence_maps
from colorcli.colorizing.hand.guidance import is_sidecar
from colorcli.colorizing.kind import Kind
from colorcli.colorizing.scans import byproducts
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.system.atomic import is_special
from colorcli.system.errors import DataError, ImageError, reason
from colorcli.system.files import places
from colorcli.system.files.inputs import (
    STREAM,
    Found,
    Identity,
    Source,
    ending,
    find,
    stream,
    without_results,
)
from colorcli.system.files.outputs import Existing, Job, Names, agreed, output_folder, plan_part
from colorcli.system.files.shards import Shard


def read(source: Source) -> bytes:
    """The bytes of a photograph; raises ``ImageError``, and ``DataError`` without a stdin."""
    if source.data is not None:
        return source.data
    if source.path == STREAM:
        if sys.stdin is None:
            raise DataError("-: stdin is closed; give a file")
        begin = sys.stdin.buffer.read(reading.HEAD)
        if begin and not reading.is_picture(begin):  # and may never end
            raise ImageError(f"{STREAM}: {reading.UNKNOWN}")
        return begin + sys.stdin.buffer.read()
    try:
        return places.read(source.path)
    except OSError as error:
        raise ImageError(f"{source.path}: {reason(error)}; check the file") from None


def is_result(path: str, kinds: Sequence[Kind] = ()) -> bool:
    """Whether a file is what an earlier run made; its header is read."""
    if kind := kind_of(Source(path, path), kinds):
        return kind.is_result(path)
    if is_special(path):
        return False
    header = reading.peek(places.read(path) if places.is_remote(path) else path)
    return header is not None and header.result


def kind_of(source: Source, kinds: Sequence[Kind]) -> Kind | None:
    """Which of ``kinds`` a source is of; None for a photograph."""
    return next((kind for kind in kinds if kind.suffix(source) is not None), None)


def named(
    sources: Iterable[Source], max_pixels: int = reading.MAX_PIXELS, *, stdin: bool = True
) -> list[Source]:
    """The sources, with a suffix for the results of those whose names have none that is known.

    It is that of a format which holds what the file holds. For it, ``stdin`` is read.
    """

    def tells(source: Source) -> bool:
        return (
            ending(source.relative) in writing.READABLE
            or bool(source.suffix)
            or source.error is not None
            or (source.path == STREAM and not stdin)
        )

    return [source if tells(source) else _suffixed(source, max_pixels) for source in sources]


def _suffixed(source: Source, max_pixels: int) -> Source:
    if is_special(source.path):  # a pipe, whose turn comes
        return source
    try:
        if source.path == STREAM:
            source = replace(source, data=read(source))
        data = read(source) if places.is_remote(source.path) else source.data
        header = reading.peek(source.path if data is None else data)
        if header is None or header.single:
            return source
        document = reading.decode(read(source), source.path, max_pixels=max_pixels)
    except (DataError, OSError):  # said when its turn comes
        return source
    return replace(source, suffix=writing.FORMATS[writing.holding(document)].suffixes[0])


@dataclass(frozen=True)
class Request:
    """What to colour and where to, as a command line says it.

    ``listed`` names are taken literally; of all, only those in ``shard`` are coloured, and
    with ``sidecars`` files of hints are no photographs. See
    ``files.inputs.find`` and ``files.outputs.plan``.
    """

    inputs: Sequence[str]
    output: str | None = None
    listed: Iterable[str] = ()
    recursive: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    model: str = "default"
    shard: Shard | None = None
    sidecars: bool = False

    def names(self, config: PredictConfig, kinds: Sequence[Kind] = ()) -> Names:
        """What results are called; raises ``UsageError`` for a format that is not to be had."""
        if config.format is not None:
            writing.check_format(config.format, f"--format {config.format}")
        suffix = config.format and writing.FORMATS[config.format].suffixes[0]
        others = {known: copy for kind in kinds for known, copy in kind.copies.items()}
        copies = {**writing.READABLE, **others}
        return Names(self.output, suffix, copies, Path(self.model).name, others)

    @property
    def existing(self) -> Existing:
        """What becomes of results that are there."""
        return "replace" if self.overwrite else "skip" if self.skip_existing else "refuse"


def sought(request: Request, config: PredictConfig, kinds: Sequence[Kind] = ()) -> Found:
    """The photographs, and pictures of other ``kinds``, that a request means."""
    known = [*writing.READABLE, *(suffix for kind in kinds for suffix in kind.found)]
    return find(
        request.inputs, known, listed=request.listed, recursive=request.recursive,
        leave_out=output_folder(request.output), results=config.again,
    )  # fmt: skip


def planned(
    request: Request, config: PredictConfig, kinds: Sequence[Kind] = ()
) -> tuple[Found, list[Job]]:
    """What was found, and a job for each photograph, and for each picture of other ``kinds``.

    Raises ``UsageError`` for outputs that cannot be, before any work, and ``DataError`` for a
    stdin that is wanted and closed.
    """
    names = request.names(config, kinds)
    found = sought(request, config, kinds)
    if request.shard:
        mine = tuple(path for path in found.results if request.shard.holds(path))
        found = replace(found, results=mine, others=0)
    jobs = jobs_for(found.entries, request, names, config, kinds=kinds)
    if config.scans.explain is not None:
        byproducts.check(jobs, config.scans.explain)
    if config.confidence is not None:
        confidence_maps.check(
            jobs, config.confidence, replace=request.overwrite or request.skip_existing
        )
    return found, jobs


def jobs_for(
    entries: Sequence[Source], request: Request, names: Names, config: PredictConfig, *,
    refuse: bool = True, kinds: Sequence[Kind] = (),
) -> list[Job]:  # fmt: skip
    """A job for each photograph of ``entries``; raises as ``planned``. ``refuse``: see ``plan_part``."""
    format, output = config.format, request.output
    if request.sidecars:
        entries = [entry for entry in entries if not is_sidecar(entry.path)]
    others: dict[str, Kind] = {}
    if kinds:
        entries = list(entries)
        for at, source in enumerate(entries):
            if kind := kind_of(source, kinds):
                others[source.path] = kind
                entries[at] = replace(source, suffix=kind.suffix(source) or "")
    if format is None and output != STREAM:
        entries = named(entries, config.max_pixels, stdin=output is not None)
    jobs = plan_part(
        entries, names, shard=request.shard, existing=request.existing,
        is_result=(lambda path: False) if config.again else lambda path: is_result(path, kinds),
        refuse=refuse,
    )  # fmt: skip
    judged = {""}
    for job in jobs:
        suffix = ending(job.target)
        if kind := others.get(job.source.path) if job.todo else None:
            kind.check(job)
        elif suffix not in judged and job.todo and job.target != STREAM:
            judged.add(suffix)
            known = agreed(job.target, format, writing.SUFFIXES.get(suffix))
            if known is None and not is_special(job.target):
                writing.format_of(job.target)  # raises, with what is known
    return jobs


ALONE = "films are coloured by one machine, with all its cores; leave --engine ray out for them"


def streamed(request: Request, config: PredictConfig, others: Sequence[Kind] = ()) -> Iterator[Job]:
    """``planned`` for photographs without end: jobs as they are found, a folder's at a time.

    Pictures of ``others`` come as failures: nobody would miss what is passed over in silence.
    What ``planned`` refuses costs here only the photograph whose result would be in another's
    way. Of those before it, 16 bytes each are kept.
    """
    names, identity, taken = request.names(config), Identity(), _Taken()
    known = [*writing.READABLE, *(suffix for kind in others for suffix in kind.found)]
    found = stream(
        request.inputs, known, listed=request.listed, recursive=request.recursive,
        leave_out=output_folder(request.output),
    )  # fmt: skip
    for _, group in itertools.groupby(found, lambda source: os.path.dirname(source.relative)):
        sources: dict[str, Source] = {}
        for source in group:
            if source.error is None and kind_of(source, others):
                source = replace(source, error=ALONE)
            key = f"\0{source.path}" if source.error is not None else identity(source.path)
            sources.setdefault(key, source)
        kept, left = list(sources.values()), list[str]()
        if not config.again:
            kept, left = without_results(kept, identity)
        yield from (Job(Source(path, path), "", result=True) for path in left)
        yield from taken.told(jobs_for(kept, request, names, config, refuse=False))


class _Taken:
    """Which results have a photograph already, for a hundred million of them."""

    def __init__(self) -> None:
        self._folders: dict[str, tuple[array.array[int], array.array[int]]] = {}

    def told(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """The jobs, an error in those whose result another photograph has, and no job twice."""
        before: dict[str, dict[int, int]] = {}
        for job in jobs:
            if job.source.error is not None or job.result:
                yield job
                continue
            folder, _, name = job.target.rpartition(os.sep)
            if folder not in before:
                before[folder] = dict(zip(*self._folders.get(folder, ((), ())), strict=True))
            target, source = _hashed(name), _hashed(job.source.path)
            owner = before[folder].get(target)
            if owner is None:
                names, owners = self._folders.setdefault(
                    folder, (array.array("Q"), array.array("Q"))
                )
                names.append(target)
                owners.append(source)
                yield job
            elif owner != source:  # else it was named twice
                error = f"{job.target}: another photograph would go there, too; name them apart"
                yield Job(replace(job.source, error=error), "")


def _hashed(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "big")
