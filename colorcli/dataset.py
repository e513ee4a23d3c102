"""Prepared data sets: a folder of TFRecord shards and ``dataset.json``, as tf.data batches."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from colorcli import tfrecord
from colorcli.config import DATASET_SCHEMA
from colorcli.download import digest
from colorcli.errors import DataError, reason
from colorcli.files import write_atomic

INDEX = "dataset.json"
WORK = ".work"  # what a preparation keeps until it is finished
VERIFIED = ".verified.json"  # sizes and times of shards whose checksums were compared
READERS = 4  # shards read side by side, so that a batch mixes them
SHUFFLE = 4096  # encoded pictures held for shuffling


@dataclass(frozen=True)
class Dataset:
    """``dataset.json``: counts, shards by split, colour prior (Q,) and how the set was made."""

    folder: Path
    counts: dict[str, int]
    shards: dict[str, list[dict[str, Any]]]
    prior: np.ndarray
    info: dict[str, Any]

    def files(self, split: str) -> list[str]:
        """Paths of the split's shards, in order."""
        return [str(self.folder / shard["file"]) for shard in self.shards[split]]


def load(folder: Path | str, *, progress: Callable[..., None] | None = None) -> Dataset:
    """Read a prepared folder and make sure of its shards.

    Their sizes are compared each time, their checksums where size or time of change are not those
    of the last comparison. Raises ``DataError`` when it is no data set or not whole.
    """
    folder = Path(folder)
    index = folder / INDEX
    if not index.is_file():
        if (folder / WORK).is_dir():
            raise DataError(
                f"{folder}: its preparation is not finished; repeat the prepare command to finish"
            )
        raise DataError(
            f"{folder}: no {INDEX}; make it with: colorize prepare folder PHOTOS -o {folder}"
        )
    try:
        info = json.loads(index.read_text("utf-8"))
        if info["schema"] != DATASET_SCHEMA:
            raise DataError(
                f"{index}: schema {info['schema']}, this version reads {DATASET_SCHEMA}; prepare again"
            )
        shards, counts = info["shards"], info["counts"]
        prior = np.asarray(info["prior"], np.float32)
        listed = [
            (str(s["file"]), int(s["bytes"]), str(s["sha256"])) for s in chain(*shards.values())
        ]
    except OSError as error:
        raise DataError(f"{index}: cannot be read: {reason(error)}; check the disk") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{index}: damaged ({error}); prepare the data again") from None
    verify(folder, listed, progress=progress)
    return Dataset(folder, counts, shards, prior, info)


def verify(
    folder: Path,
    shards: Sequence[tuple[str, int, str]],
    *,
    known: bool = True,
    progress: Callable[..., None] | None = None,
) -> None:
    """Compare shards (file, bytes, sha256) with the disk; raises ``DataError`` naming a bad one.

    ``known``: trust what a former call found for files not touched since. A disk that loses bits
    by itself does not touch them: ``known=False`` reads everything.
    """
    note = folder / VERIFIED
    try:
        before = json.loads(note.read_text("utf-8")) if known else {}
    except (OSError, ValueError):
        before = {}
    now: dict[str, list[Any]] = {}
    for done, (name, size, sha256) in enumerate(shards, 1):
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise DataError(f"{path}: missing or of the wrong size; prepare the data again")
        now[name] = [size, path.stat().st_mtime_ns, sha256]
        if before.get(name) != now[name]:
            try:
                found = digest(path, "sha256")
            except OSError as error:
                raise DataError(
                    f"{path}: cannot be read: {reason(error)}; check the disk"
                ) from None
            if found != sha256:
                raise DataError(
                    f"{path}: damaged, its checksum is not the one it was written with; "
                    "prepare the data again"
                )
        if progress:
            progress(done, len(shards))
    if now != before:
        with contextlib.suppress(DataError):  # a folder that cannot be written is checked each time
            write_atomic(note, json.dumps(now).encode())


def _parse(record: Any) -> Any:
    import tensorflow as tf

    return tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature((), tf.string)})[
        "image"
    ]


def _picture(jpeg: Any) -> Any:
    import tensorflow as tf

    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")


def _cropped(image: Any, size: int, smallest: float, seed: Any) -> Any:
    """A random window of at least ``smallest`` of the area, by chance mirrored, as size×size."""
    import tensorflow as tf

    draw = tf.random.stateless_uniform((5,), seed)
    area = smallest + (1.0 - smallest) * draw[0]
    ratio = tf.exp((draw[1] - 0.5) * 0.4)
    share = tf.minimum(tf.stack([tf.sqrt(area * ratio), tf.sqrt(area / ratio)]), 1.0)
    whole = tf.cast(tf.shape(image)[:2], tf.float32)
    extent = tf.maximum(tf.cast(share * whole, tf.int32), 1)
    start = tf.cast(draw[2:4] * (whole - tf.cast(extent, tf.float32)), tf.int32)
    image = image[start[0] : start[0] + extent[0], start[1] : start[1] + extent[1]]
    image = tf.image.resize(image, (size, size), method="area")
    return tf.cond(draw[4] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def batches(
    data: Dataset,
    *,
    size: int,
    stride: int,
    batch: int,
    seed: int,
    epoch: int,
    skip: int = 0,
    crop: float = 0.6,
    augment: float = 0.0,
) -> Any:
    """One epoch of training batches as a ``tf.data.Dataset`` of (L, ab).

    L (B, size, size, 1) float32 in 0…100, aged for a share ``augment`` of the pictures; ab
    (B, size/stride, size/stride, 2), true colours. A function of its arguments alone: ``skip``
    batches may have been seen before a restart, and the rest is the same.
    """
    import tensorflow as tf
    from keras import ops

    from colorcli.aging import aged_lightness
    from colorcli.lab import rgb_to_lab

    files = data.files("train")
    order = np.random.default_rng([seed, epoch]).permutation(len(files))
    dealt = tf.data.Dataset.from_tensor_slices([files[i] for i in order]).interleave(
        tf.data.TFRecordDataset, cycle_length=READERS, block_length=16
    )
    dealt = dealt.shuffle(SHUFFLE, seed=seed * 1000 + epoch).skip(skip * batch)

    def example(index: Any, record: Any) -> tuple[Any, Any]:
        key = tf.stack([tf.constant(seed * 7919 + epoch, tf.int32), tf.cast(index, tf.int32) * 16])
        rgb = _cropped(_picture(_parse(record)), size, crop, key) / 255.0
        lab = rgb_to_lab(rgb, ops)
        lightness = tf.cond(
            tf.random.stateless_uniform((), key + [0, 11]) < augment,
            lambda: aged_lightness(rgb, key),
            lambda: lab[..., 0],
        )
        ab = tf.nn.avg_pool2d(lab[None, ..., 1:], stride, stride, "VALID")[0]
        return tf.ensure_shape(lightness[..., None], (size, size, 1)), ab

    return (
        dealt.enumerate(start=skip * batch)
        .map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch, drop_remainder=True)
        .prefetch(2)
    )


def photographs(data: Dataset, split: str, limit: int | None = None) -> Iterator[np.ndarray]:
    """The split's pictures as sRGB (H, W, 3) uint8, in order, without TensorFlow.

    Raises ``DataError`` naming the shard at the first record that is damaged.
    """
    from PIL import Image

    left = limit
    for path in data.files(split):
        for record in tfrecord.records(path):
            if left == 0:
                return
            try:
                picture = Image.open(io.BytesIO(tfrecord.features(record)["image"])).convert("RGB")
            except (ValueError, KeyError, OSError) as error:
                raise DataError(
                    f"{path}: holds something else than pictures ({reason(error)}); "
                    "prepare the data again"
                ) from None
            yield np.asarray(picture)
            left = None if left is None else left - 1
