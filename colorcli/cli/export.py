"""``colorize export``: the model in another format, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from colorcli.cli import terminal
from colorcli.cli.options import Json, Model, Overwrite, Quiet, steerable
from colorcli.config import (
    EXPORT_FORMATS,
    EXPORT_PRECISIONS,
    EXPORT_SIGNATURES,
    ExportConfig,
)
from colorcli.errors import UsageError
from colorcli.network.decoding import Knobs
from colorcli.system import native

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:  # a checker cannot read choices from a table
    ExportFormat = str
    ExportPrecision = str
    ExportSignature = str
else:
    ExportFormat = Literal[EXPORT_FORMATS]
    ExportPrecision = Literal[EXPORT_PRECISIONS]
    ExportSignature = Literal[EXPORT_SIGNATURES]


@steerable(passes=False, note=" Inside an image export.")
def export(
    knobs: Knobs,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="File to write, or a folder (one that exists, or ends in /)."
        ),
    ],
    format: Annotated[
        Optional[ExportFormat],
        typer.Option(help="What to write. [default: by suffix, or litert]", show_default=False),
    ] = None,
    precision: Annotated[
        Optional[ExportPrecision],
        typer.Option(
            help="Of the weights. [default: float16 for litert, else float32]", show_default=False
        ),
    ] = None,
    signature: Annotated[
        ExportSignature,
        typer.Option(help="ab: L in, chroma out. image: picture in, coloured picture out."),
    ] = ExportConfig.signature,
    size: Annotated[
        Optional[str],
        typer.Option(
            metavar="N|any",
            show_default=False,
            help="Side of L (ab) or of the picture (image). [default: the model's; image: any]",
        ),
    ] = None,
    model: Model = "default",
    calibrate: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="FOLDER|GLOB",
            show_default=False,
            help="Photographs that set int8's ranges. [default: scikit-image's]",
        ),
    ] = None,
    verify: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="FOLDER|GLOB",
            show_default=False,
            help="Colour photographs to check with. [default: scikit-image's]",
        ),
    ] = None,
    max_loss: Annotated[
        Optional[float],
        typer.Option(help="PSNR in dB it may lose. [default: by precision]", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the model in another format, checked against the network on photographs."""
    native.tensorflow()
    from colorcli.exporting.export import export as run
    from colorcli.exporting.plan import place

    output, format = place(output, format, model)
    if size is not None and size != "any" and not (size.isascii() and size.isdigit()):
        raise UsageError(f"--size {size}: give a number of pixels, or any")
    config = ExportConfig(
        format=format, precision=precision, signature=signature, max_loss=max_loss,
        size=None if size is None else 0 if size == "any" else int(size),
        calibrate=tuple(calibrate or ()), verify=tuple(verify or ()),
    )  # fmt: skip
    with terminal.progress("exporting", quiet) as bar:
        result = run(model, output, config, knobs=knobs, overwrite=overwrite, progress=bar)
    if json:
        terminal.emit(result)
    elif not quiet:
        check = result.check
        terminal.say(
            f"colorize: {result.path}: {result.bytes / 1e6:.1f} MB, {result.precision}; on "
            f"{check.photographs} photographs {check.psnr_lost:.3f} dB lost, RGB off by "
            f"{check.rgb_mean:.2f} levels in the mean, {check.rgb_largest} at most"
        )
