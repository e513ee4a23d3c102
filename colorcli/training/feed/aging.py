"""Old photographs from new ones: what film, time and lenses did to L, as training augmentation.

Colour targets stay true; only the lightness the network sees is aged. The work is done on whole
batches in a TensorFlow graph, each picture by draws of its own, so that a resumed run, or another
number of workers, sees the same pictures.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from colorcli.color.lab import XYZ_FROM_RGB

# Share of linear light each emulsion answers to: R, G, B.
PANCHROMATIC = tuple(XYZ_FROM_RGB[1])
ORTHOCHROMATIC = (0.02, 0.55, 0.43)
BLUE_SENSITIVE = (0.0, 0.12, 0.88)

DRAWS = 9  # uniform numbers in 0…1 that decide how one picture ages
GAMMA = 2.2  # between linear light and the gray in which fading and grain are even


def _blurred(gray: Any, sigma: Any) -> Any:
    """Five-tap Gaussian over (n, h, w) by ``sigma`` (n, 1, 1); σ 0 leaves a picture as it is."""
    side = tf.exp(-0.5 / tf.maximum(sigma, 1e-3) ** 2)
    taps = (1.0, side, side**4)  # exp(-x²/2σ²) at distance 0, 1, 2
    total = 1.0 + 2.0 * (taps[1] + taps[2])
    for axis in (1, 2):
        length = tf.shape(gray)[axis]
        padded = tf.pad(gray, [[0, 0] if a != axis else [2, 2] for a in range(3)], "SYMMETRIC")
        at = [
            padded[:, i : i + length] if axis == 1 else padded[:, :, i : i + length]
            for i in range(5)
        ]
        gray = (at[2] + taps[1] * (at[1] + at[3]) + taps[2] * (at[0] + at[4])) / total
    return gray


def aged(linear: Any, draws: Any, noise: Any) -> Any:
    """Linear luminance (n, h, w) in 0…1 of linear sRGB (n, h, w, 3) as old photographs hold it.

    Emulsion from panchromatic over orthochromatic to blue-sensitive, then by chance gamma, blur,
    fading and grain. ``draws`` (n, DRAWS) are uniform in 0…1, ``noise`` (n, h, w) is standard
    normal.
    """
    draw = [draws[:, i, None, None] for i in range(DRAWS)]

    def between(i: int, low: float, high: float) -> Any:
        return low + (high - low) * draw[i]

    def sometimes(i: int, share: float, value: Any, otherwise: float) -> Any:
        return tf.where(draw[i] < share, value, otherwise)

    emulsions = tf.constant([PANCHROMATIC, ORTHOCHROMATIC, BLUE_SENSITIVE], tf.float32)
    nearness = tf.maximum(0.0, 1.0 - tf.abs(tf.range(3.0) - 2.0 * draws[:, :1]))
    light = tf.matmul(linear, tf.matmul(nearness, emulsions)[:, None, :, None])[..., 0]
    gamma = tf.exp(between(1, -0.35, 0.35)) / GAMMA
    gray = tf.exp(gamma * tf.math.log(tf.maximum(light, 1e-5)))
    gray = _blurred(gray, sometimes(2, 0.35, between(3, 0.5, 1.6), 0.0))
    black = sometimes(4, 0.4, between(5, 0.0, 0.3), 0.0)
    white = sometimes(4, 0.4, between(6, 0.65, 1.0), 1.0)
    gray = black + (white - black) * gray
    gray += sometimes(7, 0.35, between(8, 0.01, 0.07), 0.0) * noise
    return tf.exp(GAMMA * tf.math.log(tf.clip_by_value(gray, 1e-5, 1.0)))
