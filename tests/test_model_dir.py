import json
import math
import shutil
import sys

import numpy as np
import pytest

from colorcli import bins, model_dir
from colorcli.engine import LiteRT, open_model
from colorcli.errors import ModelError
from colorcli.model import with_decode
from colorcli.packing import fold, pack, unpack


@pytest.fixture
def copy(small_model, tmp_path):
    return shutil.copytree(small_model, tmp_path / "copy")


def test_litert_says_what_the_network_says(small_model):
    network, folder = model_dir.load_network(small_model)
    reference = with_decode(network, folder.config, folder.prior)
    lightness = np.random.default_rng(0).uniform(0, 100, (64, 64)).astype(np.float32)
    engine = LiteRT(small_model / model_dir.LITERT)
    for temperature, vividness in ((1.0, 0.0), (0.4, 0.3)):
        feed = {
            "L": lightness[None, ..., None],
            "temperature": np.full(1, temperature, np.float32),
            "vividness": np.full(1, vividness, np.float32),
        }
        wanted = reference(feed)
        ab = engine(lightness, temperature, vividness)
        assert np.abs(ab - np.asarray(wanted["ab"])[0]).max() < 0.5
        assert np.abs(engine.logits() - np.asarray(wanted["logits"])[0]).max() < 0.2


def test_saved_weights_come_back(small_model, tmp_path):
    network, folder = model_dir.load_network(small_model)
    random = np.random.default_rng(0)
    for weight in network.weights:  # norms far from their initial identity
        if weight.path.split("/")[1] in ("gamma", "moving_variance", "beta", "moving_mean"):
            weight.assign(random.uniform(0.5, 2.0, weight.shape))
    saved = model_dir.save(network, folder.config, folder.prior, tmp_path / "again")
    again, _ = model_dir.load_network(saved)
    for weight, back in zip(network.weights, again.weights, strict=True):
        wanted = np.asarray(weight)
        # float16 rounds to one part in 2048, and to steps of 6e-8 near zero.
        assert np.allclose(np.asarray(back), wanted, rtol=6e-4, atol=1e-6), weight.path
    assert (saved / model_dir.WEIGHTS).stat().st_size < 0.1 * (
        saved / model_dir.LITERT
    ).stat().st_size


def test_dead_channel_is_stored_itself():
    random = np.random.default_rng(0)
    arrays = {"a_conv/kernel": random.normal(size=(3, 3, 16, 16)).astype(np.float32)}
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        arrays[f"a_bn/{name}"] = np.ones(16, np.float32)
    litert = (
        b"head" + fold(arrays)["a_conv/kernel"].astype(np.float16).transpose(3, 0, 1, 2).tobytes()
    )
    assert "@a_conv/kernel" in pack(arrays, litert)
    arrays["a_bn/gamma"][3] = 0
    packed = pack(arrays, litert)
    assert "@a_conv/kernel" not in packed
    assert np.allclose(unpack(packed, litert)["a_conv/kernel"], arrays["a_conv/kernel"], rtol=1e-3)


def test_place_outside_the_file_is_damage(copy):
    arrays = model_dir.read_arrays(copy / model_dir.WEIGHTS)
    name = next(n for n in arrays if n.startswith("@"))
    np.savez(copy / model_dir.WEIGHTS, **{**arrays, name: arrays[name] * [10**6, 1, 1, 1, 1]})
    metadata = json.loads((copy / model_dir.METADATA).read_text())
    metadata["files"][model_dir.WEIGHTS] = model_dir._digest(copy / model_dir.WEIGHTS)
    (copy / model_dir.METADATA).write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match="damaged"):
        model_dir.load_network(copy)


def test_a_copy_takes_the_place_of_an_older_one(small_model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "left").write_text("of an older one")
    model_dir.copy(small_model, tmp_path / "m")
    assert not any(model_dir.verify(model_dir.load(tmp_path / "m")).values())
    assert [p.name for p in tmp_path.iterdir()] == ["m"] and not (tmp_path / "m" / "left").exists()
    with pytest.raises(ModelError, match="cannot be written"):
        model_dir.copy(small_model, tmp_path / "m" / model_dir.CONFIG / "x")


@pytest.mark.parametrize("name", [model_dir.CONFIG, model_dir.METADATA, model_dir.LITERT])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name if name != model_dir.CONFIG else "known models"):
        model_dir.load(copy)


@pytest.mark.parametrize("name", [model_dir.WEIGHTS, model_dir.LITERT])
def test_flipped_byte_is_seen(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 255
    (copy / name).write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        model_dir.load(copy, needs=(name,))


def test_damaged_json_and_newer_schema(copy):
    config = json.loads((copy / model_dir.CONFIG).read_text())
    (copy / model_dir.CONFIG).write_text(json.dumps({**config, "schema": 99}))
    with pytest.raises(ModelError, match="schema 99"):
        model_dir.load(copy)
    (copy / model_dir.CONFIG).write_text("{")
    with pytest.raises(ModelError, match="damaged model folder"):
        model_dir.load(copy)


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
    values = json.loads((copy / model_dir.CONFIG).read_text())
    values[part] = {**values[part], key: value} if key else value
    (copy / model_dir.CONFIG).write_text(json.dumps(values))
    if signed:
        metadata = json.loads((copy / model_dir.METADATA).read_text())
        metadata["files"][model_dir.CONFIG] = model_dir._digest(copy / model_dir.CONFIG)
        (copy / model_dir.METADATA).write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match="damaged") as refused:
        open_model(copy)
    assert str(refused.value).startswith(str(copy)) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (model_dir.CONFIG, "[" * 100_000),
        (model_dir.CONFIG, "[1, 2]"),
        (model_dir.METADATA, "[" * 100_000),
        (model_dir.METADATA, "[]"),
        (model_dir.METADATA, '{"files": []}'),
        (model_dir.METADATA, '{"files": {"config.json": "", "../../x": ""}}'),
        (model_dir.METADATA, '{"files": {"/etc/passwd": ""}}'),
    ],
)
def test_json_of_another_shape_is_damage(colorize, photos, copy, name, text):
    (copy / name).write_text(text)
    with pytest.raises(ModelError, match="damaged model folder"):
        model_dir.load(copy)
    done = colorize("predict", photos / "photo00.png", "-o", copy / "out", "-m", copy)
    assert done.returncode == 4 and len(done.stderr.decode().splitlines()) == 1


def test_the_number_of_bins_is_that_of_the_gamut():
    assert len(bins.centres()) == bins.COUNT


def test_unknown_model_names_the_known():
    with pytest.raises(ModelError, match="known models"):
        model_dir.load("no-such-model")


def test_pickled_weights_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", a=np.array([object()], dtype=object))
    with pytest.raises(ModelError, match=r"evil\.npz"):
        model_dir.read_arrays(tmp_path / "evil.npz")


def test_damaged_litert_is_one_line(tmp_path):
    (tmp_path / "x.tflite").write_bytes(b"not a flatbuffer")
    with pytest.raises(ModelError, match="not a usable LiteRT model"):
        LiteRT(tmp_path / "x.tflite")


def test_without_litert_tensorflow_interprets(small_model, monkeypatch):
    lightness = np.full((64, 64), 50, np.float32)
    wanted = LiteRT(small_model / model_dir.LITERT)(lightness)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    fallback = LiteRT(small_model / model_dir.LITERT)
    assert type(fallback._run).__module__.startswith("tensorflow")
    assert np.abs(fallback(lightness) - wanted).max() < 0.05
