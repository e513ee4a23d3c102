"""``colorize eval``: what to judge, by what, and how the figures are shown."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import (
    Json,
    Overwrite,
    Quiet,
    configured,
    judged,
    listed,
    model_names,
    steerable,
)
from colorcli.config.calls import NamesConfig
from colorcli.config.evaluation import EvalConfig, VerdictConfig
from colorcli.data.sources.common import Selection, Source
from colorcli.data.sources.folder import Folder
from colorcli.data.sources.table import SOURCES
from colorcli.network.decoding import Knobs
from colorcli.system.errors import ExitCode, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

Photographs = Annotated[
    Optional[list[str]],
    typer.Argument(
        help="Colour photographs, folders, globs, or a prepared folder.", show_default=False
    ),
]
Models = Annotated[
    Optional[list[str]],
    typer.Option(
        "--model", "-m", autocompletion=model_names, show_default=False,
        help="Model name, folder, run or exported file; repeat to compare. "
        "[default: COLORIZE_MODEL, default]",
    ),
]  # fmt: skip


@steerable
@configured(VerdictConfig, "verdict")
@configured(EvalConfig)
@judged(SOURCES)
@configured(NamesConfig, "names")
def evaluate(
    inputs: Photographs = None,
    model: Models = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Intervals and medians in the table, too.")
    ] = False,
    *,
    names: NamesConfig,
    where: dict[str, Any],
    config: EvalConfig,
    verdict: VerdictConfig,
    knobs: Knobs,
) -> None:
    """Judge models on colour photographs, beside doing nothing."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    from colorcli.evaluation import evaluate as judging
    from colorcli.evaluation import gates as reached
    from colorcli.evaluation import metrics, protocols

    protocols.named(config.protocol, config.size)  # raises
    known = metrics.chosen(config.perceptual)
    gates = [reached.gate(text, known, under=True) for text in verdict.fail_under]
    gates += [reached.gate(text, known, under=False) for text in verdict.fail_over]
    with _made(verdict, overwrite) as made:
        source = _source(inputs or [], names, where)
        chosen = source.selection(limit=config.limit, seed=config.seed)
        contenders = _contenders(model, knobs, chosen, config)
        known = {name: metric.opened() for name, metric in known.items()}
        _say(_left_out(chosen))
        columns = list(metrics.by_picture(known))
        with _each(made.per_image, columns) as each, terminal.progress("judging", quiet) as bar:
            result = judging.evaluate(
                chosen, contenders, config, metrics=known, panels=made.panels, each=each,
                progress=bar,
            )  # fmt: skip
        _say(entry["reason"] for entry in result.summary.broken[len(chosen.broken) :])
        if made.report:
            _write_page(made.report, result, chosen.items, contenders, config)
    summary = result.summary
    if verdict.calibration:
        summary = _calibrated(summary, chosen, contenders, config, quiet)
    if json:
        terminal.emit(summary)
    else:
        _show(summary, known, quiet, verbose)
        _show_calibration(summary)
    short = [line for gate in gates for line in gate.failures(summary)]
    _say(short)
    if short or summary.broken or summary.missing or summary.extra:
        raise typer.Exit(ExitCode.PARTIAL)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        terminal.say(f"colorize: {line}")


@dataclass(frozen=True)
class _Made:
    """Paths of what is made beside the table."""

    per_image: Path | None
    panels: Path | None
    report: Path | None


@contextlib.contextmanager
def _made(verdict: VerdictConfig, overwrite: bool) -> Iterator[_Made]:
    """Where to make it; found out before the work, whether it can be what it is called, and written."""
    from colorcli.evaluation import per_image as records
    from colorcli.imaging import writing
    from colorcli.system.files import places
    from colorcli.system.files.delivery import placed

    names = [verdict.per_image, verdict.panels, verdict.report]
    with contextlib.ExitStack() as stack:
        made = _Made(*(stack.enter_context(placed(name)) if name else None for name in names))
        if made.report:
            records.check_page(made.report)
        if made.panels:
            records.check_folder(made.panels, writing.SUFFIXES)
        for name in filter(places.is_remote, filter(None, names)):
            if places.status(name) and not overwrite:
                raise UsageError(f"{name}: exists already; use --overwrite")
        files = [made.per_image, made.report]
        records.check_writable(files, made.panels, overwrite=overwrite)
        if made.per_image:
            records.check(made.per_image)
        yield made


def _source(inputs: list[str], names: NamesConfig, where: Mapping[str, Any]) -> Source:
    """The one source that was given."""
    also = list(listed(names))
    kinds = {name: kind.judged for name, kind in SOURCES.items() if kind.judged}
    flags = {name: f"--{name}" for name, told in kinds.items() if told.help}
    ways = ["pictures"] * bool(inputs or also) + [f for name, f in flags.items() if name in where]
    if len(ways) != 1:
        *first, last = ("pictures", *flags.values())
        given = f"not {' and '.join(ways)}" if ways else "none was given"
        raise UsageError(f"give either {', '.join(first)} or {last}; {given}")
    own = [(path, name) for path in inputs for name in kinds if SOURCES[name].is_one(path)]
    if own and len(inputs) + len(also) > 1:
        raise UsageError(f"{own[0][0]}: {kinds[own[0][1]].called} is judged alone")
    named = [(where[name], name) for name in flags if name in where] or own
    more = {name: value for name, value in where.items() if name not in flags}
    mine = kinds[named[0][1]].also if named else {}
    if wrong := [option for option in more if option not in mine]:
        options = [f"--{option}" for option in wrong]
        owners = [told.called for told in kinds.values() if {*wrong} & {*told.also}]
        verb = "belongs" if len(options) == 1 else "belong"
        raise UsageError(f"{' and '.join(options)} {verb} to {' or '.join(owners)}")
    if named:
        (given, name), *_ = named
        return kinds[name].make(given, more)
    return Folder(inputs=inputs, listed=also, recursive=names.recursive)


def _left_out(chosen: Any) -> Iterator[str]:
    """What of the request there is not."""
    yield from (entry["reason"] for entry in chosen.broken)
    yield from (f"{path}: missing; left out" for path in chosen.missing)
    yield from (f"{path}: no true picture has this name; left out" for path in chosen.extra)


def _contenders(
    models: Optional[list[str]], knobs: Knobs, chosen: Selection, config: EvalConfig
) -> list[Any]:
    """Models by name, and another tool's colours; without any of both, the default model."""
    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.evaluation.contenders import Model, Pictures, distinct

    if not models and chosen.coloured is None:
        models = [os.environ.get("COLORIZE_MODEL") or "default"]
    made: list[Any] = [
        Model(name, Colorizer(model, knobs))
        for name, model in zip(distinct(models or ()), models or (), strict=True)
    ]
    if config.hints:
        told = {"hints": config.hints, "seed": config.seed}
        hinted = [
            dataclasses.replace(each, name=f"{each.name} +{config.hints}", **told) for each in made
        ]
        made = [row for pair in zip(made, hinted, strict=True) for row in pair]
    if chosen.coloured is not None:
        made.append(Pictures(chosen.tool, chosen.coloured))
    return made


@contextlib.contextmanager
def _each(path: Path | None, columns: Sequence[str]) -> Iterator[Callable[..., None] | None]:
    """What writes every picture's figures to ``path``, whole at the end of the block."""
    if path is None:
        yield None
        return
    from colorcli.evaluation import per_image

    with per_image.writer(path, ["picture", "row", *columns]) as write:
        yield lambda picture, row, figures: write({"picture": picture, "row": row, **figures})


def _calibrated(
    summary: Any, chosen: Any, contenders: Sequence[Any], config: EvalConfig, quiet: bool
) -> Any:
    """A summary with what each model's confidence is worth."""
    from colorcli.evaluation import calibration
    from colorcli.evaluation.contenders import Model

    found = {}
    for contender in contenders:
        if isinstance(contender, Model):
            with terminal.progress("calibrating", quiet) as bar:
                found[contender.name] = calibration.calibrate(
                    chosen, contender.colorizer, config, progress=bar
                )
    return dataclasses.replace(summary, calibration=found)


def _show_calibration(summary: Any) -> None:
    """The tables of confidence against error on stdout."""
    for name, found in (summary.calibration or {}).items():
        rows = [[f"{name}: confidence", "mean", "pixels", "ciede2000", "ab error"]]
        rows += [
            [
                f"{level.least:.3f} … {level.most:.3f}", f"{level.confidence:.3f}",
                f"{level.share:.1%}", f"{level.ciede2000:.2f}", f"{level.ab:.2f}",
            ]
            for level in found.levels
        ]  # fmt: skip
        terminal.table([["", "", "", "", ""], *rows])
        low, high = found.bounds
        for words, error in (
            (f"photographs under {low:.3f}, a quarter", found.least_sure),
            ("all photographs", found.all),
            (f"photographs over {high:.3f}, a quarter", found.surest),
        ):
            terminal.show(words, f"ciede2000 {error:.2f}")
        if found.correlation is not None:
            terminal.show("correlation of confidence and error", f"{found.correlation:.2f}")


def _write_page(
    path: Path, result: Any, source: Any, contenders: Sequence[Any], config: EvalConfig
) -> None:
    from colorcli.evaluation import html_report
    from colorcli.system.atomic import write_atomic

    pictures = html_report.examples(result, source, contenders, config)
    text = html_report.render(result, pictures)
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


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
