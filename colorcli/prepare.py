"""``colorize prepare``: photographs to training shards."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from colorcli import __version__, bins
from colorcli.config import DATASET_SCHEMA, PrepareConfig
from colorcli.dataset import INDEX
from colorcli.errors import DataError, reason
from colorcli.files import write_atomic
from colorcli.lab import rgb_to_lab

Progress = Callable[..., None]


@dataclass(frozen=True)
class Sample:
    """One photograph ready for a shard, or the reason it was left out."""

    path: str
    jpeg: bytes = b""
    digest: str = ""
    chroma: float = 0.0
    histogram: np.ndarray | None = None
    dropped: str = ""  # key of the count: "gray", "small", "broken"
    detail: str = ""


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` did: pictures kept by split, left out by reason, and the broken files."""

    folder: str
    counts: dict[str, int]
    dropped: dict[str, int]
    mean_chroma: float
    broken: list[dict[str, str]] = field(default_factory=list)


def mean_chroma(rgb: np.ndarray) -> float:
    """Mean √(a²+b²) of sRGB (H, W, 3) uint8: the measure of near-gray and sepia pictures."""
    ab = rgb_to_lab(rgb.astype(np.float32) / 255)[..., 1:]
    return float(np.hypot(ab[..., 0], ab[..., 1]).mean())


def sample(path: str, config: PrepareConfig) -> Sample:
    """Read, shrink and measure one photograph. Never raises for a bad file: it says so."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if min(image.size) < config.min_side:
                return Sample(path, dropped="small", detail=f"{image.width}×{image.height}")
            image.draft("RGB", (2 * config.size, 2 * config.size))
            picture = ImageOps.exif_transpose(image).convert("RGB")
    # Pillow's readers raise nearly anything on damaged bytes; a bad file must not stop the rest.
    except Exception as error:
        return Sample(path, dropped="broken", detail=reason(error))
    scale = config.size / min(picture.size)
    if scale < 1:
        target = [max(1, round(side * scale)) for side in picture.size]
        picture = picture.resize(target, Image.Resampling.BOX, reducing_gap=None)
    small = np.asarray(picture.reduce(2) if min(picture.size) > 96 else picture)
    ab = rgb_to_lab(small.astype(np.float32) / 255)[..., 1:]
    chroma = float(np.hypot(ab[..., 0], ab[..., 1]).mean())
    if chroma < config.min_chroma:
        return Sample(path, chroma=chroma, dropped="gray", detail=f"mean chroma {chroma:.1f}")
    counts = bins.histogram(ab.reshape(-1, 2))
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=config.quality, subsampling=0)
    # Shares, so that a large picture does not outvote a small one in the prior.
    return Sample(path, buffer.getvalue(), digest, chroma, counts / counts.sum())


def _samples(paths: Sequence[str], config: PrepareConfig) -> Iterable[Sample]:
    workers = config.workers or os.cpu_count() or 1
    if workers == 1 or len(paths) < 64:
        yield from (sample(path, config) for path in paths)
        return
    # spawn: a fork of a process that holds TensorFlow's threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        window = 64 * workers
        for start in range(0, len(paths), 64 * window):
            part = paths[start : start + 64 * window]
            yield from pool.map(sample, part, [config] * len(part), chunksize=16)


def prepare(
    paths: Sequence[str],
    folder: Path | str,
    config: PrepareConfig = PrepareConfig(),
    *,
    source: dict[str, Any] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Prepared:
    """Write shards of the photographs ``paths`` and ``dataset.json`` into ``folder``.

    Near-gray and too small pictures and exact duplicates are dropped and counted, broken ones
    counted and named. Which split a picture joins follows from its content alone.
    Raises ``DataError`` when nothing is left or the folder cannot be written.
    """
    folder = Path(folder)
    if (folder / INDEX).exists():
        raise DataError(
            f"{folder}: already holds a prepared data set; choose another folder or remove it"
        )
    order = np.random.default_rng(seed).permutation(len(paths))
    writer = _Shards(folder, config.shard_images)
    dropped: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    broken, seen = [], set()
    histogram, chroma = np.zeros(len(bins.centres())), 0.0
    shuffled = [paths[i] for i in order]
    for done, item in enumerate(_samples(shuffled, config), 1):
        if not item.dropped and item.digest in seen:
            dropped["duplicate"] += 1
        elif item.dropped:
            dropped[item.dropped] += 1
            if item.dropped == "broken":
                broken.append({"path": item.path, "reason": item.detail})
        else:
            seen.add(item.digest)
            split = "val" if int(item.digest[:8], 16) < config.val_fraction * 2**32 else "train"
            writer.add(split, item)
            counts[split] += 1
            histogram += item.histogram
            chroma += item.chroma
        if progress:
            progress(done, len(paths), kept=counts.total(), dropped=dropped.total())
    if not counts.total():
        raise DataError(
            f"no usable photograph among {len(paths)}"
            + "".join(f"; {count} {why}" for why, count in dropped.items())
        )
    shards = writer.close()
    mean = chroma / counts.total()
    index = {
        "schema": DATASET_SCHEMA,
        "version": __version__,
        "counts": {split: counts[split] for split in ("train", "val")},
        "dropped": dict(dropped),
        "broken": broken,
        "mean_chroma": round(mean, 4),
        "config": asdict(config),
        "source": source or {},
        "shards": shards,
        "prior": [float(f"{p:.6g}") for p in bins.prior(histogram)],
    }
    write_atomic(folder / INDEX, json.dumps(index, indent=1).encode())
    return Prepared(str(folder), index["counts"], dict(dropped), round(mean, 4), broken)


class _Shards:
    """Open shard of each split; a full one is checksummed and renamed to its final name."""

    def __init__(self, folder: Path, images: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be made a folder: {reason(error)}") from None
        self.folder, self.images = folder, images
        self.open: dict[str, tuple[Any, Path, int]] = {}
        self.done: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}

    def add(self, split: str, item: Sample) -> None:
        import tensorflow as tf

        if split not in self.open:
            path = self.folder / f".{split}-{len(self.done[split]):05d}.tfrecord.part"
            try:
                self.open[split] = (tf.io.TFRecordWriter(str(path)), path, 0)
            except (OSError, tf.errors.OpError) as error:
                raise DataError(f"{path}: cannot be written: {reason(error)}") from None
        writer, path, count = self.open[split]
        feature = {
            key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            for key, value in (("image", item.jpeg), ("name", os.fsencode(Path(item.path).name)))
        }
        record = tf.train.Example(features=tf.train.Features(feature=feature))
        writer.write(record.SerializeToString())
        self.open[split] = (writer, path, count + 1)
        if count + 1 == self.images:
            self._finish(split)

    def _finish(self, split: str) -> None:
        writer, part, count = self.open.pop(split)
        writer.close()
        final = part.with_name(part.name.removeprefix(".").removesuffix(".part"))
        with part.open("rb") as file:
            digest = (
                hashlib.file_digest(file, "sha256")
                if hasattr(hashlib, "file_digest")
                else hashlib.sha256(file.read())
            )
        size = part.stat().st_size
        part.replace(final)
        self.done[split].append(
            {"file": final.name, "images": count, "bytes": size, "sha256": digest.hexdigest()}
        )

    def close(self) -> dict[str, list[dict[str, Any]]]:
        for split in list(self.open):
            self._finish(split)
        return self.done
