"""The mean of a run's weights over its end: beside the moving average, which forgets.

After Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization" (2018),
taken of the moving average, so that few samples will do.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from colorcli.config.training import TrainConfig
from colorcli.network.model import build_model
from colorcli.training import devices

EVERY = 10  # steps between two samples


class Tail:
    """The mean over the last ``config.tail_average`` of a run, kept in its checkpoints."""

    def __init__(self, config: TrainConfig) -> None:
        self.share = config.tail_average
        with devices.policy("float32"):
            self.network = build_model(config.model) if self.share else None
        self.count = tf.Variable(0, dtype=tf.int64)
        self.reached = tf.Variable(0.0, dtype=tf.float64)  # the fraction of the newest sample

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds of it; nothing where it is off."""
        own = {"tail": self.network, "tail_count": self.count, "tail_reached": self.reached}
        return own if self.share else {}

    def follow(self, network: keras.Model, step: int, fraction: float) -> None:
        """Take in ``network`` after ``step`` steps, ``fraction`` of the run: 1 at its end."""
        if self.network is None:
            return
        if fraction < float(self.reached):  # the run was made longer, its end is elsewhere
            self.count.assign(0)
            self.reached.assign(0.0)
        if fraction < 1 - self.share or (step % EVERY and fraction < 1):
            return
        self.reached.assign(fraction)
        self.count.assign_add(1)
        rate = 1 / int(self.count)
        weights = zip(self.network.get_weights(), network.get_weights(), strict=True)
        self.network.set_weights([mean + rate * (new - mean) for mean, new in weights])
