"""Every format, precision and signature: written, run back, compared, explained."""

import ast
import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import REPO, scene
from PIL import Image

from colorcli.color import lab
from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.exporting import ExportConfig
from colorcli.config.model import ModelConfig
from colorcli.config.predict import ScansConfig
from colorcli.exporting import card, photographs, signatures
from colorcli.exporting.check import Bench, Check, excess
from colorcli.exporting.export import export
from colorcli.exporting.formats.common import Tolerance
from colorcli.exporting.formats.table import FORMATS
from colorcli.exporting.plan import companions, place
from colorcli.network.decoding import NEUTRAL, Knobs
from colorcli.system import disk
from colorcli.system.errors import DataError, ModelError, UsageError

CASES = [
    ("keras", "float32", "ab", None), ("keras", "float32", "image", 64),
    ("saved-model", "float32", "ab", 0), ("saved-model", "float32", "image", None),
    ("litert", "float16", "ab", 64), ("litert", "float32", "image", 96),
    ("litert", "int8", "ab", 96), ("litert", "int8", "image", 64),
    ("onnx", "float32", "ab", 0), ("onnx", "float32", "image", None),
    ("page", "float16", "ab", 64),
]  # fmt: skip


def test_every_format_and_precision_has_its_case():
    assert {case[:2] for case in CASES} == {
        (n, p) for n, f in FORMATS.items() for p in f.precisions
    }


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """One photograph to check with: the four of scikit-image take longer."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(np.ascontiguousarray(photographs.bundled()[2][::3, ::3])).save(folder / "c.png")
    return folder


def _need_runtime(format):
    """Skip where what a format fetches is not to be had."""
    try:
        format.check_runtime()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def exported(small_model, pictures, tmp_path_factory):
    """Make an export once for all tests of this module."""
    made = {}

    def make(name, precision, signature, size):
        key = (name, precision, signature, size)
        if key not in made:
            _need_runtime(FORMATS[name])
            folder = tmp_path_factory.mktemp("export")
            target = folder / f"m{FORMATS[name].suffix}"
            config = ExportConfig(
                name, precision, signature, size, max_loss=9.0, verify=(str(pictures),)
            )
            inside = Knobs(temperature=0.8, vividness=0.2, saturation=1.5)
            result = export(
                small_model, target, config,
                knobs=inside if signature == "image" else Knobs(),
            )  # fmt: skip
            made[key] = result, target
        return made[key]

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision", "signature", "size"), CASES)
def test_every_export_is_within_its_tolerance(exported, name, precision, signature, size):
    result, target = exported(name, precision, signature, size)
    check, tolerance = result.check, FORMATS[name].precisions[precision]
    assert check.photographs == 1 and check.pictures == 6
    assert check.rgb_mean <= tolerance.rgb and check.rgb_largest <= tolerance.rgb_largest
    if signature == "ab":
        assert check.ab_mean <= tolerance.ab
    assert result.bytes == sum(p.stat().st_size for p in files_of(target))
    assert check.milliseconds > 0
    left = {p.name for p in target.parent.iterdir()}
    assert left == {"m"} if name == "saved-model" else len(left) == 4


def files_of(target):
    if target.is_file():
        return [target]
    beside = set(companions(target, "saved-model").values())
    return [p for p in target.rglob("*") if p.is_file() and p not in beside]


# TensorFlow starts slowly: one example for each of its formats.
EXAMPLES = [c for c in CASES if c[:3] not in (CASES[0][:3], CASES[3][:3])]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision", "signature", "size"), EXAMPLES)
def test_examples_run_and_colour(exported, small_model, tmp_path, name, precision, signature, size):
    """The Python beside an export, in a process of its own that knows nothing of colorcli."""
    _, target = exported(name, precision, signature, size)
    example = companions(target, name)["example"]
    source = example.read_text()
    assert "colorcli" not in source
    ast.parse(source)
    Image.fromarray(scene(3)).save(tmp_path / "in.png")
    done = subprocess.run(
        [sys.executable, example, "in.png", "out.png"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    out = np.asarray(Image.open(tmp_path / "out.png"))
    assert out.shape == (80, 96, 3)
    if signature == "ab" and size in (64, 0):
        # A resampling filter of its own and gray by BT.601 aside, these are predict's colours of
        # the whole picture, which it takes for an oval photograph.
        gray = np.asarray(Image.open(tmp_path / "in.png").convert("L"))
        wanted = Colorizer(small_model, scans=ScansConfig(regions="none")).colorize(gray)
        assert np.abs(out.astype(int) - wanted).mean() < 4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision", "signature", "size"), CASES)
def test_cards_and_metadata_say_what_is_there(exported, name, precision, signature, size):
    result, target = exported(name, precision, signature, size)
    beside = companions(target, name)
    card = beside["card"].read_text()
    metadata = json.loads(beside["metadata"].read_text())
    for word in (
        target.name,
        name,
        precision,
        f"{result.check.rgb_mean:g}",
        beside["example"].name,
    ):
        assert word in card
    assert "$" not in card.replace("${", "")
    assert metadata["export"]["check"]["psnr_lost"] == result.check.psnr_lost
    assert metadata["model"]["size"] == 64
    assert set(metadata["inputs"]) == (
        {"image"} if signature == "image" else {"L", "temperature", "vividness"}
    )
    assert str(target.parent) not in card + json.dumps(metadata) + beside["example"].read_text()
    if target.is_file():
        assert metadata["sha256"] == disk.digest(target)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c[0] in ("litert", "onnx") and c[2] == "ab" and c[1] != "int8"],
)
def test_predict_colours_with_exported_files(exported, small_model, colorize, tmp_path, case):
    _, target = exported(*case)
    Image.fromarray(scene(1)).convert("L").save(tmp_path / "in.png")
    options = ["--temperature", "0.7", "--vividness", "0.1"]
    for model, name in ((small_model, "folder"), (target, "file")):
        done = colorize(
            "predict", tmp_path / "in.png", "-m", model, "-o", tmp_path / f"{name}.png", *options
        )
        assert done.returncode == 0, done.stderr
    pictures = [
        np.asarray(Image.open(tmp_path / f"{n}.png")).astype(int) for n in ("folder", "file")
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.3
    assert (pictures[0] != pictures[0][..., :1]).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_image_exports_are_refused_by_predict(exported, colorize, tmp_path, name):
    _, target = exported(*next(c for c in CASES if c[0] == name and c[2] == "image"))
    Image.fromarray(scene(1)).save(tmp_path / "in.png")
    done = colorize("predict", tmp_path / "in.png", "-m", target, "-o", tmp_path / "out.png")
    assert done.returncode == 4 and b"--signature ab" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_many_threads_share_an_onnx_model(exported, small_model):
    from concurrent.futures import ThreadPoolExecutor

    _, target = exported("onnx", "float32", "ab", 0)
    colorizer, single = Colorizer(target), Colorizer(small_model)
    grays = [np.ascontiguousarray(scene(i)[..., 0]) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        shown = list(pool.map(colorizer.colorize, grays))
    for gray, colours in zip(grays, shown, strict=True):
        assert np.abs(colours.astype(int) - single.colorize(gray)).mean() < 0.3


# --- the arithmetic ----------------------------------------------------------------------------


@pytest.mark.parametrize(("inside", "outside"), [(97, 32), (32, 97), (64, 64), (200, 31)])
def test_resampling_matrices_are_opencv(inside, outside):
    import cv2

    row = np.random.default_rng(0).uniform(0, 1, (1, inside)).astype(np.float32)
    ways = [(signatures._cubic, cv2.INTER_CUBIC), (signatures._linearly, cv2.INTER_LINEAR)]
    if outside < inside:
        ways.append((signatures._area, cv2.INTER_AREA))
    for matrix, how in ways:
        ours = row @ matrix(inside, outside).numpy().T
        wanted = cv2.resize(row, (outside, 1), interpolation=how)
        assert np.abs(ours - wanted).max() < 2e-3, how


class Field(keras.layers.Layer):
    """Stands for a network that predicts the same ab (s, s, 2) whatever it sees."""

    def __init__(self, ab: np.ndarray) -> None:
        super().__init__()
        self.output_ = np.arctanh(ab / 110).astype(np.float32)[None]

    def call(self, x):
        return keras.ops.convert_to_tensor(self.output_) + 0 * x[:, :1, :1]

    def compute_output_shape(self, shape):
        return (shape[0], *self.output_.shape[1:])


@pytest.mark.parametrize("saturation", [0.1, 0.5, 1.5])
def test_image_graphs_join_as_numpy_does(saturation):
    """Every level beside every hue and chroma to 150: within one level, and neutral at the ends."""
    hue, chroma = np.meshgrid(np.linspace(0, 2 * np.pi, 24), np.linspace(0, 100, 24))
    ab = np.stack([chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1).astype(np.float32)
    network = keras.Sequential([keras.Input((None, None, 1)), Field(ab)])
    values = {**NEUTRAL, "saturation": saturation}
    graph = signatures.build(
        "image", network, ModelConfig(loss="mse", size=32), np.ones(1), size=256, values=values
    )
    gray = np.random.default_rng(0).permuted(
        np.tile(np.arange(256, dtype=np.uint8), (256, 1)), axis=1
    )
    shown = graph.call({"image": np.dstack([gray] * 3)[None]})["colours"].numpy()[0]
    wanted = lab.join(gray, ab * np.float32(saturation))
    assert np.abs(shown.astype(int) - wanted).max() <= 1
    assert (np.ptp(shown[(gray < 4) | (gray > 252)].astype(int), axis=-1) == 0).all()


def test_excess_names_the_figure():
    good = Check(
        photographs=4, pictures=24, ab_largest=0.5, ab_mean=0.1, rgb_largest=2, rgb_mean=0.3,
        psnr=22.0, psnr_lost=0.05, milliseconds=5.0,
    )  # fmt: skip
    tolerance = Tolerance(ab=0.2, rgb=0.5, rgb_largest=3, psnr=0.1)
    assert excess(good, tolerance, image=False) is None
    for changes, word in (
        ({"ab_mean": 0.3}, "ab units"), ({"rgb_mean": 0.6}, "levels of RGB in the mean"),
        ({"rgb_largest": 9}, "up to 9"), ({"psnr_lost": 0.2}, "0.2 dB"),
        ({"psnr_lost": float("nan")}, "nan dB"),
    ):  # fmt: skip
        wrong = Check(**{**good.__dict__, **changes})
        assert word in excess(wrong, tolerance, image=False)
    off = Check(**{**good.__dict__, "ab_mean": 0.3})
    assert excess(off, tolerance, image=True) is None


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": "keras", "precision": "int8"}, "no precision int8"),
        ({"format": "onnx", "precision": "float16"}, "no precision float16"),
        ({"format": "litert", "signature": "image"}, "give --size N"),
        ({"format": "litert", "size": 0}, "one size only"),
        ({"format": "keras", "signature": "image", "size": 0}, "one size only"),
        ({"size": 100}, "multiples of 32"),
        ({"size": 16}, "32 to 4096"),
        ({"format": "coreml"}, "unknown export format"),
        ({"signature": "lab"}, "unknown signature"),
    ],
)
def test_what_a_format_cannot_be_is_refused(small_model, tmp_path, changes, word):
    with pytest.raises(UsageError, match=word):
        export(small_model, tmp_path / "x", ExportConfig(**changes))


def test_knobs_go_into_pictures_alone(small_model, tmp_path):
    with pytest.raises(UsageError, match="--signature image"):
        export(small_model, tmp_path / "x", knobs=Knobs(vividness=0.3))
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_off_is_not_written(small_model, pictures, tmp_path, monkeypatch):
    right = FORMATS["keras"]

    def wrong(order, path):
        network = order.graph.network
        network.set_weights([w * 0.9 for w in network.get_weights()])
        right.write(order, path)

    monkeypatch.setitem(FORMATS, "keras", dataclasses.replace(right, write=wrong))
    config = ExportConfig("keras", verify=(str(pictures),))
    # The reference shares the network, so it is asked before the weights change.
    monkeypatch.setattr(Bench, "wanted", lambda self, gray, side, knobs: np.full((16, 16, 2), 30.0))
    with pytest.raises(ModelError, match="ab units in the mean.*not written"):
        export(small_model, tmp_path / "m.keras", config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("ResourceExhaustedError", "m.tflite: cannot be written: No space left; free some space"),
        ("PermissionDeniedError", "cannot be written: No space left; choose another place"),
    ],
)
def test_what_tensorflow_says_of_a_disk_is_one_line(
    small_model, tmp_path, monkeypatch, error, says
):
    import tensorflow as tf

    def full(*_, **__):
        raise getattr(tf.errors, error)(None, None, "part/x; No space left [Op:SaveV2]")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(DataError, match=says):
        export(small_model, tmp_path / "m.tflite", ExportConfig("litert"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", FORMATS["onnx"].needs)
def test_missing_runtime_names_the_extra(small_model, tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"{module}.*pip install 'colorcli\[onnx\]'"):
        export(small_model, tmp_path / "m.onnx", ExportConfig("onnx"))
    assert list(tmp_path.iterdir()) == []


def test_predict_with_onnx_and_no_runtime(tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="not a usable ONNX model"):
        Colorizer(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"colorcli\[onnx\]"):
        Colorizer(tmp_path / "m.onnx")


@pytest.mark.parametrize("there", ["m.keras", "m.md", "m_example.py"])
def test_nothing_is_overwritten_unasked(small_model, tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError, match=there):
        export(small_model, tmp_path / "m.keras", ExportConfig("keras"))
    assert (tmp_path / there).read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_overwrite_replaces_all(small_model, pictures, tmp_path):
    target, config = tmp_path / "m.keras", ExportConfig("keras", verify=(str(pictures),))
    export(small_model, target, config)
    (tmp_path / "m.md").write_text("old")
    export(small_model, target, config, overwrite=True)
    assert (tmp_path / "m.md").read_text() != "old" and len(list(tmp_path.iterdir())) == 4


def test_photographs_that_are_not_there(small_model, photos, tmp_path):
    config = ExportConfig("keras")
    target = tmp_path / "m.keras"
    for names, word in (
        ([str(tmp_path / "none")], "no such file"), ([str(photos / "broken.jpg")], "broken.jpg"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=word):
            export(small_model, target, dataclasses.replace(config, verify=tuple(names)))
    with pytest.raises(UsageError, match="float32 is not calibrated"):
        export(small_model, target, dataclasses.replace(config, calibrate=(str(photos),)))
    with pytest.raises(DataError, match="cannot be written"):
        config = dataclasses.replace(config, verify=(str(photos / "photo00.png"),))
        export(small_model, "/dev/null/x/m.keras", config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["-o", "m.tflite", "--format", "onnx"], 2, "its suffix means litert"),
        (
            ["-o", "m.foo"],
            2,
            "unknown output suffix; known: .keras .tflite .onnx .html; a folder is",
        ),
        (["-o", "mine.v2"], 2, "unknown output suffix"),
        (["-o", "weightless", "--format", "saved-model", "--overwrite"], 2, "with other things"),
        (["-o", "m.onnx", "--size", "small"], 2, "give a number, or any"),
        (["-o", "m.tflite", "-m", "no-such"], 4, "known models"),
        (["-o", "m.onnx", "-m", "bare.tflite"], 4, "give the model folder"),
        (["-o", "m.onnx", "-m", "weightless"], 4, "weights.npz"),
        (["-o", "m.onnx", "-m", "notes.txt"], 4, "not a model"),
    ],
)
def test_the_command_refuses_in_one_line(small_model, tmp_path, monkeypatch, arguments, code, word):
    import shutil

    from typer.testing import CliRunner

    from colorcli.cli import app

    monkeypatch.chdir(tmp_path)
    shutil.copy(small_model / "model.tflite", "bare.tflite")
    shutil.copytree(small_model, "weightless")
    (tmp_path / "weightless" / "weights.npz").unlink()
    (tmp_path / "notes.txt").write_text("no model")
    done = CliRunner().invoke(app, ["export", *arguments])
    assert done.exit_code == code, done.stderr
    assert word in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("m*"))


@pytest.mark.parametrize(
    ("output", "format", "wanted"),
    [
        ("m.onnx", None, ("m.onnx", "onnx")),
        ("m", None, ("m", "litert")),
        ("m.v2", "keras", ("m.v2", "keras")),  # with --format any name will do
        ("new.d/", None, ("new.d/small.tflite", "litert")),
        ("new/", "onnx", ("new/small.onnx", "onnx")),
        ("there.x", "keras", ("there.x/small.keras", "keras")),
        ("there.x", "saved-model", ("there.x", "saved-model")),
        ("new/", "saved-model", ("new/", "saved-model")),
    ],
)
def test_where_an_export_goes(tmp_path, monkeypatch, output, format, wanted):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.x").mkdir()
    assert place(output, format, "runs/small") == wanted


def test_overwrite_spares_folders_of_other_things(small_model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="m: a folder with other things is in the way"):
        export(small_model, tmp_path / "m", ExportConfig("saved-model"), overwrite=True)
    assert (tmp_path / "m" / "thesis.txt").is_file()


def test_the_example_draws_chroma_in_as_predict_does():
    template = card._templates().get_template("example_ab.txt")
    source = template.render(
        file="m", script="m.py", side=8, packages="", runtime="", knobs={}, neutral=lab.NEUTRAL
    )
    names: dict = {"__file__": "m.py"}
    exec(source.rsplit("\nmain()", 1)[0], names)
    random = np.random.default_rng(3)
    light, ab = np.linspace(0, 100, 4000), random.uniform(-120, 120, (4000, 2))
    wanted = lab.lab_to_shown(np.column_stack([light, ab]))
    assert np.abs(names["to_rgb"](light, ab) - wanted * 255).max() <= 0.51


def test_nothing_here_names_this_checkout():
    for path in (REPO / "colorcli" / "exporting").glob("*.[mt]*"):
        assert str(REPO) not in path.read_text("utf-8")
