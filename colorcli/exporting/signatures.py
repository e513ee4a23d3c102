"""What an export computes, as one function of named tensors, whatever format it is written in.

``ab``: L, temperature, vividness to ab (and logits), as model folders do it. ``image``: a picture
to a picture of the same size, with everything ``Colorizer`` does in between inside the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from colorcli.color.lab import (
    XYZ_FROM_RGB,
    above,
    lab_to_shown,
    lightness,
    srgb_encoded,
    srgb_linear,
)
from colorcli.colorizing import framing
from colorcli.config.model import ModelConfig
from colorcli.network.decoding import KNOBS, NEUTRAL, after
from colorcli.network.layers import lowered
from colorcli.network.losses import LOSSES
from colorcli.network.model import with_decode

Tensors = Mapping[str, Any]
Values = Mapping[str, float]  # of the knobs


@dataclass(frozen=True)
class Port:
    """An input: its shape (None: any), dtype and meaning."""

    shape: tuple[int | None, ...]
    dtype: str
    note: str


@dataclass(frozen=True)
class Graph:
    """``call`` maps named inputs to named outputs; ``network`` holds the weights it uses.

    ``portable`` does the same with layers that every Keras knows.
    """

    signature: str
    inputs: dict[str, Port]
    call: Callable[[Tensors], dict[str, Any]]
    portable: Callable[[Tensors], dict[str, Any]]
    network: keras.Model
    flexible: bool

    def specs(self) -> list[tf.TensorSpec]:
        """Named TensorFlow specs, in the order of ``inputs``."""
        return [tf.TensorSpec(p.shape, p.dtype, name=name) for name, p in self.inputs.items()]

    def positional(self) -> Callable[..., dict[str, Any]]:
        """``call`` with the inputs one after the other."""
        return lambda *tensors: self.call(dict(zip(self.inputs, tensors, strict=True)))


class _UpSampling(keras.layers.UpSampling2D):
    """Bilinear upsampling of any size inside a TensorFlow graph, where Keras's own fails (3.15)."""

    def call(self, inputs: Any) -> Any:
        size = tf.shape(inputs)[1:3] * tf.constant(self.size)
        out = tf.image.resize(inputs, size, self.interpolation)
        return tf.ensure_shape(out, (inputs.shape[0], None, None, inputs.shape[-1]))

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)


def _traceable(network: keras.Model) -> keras.Model:
    """A copy whose upsampling takes any size."""

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        is_up = isinstance(layer, keras.layers.UpSampling2D)
        return (_UpSampling if is_up else type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=clone)
    copy.set_weights(network.get_weights())
    return copy


def _ab(
    network: keras.Model, config: ModelConfig, prior: np.ndarray, size: int | None, values: Values
) -> Graph:
    flexible = size is None
    decoded = portable = with_decode(network, config, prior, size, flexible=flexible)
    if flexible:
        network = _traceable(network)
        decoded = with_decode(network, config, prior, flexible=True)
    side = f"multiples of 32, best {config.size}" if flexible else "fixed"
    notes = {
        "L": f"CIE L in 0…100, the whole picture stretched to the square; sides {side}",
        **{name: knob.help.rstrip(".") for name, knob in KNOBS.items()},
    }
    inputs = {
        name: Port(tuple(tensor.shape), "float32", notes[name])
        for name, tensor in decoded.input.items()
    }
    return Graph(
        signature="ab", inputs=inputs, call=_by_name(decoded), portable=_by_name(portable),
        network=network, flexible=flexible,
    )  # fmt: skip


def _by_name(model: keras.Model) -> Callable[[Any], Any]:
    def call(feed: Any) -> Any:
        return model(dict(feed))

    return call


def _taps(inside: Any, outside: Any) -> tuple[Any, Any]:
    """Where each of ``outside`` output samples lies among ``inside`` input ones, and those."""
    scale = tf.cast(inside, tf.float32) / tf.cast(outside, tf.float32)
    at = (tf.range(tf.cast(outside, tf.float32))[:, None] + 0.5) * scale - 0.5
    return at, tf.range(tf.cast(inside, tf.float32))[None]


def _cubic(inside: Any, outside: Any) -> Any:
    """Matrix (outside, inside) of OpenCV's INTER_CUBIC: a = −0.75, edges repeated."""
    at, columns = _taps(inside, outside)
    last = tf.cast(inside, tf.float32) - 1
    base, a, rows = tf.floor(at), -0.75, 0.0
    for tap in (-1.0, 0.0, 1.0, 2.0):
        x = tf.abs(at - base - tap)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        weight = tf.where(x <= 1, near, tf.where(x < 2, far, 0.0))
        cell = tf.clip_by_value(base + tap, 0.0, last)
        rows += tf.where(tf.equal(columns, cell), weight, 0.0)
    return rows


def _area(inside: Any, outside: Any) -> Any:
    """Matrix (outside, inside) of OpenCV's INTER_AREA when shrinking."""
    scale = tf.cast(inside, tf.float32) / tf.cast(outside, tf.float32)
    left = tf.range(tf.cast(outside, tf.float32))[:, None] * scale
    columns = tf.range(tf.cast(inside, tf.float32))[None]
    overlap = tf.minimum(left + scale, columns + 1) - tf.maximum(left, columns)
    return tf.maximum(overlap, 0.0) / scale


def _linearly(inside: Any, outside: Any) -> Any:
    """Matrix (outside, inside) of OpenCV's INTER_LINEAR, edges repeated."""
    at, columns = _taps(inside, outside)
    at = tf.clip_by_value(at, 0.0, tf.cast(inside, tf.float32) - 1)
    return tf.maximum(1 - tf.abs(at - columns), 0.0)


def _matrices(height: Any, width: Any, side: int, small: int) -> tuple[Any, ...]:
    """Down (rows, columns) to side×side as ``Colorizer`` shrinks, up (rows, columns) from ab."""
    shrinking = tf.minimum(height, width) > side
    down = [tf.where(shrinking, _area(n, side), _linearly(n, side)) for n in (height, width)]
    return (*down, _cubic(small, height), _cubic(small, width))


def _stretched(light: Any, side: int) -> Any:
    """``framing.stretch`` of L (1, side, side) as a graph."""
    count = side * side
    at = (count - 1) * framing.TAILS / 100  # percentiles, as NumPy interpolates them
    rank, part = int(at), at - int(at)

    def tail(values: Any) -> Any:
        top = ops.top_k(ops.reshape(values, (count,)), rank + 2)[0]
        return top[rank] * (1 - part) + top[rank + 1] * part

    high, low = tail(light), -tail(-light)
    bottom, top = framing.SPREAD
    factor = (top - bottom) / above(high - low, framing.BLANK, ops)
    spread = (bottom + top) / 2 + (light - (low + high) / 2) * factor
    return ops.where(high - low >= framing.NARROW, light, ops.clip(spread, 0.0, 100.0))


def _image(
    network: keras.Model, config: ModelConfig, prior: np.ndarray, size: int | None, values: Values
) -> Graph:
    loss, side = LOSSES[config.loss], config.size
    small = int(network.compute_output_shape((1, side, side, 1))[1])
    log_prior = np.log(prior).astype(np.float32)
    fixed: tuple[Any, ...] | None = None
    if size is not None:
        whole = tf.constant(size)
        fixed = tuple(m.numpy() for m in _matrices(whole, whole, side, small))

    def call(feed: Tensors) -> dict[str, Any]:
        image = feed["image"]
        if fixed is None:
            shape = tf.shape(image)
            matrices = _matrices(shape[1], shape[2], side, small)
        else:
            matrices = fixed
        rows_down, columns_down, rows_up, columns_up = matrices
        linear = srgb_linear(ops.cast(image, "float32") / 255.0, ops)
        y = ops.sum(linear * XYZ_FROM_RGB[1].astype(np.float32), axis=-1)
        gray = srgb_encoded(y, ops)
        shrunk = ops.matmul(ops.matmul(rows_down, gray), ops.transpose(columns_down))
        output = network(_stretched(lightness(shrunk, ops), side)[..., None])
        ab = after(loss.decode(output, values, log_prior), values)
        planes = ops.transpose(ab, (0, 3, 1, 2))
        planes = ops.matmul(ops.matmul(rows_up, planes), ops.transpose(columns_up))
        lab = ops.stack([lightness(gray, ops), planes[:, 0], planes[:, 1]], axis=-1)
        rgb = ops.clip(ops.floor(lab_to_shown(lab, ops) * 255.0 + 0.5), 0.0, 255.0)
        return {"colours": ops.cast(rgb, "uint8")}

    note = "sRGB picture of any size" if size is None else "sRGB picture of this size"
    port = Port((1, size, size, 3), "uint8", f"{note}; R = G = B for a gray one")
    return Graph(
        signature="image", inputs={"image": port}, call=call, portable=call, network=network,
        flexible=size is None,
    )  # fmt: skip


SIGNATURES: dict[str, Callable[..., Graph]] = {"ab": _ab, "image": _image}
OUTPUTS = {
    "ab": "a and b of CIE Lab at a fraction of the input's resolution: stretch them bicubically over "
    "the photograph and join them with its own L",
    "logits": "unnormalised log probability of each of the in-gamut ab bins",
    "colours": "sRGB picture, 8 bits, with the input's own lightness",
}


def build(
    signature: str,
    network: keras.Model,
    config: ModelConfig,
    prior: np.ndarray,
    *,
    size: int | None,
    values: Values = NEUTRAL,
) -> Graph:
    """The graph of a signature (a key of ``SIGNATURES``); ``size`` None: any size.

    ``size`` is the side of L for ``ab`` and of the picture for ``image``; ``values`` of the knobs
    are inside an ``image`` graph and inputs of an ``ab`` graph.
    """
    return SIGNATURES[signature](lowered(network), config, prior, size, values)
