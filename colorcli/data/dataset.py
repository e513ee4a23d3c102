"""Prepared data sets: a folder of TFRecord shards and ``dataset.json``."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from colorcli.color import bins
from colorcli.config.prepare import DATASET_SCHEMA
from colorcli.data import tfrecord
from colorcli.system.atomic import write_atomic
from colorcli.system.disk import digest, digest_of
from colorcli.system.errors import DataError, reason
from colorcli.system.files.inputs import is_below

if TYPE_CHECKING:
    from PIL import Image

INDEX = "dataset.json"
SPLITS = ("train", "val")
WORK = ".work"  # what a preparation keeps until it is finished
MEASURED = ".sides.json"  # short sides of photographs, of a folder whose index does not tell
VERIFIED = ".verified.json"  # sizes and times of shards whose checksums were compared


@dataclass(frozen=True)
class Dataset:
    """``dataset.json``: counts, shards by split, colour prior (Q,) and how the set was made.

    ``parts``: the folders that this one joins, whose shards it lists in their order. ``weight``:
    how often a photograph comes in an epoch, times that of its set in ``set_weights``.
    """

    folder: Path
    counts: dict[str, int]
    shards: dict[str, list[dict[str, Any]]]
    prior: np.ndarray
    info: dict[str, Any]
    parts: tuple[Dataset, ...] = ()
    weight: float = 1.0
    set_weights: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(dict.fromkeys(map(str, self.parts))) or str(self.folder)

    def files(self, split: str) -> list[str]:
        """Paths of the split's shards, in order."""
        if self.parts:
            return [file for part in self.parts for file in part.files(split)]
        return [str(self.folder / shard["file"]) for shard in self.shards[split]]

    @property
    def name(self) -> str:
        """That of the folder, without the way there."""
        return _name(self.folder)

    @property
    def named(self) -> tuple[Dataset, ...]:
        """The folders, one by one."""
        return self.parts or (self,)

    @property
    def sets(self) -> dict[str, dict[str, int]]:
        """By split, photographs of each set. What is of no set is of one called as the folder."""
        found: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
        for part in self.named:
            for split, counted in found.items():
                told = part.info.get("sets", {}).get(split)
                if told is None:  # prepared before there were sets
                    counted[part.name] += part.counts[split]
                for name, sides in (told or {}).items():
                    counted[name or part.name] += sum(sides.values())
        return {split: dict(counted) for split, counted in found.items()}

    @property
    def weights(self) -> dict[str, float]:
        """Of a folder: how often a photograph of each of its sets comes in an epoch."""
        names = dict.fromkeys((*self.sets["train"], self.name))
        return {name: self.weight * self.set_weights.get(name, 1.0) for name in names}

    @property
    def epoch(self) -> int:
        """Photographs in an epoch of training: each as often as it counts."""
        weighed = (
            part.weights[name] * count
            for part in self.named
            for name, count in part.sets["train"].items()
        )
        return int(sum(weighed) + 1e-6)

    def fingerprint(self, split: str) -> str:
        """Tells data sets apart by what is in them and how it counts, wherever they lie."""
        told: list[Any] = []
        for part in self.named:
            whole = part.weight == int(part.weight) and not part.set_weights
            shards = [shard["sha256"] for shard in part.shards[split]]
            told += shards * int(part.weight) if whole else [[*shards, part.weights]]
        return digest_of(json.dumps(told).encode())[:16]

    @property
    def distinct(self) -> int:
        """Number of training photographs; those of a set joined twice count once."""
        return sum({s["sha256"]: int(s["images"]) for s in self.shards["train"]}.values())

    def reread(self) -> None:
        """Compare every training shard with its checksum; raises ``DataError`` naming a bad one."""
        for part in self.parts:
            part.reread()
        if not self.parts:
            listed = [(s["file"], s["bytes"], s["sha256"]) for s in self.shards["train"]]
            verify(self.folder, listed, known=False)


def _name(folder: Path) -> str:
    return folder.name or folder.resolve().name


def joined(parts: Sequence[Dataset]) -> Dataset:
    """All ``parts`` as one; a part that is there twice counts twice."""
    if len(parts) == 1:
        return parts[0]
    counts = [max(part.epoch, 1e-9) for part in parts]  # priors of nothing weigh nothing
    return Dataset(
        folder=parts[0].folder,
        counts={split: sum(part.counts[split] for part in parts) for split in SPLITS},
        shards={split: [s for part in parts for s in part.shards[split]] for split in SPLITS},
        prior=np.average([p.prior for p in parts], 0, counts).astype(np.float32),
        info={},
        parts=tuple(parts),
    )


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
        if odd := [name for name, _, _ in listed if not is_below(name)]:
            raise ValueError(f"{odd[0]} is no name below the folder")
        bins.check_prior(prior)
    except OSError as error:
        raise DataError(f"{index}: cannot be read: {reason(error)}; check the disk") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{index}: damaged ({reason(error)}); prepare the data again") from None
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
                found = digest(path)
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


def sides(data: Dataset) -> dict[str, dict[int, int]]:
    """Training photographs of a folder by set and by their short side in pixels.

    The index tells them, or, of a folder prepared before it did, the photographs: that is kept
    beside them.
    """
    told = data.info.get("sets", {}).get("train")
    if told is not None:
        return {
            name or data.name: {int(side): count for side, count in counts.items()}
            for name, counts in told.items()
        }
    note, shards = data.folder / MEASURED, [shard["sha256"] for shard in data.shards["train"]]
    found: Counter[str] = Counter()
    try:
        kept = json.loads(note.read_text("utf-8"))
        found.update(kept["sides"] if kept["of"] == shards else {})
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if not found:
        for path in data.files("train"):
            for record in tfrecord.records(path):
                found[str(min(_opened(record, path, decode=False)[1].size))] += 1
        kept = {"of": shards, "sides": found}
        with contextlib.suppress(DataError):  # a folder that cannot be written is read each time
            write_atomic(note, json.dumps(kept).encode())
    return {data.name: {int(side): count for side, count in found.items()}}


def _opened(record: bytes, path: str, decode: bool = True) -> tuple[str, Image.Image]:
    """The name of the set ("": none) and the picture of a record."""
    from PIL import Image

    try:
        features = tfrecord.features(record)
        picture = Image.open(io.BytesIO(features["image"]))
        return os.fsdecode(features.get("set", b"")), picture.convert("RGB") if decode else picture
    except (ValueError, KeyError, OSError) as error:
        raise DataError(
            f"{path}: holds something else than pictures ({reason(error)}); prepare the data again"
        ) from None


def photographs(data: Dataset, split: str, limit: int | None = None) -> Iterator[np.ndarray]:
    """The split's pictures as sRGB (H, W, 3) uint8, in order; see ``labelled``."""
    return (picture for _, picture in labelled(data, split, limit))


def labelled(
    data: Dataset, split: str, limit: int | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """The split's pictures, sRGB (H, W, 3) uint8, with their sets' names, without TensorFlow.

    In order. Raises ``DataError`` naming the shard at the first record that is damaged.
    """
    left = limit
    for path in data.files(split):
        for record in tfrecord.records(path):
            if left == 0:
                return
            name, picture = _opened(record, path)
            yield name or _name(Path(path).parent), np.asarray(picture)
            left = None if left is None else left - 1
