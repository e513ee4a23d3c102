"""What networks are made of: convolutions that know their norm, and residual sums.

A ``ConvNorm`` is one layer for the convolution, the batch norm behind it and the activation. So
nothing has to find out later which norm belongs to which convolution: the layer trains with the
batch's statistics or with frozen ones, folds itself into a kernel and a bias, and ``lowered`` puts
plain convolutions in its place before any converter sees the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

NORMS = ("batch", "frozen", "none")
MOMENTUM = 0.98  # of the moving statistics
DEAD = 1e-4  # a channel scaled by less than this cannot be unfolded from float16


@keras.saving.register_keras_serializable("colorcli")
class ConvNorm(keras.layers.Layer):
    """Convolution ("same" padding), norm and activation: (B, H, W, C) to (B, H/stride, …, width).

    ``width`` None: depthwise, one filter for each channel. ``norm``: ``batch`` trains with the
    statistics of the batch, ``frozen`` always uses the moving ones (scale and shift still learn),
    ``none`` has a bias instead. ``activation``: a name that Keras knows. ``block``: the number of
    the backbone's block that the layer belongs to, −1 for what is before the first; None outside
    a backbone.

    Weights: ``kernel`` HWIO (depthwise: HWC1); ``gamma``, ``beta``, ``moving_mean``,
    ``moving_variance``, or ``bias``.
    """

    def __init__(
        self,
        width: int | None,
        kernel: int,
        stride: int = 1,
        *,
        norm: str = "batch",
        activation: str | None = "relu6",
        block: int | None = None,
        epsilon: float = 1e-3,
        start: str | keras.initializers.Initializer = "glorot_uniform",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
        self.width, self.kernel_size, self.stride = width, kernel, stride
        self.norm, self.activation, self.block, self.epsilon = norm, activation, block, epsilon
        self.start = keras.initializers.get(start)

    @property
    def depthwise(self) -> bool:
        """Whether each channel has one filter of its own."""
        return self.width is None

    def build(self, shape: Any) -> None:
        """Make the weights for inputs of ``shape``."""
        channels = shape[-1]
        last = (channels, 1) if self.width is None else (channels, self.width)
        size = (self.kernel_size, self.kernel_size, *last)
        vector = (channels if self.width is None else self.width,)

        def weight(name: str, shape: Any, start: Any, trainable: bool = True) -> Any:
            # Cast below, where it is known what to; float16 would not do for the norm.
            return self.add_weight(
                name=name, shape=shape, initializer=start, trainable=trainable, autocast=False
            )

        self.kernel = weight("kernel", size, self.start)
        if self.norm == "none":
            self.bias = weight("bias", vector, "zeros")
            return
        self.gamma, self.beta = weight("gamma", vector, "ones"), weight("beta", vector, "zeros")
        self.moving_mean = weight("moving_mean", vector, "zeros", False)
        self.moving_variance = weight("moving_variance", vector, "ones", False)

    def compute_output_shape(self, shape: Any) -> Any:
        """See Keras."""
        sides = [None if n is None else -(-n // self.stride) for n in shape[1:3]]
        return (shape[0], *sides, shape[-1] if self.width is None else self.width)

    def _convolved(self, x: Any, kernel: Any) -> Any:
        strides = (1, self.stride, self.stride, 1)
        convolve = tf.nn.depthwise_conv2d if self.depthwise else tf.nn.conv2d
        return convolve(x, tf.cast(kernel, x.dtype), strides, "SAME")

    def call(self, x: Any, training: Any = False) -> Any:
        """The layer's output; in ``training`` with the batch's statistics, if its norm is such."""
        if self.norm == "batch" and training:
            x = self._normalised(self._convolved(x, tf.convert_to_tensor(self.kernel)))
        elif self.norm == "none":
            x = tf.nn.bias_add(self._convolved(x, self.kernel), tf.cast(self.bias, x.dtype))
        else:  # (x ∗ w·s) + (β − μ·s): the kernels are small, the feature maps are not
            scale = self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
            kernel = self.kernel * (scale[:, None] if self.depthwise else scale)
            bias = self.beta - self.moving_mean * scale
            x = tf.nn.bias_add(self._convolved(x, kernel), tf.cast(bias, x.dtype))
        return keras.activations.get(self.activation)(x)

    def _normalised(self, x: Any) -> Any:
        """Batch normalization over the global batch, by one kernel where there is one device."""
        replicas = tf.distribute.get_replica_context()
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if replicas is None or replicas.num_replicas_in_sync == 1:
            y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                x, scale, offset, epsilon=self.epsilon, is_training=True
            )
            count = tf.cast(tf.size(x) // tf.shape(x)[-1], tf.float32)
            variance *= (count - 1.0) / count  # the biased one is averaged, as Keras does
        else:
            wide = tf.cast(x, tf.float32)
            both = tf.stack([tf.reduce_mean(wide, (0, 1, 2)), tf.reduce_mean(wide**2, (0, 1, 2))])
            mean, square = tf.unstack(replicas.all_reduce(tf.distribute.ReduceOp.MEAN, both))
            variance = square - mean**2
            scale = scale * tf.math.rsqrt(variance + self.epsilon)
            y = tf.cast(wide * scale + (offset - mean * scale), x.dtype)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * MOMENTUM + tf.stop_gradient(value) * (1 - MOMENTUM))
        return y

    def scale(self) -> np.ndarray:
        """What folding multiplies the kernel by: float64, of a shape that fits ``kernel``."""
        if self.norm == "none":
            return np.ones(1)
        deviation = np.sqrt(np.asarray(self.moving_variance, np.float64) + self.epsilon)
        scale = np.asarray(self.gamma, np.float64) / deviation
        return scale[:, None] if self.depthwise else scale

    @property
    def invertible(self) -> bool:
        """Whether ``kernel`` can be had back from its folded float16."""
        return bool(np.abs(self.scale()).min() > DEAD)

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias, float32, of the plain convolution that does the same in inference."""
        kernel, scale = np.asarray(self.kernel, np.float64), self.scale()
        if self.norm == "none":
            return kernel.astype(np.float32), np.asarray(self.bias, np.float32)
        bias = np.asarray(self.beta, np.float64) - np.asarray(self.moving_mean) * scale.ravel()
        return (kernel * scale).astype(np.float32), bias.astype(np.float32)

    def unfold(self, kernel: np.ndarray) -> None:
        """Take ``kernel`` from its folded form; the norm must be set before."""
        self.kernel.assign((kernel / self.scale()).astype(np.float32))

    def plain(self) -> keras.layers.Layer:
        """A convolution of Keras's own with bias; its weights are ``folded()``'s."""
        options: dict[str, Any] = {
            "strides": self.stride, "padding": "same", "activation": self.activation,
            "name": self.name, "dtype": self.dtype_policy,
        }  # fmt: skip
        if self.width is None:
            return keras.layers.DepthwiseConv2D(self.kernel_size, **options)
        return keras.layers.Conv2D(self.width, self.kernel_size, **options)

    def get_config(self) -> dict[str, Any]:
        """See Keras."""
        return {
            **super().get_config(), "width": self.width, "kernel": self.kernel_size,
            "stride": self.stride, "norm": self.norm, "activation": self.activation,
            "block": self.block, "epsilon": self.epsilon,
            "start": keras.initializers.serialize(self.start),
        }  # fmt: skip


@keras.saving.register_keras_serializable("colorcli")
class Residual(keras.layers.Layer):
    """branch + entry, whose branch training may leave out of some pictures and scale up in others.

    Stochastic depth, Huang et al. 2016: ``left_out`` is the chance, 0 unless ``random_depth`` sets
    it; what is left out depends on ``number``, which tells the sums apart, and the step alone.
    """

    def __init__(self, number: int, **options: Any) -> None:
        super().__init__(**options)
        self.number, self.left_out, self.step = number, 0.0, 0

    def call(self, inputs: Any, training: Any = False) -> Any:
        """The sum of the two inputs (B, H, W, C)."""
        branch, entry = inputs
        if not (training and self.left_out):
            return branch + entry
        replica = tf.distribute.get_replica_context()
        own = self.number + 1000 * (replica.replica_id_in_sync_group if replica else 0)
        seed = tf.stack([tf.cast(own, tf.int64), tf.cast(self.step, tf.int64)])
        draw = tf.random.stateless_uniform((tf.shape(branch)[0], 1, 1, 1), seed)
        kept = tf.cast(draw >= self.left_out, branch.dtype)
        return entry + branch * (kept / (1.0 - self.left_out))

    def compute_output_shape(self, shapes: Any) -> Any:
        """See Keras."""
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        """See Keras."""
        return {**super().get_config(), "number": self.number}


def random_depth(network: keras.Model, share: float, step: Any) -> None:
    """Let training leave residual branches out: the last with chance ``share``, the first rarely.

    ``step``, a number or variable, draws which. It holds for what is traced from now on.
    """
    sums = [layer for layer in network.layers if isinstance(layer, Residual)]
    for i, layer in enumerate(sums, 1):
        layer.left_out, layer.step = share * i / len(sums), step


def freeze_norms(network: keras.Model) -> None:
    """Let every norm of ``network`` use its moving statistics in training too."""
    for layer in convolutions(network):
        if layer.norm == "batch":
            layer.norm = "frozen"


def convolutions(network: keras.Model) -> Iterator[ConvNorm]:
    """The ``ConvNorm`` layers of a network, in its order."""
    return (layer for layer in network.layers if isinstance(layer, ConvNorm))


def backbone_weights(network: keras.Model, first: int = -1) -> list[Any]:
    """Variables of a network's backbone, from block ``first`` on."""
    return [
        weight
        for layer in convolutions(network)
        if layer.block is not None and layer.block >= first
        for weight in layer.weights
    ]


def lowered(network: keras.Model, kernels: type = np.float32) -> keras.Model:
    """The network for inference, of Keras's own layers alone: norms folded into convolutions.

    ``kernels``: what they are rounded to, so that a converter to float16 has nothing to decide.
    A network that holds no layer of ours comes back as it is.
    """
    ours = (ConvNorm, Residual)
    if not any(isinstance(layer, ours) for layer in network.layers):
        return network

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, ConvNorm):
            return layer.plain()
        if isinstance(layer, Residual):
            return keras.layers.Add(name=layer.name)
        return type(layer).from_config(layer.get_config())

    plain = keras.models.clone_model(network, clone_function=clone)
    for old, new in zip(network.layers, plain.layers, strict=True):
        if isinstance(old, ConvNorm):
            kernel, bias = old.folded()
            new.set_weights([kernel.astype(kernels).astype(np.float32), bias])
        elif old.weights:
            new.set_weights(old.get_weights())
    return plain
