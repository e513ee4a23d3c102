"""The report page: what is in it, that it asks for nothing outside, and that the slider slides."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.evaluation import EvalConfig
from colorcli.data.sources.folder import Folder
from colorcli.evaluation import evaluate, html_report
from colorcli.evaluation.contenders import Model
from colorcli.evaluation.metrics import METRICS
from colorcli.system.atomic import write_atomic

ODD = "<b>&\"'.png"
VOID = {"meta", "img", "input", "line", "polygon", "br"}


class Page(HTMLParser):
    """Every start tag with its attributes, the text, and whether tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open, self.crossed = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, text):
        self.text.append(text)


@pytest.fixture(scope="module")
def judged(photos, small_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for i in range(12):
        shutil.copy(photos / f"photo{i:02d}.png", folder / f"{i}.png")
    Image.fromarray(scene(50)).save(folder / ODD)
    (folder / "broken.png").write_bytes(b"nothing")
    chosen = Folder(inputs=[str(folder)]).selection()
    contenders = [
        Model("<one>", Colorizer(small_model)), Model("other", Colorizer("default"))
    ]  # fmt: skip
    config = EvalConfig("squash-64", samples=20)
    judgement = evaluate.evaluate(chosen, contenders, config)
    examples = html_report.examples(judgement, chosen.items, contenders, config)
    return judgement, examples, html_report.render(judgement, examples)


def test_pick_takes_each_picture_once():
    gains = np.arange(20.0)
    assert html_report.pick(gains, 2) == [
        ("best", 19), ("best", 18), ("median", 10), ("median", 9), ("worst", 0), ("worst", 1)
    ]  # fmt: skip
    assert sorted(position for _, position in html_report.pick(np.arange(4.0))) == [0, 1, 2, 3]
    assert html_report.pick(np.zeros(1)) == [("best", 0)]


def test_the_page_is_whole_and_asks_for_nothing(judged):
    text = judged[2]
    parsed = Page(text)
    assert parsed.crossed == [] and parsed.open == []
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "action", "poster"):
                assert value.startswith("data:image/jpeg;base64,")
    assert not re.search(r"https?://|url\(|@import", text)
    policy = next(a for t, a in parsed.tags if t == "meta" and "http-equiv" in a)
    assert policy["content"].startswith("default-src 'none'")
    assert any(a.get("name") == "viewport" for t, a in parsed.tags if t == "meta")


def test_names_are_escaped(judged):
    text, parsed = judged[2], Page(judged[2])
    assert "<one>" not in text and ODD not in text
    assert "<one>" in "".join(parsed.text)
    assert "broken.png" in "".join(parsed.text)


def test_figures_and_pictures_are_those_of_the_evaluation(judged):
    judgement, chosen, text = judged
    words = "".join(Page(text).text)
    for name, stat in judgement.summary.models[1].metrics.items():
        metric = METRICS[name]
        assert metric.title in words
        assert f"{stat.mean:.{metric.digits}f}".replace("-", "−") in words, name
    gains = judgement.scores.values["<one>"][:, judgement.scores.metrics.index("gain")]
    assert chosen[0].gain == gains.max()
    assert [e.rank for e in chosen] == ["best"] * 3 + ["median"] * 3 + ["worst"] * 3
    assert chosen[6].gain == gains.min()
    images = [a for t, a in Page(text).tags if t == "img" and "src" in a]
    assert len(images) == 9 * 4
    shown = Image.open(io.BytesIO(base64.b64decode(images[0]["src"].split(",")[1])))
    assert shown.size == (64, 64) and images[0]["data-version"] == "gray"
    svgs = [t for t, _ in Page(text).tags if t == "svg"]
    assert len(svgs) == sum(METRICS[name].drawn for name in judgement.scores.metrics) > 3


def test_histogram_counts_every_picture():
    series = {"m": np.array([0.0, 0.0, 0.0, 1.0]), "gray": np.full(4, 0.5)}
    chart = html_report.histogram("x", 1, series)
    assert [curve.colour for curve in chart.curves] == ["0", "none"]
    heights = {y for _, y in chart.curves[0].outline}
    assert len(heights) == 3  # none, one and three pictures
    assert [curve.mean for curve in chart.curves] == pytest.approx([100, 200], abs=5)
    flat = html_report.histogram("flat", 1, {"m": np.ones(3)})
    assert np.isfinite(flat.curves[0].outline).all() and flat.low < 1 < flat.high


def test_large_pictures_are_shrunk(judged):
    assert Image.open(io.BytesIO(html_report._jpeg(scene(0, 1600, 900)))).size == (640, 360)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PROBE = """<script>{
const slider = document.getElementById("slider"), seen = [];
const note = () => seen.push(slider.parentElement.style.getPropertyValue("--share"));
note();
const box = slider.getBoundingClientRect();
slider.value = 20; slider.dispatchEvent(new Event("input")); note();
document.getElementById("which").value = "3";
document.getElementById("which").dispatchEvent(new Event("change"));
const versions = document.querySelectorAll('[data-example="3"] img');
document.title = JSON.stringify({
  seen, hidden: document.getElementById("compare").hidden,
  same: document.getElementById("over").src === versions[0].src
    && document.getElementById("under").src === versions[1].src,
  over: document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) === slider,
  wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
});}
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_slider_in_a_browser(judged, tmp_path):
    """Loads offline, slides, changes pictures, and is no wider than a phone."""
    probe = judged[2].replace("</body>", PROBE)
    write_atomic(tmp_path / "r.html", probe.encode())
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--window-size=500,4000", "--dump-dom",
         (tmp_path / "r.html").as_uri()], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert found, done.stderr[-2000:]
    state = json.loads(found[1])
    assert state["seen"] == ["50%", "20%"]
    assert state["same"] and state["over"] and not state["hidden"] and not state["wide"]


def test_the_command_writes_the_page(photos, small_model, tmp_path, colorize):
    target = tmp_path / "out" / "r.html"
    done = colorize("eval", photos, "-m", small_model, "--size", 64, "--report", target, "--json")
    assert done.returncode == 5  # broken.jpg
    text = target.read_text("utf-8")
    assert "could not be judged" in text and small_model.name in text
    assert [p.name for p in target.parent.iterdir()] == [Path(target).name]
    again = colorize("eval", photos, "-m", small_model, "--report", target)
    assert again.returncode == 2 and b"exists already" in again.stderr
