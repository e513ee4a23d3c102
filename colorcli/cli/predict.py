"""``colorize predict``: photographs in, the same in colour out."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import (
    FilesFrom,
    Json,
    Model,
    Nul,
    Overwrite,
    Quiet,
    Recursive,
    listed,
    steerable,
)
from colorcli.config import DEVICES, FORMAT_ALIASES, IMAGE_FORMATS
from colorcli.errors import ExitCode, UsageError
from colorcli.network.decoding import Knobs

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:  # a checker cannot read choices from a table
    from colorcli.files.inputs import Found

    ImageFormat = str
    Device = str
else:
    ImageFormat = Literal[IMAGE_FORMATS + FORMAT_ALIASES]
    Device = Literal[DEVICES]


@steerable
def predict(
    context: typer.Context,
    knobs: Knobs,
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(
            help="Photographs, folders, quoted globs (** too), or - for stdin.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option(
            "--output",
            "-o",
            help="Folder, file, - for stdout, or a name with {stem} {ext} {dir} {model} {index}; "
            "a folder's name has no suffix or ends in /. "
            "[default: NAME-color.EXT beside each photograph]",
        ),
    ] = None,
    recursive: Recursive = False,
    files_from: FilesFrom = None,
    nul: Nul = False,
    model: Model = "default",
    keep_color: Annotated[
        bool, typer.Option("--keep-color", help="Pass on what is in colour already, unchanged.")
    ] = False,
    format: Annotated[
        Optional[ImageFormat],
        typer.Option(help="Format of the outputs. [default: by suffix]", show_default=False),
    ] = None,
    quality: Annotated[
        Optional[int], typer.Option(min=1, max=100, help="Of lossy formats.")
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Leave EXIF, XMP, IPTC and DPI out.")
    ] = False,
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave existing outputs; resumes a run.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Colour results of earlier runs, too.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=0, envvar="COLORIZE_WORKERS", help="Photographs at once; 0: one for each core."
        ),
    ] = 0,
    device: Annotated[
        Device,
        typer.Option(envvar="COLORIZE_DEVICE", help="What runs the network."),
    ] = "auto",
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 512,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name each result.")] = False,
) -> None:
    """Colour photographs at full resolution."""
    if not inputs and files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or - for stdin")
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing contradict each other")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    if files_from == "-" and "-" in (inputs or []):
        raise UsageError("stdin cannot be both a photograph and the list of --files-from")
    knobs.suiting(distribution=True)  # whatever the model: what no model takes
    from colorcli.colorizing import intake
    from colorcli.colorizing.predict import Output, Result, suffix_for
    from colorcli.colorizing.predict import predict as run
    from colorcli.files.inputs import STREAM, Source, find
    from colorcli.files.outputs import agreed, output_folder, plan
    from colorcli.imaging import writing
    from colorcli.system.atomic import is_special

    if format is not None:
        format = writing.format_of(f"--format .{format}")
    options = Output(format, quality, max_megapixels * 1_000_000, strip, keep_color, again=again)
    found = find(
        inputs or [], writing.READABLE, listed=listed(files_from, nul), recursive=recursive,
        leave_out=output_folder(output), results=again,
    )  # fmt: skip
    entries: Sequence[Source] = found.entries
    if format is None and output != STREAM:
        entries = intake.named(entries, options.max_pixels, stdin=output is not None)
    jobs = plan(
        entries, output, suffix=suffix_for(format), copies=writing.READABLE,
        model=Path(model).name, existing="replace" if overwrite else "skip" if skip_existing else "refuse",
        is_result=(lambda path: False) if again else intake.is_result,
    )  # fmt: skip
    for job in jobs:
        if job.todo and job.target != STREAM:
            meant = writing.SUFFIXES.get(os.path.splitext(job.target)[1].lower())
            if agreed(job.target, format, meant) is None and not is_special(job.target):
                writing.format_of(job.target)  # raises, with what is known
    piped = any(job.target == STREAM for job in jobs)
    if piped and json:
        raise UsageError("--json and a picture cannot share stdout; give -o FILE")
    todo = sum(job.todo for job in jobs)
    counts: dict[str, int] = {}
    finished: list[str] = []

    def tell(result: Result) -> None:
        counts[result.status] = counts.get(result.status, 0) + 1
        if result.status == "result":
            if verbose:
                terminal.say(f"colorize: {result.input}: left out, the result of an earlier run")
            return
        if result.output is not None and result.status in ("done", "kept"):
            finished.append(result.output)
        if json:
            terminal.emit(result)
        elif result.status == "planned":
            terminal.show(f"{result.input} -> {result.output}")
        for note in () if quiet else result.notes:
            terminal.say(f"colorize: {result.input}: {note}")
        if result.error:
            terminal.say(f"colorize: {result.error}")
        elif verbose:
            spent = "  ".join(f"{stage} {ms:.0f}" for stage, ms in result.milliseconds.items())
            terminal.say(
                f"colorize: {result.status}: {result.input} -> {result.output}"
                + (f"  {result.width} × {result.height}  ms: {spent}" if spent else "")
            )

    for path in found.results:
        tell(Result(path, None, "result"))
    if dry_run:
        for job in jobs:
            source, target = job.source, job.target
            if source.error:
                tell(Result(source.path, None, "failed", error=f"{source.path}: {source.error}"))
            elif job.result or (job.todo and not again and intake.is_result(source.path)):
                tell(Result(source.path, None, "result"))
            else:
                tell(Result(source.path, target, "skipped" if job.skip else "planned"))
    else:
        colorizer = None
        if todo:
            from colorcli.colorizing.colorizer import Colorizer

            colorizer = Colorizer(model, knobs, device=device)
        # A live line only where it cannot tear JSON on the same terminal.
        live = todo > 1 and not (json and sys.stdout is not None and sys.stdout.isatty())
        began = time.monotonic()
        try:
            with (
                terminal.progress("colouring", quiet or not live) as bar,
                context.obj.deferred() as stop,
            ):
                for result in run(
                    jobs, colorizer, options, workers=workers, progress=bar, stop=stop
                ):
                    tell(result)
        except KeyboardInterrupt as error:
            names = ", ".join(finished[:20]) + (", …" if len(finished) > 20 else "")
            terminal.say(
                f"colorize: interrupted; {len(finished)} of {todo} are finished and kept"
                + (f": {names}" if names else "")
                + "; --skip-existing goes on from there"
            )
            raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
        if not quiet and not piped:
            _summary(counts, finished, found, time.monotonic() - began)
    if counts.get("failed"):
        others = sum(counts.values()) - counts["failed"]
        raise typer.Exit(ExitCode.PARTIAL if others else ExitCode.DATA)


def _summary(counts: dict[str, int], finished: list[str], found: Found, seconds: float) -> None:
    """One line on stderr; where there was one photograph, where it went."""
    if counts == {"failed": 1}:  # said already
        return
    if counts == {"done": 1} and not found.others:
        terminal.say(f"colorize: {finished[0]}")
        return
    parts = [f"{counts.get('done', 0)} coloured"]
    parts += [f"{counts[s]} {s}" for s in ("kept", "skipped", "failed") if counts.get(s)]
    if results := counts.get("result"):
        parts.append(f"{results} earlier results left out (--again colours them)")
    if found.others:
        what = "file with another suffix" if found.others == 1 else "files with other suffixes"
        parts.append(f"{found.others} {what} left alone")
    rate = f", {len(finished) / seconds:.1f}/s" if len(finished) > 1 else ""
    terminal.say(f"colorize: {', '.join(parts)} in {seconds:.1f} s{rate}")
