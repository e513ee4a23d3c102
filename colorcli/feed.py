"""Training batches: shards to (L, ab) as one endless ``tf.data`` stream that starts at any step.

The processor also runs the network, so this is written to be cheap: the JPEG decoder reads only
the crop, and everything on floats is done once for a whole batch, without the slow ``pow`` and
``select``. About a millisecond of one core for a picture (benchmarks/feed.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from colorcli.aging import DRAWS, aged
from colorcli.dataset import Dataset
from colorcli.lab import F_FROM_RGB

READERS = 4  # shards read side by side, so that a batch mixes them
BLOCK = 16  # records taken from one of them at a time
SHUFFLE = 2048  # encoded pictures held for shuffling
_CROP_DRAWS = 5


def _power(x: Any, exponent: float) -> Any:
    return tf.exp(exponent * tf.math.log(x))


def _linear(rgb: Any) -> Any:
    """Linear light of sRGB in 0…1: the curve above the edge, continued by the line below it."""
    edge = 0.04045
    curve = _power((tf.maximum(rgb, edge) + 0.055) / 1.055, 2.4)
    return curve + (tf.minimum(rgb, edge) - edge) / 12.92


def _root(t: Any) -> Any:
    """CIE's f of X, Y or Z over white: the cube root, continued by a line near black."""
    edge = 0.008856
    return _power(tf.maximum(t, edge), 1 / 3) + 7.787 * (tf.minimum(t, edge) - edge)


def lab(linear: Any, stride: int) -> tuple[Any, Any]:
    """L (n, h, w) and the mean ab (n, h/stride, w/stride, 2) of each cell, of linear sRGB."""
    f = _root(tf.matmul(linear, tf.constant(F_FROM_RGB.T, tf.float32)))
    # The mean goes before the differences: they are linear, and there is less to subtract.
    cell = tf.nn.avg_pool2d(f, stride, stride, "VALID") if stride > 1 else f
    x, y, z = (cell[..., i] for i in range(3))
    return 116.0 * f[..., 1] - 16.0, tf.stack([500.0 * (x - y), 200.0 * (y - z)], -1)


def _cropped(jpeg: Any, size: int, smallest: float, draw: Any) -> Any:
    """A random window of at least ``smallest`` of the area, by chance mirrored, as size×size."""
    whole = tf.image.extract_jpeg_shape(jpeg)[:2]
    area = smallest + (1.0 - smallest) * draw[0]
    ratio = tf.exp((draw[1] - 0.5) * 0.4)
    share = tf.minimum(tf.stack([tf.sqrt(area * ratio), tf.sqrt(area / ratio)]), 1.0)
    extent = tf.maximum(tf.cast(share * tf.cast(whole, tf.float32), tf.int32), 1)
    start = tf.cast(draw[2:4] * tf.cast(whole - extent, tf.float32), tf.int32)
    image = tf.io.decode_and_crop_jpeg(
        jpeg, tf.concat([start, extent], 0), channels=3, dct_method="INTEGER_ACCURATE"
    )
    image = tf.image.resize(image, (size, size), method="area")
    return tf.cond(draw[4] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def _epochs(data: Dataset, batch: int, seed: int, start: int) -> tf.data.Dataset:
    """Encoded pictures from step ``start`` on, epoch after epoch, each in an order of its own."""
    shuffled = tf.random.experimental.stateless_shuffle
    files = tf.constant(data.files("train"))
    per_epoch = data.counts["train"] // batch
    first, skip = divmod(start, per_epoch)

    def epoch(number: Any) -> tf.data.Dataset:
        key = tf.stack([tf.cast(seed, tf.int64), number])
        order = shuffled(files, key)
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            tf.data.TFRecordDataset, cycle_length=READERS, block_length=BLOCK
        )
        # Shuffled in blocks: Dataset.shuffle would depend on TensorFlow's global seed.
        blocks = records.batch(SHUFFLE).enumerate().prefetch(1)
        records = blocks.map(
            lambda i, block: shuffled(block, key + tf.stack([(i + 1) * 2**32, 0]))
        ).unbatch()
        # What is left after whole batches waits for another epoch's order.
        records = records.take(per_epoch * batch)
        return records.skip(tf.where(number == first, tf.constant(skip * batch, tf.int64), 0))

    return tf.data.Dataset.range(first, np.iinfo(np.int64).max).flat_map(epoch)


def batches(
    data: Dataset,
    *,
    size: int,
    stride: int,
    batch: int,
    seed: int,
    start: int = 0,
    crop: float = 0.6,
    augment: float = 0.0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Training batches from step ``start`` on, without end, as (L, ab).

    L (B, size, size, 1) float32 in 0…100, aged for a share ``augment`` of the pictures; ab
    (B, size/stride, size/stride, 2), true colours. A function of its arguments alone: what step
    ``n`` gives does not depend on ``start``. ``part`` (i, n): the i-th of n workers' even share
    of each batch, the same pictures that one worker alone would have there.
    """
    worker, workers = part
    share = batch // workers

    def mine(index: Any, record: Any) -> Any:
        del record
        return (index % batch) // share == worker

    def picture(index: Any, record: Any) -> tuple[Any, Any, Any]:
        jpeg = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature((), tf.string)})
        key = tf.stack([tf.cast(seed, tf.int64), index])
        draws = tf.random.stateless_uniform((_CROP_DRAWS + DRAWS + 1,), key)
        image = _cropped(jpeg["image"], size, crop, draws)
        # Drawn for each picture: one draw for a batch would depend on who shares it.
        noise = tf.random.stateless_normal((size, size), key + [1 << 32, 0])
        return tf.ensure_shape(image, (size, size, 3)), draws[_CROP_DRAWS:], noise

    def colours(image: Any, draws: Any, noise: Any) -> tuple[Any, Any]:
        linear = _linear(image / 255.0)
        lightness, ab = lab(linear, stride)
        if augment > 0:
            old = tf.where(draws[:, -1] < augment)[:, 0]
            linear, draws, noise = (tf.gather(x, old) for x in (linear, draws, noise))
            aged_lightness = 116.0 * _root(aged(linear, draws, noise)) - 16.0
            lightness = tf.tensor_scatter_nd_update(lightness, old[:, None], aged_lightness)
        return lightness[..., None], ab

    stream = _epochs(data, batch, seed, start).enumerate(start=start * batch)
    if workers > 1:
        stream = stream.filter(mine)
    stream = (
        stream.map(picture, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(share, drop_remainder=True)
        .map(colours, num_parallel_calls=1)
        .prefetch(2)
    )
    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return stream.with_options(options)
