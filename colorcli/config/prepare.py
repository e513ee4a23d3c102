"""How photographs become training shards."""

from __future__ import annotations

from dataclasses import dataclass

from colorcli.color.limits import Limits
from colorcli.config.settings import LIMIT, SEED, value

DATASET_SCHEMA = 1


@dataclass(frozen=True)
class PrepareConfig:
    """Which photographs are kept and how they become training shards.

    ``min_chroma``, ``min_spread``: what is gray, and what is toned (``color/limits.py``). ``rims``:
    what becomes of letterboxed pictures and those with a margin: ``crop``, ``drop`` or ``keep``. A
    photograph belongs to the set that the first folder below one of ``roots`` names; outside of
    them, its own folder.
    """

    size: int = value(256, "Short side of the stored pictures, in pixels.", least=32)
    min_side: int = value(64, "Leave out pictures with a shorter side.", least=1)
    min_chroma: float = value(Limits.min_chroma, "Mean chroma below which one is gray.", least=0)
    min_spread: float = value(
        Limits.min_spread,
        "Spread of colours below which one of a single hue is toned (sepia).",
        least=0,
    )
    rims: str = value(
        "crop", "Letterboxed pictures and those with a margin: crop, leave out, keep.",
        choices=("crop", "drop", "keep"),
    )  # fmt: skip
    keep_results: bool = value(
        False, "Keep pictures that colorize coloured itself: they teach its own guesses."
    )
    duplicate_distance: int = value(
        4, "Bits of 64 in which copies may differ; -1: only equal files are copies.",
        least=-1, most=16,
    )  # fmt: skip
    val_fraction: float = value(0.02, "Share kept for validation.", least=0, most=1)
    shard_images: int = 1024
    quality: int = 95  # of the stored JPEG, without chroma subsampling
    limit: int = value(0, LIMIT, least=0)
    seed: int = value(0, SEED, least=0)
    workers: int = value(
        0, "Processes; 0: one for each core.", least=0
    )  # no influence on the result
    roots: tuple[str, ...] = ()
