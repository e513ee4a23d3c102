"""``colorize prepare``: one command for each kind of source, and what they share."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import (
    Json,
    Output,
    Quiet,
    configured,
    listed,
)
from colorcli.config.calls import EngineConfig, NamesConfig
from colorcli.config.prepare import PrepareConfig
from colorcli.data.sources.common import Source
from colorcli.data.sources.folder import Folder
from colorcli.data.sources.table import SOURCES
from colorcli.system.errors import ExitCode, UsageError
from colorcli.system.files.places import is_folder, is_remote

if TYPE_CHECKING:
    from colorcli.data.workers import Samples

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    help="Turn photographs into training shards.",
)  # fmt: skip


def _prepare(
    source: Source, output: str, config: PrepareConfig, where: EngineConfig, *,
    json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Prepare what a source holds, and report. Exits 5 where an input names nothing."""
    from colorcli.data.blocks import REPORT
    from colorcli.data.dataset import INDEX
    from colorcli.data.prepare import prepare
    from colorcli.system.files.delivery import placed

    found = source.photographs()
    if found.missing:
        terminal.say(
            f"colorize: {len(found.missing)} photographs are not on disk, e.g. {found.missing[0]}"
        )
    failures = 0

    def paths() -> Iterator[str]:
        nonlocal failures
        for file in found.files:
            if file.error:
                failures += 1
                terminal.say(f"colorize: {file.path}: {file.error}")
            else:
                yield file.path

    with (
        placed(output, last=(REPORT, INDEX)) as folder,
        _engine(where) as samples,
        terminal.progress("preparing", quiet) as bar,
    ):
        result = prepare(
            paths(), folder, config,
            source=found.origin, left_out=found.left_out, samples=samples, progress=bar,
        )  # fmt: skip
    if is_remote(output):
        report = f"{output.rstrip('/')}/{REPORT}"
        result = dataclasses.replace(result, folder=output, report=report)
    for entry in result.broken:
        terminal.say(f"colorize: {entry['path']}: left out: {entry['reason']}")
    if json:
        terminal.emit(result)
    elif not quiet:
        if config.val_fraction and not result.counts["val"]:
            terminal.say(
                f"colorize: {output}: no photograph fell to validation; try --val-fraction"
            )
        terminal.say(f"colorize: {output}: {_summary(result)}")
    if failures:
        raise typer.Exit(ExitCode.PARTIAL)


def _engine(where: EngineConfig) -> contextlib.AbstractContextManager[Samples]:
    """What reads the photographs."""
    if where.engine == "ray":
        from colorcli.extras.scale.prepare import on_ray

        return on_ray(where.address)
    if where.address:
        raise UsageError("--address belongs to --engine ray")
    from colorcli.data.workers import samples_of

    return contextlib.nullcontext(samples_of)


def _summary(result: Any) -> str:
    """What became of the photographs."""
    dropped = "".join(f", {count} {why}" for why, count in result.dropped.items())
    dropped += f"; {result.cropped} cropped of bars" if result.cropped else ""
    dropped += f"; {len(result.sets)} sets" if len(result.sets) > 1 else ""
    resumed = f" ({result.resumed} of them done before)" if result.resumed else ""
    return (
        f"{result.counts['train']} to train, {result.counts['val']} to validate{dropped}{resumed}; "
        f"{result.bytes / 1e6:.0f} MB; left out: {result.report}"
    )


@app.command("folder")
@configured(PrepareConfig)
@configured(NamesConfig, "names")
@configured(EngineConfig, "where")
def prepare_folder(
    output: Output,
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(help="Photographs, folders or globs.", show_default=False),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    names: NamesConfig,
    where: EngineConfig,
    config: PrepareConfig,
) -> None:
    """Any photographs: files, folders, globs. The same command resumes."""
    if not inputs and names.files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or --files-from")
    source = Folder(
        inputs=inputs or [], listed=listed(names), files_from=names.files_from,
        recursive=names.recursive,
    )  # fmt: skip
    roots = tuple(name for name in inputs or [] if is_folder(name))
    config = dataclasses.replace(config, roots=roots)
    _prepare(source, output, config, where, json=json, quiet=quiet)


@contextlib.contextmanager
def _bytes_bar(label: str, quiet: bool) -> Iterator[Any]:
    """A progress bar in megabytes for a core function that counts bytes."""
    with terminal.progress(f"{label} (MB)", quiet) as bar:
        yield bar and (lambda done, total: bar(round(done / 1e6), round(total / 1e6)))


def _command(name: str, kind: type[Source]) -> None:
    """Add the command of a kind of source, whose options are its fields."""

    def prepare_source(
        output: Output, json: Json = False, quiet: Quiet = False, *,
        source: Source, where: EngineConfig, config: PrepareConfig,
    ) -> None:  # fmt: skip
        source.obtain(lambda label: _bytes_bar(label, quiet))
        _prepare(source, output, config, where, json=json, quiet=quiet)

    prepare_source.__doc__ = kind.prepares
    command = configured(kind, "source")(configured(EngineConfig, "where")(prepare_source))
    app.command(name)(configured(PrepareConfig)(command))


for _name, _kind in SOURCES.items():
    if _kind.prepares:
        _command(_name, _kind)
