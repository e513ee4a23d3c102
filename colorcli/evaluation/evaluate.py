"""``colorize eval``: judge colours against the true ones, always beside doing nothing.

Colours come from ``Contender``s (models, or another tool's files); all are judged on the same
pictures in one pass, by metrics that are records. Of a picture only its figures are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from colorcli import __version__
from colorcli.config.evaluation import EVAL_SCHEMA, EvalConfig
from colorcli.data.sources.common import Item, Selection
from colorcli.evaluation import metrics as judges
from colorcli.evaluation import protocols
from colorcli.evaluation.calibration import Calibration
from colorcli.evaluation.contenders import GRAY, Contender, Scene, panel, scene
from colorcli.evaluation.metrics import HEADLINE, Case, Metric, Pool, View
from colorcli.evaluation.statistics import Stat, summarise
from colorcli.system.atomic import write_atomic
from colorcli.system.errors import DataError, ImageError
from colorcli.system.parallel import cores, in_order

DECIMALS = 6  # of figures by picture
TRUTH = "truth"
Each = Callable[[str, str, dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures of one contender, or of doing nothing."""

    name: str
    kind: str  # "model", "pictures" or "gray"
    knobs: dict[str, float] | None
    metrics: dict[str, Stat]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What ``--json`` prints; docs/eval-schema.json describes it."""

    schema: int
    colorcli: str
    protocol: str
    fed: str  # which gray the contenders were given: "lab" or "bt601"
    judged: int
    gray_originals: int
    broken: list[dict[str, str]]
    missing: list[str]
    extra: list[str]
    seed: int
    samples: int
    models: list[Row]
    gray: Row
    truth: dict[str, Stat]
    calibration: dict[str, Calibration] | None = None  # by row, where it was asked for


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Every judged picture's figures: ``values[row]`` is (N, K), columns ``metrics``."""

    metrics: tuple[str, ...]
    names: list[str]
    indices: list[int]
    values: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The summary, and the figures it sums up."""

    summary: Evaluation
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    name: str
    index: int
    figures: dict[str, list[float]] = field(default_factory=dict)  # by row, and of the truth
    weights: list[float] = field(default_factory=list)
    broken: str = ""  # why it cannot be judged; with neither this nor figures it is gray


class _Judge:
    """Judges one picture after the other, from any number of threads."""

    def __init__(
        self, contenders: Sequence[Contender], config: EvalConfig, metrics: Mapping[str, Metric]
    ) -> None:
        self.contenders, self.config = contenders, config
        self.protocol = protocols.named(config.protocol, config.size)
        self.rows = [*(contender.name for contender in contenders), GRAY]
        self.metrics = judges.by_picture(metrics)
        self.alone = {name: metric for name, metric in self.metrics.items() if metric.alone}
        self.over_set = {name: m for name, m in metrics.items() if name not in self.metrics}
        self.pools: dict[str, dict[str, Pool]] = {
            name: {row: metric.over_set.pool() for row in (*self.rows, TRUTH)}
            for name, metric in self.over_set.items()
            if metric.over_set
        }

    def __call__(self, item: Item, panels: Path | None) -> _Verdict:
        """What its figures are; ``panels`` is where they are drawn, too."""
        try:
            pictures = scene(item, self.contenders, self.protocol, self.config)
            if pictures is None:
                return _Verdict(name=item.name, index=item.index)
            if panels is not None:
                stem = Path(item.name).stem
                write_atomic(panels / f"{item.index:05d}-{stem}.png", panel(pictures))
        except ImageError as error:
            return _Verdict(name=item.name, index=item.index, broken=str(error))
        except MemoryError:
            message = f"{item.name}: not enough memory for a picture of this size; lower --workers"
            return _Verdict(name=item.name, index=item.index, broken=message)
        return self._verdict(item, pictures)

    def _verdict(self, item: Item, pictures: Scene) -> _Verdict:
        truth, nothing = View(pictures.truth), View(pictures.gray)
        cases = {name: Case(truth, nothing, View(rgb)) for name, rgb in pictures.shown.items()}
        cases[GRAY] = Case(truth, nothing, nothing)
        itself = Case(truth, nothing, truth)
        for name, metric in self.over_set.items():
            for row, case in {**cases, TRUTH: itself}.items():
                self.pools[name][row].add(metric(case))

        def figures(metrics: Mapping[str, Metric], case: Case) -> list[float]:
            # Far below what matters: the last bits depend on where in memory arrays lie.
            return [round(metric(case), DECIMALS) for metric in metrics.values()]

        return _Verdict(
            name=item.name, index=item.index,
            figures={
                **{row: figures(self.metrics, case) for row, case in cases.items()},
                TRUTH: figures(self.alone, itself),
            },
            weights=[m.weight(cases[GRAY]) if m.weight else 1.0 for m in self.metrics.values()],
        )  # fmt: skip

    def pooled(self, row: str) -> dict[str, Stat]:
        """Figures of the whole set."""
        return {
            name: Stat(metric.over_set.figure(self.pools[name][TRUTH], self.pools[name][row]))
            for name, metric in self.over_set.items()
            if metric.over_set
        }


@dataclass
class _Tally:
    """Verdicts so far."""

    judged: list[_Verdict] = field(default_factory=list)
    broken: list[dict[str, str]] = field(default_factory=list)
    gray: int = 0

    def add(self, verdict: _Verdict) -> bool:
        """Whether it has figures."""
        if verdict.broken:
            self.broken.append({"path": verdict.name, "reason": verdict.broken})
        elif not verdict.figures:
            self.gray += 1
        else:
            self.judged.append(verdict)
        return bool(verdict.figures)

    def check(self, missing: int) -> None:
        """Raise ``DataError`` when there is nothing to sum up."""
        if not self.judged:
            raise DataError(
                f"no colour photograph to judge ({self.gray} gray, {len(self.broken)} unreadable, "
                f"{missing} missing); give photographs in colour"
            )


def evaluate(
    selection: Selection,
    contenders: Sequence[Contender],
    config: EvalConfig = EvalConfig(),
    *,
    metrics: Mapping[str, Metric] | None = None,
    panels: Path | None = None,
    each: Each | None = None,
    progress: Callable[..., None] | None = None,
) -> Judgement:
    """Judge every contender on the true-colour pictures of ``selection``.

    ``metrics``: rows of ``METRICS``, their networks open; none: all that need no network. Gray
    originals have an infinite PSNR by doing nothing, so they are left out and counted. A picture
    that cannot be read, or that one contender has no colours for, is left out for all and listed
    with those that the selection lists as broken. ``each(picture, row, figures)`` sees every
    picture's figures in the source's order. The result does not depend on ``config.workers``.
    Raises ``DataError`` when nothing is left to judge, ``UsageError`` for an unknown protocol.
    """
    judge = _Judge(contenders, config, judges.chosen() if metrics is None else metrics)
    source = selection.items
    tally = _Tally(broken=[dict(entry) for entry in selection.broken])
    first, told = judge.rows[0], list(judge.metrics).index(HEADLINE)
    total = 0.0
    for done, verdict in enumerate(_parallel(partial(judge, panels=panels), selection, config), 1):
        if tally.add(verdict):
            total += verdict.figures[first][told]
            if each:
                for row in judge.rows:
                    each(
                        verdict.name,
                        row,
                        dict(zip(judge.metrics, verdict.figures[row], strict=True)),
                    )
        if progress:
            judged = len(tally.judged)
            progress(done, len(source), **({HEADLINE: total / judged} if judged else {}))
    tally.check(len(selection.missing))
    return _judgement(judge, tally, selection)


def _judgement(judge: _Judge, tally: _Tally, selection: Selection) -> Judgement:
    """What all verdicts come to."""
    config, judged = judge.config, tally.judged
    values = {row: np.array([v.figures[row] for v in judged]) for row in (*judge.rows, TRUTH)}
    stats_of = partial(summarise, samples=config.samples, seed=config.seed)
    weights = np.array([v.weights for v in judged])
    magnitude = np.array([metric.magnitude for metric in judge.metrics.values()])
    truth = stats_of(values.pop(TRUTH))

    def row(name: str, kind: str, knobs: dict[str, float] | None) -> Row:
        stats = stats_of(values[name], weights=weights, magnitude=magnitude)
        figures = dict(zip(judge.metrics, stats, strict=True))
        return Row(name=name, kind=kind, knobs=knobs, metrics={**figures, **judge.pooled(name)})

    summary = Evaluation(
        schema=EVAL_SCHEMA, colorcli=__version__, protocol=judge.protocol.name, fed=config.gray,
        judged=len(judged), gray_originals=tally.gray, broken=tally.broken,
        missing=list(selection.missing), extra=list(selection.extra),
        seed=config.seed, samples=config.samples,
        models=[row(c.name, **c.describe()) for c in judge.contenders],
        gray=row(GRAY, "gray", None),
        truth=dict(zip(judge.alone, truth, strict=True)),
    )  # fmt: skip
    scores = Scores(
        metrics=tuple(judge.metrics), names=[v.name for v in judged],
        indices=[v.index for v in judged], values=values,
    )  # fmt: skip
    return Judgement(summary=summary, scores=scores)


def _parallel(
    judge: Callable[[Item], _Verdict], selection: Selection, config: EvalConfig
) -> Iterator[_Verdict]:
    """Verdicts in the source's order. OpenCV's own threads would only fight over the cores."""
    workers = min(config.workers or cores(), max(1, len(selection.items)))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield from in_order(judge, selection.items, threads=workers, window=2 * workers)
    finally:
        cv2.setNumThreads(threads)
