"""``colorize eval --report``: one self-contained HTML page, readable offline and on a phone."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import cv2
import numpy as np

from colorcli.config import EvalConfig
from colorcli.data.sources import Items
from colorcli.errors import ImageError
from colorcli.evaluation import protocols
from colorcli.evaluation.contenders import GRAY, Contender, Scene, scene
from colorcli.evaluation.evaluate import Evaluation, Judgement
from colorcli.evaluation.metrics import HEADLINE, METRICS
from colorcli.evaluation.statistics import Stat

ASSETS = Path(__file__).parents[1] / "assets"
EXAMPLES = 3  # of the best, the median and the worst each
SIDE = 640  # largest side of a picture on the page
QUALITY = 88
BARS = 40
COLOURS = 4  # of contenders, in page.css
ARROWS = {"higher": "↑", "lower": "↓", "": ""}


@dataclass(frozen=True)
class Example:
    """A picture shown on the page: its rank in words, its gain in dB, its versions as JPEG."""

    rank: str
    name: str
    gain: float
    versions: dict[str, bytes]


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
    scores, protocol = judgement.scores, protocols.named(config.protocol)
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


def _cell(stat: Stat | None, digits: int) -> str:
    if stat is None:
        return "<td>–</td>"
    parts = [f"<b>{_number(stat.mean, digits)}</b>"]
    if stat.low is not None:
        low, high = _number(stat.low, digits), _number(stat.high, digits)
        parts.append(f"<small>{low} … {high}</small>")
        parts.append(f"<small>median {_number(stat.median, digits)}</small>")
    return f"<td>{''.join(parts)}</td>"


def _table(result: Evaluation) -> str:
    rows = [*result.models, result.gray]
    head = "".join(f'<th scope="col">{html.escape(row.name)}</th>' for row in rows)
    body = []
    for name in result.models[0].metrics:
        metric = METRICS[name]
        unit = f" <small>{metric.unit}</small>" if metric.unit else ""
        arrow = ARROWS[metric.better]
        told = (
            f'<span class="arrow" title="{metric.better} is better">{arrow}</span>' if arrow else ""
        )
        cells = "".join(_cell(row.metrics.get(name), metric.digits) for row in rows)
        cells += _cell(result.truth.get(name), metric.digits)
        body.append(
            f'<tr><th scope="row">{html.escape(metric.title)}{unit} {told}</th>{cells}</tr>'
        )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="figures"><table>'
        f'<thead><tr><th scope="col">metric</th>{head}<th scope="col">truth</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def histogram(title: str, digits: int, series: dict[str, np.ndarray]) -> str:
    """Overlaid histograms (SVG) of one metric's figures by picture, a line at each mean."""
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
    width, height = 400, 120
    shapes = []
    for place, (name, count) in enumerate(counts.items()):
        colour = "none" if name == GRAY else str(place % COLOURS)
        edges = np.linspace(0, width, BARS + 1)
        points = [f"0,{height}"]
        for left, right, value in zip(edges[:-1], edges[1:], count, strict=True):
            y = height - value / top * (height - 4)
            points += [f"{left:.1f},{y:.1f}", f"{right:.1f},{y:.1f}"]
        points.append(f"{width},{height}")
        x = (float(np.clip(series[name].mean(), low, high)) - low) / (high - low) * width
        shapes.append(f'<polygon class="s{colour}" points="{" ".join(points)}"/>')
        shapes.append(f'<line class="s{colour}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>')
    marks = "".join(
        f'<text x="{x}" y="{height + 16}" text-anchor="{anchor}">{_number(value, digits)}</text>'
        for x, anchor, value in (
            (0, "start", low), (width / 2, "middle", (low + high) / 2), (width, "end", high),
        )
    )  # fmt: skip
    told = html.escape(f"{title}: distribution over the pictures")
    return (
        f'<figure class="chart"><figcaption>{html.escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height + 20}" role="img" aria-label="{told}">'
        f'<line class="axis" x1="0" x2="{width}" y1="{height}" y2="{height}"/>'
        f"{''.join(shapes)}{marks}</svg></figure>"
    )


def _distributions(judgement: Judgement) -> str:
    scores = judgement.scores
    charts = []
    for column, metric in enumerate(METRICS[name] for name in scores.metrics):
        if not metric.drawn:
            continue
        series = {
            row: values[:, column]
            for row, values in scores.values.items()
            if row != GRAY or metric.of_nothing
        }
        unit = f", {metric.unit}" if metric.unit else ""
        charts.append(histogram(f"{metric.title}{unit}", min(metric.digits, 2), series))
    rows = list(scores.values)
    legend = "".join(
        f'<li><i class="s{"none" if row == GRAY else place % COLOURS}"></i>{html.escape(row)}</li>'
        for place, row in enumerate(rows)
    )
    return f'<ul class="legend">{legend}</ul><div class="charts">{"".join(charts)}</div>'


def _uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _examples(chosen: Sequence[Example]) -> str:
    parts = []
    for place, example in enumerate(chosen):
        name = html.escape(Path(example.name).name)
        pictures = "".join(
            f'<figure><img src="{_uri(jpeg)}" alt="{name}, {html.escape(version)}" '
            f'data-version="{html.escape(version)}"><figcaption>{html.escape(version)}'
            "</figcaption></figure>"
            for version, jpeg in example.versions.items()
        )
        parts.append(
            f'<article class="example" data-example="{place}"><h3>{example.rank}: {name} '
            f"<small>{_number(example.gain, 2)} dB over gray</small></h3>"
            f'<div class="strip">{pictures}</div></article>'
        )
    return "".join(parts)


def _compare(chosen: Sequence[Example]) -> str:
    if not chosen:
        return ""
    names = list(chosen[0].versions)

    def options(selected: str) -> str:
        return "".join(
            f"<option{' selected' if name == selected else ''}>{html.escape(name)}</option>"
            for name in names
        )

    pictures = "".join(
        f'<option value="{place}">{html.escape(f"{e.rank}: {Path(e.name).name}")}</option>'
        for place, e in enumerate(chosen)
    )
    return (
        '<section id="compare" hidden><h2>Before and after</h2><p class="controls">'
        f'<label>picture <select id="which">{pictures}</select></label>'
        f'<label>left <select id="left">{options(names[0])}</select></label>'
        f'<label>right <select id="right">{options(names[1])}</select></label></p>'
        '<div class="compare"><img id="under" alt=""><img id="over" alt="">'
        '<span class="handle" aria-hidden="true"></span>'
        '<input id="slider" type="range" min="0" max="100" step="0.5" value="50" '
        'aria-label="share of the left picture"></div>'
        '<p class="hint">Drag, touch, or use the arrow keys.</p></section>'
    )


def _notes(result: Evaluation) -> str:
    definitions = "".join(
        f"<dt>{html.escape(METRICS[name].title)}</dt><dd>{html.escape(METRICS[name].note)}</dd>"
        for name in result.models[0].metrics
    )
    left_out = [
        ("could not be judged", [entry["reason"] for entry in result.broken]),
        ("missing", result.missing),
        ("without a true picture", result.extra),
    ]
    lists = "".join(
        f"<details><summary>{len(lines)} {what}</summary><ul>"
        + "".join(f"<li>{html.escape(line)}</li>" for line in lines[:200])
        + (f"<li>… and {len(lines) - 200} more</li>" if len(lines) > 200 else "")
        + "</ul></details>"
        for what, lines in left_out
        if lines
    )
    return (
        f"{lists}<details><summary>What the figures mean</summary><dl>{definitions}</dl></details>"
    )


def render(judgement: Judgement, chosen: Sequence[Example]) -> str:
    """The whole page. Style, script and pictures are inside it; it asks for nothing outside."""
    result = judgement.summary
    first = result.models[0]
    gain = first.metrics[HEADLINE]
    protocol = protocols.named(result.protocol)
    fed = {"lab": "the L of CIE Lab", "bt601": "BT.601 luma"}[result.fed]
    names = ", ".join(row.name for row in result.models)
    lead = (
        f"{result.judged} colour photographs, {result.protocol} ({protocol.shape.note}); fed with "
        f"{fed}. {result.gray_originals} gray originals left out. Intervals: 95 %, bootstrap over "
        f"pictures ({result.samples} draws, seed {result.seed})."
    )
    sign = "+" if gain.mean >= 0 else ""
    body = (
        f"<header><h1>{html.escape(names)}</h1>"
        f'<p class="headline"><b>{sign}{_number(gain.mean, 2)} dB</b> over doing nothing'
        + (f", {html.escape(first.name)}" if len(result.models) > 1 else "")
        + f"</p><p>{html.escape(lead)}</p></header>"
        f"<section><h2>Figures</h2>{_table(result)}</section>"
        f"{_compare(chosen)}"
        f"<section><h2>Distributions</h2>{_distributions(judgement)}</section>"
        f"<section><h2>Best, median and worst</h2><p>By gain in PSNR, {html.escape(first.name)}."
        f"</p>{_examples(chosen)}</section>"
        f"<section><h2>Notes</h2>{_notes(result)}</section>"
        f"<footer>colorcli {html.escape(result.colorcli)}</footer>"
    )
    template = Template((ASSETS / "page.html").read_text("utf-8"))
    return template.substitute(
        title=html.escape(f"{names} · colorize eval"),
        style=(ASSETS / "page.css").read_text("utf-8"),
        script=(ASSETS / "page.js").read_text("utf-8"),
        body=body,
    )
