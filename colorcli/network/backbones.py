"""Backbones: encoders from L to feature maps, and readers of their published weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from colorcli.color.lab import L_MAX
from colorcli.network.layers import ConvNorm, Residual, convolutions
from colorcli.system.errors import ModelError

Features = dict[int, Any]  # stride -> feature map (B, size/stride, size/stride, channels)


@dataclass(frozen=True)
class Backbone:
    """An encoder: ``build(L)`` takes L (B, S, S, 1) in 0…100 and gives features by stride.

    It is made of ``ConvNorm`` layers that know their block, and ``Residual`` sums.
    ``load(network, arrays)`` copies published weights into the layers; None where there are none.
    ``residual``: it has blocks that add to what they get, so one can be left out.
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
        x = ConvNorm(width, 3, stride, norm="none", activation="relu", block=i, name=name)(x)
    return {8: x}


# --- EfficientNet-Lite (Apache-2.0 weights; Tan and Le 2019, without squeeze-excite, ReLU6) ----

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


def _efficientnet_lite(width: float, depth: float) -> Callable[[Any], Features]:
    # Norms stay frozen, always: batches of colorization data are small and their statistics drift;
    # the published ones stay, while scale and shift may still learn.
    def conv(x: Any, *shape: Any, **options: Any) -> Any:
        return ConvNorm(*shape, norm="frozen", **options)(x)

    def build(lightness: Any) -> Features:
        # The weights expect (pixel − 127)/128; L is nearly linear in the gray pixel value.
        x = layers.Rescaling(255.0 / L_MAX / 128.0, offset=-127.0 / 128.0, name="backbone_scale")(
            lightness
        )
        x = conv(x, 32, 3, 2, block=-1, name="backbone_stem")
        stride, features = 2, {}
        for i, (kernel, step, expansion, channels) in enumerate(_blocks(width, depth)):
            if step == 2:
                features[stride] = x
                stride *= 2
            name, entry = f"backbone_block{i}", x
            if expansion != 1:
                x = conv(x, x.shape[-1] * expansion, 1, block=i, name=f"{name}_expand")
            x = conv(x, None, kernel, step, block=i, name=f"{name}_depthwise")
            x = conv(x, channels, 1, activation=None, block=i, name=f"{name}_project")
            if step == 1 and entry.shape[-1] == channels:
                x = Residual(i, name=f"{name}_sum")([x, entry])
        features[stride] = x
        return features

    return build


# Our part of a block, and the PyTorch port's convolution and norm.
_PARTS = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))


def published_names(network: keras.Model) -> Iterator[tuple[ConvNorm, str, str]]:
    """Each layer of an EfficientNet-Lite backbone with the port's names of its convolution and norm."""
    ours = {layer.name: layer for layer in convolutions(network) if layer.block is not None}
    yield ours.pop("backbone_stem"), "_conv_stem", "_bn0"
    for i in range(1 + max(layer.block or 0 for layer in ours.values())):
        for part, norm in _PARTS:
            layer = ours.get(f"backbone_block{i}_{part}")
            if layer is not None:
                yield layer, f"_blocks.{i}._{part}_conv", f"_blocks.{i}.{norm}"


def _load_efficientnet(network: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Copy EfficientNet-Lite weights named as in the PyTorch port; one input channel from three.

    Raises ``ModelError`` when an array is missing, left over or of another shape.
    """
    left = dict(arrays)

    def take(name: str) -> np.ndarray:
        if name not in left:
            raise ModelError(f"backbone weights: no array named {name}; not EfficientNet-Lite?")
        return left.pop(name).astype(np.float32)

    for layer, conv, norm in published_names(network):
        kernel = take(f"{conv}.weight").transpose(2, 3, 1, 0)  # OIHW -> HWIO
        if kernel.shape[2] == 3:  # a gray picture repeats L in all three inputs
            kernel = kernel.sum(2, keepdims=True)
        if layer.depthwise:  # C1HW -> HWC1
            kernel = kernel.transpose(0, 1, 3, 2)
        values = {"kernel": kernel}
        for ours, theirs in (("gamma", "weight"), ("beta", "bias"),
                             ("moving_mean", "running_mean"), ("moving_variance", "running_var")):  # fmt: skip
            values[ours] = take(f"{norm}.{theirs}")
        for name, value in values.items():
            weight = getattr(layer, name)
            if value.shape != tuple(weight.shape):
                raise ModelError(
                    f"backbone weights: {conv} has {name} {value.shape}, expected "
                    f"{tuple(weight.shape)}"
                )
            weight.assign(value)
    over = [name for name in left if not name.endswith("num_batches_tracked")]
    if over:
        raise ModelError(f"backbone weights: {len(over)} arrays left over, e.g. {min(over)}")


BACKBONES: dict[str, Backbone] = {
    "plain": Backbone(_plain),
    "efficientnet-lite0": Backbone(_efficientnet_lite(1.0, 1.0), _load_efficientnet, True),
    "efficientnet-lite2": Backbone(_efficientnet_lite(1.1, 1.2), _load_efficientnet, True),
}
