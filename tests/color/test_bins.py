import numpy as np
import pytest
from keras import ops

from colorcli.color import bins
from colorcli.color.lab import rgb_to_lab
from colorcli.network.decoding import NEUTRAL, decode


def test_every_srgb_colour_has_its_bin():
    random = np.random.default_rng(0)
    ab = rgb_to_lab(random.uniform(0, 1, (20000, 3)))[:, 1:]
    known = {tuple(c) for c in bins.centres()}
    cells = {tuple(c) for c in np.rint(ab / bins.GRID) * bins.GRID}
    assert cells <= known
    assert len(known) == 261


def test_soft_encoding_sums_to_one_on_five_bins():
    table = bins.table()
    assert ((table > 0).sum(1) <= bins.NEIGHBOURS).all()
    assert np.abs(table.astype(np.float32).sum(1) - 1).max() < 3e-3


@pytest.mark.parametrize("xp", [np, ops], ids=["numpy", "keras"])
def test_encoding_then_mean_returns_the_colour(xp):
    random = np.random.default_rng(0)
    ab = rgb_to_lab(random.uniform(0.2, 0.8, (500, 3)).astype(np.float32))[:, 1:]
    soft = np.asarray(bins.encode(ab, xp)).astype(np.float32)
    back = np.asarray(decode(np.log(soft + 1e-9), NEUTRAL, 0.0, xp))
    assert np.abs(back - ab).max() < 5.0
    assert np.abs(back - ab).mean() < 1.5


def test_exact_centre_is_its_own_mode():
    soft = bins.encode(bins.centres())
    assert (soft.argmax(1) == np.arange(len(bins.centres()))).all()


def test_low_temperature_is_the_mode_and_vividness_divides_the_prior_out():
    p = np.full(len(bins.centres()), 1e-4, np.float32)
    p[10] = 1
    logits = np.log(p)
    logits[50] += 5
    cold = decode(logits, {**NEUTRAL, "temperature": 1e-3}, np.log(p), np)
    assert np.allclose(cold, bins.centres()[10], atol=0.01)
    corrected = decode(logits, {"temperature": 1e-3, "vividness": 1.0}, np.log(p), np)
    assert np.allclose(corrected, bins.centres()[50], atol=0.01)


def test_prior_is_a_distribution_without_zeros():
    p = bins.prior(np.eye(len(bins.centres()))[5])
    assert p.sum() == pytest.approx(1, abs=1e-5) and p.min() > 0 and p.argmax() == 5


@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_rebalance_has_unit_expectation(mix):
    p = bins.prior(np.random.default_rng(0).integers(1, 1000, len(bins.centres())))
    w = bins.rebalance(p, mix)
    assert (p * w).sum() == pytest.approx(1, abs=1e-4)
    assert (np.ptp(w) < 1e-5) == (mix == 1.0)
    if mix < 1:
        assert w[p.argmin()] > w[p.argmax()]
