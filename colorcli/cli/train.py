"""``colorize train``: a preset, a file and flags become one config, and that a run."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import Json, Quiet, configurable
from colorcli.config import settings
from colorcli.config.training import CONTINUING, PRESETS, TrainConfig
from colorcli.system import native
from colorcli.system.errors import DataError, ExitCode, UsageError
from colorcli.training.feed import shares

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:  # a checker cannot read choices from a table
    from colorcli.data.dataset import Dataset

    Preset = str
else:
    Preset = Literal[tuple(PRESETS)]

Folders = Annotated[
    Optional[list[str]],
    typer.Argument(
        help="Prepared folders; FOLDER:3 counts three times, or see [data] of --config.",
        show_default=False,
    ),
]
Validation = Annotated[
    Optional[list[str]],
    typer.Option(
        "--val", show_default=False,
        help="Prepared folder whose val split judges, FOLDER:WEIGHT; 0 only reports. Repeatable; "
        "else the first folder.",
    ),
]  # fmt: skip
Sets = Annotated[
    Optional[list[str]],
    typer.Option(
        "--set", show_default=False,
        help="SET:WEIGHT of a set in the folders; 0 leaves it out. Repeatable.",
    ),
]  # fmt: skip


File = tuple[str, dict[str, Any]]  # its name and tables


def _configured(preset: str, file: File, values: dict[str, Any]) -> TrainConfig:
    """The run's config; the architecture of a continuing preset is that of its start."""
    start = PRESETS[preset]
    chosen = _layered(start, file, values)
    if preset not in CONTINUING:
        return chosen
    from colorcli.network.model_folder import architecture

    model = architecture(chosen.init) or chosen.model
    return _layered(dataclasses.replace(start, model=model), file, values)


def _layered(preset: TrainConfig, file: File, values: dict[str, Any]) -> TrainConfig:
    """The preset, over it the values of a file, over them the flags'."""
    known = settings.settings(TrainConfig)
    chosen = settings.applied(file[1], preset, file[0])
    for name, text in values.items():
        value = settings.parse(known[name], text) if isinstance(text, str) else text
        flag = f"--{name.replace('_', '-')}"
        chosen = settings.overridden(chosen, {name: value}, flag)
    return chosen


def _joined() -> Any:
    """This machine's devices, and those of others: joined before TensorFlow does anything else."""
    with native.quiet():  # the banner
        from colorcli.training import devices

        strategy = devices.strategy()
    native.tensorflow()
    return strategy


@configurable(TrainConfig)
def train(
    context: typer.Context,
    data: Folders = None,
    output: Annotated[
        Optional[str], typer.Option("--output", "-o", help="Run folder; resumes what it holds.")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="Where values not given come from.")] = "default",
    config: Annotated[
        Optional[str], typer.Option(help="TOML file of values; flags come before it.")
    ] = None,
    validation: Validation = None,
    sets: Sets = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print all values as TOML and stop.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    *,
    values: dict[str, Any],
) -> None:
    """Train a model on a prepared data set; the same command resumes."""
    began = time.monotonic()
    file = (config or "", settings.document(config) if config else {})
    given = shares.parse(data or (), validation or (), sets or ())
    mixture = given.over(shares.taken(file[1], file[0]))
    chosen = _configured(preset, file, values)
    if print_config:
        named = {table: part for table in shares.TABLES if (part := getattr(mixture, table))}
        typer.echo(settings.write(chosen, named), nl=False)
        return
    if not mixture.data or output is None:
        raise UsageError("train needs a prepared folder and -o RUN; see colorize train --help")
    loaded, judges = _loaded(mixture)
    if not quiet:
        for line in _enlarged(loaded, chosen):
            terminal.say(f"colorize: {line}")
    strategy = _joined()
    from colorcli.training.train import Watch
    from colorcli.training.train import train as run

    shown = None if quiet else _shown
    try:
        with context.obj.deferred() as stop, terminal.progress("training", quiet) as bar:
            result = run(
                loaded, output, chosen, validation=judges, strategy=strategy,
                watch=Watch(stop=stop.is_set, progress=shown and shown(bar), began=began),
            )  # fmt: skip
    except KeyboardInterrupt as error:
        if json:
            terminal.emit(result)
        done = f"stopped at step {result.steps}, saved; repeat the command to go on"
        terminal.say(f"colorize: {output}: {done}")
        raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
    if json:
        terminal.emit(result)
    elif not quiet:
        terminal.say(f"colorize: {result.folder}: {_summary(result)}")


def _summary(result: Any) -> str:
    """What a run came to; figures that it has none of are left out."""
    parts = [f"{result.steps} steps", f"{result.minutes:.1f} minutes"]
    if math.isfinite(result.images_per_second):
        parts.append(f"{result.images_per_second:.0f} images/s")
    if math.isfinite(result.gain):
        parts.append(f"{result.gain:+.2f} dB over gray on validation{_by_folder(result.gains)}")
    return ", ".join(parts)


def _loaded(mixture: shares.Mixture) -> tuple[Dataset, Optional[Dataset]]:
    """What is trained on, and what judges; None: the first of the former."""
    native.require("tensorflow")  # before any work for it
    from colorcli.data import dataset
    from colorcli.training.feed.mixture import weighed

    data = weighed([(dataset.load(s.name), s.weight) for s in mixture.data], mixture.sets)
    judges = [(dataset.load(s.name), s.weight) for s in mixture.val]
    for folder, _ in judges:
        if not folder.counts["val"]:
            raise DataError(f"{folder}: its val split is empty; prepare with a --val-fraction")
    return data, weighed(judges) if judges else None


def _enlarged(data: Dataset, config: TrainConfig) -> Iterator[str]:
    """What is enlarged at each of the run's sizes, where that is worth a line."""
    from colorcli.training.feed import enlargement

    for size in dict.fromkeys(size for size, _ in config.stages):
        if text := str(enlargement.at_size(data, size, config.crop, config.enlarge)):
            yield text


def _by_folder(gains: dict[str, float]) -> str:
    """The gains of the folders that judge, where there are several."""
    folders = [f"{name} {gain:+.2f}" for name, gain in gains.items() if "/" not in name]
    return f" ({', '.join(folders)})" if len(folders) > 1 else ""


def _shown(bar: Optional[terminal.Progress]) -> terminal.Progress:
    """How a run reports: into the live display, or, where there is none, a line a judgement."""

    def tell(done: int, total: int, step: int = 0, judged: bool = False, **values: float) -> None:
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        if bar:
            bar(
                done,
                total,
                **{k.replace("images_per_second", "images/s"): v for k, v in values.items()},
            )
        elif judged:
            text = "".join(f", {name} {value:.4g}" for name, value in values.items())
            terminal.say(f"colorize: step {step} ({done} of {total}){text}")

    return tell
