"""The twin that trains: the same function and gradients as the network it stands for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from colorcli.config import ModelConfig
from colorcli.fused import fused
from colorcli.model import build_model


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    network = build_model(ModelConfig(loss="mse", size=32, decoder=(8, 8)))
    random = np.random.default_rng(0)
    for w in network.weights:  # as after training: no norm is the identity
        if w.path.endswith(("gamma", "moving_variance")):
            w.assign(random.uniform(0.5, 2, w.shape))
        elif w.path.endswith(("beta", "moving_mean")):
            w.assign(random.normal(0, 0.3, w.shape))
    return network


def gradients(network, call):
    """Output, gradients by path and moving statistics of one training call."""
    before = network.get_weights()
    lightness = tf.random.stateless_uniform((4, 64, 64, 1), [1, 2], 0, 100)
    with tf.GradientTape() as tape:
        output = call(lightness)
        value = tf.reduce_mean(output**2)
    slopes = tape.gradient(value, [v.value for v in network.trainable_variables])
    moved = {w.path: np.asarray(w) for w in network.weights if "moving" in w.path}
    network.set_weights(before)
    slopes = {
        v.path: np.asarray(s) for v, s in zip(network.trainable_variables, slopes, strict=True)
    }
    return np.asarray(output), slopes, moved


def truly_frozen(network):
    """The network in training, its backbone's norms by their averages, layer by layer."""

    def operation(layer):
        def call(*arguments, **options):
            if isinstance(layer, keras.layers.BatchNormalization):
                options["training"] = not layer.name.startswith("backbone_")
            return layer(*arguments, **options)

        return call

    return lambda x: network._run_through_graph([x], operation_fn=operation)


def test_twin_equals_the_network_with_frozen_norms(network):
    ours, theirs = (gradients(network, c) for c in (fused(network), truly_frozen(network)))
    assert np.allclose(ours[0], theirs[0], rtol=1e-3, atol=1e-5)
    for path, slope in theirs[1].items():
        close = np.linalg.norm(ours[1][path] - slope) < 1e-2 * np.linalg.norm(slope) + 1e-6
        assert close, path
    for path, average in theirs[2].items():
        assert np.allclose(ours[2][path], average, rtol=1e-3, atol=1e-4), path


def test_training_leaves_the_backbones_statistics_and_moves_the_decoders(network):
    before = {w.path: np.asarray(w) for w in network.weights if "moving" in w.path}
    _, _, after = gradients(network, lambda x: fused(network)(x, training=True))
    for path, average in before.items():
        assert np.array_equal(average, after[path]) == path.startswith("backbone_"), path


def test_all_norms_can_stay_as_they_were(network):
    before = {w.path: np.asarray(w) for w in network.weights if "moving" in w.path}
    twin = fused(network, "")
    output, _, after = gradients(network, lambda x: twin(x, training=True))
    assert all(np.array_equal(average, after[path]) for path, average in before.items())
    lightness = tf.random.stateless_uniform((4, 64, 64, 1), [1, 2], 0, 100)
    exact = np.asarray(network(lightness, training=False))
    assert np.allclose(output, exact, rtol=1e-3, atol=1e-5)


def halves(step):
    """Each picture's factor in 1,000 of a residual block that triples its input, left out or not."""
    entry = keras.Input((1, 1, 1))
    branch = keras.layers.Rescaling(2.0)(entry)
    block = keras.Model(entry, keras.layers.Add(name="backbone_block0_sum")([branch, entry]))
    twin = fused(block, stochastic_depth=0.5, step=step)
    return np.asarray(twin(np.ones((1000, 1, 1, 1), np.float32), training=True)).ravel()


def test_stochastic_depth_leaves_a_share_of_branches_out_and_keeps_the_mean():
    factors = halves(7)
    assert set(factors) == {1.0, 5.0}
    assert factors.mean() == pytest.approx(3.0, abs=0.25)  # four standard errors


def test_stochastic_depth_is_drawn_by_the_step():
    assert np.array_equal(halves(7), halves(tf.Variable(7, dtype=tf.int64)))
    assert not np.array_equal(halves(7), halves(8))


def test_stochastic_depth_spares_the_network_itself(network):
    lightness = tf.random.stateless_uniform((4, 64, 64, 1), [1, 2], 0, 100)
    plain, random = fused(network, ""), fused(network, "", 0.5)
    exact = np.asarray(network(lightness, training=False))
    off = [np.linalg.norm(twin(lightness, training=True) - exact) for twin in (plain, random)]
    assert off[0] < 1e-3 * np.linalg.norm(exact) and off[1] > 0.05 * np.linalg.norm(exact)
