"""What judges a run."""

import dataclasses

import keras
import numpy as np
import pytest

from colorcli import bins, dataset, validation
from colorcli.config import PRESETS, ModelConfig, PrepareConfig
from colorcli.losses import LOSSES
from colorcli.prepare import prepare
from colorcli.validation import SCALES, Validation

PRIOR = np.full(
    LOSSES["classification"].channels, 1 / LOSSES["classification"].channels, np.float32
)


@pytest.fixture(scope="module")
def data(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    prepare(sorted(map(str, photos.iterdir())), folder, PrepareConfig(val_fraction=1, workers=1))
    return dataset.load(folder)


def judged(data, loss, output):
    """Score of a network that says ``output`` (channels,) everywhere."""
    config = dataclasses.replace(
        PRESETS["default"], model=ModelConfig(loss=loss, size=32), val_images=4
    )
    x = keras.Input((32, 32, 1))
    head = keras.layers.Conv2D(
        len(output), 1, kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(output),
    )  # fmt: skip
    judge = Validation(data, config, PRIOR)
    return judge, judge.score(judge.predictor(keras.Model(x, head(x))))


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.5, 2.0])
def test_the_best_scale_undoes_what_made_logits_flat(data, monkeypatch, factor):
    # Two likely colours. A grid of scales multiplied by what the logits are divided by holds the
    # same products, so the same one must win with the same score.
    near = np.abs(bins.centres() - [20, 20]).sum(axis=1) < 1
    near |= np.abs(bins.centres() - [-20, -30]).sum(axis=1) < 1
    assert near.sum() == 2
    logits = np.where(near, [2.0 if c[0] > 0 else 0.0 for c in bins.centres()], -40.0)
    grid = np.linspace(0.05, 4, 80)
    monkeypatch.setattr(validation, "SCALES", tuple(grid))
    _, (best, scale) = judged(data, "classification", logits)
    monkeypatch.setattr(validation, "SCALES", tuple(grid * factor))
    _, (again, product) = judged(data, "classification", logits / factor)
    assert again == pytest.approx(best, abs=0.02)
    assert product == pytest.approx(scale * factor, rel=1e-6)


def test_a_head_of_plain_ab_has_one_scale(data):
    judge, (score, scale) = judged(data, "mse", np.zeros(2, np.float32))
    assert scale == 1.0 and score == pytest.approx(judge.gray_psnr, abs=1e-6)
    panel = judge.panel(judge.predictor(keras.Sequential([keras.Input((32, 32, 1)),
        keras.layers.Conv2D(2, 1, kernel_initializer="zeros", bias_initializer="ones")])), 2)  # fmt: skip
    assert panel.shape == (2 * 32 + 4, 3 * 32 + 8, 3)
    assert panel[:32, 36:68].std(axis=2).min() > 5


def test_one_is_among_the_scales():
    assert 1.0 in SCALES and sorted(SCALES) == list(SCALES)
