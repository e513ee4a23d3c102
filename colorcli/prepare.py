"""``colorize prepare``: photographs to training shards, by as many processes as there are cores.

The photographs are shuffled and dealt into blocks of equal size. A block makes one training shard
and a piece of a validation shard; its journal entry, written once both are on disk, holds what
the rest depends on. So a run that was killed goes on at the first block without an entry, and ends
with the same bytes as one that was not.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from colorcli import __version__, bins, samples
from colorcli.atomic import PART, write_atomic
from colorcli.config import DATASET_SCHEMA, PrepareConfig
from colorcli.dataset import INDEX, WORK, verify
from colorcli.duplicates import Duplicates
from colorcli.errors import DataError, reason
from colorcli.listing import Listing
from colorcli.samples import CELLS, Sample

Progress = Callable[..., None]
REPORT = "report.jsonl"
CHUNK = 8  # photographs handed to a worker at a time
AHEAD = 4  # chunks under way for each worker
FEW = 64  # photographs that are not worth a pool
EARLY = 32  # photographs whose records tell how much room the set will take
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
EXAMPLES = 20  # broken files named in the result; the report has them all


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` did: pictures kept by split, left out by reason (all in ``report``).

    ``resumed``: photographs that an interrupted run had dealt with. ``broken``: the first files
    that could not be read.
    """

    folder: str
    counts: dict[str, int]
    dropped: dict[str, int]
    mean_chroma: float
    bytes: int
    report: str
    resumed: int = 0
    broken: list[dict[str, str]] = field(default_factory=list)


def prepare(
    paths: Iterable[str],
    folder: Path | str,
    config: PrepareConfig = PrepareConfig(),
    *,
    source: dict[str, Any] | None = None,
    missing: Sequence[str] = (),
    progress: Progress | None = None,
) -> Prepared:
    """Write shards of the photographs ``paths``, ``dataset.json`` and a report into ``folder``.

    Broken, small, near-gray and toned pictures and copies are left out, counted, and listed with
    their reason in ``report.jsonl``, where ``missing`` ones, which the caller sought in vain, are
    added. Which split a picture joins follows from the bytes of its file alone. The same call
    resumes an unfinished folder and returns what a finished one holds. Raises ``DataError`` when
    nothing is left, the folder holds something else, or the disk will not suffice.
    """
    folder = Path(folder)
    work = folder / WORK
    _claim(folder)
    try:
        with _alone(work):
            try:
                return _prepare(paths, folder, config, source or {}, missing, progress)
            finally:
                if (folder / INDEX).exists() or not any(work.glob("block-*")):
                    shutil.rmtree(work, ignore_errors=True)  # nothing in it to resume
                    with contextlib.suppress(OSError):
                        folder.rmdir()  # only if it is empty
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space and repeat the command" if full else "choose another place"
        raise DataError(f"{folder}: cannot be written: {reason(error)}; {remedy}") from None


def _prepare(
    paths: Iterable[str],
    folder: Path,
    config: PrepareConfig,
    source: dict[str, Any],
    missing: Sequence[str],
    progress: Progress | None,
) -> Prepared:
    with contextlib.closing(Listing(folder / WORK / "names", paths)) as listing:
        plan = {
            "schema": DATASET_SCHEMA, "version": __version__, "names": listing.digest,
            "config": _settings(config), "source": source, "missing": len(missing),
        }  # fmt: skip
        mark = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
        if (folder / INDEX).exists():
            return _finished(folder, mark)
        note = folder / WORK / "plan.json"
        if any(note.parent.glob("block-*")) and json.loads(note.read_text("utf-8")) != plan:
            raise DataError(
                f"{folder}: holds the unfinished work of another command; repeat that one to "
                "finish it, choose another folder or remove this one"
            )
        write_atomic(note, json.dumps(plan).encode())
        journal = _Journal(folder, listing, config)
        resumed = journal.recover()
        _run(journal, progress)
        return journal.finish(plan, mark, missing, resumed)


def _settings(config: PrepareConfig) -> dict[str, Any]:
    return {key: value for key, value in asdict(config).items() if key != "workers"}


def _claim(folder: Path) -> None:
    """Make the folder, or make sure that it is ours."""
    try:
        (folder / WORK).mkdir(parents=True, exist_ok=True)
        ours = {INDEX, REPORT}
        names = sorted(p.name for p in folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be made a folder: {reason(error)}") from None
    foreign = [n for n in names if n not in ours and ".tfrecord" not in n and n[0] != "."]
    if foreign:
        raise DataError(f"{folder}: holds other things ({foreign[0]}); choose a new folder")


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the folder against a second run; the system lets go when the process ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    with (work / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{work.parent}: another prepare is at work on it; wait for it, or choose another "
                "folder"
            ) from None
        yield


def _run(journal: _Journal, progress: Progress | None) -> None:
    """All blocks that are not finished, in order."""
    config, names = journal.config, journal.listing
    order = np.random.default_rng(config.seed).permutation(len(names)).astype(np.uint32)
    order = order[: config.limit or None]
    edges = np.linspace(0, len(order), -(-len(order) // config.shard_images) + 1).astype(int)
    done = first = int(edges[journal.blocks])
    taken = samples_of((names[int(i)] for i in order[first:]), config, len(order) - first)
    start = time.monotonic()
    with contextlib.closing(taken):
        for block in range(journal.blocks, len(edges) - 1):
            with journal.block() as entry:
                for number in order[edges[block] : edges[block + 1]]:
                    entry.add(int(number), next(taken))
                    done += 1
                    if done - first == EARLY:
                        journal.check_space(entry, len(order) - done)
                    if progress:
                        progress(
                            done, len(order), kept=journal.kept,
                            per_second=(done - first) / max(1e-6, time.monotonic() - start),
                        )  # fmt: skip
            journal.check_space(None, len(order) - done)


def _finished(folder: Path, mark: str) -> Prepared:
    try:
        info = json.loads((folder / INDEX).read_text("utf-8"))
        if info.get("plan") == mark:
            total = sum(info["counts"].values()) + sum(info["dropped"].values())
            return _result(folder, info, total)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise DataError(
        f"{folder}: already holds a prepared data set; choose another folder or remove it"
    )


def _result(folder: Path, info: dict[str, Any], resumed: int) -> Prepared:
    with (folder / REPORT).open(encoding="utf-8") as file:
        entries = (json.loads(line) for line in file)
        broken = islice((e for e in entries if e["reason"] == "broken"), EXAMPLES)
        named = [{"path": e["path"], "reason": e["detail"]} for e in broken]
    size = sum(shard["bytes"] for split in info["shards"].values() for shard in split)
    return Prepared(
        str(folder), info["counts"], info["dropped"], info["mean_chroma"], size,
        str(folder / REPORT), resumed, named,
    )  # fmt: skip


# --- what is written ---------------------------------------------------------------------------


class _File:
    """A file that gets its name when it is whole: counted, checksummed, on disk."""

    def __init__(self, path: Path) -> None:
        self.path, self.part = path, path.with_name(f"{PART}{path.name}")
        self.images = self.bytes = 0
        self._digest = hashlib.sha256()
        self._file = self.part.open("wb")

    def write(self, data: bytes, images: int = 1) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.images += images
        self.bytes += len(data)

    def close(self) -> dict[str, Any]:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.part, self.path)
        return {
            "file": self.path.name, "images": self.images, "bytes": self.bytes,
            "sha256": self._digest.hexdigest(),
        }  # fmt: skip

    def discard(self) -> None:
        self._file.close()
        self.part.unlink(missing_ok=True)


class _Entry:
    """A block under way."""

    def __init__(self, journal: _Journal, number: int) -> None:
        self._journal, self.number = journal, number
        self.kept = 0
        self.chroma = 0.0
        self.cells = np.zeros(CELLS * CELLS)
        self.dropped: Counter[str] = Counter()
        self.known: list[tuple[int, int, int, float, float]] = []
        self.report: list[dict[str, Any]] = []
        self.files = {
            "train": _File(journal.folder / f"train-{number:05d}.tfrecord"),
            "val": _File(journal.work / f"val-{number:05d}.tfrecord"),
        }

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())

    def add(self, number: int, item: Sample) -> None:
        """Keep a photograph, or note why not."""
        journal = self._journal
        if item.dropped:
            self._drop(number, item.dropped, item.detail)
            return
        digest = int.from_bytes(item.digest[:8], "big")
        twin = journal.seen.exact(digest)
        if twin is not None:
            self._drop(number, "duplicate", "the same file", twin)
            return
        near = journal.seen.near(item.hash, item.tone)
        if near is not None:
            self._drop(number, "near-duplicate", f"{near[1]} of 64 bits differ", near[0])
            return
        known = (number, digest, item.hash, *item.tone)
        self.known.append(known)
        journal.remember(known)
        fraction = int.from_bytes(item.digest[8:16], "big") / 2**64
        self.files["val" if fraction < journal.config.val_fraction else "train"].write(item.record)
        self.kept += 1
        self.chroma += item.chroma
        self.cells += item.cells

    def _drop(self, number: int, why: str, detail: str, twin: int | None = None) -> None:
        self.dropped[why] += 1
        names = self._journal.listing
        line = {"path": names[number], "reason": why, "detail": detail}
        self.report.append(line if twin is None else {**line, "duplicate_of": names[twin]})


class _Journal:
    """The blocks finished so far, and the sums over them."""

    def __init__(self, folder: Path, listing: Listing, config: PrepareConfig) -> None:
        self.folder, self.work = folder, folder / WORK
        self.listing, self.config = listing, config
        self.seen = Duplicates(config.duplicate_distance)
        self.blocks = self.done = self.bytes = 0
        self.chroma = 0.0
        self.cells = np.zeros(CELLS * CELLS)
        self.dropped: Counter[str] = Counter()
        self.shards: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}

    @property
    def kept(self) -> int:
        return len(self.seen)

    def remember(self, known: tuple[int, int, int, float, float]) -> None:
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
        for split, shard in entry["shards"].items():
            self.shards[split].append(shard)
            self.bytes += shard["bytes"]

    @contextlib.contextmanager
    def block(self) -> Iterator[_Entry]:
        """The next block; committed at the end unless an error leaves it."""
        entry = _Entry(self, self.blocks)
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
                "dropped": dict(entry.dropped), "known": entry.known, "report": entry.report,
            }  # fmt: skip
            _fsync_folder(self.folder)
            path = self.work / f"block-{self.blocks:05d}.json"
            write_atomic(path, json.dumps(done).encode())
            self._count(done)
        except BaseException:
            for file in entry.files.values():
                file.discard()
            raise

    def check_space(self, entry: _Entry | None, left: int) -> None:
        """Whether the rest will fit, by the room that the photographs so far have taken."""
        done = self.done + (entry.kept + entry.dropped.total() if entry else 0)
        taken = self.bytes + (entry.bytes if entry else 0)
        # Validation pieces are there twice while they are joined.
        twice = self.config.val_fraction * (done + left)
        needed = taken / max(1, done) * (left + twice)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise DataError(
                f"{self.folder}: the {left} photographs still to come need about "
                f"{needed / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB free; free some "
                "space and repeat the command, or choose another place, --limit or a smaller --size"
            )

    def finish(
        self, plan: dict[str, Any], mark: str, missing: Sequence[str], resumed: int
    ) -> Prepared:
        """Join the validation pieces, write report and index, and remove the journal."""
        if not self.kept:
            why = "".join(f"; {count} {why}" for why, count in self.dropped.items())
            for path in self.work.glob("block-*"):
                path.unlink()
            raise DataError(f"no usable photograph among {self.done + len(missing)}{why}")
        self._report(missing)
        shards = {"train": self.shards["train"], "val": self._join()}
        counts = {name: sum(s["images"] for s in shards[name]) for name in shards}
        index = {
            "schema": DATASET_SCHEMA,
            "version": __version__,
            "versions": _versions(),
            "counts": counts,
            "dropped": {**self.dropped, **({"missing": len(missing)} if missing else {})},
            "mean_chroma": round(self.chroma / self.kept, 4),
            "config": plan["config"],
            "source": plan["source"],
            "plan": mark,
            "report": REPORT,
            "shards": shards,
            "prior": [float(f"{p:.6g}") for p in bins.prior(samples.histogram(self.cells))],
        }
        listed = [(s["file"], s["bytes"], s["sha256"]) for split in shards.values() for s in split]
        # Written by this process or compared by size: read back once, so that what is promised
        # is what the disk holds.
        verify(self.folder, listed, known=False)
        write_atomic(self.folder / INDEX, json.dumps(index, indent=1).encode())
        return _result(self.folder, index, resumed)

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

    def _report(self, missing: Sequence[str]) -> None:
        part = self.work / REPORT
        with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for path in missing:
                _line(file, {"path": path, "reason": "missing", "detail": "named, but not there"})
            for block in range(self.blocks):
                told = (self.work / f"block-{block:05d}.json").read_text("utf-8")
                for line in json.loads(told)["report"]:
                    _line(file, line)
        os.replace(part, self.folder / REPORT)


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


# --- the processes -----------------------------------------------------------------------------


def samples_of(
    names: Iterator[str], config: PrepareConfig, total: int
) -> Generator[Sample, None, None]:
    """``samples.sample`` of each name, in order, by a pool of processes.

    A photograph that kills its process (a decoder's crash, no memory left) counts as broken; the
    others under way are done again, one at a time.
    """
    workers = min(config.workers or os.cpu_count() or 1, -(-total // CHUNK))
    if workers <= 1 or total < FEW:
        for name in names:
            yield samples.sample(name, config)
        return
    pool = _pool(workers)
    pending: deque[tuple[list[str], Future[list[Sample]] | None]] = deque()
    try:
        while True:
            while len(pending) < AHEAD * workers and (chunk := list(islice(names, CHUNK))):
                pending.append((chunk, _submitted(pool, chunk, config)))
            if not pending:
                return
            chunk, future = pending.popleft()
            try:
                found = None if future is None else future.result()
            except BrokenProcessPool:
                found = None
            if found is not None:
                yield from found
                continue
            pool.shutdown(wait=False, cancel_futures=True)
            lost = [chunk, *(c for c, _ in pending)]
            pending.clear()
            yield from _one_by_one((name for chunk in lost for name in chunk), config)
            pool = _pool(workers)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a fork of a process that holds other libraries' threads may hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_settle)


def _settle() -> None:
    """In a worker: one thread, deaf to Ctrl-C, which is the parent's, and gone when that is."""
    import cv2
    from PIL import AvifImagePlugin

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # glibc gives a picture's memory back to the system and asks for it anew each time: a seventh
    # of the time of a worker. Keep up to 256 MB; other allocators know no such call.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_M_TRIM_THRESHOLD, 256 << 20)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _chunk(names: list[str], config: PrepareConfig) -> list[Sample]:
    return [samples.sample(name, config) for name in names]


def _submitted(
    pool: ProcessPoolExecutor, chunk: list[str], config: PrepareConfig
) -> Future[list[Sample]] | None:
    try:
        return pool.submit(_chunk, chunk, config)
    except BrokenProcessPool:
        return None


def _one_by_one(names: Iterable[str], config: PrepareConfig) -> Iterator[Sample]:
    """Each in a process that holds no other, so that a crash tells which one it was."""
    pool = _pool(1)
    try:
        for name in names:
            try:
                yield pool.submit(_chunk, [name], config).result()[0]
            except BrokenProcessPool:
                yield Sample(dropped="broken", detail="its reader crashed or ran out of memory")
                pool = _pool(1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
