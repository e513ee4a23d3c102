"""What the workers of a run tell each other, so that all of them decide alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from colorcli.training import devices


@dataclass(frozen=True, kw_only=True)
class Told:
    """What passes between workers with a step.

    ``seconds``: how long the step before took. ``withheld``: seconds of the budget that are not
    for training; the chief's word counts. ``stop``: somebody was told to stop. ``halt``: the
    chief's patience is at its end.
    """

    seconds: float
    withheld: float
    stop: bool
    halt: bool


class Workers:
    """The workers of a strategy as one of them sees them; ``index`` 0 is the chief's."""

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.strategy = strategy
        self.index, self.count = devices.place(strategy)

    @property
    def chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    def _sum(self, number: float) -> float:
        """Over the workers, who must all ask."""
        if self.count == 1:
            return number
        mine = tf.constant(float(number), tf.float64)
        reduce = tf.function(
            lambda x: self.strategy.reduce(
                tf.distribute.ReduceOp.SUM, self.strategy.run(lambda y: y, args=(x,)), axis=None
            )
        )
        return float(reduce(mine)) * self.count / self.strategy.num_replicas_in_sync

    def of_chief(self, number: float) -> float:
        """The chief's number; all must ask together."""
        return self._sum(number if self.chief else 0.0)

    def agree(self, number: int) -> bool:
        """Whether all, who must ask together, say the same."""
        total, squares = self._sum(number), self._sum(number**2)
        return (total, squares) == (self.count * number, self.count * number**2)

    def tell(self, told: Told) -> Any:
        """``told`` as a tensor whose sum over all devices ``heard`` understands."""
        chief = float(self.chief)
        values = [told.seconds, told.withheld * chief, chief, float(told.stop), float(told.halt)]
        return tf.constant(values, tf.float32)

    def heard(self, sums: Any) -> Told:
        """What all have told: the mean time, the chief's word, and whether any is to end."""
        seconds, withheld, chiefs, stops, halts = (float(x) for x in sums)
        return Told(
            seconds=seconds / self.strategy.num_replicas_in_sync, withheld=withheld / chiefs,
            stop=stops > 0, halt=halts > 0,
        )  # fmt: skip
