"""``colorize predict``: photographs in, the same in colour out."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from colorcli.cli.options import (
    Json,
    Model,
    Overwrite,
    Quiet,
    configured,
    listed,
    steerable,
)
from colorcli.cli.running import runs
from colorcli.cli.running.telling import Told
from colorcli.config import (
    BatchConfig,
    EngineConfig,
    FilmConfig,
    HandConfig,
    NamesConfig,
    PredictConfig,
    ScansConfig,
    WatchConfig,
)
from colorcli.errors import ExitCode, UsageError
from colorcli.network.decoding import Knobs

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.colorizing.hand.guidance import Guidance
    from colorcli.colorizing.intake import Request
    from colorcli.files.inputs import Found
    from colorcli.files.outputs import Job
    from colorcli.video.ways import Way

    Ready = Callable[..., Callable[[], Colorizer]]

Photographs = Annotated[
    Optional[list[str]],
    typer.Argument(
        help="Photographs, folders, quoted globs (** too), or - for stdin.", show_default=False
    ),
]
Output = Annotated[
    Optional[str],
    typer.Option(
        "--output", "-o",
        help="Folder, file, - for stdout, or a name with {stem} {ext} {dir} {model} {index}; "
        "a folder's name has no suffix or ends in /. "
        "[default: NAME-color.EXT beside each photograph]",
    ),
]  # fmt: skip
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave existing outputs; resumes a run.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Name each result.")]


@steerable
@configured(WatchConfig, "watching")
@configured(PredictConfig)
@configured(NamesConfig, "names")
@configured(BatchConfig, "batch")
@configured(EngineConfig, "where")
@configured(ScansConfig, "scans")
@configured(FilmConfig, "film")
@configured(HandConfig, "hand")
def predict(
    context: typer.Context,
    inputs: Photographs = None,
    output: Output = None,
    model: Model = "default",
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    *,
    names: NamesConfig,
    batch: BatchConfig,
    where: EngineConfig,
    scans: ScansConfig,
    hand: HandConfig,
    config: PredictConfig,
    film: FilmConfig,
    watching: WatchConfig,
    knobs: Knobs,
) -> None:
    """Colour photographs and films at full resolution."""
    _apart(overwrite=overwrite, skip_existing=skip_existing, quiet=quiet, verbose=verbose)
    _check(inputs or [], names, where, watch=watching.watch, dry_run=dry_run)
    knobs.suiting(distribution=True)  # whatever the model: what no model takes
    _check_hints(hand, watching.watch, where.engine == "ray", film.moving)
    config = replace(config, scans=scans)
    ready = partial(_ready, model, knobs, config, hand)
    if film.raw is not None:
        _alone(inputs != ["-"] or names.files_from or dry_run or json)
        runs.raw(context, output or "-", film, config, ready())
        return
    from colorcli.colorizing import intake
    from colorcli.colorizing.tolerance import Tolerance
    from colorcli.files.places import located
    from colorcli.files.shards import Shard
    from colorcli.video.ways import Way

    way = Way.of(inputs or [], film)
    request = intake.Request(
        way.inputs, located(output), listed=itertools.chain(way.frames, listed(names)),
        recursive=names.recursive,
        overwrite=overwrite, skip_existing=skip_existing, model=model,
        shard=Shard.parse(batch.shard) if batch.shard else None, sidecars=hand.sidecars,
    )  # fmt: skip
    tolerance = Tolerance.parse(batch.max_errors) if batch.max_errors else None
    where = EngineConfig() if dry_run else where
    found, jobs, run = _coming(
        request, config, knobs, ready, where=where, watching=watching, way=way
    )
    _check_hints(hand, films=bool(way.frames) or any(way.is_long(job) for job in jobs))
    _check_beside(scans, run, json)
    told = Told(found, json, quiet, verbose)
    if dry_run:
        way.foretell(jobs, config, told)
    else:
        runs.colour(context, run, told, batch.log, tolerance)
    _end(told.counts)


def _coming(
    request: Request, config: PredictConfig, knobs: Knobs, ready: Ready, *,
    where: EngineConfig, watching: WatchConfig, way: Way,
) -> tuple[Found, list[Job], runs.Run]:  # fmt: skip
    """What was found, the jobs that are known already, and what colours them and others."""
    from colorcli.files.inputs import Found

    if where.engine == "ray":
        from colorcli.scale import predict as cluster

        return Found(()), [], cluster.opened(request, config, knobs, where.address)
    if watching.watch:
        return Found(()), [], runs.Watched(request, config, ready(), watching.settle)
    from colorcli.colorizing.intake import planned

    found, jobs = planned(request, config, way.kinds)
    return found, jobs, runs.Here(jobs, way, config, ready(jobs))


def _apart(**flags: bool) -> None:
    """Raise ``UsageError`` where both of a pair of flags, one after the other, are given."""
    names = [f"--{name.replace('_', '-')}" for name in flags]
    given = list(flags.values())
    for at in range(0, len(names), 2):
        if given[at] and given[at + 1]:
            raise UsageError(f"{names[at]} and {names[at + 1]} contradict each other")


def _check(
    inputs: list[str], names: NamesConfig, where: EngineConfig, *, watch: bool, dry_run: bool
) -> None:
    """Raise ``UsageError`` for what cannot be meant."""
    if watch and (dry_run or where.engine == "ray"):
        raise UsageError("--watch and --dry-run or --engine ray contradict each other")
    if not inputs and names.files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or - for stdin")
    if names.files_from == "-" and "-" in inputs:
        raise UsageError("stdin cannot be both a photograph and the list of --files-from")
    if where.address and where.engine != "ray":
        raise UsageError("--address belongs to --engine ray")


def _check_beside(scans: ScansConfig, run: runs.Run, json: bool) -> None:
    """Raise ``UsageError`` for what cannot be given beside the results."""
    if json and run.piped:
        raise UsageError("--json and a picture cannot share stdout; give -o FILE")
    if scans.split and run.piped:
        raise UsageError("--split writes files, and stdout is one; give -o FILE")
    one = scans.explain is not None and scans.explain.suffix.lower() == ".png"
    if one and run.todo != 1:
        raise UsageError(f"--explain {scans.explain}: one file for many photographs; give a folder")


def _alone(others: object) -> None:
    if others:
        raise UsageError("--raw colours stdin alone: give - and nothing else to colour or tell")


def _check_hints(
    hand: HandConfig, watch: bool = False, ray: bool = False, films: bool = False
) -> None:
    """Raise ``UsageError`` for hints, or a reference, of what is no photograph at hand."""
    if (hand.hint or hand.hints or hand.sidecars) and (watch or ray or films):
        raise UsageError(
            "hints are for photographs that are there already: not for films, frames, --watch or "
            "--engine ray"
        )
    if hand.reference is None and hand.reference_strength != HandConfig.reference_strength:
        raise UsageError("--reference-strength belongs to --reference")
    if hand.reference is not None and ray:
        raise UsageError("--reference is for this machine, not for --engine ray")
    if hand.reference is not None and films and not os.path.isfile(hand.reference):
        raise UsageError(
            f"--reference {hand.reference}: the frames of a film are like one photograph; give a file"
        )


def _end(counts: dict[str, int]) -> None:
    """End with the exit code that failures call for."""
    if failed := counts.get("failed"):
        raise typer.Exit(ExitCode.PARTIAL if sum(counts.values()) > failed else ExitCode.DATA)


def _ready(
    model: str, knobs: Knobs, config: PredictConfig, hand: HandConfig, jobs: Sequence[Job] = ()
) -> Callable[[], Colorizer]:
    """What opens the model, with what is known of the colours of ``jobs``, which is read now."""
    from colorcli.colorizing.hand.guidance import guidance

    known = guidance(hand, [job.source.path for job in jobs if job.todo])
    return partial(_opened, model, knobs, config, known)


def _opened(model: str, knobs: Knobs, config: PredictConfig, known: Guidance) -> Colorizer:
    from colorcli.colorizing.colorizer import Colorizer

    return Colorizer(model, knobs, device=config.device, scans=config.scans, hand=known)
