"""``colorize predict``: photographs in, the same in colour out."""

from __future__ import annotations

import itertools
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
from colorcli.cli.running import refusals, runs
from colorcli.cli.running.refusals import Asked
from colorcli.cli.running.telling import Told
from colorcli.config.calls import BatchConfig, EngineConfig, NamesConfig
from colorcli.config.predict import FilmConfig, HandConfig, PredictConfig, ScansConfig, WatchConfig
from colorcli.network.decoding import Knobs
from colorcli.system.errors import ExitCode

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.colorizing.hand.guidance import Guidance
    from colorcli.colorizing.intake import Request
    from colorcli.extras.video.ways import Way
    from colorcli.system.files.inputs import Found
    from colorcli.system.files.outputs import Job

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
    config = replace(config, scans=scans)
    flags = {
        "--overwrite": overwrite, "--skip-existing": skip_existing, "--dry-run": dry_run,
        "--json": json, "--quiet": quiet, "--verbose": verbose, "--watch": watching.watch,
    }  # fmt: skip
    asked = Asked(
        inputs=inputs or [], flags=flags, names=names, batch=batch, where=where, hand=hand,
        film=film, config=config,
    )  # fmt: skip
    refusals.call(asked)
    knobs.suiting(distribution=True)  # whatever the model: what no model takes
    from colorcli.extras.video.ways import Way

    way = Way.of(inputs or [], film)
    ready = partial(_ready, model, knobs, config, hand, way=way)
    refusals.moving(asked, frames=way.frames)
    if film.raw is not None:
        runs.raw(context, output or "-", film, config, ready())
        return
    _warm(dry_run)
    from colorcli.colorizing.tolerance import Tolerance

    request = _request(asked, way, output, model)
    tolerance = Tolerance.parse(batch.max_errors) if batch.max_errors else None
    asked = replace(asked, where=EngineConfig()) if dry_run else asked
    found, jobs, run = _coming(asked, request, knobs, ready, settle=watching.settle, way=way)
    films = asked.particular and any(way.is_long(job) for job in jobs)
    refusals.moving(asked, films=films)
    if not (films or way.sequence) and any(job.todo for job in jobs):
        refusals.photographs(asked)
    refusals.beside(asked, run)
    told = Told(found, json, quiet, verbose)
    if dry_run:
        way.foretell(jobs, config, told)
    else:
        runs.colour(context, run, told, batch.log, tolerance)
    _end(told.counts)


def _request(asked: Asked, way: Way, output: str | None, model: str) -> Request:
    """What is to be found, and where its colours go."""
    from colorcli.colorizing import intake
    from colorcli.system.files.places import located
    from colorcli.system.files.shards import Shard

    shard = asked.batch.shard
    return intake.Request(
        way.inputs, located(output), listed=itertools.chain(way.frames, listed(asked.names)),
        recursive=asked.names.recursive, overwrite=asked.flags["--overwrite"],
        skip_existing=asked.flags["--skip-existing"], model=model,
        shard=Shard.parse(shard) if shard else None, sidecars=asked.hand.sidecars,
    )  # fmt: skip


def _coming(
    asked: Asked, request: Request, knobs: Knobs, ready: Ready, *, settle: float, way: Way
) -> tuple[Found, list[Job], runs.Run]:
    """What was found, the jobs that are known already, and what colours them and others."""
    from colorcli.system.files.inputs import Found

    if asked.ray:
        from colorcli.extras.scale import predict as cluster

        at = asked.where.address
        run = cluster.opened(request, asked.config, knobs, at, others=way.kinds)
        return Found(()), [], run
    if asked.flags["--watch"]:
        return Found(()), [], runs.Watched(request, way, asked.config, ready(), settle)
    from colorcli.colorizing.intake import planned

    found, jobs = planned(request, asked.config, way.kinds)
    return found, jobs, runs.Here(jobs, way, asked.config, ready(jobs))


def _warm(dry_run: bool) -> None:
    """Have OpenCV's tables made while all else is loaded."""
    if not dry_run:
        from colorcli.color.lab import tables

        tables()


def _end(counts: dict[str, int]) -> None:
    """End with the exit code that failures call for."""
    failed, short = counts.get("failed", 0), counts.get("short", 0)
    if failed or short:
        raise typer.Exit(ExitCode.PARTIAL if sum(counts.values()) > failed else ExitCode.DATA)


def _ready(
    model: str, knobs: Knobs, config: PredictConfig, hand: HandConfig,
    jobs: Sequence[Job] = (), *, way: Way,
) -> Callable[[], Colorizer]:  # fmt: skip
    """What opens the model, with what is known of the colours of ``jobs``, which is read now.

    Frames that are done have their say, too.
    """
    from colorcli.colorizing.hand.guidance import guidance

    paths = [job.source.path for job in jobs if job.todo or way.sequence]
    known = guidance(hand, paths, frames=way.sequence, films=way.upright)
    return partial(_opened, model, knobs, config, known)


def _opened(model: str, knobs: Knobs, config: PredictConfig, known: Guidance) -> Colorizer:
    from colorcli.colorizing.colorizer import Colorizer

    return Colorizer(model, knobs, device=config.device, scans=config.scans, hand=known)
