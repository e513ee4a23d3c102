"""What is exported, and how it is checked."""

from __future__ import annotations

from dataclasses import dataclass

from colorcli.config.choices import EXPORT_FORMATS, EXPORT_PRECISIONS, EXPORT_SIGNATURES
from colorcli.config.settings import value


@dataclass(frozen=True)
class ExportConfig:
    """What is written. ``format`` None: by the target's suffix; ``precision`` None: the format's own.

    ``size`` is the side of L (``ab``) or of the picture (``image``), 0 any size, None that of the
    model. ``calibrate`` and ``verify`` name files, folders and globs. ``max_loss`` replaces the
    format's limit of PSNR lost, in dB. ``runtime``: a file with what a format runs with.
    """

    format: str | None = value(
        None, "What to write. [default: by suffix, or litert]", choices=EXPORT_FORMATS
    )
    precision: str | None = value(
        None, "Of the weights. [default: float16 for litert, else float32]",
        choices=EXPORT_PRECISIONS,
    )  # fmt: skip
    signature: str = value(
        "ab", "ab: L in, chroma out. image: picture in, coloured picture out.",
        choices=EXPORT_SIGNATURES,
    )  # fmt: skip
    size: int | None = value(
        None, "Side of L (ab) or of the picture (image). [default: the model's; image: any]",
        words={"any": 0}, metavar="N|any",
    )  # fmt: skip
    calibrate: tuple[str, ...] = value(
        (), "Photographs that set int8's ranges. [default: scikit-image's]", metavar="FOLDER|GLOB"
    )
    verify: tuple[str, ...] = value(
        (), "Colour photographs to check with. [default: scikit-image's]", metavar="FOLDER|GLOB"
    )
    max_loss: float | None = value(None, "PSNR in dB it may lose. [default: by precision]")
    runtime: str | None = value(
        None, "Of a page: npm's archive of LiteRT.js. [default: npm gets it]", metavar="TGZ"
    )
