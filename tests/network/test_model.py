import numpy as np
import pytest

from colorcli.color import bins
from colorcli.config.model import ModelConfig
from colorcli.config.training import PRESETS, LossWeights
from colorcli.network import model_folder
from colorcli.network.backbones import BACKBONES
from colorcli.network.decoding import KNOBS, NEUTRAL
from colorcli.network.losses import LOSSES
from colorcli.network.model import build_model, output_stride, sharpened, with_decode
from colorcli.system.errors import ModelError

PRIOR = bins.prior(np.ones(len(bins.centres())))


# A head knows nothing of its backbone: the large ones have one loss here, and all elsewhere.
PAIRS = [
    pytest.param(backbone, loss, marks=[pytest.mark.slow] * ("lite" in backbone and loss != "mse"))
    for backbone in BACKBONES for loss in LOSSES
]  # fmt: skip


@pytest.mark.parametrize(("backbone", "loss"), PAIRS)
def test_every_backbone_with_every_loss_gives_ab(backbone, loss):
    config = ModelConfig(backbone, loss, 64, (8, 8, 8))
    network = build_model(config)
    lightness = np.linspace(0, 100, 64 * 64, dtype=np.float32).reshape(1, 64, 64, 1)
    side = 64 // output_stride(config)
    assert network(lightness).shape == (1, side, side, LOSSES[loss].channels)
    shipped = with_decode(network, config, PRIOR)
    numbers = {name: np.full(1, k.neutral, np.float32) for name, k in KNOBS.items()}
    feed = {"L": lightness, **numbers}
    ab = np.asarray(shipped({k: v for k, v in feed.items() if k in shipped.input})["ab"])
    assert ab.shape == (1, side, side, 2)
    assert np.isfinite(ab).all() and np.abs(ab).max() <= 110


def test_sharpened_weights_multiply_the_output():
    network = build_model(ModelConfig("plain", "classification", 32, (8,)))
    lightness = np.linspace(0, 100, 32 * 32, dtype=np.float32).reshape(1, 32, 32, 1)
    network.get_layer("head").bias.assign(np.linspace(-3, 3, LOSSES["classification"].channels))
    before = network(lightness).numpy()
    model_folder.set_weights(network, sharpened(model_folder.arrays_of(network), 1.5))
    assert np.allclose(network(lightness).numpy(), 1.5 * before, atol=1e-4)
    assert np.abs(before).max() > 1


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_falls_when_the_answer_is_right(name):
    loss = LOSSES[name]
    ab = np.tile(bins.centres()[40], (1, 4, 4, 1)).astype(np.float32)
    wrong = np.zeros((1, 4, 4, loss.channels), np.float32)
    if loss.distribution:
        right = np.log(bins.encode(ab).astype(np.float32) + 1e-6)
    else:
        right = np.arctanh(ab / 110)
    values = [
        float(loss.loss(loss.encode(ab), output, LossWeights(), PRIOR)) for output in (right, wrong)
    ]
    assert values[0] < values[1] / 1.5
    decoded = np.asarray(loss.decode(right, NEUTRAL, np.log(PRIOR)))
    assert np.abs(decoded - ab).max() < 3


def test_rebalancing_changes_the_cross_entropy():
    loss = LOSSES["classification"]
    skewed = bins.prior(np.r_[1e6, np.ones(len(bins.centres()) - 1)])
    ab = np.tile(bins.centres()[-1], (1, 2, 2, 1)).astype(np.float32)
    output = np.zeros((1, 2, 2, loss.channels), np.float32)
    plain, weighted = (
        float(loss.loss(loss.encode(ab), output, LossWeights(rebalance=mix), skewed))
        for mix in (1.0, 0.5)
    )
    assert weighted > plain * 1.5


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_build(preset):
    assert build_model(PRESETS[preset].model).count_params() > 1e6


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"backbone": "resnet"}, "backbone"),
        ({"loss": "l3"}, "loss"),
        ({"size": 100}, "multiple of 32"),
        ({"decoder": ()}, "decoder"),
    ],
)
def test_impossible_configs_are_refused(changes, word):
    with pytest.raises(ModelError, match=word):
        build_model(ModelConfig(**changes))
