"""``build_model(config)``: the only way a network comes to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from colorcli.config.model import MOST_STAGES, ModelConfig
from colorcli.network.backbones import BACKBONES
from colorcli.network.decoding import LOGITS, of_stage
from colorcli.network.layers import ConvNorm, lowered
from colorcli.network.losses import LOSSES
from colorcli.network.upright.tap import FEATURES
from colorcli.system.errors import ModelError

# The layers that take the encoder's deepest features, and those that are joined first.
ENTRY, FIRST = "decoder_entry", "decoder_stage0"


def _decoder(features: dict[int, Any], widths: tuple[int, ...]) -> Any:
    """Features by stride to one map, ``2 ** len(widths)`` times finer than the deepest."""
    stride = max(features)
    x = ConvNorm(2 * widths[0], 1, name=ENTRY)(features[stride])
    # What the whole picture is about, added everywhere: a sky-blue or a candle-lit scene.
    scene = layers.GlobalAveragePooling2D(keepdims=True, name="decoder_scene_pool")(x)
    scene = ConvNorm(2 * widths[0], 1, norm="none", activation="relu", name="decoder_scene_conv")(
        scene
    )
    x = layers.Add(name="decoder_scene")([x, scene])
    for stage, width in enumerate(widths):
        name = f"decoder_stage{stage}"
        stride //= 2
        x = ConvNorm(width, 1, name=f"{name}_narrow")(x)
        x = layers.UpSampling2D(interpolation="bilinear", name=f"{name}_up")(x)
        if stride in features:
            x = layers.Concatenate(name=f"{name}_join")([x, features[stride]])
        x = ConvNorm(width, 3, name=name)(x)
    return x


def check(config: ModelConfig) -> None:
    """Raise ``ModelError`` for a config that cannot be built."""
    for key, name, known in (
        ("backbone", config.backbone, BACKBONES),
        ("loss", config.loss, LOSSES),
    ):
        if name not in known:
            raise ModelError(f"unknown {key} {name!r}; known: {', '.join(known)}")
    if not config.decoder or min(config.decoder) < 1:
        raise ModelError(f"decoder widths must be positive, not {config.decoder}")
    if len(config.decoder) > MOST_STAGES:
        raise ModelError(f"a decoder has {MOST_STAGES} stages at most, not {len(config.decoder)}")
    if config.size < 32 or config.size % 32:
        raise ModelError(f"size must be a positive multiple of 32 pixels, not {config.size}")


def _check_blocks(lightness: Any, features: dict[int, Any]) -> None:
    """Raise ``ValueError`` for a backbone that training and folding could not deal with whole."""
    for layer in keras.Model(lightness, list(features.values())).layers:
        if layer.weights and getattr(layer, "block", None) is None:
            raise ValueError(f"{layer.name}: a backbone's weights belong to ConvNorms with a block")


def build_model(config: ModelConfig) -> keras.Model:
    """The network: L (B, S, S, 1) in 0…100 to the head's output (B, S/r, S/r, channels) float32.

    S may be any multiple of the deepest stride; ``config.size`` is only what colouring uses.
    The same seed (``keras.utils.set_random_seed``) gives the same weights.
    Raises ``ModelError`` for unknown names or impossible sizes.
    """
    check(config)
    lightness = keras.Input((None, None, 1), name="lightness")
    features = BACKBONES[config.backbone].build(lightness)
    _check_blocks(lightness, features)
    x = _decoder(features, config.decoder)
    loss = LOSSES[config.loss]
    # Regression starts from gray, the best guess without knowledge; wide random ab would take a
    # tanh head far off at first.
    start = "glorot_uniform" if loss.distribution else keras.initializers.RandomNormal(stddev=1e-3)
    head = ConvNorm(
        loss.channels, 1, norm="none", activation=None, start=start, name="head", dtype="float32"
    )
    return keras.Model(lightness, head(x), name="colorizer")


def sharpened(arrays: Mapping[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    """Weights by path, those of the head times ``scale``: so are its outputs."""
    return {k: v * np.float32(scale) if k.startswith("head/") else v for k, v in arrays.items()}


def output_stride(config: ModelConfig) -> int:
    """Pixels of the input for each pixel of predicted chroma, along one side."""
    lightness = keras.Input((None, None, 1))
    deepest = max(BACKBONES[config.backbone].build(lightness))
    return max(1, deepest // 2 ** len(config.decoder))


def _features(network: keras.Model) -> list[Any]:
    """What the decoder gets of the encoder: the deepest, and what it joins first."""
    joins = [layer for layer in network.layers if layer.name == f"{FIRST}_join"]
    return [network.get_layer(ENTRY).input, *(layer.input[1] for layer in joins)]


def with_decode(
    network: keras.Model,
    config: ModelConfig,
    prior: np.ndarray,
    size: int | None = None,
    *,
    flexible: bool = False,
    features: bool = False,
) -> keras.Model:
    """The network as it ships: lowered, decode inside, batch 1, static shapes unless ``flexible``.

    Inputs ``L`` (1, S, S, 1) in 0…100 and, for a distribution over bins, a number (1,) for each knob
    that acts on logits. Outputs ``ab`` (1, s, s, 2) in ab units and, for a distribution,
    ``logits`` (1, s, s, Q); with ``features`` also what the decoder gets of the encoder.
    """
    loss, network = LOSSES[config.loss], lowered(network)
    size = size or config.size
    side = None if flexible else size
    lightness = keras.Input(batch_shape=(1, side, side, 1), name="L")
    more: dict[str, Any] = {}
    if features:
        output, *inner = keras.Model(network.input, [network.output, *_features(network)])(
            lightness
        )
        more = dict(zip(FEATURES, inner, strict=False))
    else:
        output = network(lightness)
    if not loss.distribution:
        ab = loss.decode(output, {}, None)
        return keras.Model({"L": lightness}, {"ab": ab, **more})
    values = {knob.name: keras.Input(batch_shape=(1,), name=knob.name) for knob in of_stage(LOGITS)}
    numbers = {name: ops.reshape(value, (1, 1, 1, 1)) for name, value in values.items()}
    ab = loss.decode(output, numbers, np.log(prior).astype(np.float32))
    return keras.Model({"L": lightness, **values}, {"ab": ab, "logits": output, **more})
