"""Scans from photographs: what covers them is neutral, what is left of them is as it was."""

import numpy as np
import pytest
import tensorflow as tf

from colorcli.training.feed import batches, mounts

COUNT, SIDE, STRIDE = 64, 64, 4


def drawn(seed=0, **fixed):
    """L, ab, draws and noise of pictures of one L and one colour; some draws as told by place."""
    random = np.random.default_rng(seed)
    draws = random.random((COUNT, mounts.DRAWS)).astype(np.float32)
    for place, value in fixed.items():
        draws[:, int(place[1:])] = value
    lightness = np.full((COUNT, SIDE, SIDE), 50, np.float32)
    ab = np.full((COUNT, SIDE // STRIDE, SIDE // STRIDE, 2), 20, np.float32)
    noise = random.normal(size=lightness.shape).astype(np.float32)
    return lightness, ab, draws, noise


def mounted(*given):
    return [x.numpy() for x in mounts.mounted(*map(tf.constant, given))]


def kind_at(name):
    """A draw that falls to a kind."""
    names = [kind for kind, *_ in mounts.KINDS]
    shares = [share for _, share, *_ in mounts.KINDS]
    return sum(shares[: names.index(name)]) + shares[names.index(name)] / 2


def test_shares_are_whole():
    for table in ([row[1] for row in mounts.KINDS], [row[0] for row in mounts.TONES]):
        assert sum(table) == pytest.approx(1)


def test_what_is_covered_is_neutral_and_the_rest_as_it_was():
    lightness, ab, draws, noise = drawn()
    shown, colours = mounted(lightness, ab, draws, noise)
    assert shown.shape == lightness.shape and colours.shape == ab.shape
    assert shown.min() >= 0 and shown.max() <= 100
    cells = np.abs(shown - lightness).reshape(COUNT, SIDE // STRIDE, STRIDE, -1, STRIDE)
    touched = cells.max(axis=(2, 4)) > 0.5
    share = colours[..., 0] / 20
    assert np.all(share[~touched] > 0.9) and np.all((share >= -1e-5) & (share <= 1 + 1e-5))
    assert 0.1 < touched.mean() < 0.9 and (share < 0.05).mean() > 0.1
    assert np.array_equal(colours[..., 0], colours[..., 1])


@pytest.mark.parametrize(("kind", "covered", "open"), [
    ("letterbox", [(0, 8), (-1, 8)], [(8, 0), (8, -1)]),
    ("pillarbox", [(8, 0), (8, -1)], [(0, 8), (-1, 8)]),
    ("rim", [(0, 8), (8, 0), (-1, 8), (8, -1)], [(8, 8)]),
    ("page", [(0, 8), (8, 0), (-1, 8), (8, -1)], [(7, 7)]),
    ("oval", [(0, 0), (-1, 0), (0, -1), (-1, -1)], [(8, 8), (8, 2)]),
])  # fmt: skip
def test_each_kind_covers_what_it_is_called_by(kind, covered, open):
    lightness, ab, draws, noise = drawn(_0=kind_at(kind), _1=0.7, _14=1.0)  # without marks
    _, colours = mounted(lightness, ab, draws, noise)
    for row, column in covered:
        assert np.all(colours[:, row, column, 0] < 8), (row, column)
    for row, column in open:
        assert np.all(colours[:, row, column, 0] > 18), (row, column)


def test_a_bare_photograph_is_marked():
    lightness, ab, draws, noise = drawn(_0=kind_at("bare"))
    shown, colours = mounted(lightness, ab, draws, noise)
    inked = np.abs(shown - lightness).reshape(COUNT, -1).max(axis=1) > 5
    assert inked.mean() > 0.8 and (colours[..., 0] > 19).mean() > 0.6


def test_marks_are_the_same_always_and_not_alike():
    bank = mounts.marks()
    mounts.marks.cache_clear()
    assert np.array_equal(bank, mounts.marks())
    assert bank.shape == (mounts.MARKS, mounts.MARK, mounts.MARK, 1) and bank.max() == 1
    assert all(0.002 < mark.mean() < 0.5 for mark in bank)
    assert len({mark.tobytes() for mark in bank}) == mounts.MARKS


def test_batches_show_a_share_as_scans(prepared):
    data = prepared(val_fraction=0, shard_images=10)

    def first(**options):
        view = batches.View(size=32, stride=4, augment=0.5, **options)
        stream = batches.batches(data, view, batch=16, seed=3)
        return [x.numpy() for x in next(iter(stream))]

    (bare, colours), (some, less), (all_, least) = (first(scans=s) for s in (0.0, 0.5, 1.0))
    same = [np.array_equal(a, b) for a, b in zip(bare, some, strict=True)]
    assert 0 < sum(same) < 16  # the others are the photographs that they were
    assert all(np.array_equal(a, b) == s for a, b, s in zip(colours, less, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(bare, all_, strict=True))
    assert np.abs(least).mean() < np.abs(less).mean() < np.abs(colours).mean()
    assert np.array_equal(all_, first(scans=1.0)[0])
