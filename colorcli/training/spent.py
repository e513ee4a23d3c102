"""Where the time of a run goes: training, all else, and what its end will still take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

# What stands between the last step and the end of the process: how often each is done.
LAST = {"judgement": 1, "checkpoint": 1, "model": 2}


class Spent:
    """Seconds of a run, over all processes that had a part in it."""

    def __init__(self, began: float) -> None:
        """This process's part began at ``began``, a time of ``time.monotonic()``."""
        self._began, self._before = began, 0.0
        self.costs: dict[str, float] = {}  # seconds by what, as last measured
        self.last = dict(LAST)

    def resume(self, spent: float, costs: Mapping[str, float]) -> None:
        """Go on where another process ended: the seconds that the run had taken, and its costs."""
        self._before, self.costs = spent, dict(costs)

    @contextlib.contextmanager
    def on(self, what: str) -> Iterator[None]:
        """A block whose time tells how long ``what``, a key of ``LAST``, will take again."""
        start = time.monotonic()
        yield
        self.costs[what] = time.monotonic() - start

    def suppose(self, seconds: float) -> None:
        """Take writing a model to last so long, until one is written."""
        self.costs.setdefault("model", seconds)

    @property
    def here(self) -> float:
        """What this process has taken."""
        return time.monotonic() - self._began

    @property
    def total(self) -> float:
        """All that the run has taken."""
        return self._before + self.here

    def overhead(self, trained: float) -> float:
        """What was not training, of which there were ``trained`` seconds."""
        return self.total - trained

    @property
    def reserve(self) -> float:
        """What the last judgement and saving will take; 0 as long as no model was saved."""
        if "model" not in self.costs:
            return 0.0
        return sum(count * self.costs.get(what, 0.0) for what, count in self.last.items())

    def withheld(self, trained: float) -> float:
        """What of a budget cannot be trained in: overhead so far, and the reserve."""
        return self.overhead(trained) + self.reserve

    def allows(self, what: str, budget: float) -> bool:
        """Whether ``budget`` seconds hold one more of ``what`` before the end."""
        return self.total + self.costs.get(what, 0.0) + self.reserve <= budget
