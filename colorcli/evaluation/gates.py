"""Figures that must be reached, for a build that fails where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from colorcli.evaluation.evaluate import Evaluation
from colorcli.evaluation.metrics import Metric
from colorcli.system.errors import UsageError


@dataclass(frozen=True)
class Gate:
    """A figure that must be reached: ``under`` fails below ``value``, else above it."""

    metric: str
    value: float
    under: bool

    def failures(self, result: Evaluation) -> list[str]:
        """One line for each contender that falls short."""
        side = "under" if self.under else "over"
        lines = []
        for row in result.models:
            mean = row.metrics[self.metric].mean
            passed = mean >= self.value if self.under else mean <= self.value
            if not passed:  # not a number passes nothing
                lines.append(f"{row.name}: {self.metric} {mean:.6g} is {side} {self.value:g}")
        return lines


def gate(text: str, metrics: Mapping[str, Metric], *, under: bool) -> Gate:
    """``psnr=23.5`` as a gate. Raises ``UsageError`` for what cannot be one."""
    name, separator, value = text.partition("=")
    option = "--fail-under" if under else "--fail-over"
    if not separator:
        raise UsageError(f"{option} {text}: give METRIC=VALUE, for example psnr=23.5")
    if name not in metrics:
        raise UsageError(f"{option} {text}: unknown metric; known: {', '.join(metrics)}")
    wrong = "lower" if under else "higher"
    if metrics[name].better == wrong:
        other = "--fail-over" if under else "--fail-under"
        raise UsageError(f"{option} {text}: {wrong} is better for {name}; use {other}")
    try:
        number = float(value)
    except ValueError:
        raise UsageError(f"{option} {text}: {value!r} is no number") from None
    if number != number:
        raise UsageError(f"{option} {text}: not a number fails everything; give a figure")
    return Gate(name, number, under)
