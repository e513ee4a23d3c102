"""``colorize eval``: judge colours against the true ones, always beside doing nothing.

Colours come from ``Contender``s (models, or another tool's files); all are judged on the same
pictures in one pass. Of a picture only its figures are kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from colorcli import __version__
from colorcli.color.lab import join
from colorcli.colorizing.colorizer import Colorizer
from colorcli.config import EVAL_SCHEMA, EvalConfig
from colorcli.data.sources import Item, Source, read_rgb
from colorcli.errors import DataError, ImageError, UsageError
from colorcli.evaluation import protocols
from colorcli.evaluation.metrics import METRICS, TRUTH_METRICS, Case, Metric, View, mean_chroma
from colorcli.evaluation.perceptual import Moments, frechet
from colorcli.evaluation.statistics import Stat, summarise
from colorcli.imaging import png
from colorcli.system.atomic import write_atomic
from colorcli.system.parallel import cores, in_order

DECIMALS = 6  # of figures by picture
NONE = np.zeros((1, 1, 2), np.float32)  # the ab of doing nothing
LPIPS = Metric(
    "LPIPS", "", 4, "lower", lambda case: 0.0, "AlexNet, version 0.1; Zhang et al. (2018)"
)
FID = Metric(
    "FID", "", 2, "lower", lambda case: 0.0,
    "Inception-v3 of 2015; Heusel et al. (2017); biased for few pictures, compare equal numbers",
)  # fmt: skip


# --- contenders --------------------------------------------------------------------------------


class Contender(Protocol):
    """Whose colours are judged; it serves any number of threads."""

    name: str

    def describe(self) -> dict[str, Any]:
        """``kind`` and ``knobs`` of its row."""
        ...

    def show(
        self, item: Item, original: np.ndarray, gray: np.ndarray, protocol: protocols.Protocol
    ) -> np.ndarray:
        """SRGB uint8 of the judged size, for ``gray`` (H, W) of the judged picture."""
        ...


@dataclass(frozen=True)
class Model:
    """A colorizer, shown the gray picture as the protocol leaves it."""

    name: str
    colorizer: Colorizer

    def describe(self) -> dict[str, Any]:
        """What the JSON says of it."""
        return {"kind": "model", "knobs": self.colorizer.knobs.told()}

    def show(
        self, item: Item, original: np.ndarray, gray: np.ndarray, protocol: protocols.Protocol
    ) -> np.ndarray:
        """Its colours, (H, W, 3) uint8."""
        return self.colorizer.colorize(gray, np.uint8)


@dataclass(frozen=True)
class Pictures:
    """Another tool's output: files by the key of the picture they colour."""

    name: str
    files: Mapping[str, str]

    def describe(self) -> dict[str, Any]:
        """What the JSON says of it."""
        return {"kind": "pictures", "knobs": None}

    def show(
        self, item: Item, original: np.ndarray, gray: np.ndarray, protocol: protocols.Protocol
    ) -> np.ndarray:
        """The file's picture under the protocol; ``ImageError`` when its size is not the truth's."""
        path = self.files[item.key]
        rgb = read_rgb(path)
        if rgb.shape != original.shape:
            sizes = " and ".join(f"{p.shape[1]}×{p.shape[0]}" for p in (rgb, original))
            raise ImageError(
                f"{path}: it and {item.name} differ in size, {sizes} pixels; make them equal"
            )
        return protocol(rgb)


# --- results -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Figures of one contender, or of doing nothing."""

    name: str
    kind: str  # "model", "pictures" or "gray"
    knobs: dict[str, float] | None
    metrics: dict[str, Stat]


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Scores:
    """Every judged picture's figures: ``values[row]`` is (N, K), columns ``metrics``."""

    metrics: tuple[str, ...]
    names: list[str]
    indices: list[int]
    values: dict[str, np.ndarray]
    truth: np.ndarray  # (N, 2): cf, cf_abs


@dataclass(frozen=True)
class Judgement:
    """The summary, and the figures it sums up."""

    summary: Evaluation
    scores: Scores


@dataclass(frozen=True)
class Scene:
    """One picture in all its versions, sRGB (H, W, 3) uint8 of one size."""

    truth: np.ndarray
    gray: np.ndarray
    shown: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Verdict:
    name: str
    index: int
    status: str  # "judged", "gray" or "broken"
    rows: dict[str, list[float]] = field(default_factory=dict)
    weights: list[float] = field(default_factory=list)
    truth: list[float] = field(default_factory=list)
    reason: str = ""


GRAY = "gray"


def scene(
    item: Item, contenders: Sequence[Contender], protocol: protocols.Protocol, config: EvalConfig
) -> Scene | None:
    """Read and colour one picture; None for a gray original. Raises ``ImageError``."""
    original = item.read()
    truth = protocol(original)
    if min(truth.shape[:2]) < 11:
        raise ImageError(f"{item.name}: under 11 pixels, too small to judge")
    if mean_chroma(truth) < config.min_chroma:
        return None
    gray = protocols.GRAYS[config.gray](truth)
    shown = {c.name: c.show(item, original, gray, protocol) for c in contenders}
    return Scene(truth, join(gray, NONE, np.uint8), shown)


def panel(scene: Scene) -> bytes:
    """PNG of gray → predicted (each contender) → truth side by side, thin white lines between."""
    line = np.full((scene.truth.shape[0], 4, 3), 255, np.uint8)
    row = [scene.gray]
    for image in (*scene.shown.values(), scene.truth):
        row += [line, image]
    return png.plain(np.hstack(row))


def metrics_with(perceptual: Mapping[str, Callable[..., Any] | None]) -> dict[str, Metric]:
    """``METRICS`` and the perceptual ones asked for, by name; their network may still be None."""
    known = dict(METRICS)
    if "lpips" in perceptual:
        distance: Any = perceptual["lpips"]
        known["lpips"] = dataclasses.replace(LPIPS, of=lambda c: distance(c.truth.rgb, c.image.rgb))
    if "fid" in perceptual:
        known["fid"] = FID
    return known


def distinct(models: Sequence[str | Path]) -> list[str]:
    """A short name for each model: that of its file or folder, or as given where two agree."""
    short = [Path(model).name or str(model) for model in models]
    names = []
    for model, name in zip(models, short, strict=True):
        name = str(model) if short.count(name) > 1 else name
        while name in names or name == GRAY:
            name += "'"
        names.append(name)
    return names


def evaluate(
    source: Source,
    contenders: Sequence[Contender],
    config: EvalConfig = EvalConfig(),
    *,
    perceptual: Mapping[str, Callable[..., Any]] | None = None,
    broken: Sequence[Mapping[str, str]] = (),
    missing: Sequence[str] = (),
    extra: Sequence[str] = (),
    panels: Path | None = None,
    each: Callable[[str, str, dict[str, float]], None] | None = None,
    progress: Callable[..., None] | None = None,
) -> Judgement:
    """Judge every contender on the true-colour pictures of ``source``.

    Gray originals have an infinite PSNR by doing nothing, so they are left out and counted. A
    picture that cannot be read, or that one contender has no colours for, is left out for all and
    listed with those already in ``broken``. ``each(picture, row, figures)`` sees every picture's
    figures in the source's order. The result does not depend on ``config.workers``. Raises ``DataError`` when nothing is left to judge and
    ``UsageError`` for an unknown protocol.
    """
    protocol = protocols.named(config.protocol, config.size)
    perceptual = perceptual or {}
    # FID is a figure of the set, not of a picture.
    metrics = {name: m for name, m in metrics_with(perceptual).items() if name != "fid"}
    features = perceptual.get("fid")
    names = [contender.name for contender in contenders]
    rows = [*names, GRAY]
    moments = {row: Moments() for row in (*rows, "truth")} if features else {}

    def judge(item: Item) -> _Verdict:
        try:
            pictures = scene(item, contenders, protocol, config)
            if pictures is None:
                return _Verdict(item.name, item.index, "gray")
            if panels is not None:
                stem = Path(item.name).stem
                write_atomic(panels / f"{item.index:05d}-{stem}.png", panel(pictures))
        except ImageError as error:
            return _Verdict(item.name, item.index, "broken", reason=str(error))
        except MemoryError:
            message = f"{item.name}: not enough memory for a picture of this size; lower --workers"
            return _Verdict(item.name, item.index, "broken", reason=message)
        truth, nothing = View(pictures.truth), View(pictures.gray)
        views = {**{name: View(rgb) for name, rgb in pictures.shown.items()}, GRAY: nothing}
        cases = {row: Case(truth, nothing, view) for row, view in views.items()}
        if features:
            for row, view in {**views, "truth": truth}.items():
                moments[row].add(features(view.rgb))
        weight = [m.weight(cases[GRAY]) if m.weight else 1.0 for m in metrics.values()]
        return _Verdict(
            item.name, item.index, "judged",
            # Rounded far below what matters: the last bits depend on where in memory arrays lie.
            {
                row: [round(m.of(case), DECIMALS) for m in metrics.values()]
                for row, case in cases.items()
            },
            weight, [getattr(truth, name) for name in TRUTH_METRICS],
        )  # fmt: skip

    total = len(source)
    verdicts: list[_Verdict] = []
    weights: list[list[float]] = []
    lost, gray_originals = [dict(entry) for entry in broken], 0
    gain = tuple(metrics).index("gain")
    sums = dict.fromkeys(names, 0.0)
    for done, verdict in enumerate(_parallel(judge, source, config.workers), 1):
        if verdict.status == "broken":
            lost.append({"path": verdict.name, "reason": verdict.reason})
        elif verdict.status == "gray":
            gray_originals += 1
        else:
            verdicts.append(verdict)
            weights.append(verdict.weights)
            for name in names:
                sums[name] += verdict.rows[name][gain]
            if each:
                for shown, figures in verdict.rows.items():
                    each(verdict.name, shown, dict(zip(metrics, figures, strict=True)))
        if progress:
            gained = {"gain": sums[names[0]] / len(verdicts)} if verdicts and names else {}
            progress(done, total, **gained)
    if not verdicts:
        raise DataError(
            f"no colour photograph to judge ({gray_originals} gray, {len(lost)} unreadable, "
            f"{len(missing)} missing); give photographs in colour"
        )
    scores = Scores(
        tuple(metrics), [v.name for v in verdicts], [v.index for v in verdicts],
        {row: np.array([v.rows[row] for v in verdicts]) for row in rows},
        np.array([v.truth for v in verdicts]),
    )  # fmt: skip
    magnitude = np.array([m.magnitude for m in metrics.values()])
    stats_of = partial(summarise, samples=config.samples, seed=config.seed)

    def row(name: str, described: dict[str, Any]) -> Row:
        stats = stats_of(scores.values[name], weights=np.array(weights), magnitude=magnitude)
        figures = dict(zip(metrics, stats, strict=True))
        if features:
            figures["fid"] = Stat(frechet(moments["truth"], moments[name]))
        return Row(name, described["kind"], described["knobs"], figures)

    summary = Evaluation(
        EVAL_SCHEMA, __version__, protocol.name, config.gray, len(verdicts), gray_originals,
        lost, list(missing), list(extra), config.seed, config.samples,
        [row(c.name, c.describe()) for c in contenders],
        row(GRAY, {"kind": "gray", "knobs": None}),
        dict(zip(TRUTH_METRICS, stats_of(scores.truth), strict=True)),
    )  # fmt: skip
    return Judgement(summary, scores)


def _parallel(
    judge: Callable[[Item], _Verdict], source: Source, workers: int
) -> Iterator[_Verdict]:
    """Verdicts in the source's order. OpenCV's own threads would only fight over the cores."""
    workers = min(workers or cores(), max(1, len(source)))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield from in_order(judge, source, threads=workers, window=2 * workers)
    finally:
        cv2.setNumThreads(threads)


# --- gates -------------------------------------------------------------------------------------


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
