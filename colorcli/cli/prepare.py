"""``colorize prepare``: one command for each kind of source, and what they share."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import (
    FilesFrom,
    Json,
    Limit,
    Nul,
    Output,
    Quiet,
    Recursive,
    Seed,
    extended,
    items,
    listed,
)
from colorcli.config import RIM_CHOICES, PrepareConfig
from colorcli.data.sources import Coco, Folder, Source
from colorcli.errors import ExitCode, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:  # a checker cannot read choices from a table
    from colorcli.data.prepare import Prepared

    Rims = str
else:
    Rims = Literal[tuple(RIM_CHOICES)]

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Turn photographs into training shards."
)


def _prepare(
    source: Source, output: str, config: PrepareConfig, *, json: bool, quiet: bool
) -> None:
    """Prepare what a source holds, and say what came of it. Exits 5 where an input names nothing."""
    from colorcli.data.prepare import prepare

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

    with terminal.progress("preparing", quiet) as bar:
        result = prepare(
            paths(), output, config,
            source=found.origin, missing=found.missing, bad=found.bad, progress=bar,
        )  # fmt: skip
    _tell(result, output, config, json=json, quiet=quiet)
    if failures:
        raise typer.Exit(ExitCode.PARTIAL)


def _tell(result: Prepared, output: str, config: PrepareConfig, *, json: bool, quiet: bool) -> None:
    for entry in result.broken:
        terminal.say(f"colorize: {entry['path']}: left out: {entry['reason']}")
    if json:
        terminal.emit(result)
    elif not quiet:
        if config.val_fraction and not result.counts["val"]:
            terminal.say(
                f"colorize: {output}: no photograph fell to validation; try --val-fraction"
            )
        dropped = "".join(f", {count} {why}" for why, count in result.dropped.items())
        dropped += f"; {result.cropped} cropped of bars" if result.cropped else ""
        dropped += f"; {len(result.sets)} sets" if len(result.sets) > 1 else ""
        resumed = f" ({result.resumed} of them done before)" if result.resumed else ""
        terminal.say(
            f"colorize: {output}: {result.counts['train']} to train, {result.counts['val']} to "
            f"validate{dropped}{resumed}; {result.bytes / 1e6:.0f} MB; left out: {result.report}"
        )


def _preparing(command: Any) -> Any:
    """Decorator: a command with the options of preparation, given as ``config``."""
    options = {
        "size": Annotated[
            int, typer.Option(min=32, help="Short side of the stored pictures, in pixels.")
        ],
        "min_side": Annotated[
            int, typer.Option(min=1, help="Leave out pictures with a shorter side.")
        ],
        "min_chroma": Annotated[
            float, typer.Option(min=0, help="Mean chroma below which one is gray.")
        ],
        "min_spread": Annotated[
            float,
            typer.Option(
                min=0, help="Spread of colours below which one of a single hue is toned (sepia)."
            ),
        ],
        "rims": Annotated[
            Rims,
            typer.Option(help="Letterboxed pictures and those with a margin: crop, leave out, keep."),
        ],
        "duplicate_distance": Annotated[
            int,
            typer.Option(
                min=-1, max=16,
                help="Bits of 64 in which copies may differ; -1: only equal files are copies.",
            ),
        ],
        "val_fraction": Annotated[
            float, typer.Option(min=0, max=1, help="Share kept for validation.")
        ],
        "limit": Limit,
        "seed": Seed,
        "workers": Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")],
    }  # fmt: skip
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation,
            default=getattr(PrepareConfig, name),
        )
        for name, annotation in options.items()
    ]  # fmt: skip
    return extended(command, parameters, "config", lambda values: PrepareConfig(**values))


@app.command("folder")
@_preparing
def prepare_folder(
    output: Output,
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(help="Photographs, folders or globs.", show_default=False),
    ] = None,
    recursive: Recursive = False,
    files_from: FilesFrom = None,
    nul: Nul = False,
    json: Json = False,
    quiet: Quiet = False,
    *,
    config: PrepareConfig,
) -> None:
    """Any photographs: files, folders, globs. The same command resumes."""
    if not inputs and files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or --files-from")
    source = Folder(
        inputs=inputs or [], listed=listed(files_from, nul), files_from=files_from,
        recursive=recursive,
    )  # fmt: skip
    roots = tuple(name for name in inputs or [] if os.path.isdir(name))
    _prepare(source, output, dataclasses.replace(config, roots=roots), json=json, quiet=quiet)


@contextlib.contextmanager
def _bytes_bar(label: str, quiet: bool) -> Iterator[Any]:
    """A progress bar in megabytes for a core function that counts bytes."""
    with terminal.progress(f"{label} (MB)", quiet) as bar:
        yield bar and (lambda done, total: bar(round(done / 1e6), round(total / 1e6)))


@app.command("coco")
@_preparing
def prepare_coco(
    output: Output,
    root: Annotated[str, typer.Option(help="Holds SPLIT/ and annotations/.")] = ".",
    split: Annotated[
        str, typer.Option(help="Folder of photographs below the root: train2017, val2017, yours.")
    ] = "train2017",
    annotations: Annotated[
        Optional[str], typer.Option(help="[default: ROOT/annotations/instances_SPLIT.json]")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch and unpack what the root lacks; resumes.")
    ] = False,
    remove_archives: Annotated[
        bool, typer.Option("--remove-archives", help="Delete each archive once it is unpacked.")
    ] = False,
    base_url: Annotated[
        Optional[str],
        typer.Option(envvar="COLORIZE_COCO_URL", help="Mirror with zips/ and annotations/."),
    ] = None,
    category: Annotated[str, typer.Option(help="Only these, by name or id: person,dog")] = "",
    match: Annotated[
        Literal["any", "all"], typer.Option(help="Show any, or all, of those categories.")
    ] = "any",
    ignore_crowds: Annotated[
        bool, typer.Option("--ignore-crowds", help="A crowd (iscrowd) shows no category.")
    ] = False,
    license: Annotated[
        str, typer.Option(help="Only photographs under these licence ids: 4,5")
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    *,
    config: PrepareConfig,
) -> None:
    """COCO: photographs that an annotation file names. The same command resumes."""
    licenses = items(license)
    if not all(item.isdecimal() for item in licenses):
        raise UsageError(f"--license {license}: licences are named by their ids, such as 4,5")
    if download:
        from colorcli.data import coco

        coco.obtain(
            root, split, base_url=base_url or coco.BASE_URL, keep=not remove_archives,
            progress=lambda label: _bytes_bar(label, quiet),
        )  # fmt: skip
    source = Coco(
        root=root, split=split, annotations=annotations, categories=items(category), match=match,
        ignore_crowds=ignore_crowds, licenses=tuple(map(int, licenses)),
    )  # fmt: skip
    _prepare(source, output, config, json=json, quiet=quiet)
