"""How models are judged, and what is made of the figures."""

from __future__ import annotations

from dataclasses import dataclass

from colorcli.color.limits import Limits
from colorcli.config.choices import GRAYS, PERCEPTUAL_METRICS
from colorcli.config.settings import LIMIT, SEED, WORKERS, value

EVAL_SCHEMA = 1
JUDGED_SIDE = 256  # pixels, of a protocol whose name carries none


@dataclass(frozen=True)
class EvalConfig:
    """How pictures are judged.

    ``protocol``: ``squash-SIZE``, ``crop-SIZE`` or ``native``, see ``evaluation/protocols.py``;
    ``size`` is for a name that carries none. ``gray``: which gray of the true colours is coloured,
    Lab's L or BT.601 luma.
    """

    protocol: str = value(
        "squash", f"squash-SIZE, crop-SIZE or native. [default: squash-{JUDGED_SIDE}]"
    )
    size: int | None = value(None, "Side of the judged square.", least=32)
    gray: str = value("lab", "Gray that is coloured: L of Lab, or BT.601 luma.", choices=GRAYS)
    hints: int = value(
        0, "Judge each model with the true colours of so many random points told, too.", least=0,
        most=1000,
    )  # fmt: skip
    perceptual: tuple[str, ...] = value(
        (), "Judge by this too; needs colorcli[perceptual].", flag="with",
        choices=PERCEPTUAL_METRICS,
    )  # fmt: skip
    min_chroma: float = Limits.min_chroma  # below which an original counts as gray
    limit: int = value(0, LIMIT, least=0)
    samples: int = 1000  # bootstrap replicates
    seed: int = value(0, SEED, least=0)
    workers: int = value(0, "Threads; 0: one for each core.", least=0, environment=WORKERS)


@dataclass(frozen=True)
class VerdictConfig:
    """What is made of an evaluation's figures, beside the table."""

    per_image: str | None = value(None, "Every picture's figures: FILE.csv or FILE.jsonl.")
    panels: str | None = value(None, "Folder for gray, predicted, truth side by side.")
    report: str | None = value(None, "One HTML page with everything.")
    calibration: bool = value(False, "A table of the models' confidence against their error, too.")
    fail_under: tuple[str, ...] = value((), "Exit 5 below it.", metavar="METRIC=VALUE")
    fail_over: tuple[str, ...] = value((), "Exit 5 above it.", metavar="METRIC=VALUE")
