"""Actors with work in hand: given batches, asked for rows, replaced where they are lost.

Ray moves the messages, starts the processes on its machines and tells which have died; here is
only who has what in hand. A job that was in hand when its process died is given to another, alone,
and after ``LIVES`` such deaths comes back as one that kills its workers.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from colorcli.system.errors import DataError

Job = TypeVar("Job")
Row = TypeVar("Row")

BATCH = 16  # jobs handed over at a time
QUEUE = 2  # batches that an actor has: one it works on, and the next
LIVES = 3  # deaths of a process that one job is given
STILLBORN = 5  # processes in a row that may die before they are ready
MOST = 1000  # rows of what is no work that are kept before they are given
CONTROL = "control"  # the actors' other thread
LOOK = 1.0  # seconds between looks at what else there is to do


@dataclass
class _Batch(Generic[Job]):
    """Jobs without a row so far, and where their rows come from."""

    jobs: deque[Job]
    rows: Any


@dataclass
class _Hand(Generic[Job]):
    """An actor and what it has."""

    actor: Any
    ready: Any
    born: bool = False
    batches: deque[_Batch[Job]] = field(default_factory=deque)

    @property
    def awaited(self) -> Any:
        """What it will tell next, or None."""
        return (
            self.batches[0].rows
            if self.born and self.batches
            else None
            if self.born
            else self.ready
        )


def _cause(error: Exception) -> str:
    """The line of Ray's report that says why."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()
    said = [line for line in plain if re.match(r"\w*(Error|Exception|Exit)\b", line)]
    return (said or plain or [type(error).__name__])[-1][:300]


class Pool(Generic[Job, Row]):
    """Actors that ``start()`` starts, ``wanted()`` of them, and their work."""

    def __init__(
        self,
        ray: Any,
        start: Callable[[], Any],
        wanted: Callable[[], int],
        ahead: int,
        settled: Callable[[Job], Row | None],
        lost: Callable[[Job], Row],
    ) -> None:
        """``ahead``: jobs of a batch that an actor begins together; ``settled``: the row of a job
        that is no work; ``lost``: of one that is given up.
        """
        self._ray, self._start, self._wanted = ray, start, wanted
        self._ahead, self._settled, self._lost = ahead, settled, lost
        self._given: list[Row] = []  # rows that no actor is asked for
        self._dry = False  # no job is to come
        self._hands: list[_Hand[Job]] = []
        self._again: deque[list[Job]] = deque()  # batches that were lost
        self._deaths: Counter[int] = Counter()  # by the job's id; it is held as long
        self._stillborn = 0
        self.died = 0  # actors that had worked
        self.repeated = 0  # jobs that were begun and given out once more

    def rows(self, jobs: Iterator[Job], stopped: Callable[[], bool]) -> Iterator[Row]:
        """A row for each job, as they come; after ``stopped()``, of those that were begun.

        Jobs are taken as they are needed. Raises ``DataError`` where no actor can work.
        """
        told, grown = False, 0.0
        while True:
            if time.monotonic() - grown > LOOK:
                self._grow()
                grown = time.monotonic()
            if not stopped():
                self._deal(jobs)
            elif not told:
                told = True
                self._halt()
            yield from self._given
            self._given.clear()
            idle = not any(hand.batches for hand in self._hands)
            if idle and (told or (self._dry and not self._again)):
                return
            awaited = {h.awaited: h for h in self._hands if h.awaited is not None}
            if not awaited:
                time.sleep(0 if self._again or not self._dry else LOOK / 10)
                continue
            found, _ = self._ray.wait(list(awaited), num_returns=1, timeout=LOOK)
            if found:
                found, _ = self._ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
            for one in found:
                yield from self._told(awaited[one], told)

    def close(self) -> None:
        """End all actors."""
        for hand in self._hands:
            self._ray.kill(hand.actor)
        self._hands.clear()

    def _grow(self) -> None:
        for _ in range(self._wanted() - len(self._hands)):
            actor = self._start()
            self._hands.append(_Hand(actor, actor.ready.remote()))

    def _deal(self, jobs: Iterator[Job]) -> None:
        """Give each actor what it can take, those with the least first."""
        for level in range(QUEUE):
            for hand in self._hands:
                if hand.born and len(hand.batches) <= level:
                    batch = self._again.popleft() if self._again else self._batch(jobs)
                    if not batch:
                        return
                    stream = hand.actor.colour.options(num_returns="streaming").remote(batch)
                    hand.batches.append(_Batch(deque(batch), stream))

    def _batch(self, jobs: Iterator[Job]) -> list[Job]:
        """The next that are work."""
        batch: list[Job] = []
        while not self._dry and len(batch) < BATCH and len(self._given) < MOST:
            job = next(jobs, None)
            if job is None:
                self._dry = True
            elif (row := self._settled(job)) is not None:
                self._given.append(row)
            else:
                batch.append(job)
        return batch

    def _halt(self) -> None:
        for hand in self._hands:
            if hand.batches:
                hand.actor.halt.options(concurrency_group=CONTROL).remote()

    def _told(self, hand: _Hand[Job], halted: bool) -> Iterator[Row]:
        """The rows that an actor has, or what became of it."""
        from ray.exceptions import RayActorError, RayError

        try:
            if not hand.born:
                if why := self._ray.get(hand.ready):
                    raise DataError(why)
                hand.born, self._stillborn = True, 0
                return
            batch = hand.batches[0]
            try:
                row = self._ray.get(next(batch.rows))
            except StopIteration:
                hand.batches.popleft()
                if batch.jobs and not halted:  # a stream that broke off
                    self._again.append(list(batch.jobs))
                return
            self._deaths.pop(id(batch.jobs.popleft()), None)
            yield row
        except RayActorError as error:
            yield from self._buried(hand, _cause(error), halted)
        except RayError as error:  # its process lives, but not its work: a bug
            yield from self._buried(hand, _cause(error), halted)

    def _buried(self, hand: _Hand[Job], why: str, halted: bool) -> Iterator[Row]:
        """Take an actor's work back; rows of those given up."""
        self._ray.kill(hand.actor)
        self._hands.remove(hand)
        if not hand.born:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise DataError(f"--engine ray: no worker starts on the cluster: {why}")
        self.died += hand.born
        if halted:
            return
        for number, batch in enumerate(hand.batches):
            left = list(batch.jobs)
            begun = left[: self._ahead] if number == 0 else []
            for job in begun:
                self._deaths[id(job)] += 1
                if self._deaths[id(job)] >= LIVES:
                    del self._deaths[id(job)]
                    yield self._lost(job)
                else:
                    self.repeated += 1
                    self._again.append([job])
            if rest := left[len(begun) :]:
                self._again.appendleft(rest)
