"""``colorize eval``: what to judge, by what, and how the figures are shown."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import (
    FilesFrom,
    Json,
    Limit,
    Nul,
    Overwrite,
    Quiet,
    Recursive,
    Seed,
    bundled,
    items,
    listed,
    steerable,
)
from colorcli.config import GRAYS, PERCEPTUAL_METRICS, EvalConfig
from colorcli.data.sources import Coco, Folder, Pairs, Prepared, Source
from colorcli.errors import ExitCode, UsageError
from colorcli.network.decoding import Knobs

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:  # a checker cannot read choices from a table
    Gray = str
else:
    Gray = Literal[GRAYS]


@steerable
def evaluate(
    knobs: Knobs,
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(
            help="Colour photographs, folders, globs, or a prepared folder.", show_default=False
        ),
    ] = None,
    recursive: Recursive = False,
    files_from: FilesFrom = None,
    nul: Nul = False,
    coco: Annotated[
        Optional[Path], typer.Option(help="COCO folder: holds SPLIT/ and annotations/.")
    ] = None,
    split: Annotated[
        Optional[str],
        typer.Option(help="Of COCO or a prepared folder. [default: val2017, val]"),
    ] = None,
    annotations: Annotated[
        Optional[str], typer.Option(help="[default: COCO/annotations/instances_SPLIT.json]")
    ] = None,
    category: Annotated[str, typer.Option(help="COCO: only these, by name or id: person,dog")] = "",
    pairs: Annotated[
        Optional[tuple[Path, Path]],
        typer.Option(
            metavar="TRUTH COLOURED",
            show_default=False,
            help="Judge another tool's output: two folders with the same names.",
        ),
    ] = None,
    model: Annotated[
        Optional[list[str]],
        typer.Option(
            "--model",
            "-m",
            autocompletion=bundled,
            show_default=False,
            help="Model name, folder, run or exported file; repeat to compare. "
            "[default: COLORIZE_MODEL, default]",
        ),
    ] = None,
    protocol: Annotated[
        Optional[str],
        typer.Option(
            help=f"squash-SIZE, crop-SIZE or native. [default: {EvalConfig.protocol}-{EvalConfig.size}]",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        Optional[int],
        typer.Option(min=32, help="Side of the judged square.", show_default=False),
    ] = None,
    gray: Annotated[
        Gray,
        typer.Option(help="Gray that is coloured: L of Lab, or BT.601 luma."),
    ] = EvalConfig.gray,
    perceptual: Annotated[
        Optional[list[str]],  # Typer knows no list of choices
        typer.Option(
            "--with",
            autocompletion=lambda incomplete: [
                name for name in PERCEPTUAL_METRICS if name.startswith(incomplete)
            ],
            metavar=f"[{'|'.join(PERCEPTUAL_METRICS)}]",
            show_default=False,
            help="Judge by this too; needs colorcli[perceptual].",
        ),
    ] = None,
    limit: Limit = 0,
    seed: Seed = EvalConfig.seed,
    workers: Annotated[
        int, typer.Option(min=0, envvar="COLORIZE_WORKERS", help="Threads; 0: one for each core.")
    ] = EvalConfig.workers,
    per_image: Annotated[
        Optional[Path], typer.Option(help="Every picture's figures: FILE.csv or FILE.jsonl.")
    ] = None,
    panels: Annotated[
        Optional[Path], typer.Option(help="Folder for gray, predicted, truth side by side.")
    ] = None,
    report_page: Annotated[
        Optional[Path], typer.Option("--report", help="One HTML page with everything.")
    ] = None,
    fail_under: Annotated[
        Optional[list[str]],
        typer.Option(metavar="METRIC=VALUE", help="Exit 5 below it.", show_default=False),
    ] = None,
    fail_over: Annotated[
        Optional[list[str]],
        typer.Option(metavar="METRIC=VALUE", help="Exit 5 above it.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Intervals and medians in the table, too.")
    ] = False,
) -> None:
    """Judge models on colour photographs, beside doing nothing."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    from colorcli.evaluation import evaluate as judging
    from colorcli.evaluation import gates as reached
    from colorcli.evaluation import html_report, metrics, protocols
    from colorcli.evaluation import per_image as records
    from colorcli.imaging import writing
    from colorcli.system.atomic import write_atomic

    name = protocols.named(protocol or EvalConfig.protocol, size).name
    config = EvalConfig(name, gray=gray, seed=seed, workers=workers)
    known = metrics.chosen(perceptual or ())
    gates = [reached.gate(text, known, under=True) for text in fail_under or ()]
    gates += [reached.gate(text, known, under=False) for text in fail_over or ()]
    if report_page:
        records.check_page(report_page)
    if panels:
        records.check_folder(panels, writing.SUFFIXES)
    records.check_writable([per_image, report_page], panels, overwrite=overwrite)
    if per_image:
        records.check(per_image)
    if (annotations or category) and not coco:
        raise UsageError("--annotations and --category belong to --coco")
    source = _source(
        Folder(inputs=inputs or [], listed=list(listed(files_from, nul)), recursive=recursive),
        Coco(
            root=coco, split=split or "val2017", annotations=annotations, categories=items(category)
        ) if coco else None,
        Pairs(truth=pairs[0], coloured=pairs[1]) if pairs else None,
        split,
    )  # fmt: skip
    chosen = source.selection(limit=limit, seed=seed)
    contenders = _contenders(model, knobs, chosen.coloured, pairs)
    known = {name: metric.opened() for name, metric in known.items()}
    for line in (
        *(entry["reason"] for entry in chosen.broken),
        *(f"{path}: missing; left out" for path in chosen.missing),
        *(f"{path}: no true picture has this name; left out" for path in chosen.extra),
    ):
        terminal.say(f"colorize: {line}")
    with contextlib.ExitStack() as stack:
        each = None
        if per_image:
            columns = ["picture", "row", *metrics.by_picture(known)]
            write = stack.enter_context(records.writer(per_image, columns))
            each = lambda picture, row, figures: write(  # noqa: E731
                {"picture": picture, "row": row, **figures}
            )
        bar = stack.enter_context(terminal.progress("judging", quiet))
        result = judging.evaluate(
            chosen, contenders, config, metrics=known, panels=panels, each=each, progress=bar,
        )  # fmt: skip
    summary = result.summary
    for entry in summary.broken[len(chosen.broken) :]:
        terminal.say(f"colorize: {entry['reason']}")
    if report_page:
        pictures = html_report.examples(result, chosen.items, contenders, config)
        text = html_report.render(result, pictures)
        write_atomic(report_page, text.encode("utf-8", "backslashreplace"))
    if json:
        terminal.emit(summary)
    else:
        _show(summary, known, quiet, verbose)
    short = [line for gate in gates for line in gate.failures(summary)]
    for line in short:
        terminal.say(f"colorize: {line}")
    if short or summary.broken or summary.missing or summary.extra:
        raise typer.Exit(ExitCode.PARTIAL)


def _source(
    named: Folder, coco: Optional[Coco], pairs: Optional[Pairs], split: Optional[str]
) -> Source:
    """The one source that was given."""
    names = [*named.inputs, *named.listed]
    ways = [
        way for way, given in (("pictures", names), ("--coco", coco), ("--pairs", pairs)) if given
    ]
    if len(ways) != 1:
        given = f"not {' and '.join(ways)}" if ways else "none was given"
        raise UsageError(f"give either pictures, --coco or --pairs; {given}")
    prepared = [name for name in named.inputs if Prepared.is_one(name)]
    if prepared and len(names) > 1:
        raise UsageError(f"{prepared[0]}: a prepared data set is judged alone")
    if split and not (coco or prepared):
        raise UsageError("--split belongs to --coco or a prepared data set")
    if prepared:
        return Prepared(folder=prepared[0], split=split or Prepared.split)
    return coco or pairs or named


def _contenders(
    models: Optional[list[str]], knobs: Knobs, coloured: Any, pairs: Optional[tuple[Path, Path]]
) -> list[Any]:
    """Models by name, and another tool's colours; without any of both, the default model."""
    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.evaluation.contenders import Model, Pictures, distinct

    if not models and coloured is None:
        models = [os.environ.get("COLORIZE_MODEL") or "default"]
    made: list[Any] = [
        Model(name, Colorizer(model, knobs))
        for name, model in zip(distinct(models or ()), models or (), strict=True)
    ]
    if coloured is not None and pairs:
        made.append(Pictures(str(pairs[1]), coloured))
    return made


def _show(summary: Any, known: Any, quiet: bool, verbose: bool) -> None:
    """The table of an evaluation on stdout, and on stderr what it is of."""
    several = verbose and summary.judged > 1  # one photograph has no interval

    def cell(stat: Any, digits: int) -> list[str]:
        if stat is None:
            return ["–"]
        lines = [f"{stat.mean:.{digits}f}"]
        if several and stat.low is not None:
            interval = f"{stat.low:.{digits}f} … {stat.high:.{digits}f}"
            lines += [interval, f"median {stat.median:.{digits}f}"]
        return lines

    rows = [*summary.models, summary.gray]
    lines = [["", *(row.name for row in rows), "truth"]]
    for name, metric in known.items():
        title = f"{name} {({'higher': '↑', 'lower': '↓'}).get(metric.better, '')}".rstrip()
        stats = [row.metrics.get(name) for row in rows] + [summary.truth.get(name)]
        cells = [[title], *(cell(stat, metric.digits) for stat in stats)]
        lines += map(list, itertools.zip_longest(*cells, fillvalue=""))
    if not quiet:
        fed = {"lab": "Lab L", "bt601": "BT.601"}[summary.fed]
        left = summary.gray_originals
        terminal.say(
            f"colorize: {summary.judged} photograph{'' if summary.judged == 1 else 's'}, "
            f"{summary.protocol}, fed {fed}"
            + (f", {left} gray original{'' if left == 1 else 's'} left out" if left else "")
            + ("; mean, 95 % interval, median" if several else "")
        )
    terminal.table(lines)
