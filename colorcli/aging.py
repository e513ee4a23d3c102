"""Old photographs from new ones: what film, time and lenses did to L, as training augmentation.

Colour targets stay true; only the lightness the network sees is aged. Everything is a TensorFlow
graph on one picture, random by a stateless seed so that a resumed run sees the same pictures.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from colorcli.lab import XYZ_FROM_RGB, lightness

# Share of linear light each emulsion answers to: R, G, B.
PANCHROMATIC = tuple(XYZ_FROM_RGB[1])
ORTHOCHROMATIC = (0.02, 0.55, 0.43)
BLUE_SENSITIVE = (0.0, 0.12, 0.88)


def _uniform(seed: Any, salt: int, low: float, high: float) -> Any:
    return tf.random.stateless_uniform((), seed + [0, salt], low, high)


def _sometimes(seed: Any, salt: int, share: float, changed: Any, plain: Any) -> Any:
    return tf.cond(_uniform(seed, salt, 0.0, 1.0) < share, changed, lambda: plain)


def _blurred(gray: Any, sigma: Any) -> Any:
    x = tf.range(-2.0, 3.0)
    kernel = tf.exp(-(x**2) / (2 * sigma**2))
    kernel = kernel / tf.reduce_sum(kernel)
    padded = tf.pad(gray, [[2, 2], [2, 2]], "SYMMETRIC")[None, ..., None]
    rows = tf.nn.conv2d(padded, kernel[:, None, None, None], 1, "VALID")
    return tf.nn.conv2d(rows, kernel[None, :, None, None], 1, "VALID")[0, ..., 0]


def aged_lightness(rgb: Any, seed: Any) -> Any:
    """L (H, W) float32 in 0…100 of sRGB (H, W, 3) in 0…1 as an old photograph would show it.

    Emulsion from panchromatic over orthochromatic to blue-sensitive, then by chance gamma, blur,
    fading and grain. ``seed`` is an int32 pair.
    """
    linear = tf.where(
        rgb > 0.04045, ((tf.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92
    )
    t = _uniform(seed, 1, 0.0, 2.0)
    emulsions = tf.constant([PANCHROMATIC, ORTHOCHROMATIC, BLUE_SENSITIVE], tf.float32)
    nearness = tf.maximum(0.0, 1.0 - tf.abs(tf.range(3.0) - t))
    light = tf.linalg.matvec(linear, tf.linalg.matvec(emulsions, nearness, transpose_a=True))
    gray = tf.maximum(light, 1e-5) ** (1 / 2.2)
    gray = gray ** tf.exp(_uniform(seed, 2, -0.35, 0.35))
    gray = _sometimes(seed, 3, 0.35, lambda: _blurred(gray, _uniform(seed, 4, 0.5, 1.6)), gray)
    black, white = _uniform(seed, 6, 0.0, 0.3), _uniform(seed, 7, 0.65, 1.0)
    gray = _sometimes(seed, 5, 0.4, lambda: black + (white - black) * gray, gray)
    noise = tf.random.stateless_normal(tf.shape(gray), seed + [0, 9])
    grain = _uniform(seed, 10, 0.01, 0.07)
    gray = _sometimes(seed, 8, 0.35, lambda: gray + grain * noise, gray)
    return lightness(tf.clip_by_value(gray, 0.0, 1.0), _Ops)


class _Ops:
    """The two names ``lab.lightness`` needs, without Keras inside a tf.data worker."""

    where, maximum = staticmethod(tf.where), staticmethod(tf.maximum)
