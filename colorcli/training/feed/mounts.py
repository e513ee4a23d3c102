"""Scans from photographs: what lies around and over prints, as training augmentation.

Rims, bars, pages, oval and rounded mats, captions, stamps and handwriting cover parts of L, and are
as neutral as paper and ink are: colour targets are zero there, so that a network learns to leave
them gray, and to see past them. Like ageing, the work is done on whole batches in a TensorFlow
graph, each picture by draws of its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

DRAWS = 24  # uniform numbers in 0…1 that decide how one picture is mounted
# Share of each kind, and what its sides take of the picture's, least and most.
KINDS = (
    ("rim", 0.34, 0.02, 0.20), ("letterbox", 0.12, 0.04, 0.30), ("pillarbox", 0.10, 0.04, 0.30),
    ("page", 0.14, 0.06, 0.34), ("oval", 0.08, 0.01, 0.12), ("rounded", 0.08, 0.01, 0.12),
    ("bare", 0.14, 0.0, 0.0),
)  # fmt: skip
# Share of each tone, and its L: white paper, lids and black bars, gray and brown album paper.
TONES = ((0.50, 88.0, 99.0), (0.32, 1.0, 16.0), (0.18, 30.0, 75.0))
INKS = ((0.65, 4.0, 35.0), (0.35, 80.0, 98.0))
MARKED = 0.6  # share of mounted pictures with a mark, and share of those with another
MARKS, MARK = 64, 96  # how many there are, and pixels of their sides
_WORDS = "aeinrst lmou1927 "
_FONTS = (
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX, cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX_SMALL,
)  # fmt: skip


def _written(mask: np.ndarray, random: np.random.Generator) -> None:
    """A line or three of a few words."""
    font = _FONTS[random.integers(len(_FONTS))]
    for line in range(random.integers(1, 4)):
        text = "".join(random.choice(list(_WORDS)) for _ in range(random.integers(5, 14)))
        at = int(random.integers(2, 14)), int(MARK * (0.35 + 0.2 * line))
        scale = float(random.uniform(0.3, 0.6))
        cv2.putText(mask, text, at, font, scale, color=255, lineType=cv2.LINE_AA)


def _stamped(mask: np.ndarray, random: np.random.Generator) -> None:
    """Rings about a word, and the waves that cancel a stamp."""
    middle, radius = (MARK // 2, MARK // 2), int(random.integers(26, 42))
    for inner in (0, int(random.integers(5, 12))):
        cv2.circle(
            mask, middle, radius - inner, color=255, thickness=int(random.integers(1, 3)),
            lineType=cv2.LINE_AA,
        )  # fmt: skip
    text = "".join(random.choice(list("AENRST1938")) for _ in range(5))
    at = MARK // 2 - 22, MARK // 2 + 4
    cv2.putText(mask, text, at, _FONTS[2], 0.5, color=255, lineType=cv2.LINE_AA)
    if random.random() < 0.4:
        x = np.arange(MARK)
        for height in np.linspace(0.2, 0.8, 5) * MARK:
            y = height + 4 * np.sin(x / 7 + random.uniform(0, 6))
            points = np.stack([x, y], axis=1).astype(np.int32)
            cv2.polylines(mask, [points], isClosed=False, color=255, thickness=1, lineType=cv2.LINE_AA)  # fmt: skip


def _scribbled(mask: np.ndarray, random: np.random.Generator) -> None:
    """A stroke of a pen, or a scratch."""
    points = random.uniform(0.08, 0.92, (4, 2)) * MARK
    t = np.linspace(0, 1, 40)[:, None]
    weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3]
    curve = sum(w * p for w, p in zip(weights, points, strict=True))
    ink = int(random.integers(1, 4))
    cv2.polylines(mask, [np.rint(curve).astype(np.int32)], isClosed=False, color=255, thickness=ink, lineType=cv2.LINE_AA)  # fmt: skip


@lru_cache(maxsize=1)
def marks() -> np.ndarray:
    """Masks (MARKS, MARK, MARK, 1) float32 in 0…1 of captions, stamps and strokes, the same always."""
    random = np.random.default_rng(22)
    drawn = []
    for number in range(MARKS):
        mask = np.zeros((MARK, MARK), np.uint8)
        (_written, _stamped, _scribbled, _written)[number % 4](mask, random)
        angle = float(random.normal(0, 12)) + 90 * (random.random() < 0.1)
        turn = cv2.getRotationMatrix2D((MARK / 2, MARK / 2), angle, 1)
        drawn.append(cv2.warpAffine(mask, turn, (MARK, MARK), flags=cv2.INTER_LINEAR))
    return np.stack(drawn)[..., None].astype(np.float32) / 255


def _chosen(draw: Any, rows: Any) -> Any:
    """Columns (n, k) of the row that each draw (n,) falls to; rows (m, 1 + k) begin with shares."""
    table = tf.constant(rows, tf.float32)
    ends = tf.cumsum(table[:, 0])
    at = tf.reduce_sum(tf.cast(draw[:, None] >= ends[None, :-1], tf.int32), axis=1)
    return tf.gather(table[:, 1:], at)


def _between(draw: Any, range: Any) -> Any:
    """(n,) of draws (n,) in ranges (n, 2)."""
    return range[:, 0] + (range[:, 1] - range[:, 0]) * draw


def _around(draws: Any, height: int, width: int) -> Any:
    """Share (n, h, w) of each pixel that lies outside of the photograph."""
    sided = tf.constant([[1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 1, 0]], tf.float32)
    sides = [{"letterbox": 1, "pillarbox": 2}.get(kind, 0) for kind, *_ in KINDS]
    rows = [
        [share, least, most, number, float(side), float(kind == "page")]
        for number, ((kind, share, least, most), side) in enumerate(zip(KINDS, sides, strict=True))
    ]
    kind = _chosen(draws[:, 0], rows)
    depth = _between(draws[:, 1] ** 2, kind[:, :2])[:, None]  # thin ones come more often
    own = kind[:, :1] + (kind[:, 1:2] - kind[:, :1]) * draws[:, 2:6]
    even = depth * (0.85 + 0.3 * draws[:, 2:6])
    at_all = tf.gather(sided, tf.cast(kind[:, 3], tf.int32)) > 0
    depths = tf.where(kind[:, 4:5] > 0, own, even)
    # A side without a bar ends beyond the picture, whose own border stays sharp.
    left, top, right, bottom = tf.unstack(tf.where(at_all, depths, -0.1), axis=1)
    x = (tf.range(width, dtype=tf.float32)[None, None] + 0.5) / width
    y = (tf.range(height, dtype=tf.float32)[None, :, None] + 0.5) / height

    def wide(value: Any) -> Any:
        return value[:, None, None]

    half_x, half_y = wide(1 - left - right) / 2, wide(1 - top - bottom) / 2
    from_x, from_y = tf.abs(x - wide(1 + left - right) / 2), tf.abs(y - wide(1 + top - bottom) / 2)
    number = wide(kind[:, 2])
    named = {name: tf.cast(number == i, tf.float32) for i, (name, *_) in enumerate(KINDS)}
    radius = named["rounded"] * wide(0.03 + 0.25 * draws[:, 6])
    beyond_x, beyond_y = from_x - half_x + radius, from_y - half_y + radius
    corner = tf.sqrt(tf.maximum(beyond_x, 0) ** 2 + tf.maximum(beyond_y, 0) ** 2 + 1e-12)
    distance = corner + tf.minimum(tf.maximum(beyond_x, beyond_y), 0) - radius
    oval = (tf.sqrt((from_x / half_x) ** 2 + (from_y / half_y) ** 2 + 1e-12) - 1) * 0.5
    distance = tf.where(named["oval"] > 0, oval, distance)
    soft = wide(1 + 3 * draws[:, 7] ** 2) / width
    return tf.clip_by_value(distance / soft + 0.5, 0, 1) * (1 - named["bare"])


def _mark(draws: Any, height: int, width: int) -> Any:
    """Share (n, h, w) of each pixel that is ink, of five draws (n, 5)."""
    with tf.init_scope():  # no part of the graph, which would print it where it complains
        bank = tf.constant(marks())
    number = tf.cast(draws[:, 0] * MARKS, tf.int32)
    size = 0.15 + 0.5 * draws[:, 1]
    y, x = draws[:, 2] - size / 2, draws[:, 3] - size / 2  # its upper left corner
    nothing = tf.zeros_like(size)
    to_mark = [
        MARK / (width * size), nothing, -x * MARK / size,
        nothing, MARK / (height * size), -y * MARK / size, nothing, nothing,
    ]  # fmt: skip
    ink = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.gather(bank, number), transforms=tf.stack(to_mark, axis=1),
        output_shape=(height, width), fill_value=0.0, interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[..., 0]  # fmt: skip
    return ink * (0.6 + 0.4 * draws[:, 4])[:, None, None]


def mounted(lightness: Any, ab: Any, draws: Any, noise: Any) -> tuple[Any, Any]:
    """L (n, h, w) and ab (n, h/s, w/s, 2) of photographs, mounted, written on and stamped.

    ``draws`` (n, DRAWS) are uniform in 0…1, ``noise`` (n, h, w) is standard normal: paper's grain.
    """
    height, width = lightness.shape[1:3]
    around = _around(draws[:, :8], height, width)
    tone = _between(draws[:, 9], _chosen(draws[:, 8], TONES))[:, None, None]
    slope = (draws[:, 10:11, None] - 0.5) * tf.linspace(-8.0, 8.0, width)[None, None]
    paper = tone + slope + 1.5 * draws[:, 11, None, None] * noise
    ink = _between(draws[:, 13], _chosen(draws[:, 12], INKS))[:, None, None]
    bare = tf.cast(draws[:, 0] >= sum(share for _, share, *_ in KINDS[:-1]), tf.float32)
    first = tf.maximum(bare, tf.cast(draws[:, 14] < MARKED, tf.float32))
    second = first * tf.cast(draws[:, 14] < MARKED**2, tf.float32)
    written = tf.maximum(
        first[:, None, None] * _mark(draws[:, 15:20], height, width),
        second[:, None, None] * _mark(tf.roll(draws[:, 19:24], 1, axis=1), height, width),
    )
    shown = lightness + around * (paper - lightness)
    shown = tf.clip_by_value(shown + written * (ink - shown), 0, 100)
    covered = 1 - (1 - around) * (1 - written)
    stride = height // ab.shape[1]
    kept = 1 - tf.nn.avg_pool2d(covered[..., None], stride, stride, "VALID")
    return shown, ab * kept
