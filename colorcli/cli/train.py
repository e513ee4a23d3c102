"""``colorize train``: a preset, a file and flags become one config, and that a run."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from colorcli import native, report, settings
from colorcli.cli.options import Json, Quiet, configurable
from colorcli.config import CONTINUING, PRESETS, TrainConfig
from colorcli.errors import ExitCode, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:  # a checker cannot read choices from a table
    Preset = str
else:
    Preset = Literal[tuple(PRESETS)]


def _layered(preset: TrainConfig, file: Optional[str], values: dict[str, Any]) -> TrainConfig:
    """The preset, over it a file's values, over them the flags'."""
    known, chosen = settings.settings(TrainConfig), preset
    if file is not None:
        chosen = settings.read(file, chosen)
    for name, text in values.items():
        value = settings.parse(known[name], text) if isinstance(text, str) else text
        flag = f"--{name.replace('_', '-')}"
        chosen = settings.overridden(chosen, {name: value}, flag)
    return chosen


@configurable(TrainConfig)
def train(
    context: typer.Context,
    data: Annotated[
        Optional[list[str]],
        typer.Argument(help="Prepared folders; one named twice counts twice.", show_default=False),
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option("--output", "-o", help="Run folder; resumes what it holds."),
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(help="Where values not given come from."),
    ] = "default",
    config: Annotated[
        Optional[str], typer.Option(help="TOML file of values; flags come before it.")
    ] = None,
    validation: Annotated[
        Optional[str],
        typer.Option("--val", help="Prepared folder whose val split judges; else the first."),
    ] = None,
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
    chosen = _layered(PRESETS[preset], config, values)
    if preset in CONTINUING:
        from colorcli.model_dir import architecture

        model = architecture(chosen.init) or chosen.model
        chosen = _layered(dataclasses.replace(PRESETS[preset], model=model), config, values)
    if print_config:
        typer.echo(settings.write(chosen), nl=False)
        return
    if not data or output is None:
        raise UsageError("train needs a prepared folder and -o RUN; see colorize train --help")
    from colorcli import dataset

    loaded = [dataset.load(folder) for folder in data]
    judges = dataset.load(validation) if validation else loaded[0]
    native.tensorflow()
    from colorcli import devices

    strategy = devices.strategy()
    from colorcli.train import train as run

    try:
        with context.obj.deferred() as stop, report.progress("training", quiet) as bar:
            result = run(
                dataset.joined(loaded), output, chosen, validation=judges, strategy=strategy,
                stop=stop.is_set, progress=None if quiet else _shown(bar), began=began,
            )  # fmt: skip
    except KeyboardInterrupt as error:
        if json:
            report.emit(result)
        report.say(
            f"colorize: {output}: stopped at step {result.steps}, saved; "
            "repeat the command to go on"
        )
        raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
    if json:
        report.emit(result)
    elif not quiet:
        report.say(f"colorize: {result.folder}: {_summary(result)}")


def _summary(result: Any) -> str:
    """What a run came to; figures that it has none of are left out."""
    parts = [f"{result.steps} steps", f"{result.minutes:.1f} minutes"]
    if math.isfinite(result.images_per_second):
        parts.append(f"{result.images_per_second:.0f} images/s")
    if math.isfinite(result.gain):
        parts.append(f"{result.gain:+.2f} dB over gray on validation")
    return ", ".join(parts)


def _shown(bar: Optional[report.Progress]) -> report.Progress:
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
            report.say(f"colorize: step {step} ({done} of {total}){text}")

    return tell
