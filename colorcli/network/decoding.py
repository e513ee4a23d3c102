"""From a distribution over ab bins to one colour, and the knobs that steer it.

``KNOBS`` is the one place that knows them: options, environment names, inputs of graphs, cards and
examples are made of its rows.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from colorcli.system.errors import UsageError

LOGITS, AB = "logits", "ab"


@dataclass(frozen=True, kw_only=True)
class Slider:
    """How a screen offers a knob: its ends, its step, what it is called and what moving it does."""

    least: float = 0.0
    most: float
    step: float = 0.01
    label: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A number that steers decoding. ``neutral`` does nothing; ``default`` is what eyes like.

    ``stage`` ``LOGITS``: ``apply(logits, value, log_prior)`` changes bin logits (…, Q) before
    their mean is taken, and wants a model with a distribution. ``AB``: ``apply(ab, value,
    log_prior)`` changes ab (…, 2) afterwards. Both take arrays of NumPy or of ``keras.ops``.
    ``script`` is the same in JavaScript, for the page: an expression of ``x``, which is one logit
    or a or b, of ``value``, and of ``logPrior`` of the logit's bin.
    """

    name: str
    neutral: float
    default: float
    help: str
    stage: str
    apply: Callable[[Any, Any, Any], Any]
    script: str
    slider: Slider
    least: float = 0.0
    most: float = math.inf


# In the order in which they act.
KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob(
            name="vividness", neutral=0.0, default=0.4, stage=LOGITS, most=10.0,
            help="Prior correction: 0 off, 0.55 vivid.",
            # logits − λ·log prior: common grayish colours weigh less.
            apply=lambda logits, value, log_prior: logits - value * log_prior,
            script="x - value * logPrior",
            slider=Slider(most=0.6, label="Vividness", words="more of the colours that are rare"),
        ),
        Knob(
            name="temperature", neutral=1.0, default=0.8, stage=LOGITS, least=1e-3, most=1000.0,
            help="Annealed mean: 1 mean, lower more decided.",
            # Towards 0 the mode, 1 the plain mean (Zhang et al. 2016, eq. 5).
            apply=lambda logits, value, log_prior: logits / value,
            script="x / value",
            slider=Slider(least=0.2, most=1.2, label="Caution",
                          words="left: the likeliest colour; right: a mean of many"),
        ),
        Knob(
            name="saturation", neutral=1.0, default=1.0, stage=AB, most=100.0,
            help="Factor on the predicted chroma.",
            apply=lambda ab, value, log_prior: ab * value,
            script="x * value",
            slider=Slider(most=2.0, label="Saturation", words="strength of all colours; 0 is gray"),
        ),
    )
}  # fmt: skip
NEUTRAL: dict[str, float] = {name: knob.neutral for name, knob in KNOBS.items()}
"""The plain mean of a distribution: best in PSNR, and a little washed out."""


def of_stage(stage: str) -> list[Knob]:
    """The knobs of a stage, in order."""
    return [knob for knob in KNOBS.values() if knob.stage == stage]


def decode(logits: Any, values: Mapping[str, Any], log_prior: Any, xp: Any) -> Any:
    """ab (…, 2) of bin logits (…, Q): the knobs of stage ``LOGITS``, softmax, mean of the bins.

    ``values`` holds a number or a broadcastable tensor for each knob, ``log_prior`` is (Q,).
    """
    from colorcli.color import bins

    for knob in of_stage(LOGITS):
        logits = knob.apply(logits, values[knob.name], log_prior)
    return xp.matmul(distribution(logits, xp), bins.centres())


def distribution(logits: Any, xp: Any) -> Any:
    """Shares (…, Q) of the bins, which sum to 1, of their logits (…, Q)."""
    e = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def confidence(shares: Any, xp: Any) -> Any:
    """1 − H / ln Q (…) of ``shares`` (…, Q): 1 where one bin has all, 0 where all are alike.

    H is the entropy. A colour is taught as five bins around it, so about 0.8 is as sure as a
    network gets.
    """
    entropy = -xp.sum(shares * xp.log(shares + 1e-12), axis=-1)
    return xp.clip(1 - entropy / math.log(shares.shape[-1]), 0, 1)


def after(ab: Any, values: Mapping[str, Any]) -> Any:
    """ab (…, 2) after the knobs of stage ``AB``."""
    for knob in of_stage(AB):
        ab = knob.apply(ab, values[knob.name], None)
    return ab


@dataclass(frozen=True, init=False)
class Knobs:
    """Values for some of ``KNOBS``; a model gets what suits it for the others.

    >>> Knobs(vividness=0.2, temperature=0.9)

    ``flip_average``: mean with the colours of the mirrored picture (test-time augmentation), for
    twice the network's time.
    """

    values: Mapping[str, float]
    flip_average: bool

    def __init__(self, *, flip_average: bool = False, **values: float | None) -> None:
        """Take knobs by name; None is as if not given. Raises ``TypeError`` for unknown names."""
        for name in values:
            if name not in KNOBS:
                near = difflib.get_close_matches(name, KNOBS, 1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KNOBS)}"
                raise TypeError(f"unknown knob {name!r}; {hint}")
        given = {name: values[name] for name in KNOBS if values.get(name) is not None}
        object.__setattr__(self, "values", given)
        object.__setattr__(self, "flip_average", flip_average)

    def __getattr__(self, name: str) -> float | None:
        if name not in KNOBS:
            raise AttributeError(name)
        return self.values.get(name)

    def suiting(self, distribution: bool) -> Knobs:
        """All knobs, for a model that gives a ``distribution`` or plain ab.

        Raises ``UsageError`` for knobs out of range, or that such a model lacks.
        """
        full: dict[str, float] = {}
        for name, knob in KNOBS.items():
            acts = distribution or knob.stage == AB
            value = self.values.get(name, knob.default if acts else knob.neutral)
            if not (math.isfinite(value) and knob.least <= value <= knob.most):
                most = f" and at most {knob.most:g}" if knob.most < math.inf else ""
                raise UsageError(f"{name} must be at least {knob.least:g}{most}, not {value:g}")
            if not acts and value != knob.neutral:
                options = " and ".join(f"--{knob.name}" for knob in of_stage(LOGITS))
                others = " or ".join(f"--{knob.name}" for knob in of_stage(AB))
                raise UsageError(
                    f"the model has no colour distribution, so {options} do nothing; use {others}"
                )
            full[name] = value
        return Knobs(flip_average=self.flip_average, **full)

    def told(self) -> dict[str, float | bool]:
        """What was given, by the names of the options, for records."""
        return {**self.values, "flip_average": self.flip_average}

    @property
    def decoding(self) -> Mapping[str, float]:
        """A number for every knob; ``ValueError`` where one still waits for its model."""
        if len(self.values) < len(KNOBS):
            raise ValueError("open knobs: ask suiting() first")
        return self.values
