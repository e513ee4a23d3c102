"""Prepared data sets: a folder of TFRecord shards and ``dataset.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colorcli.config import DATASET_SCHEMA
from colorcli.errors import DataError

INDEX = "dataset.json"


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


def load(folder: Path | str) -> Dataset:
    """Read a prepared folder; raises ``DataError`` when it is none or not whole."""
    folder = Path(folder)
    index = folder / INDEX
    if not index.is_file():
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
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{index}: damaged ({error}); prepare the data again") from None
    for shard in (shard for split in shards.values() for shard in split):
        path = folder / shard["file"]
        if not path.is_file() or path.stat().st_size != shard["bytes"]:
            raise DataError(f"{path}: missing or of the wrong size; prepare the data again")
    return Dataset(folder, counts, shards, prior, info)


def _parse(record: Any) -> Any:
    import tensorflow as tf

    return tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature((), tf.string)})[
        "image"
    ]


def _picture(jpeg: Any) -> Any:
    import tensorflow as tf

    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")


def photographs(data: Dataset, split: str, limit: int | None = None) -> Iterator[np.ndarray]:
    """The split's pictures as sRGB (H, W, 3) uint8, in order."""
    import tensorflow as tf

    records = tf.data.TFRecordDataset(data.files(split))
    for record in records if limit is None else records.take(limit):
        yield _picture(_parse(record)).numpy()
