"""Whatever a backbone is made of, it survives training, folding, LiteRT, the disk and fine-tuning."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from published import published
from test_layers import scattered

from colorcli.color import bins
from colorcli.config.model import ModelConfig
from colorcli.config.training import TrainConfig
from colorcli.network import model_folder
from colorcli.network.backbones import BACKBONES, Backbone
from colorcli.network.layers import ConvNorm, Residual, backbone_weights, convolutions, lowered
from colorcli.network.model import build_model
from colorcli.network.packing import pack
from colorcli.network.runtimes import LiteRT
from colorcli.system.errors import ModelError
from colorcli.training.step import compiled, new_state

PRIOR = bins.prior(np.ones(len(bins.centres())))


def _odd(lightness):
    """Names that tell nothing, an epsilon of its own, a channel that is dead, two kinds of norm."""
    x = ConvNorm(48, 3, 2, block=-1, name="a_bn", epsilon=0.2)(lightness)
    y = ConvNorm(None, 5, block=3, name="backbone", activation="relu", norm="frozen")(x)
    y = ConvNorm(48, 3, block=7, name="x_conv", activation=None, epsilon=1e-5)(y)
    return {2: x, 4: ConvNorm(64, 3, 2, norm="none", block=8, name="bias")(Residual(9)([y, x]))}


# Those that take long are as the others, only wider and deeper.
LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES if "lite" in name]
NAMES = [*LARGE, *(name for name in BACKBONES if "lite" not in name), "odd"]


@pytest.fixture(params=NAMES)
def config(request, monkeypatch):
    monkeypatch.setitem(BACKBONES, "odd", Backbone(_odd, residual=True))
    known = ModelConfig.__dataclass_fields__["backbone"]
    monkeypatch.setattr(known, "metadata", {**known.metadata, "choices": tuple(BACKBONES)})
    return ModelConfig(request.param, "classification", 64, (16, 16))


def trained(state, picture, steps=1):
    step = compiled(state, tf.distribute.get_strategy(), True)
    random = np.random.default_rng(0)
    side = state.network.compute_output_shape((1, 64, 64, 1))[1]
    ab = random.uniform(-40, 40, (2, side, side, 2)).astype(np.float32)
    for optimizer in state.optimizers:
        optimizer.learning_rate.assign(1e-3)
    for _ in range(steps):
        logs = step(np.stack([picture, picture]), ab, 0.0, np.zeros(2, np.float32))
    return float(logs["loss"])


def logits(network, picture):
    return np.asarray(network(picture[None], training=False))[0]


def far(one, two):
    return float(np.linalg.norm(one - two) / np.linalg.norm(two))


def test_a_backbone_goes_through_everything_unchanged(config, tmp_path):
    run = TrainConfig(model=config, init="none", release_from=0)
    picture = np.random.default_rng(1).uniform(0, 100, (64, 64, 1)).astype(np.float32)
    state = new_state(run, PRIOR, "float32", tf.distribute.get_strategy())
    scattered(state.network)
    before = [np.asarray(w) for w in backbone_weights(state.network) if w.trainable]
    assert np.isfinite(trained(state, picture))
    after = [np.asarray(w) for w in backbone_weights(state.network) if w.trainable]
    assert not any(np.array_equal(a, b) for a, b in zip(after, before, strict=True))

    pruned = next(
        layer for layer in convolutions(state.network)
        if layer.kernel.shape.num_elements() >= 1024 and layer.norm == "batch"
    )  # fmt: skip
    pruned.gamma.assign(np.r_[0, np.asarray(pruned.gamma)[1:]])  # its kernel must not be lost
    pruned.kernel.assign(np.asarray(pruned.kernel).astype(np.float16))
    wanted = logits(state.network, picture)
    assert far(logits(lowered(state.network), picture), wanted) < 1e-5
    saved = model_folder.save(state.network, config, PRIOR, tmp_path / "model")
    engine = LiteRT(saved / model_folder.LITERT)
    engine(picture[..., 0])
    assert far(engine.logits(), wanted) < 4e-3  # float16 weights
    again, folder = model_folder.load_network(saved)
    assert far(logits(again, picture), wanted) < 4e-3
    assert np.array_equal(pruned.kernel[..., 0], again.get_layer(pruned.name).kernel[..., 0])
    packed = model_folder.read_arrays(saved / model_folder.WEIGHTS)
    large = {w.path for w in again.weights if len(w.shape) == 4 and np.prod(w.shape) >= 1024}
    assert {path[1:] for path in packed if path.startswith("@")} == large - {pruned.kernel.path}
    assert pack(again, (saved / model_folder.LITERT).read_bytes()).keys() == packed.keys()

    tuned = new_state(run, folder.prior, "float32", tf.distribute.get_strategy())
    tuned.network.set_weights(again.get_weights())
    first, last = trained(tuned, picture), trained(tuned, picture, 4)
    assert last < first


def test_layers_that_nobody_would_fold_are_refused(monkeypatch):
    def build(lightness):
        return {2: keras.layers.Conv2D(4, 3, 2, "same", name="stray")(lightness)}

    monkeypatch.setitem(BACKBONES, "stray", Backbone(build))
    with pytest.raises(ValueError, match="stray: a backbone's weights belong to ConvNorms"):
        build_model(ModelConfig("stray", "mse", 64, (8,)))


def test_residual_says_whether_there_are_sums():
    for name, backbone in BACKBONES.items():
        network = build_model(ModelConfig(name, "mse", 32, (8,)))
        assert any(isinstance(w, Residual) for w in network.layers) == backbone.residual


@pytest.mark.parametrize("name", [n for n, b in BACKBONES.items() if b.load])
def test_published_weights_fill_every_layer_or_are_refused(name):
    network = build_model(ModelConfig(name, "mse", 32, (8,)))
    arrays = published(network)
    BACKBONES[name].load(network, arrays)
    stem = np.asarray(network.get_layer("backbone_stem").kernel)
    assert np.allclose(stem[..., 0, :], arrays["_conv_stem.weight"].sum(1).transpose(1, 2, 0))
    depth = np.asarray(network.get_layer("backbone_block0_depthwise").kernel)
    assert np.allclose(
        depth[..., 0], arrays["_blocks.0._depthwise_conv.weight"][:, 0].transpose(1, 2, 0)
    )
    variance = np.asarray(network.get_layer("backbone_block0_project").moving_variance)
    assert np.allclose(variance, arrays["_blocks.0._bn2.running_var"])
    for changed, word in (
        ({**arrays, "extra": np.zeros(2)}, "1 arrays left over"),
        ({k: v for k, v in arrays.items() if k != "_bn0.bias"}, "no array named _bn0.bias"),
        ({**arrays, "_bn0.bias": np.zeros(3)}, "expected"),
    ):
        with pytest.raises(ModelError, match=word):
            BACKBONES[name].load(network, changed)
