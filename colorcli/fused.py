"""The same network, cheaper to train: batch norm folded into convolutions or done by one kernel.

Keras writes batch normalization as several passes over every feature map, forwards and backwards.
While training that is a third of the work, all of it memory traffic. Here the frozen norms of the
backbone scale the (small) kernels instead, and the decoder's norms use TensorFlow's fused kernel.
Mathematics and variables are those of the network, gradients included, unless residual blocks are
to be left out at random.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class _FoldedConv(keras.layers.Layer):
    """A convolution and the frozen batch norm after it: (x ∗ w·s) + (β − μ·s), s = γ/√(σ²+ε)."""

    def __init__(self, conv: keras.layers.Layer, norm: keras.layers.Layer) -> None:
        super().__init__(name=f"folded_{conv.name}", dtype=conv.dtype_policy)
        self.conv, self.norm = conv, norm
        self.depthwise = isinstance(conv, keras.layers.DepthwiseConv2D)

    def call(self, x: Any) -> Any:
        norm, conv = self.norm, self.conv
        scale = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        kernel = conv.kernel * (scale[:, None] if self.depthwise else scale)
        bias = norm.beta - norm.moving_mean * scale
        kernel, bias = tf.cast(kernel, x.dtype), tf.cast(bias, x.dtype)
        padding = conv.padding.upper()
        if self.depthwise:
            x = tf.nn.depthwise_conv2d(x, kernel, (1, *conv.strides, 1), padding)
        else:
            x = tf.nn.conv2d(x, kernel, conv.strides, padding)
        return tf.nn.bias_add(x, bias)


class _Nothing(keras.layers.Layer):
    """In the place of a norm that was folded into the convolution before it."""

    def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
        return x


class _FusedNorm(keras.layers.Layer):
    """Batch normalization over the global batch, whose statistics feed the layer's averages."""

    def __init__(self, norm: keras.layers.Layer) -> None:
        super().__init__(name=f"fused_{norm.name}", dtype=norm.dtype_policy)
        self.norm = norm

    def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
        norm = self.norm
        replicas = tf.distribute.get_replica_context()
        scale, offset = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)
        if replicas is None or replicas.num_replicas_in_sync == 1:
            y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                x, scale, offset, epsilon=norm.epsilon, is_training=True
            )
            count = tf.cast(tf.size(x) // tf.shape(x)[-1], tf.float32)
            variance *= (count - 1.0) / count  # Keras averages the biased one
        else:
            wide = tf.cast(x, tf.float32)
            both = tf.stack([tf.reduce_mean(wide, (0, 1, 2)), tf.reduce_mean(wide**2, (0, 1, 2))])
            mean, square = tf.unstack(replicas.all_reduce(tf.distribute.ReduceOp.MEAN, both))
            variance = square - mean**2
            scale = scale * tf.math.rsqrt(variance + norm.epsilon)
            y = tf.cast(wide * scale + (offset - mean * scale), x.dtype)
        for average, value in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
            average.assign(average * norm.momentum + tf.stop_gradient(value) * (1 - norm.momentum))
        return y


class _RandomDepth(keras.layers.Layer):
    """entry + branch, whose branch is left out of a ``share`` of the pictures and scaled up in others.

    Stochastic depth, Huang et al. 2016. What is left out depends on ``number`` and ``step`` alone.
    """

    def __init__(self, name: str, share: float, number: int, step: Any) -> None:
        super().__init__(name=f"random_{name}")
        self.share, self.number, self.step = share, number, step

    def call(self, inputs: Any) -> Any:
        branch, entry = inputs
        replica = tf.distribute.get_replica_context()
        own = self.number + 1000 * (replica.replica_id_in_sync_group if replica else 0)
        seed = tf.stack([tf.cast(own, tf.int64), tf.cast(self.step, tf.int64)])
        draw = tf.random.stateless_uniform((tf.shape(branch)[0], 1, 1, 1), seed)
        kept = tf.cast(draw >= self.share, branch.dtype)
        return entry + branch * (kept / (1.0 - self.share))


def fused(
    network: keras.Model,
    frozen_prefix: str = "backbone_",
    stochastic_depth: float = 0.0,
    step: Any = 0,
) -> keras.Model:
    """A twin of ``network`` that shares its variables, for the training step.

    Batch norms whose names begin with ``frozen_prefix`` use their moving averages, which stay.
    ``stochastic_depth`` is the chance that the backbone's last residual branch is left out, which
    falls linearly towards the first; ``step``, a number or variable, draws which are.
    """
    norms = {
        layer.name: layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    frozen = {name: layer for name, layer in norms.items() if name.startswith(frozen_prefix)}
    sums = [
        layer.name
        for layer in network.layers
        if isinstance(layer, keras.layers.Add) and layer.name.startswith("backbone_")
    ]

    def twin(layer: keras.layers.Layer) -> keras.layers.Layer:
        if stochastic_depth and layer.name in sums:
            number = sums.index(layer.name) + 1
            return _RandomDepth(layer.name, stochastic_depth * number / len(sums), number, step)
        if layer.name in frozen:
            return _Nothing()
        if layer.name in norms:
            return _FusedNorm(layer)
        norm = frozen.get(layer.name.removesuffix("_conv") + "_bn")
        return _FoldedConv(layer, norm) if norm is not None else layer

    return keras.models.clone_model(network, clone_function=twin)
