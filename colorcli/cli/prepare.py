"""``colorize prepare``: one command for each kind of source, and what they share."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import (
    Json,
    Output,
    Quiet,
    configured,
    items,
    listed,
)
from colorcli.config import CocoConfig, NamesConfig, PrepareConfig
from colorcli.errors import ExitCode, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Turn photographs into training shards."
)


def _prepare(
    paths: Iterable[str],
    output: str,
    config: PrepareConfig,
    *,
    json: bool,
    quiet: bool,
    **about: Any,
) -> None:
    """Prepare and report. ``about`` the photographs: ``source``, ``missing``, ``bad``."""
    from colorcli.data.prepare import prepare

    with terminal.progress("preparing", quiet) as bar:
        result = prepare(paths, output, config, progress=bar, **about)
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
    config: PrepareConfig,
) -> None:
    """Any photographs: files, folders, globs. The same command resumes."""
    if not inputs and names.files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or --files-from")
    from colorcli.files.inputs import stream
    from colorcli.imaging import writing

    failures = 0

    def paths() -> Iterable[str]:
        nonlocal failures
        for source in stream(
            inputs or [], writing.READABLE, listed=listed(names), recursive=names.recursive
        ):
            if source.error:
                failures += 1
                terminal.say(f"colorize: {source.path}: {source.error}")
            else:
                yield source.path

    source = {"kind": "folder", "inputs": inputs or [], "files_from": names.files_from}
    roots = tuple(name for name in inputs or [] if os.path.isdir(name))
    config = dataclasses.replace(config, roots=roots)
    _prepare(paths(), output, config, json=json, quiet=quiet, source=source)
    if failures:
        raise typer.Exit(ExitCode.PARTIAL)


@contextlib.contextmanager
def _bytes_bar(label: str, quiet: bool) -> Iterator[Any]:
    """A progress bar in megabytes for a core function that counts bytes."""
    with terminal.progress(f"{label} (MB)", quiet) as bar:
        yield bar and (lambda done, total: bar(round(done / 1e6), round(total / 1e6)))


@app.command("coco")
@configured(PrepareConfig)
@configured(CocoConfig, "chosen")
def prepare_coco(
    output: Output, json: Json = False, quiet: Quiet = False, *,
    chosen: CocoConfig, config: PrepareConfig,
) -> None:  # fmt: skip
    """COCO: photographs that an annotation file names. The same command resumes."""
    licenses = items(chosen.license)
    if not all(item.isdecimal() for item in licenses):
        raise UsageError(
            f"--license {chosen.license}: licences are named by their ids, such as 4,5"
        )
    from colorcli.data import coco

    root, split = chosen.root, chosen.split
    if chosen.download:
        coco.obtain(
            root, split, base_url=chosen.base_url or coco.BASE_URL,
            keep=not chosen.remove_archives, progress=lambda label: _bytes_bar(label, quiet),
        )  # fmt: skip
    shown = coco.Filter(
        items(chosen.category), chosen.match, not chosen.ignore_crowds, tuple(map(int, licenses))
    )
    annotations = chosen.annotations or f"{root}/annotations/instances_{split}.json"
    found = coco.select(annotations, Path(root) / split, shown)
    if found.missing:
        terminal.say(
            f"colorize: {len(found.missing)} photographs are not on disk, e.g. {found.missing[0]}"
        )
    kept = ("split", "category", "match", "ignore_crowds", "license")
    _prepare(
        found.paths, output, config, json=json, quiet=quiet, missing=found.missing,
        source={"kind": "coco", **{name: getattr(chosen, name) for name in kept}},
        bad=[(name, coco.OUTSIDE) for name in found.outside],
    )  # fmt: skip
