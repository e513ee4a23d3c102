"""``colorize prepare --engine ray``: photographs read by a cluster's processes, in order.

What depends on the order (copies, splits, prior, shards) is done by the one process that has
them all, so that the data set is to the byte that of one machine.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator, Iterator
from functools import partial
from itertools import islice
from typing import Any

from colorcli.config.prepare import PrepareConfig
from colorcli.data.samples import Sample
from colorcli.data.workers import AHEAD, CHUNK, CRASHED, Samples, chunk_of
from colorcli.extras.scale import cluster
from colorcli.system.errors import DataError

LIVES = 3  # deaths of a process that one photograph is given


@contextlib.contextmanager
def on_ray(address: str | None) -> Iterator[Samples]:
    """What reads photographs on a Ray cluster, for a ``with`` block; see ``cluster.joined``."""
    with cluster.joined(address) as ray, cluster.home(None) as home:
        yield partial(_samples, ray, home)


def _read(names: list[str], config: PrepareConfig, home: cluster.Home) -> list[Sample] | str:
    """A sample of each name, or why this machine cannot work."""
    return home.missing() or chunk_of(names, config)


def _samples(
    ray: Any, home: cluster.Home, names: Iterator[str], config: PrepareConfig, total: int
) -> Generator[Sample, None, None]:
    read = ray.remote(_read)

    def begun(chunk: list[str], lives: int) -> Any:
        options = {"num_cpus": 1, "max_retries": lives - 1, "scheduling_strategy": "SPREAD"}
        return read.options(**options).remote(chunk, config, home)

    pending: deque[tuple[list[str], Any]] = deque()
    try:
        while True:
            window = AHEAD * (config.workers or cluster.processors(ray))
            while len(pending) < window and (chunk := list(islice(names, CHUNK))):
                pending.append((chunk, begun(chunk, 2)))
            if not pending:
                return
            chunk, reference = pending.popleft()
            found = _found(ray, reference)
            if found is not None:
                yield from found
                continue
            for name in chunk:  # which of them it is that kills its process
                alone = _found(ray, begun([name], LIVES))
                yield from alone or [Sample(dropped="broken", detail=CRASHED)]
    finally:
        for _, reference in pending:
            ray.cancel(reference, force=True)


def _found(ray: Any, reference: Any) -> list[Sample] | None:
    """What a task gives; None where its process died as often as it was let."""
    from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

    try:
        found: list[Sample] | str = ray.get(reference)
    except (WorkerCrashedError, OutOfMemoryError, NodeDiedError):
        return None
    if isinstance(found, str):
        raise DataError(found)
    return found
