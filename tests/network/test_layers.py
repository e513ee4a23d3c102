"""Layers that know their norm: the function, gradients and statistics of Keras's own two layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from colorcli.config.model import ModelConfig
from colorcli.network.layers import (
    ConvNorm,
    Residual,
    backbone_weights,
    convolutions,
    freeze_norms,
    lowered,
    random_depth,
)
from colorcli.network.model import build_model

CASES = {
    "wide": {"width": 6, "kernel": 3, "stride": 2},
    "point": {"width": 5, "kernel": 1, "activation": None},
    "depthwise": {"width": None, "kernel": 5, "stride": 2},
    "strict": {"width": 4, "kernel": 3, "epsilon": 0.3, "activation": "relu"},
}


def scattered(network):
    """The network with norms as after training: none is the identity."""
    random = np.random.default_rng(0)
    for w in network.weights:
        if w.path.endswith(("gamma", "moving_variance")):
            w.assign(random.uniform(0.5, 2, w.shape))
        elif w.path.endswith(("beta", "moving_mean", "bias")):
            w.assign(random.normal(0, 0.3, w.shape))
    return network


def theirs(layer):
    """Keras's own convolution, norm and activation with a layer's weights, and their variables."""
    options = {"strides": layer.stride, "padding": "same", "use_bias": layer.norm == "none"}
    if layer.depthwise:
        conv = keras.layers.DepthwiseConv2D(layer.kernel_size, **options)
    else:
        conv = keras.layers.Conv2D(layer.width, layer.kernel_size, **options)
    norm = keras.layers.BatchNormalization(epsilon=layer.epsilon, momentum=0.98)
    entry = keras.Input((None, None, 3))
    x = conv(entry)
    model = keras.Model(entry, x if layer.norm == "none" else norm(x))
    conv.set_weights([np.asarray(w) for w in layer.weights[: 2 if layer.norm == "none" else 1]])
    if layer.norm != "none":
        norm.set_weights([np.asarray(w) for w in layer.weights[1:]])
    act = keras.activations.get(layer.activation)
    training = {"batch": True, "frozen": False, "none": True}[layer.norm]
    return lambda x: act(model(x, training=training)), model


def gradients(call, variables):
    """Output, gradients and then the values of the variables, of one training call."""
    x = tf.random.stateless_normal((4, 9, 10, 3), [1, 2])
    with tf.GradientTape() as tape:
        output = call(x)
        value = tf.reduce_mean(output**2)
    slopes = tape.gradient(value, [v.value for v in variables if v.trainable])
    return np.asarray(output), [np.asarray(s) for s in slopes], [np.asarray(v) for v in variables]


@pytest.mark.parametrize("norm", ["batch", "frozen", "none"])
@pytest.mark.parametrize("case", CASES)
def test_a_layer_trains_as_kerass_own_two(case, norm):
    keras.utils.set_random_seed(0)
    layer = ConvNorm(norm=norm, name="l", **CASES[case])
    entry = keras.Input((None, None, 3))
    network = scattered(keras.Model(entry, layer(entry)))
    other, model = theirs(layer)
    ours = gradients(lambda x: network(x, training=True), network.weights)
    wanted = gradients(other, model.weights)
    assert np.allclose(ours[0], wanted[0], rtol=1e-4, atol=1e-5)
    for mine, slope in zip(ours[1], wanted[1], strict=True):
        assert np.linalg.norm(mine - slope) < 1e-3 * np.linalg.norm(slope) + 1e-6
    for mine, value in zip(ours[2], wanted[2], strict=True):
        assert np.allclose(mine, value, rtol=1e-3, atol=1e-4)  # the moving statistics too


@pytest.mark.parametrize("norm", ["batch", "frozen", "none"])
@pytest.mark.parametrize("case", CASES)
def test_folded_is_the_same_function(case, norm):
    layer = ConvNorm(norm=norm, name="l", **CASES[case])
    entry = keras.Input((None, None, 3))
    network = scattered(keras.Model(entry, layer(entry)))
    x = np.random.default_rng(0).normal(size=(2, 9, 10, 3)).astype(np.float32)
    plain = lowered(network)
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.InputLayer)
    assert all(type(inner) in kinds for inner in plain.layers)
    assert np.allclose(network(x), plain(x), rtol=1e-4, atol=1e-5)
    kernel = np.asarray(layer.kernel)
    layer.unfold(layer.folded()[0])
    assert np.allclose(np.asarray(layer.kernel), kernel, rtol=1e-5, atol=1e-7)


def test_a_layer_is_saved_and_read_back(tmp_path):
    entry = keras.Input((8, 8, 3))
    x = ConvNorm(4, 3, block=2, epsilon=0.01, start="zeros")(entry)
    network = scattered(keras.Model(entry, Residual(3)([x, x])))
    network.save(tmp_path / "n.keras")
    again = keras.models.load_model(tmp_path / "n.keras")
    (layer,) = convolutions(again)
    assert (layer.block, layer.epsilon, layer.norm) == (2, 0.01, "batch")
    x = np.ones((1, 8, 8, 3), np.float32)
    assert np.array_equal(network(x), again(x))


def test_unknown_norms_are_refused():
    with pytest.raises(ValueError, match="unknown norm 'layer'; known: batch, frozen, none"):
        ConvNorm(4, 3, norm="layer")


def test_a_channel_of_nothing_cannot_be_unfolded():
    layer = ConvNorm(4, 3)
    layer.build((None, None, None, 3))
    assert layer.invertible
    layer.gamma.assign([1, 1, 0, 1])
    assert not layer.invertible


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    return scattered(build_model(ModelConfig(loss="mse", size=32, decoder=(8, 8))))


def moved(network):
    """Paths of the statistics that one training call changes; the network stays."""
    before = {w.path: np.asarray(w) for w in network.weights}
    network(tf.random.stateless_uniform((4, 64, 64, 1), [1, 2], 0, 100), training=True)
    after = {w.path: np.asarray(w) for w in network.weights}
    network.set_weights(list(before.values()))
    return {path for path, value in before.items() if not np.array_equal(value, after[path])}


def test_training_leaves_the_backbones_statistics_and_moves_the_decoders(network):
    backbone = {w.path for w in backbone_weights(network)}
    statistics = {w.path for w in network.weights if "moving" in w.path}
    assert moved(network) == statistics - backbone != set()


def test_all_norms_can_stay_as_they_were():
    network = scattered(build_model(ModelConfig(loss="mse", size=32, decoder=(8, 8))))
    freeze_norms(network)
    assert moved(network) == set()


def test_blocks_count_from_the_first(network):
    every, late = (backbone_weights(network, n) for n in (-1, 5))
    assert {"backbone_stem/kernel", "backbone_block4_project/gamma"} < {w.path for w in every}
    assert min(int(w.path.split("_")[1].removeprefix("block")) for w in late) == 5
    assert len(late) < len(every) < len(network.weights)


def halves(step):
    """Each picture's factor in 1,000 of a residual block that triples its input, left out or not."""
    entry = keras.Input((1, 1, 1))
    branch = keras.layers.Rescaling(2.0)(entry)
    block = keras.Model(entry, Residual(0)([branch, entry]))
    random_depth(block, 0.5, step)
    return np.asarray(block(np.ones((1000, 1, 1, 1), np.float32), training=True)).ravel()


def test_stochastic_depth_leaves_a_share_of_branches_out_and_keeps_the_mean():
    factors = halves(7)
    assert set(factors) == {1.0, 5.0}
    assert factors.mean() == pytest.approx(3.0, abs=0.25)  # four standard errors


def test_stochastic_depth_is_drawn_by_the_step():
    assert np.array_equal(halves(7), halves(tf.Variable(7, dtype=tf.int64)))
    assert not np.array_equal(halves(7), halves(8))


def test_stochastic_depth_spares_inference(network):
    lightness = tf.random.stateless_uniform((4, 64, 64, 1), [1, 2], 0, 100)
    exact = np.asarray(network(lightness, training=False))
    random_depth(network, 0.5, 3)
    assert np.array_equal(np.asarray(network(lightness, training=False)), exact)
    random_depth(network, 0.0, 3)
