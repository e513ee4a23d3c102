"""What ``prepare`` has on disk: blocks of photographs, each committed by an entry of its own.

A block makes one training shard and a piece of a validation shard; its entry, written once both
are on disk, holds what the rest depends on: what was seen, kept, left out and why.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from colorcli import __version__
from colorcli.color import bins
from colorcli.config.prepare import DATASET_SCHEMA, PrepareConfig
from colorcli.data import samples
from colorcli.data.dataset import INDEX, WORK, verify
from colorcli.data.duplicates import Duplicates
from colorcli.data.samples import CELLS, Sample
from colorcli.system import disk
from colorcli.system.atomic import PART, Part, atomic_text, write_atomic
from colorcli.system.errors import DataError
from colorcli.system.files.listing import Listing

REPORT = "report.jsonl"
Sets = dict[str, dict[str, Counter[str]]]  # split, set, short side in pixels: photographs


class _File:
    """A file that gets its name when it is whole: counted, checksummed, on disk."""

    def __init__(self, path: Path) -> None:
        self.name, self._part = path.name, Part(path)
        self.images = self.bytes = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes, images: int = 1) -> None:
        self._part.file.write(data)
        self._digest.update(data)
        self.images += images
        self.bytes += len(data)

    def close(self) -> dict[str, Any]:
        self._part.keep()
        return {
            "file": self.name, "images": self.images, "bytes": self.bytes,
            "sha256": self._digest.hexdigest(),
        }  # fmt: skip

    def discard(self) -> None:
        self._part.discard()


class Entry:
    """A block under way."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self._ledger, self.number = ledger, number
        self.kept = 0
        self.chroma = 0.0
        self.cells = np.zeros(CELLS * CELLS)
        self.dropped: Counter[str] = Counter()
        self.cropped = 0
        self.sets: Sets = {"train": {}, "val": {}}
        self.known: list[tuple[int, int, int, float, float]] = []
        self.report: list[dict[str, Any]] = []
        self.files = {
            "train": _File(ledger.folder / f"train-{number:05d}.tfrecord"),
            "val": _File(ledger.work / f"val-{number:05d}.tfrecord"),
        }

    @property
    def bytes(self) -> int:
        """Written so far."""
        return sum(file.bytes for file in self.files.values())

    def add(self, number: int, item: Sample) -> None:
        """Keep a photograph, or note why not."""
        ledger = self._ledger
        if item.dropped:
            self._drop(number, item.dropped, item.detail)
            return
        digest = int.from_bytes(item.digest[:8], "big")
        twin = ledger.seen.exact(digest)
        if twin is not None:
            self._drop(number, "duplicate", "the same file", twin)
            return
        near = ledger.seen.near(item.hash, item.tone)
        if near is not None:
            self._drop(number, "near-duplicate", f"{near[1]} of 64 bits differ", near[0])
            return
        known = (number, digest, item.hash, *item.tone)
        self.known.append(known)
        ledger.remember(known)
        fraction = int.from_bytes(item.digest[8:16], "big") / 2**64
        split = "val" if fraction < ledger.config.val_fraction else "train"
        self.files[split].write(item.record)
        self.sets[split].setdefault(item.set, Counter())[str(item.side)] += 1
        if item.cropped:
            self.cropped += 1
            line = {"path": ledger.listing[number], "reason": "cropped", "detail": item.cropped}
            self.report.append(line)
        self.kept += 1
        self.chroma += item.chroma
        self.cells += item.cells

    def _drop(self, number: int, why: str, detail: str, twin: int | None = None) -> None:
        self.dropped[why] += 1
        names = self._ledger.listing
        line = {"path": names[number], "reason": why, "detail": detail}
        self.report.append(line if twin is None else {**line, "duplicate_of": names[twin]})


class Ledger:
    """The blocks finished so far, and the sums over them."""

    def __init__(self, folder: Path, listing: Listing, config: PrepareConfig) -> None:
        self.folder, self.work = folder, folder / WORK
        self.listing, self.config = listing, config
        self.seen = Duplicates(config.duplicate_distance)
        self.blocks = self.done = self.bytes = 0
        self.chroma = 0.0
        self.cells = np.zeros(CELLS * CELLS)
        self.dropped: Counter[str] = Counter()
        self.cropped = 0
        self.sets: Sets = {"train": {}, "val": {}}
        self.shards: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}

    @property
    def kept(self) -> int:
        """Photographs in the shards, of finished blocks and the one under way."""
        return len(self.seen)

    def remember(self, known: tuple[int, int, int, float, float]) -> None:
        """Take (number, digest, hash, a, b) of a photograph among those that copies are sought in."""
        number, digest, hash, a, b = known
        self.seen.add(number, digest, hash, (a, b))

    def _place(self, split: str, shard: dict[str, Any]) -> Path:
        return (self.folder if split == "train" else self.work) / shard["file"]

    def recover(self) -> int:
        """Take over what an interrupted run finished; how many photographs that were."""
        while (path := self.work / f"block-{self.blocks:05d}.json").exists():
            entry = json.loads(path.read_text("utf-8"))
            if not all(
                (file := self._place(split, shard)).is_file()
                and file.stat().st_size == shard["bytes"]
                for split, shard in entry["shards"].items()
            ):
                break
            for known in entry["known"]:
                self.remember(tuple(known))
            self._count(entry)
        for path in self.work.glob("block-*.json"):
            if int(path.stem.removeprefix("block-")) >= self.blocks:
                path.unlink()
        for place in (self.folder, self.work):
            for path in place.glob(f"{PART}*"):
                path.unlink()
        return self.done

    def _count(self, entry: dict[str, Any]) -> None:
        self.blocks += 1
        self.done += len(entry["known"]) + sum(entry["dropped"].values())
        self.chroma += entry["chroma"]
        self.cells += np.asarray(entry["cells"])
        self.dropped.update(entry["dropped"])
        self.cropped += entry["cropped"]
        for split, named in entry["sets"].items():
            for name, sides in named.items():
                self.sets[split].setdefault(name, Counter()).update(sides)
        for split, shard in entry["shards"].items():
            self.shards[split].append(shard)
            self.bytes += shard["bytes"]

    @contextlib.contextmanager
    def block(self) -> Iterator[Entry]:
        """The next block; committed at the end unless an error leaves it."""
        entry = Entry(self, self.blocks)
        try:
            yield entry
            shards = {}
            for split, file in entry.files.items():
                if file.images:
                    shards[split] = file.close()
                else:
                    file.discard()
            done = {
                "shards": shards, "chroma": entry.chroma, "cells": entry.cells.tolist(),
                "dropped": dict(entry.dropped), "cropped": entry.cropped, "sets": entry.sets,
                "known": entry.known, "report": entry.report,
            }  # fmt: skip
            _fsync_folder(self.folder)
            path = self.work / f"block-{self.blocks:05d}.json"
            write_atomic(path, json.dumps(done).encode())
            self._count(done)
        except BaseException:
            for file in entry.files.values():
                file.discard()
            raise

    def check_space(self, entry: Entry | None, left: int) -> None:
        """Whether the rest will fit, by the room that the photographs so far have taken."""
        done = self.done + (entry.kept + entry.dropped.total() if entry else 0)
        taken = self.bytes + (entry.bytes if entry else 0)
        # Validation pieces are there twice while they are joined.
        twice = self.config.val_fraction * (done + left)
        needed = taken / max(1, done) * (left + twice)
        disk.require_room(
            self.folder, needed, f"the {left} photographs still to come",
            "free some space and repeat the command, or choose another place, --limit or a "
            "smaller --size",
        )  # fmt: skip

    def finish(
        self, plan: dict[str, Any], mark: str, left_out: Sequence[dict[str, str]]
    ) -> dict[str, Any]:
        """Join the validation pieces, write report and index; gives the index.

        ``left_out``: lines of the report on photographs that never came as far as here.
        """
        if not self.kept:
            why = "".join(f"; {count} {why}" for why, count in self.dropped.items())
            for path in self.work.glob("block-*"):
                path.unlink()
            raise DataError(f"no usable photograph among {self.done + len(left_out)}{why}")
        self._report(left_out)
        dropped = self.dropped + Counter(line["reason"] for line in left_out)
        shards = {"train": self.shards["train"], "val": self._join()}
        counts = {name: sum(s["images"] for s in shards[name]) for name in shards}
        index = {
            "schema": DATASET_SCHEMA,
            "version": __version__,
            "versions": _versions(),
            "counts": counts,
            "dropped": dict(dropped),
            "cropped": self.cropped,
            "mean_chroma": round(self.chroma / self.kept, 4),
            "config": plan["config"],
            "source": plan["source"],
            "plan": mark,
            "report": REPORT,
            "shards": shards,
            "sets": {split: dict(sorted(named.items())) for split, named in self.sets.items()},
            "prior": [float(f"{p:.6g}") for p in bins.prior(samples.histogram(self.cells))],
        }
        listed = [(s["file"], s["bytes"], s["sha256"]) for split in shards.values() for s in split]
        # Written by this process or compared by size: read back once, so that what is promised
        # is what the disk holds.
        verify(self.folder, listed, known=False)
        write_atomic(self.folder / INDEX, json.dumps(index, indent=1).encode())
        return index

    def _join(self) -> list[dict[str, Any]]:
        """Validation shards of about ``shard_images`` pictures from the blocks' pieces.

        TFRecord files may be joined end to end. The pieces stay until the index is written, so
        that a kill in between costs nothing.
        """
        pieces = self.shards["val"]
        shards = max(1, round(sum(p["images"] for p in pieces) / self.config.shard_images))
        edges = np.linspace(0, len(pieces), min(shards, len(pieces)) + 1).astype(int)
        out: list[dict[str, Any]] = []
        for start, stop in pairwise(edges):
            file = _File(self.folder / f"val-{len(out):05d}.tfrecord")
            for piece in pieces[start:stop]:
                with (self.work / piece["file"]).open("rb") as read:
                    while data := read.read(1 << 20):
                        file.write(data, 0)
                file.images += piece["images"]
            out.append(file.close())
        return out

    def _report(self, left_out: Sequence[dict[str, str]]) -> None:
        with atomic_text(self.folder / REPORT) as file:
            for line in left_out:
                _line(file, line)
            for block in range(self.blocks):
                told = (self.work / f"block-{block:05d}.json").read_text("utf-8")
                for line in json.loads(told)["report"]:
                    _line(file, line)


def _line(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _fsync_folder(folder: Path) -> None:
    """Make renames last through a power failure, where the system allows it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _versions() -> dict[str, str]:
    import cv2
    import PIL

    return {
        "colorcli": __version__, "pillow": PIL.__version__, "opencv": cv2.__version__,
        "numpy": np.__version__,
    }  # fmt: skip
