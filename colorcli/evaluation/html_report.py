"""``colorize eval --report``: one self-contained HTML page, readable offline and on a phone."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from colorcli.config.evaluation import EvalConfig
from colorcli.data.sources.common import Items
from colorcli.evaluation import protocols
from colorcli.evaluation.contenders import GRAY, Contender, Scene, scene
from colorcli.evaluation.evaluate import Judgement, Scores
from colorcli.evaluation.metrics import HEADLINE, METRICS
from colorcli.system.errors import ImageError

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__)  # what the page is made of lies beside it
EXAMPLES = 3  # of the best, the median and the worst each
SIDE = 640  # largest side of a picture on the page
QUALITY = 88
BARS = 40
COLOURS = 4  # of contenders, in html_report.css
LISTED = 200  # lines of each list of what was left out
ARROWS = {"higher": "↑", "lower": "↓"}


@dataclass(frozen=True)
class Example:
    """A picture shown on the page: its rank in words, its gain in dB, its versions as JPEG."""

    rank: str
    name: str
    gain: float
    versions: dict[str, bytes]

    @property
    def file(self) -> str:
        """Its name without the way there."""
        return Path(self.name).name


def pick(gains: np.ndarray, count: int = EXAMPLES) -> list[tuple[str, int]]:
    """(rank, position) of the best, median and worst ``count`` pictures, each picture once."""
    order = np.argsort(-gains, kind="stable")
    middle = max(0, (len(order) - count) // 2)
    parts = {"best": order[:count], "median": order[middle : middle + count],
             "worst": order[::-1][:count]}  # fmt: skip
    seen: set[int] = set()
    chosen = []
    for rank, positions in parts.items():
        for position in positions:
            if int(position) not in seen:
                seen.add(int(position))
                chosen.append((rank, int(position)))
    return chosen


def _jpeg(rgb: np.ndarray) -> bytes:
    scale = SIDE / max(rgb.shape[:2])
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]  # fmt: skip
    return cv2.imencode(".jpg", bgr, options)[1].tobytes()


def _versions(pictures: Scene) -> dict[str, bytes]:
    shown = {GRAY: pictures.gray, **pictures.shown, "truth": pictures.truth}
    return {name: _jpeg(rgb) for name, rgb in shown.items()}


def examples(
    judgement: Judgement, items: Items, contenders: Sequence[Contender], config: EvalConfig
) -> list[Example]:
    """The page's pictures, by the first contender's gain: read and coloured once more.

    A file that has vanished since it was judged is left out.
    """
    scores, protocol = judgement.scores, protocols.named(config.protocol, config.size)
    gains = scores.values[contenders[0].name][:, scores.metrics.index(HEADLINE)]
    wanted = {scores.indices[position]: (rank, position) for rank, position in pick(gains)}
    found: dict[int, Example] = {}
    for item in items:
        if item.index not in wanted:
            continue
        rank, position = wanted[item.index]
        try:
            pictures = scene(item, contenders, protocol, config)
        except ImageError:
            continue
        if pictures is not None:
            found[item.index] = Example(
                rank, item.name, float(gains[position]), _versions(pictures)
            )
    return [found[index] for index in wanted if index in found]


def _number(value: float | None, digits: int) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A histogram's outline, the mean's place, in the chart's units; its colour in html_report.css."""

    colour: str
    outline: list[tuple[float, float]]
    mean: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Overlaid histograms of one metric's figures by picture; ``low`` and ``high`` are its ends."""

    title: str
    digits: int
    low: float
    high: float
    curves: list[Curve]
    width: int = 400
    height: int = 120


def _colours(rows: Iterable[str]) -> dict[str, str]:
    """The colour of each row's curves."""
    return {row: "none" if row == GRAY else str(place % COLOURS) for place, row in enumerate(rows)}


def histogram(title: str, digits: int, series: Mapping[str, np.ndarray]) -> Chart:
    """How the figures of each row are distributed."""
    everything = np.concatenate(list(series.values()))
    everything = everything[np.isfinite(everything)]
    low, high = np.percentile(everything, [0.5, 99.5]) if len(everything) else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    counts = {
        name: np.histogram(np.clip(values, low, high), BARS, (low, high))[0]
        for name, values in series.items()
    }
    top = max(1, *(int(c.max()) for c in counts.values()))
    width, height, colours = Chart.width, Chart.height, _colours(series)
    edges = np.linspace(0, width, BARS + 1)
    curves = []
    for name, count in counts.items():
        tops = height - count / top * (height - 4)
        steps = np.stack([np.repeat(edges, 2)[1:-1], np.repeat(tops, 2)], axis=-1)
        mean = (float(np.clip(series[name].mean(), low, high)) - low) / (high - low) * width
        outline = [(0.0, float(height)), *map(tuple, steps.tolist()), (float(width), float(height))]
        curves.append(Curve(colour=colours[name], outline=outline, mean=float(mean)))
    return Chart(title=title, digits=digits, low=float(low), high=float(high), curves=curves)


def _charts(scores: Scores) -> list[Chart]:
    charts = []
    for column, name in enumerate(scores.metrics):
        metric = METRICS[name]
        if metric.drawn:
            series = {
                row: values[:, column]
                for row, values in scores.values.items()
                if row != GRAY or metric.of_nothing
            }
            title = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
            charts.append(histogram(title, min(metric.digits, 2), series))
    return charts


def page() -> jinja2.Template:
    """The page without what it is filled with."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE.parent), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = _number
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template("html_report.html")


def render(judgement: Judgement, chosen: Sequence[Example]) -> str:
    """The whole page. Style, script and pictures are inside it; it asks for nothing outside."""
    from markupsafe import Markup

    result = judgement.summary
    first = result.models[0].metrics
    return page().render(
        result=result,
        headline=first[HEADLINE],
        shape=protocols.named(result.protocol).shape.note,
        fed={"lab": "the L of CIE Lab", "bt601": "BT.601 luma"}[result.fed],
        metrics={name: METRICS[name] for name in first},
        arrows=ARROWS,
        examples=chosen,
        legend=_colours(judgement.scores.values),
        charts=_charts(judgement.scores),
        left_out={
            "could not be judged": [entry["reason"] for entry in result.broken],
            "missing": result.missing,
            "without a true picture": result.extra,
        },
        listed=LISTED,
        style=Markup(HERE.with_suffix(".css").read_text("utf-8")),
        script=Markup(HERE.with_suffix(".js").read_text("utf-8")),
    )
