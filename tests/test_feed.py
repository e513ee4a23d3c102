"""Training batches: the right numbers, from any step, in any number of parts."""

import numpy as np
import pytest
import tensorflow as tf

from colorcli import aging, dataset, feed
from colorcli.config import PrepareConfig
from colorcli.lab import rgb_to_lab
from colorcli.prepare import prepare


@pytest.fixture(scope="module")
def data(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("feed") / "set"
    paths = sorted(str(p) for p in photos.iterdir())
    prepare(paths, folder, PrepareConfig(val_fraction=0, shard_images=10, workers=1))
    return dataset.load(folder)


def drawn(data, count, **options):
    options = {"size": 32, "stride": 4, "batch": 4, "seed": 3, "augment": 0.5, **options}
    return [(a.numpy(), b.numpy()) for a, b in feed.batches(data, **options).take(count)]


def test_lab_is_that_of_the_lab_module():
    rgb = np.random.default_rng(0).random((3, 16, 16, 3)).astype(np.float32)
    rgb[0] *= 0.05  # where the curves turn into lines
    rgb[1, :4], rgb[1, 4:8] = 0, 1
    lightness, ab = feed.lab(feed._linear(tf.constant(rgb)), 4)
    exact = rgb_to_lab(rgb.astype(np.float64))
    cells = exact[..., 1:].reshape(3, 4, 4, 4, 4, 2).mean((2, 4))
    assert np.abs(lightness - exact[..., 0]).max() < 1e-3
    assert np.abs(ab - cells).max() < 1e-3


def test_batches_are_the_same_from_any_step_on(data):
    steps = 48 // 4 + 3  # into the second epoch
    whole = drawn(data, steps)
    for start in (3, 12, 13):
        rest = drawn(data, steps - start, start=start)
        for ours, theirs in zip(rest, whole[start:], strict=True):
            assert np.array_equal(ours[1], theirs[1])
            assert np.allclose(ours[0], theirs[0], atol=1e-3)
    lightness, ab = whole[0]
    assert lightness.shape == (4, 32, 32, 1) and ab.shape == (4, 8, 8, 2)
    assert lightness.min() >= 0 and lightness.max() <= 100.01 and np.abs(ab).max() > 5
    assert not np.array_equal(whole[0][1], whole[12][1])  # another epoch, another order


def test_workers_share_the_batches_of_one(data):
    whole = drawn(data, 5, start=9)
    parts = [drawn(data, 5, start=9, part=(i, 2)) for i in range(2)]
    for step, (lightness, ab) in enumerate(whole):
        assert np.array_equal(ab, np.concatenate([p[step][1] for p in parts]))
        assert np.allclose(lightness, np.concatenate([p[step][0] for p in parts]), atol=1e-3)


def test_augmentation_ages_its_share_of_lightness_and_no_colours(data):
    plain, old = drawn(data, 12, augment=0.0), drawn(data, 12, augment=0.5)
    assert all(np.array_equal(p[1], o[1]) for p, o in zip(plain, old, strict=True))
    changed = [np.abs(p[0] - o[0]).max((1, 2, 3)) > 0.5 for p, o in zip(plain, old, strict=True)]
    assert 0.3 < np.mean(changed) < 0.7


def test_aging_without_luck_is_panchromatic_luminance():
    linear = tf.random.stateless_uniform((2, 8, 8, 3), [1, 2], 0.01, 1.0)
    draws = np.full((2, aging.DRAWS), 0.99, np.float32)
    draws[:, 0], draws[:, 1] = 0.0, 0.5  # panchromatic, gamma 1
    exact = linear.numpy() @ np.array(aging.PANCHROMATIC)
    assert np.abs(aging.aged(linear, draws, tf.zeros((2, 8, 8))) - exact).max() < 1e-4
    draws[1, 2:4] = 0.0, 0.9  # the second is blurred
    blurred = aging.aged(linear, draws, tf.zeros((2, 8, 8))).numpy()
    assert np.abs(blurred[0] - exact[0]).max() < 1e-4
    assert blurred[1].std() < 0.8 * exact[1].std()
