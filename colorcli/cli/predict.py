"""``colorize predict``: photographs in, the same in colour out."""

from __future__ import annotations

import datetime
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional, Protocol

import typer

from colorcli.cli import terminal
from colorcli.cli.options import (
    Json,
    Model,
    Overwrite,
    Quiet,
    configured,
    listed,
    steerable,
)
from colorcli.config import (
    BatchConfig,
    EngineConfig,
    NamesConfig,
    PredictConfig,
    ScansConfig,
    WatchConfig,
)
from colorcli.errors import ExitCode, UsageError
from colorcli.network.decoding import Knobs

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.colorizing.intake import Request
    from colorcli.colorizing.result import Result
    from colorcli.colorizing.tolerance import Tolerance
    from colorcli.files.inputs import Found
    from colorcli.files.journal import Journal
    from colorcli.files.outputs import Job

    Progress = Callable[..., None] | None

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


@steerable
@configured(WatchConfig, "watching")
@configured(PredictConfig)
@configured(NamesConfig, "names")
@configured(BatchConfig, "batch")
@configured(EngineConfig, "where")
@configured(ScansConfig, "scans")
def predict(
    context: typer.Context,
    inputs: Photographs = None,
    output: Output = None,
    model: Model = "default",
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave existing outputs; resumes a run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name each result.")] = False,
    *,
    names: NamesConfig,
    batch: BatchConfig,
    where: EngineConfig,
    scans: ScansConfig,
    config: PredictConfig,
    watching: WatchConfig,
    knobs: Knobs,
) -> None:
    """Colour photographs at full resolution."""
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing contradict each other")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    _check(inputs or [], names, where, watch=watching.watch, dry_run=dry_run)
    config = replace(config, scans=scans)
    knobs.suiting(distribution=True)  # whatever the model: what no model takes
    from colorcli.colorizing import intake
    from colorcli.colorizing.tolerance import Tolerance
    from colorcli.files.inputs import Found
    from colorcli.files.places import located
    from colorcli.files.shards import Shard

    request = intake.Request(
        inputs or [], located(output), listed=listed(names), recursive=names.recursive,
        overwrite=overwrite, skip_existing=skip_existing, model=model,
        shard=Shard.parse(batch.shard) if batch.shard else None,
    )  # fmt: skip
    tolerance = Tolerance.parse(batch.max_errors) if batch.max_errors else None
    opened = partial(_opened, model, knobs, config)
    run: _Run
    if where.engine == "ray" and not dry_run:
        from colorcli.scale import predict as cluster

        found, run = Found(()), cluster.opened(request, config, knobs, where.address)
    elif watching.watch:
        found, run = Found(()), _Watched(request, config, opened, watching.settle)
    else:
        found, jobs = intake.planned(request, config)
        run = _Here(jobs, config, opened)
    _check_beside(scans, run, json)
    told = _Told(found, json, quiet, verbose)
    if dry_run:
        _foretell(jobs, config, told)
    else:
        _colour(context, run, told, batch.log, tolerance)
    _end(told.counts)


def _foretell(jobs: Sequence[Job], config: PredictConfig, told: _Told) -> None:
    """Tell what would be done."""
    from colorcli.colorizing.predict import foretold

    for result in foretold(jobs, config):
        told(result)


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


def _check_beside(scans: ScansConfig, run: _Run, json: bool) -> None:
    """Raise ``UsageError`` for what cannot be given beside the results."""
    if json and run.piped:
        raise UsageError("--json and a picture cannot share stdout; give -o FILE")
    if scans.split and run.piped:
        raise UsageError("--split writes files, and stdout is one; give -o FILE")
    one = scans.explain is not None and scans.explain.suffix.lower() == ".png"
    if one and run.todo != 1:
        raise UsageError(f"--explain {scans.explain}: one file for many photographs; give a folder")


def _end(counts: dict[str, int]) -> None:
    """End with the exit code that failures call for."""
    if failed := counts.get("failed"):
        raise typer.Exit(ExitCode.PARTIAL if sum(counts.values()) > failed else ExitCode.DATA)


def _opened(model: str, knobs: Knobs, config: PredictConfig) -> Colorizer:
    from colorcli.colorizing.colorizer import Colorizer

    return Colorizer(model, knobs, device=config.device, scans=config.scans)


def _journal(path: str | None) -> Any:
    from colorcli.files.journal import journal

    return journal(path)


class _Run(Protocol):
    """Photographs to colour. ``todo``: how many, as far as anybody knows."""

    todo: int | None
    piped: bool  # a picture goes down stdout
    remark: str | None  # what else is to be said of a run, at its end
    endless: bool  # so that a signal is its good end

    def __call__(
        self, *, progress: Progress = None, stop: Event | None = None, drop: Event | None = None
    ) -> Iterator[Result]:
        """Colour them; see ``colorizing.predict.predict``."""


class _Here:
    """Photographs coloured by this process; ``model`` is opened where there is something to do."""

    endless = False

    def __init__(
        self, jobs: Sequence[Job], config: PredictConfig, model: Callable[[], Colorizer]
    ) -> None:
        self.todo: int | None = sum(job.todo for job in jobs)
        self.piped = any(job.target == "-" for job in jobs)
        self.remark: str | None = None
        self._jobs, self._config, self._model = jobs, config, model

    def __call__(
        self, *, progress: Progress = None, stop: Event | None = None, drop: Event | None = None
    ) -> Iterator[Result]:
        from colorcli.colorizing.predict import predict

        model = self._model() if self.todo else None
        return predict(self._jobs, model, self._config, progress=progress, stop=stop, drop=drop)


class _Watched:
    """Photographs that arrive in folders, until a signal says stop."""

    endless, piped = True, False
    todo: int | None = None
    remark: str | None = None

    def __init__(
        self, request: Request, config: PredictConfig, model: Callable[[], Colorizer], settle: float
    ) -> None:
        self._request, self._config, self._model = request, config, model
        self._settle = settle

    def __call__(
        self, *, progress: Progress = None, stop: Event | None = None, drop: Event | None = None
    ) -> Iterator[Result]:
        from colorcli.colorizing.watch import watch

        assert stop is not None
        return watch(self._request, self._model, self._config, stop=stop, settle=self._settle)


def _colour(
    context: typer.Context, run: _Run, told: _Told, log: str | None, tolerance: Tolerance | None
) -> None:
    """Colour, and tell of each and of all."""
    # A live line only where it cannot tear JSON on the same terminal.
    live = (
        run.todo != 1
        and not run.endless
        and not (told.json and sys.stdout is not None and sys.stdout.isatty())
    )
    began = time.monotonic()
    if run.endless and not told.quiet:
        terminal.say("colorize: watching; Ctrl-C ends it")
    try:
        with (
            _journal(log) as told.log,
            terminal.progress("colouring", told.quiet or not live) as bar,
            context.obj.deferred() as stop,
        ):
            for result in run(progress=bar, stop=stop, drop=context.obj.drop):
                told(result)
                if tolerance and tolerance.exceeded(told.counts.get("failed", 0), told.tried):
                    stop.set()
    except KeyboardInterrupt as error:
        if run.endless:
            _summed(told, began)
            raise typer.Exit from None
        terminal.say(
            f"colorize: interrupted; {told.kept(run.todo)}; --skip-existing goes on from there"
        )
        raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
    if run.remark and not told.quiet:
        terminal.say(f"colorize: {run.remark}")
    if not run.piped:
        _summed(told, began)
    if tolerance and tolerance.exceeded(told.counts.get("failed", 0), told.tried):
        terminal.say(
            f"colorize: stopped: more failed than --max-errors {tolerance.text}; "
            "--skip-existing goes on from there"
        )


def _summed(told: _Told, began: float) -> None:
    """The line at the end of a run."""
    if not told.quiet and (line := told.summary(time.monotonic() - began)):
        terminal.say(f"colorize: {line}")


NAMED = 20  # results that an interrupted run names


def _now() -> str:
    """The time as logs have it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


class _Told:
    """What the user is told of each result, and what of all."""

    def __init__(self, found: Found, json: bool, quiet: bool, verbose: bool) -> None:
        self.json, self.quiet, self.verbose = json, quiet, verbose
        self.counts: dict[str, int] = {}
        self.log: Journal | None = None
        self._first: list[str] = []  # results to name; there may be a million
        self._others = found.others
        for path in found.results:
            self._left(path)

    def _count(self, status: str) -> None:
        self.counts[status] = self.counts.get(status, 0) + 1

    @property
    def tried(self) -> int:
        """Photographs that were worked on."""
        return sum(self.counts.get(status, 0) for status in ("done", "kept", "failed"))

    @property
    def _finished(self) -> int:
        return self.counts.get("done", 0) + self.counts.get("kept", 0)

    def _left(self, path: str) -> None:
        self._count("result")
        if self.verbose:
            terminal.say(f"colorize: {path}: left out, the result of an earlier run")

    def __call__(self, result: Result) -> None:
        """Tell of one."""
        if result.status == "result":
            self._left(result.input)
            return
        self._count(result.status)
        finished = result.output is not None and result.status in ("done", "kept")
        if finished and len(self._first) < NAMED:
            self._first.append(result.output or "")
        if self.log:
            self.log.add(terminal.document({**terminal.plain(result), "time": _now()}))
        if self.json:
            terminal.emit(result)
        elif result.status == "planned":
            terminal.show(f"{result.input} -> {result.output}")
        for note in () if self.quiet else result.notes:
            terminal.say(f"colorize: {result.input}: {note}")
        if result.error:
            terminal.say(f"colorize: {result.error}")
        elif self.verbose:
            spent = "  ".join(f"{stage} {ms:.0f}" for stage, ms in result.milliseconds.items())
            terminal.say(
                f"colorize: {result.status}: {result.input} -> {result.output}"
                + (f"  {result.width} × {result.height}  ms: {spent}" if spent else "")
            )

    def kept(self, todo: int | None) -> str:
        """What an interrupted run leaves, by name."""
        names = ", ".join(self._first) + (", …" if self._finished > NAMED else "")
        of = "" if todo is None else f" of {todo}"
        count = f"{self._finished}{of} are finished and kept"
        return f"{count}: {names}" if names else count

    def summary(self, seconds: float) -> str | None:
        """One line; where there was one photograph, where it went. None where all is said."""
        counts, others = self.counts, self._others
        if counts == {"failed": 1}:
            return None
        if counts == {"done": 1} and not others:
            return self._first[0]
        parts = [f"{counts.get('done', 0)} coloured"]
        parts += [f"{counts[s]} {s}" for s in ("kept", "skipped", "failed") if counts.get(s)]
        if results := counts.get("result"):
            parts.append(f"{results} earlier results left out (--again colours them)")
        if others:
            what = "file with another suffix" if others == 1 else "files with other suffixes"
            parts.append(f"{others} {what} left alone")
        count = self._finished
        rate = f", {count / seconds:.1f}/s" if count > 1 else ""
        return f"{', '.join(parts)} in {seconds:.1f} s{rate}"
