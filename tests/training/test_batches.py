"""Training batches: the right numbers, from any step, in any number of parts."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from PIL import Image

from colorcli.color.lab import rgb_to_lab, srgb_linear
from colorcli.config.prepare import PrepareConfig
from colorcli.data import dataset
from colorcli.data.prepare import prepare
from colorcli.system.errors import UsageError
from colorcli.training.feed import aging, batches, mixture
from colorcli.training.feed.shares import Share


@pytest.fixture(scope="module")
def data(prepared):
    return prepared(val_fraction=0, shard_images=10)


def drawn(data, count, **options):
    options = {"size": 32, "stride": 4, "batch": 4, "seed": 3, "augment": 0.5, **options}
    view, part = (
        kind(**{f.name: options.pop(f.name) for f in dataclasses.fields(kind) if f.name in options})
        for kind in (batches.View, batches.Part)
    )
    stream = batches.batches(data, view, part=part, **options)
    return [(a.numpy(), b.numpy()) for a, b in stream.take(count)]


def test_lab_is_that_of_the_lab_module():
    rgb = np.random.default_rng(0).random((3, 16, 16, 3)).astype(np.float32)
    rgb[0] *= 0.05  # where the curves turn into lines
    rgb[1, :4], rgb[1, 4:8] = 0, 1
    lightness, ab = batches.lab(srgb_linear(tf.constant(rgb), ops), 4)
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
    parts = [drawn(data, 5, start=9, worker=i, workers=2) for i in range(2)]
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


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A folder of the sets a, b and c, twelve each, whose pictures are of one red level each."""
    root = tmp_path_factory.mktemp("sets")
    for i in range(36):
        path = root / "photos" / "abc"[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        side = 40 if i % 3 == 2 else 64
        picture = np.full((side, side + i, 3), (7 * i, 255 - 7 * i, 90), np.uint8)
        Image.fromarray(picture).save(path)
    config = PrepareConfig(
        val_fraction=0, shard_images=10, workers=1, duplicate_distance=-1, min_side=32,
        min_chroma=0, min_spread=0, roots=(str(root / "photos"),),
    )  # fmt: skip
    prepare(sorted(map(str, root.glob("photos/*/*"))), root / "set", config)
    return dataset.load(root / "set")


def seen(data, count, **options):
    """How often each of the 36 pictures comes in ``count`` batches of four."""
    found = np.zeros(36, int)
    options = {"augment": 0.0, "crop": 1.0, **options}
    colours = np.array([(7 * i, 255 - 7 * i, 90) for i in range(36)]) / 255
    told = rgb_to_lab(colours[None])[0, :, 1:]
    for _, ab in drawn(data, count, **options):
        for mean in ab.mean((1, 2)):
            found[np.abs(told - mean).sum(1).argmin()] += 1
    return found


def test_a_whole_weight_gives_each_photograph_so_often_in_every_epoch(sets):
    twice = mixture.weighed([(sets, 2.0)])
    assert twice.epoch == 72 and set(seen(twice, 18)) == {2}
    named = dataset.joined([sets, sets])
    for ours, theirs in zip(drawn(twice, 20), drawn(named, 20), strict=True):
        assert np.array_equal(ours[1], theirs[1])
    assert twice.fingerprint("train") == named.fingerprint("train") != sets.fingerprint("train")


def test_weights_of_sets_hold_over_many_epochs(sets):
    mixed = mixture.weighed([(sets, 1.0)], [Share("a", 2.0), Share("b", 0.25), Share("c", 0)])
    assert mixed.epoch == 24 + 3
    found = seen(mixed, 6 * 12).reshape(12, 3).sum(0)
    assert found[2] == 0 and found.sum() == 6 * 48
    assert found[0] / found.sum() == pytest.approx(24 / 27, abs=0.03)
    whole = drawn(mixed, 14)
    for ours, theirs in zip(drawn(mixed, 5, start=9), whole[9:], strict=True):
        assert np.array_equal(ours[1], theirs[1])


def test_folders_of_several_weights_come_as_often_as_they_say(sets, data):
    mixed = mixture.weighed([(sets, 0.5), (data, 1.5)])
    assert mixed.epoch == 18 + 72
    assert mixed.fingerprint("train") != dataset.joined([sets, data]).fingerprint("train")
    flat = [np.ptp(ab, (0, 1)).max() < 2 for _, b in drawn(mixed, 88, crop=1.0) for ab in b]
    assert np.mean(flat) == pytest.approx(18 / 90, abs=0.04)


def test_a_folder_prepared_without_sets_counts_by_its_own_name(data, tmp_path):
    plain = dataclasses.replace(data, info={})
    assert plain.sets == {"train": {"set": 48}, "val": {"set": 0}}
    assert mixture.weighed([(plain, 2.0)], [Share("set", 1.5)]).epoch == 144
    with pytest.raises(UsageError, match="set sat: none of the folders has it; did you mean set?"):
        mixture.weighed([(plain, 1.0)], [Share("sat", 1.5)])


def test_small_photographs_are_left_out_and_windows_grow(sets, monkeypatch):
    # At 64 px, those of 40 px would grow by 1.6; those of 64 px may be cut to 50 px.
    found = seen(sets, 9, size=64, enlarge=1.3, crop=0.3).reshape(12, 3).sum(0)
    assert found[2] == 0 and min(found[:2]) >= 12 and found.sum() == 36
    draws = tf.random.stateless_uniform((50, 5), [1, 2])
    jpeg = tf.io.encode_jpeg(np.zeros((64, 90, 3), np.uint8))
    windows, decode = [], tf.io.decode_and_crop_jpeg
    monkeypatch.setattr(
        tf.io, "decode_and_crop_jpeg",
        lambda j, window, **options: windows.append(window.numpy()) or decode(j, window, **options),
    )  # fmt: skip
    for enlarge, least in ((1.3, 50), (0.0, 1)):
        windows.clear()
        for draw in draws:
            batches._cropped(jpeg, 64, 0.3, draw, enlarge)
        heights, widths = np.array(windows)[:, 2:].T
        assert min(heights.min(), widths.min()) >= least
        assert (heights.min() < 50) == (enlarge == 0) and heights.max() > 60
        assert all(y + h <= 64 and x + w <= 90 for y, x, h, w in windows)
