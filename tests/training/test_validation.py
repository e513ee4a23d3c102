"""What judges a run."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from colorcli.color import bins
from colorcli.config.model import ModelConfig
from colorcli.config.prepare import PrepareConfig
from colorcli.config.training import PRESETS
from colorcli.data import dataset
from colorcli.data.prepare import prepare
from colorcli.network.losses import LOSSES
from colorcli.training import validation
from colorcli.training.feed import mixture
from colorcli.training.validation import SCALES, Validation

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
    found = judge.score(judge.predictor(keras.Model(x, head(x))))
    return judge, (found.psnr, found.scale)


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


class Blueish:
    """A predictor that says one colour everywhere."""

    def __init__(self, ab):
        self.ab = np.float32(ab)

    def __call__(self, lightness):
        return tf.constant(np.tile(self.ab, (1, len(lightness), 8, 8, 1)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two prepared folders called set: one of blue and red pictures in sets, one of green ones."""
    root = tmp_path_factory.mktemp("v")
    colours = {"one/blue": (60, 60, 200), "one/red": (200, 60, 60), "two/green": (60, 160, 60)}
    for place, colour in colours.items():
        (root / place).mkdir(parents=True)
        for i in range(5 if "blue" in place else 3):
            picture = np.full((64, 64 + i, 3), colour, np.uint8)
            picture[: 8 + i] = 20 * i
            Image.fromarray(picture).save(root / place / f"{i}.png")
    for name in ("one", "two"):
        prepare(
            sorted(map(str, (root / name).rglob("*.png"))), root / name / "set",
            PrepareConfig(val_fraction=1, workers=1, min_chroma=0, min_spread=0, rims="keep",
                          duplicate_distance=-1, roots=(str(root / name),)),
        )  # fmt: skip
    return [dataset.load(root / name / "set") for name in ("one", "two")]


def test_folders_are_weighed_and_sets_are_told(folders):
    config = dataclasses.replace(
        PRESETS["default"], model=ModelConfig(loss="mse", size=32), val_images=20
    )
    judge = Validation(mixture.weighed([(folders[0], 3.0), (folders[1], 1.0)]), config, PRIOR)
    told = judge.told()
    assert {k: (v["images"], v.get("weight")) for k, v in told.items()} == {
        "set": (8, 3.0), "set/blue": (5, None), "set/red": (3, None), "set 2": (3, 1.0),
    }  # fmt: skip
    gray = 0.75 * told["set"]["gray_psnr"] + 0.25 * told["set 2"]["gray_psnr"]
    assert judge.gray_psnr == pytest.approx(gray, abs=1e-3)
    blue = judge.score(Blueish([30, -70]))
    assert blue.gains["set/blue"] > 2 > 0 > max(blue.gains["set/red"], blue.gains["set 2"])
    mean = (5 * blue.gains["set/blue"] + 3 * blue.gains["set/red"]) / 8
    assert blue.gains["set"] == pytest.approx(mean)
    whole = 0.75 * blue.gains["set"] + 0.25 * blue.gains["set 2"]
    assert blue.psnr - judge.gray_psnr == pytest.approx(whole)
    # A folder of weight 0 is told and does not judge.
    apart = Validation(mixture.weighed([(folders[0], 1.0), (folders[1], 0.0)]), config, PRIOR)
    shown = apart.score(Blueish([30, -70]))
    assert shown.psnr - apart.gray_psnr == pytest.approx(shown.gains["set"])
    assert shown.gains["set 2"] == pytest.approx(blue.gains["set 2"])
    # The panel takes turns: blue or red, then green.
    panel = judge.panel(Blueish([0, 0]), 2)
    assert panel[52, -10].argmax() == 1 and panel[20, -10].argmax() != 1


def test_each_folder_gives_so_many_pictures(folders):
    config = dataclasses.replace(
        PRESETS["default"], model=ModelConfig(loss="mse", size=32), val_images=3
    )
    judge = Validation(dataset.joined(folders), config, PRIOR)
    assert [len(judge.groups[label]) for label in judge.weights] == [3, 3]


def test_one_is_among_the_scales():
    assert 1.0 in SCALES and sorted(SCALES) == list(SCALES)
