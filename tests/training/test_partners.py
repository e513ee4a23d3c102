import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from published import published

from colorcli.color import bins
from colorcli.color.lab import AB_MAX
from colorcli.config.model import ModelConfig
from colorcli.config.training import LossWeights
from colorcli.network import model_folder
from colorcli.network.backbones import BACKBONES
from colorcli.network.losses import LOSSES
from colorcli.network.model import build_model
from colorcli.system.errors import ModelError
from colorcli.training.partners import PARTNERS, Critic, Features, Teachers


@pytest.fixture(scope="module")
def scene():
    lightness = tf.random.stateless_uniform((4, 64, 64, 1), [1, 2], 20, 80)
    ab = tf.random.stateless_uniform((4, 16, 16, 2), [3, 4], -30, 30)
    return lightness, ab


def test_losses_name_partners_that_exist():
    assert {loss.partner for loss in LOSSES.values() if loss.partner} == set(PARTNERS)


def test_features_see_colour(scene, small_model):
    features = Features(LossWeights(features=str(small_model), perceptual=2.0))
    lightness, ab = scene
    same, logs = features.judge(lightness, ab, ab)
    assert float(same) == 0 == float(logs["features"])
    predicted = tf.Variable(0.5 * ab)
    with tf.GradientTape() as tape:
        value, logs = features.judge(lightness, ab, predicted)
    gray, _ = features.judge(lightness, ab, 0 * ab)
    assert 0 < float(value) < float(gray)
    assert float(value) == pytest.approx(2 * float(logs["features"]), rel=1e-5)
    slope = tape.gradient(value, predicted)
    assert np.isfinite(slope).all() and float(tf.norm(slope)) > 0
    assert not features.learn(lightness, ab, predicted, 1) and features.network is None


def test_teachers_draw_to_the_mean_of_their_colours(scene, small_model, tmp_path):
    lightness, ab = scene
    config = ModelConfig(backbone="plain", loss="mse", size=32, decoder=(8,))
    network = build_model(config)
    network.get_layer("head").bias.assign([0.5, -0.2])
    flat = bins.prior(np.ones(len(bins.centres())))
    other = model_folder.save(network, config, flat, tmp_path / "other")
    says = [
        partner.taught[0](lightness)
        for partner in (Teachers(LossWeights(teachers=str(m))) for m in (small_model, other))
    ]
    flat_ab = np.tanh([0.5, -0.2]) * AB_MAX
    assert np.allclose(says[1].numpy().mean((0, 1, 2)), flat_ab, atol=1)
    both = Teachers(LossWeights(teachers=f"{small_model}, {other}", distillation=3.0))
    side = ab.shape[1]
    mean = (tf.image.resize(says[0], (side, side)) + tf.image.resize(says[1], (side, side))) / 2
    value, logs = both.judge(lightness, ab, mean)
    assert float(value) == pytest.approx(0, abs=1e-9)
    value, logs = both.judge(lightness, ab, mean + 11.0)
    assert float(logs["distance"]) == pytest.approx(0.01, rel=1e-4)
    assert float(value) == pytest.approx(0.03, rel=1e-4)


def test_teachers_must_be(tmp_path):
    with pytest.raises(ModelError, match="names no model"):
        Teachers(LossWeights(teachers=" ,"))
    with pytest.raises(ModelError, match="nothing-here"):
        Teachers(LossWeights(teachers=str(tmp_path / "nothing-here")))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_features_come_from_any_published_backbone(name, scene, tmp_path):
    lightness, ab = scene
    source = keras.Input((None, None, 1))
    maps = BACKBONES[name].build(source)
    np.savez(tmp_path / "it.npz", **published(keras.Model(source, list(maps.values()))))
    features = Features(LossWeights(features=str(tmp_path / "it.npz")))
    assert features.frozen.count_params() > 2e6
    assert float(features.judge(lightness, ab, 0 * ab)[0]) > float(
        features.judge(lightness, ab, 0.9 * ab)[0]
    )


def test_features_need_a_published_backbone(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ModelError, match=r"other\.npz: weights of no known backbone"):
        Features(LossWeights(features=str(tmp_path / "other.npz")))
    config = ModelConfig(backbone="plain", loss="mse", size=32, decoder=(8,))
    folder = model_folder.save(build_model(config), config, bins.prior(np.ones(len(bins.centres()))),
                            tmp_path / "plain")  # fmt: skip
    with pytest.raises(ModelError, match="its backbone is plain; the perceptual loss needs one of"):
        Features(LossWeights(features=str(folder)))


def test_the_critic_learns_what_is_true_and_stays_finite(scene):
    keras.utils.set_random_seed(0)
    critic = Critic(LossWeights(critic_rate=1e-3))
    lightness, ab = scene
    step = tf.function(lambda: critic.learn(lightness, ab, 0.2 * ab, 1)["critic"])
    losses = [float(step()) for _ in range(60)]
    assert np.isfinite(losses).all() and losses[-1] < 0.8 * losses[0]
    fooled, logs = critic.judge(lightness, ab, ab)
    caught, _ = critic.judge(lightness, ab, 0.2 * ab)
    assert float(fooled) < float(caught)
    assert float(fooled) == pytest.approx(0.003 * float(logs["fooling"]), rel=1e-5)


def test_the_penalty_flattens_the_critic(scene):
    lightness, ab = scene

    def steepness(penalty):
        keras.utils.set_random_seed(0)
        critic = Critic(dataclasses.replace(LossWeights(critic_rate=1e-3), penalty=penalty))
        step = tf.function(lambda: critic.learn(lightness, ab, 0.2 * ab, 1))
        for _ in range(40):
            step()
        with tf.GradientTape() as tape:
            tape.watch(ab)
            score = tf.reduce_sum(tf.reduce_mean(critic._patches(lightness, ab), (1, 2, 3)))
        return float(tf.norm(tape.gradient(score, ab)))

    assert steepness(100.0) < 0.7 * steepness(0.0)
