"""Training batches: shards to (L, ab) as one endless ``tf.data`` stream that starts at any step.

The processor also runs the network, so this is written to be cheap: the JPEG decoder reads only
the crop, and everything on floats is done once for a whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from colorcli.color.lab import f_to_ab, f_to_L, linear_to_f, luminance_to_L, srgb_linear
from colorcli.data.dataset import Dataset
from colorcli.training.feed import mounts
from colorcli.training.feed.aging import DRAWS, aged
from colorcli.training.feed.mixture import passes

READERS = 4  # shards read side by side, so that a batch mixes them
BLOCK = 16  # records taken from one of them at a time
SHUFFLE = 2048  # encoded pictures held for shuffling
_CROP_DRAWS = 5


def lab(linear: Any, stride: int) -> tuple[Any, Any]:
    """L (n, h, w) and the mean ab (n, h/stride, w/stride, 2) of each cell, of linear sRGB."""
    f = linear_to_f(linear, ops)
    # The mean goes before the differences: they are linear, and there is less to subtract.
    cell = tf.nn.avg_pool2d(f, stride, stride, "VALID") if stride > 1 else f
    return f_to_L(f[..., 1]), f_to_ab(cell, ops)


def _cropped(jpeg: Any, size: int, smallest: float, draw: Any, enlarge: float) -> Any:
    """A random window of at least ``smallest`` of the area, by chance mirrored, as size×size.

    ``enlarge`` (0: any) is the factor by which it may be enlarged at most, where that can be had.
    """
    shape = tf.image.extract_jpeg_shape(jpeg)[:2]
    fewest = math.ceil(size / enlarge) if enlarge else 1
    if enlarge:
        short = tf.cast(tf.reduce_min(shape), tf.float32)
        smallest = tf.clip_by_value((fewest / short) ** 2, smallest, 1.0)
    area = smallest + (1.0 - smallest) * draw[0]
    ratio = tf.exp((draw[1] - 0.5) * 0.4)
    share = tf.minimum(tf.stack([tf.sqrt(area * ratio), tf.sqrt(area / ratio)]), 1.0)
    extent = tf.cast(share * tf.cast(shape, tf.float32), tf.int32)
    extent = tf.maximum(extent, tf.minimum(shape, fewest))
    start = tf.cast(draw[2:4] * tf.cast(shape - extent, tf.float32), tf.int32)
    image = tf.io.decode_and_crop_jpeg(
        jpeg, tf.concat([start, extent], 0), channels=3, dct_method="INTEGER_ACCURATE"
    )
    image = tf.image.resize(image, (size, size), method="area")
    return tf.cond(draw[4] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def _reader(data: Dataset, fewest: int) -> tuple[int, bool, Callable[[Any, Any], tf.data.Dataset]]:
    """How many passes an epoch has, whether they leave anything out, and one pass's records.

    The latter take the pass and the key of the epoch. ``fewest``: a photograph with a shorter side
    is left out.
    """
    plan = passes(data)
    files, images, shards, parts, copies = map(
        tf.constant, (plan.files, plan.images, plan.shards, plan.parts, plan.copies)
    )
    names, weights = tf.constant(plan.names, tf.string), tf.constant(plan.weights)

    def comes(record: Any, draw: Any, number: Any) -> Any:
        """Whether the photograph has so many copies this time."""
        told = tf.io.parse_single_example(record, {"set": tf.io.FixedLenFeature((), tf.string, "")})
        places = tf.range(1, len(plan.names) + 1, dtype=tf.int64)
        places *= tf.cast(names == told["set"], tf.int64)
        weight = weights[parts[number], tf.reduce_max(places)]
        return weight + draw >= tf.cast(copies[number] + 1, tf.float32)

    def large(record: Any) -> Any:
        told = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature((), tf.string)})
        return tf.reduce_min(tf.image.extract_jpeg_shape(told["image"])[:2]) >= fewest

    def read(number: Any, key: Any) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(files[number])
        if plan.thinned:
            own = key + tf.stack([tf.constant(0, tf.int64), (shards[number] + 1) * 2**32])
            draws = tf.random.stateless_uniform(images[number, None], own)
            both = tf.data.Dataset.zip((records, tf.data.Dataset.from_tensor_slices(draws)))
            records = both.filter(lambda r, d: comes(r, d, number)).map(lambda r, d: r)
        return records.filter(large) if fewest > 1 else records

    return len(plan.files), plan.thinned or fewest > 1, read


def _epochs(data: Dataset, batch: int, seed: int, start: int, fewest: int) -> tf.data.Dataset:
    """Encoded pictures from step ``start`` on, epoch after epoch, each in an order of its own."""
    shuffled = tf.random.experimental.stateless_shuffle
    passes, partial, read = _reader(data, fewest)
    per_epoch = data.epoch // batch
    first, skip = divmod(start, per_epoch)

    def epoch(number: Any) -> tf.data.Dataset:
        key = tf.stack([tf.cast(seed, tf.int64), number])
        order = shuffled(tf.range(passes), key)
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            lambda i: read(i, key), cycle_length=READERS, block_length=BLOCK
        )
        # Shuffled in blocks: Dataset.shuffle would depend on TensorFlow's global seed.
        blocks = records.batch(SHUFFLE).enumerate().prefetch(1)
        records = blocks.map(
            lambda i, block: shuffled(block, key + tf.stack([(i + 1) * 2**32, 0]))
        ).unbatch()
        if partial:  # too few by chance, or without the small ones: begin once more
            records = records.repeat()
        # What is left after whole batches waits for another epoch's order.
        records = records.take(per_epoch * batch)
        return records.skip(tf.where(number == first, tf.constant(skip * batch, tf.int64), 0))

    return tf.data.Dataset.range(first, np.iinfo(np.int64).max).flat_map(epoch)


@dataclass(frozen=True, kw_only=True)
class View:
    """What a network sees of a photograph, and what it is told of its colours.

    Windows of at least ``crop`` of the area, not enlarged by more than ``enlarge`` (0: by anything;
    photographs too small for that are left out), as ``size``×``size`` pixels, aged for a share
    ``augment`` of them, and as scans for a share ``scans``. ab is the mean of cells of ``stride``×``stride`` pixels.
    """

    size: int
    stride: int
    crop: float = 0.6
    augment: float = 0.0
    enlarge: float = 0.0
    scans: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """The even share of each batch of one of ``workers``, the same pictures that one alone would
    have there; it comes in pieces of ``share``, one for each of its devices (0: in one).
    """

    worker: int = 0
    workers: int = 1
    share: int = 0


def batches(
    data: Dataset, view: View, *, batch: int, seed: int, start: int = 0, part: Part = Part()
) -> tf.data.Dataset:
    """Training batches from step ``start`` on, without end, as (L, ab).

    L (B, size, size, 1) float32 in 0…100; ab (B, size/stride, size/stride, 2), true colours also
    where L is aged. A function of its arguments alone: what step ``n`` gives does not depend on
    ``start``.
    """
    portion = batch // part.workers
    fewest = math.ceil(view.size / view.enlarge) if view.enlarge else 1
    stream = _epochs(data, batch, seed, start, fewest).enumerate(start=start * batch)
    if part.workers > 1:
        stream = stream.filter(lambda index, _: (index % batch) // portion == part.worker)
    stream = (
        stream.map(_picture(view, seed), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(part.share or portion, drop_remainder=True)
        .map(_colours(view), num_parallel_calls=1)
        .apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        .prefetch(2)
    )
    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return stream.with_options(options)


def _picture(view: View, seed: int) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """From (index, record) to a window, the draws that age it, and noise."""
    size = view.size

    def picture(index: Any, record: Any) -> tuple[Any, Any, Any]:
        jpeg = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature((), tf.string)})
        key = tf.stack([tf.cast(seed, tf.int64), index])
        draws = tf.random.stateless_uniform((_CROP_DRAWS + DRAWS + 1,), key)
        image = _cropped(jpeg["image"], size, view.crop, draws, view.enlarge)
        # Drawn for each picture: one draw for a batch would depend on who shares it.
        noise = tf.random.stateless_normal((size, size), key + [1 << 32, 0])
        draws = draws[_CROP_DRAWS:]
        if view.scans > 0:  # draws of their own, so that others stay what they are without
            more = tf.random.stateless_uniform((1 + mounts.DRAWS,), key + [2 << 32, 0])
            draws = tf.concat([draws, more], axis=0)
        return tf.ensure_shape(image, (size, size, 3)), draws, noise

    return picture


def _colours(view: View) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """From a batch of windows, draws and noise to (L, ab)."""

    def colours(image: Any, draws: Any, noise: Any) -> tuple[Any, Any]:
        linear = srgb_linear(image / 255.0, ops)
        lightness, ab = lab(linear, view.stride)
        if view.augment > 0:
            old = tf.where(draws[:, DRAWS] < view.augment)[:, 0]
            own = (tf.gather(x, old) for x in (linear, draws[:, :DRAWS], noise))
            aged_lightness = luminance_to_L(aged(*own), ops)
            lightness = tf.tensor_scatter_nd_update(lightness, old[:, None], aged_lightness)
        if view.scans > 0:
            scan = tf.where(draws[:, DRAWS + 1] < view.scans)[:, 0]
            own = (tf.gather(x, scan) for x in (lightness, ab, draws[:, DRAWS + 2 :], noise))
            shown, neutral = mounts.mounted(*own)
            lightness = tf.tensor_scatter_nd_update(lightness, scan[:, None], shown)
            ab = tf.tensor_scatter_nd_update(ab, scan[:, None], neutral)
        return lightness[..., None], ab

    return colours
