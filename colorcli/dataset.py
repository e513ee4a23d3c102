"""Prepared data sets: a folder of TFRecord shards and ``dataset.json``."""

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

from colorcli import bins, tfrecord
from colorcli.atomic import write_atomic
from colorcli.config import DATASET_SCHEMA
from colorcli.download import digest
from colorcli.errors import DataError, reason
from colorcli.files import is_below

INDEX = "dataset.json"
SPLITS = ("train", "val")
WORK = ".work"  # what a preparation keeps until it is finished
VERIFIED = ".verified.json"  # sizes and times of shards whose checksums were compared


@dataclass(frozen=True)
class Dataset:
    """``dataset.json``: counts, shards by split, colour prior (Q,) and how the set was made.

    ``parts``: the sets that this one joins, whose shards it lists in their order.
    """

    folder: Path
    counts: dict[str, int]
    shards: dict[str, list[dict[str, Any]]]
    prior: np.ndarray
    info: dict[str, Any]
    parts: tuple[Dataset, ...] = ()

    def __str__(self) -> str:
        return ", ".join(dict.fromkeys(map(str, self.parts))) or str(self.folder)

    def files(self, split: str) -> list[str]:
        """Paths of the split's shards, in order."""
        if self.parts:
            return [file for part in self.parts for file in part.files(split)]
        return [str(self.folder / shard["file"]) for shard in self.shards[split]]

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


def joined(parts: Sequence[Dataset]) -> Dataset:
    """All ``parts`` as one; a part that is there twice counts twice."""
    if len(parts) == 1:
        return parts[0]
    counts = [max(part.counts["train"], 1e-9) for part in parts]  # priors of nothing weigh nothing
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
