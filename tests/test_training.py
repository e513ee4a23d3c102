"""prepare → train → resume, on synthetic photographs."""

import dataclasses
import json

import numpy as np
import pytest

from colorcli import dataset
from colorcli.config import PRESETS, ModelConfig, PrepareConfig
from colorcli.errors import DataError, UsageError
from colorcli.prepare import prepare
from colorcli.train import rates, train

CONFIG = dataclasses.replace(
    PRESETS["default"],
    model=ModelConfig(size=64, decoder=(16, 16, 16)),
    init="none", train_size=64, batch=8, epochs=2, warmup=2, val_images=4, frozen=0.5, rate=2e-3, release_from=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    paths = sorted(str(p) for p in photos.iterdir())
    return prepare(
        paths, folder, PrepareConfig(val_fraction=0.15, shard_images=20, workers=1)
    ), folder


def test_rates_warm_up_then_release_then_vanish():
    config = dataclasses.replace(CONFIG, warmup=10)
    assert rates(config, 0, 0.0)[0] < rates(config, 9, 0.01)[0]
    assert rates(config, 50, 0.4)[1] == 0 and rates(config, 60, 0.7)[1] > 0
    assert max(rates(config, 100, 1.0)) < 1e-9


@pytest.mark.slow
def test_a_run_that_stopped_ends_like_one_that_did_not(data, tmp_path):
    loaded = dataset.load(data[1])
    straight = train(loaded, tmp_path / "straight", CONFIG)
    assert np.isfinite(straight.loss) and straight.steps == 2 * (loaded.counts["train"] // 8)
    lines = [json.loads(line) for line in (tmp_path / "straight" / "log.jsonl").open()]
    assert any("gain" in line for line in lines)

    class Stop(Exception):
        pass

    def stop(done, total, **_):
        if done == loaded.counts["train"] // 8 + 1:
            raise Stop

    with pytest.raises(Stop):
        train(loaded, tmp_path / "cut", CONFIG, progress=stop)
    resumed = train(loaded, tmp_path / "cut", CONFIG)
    assert resumed.steps == straight.steps
    assert resumed.val_psnr == pytest.approx(straight.val_psnr, abs=0.3)
    with pytest.raises(UsageError, match="other settings"):
        train(loaded, tmp_path / "cut", dataclasses.replace(CONFIG, batch=4))


def test_fewer_photographs_than_a_batch(data, tmp_path):
    with pytest.raises(DataError, match="fewer than one batch"):
        train(dataset.load(data[1]), tmp_path / "x", dataclasses.replace(CONFIG, batch=64))
