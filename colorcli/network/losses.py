"""Losses: one record ties head width, target encoding, loss and the way back to ab together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras import ops

from colorcli.color import bins
from colorcli.color.lab import AB_MAX
from colorcli.config.training import LossWeights
from colorcli.network import decoding


@dataclass(frozen=True)
class Loss:
    """How a network speaks about colour.

    ``channels`` is the head's width. ``encode(ab)`` turns true ab (B, h, w, 2) into the target;
    ``loss(target, output, weights, prior)`` is a scalar; ``decode(output, values, log_prior)`` gives
    ab (B, h, w, 2), see ``decoding``. ``distribution`` says that the output is bin logits, which all
    knobs act on. ``partner`` names a network in ``training.partners.PARTNERS`` that adds a term of
    its own while training.
    """

    channels: int
    encode: Callable[[Any], Any]
    loss: Callable[[Any, Any, LossWeights, Any], Any]
    decode: Callable[[Any, Mapping[str, Any], Any], Any]
    distribution: bool = False
    partner: str = ""


def _scaled(ab: Any) -> Any:
    return ab / AB_MAX


def _tanh_ab(output: Any, *_: Any) -> Any:
    return ops.tanh(output) * AB_MAX


def _mse(target: Any, output: Any, *_: Any) -> Any:
    return ops.mean(ops.square(ops.tanh(output) - target))


def _smooth_l1(target: Any, output: Any, *_: Any) -> Any:
    # Huber with its corner at 0.1, about 11 units of ab: beyond it, errors count linearly, so a
    # wrong guess is not pulled to gray as hard as by the square.
    corner = 0.1
    error = ops.abs(ops.tanh(output) - target)
    return ops.mean(
        ops.where(error < corner, 0.5 * ops.square(error) / corner, error - 0.5 * corner)
    )


def _soft_bins(ab: Any) -> tuple[Any, Any]:
    return ab, bins.encode(ab, ops, lookup=_table())


_cached: dict[str, Any] = {}


def _table() -> Any:
    # One tensor for the process, captured by reference: as a constant it would sit in the graph.
    if "table" not in _cached:
        import tensorflow as tf

        with tf.init_scope():
            _cached["table"] = tf.constant(bins.table())
    return _cached["table"]


def _cross_entropy(target: Any, output: Any, weights: LossWeights, prior: Any) -> Any:
    """Soft-bin cross-entropy, plus the squared error of the expected ab (over 110) by its weight.

    ``log_regression`` adds the log of each picture's mean squared error: PSNR is such a log, and
    its mean over pictures is what models are compared by.
    """
    ab, soft = target
    soft = ops.cast(soft, output.dtype)
    log_p = ops.log_softmax(output, axis=-1)
    entropy = -ops.sum(soft * log_p, axis=-1)
    if weights.rebalance < 1:
        w = ops.convert_to_tensor(bins.rebalance(prior, weights.rebalance))
        entropy = entropy * ops.matmul(soft, w[:, None])[..., 0]
    loss = ops.mean(entropy)
    if weights.regression or weights.log_regression:
        expected = ops.matmul(ops.exp(log_p), bins.centres())
        error = ops.mean(ops.square((expected - ab) / AB_MAX), axis=(1, 2, 3))
        loss = loss + weights.regression * ops.mean(error)
        # 1e-4 is an error of one ab unit: below it, nothing is left to gain.
        loss = loss + weights.log_regression * ops.mean(ops.log(error + 1e-4))
    return loss


def _annealed(output: Any, values: Mapping[str, Any], log_prior: Any) -> Any:
    return decoding.decode(output, values, log_prior, ops)


LOSSES: dict[str, Loss] = {
    "mse": Loss(2, _scaled, _mse, _tanh_ab),
    "smooth-l1": Loss(2, _scaled, _smooth_l1, _tanh_ab),
    "classification": Loss(
        len(bins.centres()), _soft_bins, _cross_entropy, _annealed, distribution=True
    ),
    "distillation": Loss(
        len(bins.centres()), _soft_bins, _cross_entropy, _annealed, True, partner="teachers"
    ),
    "perceptual": Loss(2, _scaled, _smooth_l1, _tanh_ab, partner="features"),
    "adversarial": Loss(2, _scaled, _smooth_l1, _tanh_ab, partner="critic"),
}
