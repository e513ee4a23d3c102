import dataclasses

import pytest

from colorcli.config.training import PRESETS, TrainConfig
from colorcli.system.errors import UsageError
from colorcli.training import schedule

CONFIG = dataclasses.replace(TrainConfig(), warmup=10, frozen=0.5)


def test_rates_warm_up_then_release_then_vanish():
    assert schedule.rates(CONFIG, 0, 0.0)[0] < schedule.rates(CONFIG, 9, 0.01)[0]
    assert schedule.rates(CONFIG, 50, 0.4)[1] == 0 < schedule.rates(CONFIG, 60, 0.7)[1]
    assert max(schedule.rates(CONFIG, 100, 1.0)) < 1e-9
    before, after = (schedule.rates(CONFIG, 99, f)[0] for f in (0.4999, 0.5001))
    assert before == pytest.approx(after, rel=0.01)  # the decoder's rate has no jump


@pytest.mark.parametrize("frozen", [0.0, 1.0])
def test_never_or_always_frozen(frozen):
    config = dataclasses.replace(CONFIG, frozen=frozen)
    rates = [schedule.rates(config, 99, f / 10) for f in range(11)]
    assert (max(r[1] for r in rates) > 0) == (frozen == 0.0)
    assert rates[0][0] > rates[5][0] > rates[10][0] and rates[10][0] < 1e-9


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_end_at_rate_zero(preset):
    assert max(schedule.rates(PRESETS[preset], 10_000, 1.0)) < 1e-9


def test_stages_follow_each_other_by_share():
    config = dataclasses.replace(CONFIG, stages=((128, 3.0), (192, 1.0)))
    sizes = [schedule.size_at(config, f) for f in (0.0, 0.74, 0.75, 0.99, 1.0)]
    assert sizes == [128, 128, 192, 192, 192]


@pytest.mark.parametrize("stage", [(100, 1.0), (128, 0.0), (128, -1.0)])
def test_impossible_stages_are_refused(stage):
    with pytest.raises(UsageError, match="stage"):
        schedule.check(dataclasses.replace(CONFIG, stages=(stage,)))
