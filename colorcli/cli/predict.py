"""``colorize predict``: photographs in, the same in colour out."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Optional

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
from colorcli.config import NamesConfig, PredictConfig
from colorcli.errors import ExitCode, UsageError
from colorcli.network.decoding import Knobs

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.colorizing.result import Result
    from colorcli.files.inputs import Found
    from colorcli.files.outputs import Job

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
@configured(PredictConfig)
@configured(NamesConfig, "names")
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
    config: PredictConfig,
    knobs: Knobs,
) -> None:
    """Colour photographs at full resolution."""
    if not inputs and names.files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or - for stdin")
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing contradict each other")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    if names.files_from == "-" and "-" in (inputs or []):
        raise UsageError("stdin cannot be both a photograph and the list of --files-from")
    knobs.suiting(distribution=True)  # whatever the model: what no model takes
    from colorcli.colorizing import intake

    request = intake.Request(
        inputs or [], output, listed=listed(names), recursive=names.recursive,
        overwrite=overwrite, skip_existing=skip_existing, model=model,
    )  # fmt: skip
    found, jobs = intake.planned(request, config)
    if json and _piped(jobs):
        raise UsageError("--json and a picture cannot share stdout; give -o FILE")
    told = _Told(found, json, quiet, verbose)
    if dry_run:
        from colorcli.colorizing.predict import foretold

        for result in foretold(jobs, config):
            told(result)
    else:
        _colour(context, jobs, config, told, lambda: _opened(model, knobs, config.device))
    if failed := told.counts.get("failed"):
        raise typer.Exit(ExitCode.PARTIAL if sum(told.counts.values()) > failed else ExitCode.DATA)


def _opened(model: str, knobs: Knobs, device: str) -> Colorizer:
    from colorcli.colorizing.colorizer import Colorizer

    return Colorizer(model, knobs, device=device)


def _piped(jobs: Sequence[Job]) -> bool:
    """Whether a picture goes down stdout."""
    return any(job.target == "-" for job in jobs)


def _colour(
    context: typer.Context, jobs: Sequence[Job], config: PredictConfig, told: _Told,
    model: Callable[[], Colorizer],
) -> None:  # fmt: skip
    """Colour, and tell of each and of all; ``model`` is opened where there is something to do."""
    from colorcli.colorizing.predict import predict as run

    todo = sum(job.todo for job in jobs)
    colorizer = model() if todo else None
    # A live line only where it cannot tear JSON on the same terminal.
    live = todo > 1 and not (told.json and sys.stdout is not None and sys.stdout.isatty())
    began = time.monotonic()
    try:
        with (
            terminal.progress("colouring", told.quiet or not live) as bar,
            context.obj.deferred() as stop,
        ):
            for result in run(jobs, colorizer, config, progress=bar, stop=stop):
                told(result)
    except KeyboardInterrupt as error:
        terminal.say(
            f"colorize: interrupted; {told.kept(todo)}; --skip-existing goes on from there"
        )
        raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
    if not told.quiet and not _piped(jobs) and (line := told.summary(time.monotonic() - began)):
        terminal.say(f"colorize: {line}")


class _Told:
    """What the user is told of each result, and what of all."""

    def __init__(self, found: Found, json: bool, quiet: bool, verbose: bool) -> None:
        self.json, self.quiet, self.verbose = json, quiet, verbose
        self.counts: dict[str, int] = {}
        self._finished: list[str] = []
        self._others = found.others
        for path in found.results:
            self._left(path)

    def _count(self, status: str) -> None:
        self.counts[status] = self.counts.get(status, 0) + 1

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
        if result.output is not None and result.status in ("done", "kept"):
            self._finished.append(result.output)
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

    def kept(self, todo: int) -> str:
        """What an interrupted run leaves, by name."""
        names = ", ".join(self._finished[:20]) + (", …" if len(self._finished) > 20 else "")
        count = f"{len(self._finished)} of {todo} are finished and kept"
        return f"{count}: {names}" if names else count

    def summary(self, seconds: float) -> str | None:
        """One line; where there was one photograph, where it went. None where all is said."""
        counts, others = self.counts, self._others
        if counts == {"failed": 1}:
            return None
        if counts == {"done": 1} and not others:
            return self._finished[0]
        parts = [f"{counts.get('done', 0)} coloured"]
        parts += [f"{counts[s]} {s}" for s in ("kept", "skipped", "failed") if counts.get(s)]
        if results := counts.get("result"):
            parts.append(f"{results} earlier results left out (--again colours them)")
        if others:
            what = "file with another suffix" if others == 1 else "files with other suffixes"
            parts.append(f"{others} {what} left alone")
        count = len(self._finished)
        rate = f", {count / seconds:.1f}/s" if count > 1 else ""
        return f"{', '.join(parts)} in {seconds:.1f} s{rate}"
