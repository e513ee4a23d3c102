"""Backbones: encoders from L to feature maps, and readers of their published weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from colorcli.errors import ModelError
from colorcli.lab import L_MAX

Features = dict[int, Any]  # stride -> feature map (B, size/stride, size/stride, channels)


@dataclass(frozen=True)
class Backbone:
    """An encoder: ``build(L)`` takes L (B, S, S, 1) in 0…100 and gives features by stride.

    ``load(network, arrays)`` copies published weights into the layers; None where there are none.
    ``residual``: it has blocks that add to what they get, so one can be left out (``fused.py``).
    """

    build: Callable[[Any], Features]
    load: Callable[[keras.Model, Mapping[str, np.ndarray]], None] | None = None
    residual: bool = False


# --- plain: the convolutional encoder of the client's baseline ---------------------------------


def _plain(lightness: Any) -> Features:
    x = layers.Rescaling(2.0 / L_MAX, offset=-1.0, name="backbone_scale")(lightness)
    plan = [(64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 1), (256, 1)]
    for i, (width, stride) in enumerate(plan):
        name = f"backbone_conv{i}"
        x = layers.Conv2D(width, 3, stride, "same", activation="relu", name=name)(x)
    return {8: x}


# --- EfficientNet-Lite (Apache-2.0 weights; Tan and Le 2019, without squeeze-excite, ReLU6) ----

BN_EPSILON = 1e-3
# repeats, kernel, stride, expansion, width: the seven stages of EfficientNet-B0
_STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]


def _width(width: int, factor: float) -> int:
    scaled = max(8, int(width * factor + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * width * factor else scaled


def _blocks(width: float, depth: float) -> list[tuple[int, int, int, int]]:
    """(kernel, stride, expansion, width) of each block. Lite scales neither stem nor end stages."""
    blocks = []
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            repeats = int(np.ceil(repeats * depth))
        for i in range(repeats):
            blocks.append((kernel, stride if i == 0 else 1, expansion, _width(channels, width)))
    return blocks


def _norm(x: Any, name: str) -> Any:
    # training=False, always: batches of colorization data are small and their statistics drift;
    # the published ones stay, while scale and shift may still learn.
    return layers.BatchNormalization(epsilon=BN_EPSILON, name=name)(x, training=False)


def _efficientnet_lite(width: float, depth: float) -> Callable[[Any], Features]:
    def build(lightness: Any) -> Features:
        # The weights expect (pixel − 127)/128; L is nearly linear in the gray pixel value.
        x = layers.Rescaling(255.0 / L_MAX / 128.0, offset=-127.0 / 128.0, name="backbone_scale")(
            lightness
        )
        x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="backbone_stem_conv")(x)
        x = layers.ReLU(6.0)(_norm(x, "backbone_stem_bn"))
        stride, features = 2, {}
        for i, (kernel, step, expansion, channels) in enumerate(_blocks(width, depth)):
            if step == 2:
                features[stride] = x
                stride *= 2
            name, entry = f"backbone_block{i}", x
            if expansion != 1:
                wide = x.shape[-1] * expansion
                x = layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_expand_conv")(x)
                x = layers.ReLU(6.0)(_norm(x, f"{name}_expand_bn"))
            x = layers.DepthwiseConv2D(
                kernel, step, "same", use_bias=False, name=f"{name}_depthwise_conv"
            )(x)
            x = layers.ReLU(6.0)(_norm(x, f"{name}_depthwise_bn"))
            x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project_conv")(x)
            x = _norm(x, f"{name}_project_bn")
            if step == 1 and entry.shape[-1] == channels:
                x = layers.Add(name=f"{name}_sum")([x, entry])
        features[stride] = x
        return features

    return build


_NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def _source_name(layer: str) -> str:
    """Our layer's name in the PyTorch port: backbone_block3_expand_bn -> _blocks.3._bn0."""
    _, block, *part, kind = layer.split("_")
    if block == "stem":
        return "_conv_stem" if kind == "conv" else "_bn0"
    leaf = f"_{part[0]}_conv" if kind == "conv" else _NORMS[part[0]]
    return f"_blocks.{block.removeprefix('block')}.{leaf}"


def _load_efficientnet(network: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Copy EfficientNet-Lite weights named as in the PyTorch port; one input channel from three.

    Raises ``ModelError`` when an array is missing, left over or of another shape.
    """
    left = dict(arrays)

    def take(name: str) -> np.ndarray:
        if name not in left:
            raise ModelError(f"backbone weights: no array named {name}; not EfficientNet-Lite?")
        return left.pop(name).astype(np.float32)

    for layer in network.layers:
        if not layer.name.startswith("backbone_") or not layer.weights:
            continue
        source = _source_name(layer.name)
        if layer.name.endswith("_bn"):
            names = ("weight", "bias", "running_mean", "running_var")
            values = [take(f"{source}.{leaf}") for leaf in names]
        else:
            kernel = take(f"{source}.weight").transpose(2, 3, 1, 0)  # OIHW -> HWIO
            if kernel.shape[2] == 3:  # a gray picture repeats L in all three inputs
                kernel = kernel.sum(2, keepdims=True)
            if "depthwise" in layer.name:  # C1HW -> HWC1
                kernel = kernel.transpose(0, 1, 3, 2)
            values = [kernel]
        shapes = [tuple(w.shape) for w in layer.weights]
        if [v.shape for v in values] != shapes:
            raise ModelError(
                f"backbone weights: {source} has shape {values[0].shape}, expected {shapes[0]}"
            )
        layer.set_weights(values)
    over = [name for name in left if not name.endswith("num_batches_tracked")]
    if over:
        raise ModelError(f"backbone weights: {len(over)} arrays left over, e.g. {min(over)}")


BACKBONES: dict[str, Backbone] = {
    "plain": Backbone(_plain),
    "efficientnet-lite0": Backbone(_efficientnet_lite(1.0, 1.0), _load_efficientnet, True),
    "efficientnet-lite2": Backbone(_efficientnet_lite(1.1, 1.2), _load_efficientnet, True),
}
