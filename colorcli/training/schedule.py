"""What changes in the course of a run: learning rates, and the side of the crops."""

from __future__ import annotations

import math

from colorcli.config.training import TrainConfig
from colorcli.system.errors import UsageError

RISE = 0.05  # share of the second stage over which a released backbone's rate rises


def check(config: TrainConfig) -> None:
    """Raise ``UsageError`` for stages that cannot be run."""
    for size, share in config.stages:
        if size % 32 or size < 32 or share <= 0:
            raise UsageError(
                f"stage {size}:{share:g}: a side must be a multiple of 32 and its share above 0"
            )


def size_at(config: TrainConfig, fraction: float) -> int:
    """Side of the crops when ``fraction`` in 0…1 of the run is done; shares are relative."""
    passed, total = 0.0, sum(share for _, share in config.stages)
    for size, share in config.stages:
        passed += share / total
        if fraction < passed - 1e-9:
            return size
    return config.stages[-1][0]


def rates(config: TrainConfig, step: int, fraction: float) -> tuple[float, float]:
    """Learning rates (decoder, backbone) at ``step``, ``fraction`` in 0…1 of the run done.

    Warm-up, then one cosine to zero for each stage: backbone frozen (rate 0), released.
    """
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    if fraction < config.frozen:
        # The first stage falls to the rate at which the second goes on, if one does.
        end = config.released_rate if config.frozen < 1 else 0.0
        part = 0.5 * (1 + math.cos(math.pi * fraction / config.frozen))
        return warm * (end + (config.rate - end) * part), 0.0
    if config.frozen >= 1:
        return 0.0, 0.0
    part = min(1.0, (fraction - config.frozen) / (1 - config.frozen))
    cosine = 0.5 * (1 + math.cos(math.pi * part))
    # Where it is released from the start, warm-up does that.
    risen = min(1.0, part / RISE) if config.frozen > 0 else 1.0
    return warm * config.released_rate * cosine, warm * risen * config.backbone_rate * cosine
