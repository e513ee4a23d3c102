"""What the network is shown: one way, and its twin in graphs."""

import numpy as np
import pytest

from colorcli.color.lab import gray_to_L
from colorcli.colorizing import framing
from colorcli.exporting.signatures import _stretched


@pytest.mark.parametrize(("low", "span"), [(0, 1.0), (16000, 0.35), (30000, 0.02), (0, 0.3)])
def test_the_graph_stretches_as_framing_does(low, span):
    random = np.random.default_rng(0)
    gray = (low + span * random.integers(0, 65535, (96, 96))).astype(np.uint16)
    light = gray_to_L(gray)
    found = np.asarray(_stretched(light[None], 96))[0]
    assert np.abs(found - framing.stretch(light)).max() < 1e-3
    assert (np.abs(found - light).max() > 1) == (span < 1)


@pytest.mark.parametrize("shape", [(64, 64), (1000, 700), (40, 3000), (1, 5)])
def test_any_picture_becomes_a_square(shape):
    gray = np.full(shape, 90, np.uint8)
    seen = framing.shown(gray, 64)
    assert seen.shape == (64, 64) and seen.dtype == np.float32
    assert np.ptp(seen) < 1e-3  # nothing comes in from the sides


def test_the_range_is_that_of_percentiles():
    random = np.random.default_rng(0)
    for size in (1, 2, 3, 10, 199, 200, 201, 40_000):
        for light in (random.random(size) * 100, random.integers(0, 101, size), np.zeros(size)):
            light = light.astype(np.float32).reshape(1, -1)
            wanted = np.percentile(light, (framing.TAILS, 100 - framing.TAILS))
            assert framing.reach(light) == tuple(wanted)
