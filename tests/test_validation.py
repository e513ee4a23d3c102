"""What judges a run."""

import dataclasses

import keras
import numpy as np
import pytest

from colorcli import bins, dataset, validation
from colorcli.config import PRESETS, ModelConfig, PrepareConfig
from colorcli.losses import LOSSES
from colorcli.model import Calibration, calibrated
from colorcli.prepare import prepare
from colorcli.validation import PULLS, SCALES, Validation

PRIOR = np.full(
    LOSSES["classification"].channels, 1 / LOSSES["classification"].channels, np.float32
)


@pytest.fixture(scope="module")
def data(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    prepare(sorted(map(str, photos.iterdir())), folder, PrepareConfig(val_fraction=1, workers=1))
    return dataset.load(folder)


def head(output):
    return keras.layers.Conv2D(
        len(output), 1, kernel_initializer="zeros", name="head",
        bias_initializer=keras.initializers.Constant(output),
    )  # fmt: skip


def judged(data, loss, output, prior=PRIOR):
    """Score of a network that says ``output`` (channels,) everywhere."""
    config = dataclasses.replace(
        PRESETS["default"], model=ModelConfig(loss=loss, size=32), val_images=4
    )
    x = keras.Input((32, 32, 1))
    judge = Validation(data, config, prior)
    return judge, judge.score(judge.predictor(keras.Model(x, head(output)(x))))


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.5, 2.0])
def test_the_best_scale_undoes_what_made_logits_flat(data, monkeypatch, factor):
    # Two likely colours. A grid of scales multiplied by what the logits are divided by holds the
    # same products, so the same one must win with the same score.
    near = np.abs(bins.centres() - [20, 20]).sum(axis=1) < 1
    near |= np.abs(bins.centres() - [-20, -30]).sum(axis=1) < 1
    assert near.sum() == 2
    logits = np.where(near, [2.0 if c[0] > 0 else 0.0 for c in bins.centres()], -40.0)
    grid = np.linspace(0.05, 4, 80)
    monkeypatch.setattr(validation, "PULLS", (0.0,))
    monkeypatch.setattr(validation, "SCALES", tuple(grid))
    _, (best, found) = judged(data, "classification", logits)
    monkeypatch.setattr(validation, "SCALES", tuple(grid * factor))
    _, (again, product) = judged(data, "classification", logits / factor)
    assert again == pytest.approx(best, abs=0.02)
    assert product.scale == pytest.approx(found.scale * factor, rel=1e-6) and product.pull == 0


def test_colours_that_are_too_sure_are_drawn_to_the_prior(data):
    # Everything orange, and a prior of what is nearly gray.
    squared = (bins.centres().astype(np.float64) ** 2).sum(axis=1)
    prior = np.exp(-squared / 800) + 1e-4
    prior = (prior / prior.sum()).astype(np.float32)
    orange = -0.005 * ((bins.centres() - [30, 50]) ** 2).sum(axis=1)
    judge, (score, found) = judged(data, "classification", orange, prior)
    assert found.pull == max(PULLS)
    alone = judge.calibrations.index(dataclasses.replace(found, pull=0.0))
    x = keras.Input((32, 32, 1))
    network = keras.Model(x, head(orange)(x))
    assert score > judge._score(judge._predicted(judge.predictor(network))[alone]) + 0.2
    # What is written into a head gives the very same colours.
    arrays = {w.path: np.asarray(w) for w in network.weights}
    written = calibrated(arrays, found, prior)
    for weight in network.weights:
        weight.assign(written[weight.path])
    plain = judge.calibrations.index(Calibration())
    again = judge._score(judge._predicted(judge.predictor(network))[plain])
    assert again == pytest.approx(score, abs=1e-3)


def test_a_head_of_plain_ab_has_one_calibration(data):
    judge, (score, found) = judged(data, "mse", np.zeros(2, np.float32))
    assert found == Calibration() and score == pytest.approx(judge.gray_psnr, abs=1e-6)
    panel = judge.panel(judge.predictor(keras.Sequential([keras.Input((32, 32, 1)),
        keras.layers.Conv2D(2, 1, kernel_initializer="zeros", bias_initializer="ones")])), 2)  # fmt: skip
    assert panel.shape == (2 * 32 + 4, 3 * 32 + 8, 3)
    assert panel[:32, 36:68].std(axis=2).min() > 5


def test_doing_nothing_is_among_the_calibrations():
    assert 1.0 in SCALES and sorted(SCALES) == list(SCALES)
    assert PULLS[0] == 0.0 and sorted(PULLS) == list(PULLS)
