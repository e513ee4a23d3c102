import json
import math
import shutil
import sys

import numpy as np
import pytest
from test_layers import scattered

from colorcli.color import bins
from colorcli.network import model_folder
from colorcli.network.decoding import NEUTRAL
from colorcli.network.model import with_decode
from colorcli.network.packing import pack
from colorcli.network.runtimes import LiteRT, open_model
from colorcli.system import disk
from colorcli.system.errors import ModelError


@pytest.fixture
def copy(small_model, tmp_path):
    return shutil.copytree(small_model, tmp_path / "copy")


def test_litert_says_what_the_network_says(small_model):
    network, folder = model_folder.load_network(small_model)
    reference = with_decode(network, folder.config, folder.prior)
    lightness = np.random.default_rng(0).uniform(0, 100, (64, 64)).astype(np.float32)
    engine = LiteRT(small_model / model_folder.LITERT)
    for values in (NEUTRAL, {**NEUTRAL, "temperature": 0.4, "vividness": 0.3}):
        feed = {"L": lightness[None, ..., None]}
        feed |= {name: np.full(1, values[name], np.float32) for name in engine.knobs}
        wanted = reference(feed)
        ab = engine(lightness, values)
        assert np.abs(ab - np.asarray(wanted["ab"])[0]).max() < 0.5
        assert np.abs(engine.logits() - np.asarray(wanted["logits"])[0]).max() < 0.2


def test_saved_weights_come_back(small_model, tmp_path):
    network, folder = model_folder.load_network(small_model)
    scattered(network)  # norms far from their initial identity
    saved = model_folder.save(network, folder.config, folder.prior, tmp_path / "again")
    again, _ = model_folder.load_network(saved)
    for weight, back in zip(network.weights, again.weights, strict=True):
        wanted = np.asarray(weight)
        # float16 rounds to one part in 2048, and to steps of 6e-8 near zero.
        assert np.allclose(np.asarray(back), wanted, rtol=6e-4, atol=1e-6), weight.path
    assert (saved / model_folder.WEIGHTS).stat().st_size < 0.1 * (
        saved / model_folder.LITERT
    ).stat().st_size


def test_a_kernel_that_is_not_in_the_file_is_no_silent_copy(small_model):
    network, _ = model_folder.load_network(small_model)
    litert = (small_model / model_folder.LITERT).read_bytes()
    assert "@head/kernel" in pack(network, litert)
    kernel = np.asarray(network.get_layer("head").kernel)
    network.get_layer("head").kernel.assign(kernel * (1 + 2.0**-12))
    assert "@head/kernel" in pack(network, litert)  # a converter's last bit does not matter
    network.get_layer("head").kernel.assign(kernel * 1.01)
    with pytest.raises(ModelError, match="does not hold the kernel of head"):
        pack(network, litert)


def test_schema_1_is_read(small_model, tmp_path):
    """Folders of 0.1.0: a layer for each convolution and norm, kernels by their byte in the file."""
    network, _ = model_folder.load_network(small_model)
    scattered(network)
    packed, blob = {}, b"head"
    for layer in network.layers:
        for weight in layer.weights:
            leaf, value = weight.path.split("/")[1], np.asarray(weight)
            if getattr(layer, "norm", "none") == "none":
                packed[weight.path] = value
            elif leaf == "kernel":
                kernel = layer.folded()[0].astype(np.float16)
                packed[f"@{layer.name}_conv/kernel"] = np.array([len(blob), *kernel.shape])
                blob += kernel.transpose(3, 0, 1, 2).tobytes()
            else:
                packed[f"{layer.name}_bn/{leaf}"] = value
    copy = shutil.copytree(small_model, tmp_path / "old")
    np.savez(copy / model_folder.WEIGHTS, **packed)
    (copy / model_folder.LITERT).write_bytes(blob)
    values = json.loads((copy / model_folder.CONFIG).read_text())
    (copy / model_folder.CONFIG).write_text(json.dumps({**values, "schema": 1}))
    resigned(copy)
    again, _ = model_folder.load_network(copy)
    for weight, back in zip(network.weights, again.weights, strict=True):
        assert np.allclose(np.asarray(back), np.asarray(weight), rtol=6e-4, atol=1e-6), weight.path


def resigned(folder):
    """Let a folder's metadata agree with its changed files."""
    metadata = json.loads((folder / model_folder.METADATA).read_text())
    metadata["files"] = {name: disk.digest(folder / name) for name in metadata["files"]}
    (folder / model_folder.METADATA).write_text(json.dumps(metadata))


@pytest.mark.parametrize("change", [[10**6, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
def test_place_outside_the_file_or_of_another_shape_is_damage(copy, change):
    arrays = model_folder.read_arrays(copy / model_folder.WEIGHTS)
    name = next(n for n in arrays if n.startswith("@"))
    np.savez(copy / model_folder.WEIGHTS, **{**arrays, name: arrays[name] + change})
    resigned(copy)
    with pytest.raises(ModelError, match="damaged|do not fit"):
        model_folder.load_network(copy)


def test_a_copy_takes_the_place_of_an_older_one(small_model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "left").write_text("of an older one")
    model_folder.copy(small_model, tmp_path / "m")
    states = model_folder.verify(model_folder.load(tmp_path / "m"))
    assert not any(states.values())
    assert [p.name for p in tmp_path.iterdir()] == ["m"] and not (tmp_path / "m" / "left").exists()
    with pytest.raises(ModelError, match="cannot be written"):
        model_folder.copy(small_model, tmp_path / "m" / model_folder.CONFIG / "x")


@pytest.mark.parametrize("name", [model_folder.CONFIG, model_folder.METADATA, model_folder.LITERT])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name if name != model_folder.CONFIG else "known models"):
        model_folder.load(copy)


@pytest.mark.parametrize("name", [model_folder.WEIGHTS, model_folder.LITERT])
def test_flipped_byte_is_seen(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 255
    (copy / name).write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        model_folder.load(copy, needs=(name,))


def test_damaged_json_and_newer_schema(copy):
    config = json.loads((copy / model_folder.CONFIG).read_text())
    (copy / model_folder.CONFIG).write_text(json.dumps({**config, "schema": 99}))
    with pytest.raises(ModelError, match="schema 99"):
        model_folder.load(copy)
    (copy / model_folder.CONFIG).write_text("{")
    with pytest.raises(ModelError, match="damaged model folder"):
        model_folder.load(copy)


WRONG = {
    "an absurd size": ("model", "size", 9_999_999),
    "a size below": ("model", "size", 0),
    "a negative size": ("model", "size", -64),
    "no multiple": ("model", "size", 100),
    "a size in words": ("model", "size", "big"),
    "a size that is true": ("model", "size", True),
    "another size": ("model", "size", 96),
    "an unknown backbone": ("model", "backbone", "resnet"),
    "an unknown loss": ("model", "loss", ["mse"]),
    "no decoder": ("model", "decoder", []),
    "absurd widths": ("model", "decoder", [10**9]),
    "too many stages": ("model", "decoder", [8] * 40),
    "widths in words": ("model", "decoder", "abc"),
    "an unknown key": ("model", "depth", 3),
    "no model": ("model", None, None),
    "a short prior": ("prior", None, [0.5, 0.5]),
    "no prior": ("prior", None, []),
    "a prior of lists": ("prior", None, [[1.0] * bins.COUNT]),
    "a prior of nothing": ("prior", None, [0.0] * bins.COUNT),
    "a negative prior": ("prior", None, [-1.0] + [2 / (bins.COUNT - 1)] * (bins.COUNT - 1)),
    "a prior that is not a number": ("prior", None, [math.nan] * bins.COUNT),
    "an infinite prior": ("prior", None, [math.inf] * bins.COUNT),
    "a prior in words": ("prior", None, ["a"] * bins.COUNT),
}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("what", WRONG)
def test_every_value_of_the_config_is_checked(copy, what, signed):
    """Also where somebody made the checksum fit."""
    part, key, value = WRONG[what]
    values = json.loads((copy / model_folder.CONFIG).read_text())
    values[part] = {**values[part], key: value} if key else value
    (copy / model_folder.CONFIG).write_text(json.dumps(values))
    if signed:
        metadata = json.loads((copy / model_folder.METADATA).read_text())
        metadata["files"][model_folder.CONFIG] = disk.digest(copy / model_folder.CONFIG)
        (copy / model_folder.METADATA).write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match="damaged") as refused:
        open_model(copy)
    assert str(refused.value).startswith(str(copy)) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (model_folder.CONFIG, "[" * 100_000),
        (model_folder.CONFIG, "[1, 2]"),
        (model_folder.METADATA, "[" * 100_000),
        (model_folder.METADATA, "[]"),
        (model_folder.METADATA, '{"files": []}'),
        (model_folder.METADATA, '{"files": {"config.json": "", "../../x": ""}}'),
        (model_folder.METADATA, '{"files": {"/etc/passwd": ""}}'),
    ],
)
def test_json_of_another_shape_is_damage(colorize, photos, copy, name, text):
    (copy / name).write_text(text)
    with pytest.raises(ModelError, match="damaged model folder"):
        model_folder.load(copy)
    done = colorize("predict", photos / "photo00.png", "-o", copy / "out", "-m", copy)
    assert done.returncode == 4 and len(done.stderr.decode().splitlines()) == 1


def test_the_number_of_bins_is_that_of_the_gamut():
    assert len(bins.centres()) == bins.COUNT


def test_unknown_model_names_the_known():
    with pytest.raises(ModelError, match="known models"):
        model_folder.load("no-such-model")


def test_pickled_weights_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", a=np.array([object()], dtype=object))
    with pytest.raises(ModelError, match=r"evil\.npz"):
        model_folder.read_arrays(tmp_path / "evil.npz")


def test_damaged_litert_is_one_line(tmp_path):
    (tmp_path / "x.tflite").write_bytes(b"not a flatbuffer")
    with pytest.raises(ModelError, match="not a usable LiteRT model"):
        LiteRT(tmp_path / "x.tflite")


def test_without_litert_tensorflow_interprets(small_model, monkeypatch):
    lightness = np.full((64, 64), 50, np.float32)
    wanted = LiteRT(small_model / model_folder.LITERT)(lightness)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    fallback = LiteRT(small_model / model_folder.LITERT)
    assert type(fallback._run).__module__.startswith("tensorflow")
    assert np.abs(fallback(lightness) - wanted).max() < 0.05
