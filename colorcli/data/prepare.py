"""``colorize prepare``: photographs to training shards, by as many processes as there are cores.

The photographs are shuffled and dealt into blocks of equal size (``blocks``). A run that was killed
goes on at the first block that was not committed, and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from colorcli import __version__
from colorcli.config.prepare import DATASET_SCHEMA, PrepareConfig
from colorcli.data.blocks import REPORT, Ledger
from colorcli.data.dataset import INDEX, WORK
from colorcli.data.workers import Samples, samples_of
from colorcli.system import disk
from colorcli.system.atomic import write_atomic
from colorcli.system.errors import DataError, reason
from colorcli.system.files.listing import Listing
from colorcli.system.lock import alone

Progress = Callable[..., None]
EARLY = 32  # photographs whose records tell how much room the set will take
EXAMPLES = 20  # broken files named in the result; the report has them all


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What ``prepare`` did: pictures kept by split, left out by reason (all in ``report``).

    ``cropped``: kept without the bars around them. ``sets``: pictures kept by set.
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
    cropped: int = 0
    sets: dict[str, int] = field(default_factory=dict)
    broken: list[dict[str, str]] = field(default_factory=list)


def prepare(
    paths: Iterable[str],
    folder: Path | str,
    config: PrepareConfig = PrepareConfig(),
    *,
    source: dict[str, Any] | None = None,
    left_out: Sequence[dict[str, str]] = (),
    samples: Samples = samples_of,
    progress: Progress | None = None,
) -> Prepared:
    """Write shards of the photographs ``paths``, ``dataset.json`` and a report into ``folder``.

    Broken, small, near-gray and toned pictures and copies are left out, counted, and listed with
    their reason in ``report.jsonl``, where the lines ``left_out``, of names that the caller sought
    in vain, and those that lost a rim are added. Which split a picture joins follows from the bytes
    of its file alone. ``samples`` reads the photographs, here or elsewhere. The same call
    resumes an unfinished folder and returns what a finished one holds. Raises ``DataError`` when
    nothing is left, the folder holds something else, or the disk will not suffice.
    """
    folder = Path(folder)
    work = folder / WORK
    _claim(folder)
    try:
        with alone(work / "lock", folder, "prepare", "wait for it, or choose another folder"):
            try:
                work_left = partial(_run, samples=samples, progress=progress)
                return _prepare(
                    paths, folder, config, source=source or {}, left_out=left_out, run=work_left
                )
            finally:
                if (folder / INDEX).exists() or not any(work.glob("block-*")):
                    shutil.rmtree(work, ignore_errors=True)  # nothing in it to resume
                    with contextlib.suppress(OSError):
                        folder.rmdir()  # only if it is empty
    except OSError as error:
        remedy = disk.remedy(error, "free some space and repeat the command")
        raise DataError(f"{folder}: cannot be written: {reason(error)}; {remedy}") from None


def _prepare(
    paths: Iterable[str],
    folder: Path,
    config: PrepareConfig,
    *,
    source: dict[str, Any],
    left_out: Sequence[dict[str, str]],
    run: Callable[[Ledger], None],
) -> Prepared:
    with contextlib.closing(Listing(folder / WORK / "names", paths)) as listing:
        plan = {
            "schema": DATASET_SCHEMA, "version": __version__, "names": listing.digest,
            "config": _settings(config), "source": source, "missing": len(left_out),
        }  # fmt: skip
        mark = disk.digest_of(json.dumps(plan, sort_keys=True).encode())
        if (folder / INDEX).exists():
            return _finished(folder, mark, plan)
        note = folder / WORK / "plan.json"
        if any(note.parent.glob("block-*")):
            before = json.loads(note.read_text("utf-8"))
            if before != plan:
                raise DataError(
                    f"{folder}: holds the unfinished work of another command, with "
                    f"{_differences(before, plan)}; repeat that one to finish it, choose another "
                    "folder or remove this one"
                )
        write_atomic(note, json.dumps(plan).encode())
        ledger = Ledger(folder, listing, config)
        resumed = ledger.recover()
        run(ledger)
        return _result(folder, ledger.finish(plan, mark, left_out), resumed)


def _settings(config: PrepareConfig) -> dict[str, Any]:
    values = {key: value for key, value in asdict(config).items() if key != "workers"}
    return {**values, "roots": list(config.roots)}  # as JSON reads it back


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


def _run(ledger: Ledger, samples: Samples, progress: Progress | None) -> None:
    """All blocks that are not finished, in order."""
    config, names = ledger.config, ledger.listing
    order = np.random.default_rng(config.seed).permutation(len(names)).astype(np.uint32)
    order = order[: config.limit or None]
    edges = np.linspace(0, len(order), -(-len(order) // config.shard_images) + 1).astype(int)
    done = first = int(edges[ledger.blocks])
    taken = samples((names[int(i)] for i in order[first:]), config, len(order) - first)
    start = time.monotonic()
    with contextlib.closing(taken):
        for block in range(ledger.blocks, len(edges) - 1):
            with ledger.block() as entry:
                for number in order[edges[block] : edges[block + 1]]:
                    entry.add(int(number), next(taken))
                    done += 1
                    if done - first == EARLY:
                        ledger.check_space(entry, len(order) - done)
                    if progress:
                        progress(
                            done, len(order), kept=ledger.kept,
                            per_second=(done - first) / max(1e-6, time.monotonic() - start),
                        )  # fmt: skip
            ledger.check_space(None, len(order) - done)


def _finished(folder: Path, mark: str, plan: dict[str, Any]) -> Prepared:
    info: Any = {}
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        info = json.loads((folder / INDEX).read_text("utf-8"))
        if info.get("plan") == mark:
            total = sum(info["counts"].values()) + sum(info["dropped"].values())
            return _result(folder, info, total)
    raise DataError(
        f"{folder}: already holds a prepared data set, with {_differences(info, plan)}; repeat "
        "its command, choose another folder or remove it"
    )


def _differences(before: Any, now: dict[str, Any]) -> str:
    """In words, what an earlier command was given (first) and this one was not, option by option."""
    told = []
    for part in ("source", "config"):
        old = before.get(part) if isinstance(before, dict) else None
        for name, value in now[part].items():
            was = old.get(name, value) if isinstance(old, dict) else value
            if was != value:
                told.append(f"{_option(name)} {_shown(was)}, not {_shown(value)}")
    if not told and isinstance(before, dict) and before.get("version") != now["version"]:
        told.append(f"colorcli {before.get('version')}, not {now['version']}")
    return "; ".join(told) or "other photographs"


def _option(name: str) -> str:
    words = {"kind": "prepare", "inputs": "photographs"}
    return words.get(name, f"--{name.replace('_', '-')}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return textwrap.shorten(str(value), 80, placeholder=" …") or "none"


def _result(folder: Path, info: dict[str, Any], resumed: int) -> Prepared:
    with (folder / REPORT).open(encoding="utf-8") as file:
        entries = (json.loads(line) for line in file)
        broken = islice((e for e in entries if e["reason"] == "broken"), EXAMPLES)
        named = [{"path": e["path"], "reason": e["detail"]} for e in broken]
    sets: Counter[str] = Counter()
    for split in info["sets"].values():
        sets.update({name: sum(sides.values()) for name, sides in split.items()})
    size = sum(shard["bytes"] for split in info["shards"].values() for shard in split)
    return Prepared(
        folder=str(folder), counts=info["counts"], dropped=info["dropped"],
        mean_chroma=info["mean_chroma"], bytes=size, report=str(folder / REPORT), resumed=resumed,
        cropped=info["cropped"], sets=dict(sets), broken=named,
    )  # fmt: skip
