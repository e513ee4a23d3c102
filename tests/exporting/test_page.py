"""The page's file, its runtime, and its scripts' arithmetic, which is held equal to Python's."""

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import REPO

from colorcli.color import lab
from colorcli.colorizing import framing, hints
from colorcli.colorizing.hand.guided import guided as guidance
from colorcli.colorizing.hand.hint import Hint, Known
from colorcli.colorizing.hand.likeness import Square
from colorcli.colorizing.scans import quads, windows
from colorcli.config.exporting import ExportConfig
from colorcli.config.model import ModelConfig
from colorcli.config.predict import ScansConfig
from colorcli.exporting.page import assembly, runtime
from colorcli.exporting.page.runtime import Runtime
from colorcli.exporting.plan import planned
from colorcli.network import decoding, model_folder
from colorcli.network.decoding import KNOBS, Knobs, distribution
from colorcli.system.errors import DataError, UsageError

SIDE, STRIDE = 64, 16
FAKE = Runtime(wasm=b"\0asm", glue=b"var ModuleFactory;", core=b"export {};")


@pytest.fixture(scope="module")
def facts(small_model):
    return assembly.facts(model_folder.load(small_model), SIDE, STRIDE)


TYPES = {"uint8": "Uint8Array", "uint16": "Uint16Array", "float32": "Float32Array"}


def typed(array):
    """An array as JSON, by the name of JavaScript's type."""
    return {"type": TYPES[array.dtype.name], "bytes": base64.b64encode(array.tobytes()).decode()}


@pytest.fixture(scope="module")
def run(facts):
    """Run JavaScript in node after scripts of the page; arrays of ``given`` are typed arrays there."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")

    def call(code, names=assembly.COMPUTING, /, **given):
        driver = (
            "const revived = (_, v) => v?.bytes === undefined ? v :"
            " new globalThis[v.type](Uint8Array.from(Buffer.from(v.bytes, 'base64')).buffer);\n"
            'const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"), revived);\n'
            f"(async () => {{ {code} }})().then((told) => console.log(JSON.stringify(told, (_, v) =>"
            " ArrayBuffer.isView(v) ? [...v] : v)));\n"
        )
        start = "globalThis.self ??= globalThis;\n"  # as workers call it
        text = f"{start}{assembly.script(names, facts)}\n{driver}"
        done = subprocess.run(
            [node, "-e", text], input=json.dumps(given, default=typed), capture_output=True,
            text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return call


# --- twins -----------------------------------------------------------------------------------------


def test_tables_are_those_of_lab(run):
    told = run("return [lightness8(), lightness16(), encoded8(), encoded16()]")
    for values, table, most in (
        (told[0], lab._lightness_table(np.dtype(np.uint8)), 1e-4),
        (told[1], lab._lightness_table(np.dtype(np.uint16)), 1e-4),
        (told[2], lab._encoded_table(np.dtype(np.uint8)), 0),
        (told[3], lab._encoded_table(np.dtype(np.uint16)), 0),
    ):
        assert np.abs(np.array(values, np.float64) - table).max() <= most


def test_colours_become_the_gray_of_their_lightness(run):
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    rgba = np.dstack([rgb, np.full((40, 50), 255, np.uint8)])
    gray = run(
        "const gray = new Uint16Array(2000); grayInto(gray, 0, given.rgba);"
        "return [gray, isNeutral(given.rgba), isNeutral([7, 7, 7, 0, 9, 9, 9, 1])]",
        rgba=rgba,
    )
    assert np.array_equal(gray[0], lab.neutral(rgb).ravel())
    assert gray[1:] == [False, True]


SHAPES = [
    (64, 64), (40, 50), (65, 200), (128, 128), (130, 129), (200, 301), (64, 90), (600, 700),
    (1100, 640), (2100, 1100), (3, 5), (1, 400), (192, 128), (128, 320), (90, 128),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pictures_become_the_same_square(run, shape, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    told = run(
        "return squared(plane(given.pixels, given.width, given.height), given.side).pixels",
        pixels=pixels, side=SIDE, height=shape[0], width=shape[1],
    )  # fmt: skip
    apart = np.abs(np.array(told) - framing.squared(pixels, SIDE).astype(int).ravel())
    assert apart.max() <= 1 and (apart > 0).mean() < 0.002


@pytest.mark.parametrize(("low", "high"), [(0, 255), (90, 170), (200, 205), (128, 128)])
def test_faded_pictures_are_stretched_alike(run, low, high):
    gray = np.random.default_rng(2).integers(low, high + 1, (70, 90), dtype=np.uint8)
    told = run("return shownToNetwork(plane(given.gray, 90, 70), given.side)", gray=gray, side=SIDE)
    assert np.abs(np.array(told) - framing.shown(gray, SIDE).ravel()).max() < 1e-3


@pytest.mark.parametrize("knobs", [
    Knobs(), Knobs(**decoding.NEUTRAL), Knobs(vividness=0.6, temperature=0.2, saturation=2.0),
])  # fmt: skip
def test_knobs_do_the_same(run, small_model, knobs):
    log_prior = np.log(model_folder.load(small_model).prior)
    logits = np.random.default_rng(3).normal(0, 4, (30, len(log_prior))).astype(np.float32)
    values = dict(knobs.suiting(True).decoding)
    told = run(
        "return after(decoded(given.logits, given.values), given.values)",
        logits=logits, values=values,
    )  # fmt: skip
    wanted = decoding.after(decoding.decode(logits, values, log_prior, np), values)
    assert np.abs(np.array(told) - wanted.ravel()).max() < 2e-3


def test_every_knob_has_its_slider_and_its_twin(run):
    stages = run("return [Object.keys(ON_LOGITS), Object.keys(ON_AB)]")
    for stage, names in zip((decoding.LOGITS, decoding.AB), stages, strict=True):
        assert names == [knob.name for knob in decoding.of_stage(stage)]
    for knob in KNOBS.values():
        ends = knob.slider.least, knob.slider.most
        assert knob.least <= ends[0] <= knob.default <= ends[1] <= knob.most


@pytest.mark.parametrize(("dtype", "side"), [("uint8", 7), ("uint16", 7), ("uint8", 300)])
def test_photographs_are_joined_alike(run, dtype, side):
    """Every level beside colours far beyond sRGB: within one level, neutral at the ends of L."""
    random = np.random.default_rng(4)
    gray = random.permutation(np.linspace(0, np.iinfo(dtype).max, 110 * 120).astype(dtype))
    gray = gray.reshape(110, 120)
    ab = random.uniform(-110, 110, (side, side, 2)).astype(np.float32)
    told = run(
        "const { gray } = given; const rgba = new Uint8ClampedArray(4 * gray.length);"
        "const join = new Join(given.ab, given.side, 120, 110);"
        # In two strips, as the page does it.
        "join.paint(gray.subarray(0, 6000), 0, rgba.subarray(0, 24000));"
        "join.paint(gray.subarray(6000), 50, rgba.subarray(24000)); return rgba",
        gray=gray, ab=ab, side=side,
    )  # fmt: skip
    shown = np.array(told).reshape(110, 120, 4)[..., :3]
    apart = np.abs(shown - lab.join(gray, ab, np.uint8).astype(int))
    assert apart.max() <= 1 and (apart > 0).mean() < 0.05
    light = lab.gray_to_L(gray)
    ends = shown[(light <= 1) | (light >= 99)]
    assert len(ends) and (np.ptp(ends, axis=-1) == 0).all()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_hints_spread_alike(run, count):
    """A hint as a colour, one as the network has it (no colour), two that contradict each other."""
    random = np.random.default_rng(6)
    logits = random.normal(0, 3, (STRIDE, STRIDE, 261)).astype(np.float32)
    light = cv2.resize(random.uniform(0, 100, (9, 9)).astype(np.float32), (SIDE, SIDE))
    ab = random.uniform(-40, 40, (STRIDE, STRIDE, 2)).astype(np.float32)
    rgb = random.integers(0, 256, (count, 3), dtype=np.uint8)
    x, y = random.uniform(0, 1, (2, count))
    x[-1:], y[-1:] = x[:1], y[:1]
    given = [{"x": x[i], "y": y[i], "rgb": rgb[i].tolist()} for i in range(count)]
    colours = [tuple(c) for c in lab.rgb_to_lab(rgb / 255.0)[:, 1:]]
    if count > 2:
        given[1]["rgb"], colours[1] = None, None
    told = run(
        "const whole = { ...WHOLE, lightness: given.light, logits: given.logits };"
        "return guided([whole], [given.ab], given.hints)[0]",
        ab=ab, logits=logits, light=light, hints=given,
    )  # fmt: skip
    side = hints.FINE * STRIDE
    fine = cv2.resize(ab, (side, side), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(light, (side, side), interpolation=cv2.INTER_AREA)
    points = [hints.Point(x[i], y[i], colours[i]) for i in range(count)]
    more = hints.corrections(fine, small, np.sqrt(distribution(logits, np)), points)
    assert np.abs(more).max() > 5
    assert np.abs(np.array(told).reshape(side, side, 2) - (fine + more)).max() < 0.02


LONG = [(200, 330), (90, 400), (400, 90), (2600, 300), (40, 3000), (160, 100)]  # rows, columns


@pytest.mark.parametrize("shape", [*LONG, (100, 159), (120, 80)])
def test_long_pictures_are_seen_in_the_same_squares(run, shape):
    told = run("return windowsOf(given.width, given.height)", width=shape[1], height=shape[0])
    wanted = windows.windows(quads.box(*shape[::-1]), 0, 0)
    assert len(told) == len(wanted) and (len(told) > 1) == (max(shape) >= 1.6 * min(shape))
    for one, other in zip(told, wanted, strict=True):
        corners = other.corners / [*shape[::-1]]
        assert [one["left"], one["top"], one["right"], one["bottom"]] == pytest.approx(
            [*corners[0], *corners[2]], abs=1e-6
        )
        assert (one["weight"], tuple(one["open"])) == (other.weight, other.open)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", LONG)
def test_squares_of_long_pictures_are_shown_alike(run, shape, dtype):
    """Also faded: all by the range of the whole."""
    random, most = np.random.default_rng(7), np.iinfo(dtype).max
    smooth = cv2.resize(
        random.uniform(0.3, 0.6, (9, 9)), shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    gray = (smooth * most).astype(dtype)
    told = run(
        "return shownInWindows(plane(given.gray, given.width, given.height), given.side)"
        ".map(({ lightness }) => lightness)",
        gray=gray, width=shape[1], height=shape[0], side=SIDE,
    )  # fmt: skip
    view = windows.view(gray, SIDE, ScansConfig(regions="none"))
    base, limits = view.base, None
    scale = quads.scaling(base.shape[1] / shape[1], base.shape[0] / shape[0])
    for square, window in zip(told, view.windows[0], strict=True):
        corners = quads.moved(window.corners, scale)
        light = lab.gray_to_L(quads.straightened(base, corners, (SIDE, SIDE)))
        limits = limits or framing.reach(light)
        apart = np.abs(np.array(square) - framing.stretch(light, limits).ravel())
        assert apart.max() < 2 and apart.mean() < 0.25  # a level, where it rounds otherwise


@pytest.mark.parametrize("shape", LONG)
def test_chroma_of_squares_is_put_together_alike(run, shape):
    size = shape[::-1]
    view = windows.view(np.zeros(shape, np.uint8), SIDE, ScansConfig(regions="none"))
    random, count = np.random.default_rng(8), len(view.windows[0])
    planes = random.uniform(-40, 40, (count, 5, 5, 2)).astype(np.float32)
    planes = [cv2.resize(p, (STRIDE, STRIDE), interpolation=cv2.INTER_CUBIC) for p in planes]
    told = run(
        "const { planes, side, width, height } = given;"
        "return together(windowsOf(width, height), planes, side, width, height)",
        planes=planes, side=STRIDE, width=size[0], height=size[1],
    )  # fmt: skip
    wanted = windows.joined(view, [planes])
    assert (told["high"], told["wide"]) == wanted.shape[:2]
    apart = np.abs(np.array(told["ab"]) - wanted.ravel())
    assert apart.max() < 1.5 and apart.mean() < 0.1  # OpenCV 4 counts in 32nds of a pixel here


def test_hints_reach_all_squares_of_a_long_picture(run):
    random, shape = np.random.default_rng(9), (60, 150)
    view = windows.view(np.zeros(shape, np.uint8), SIDE, ScansConfig(regions="none"))
    count = len(view.windows[0])
    logits = random.normal(0, 3, (count, STRIDE, STRIDE, 261)).astype(np.float32)
    light = [random.uniform(40, 60, (SIDE, SIDE)).astype(np.float32) for _ in range(count)]
    ab = random.uniform(-30, 30, (count, STRIDE, STRIDE, 2)).astype(np.float32)
    spots = [(0.1, 0.5, (200, 40, 40)), (0.8, 0.2, (30, 60, 200))]
    told = run(
        "const squares = windowsOf(150, 60).map((window, i) =>"
        " ({ ...window, lightness: given.light[i], logits: given.logits[i] }));"
        "return guided(squares, given.ab, given.hints)",
        light=light, logits=list(logits), ab=list(ab),
        hints=[{"x": x, "y": y, "rgb": rgb} for x, y, rgb in spots],
    )  # fmt: skip
    shares = [decoding.distribution(one, np) for one in logits]
    squares = [Square(*parts) for parts in zip(ab, light, shares, strict=True)]
    known = [
        Known(x * 150, y * 60, tuple(lab.rgb_to_lab(np.array(rgb) / 255.0)[1:]), None, "")
        for x, y, rgb in spots
    ]
    view = replace(view, known=tuple(known))
    for one, wanted in zip(told, guidance(view, view.windows[0], squares), strict=True):
        error = np.abs(np.array(one) - wanted.ravel())
        # OpenCV rounds places to 1/32 of a cell, which is seen where a field is steep: at a hint.
        assert error.max() < 1 and np.percentile(error, 99) < 0.2


def test_hints_lie_on_pixels_as_those_of_the_command_do(run):
    size, places = (150, 60), [(0, 0), (1, 1), (0.3, 0.5), (0.9999, 0.0001), (2 / 150, 1 / 60)]
    told = run("return onPixels(given.hints, 150, 60)", hints=[{"x": x, "y": y} for x, y in places])
    wanted = [Hint(x, y, "red", fraction=True).placed(size) for x, y in places]
    for one, (other,) in zip(told, wanted, strict=True):
        assert np.allclose([one["x"] * 150, one["y"] * 60], [other.x, other.y])


def test_lab_of_colours(run):
    rgb = np.random.default_rng(5).integers(0, 256, (30, 3), dtype=np.uint8)
    told = run("return given.rgb.map(labOf)", rgb=rgb.tolist())
    assert np.abs(np.array(told) - lab.rgb_to_lab(rgb / 255.0)).max() < 1e-4


# --- files -----------------------------------------------------------------------------------------


def test_archives_are_archives(run):
    told = run(
        "const entries = [{ name: 'Gruß.png', blob: new Blob(['one']) },"
        " { name: 'b.png', blob: new Blob([]) }, { name: 'c.png', blob: new Blob(['x'.repeat(9)]) }];"
        "const blob = await zipped(entries, new Date(2024, 1, 29, 13, 7, 8));"
        "return Buffer.from(await blob.arrayBuffer()).toString('base64')",
        ("bytes", "zip"),
    )
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(told)))
    assert archive.testzip() is None
    assert {n: archive.read(n) for n in archive.namelist()} == {
        "Gruß.png": b"one", "b.png": b"", "c.png": b"x" * 9,
    }  # fmt: skip
    assert archive.infolist()[0].date_time == (2024, 2, 29, 13, 7, 8)


@pytest.mark.parametrize(("error", "words"), [
    ("new RangeError('Array buffer allocation failed')", "too little memory"),
    ("new Error('out of memory')", "too little memory"),
    ("new Refusal('a sentence')", "a sentence"),
    ("new TypeError('x is not y')", "unexpected TypeError (x is not y); please report it"),
])  # fmt: skip
def test_what_goes_wrong_becomes_a_sentence(run, error, words):
    assert words in run(f"return sentence({error})", assembly.WORKER)


# --- the one file ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(small_model):
    folder = model_folder.load(small_model)
    return assembly.assemble(b"TFL3 model", folder, FAKE, side=SIDE, stride=STRIDE)


def test_a_page_holds_its_parts(page, tmp_path):
    (tmp_path / "p.html").write_text(page, "utf-8")
    assert assembly.model_in(tmp_path / "p.html") == b"TFL3 model"
    parts = dict(re.findall(r'<script type="text/plain" id="(\w+)">([^<]*)</script>', page))
    unpacked = {name: gzip.decompress(base64.b64decode(text)) for name, text in parts.items()}
    assert (unpacked["wasm"], unpacked["glue"], unpacked["core"]) == dataclasses.astuple(FAKE)
    for name in assembly.WORKER:
        assert (assembly.PARTS / f"{name}.js").read_bytes() in unpacked["worker"]
    with pytest.raises(ValueError, match="no page"):
        (tmp_path / "q.html").write_text("<p>other</p>")
        assembly.model_in(tmp_path / "q.html")


def test_a_page_lets_nothing_in_or_out(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert not {"connect-src", "font-src", "frame-src"} & {*rules} and "unsafe-inline" not in policy
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[rule]
    outside = re.sub(r"<(script|pre)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert all(link.startswith("data:") for link in re.findall(r'(?:src|href)="([^"]*)"', outside))


def test_a_page_tells_its_licences(page):
    licence = (REPO / "LICENSE").read_text()
    assert (assembly.PARTS / "apache-2.0.txt").read_text() == licence
    for words in ("Apache License", f"{runtime.PACKAGE} {runtime.VERSION}", "Licence of the model"):
        assert words in page
    bundled = assembly.assemble(b"", model_folder.load("default"), FAKE, side=SIDE, stride=STRIDE)
    assert "EfficientNet-Lite0, trained on ImageNet" in bundled


# --- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "loss", "words"), [
    ({"format": "page", "signature": "image"}, "classification", "page has no signature image"),
    ({"format": "page"}, "mse", "needs a model with a colour distribution.*--loss classification"),
    ({"format": "page", "precision": "int8"}, "classification", "no precision int8"),
    ({"format": "page", "size": 0}, "classification", "one size only"),
    ({"format": "litert", "runtime": "x.tgz"}, "classification", "drop --runtime"),
])  # fmt: skip
def test_what_a_page_cannot_be_is_refused(changes, loss, words):
    with pytest.raises(UsageError, match=words):
        planned(ExportConfig(**changes), Knobs(), ModelConfig(loss=loss))


@pytest.mark.parametrize(("content", "words"), [
    (None, "cannot be read: .*npm pack @litertjs/core"), (b"other", "another checksum.*npm pack"),
])  # fmt: skip
def test_a_wrong_runtime_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "r.tgz").write_bytes(content)
    with pytest.raises(DataError, match=words):
        runtime.runtime(str(tmp_path / "r.tgz"))


NPM = "#!/bin/sh\n{}\n"


@pytest.mark.parametrize(("script", "error", "words"), [
    (None, UsageError, "npm, which is not installed.*--runtime litertjs-core"),
    ("echo npm error network ENOTFOUND >&2; exit 1", UsageError, "ENOTFOUND.*--runtime"),
    ("exit 3", UsageError, "exit code 3"),
    ("echo x > some.tgz", DataError, "from npm has another checksum"),
])  # fmt: skip
def test_without_a_runtime_one_line_says_what_to_do(tmp_path, monkeypatch, script, error, words):
    (tmp_path / "bin").mkdir()
    if script is not None:
        (tmp_path / "bin" / "npm").write_text(NPM.format(script))
        (tmp_path / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(error, match=words) as caught:
        runtime.runtime()
    assert "\n" not in str(caught.value)
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "bin"] == []


def test_what_npm_brings_is_kept(tmp_path, monkeypatch):
    """npm is asked once; a damaged copy in the cache is fetched anew."""
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin" / "npm"
    npm.write_text(NPM.format(f"echo asked >> {tmp_path}/log; printf archive > a.tgz"))
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    digest = base64.b64encode(hashlib.sha512(b"archive").digest()).decode()
    monkeypatch.setattr(runtime, "INTEGRITY", f"sha512-{digest}")
    kept = tmp_path / "cache" / "colorize" / runtime.ARCHIVE
    for times in (1, 1, 2):
        assert runtime.archive() == b"archive" == kept.read_bytes()
        assert len((tmp_path / "log").read_text().split()) == times
        if times == 1 and (tmp_path / "again").exists():
            kept.write_bytes(b"damaged")
        (tmp_path / "again").touch()
    assert runtime.archive(str(kept)) == b"archive"
