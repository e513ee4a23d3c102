"""The training step: one compiled function that every device of every machine runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from colorcli.config.training import TrainConfig
from colorcli.network.decoding import NEUTRAL
from colorcli.network.layers import backbone_weights, freeze_norms, random_depth
from colorcli.network.losses import LOSSES
from colorcli.network.model import build_model
from colorcli.training.devices import policy
from colorcli.training.partners import PARTNERS, Partner

OPTIMIZERS: dict[str, Callable[[TrainConfig], keras.optimizers.Optimizer]] = {
    "adam": lambda c: keras.optimizers.Adam(0.0),
    "adamw": lambda c: keras.optimizers.AdamW(0.0, weight_decay=c.weight_decay),
}
LARGEST_SCALE = 2.0**15  # of float16 losses


@dataclass(kw_only=True)
class State:
    """Everything that training changes, and what it needs to do so.

    ``average`` holds the moving average of the weights, which is what is judged and saved.
    ``optimizers`` are for decoder and head, and for the backbone, which have rates of their own.
    """

    config: TrainConfig
    prior: np.ndarray
    network: keras.Model
    average: keras.Model
    optimizers: tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]
    partner: Partner | None
    step: tf.Variable
    seconds: tf.Variable
    best: tf.Variable  # validation PSNR
    stale: tf.Variable  # judgements since the best
    scale: tf.Variable  # of the loss, against float16's underflow; 1 in other precisions

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        partner = self.partner or Partner()
        return {
            "network": self.network, "average": self.average,
            "head_optimizer": self.optimizers[0], "backbone_optimizer": self.optimizers[1],
            "partner": partner.network, "partner_optimizer": partner.optimizer,
            "step": self.step, "seconds": self.seconds, "best": self.best, "stale": self.stale,
            "scale": self.scale,
        }  # fmt: skip


def new_state(
    config: TrainConfig, prior: np.ndarray, precision: str, strategy: tf.distribute.Strategy
) -> State:
    """A fresh network with all that trains it; the same seed gives the same weights."""
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        with policy(precision):
            network, average = build_model(config.model), build_model(config.model)
        optimizers = (OPTIMIZERS[config.optimizer](config), OPTIMIZERS[config.optimizer](config))
        for optimizer, variables in zip(optimizers, _groups(network, config), strict=True):
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            optimizer.build(variables)
        name = LOSSES[config.model.loss].partner
        partner = PARTNERS[name](config.weights) if name else None
    start = LARGEST_SCALE if precision == "mixed_float16" else 1.0
    # The counters are this process's own.
    return State(
        config=config, prior=prior, network=network, average=average, optimizers=optimizers,
        partner=partner, step=tf.Variable(0, dtype=tf.int64),
        seconds=tf.Variable(0.0, dtype=tf.float64), best=tf.Variable(-1e9, dtype=tf.float64),
        stale=tf.Variable(0, dtype=tf.int64), scale=tf.Variable(start),
    )  # fmt: skip


def _groups(network: keras.Model, config: TrainConfig) -> tuple[list[Any], list[Any]]:
    """Trainable variables: decoder and head; the part of the backbone that will be released."""
    backbone = backbone_weights(network)
    head = [v for v in network.trainable_variables if not any(v is b for b in backbone)]
    released = backbone_weights(network, config.release_from) if config.release_from else backbone
    return head, [v for v in released if v.trainable]


def compiled(
    state: State, strategy: tf.distribute.Strategy, released: bool
) -> Callable[[Any, Any, Any, Any], dict[str, Any]]:
    """``step(L, ab, keep, told)`` on distributed batches; backbone ``released`` or frozen.

    ``keep`` is the decay of the average. ``told`` (n,) are numbers of this worker, which the result
    holds summed over all devices, beside the means of ``loss`` (of the global batch), ``norm`` (of
    its gradient; not finite: nothing was learnt) and what the partner logs.
    """
    if state.config.norms == "frozen":
        freeze_norms(state.network)
    learning = _Learning(state, strategy.num_replicas_in_sync, released)

    @tf.function
    def step(lightness: Any, ab: Any, keep: Any, told: Any) -> dict[str, Any]:
        values = strategy.run(learning.replica, args=(lightness, ab, keep, told))
        if learning.replicas == 1:
            return values
        operations = tf.distribute.ReduceOp
        return {
            name: strategy.reduce(
                operations.SUM if name == "told" else operations.MEAN, value, axis=None
            )
            for name, value in values.items()
        }

    return step


class _Learning:
    """What one device, of ``replicas``, does in a step."""

    def __init__(self, state: State, replicas: int, released: bool) -> None:
        self.state, self.replicas, self.released = state, replicas, released
        both = zip(_groups(state.network, state.config), state.optimizers, strict=True)
        self.pairs = [(group, optimizer) for group, optimizer in both if group]
        self.pairs = self.pairs[: 2 if released else 1]
        self.trained = [v.value for group, _ in self.pairs for v in group]
        fixed = backbone_weights(state.network)
        learning = [v for group, _ in self.pairs for v in group]
        self.moving = [
            (slow.value, fast.value)
            for slow, fast in zip(state.average.weights, state.network.weights, strict=True)
            if not any(fast is v for v in fixed) or any(fast is v for v in learning)
        ]
        self.log_prior = np.log(state.prior)

    def replica(self, lightness: Any, ab: Any, keep: Any, told: Any) -> dict[str, Any]:
        """One step on this device's part of the batch."""
        state, config = self.state, self.state.config
        # While this is traced: each of the two steps has its own.
        random_depth(state.network, config.stochastic_depth if self.released else 0.0, state.step)
        gradients, logs = self._gradients(lightness, ab)
        norm = self._apply(gradients)
        for slow, fast in self.moving:
            slow.assign(keep * slow + (1.0 - keep) * fast)
        # A tensor of each device's own: one that all share would not be summed over them.
        return {**logs, "norm": norm, "told": tf.identity(told)}

    def _gradients(self, lightness: Any, ab: Any) -> tuple[list[Any], dict[str, Any]]:
        """Of the scaled loss; and what to log."""
        state, config, partner = self.state, self.state.config, self.state.partner
        loss = LOSSES[config.model.loss]
        logs: dict[str, Any] = {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.trained)
            output = state.network(lightness, training=True)
            value = loss.loss(loss.encode(ab), output, config.weights, state.prior)
            if partner is not None:
                predicted = loss.decode(output, NEUTRAL, self.log_prior)
                extra, logs = partner.judge(lightness, ab, predicted)
                value += extra
            scaled = value * (state.scale / self.replicas)
        gradients = tape.gradient(scaled, self.trained)
        if partner is not None:
            shown = tf.stop_gradient(predicted)
            logs = {**logs, **partner.learn(lightness, ab, shown, self.replicas)}
        return gradients, {"loss": value, **logs}

    def _apply(self, gradients: list[Any]) -> Any:
        """Learn from all devices' gradients; their norm."""
        config, scale, replicas = self.state.config, self.state.scale, self.replicas
        if replicas > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients) / scale
        factor = tf.minimum(1.0, config.clip / (norm + 1e-6)) if config.clip else 1.0
        # Keras sums over replicas once more. A gradient that is not finite changes nothing.
        factor = tf.where(tf.math.is_finite(norm), factor / (scale * replicas), 0.0)
        gradients = [tf.math.multiply_no_nan(g, factor) for g in gradients]
        for group, optimizer in self.pairs:
            optimizer.apply_gradients(zip(gradients[: len(group)], group, strict=True))
            gradients = gradients[len(group) :]
        return norm
