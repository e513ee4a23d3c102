"""``colorize export``: the model in another format, checked."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from colorcli.cli import terminal
from colorcli.cli.options import Json, Model, Overwrite, Quiet, configured, steerable
from colorcli.config.exporting import ExportConfig
from colorcli.network.decoding import Knobs
from colorcli.system import native


@steerable(passes=False, note=" Inside an image export.")
@configured(ExportConfig)
def export(
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="File to write, or a folder (one that exists, or ends in /)."
        ),
    ],
    model: Model = "default",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    *,
    config: ExportConfig,
    knobs: Knobs,
) -> None:
    """Write the model in another format, checked against the network on photographs."""
    native.tensorflow()
    from colorcli.exporting.export import export as run

    with terminal.progress("exporting", quiet) as bar:
        result = run(model, output, config, knobs=knobs, overwrite=overwrite, progress=bar)
    if json:
        terminal.emit(result)
    elif not quiet:
        terminal.say(f"colorize: {_summary(result)}")


def _summary(result: Any) -> str:
    """What was written, and how far it is from the network."""
    check = result.check
    return (
        f"{result.path}: {result.bytes / 1e6:.1f} MB, {result.precision}; on "
        f"{check.photographs} photographs {check.psnr_lost:.3f} dB lost, RGB off by "
        f"{check.rgb_mean:.2f} levels in the mean, {check.rgb_largest} at most"
    )
