"""Colours along motion: flicker goes, edges and cuts stay, times are seconds."""

import numpy as np
import pytest
from conftest import scene

from colorcli.extras.video.shots import Cuts
from colorcli.extras.video.steady import SIDE, Look, Steadied

COUNT, GRID, STEP = 30, 16, 1  # frames, points of ab, pixels of luma a frame


def wide(seed, width):
    """A scene with texture to follow, (SIDE, width) uint8."""
    texture = np.random.default_rng(seed).normal(0, 30, (SIDE // 4, width // 4 + 1))
    smooth = np.kron(texture, np.ones((4, 4)))
    gray = scene(seed, width, SIDE)[..., 1]
    return np.clip(gray * 0.6 + 50 + smooth[:SIDE, :width], 0, 255).astype(np.uint8)


def pan(count=COUNT, noise=6.0, seed=0, step=STEP, rate=25.0):
    """Looks at a scene that moves, with its true ab, and ab that flickers."""
    random = np.random.default_rng(seed)
    width = SIDE + step * count + 8
    luma = wide(seed, width)
    x = np.arange(width) / SIDE
    truth = np.stack([30 * np.sin(6 * x), -25 * np.cos(6 * x)], axis=-1).astype(np.float32)
    looks, truths = [], []
    for index in range(count):
        at = slice(index * step, index * step + SIDE)
        columns = truth[at].reshape(GRID, SIDE // GRID, 2).mean(axis=1)
        own = np.broadcast_to(columns, (GRID, GRID, 2)).astype(np.float32)
        shake = random.normal(0, noise, 2).astype(np.float32)
        looks.append(Look(own + shake, np.ascontiguousarray(luma[:, at]), index / rate, index))
        truths.append(own)
    return looks, truths


def error(planes, truths):
    return float(
        np.sqrt(np.mean([((a - b) ** 2).mean() for a, b in zip(planes, truths, strict=True)]))
    )


def steadied(looks, seconds=0.5, **options):
    pairs = list(Steadied(seconds, **options)(looks))
    assert [look.frame for look, _ in pairs] == [look.frame for look in looks]
    return [ab for _, ab in pairs]


def test_flicker_goes_and_moving_colours_stay_where_they_are():
    looks, truths = pan()
    before, after = error([look.ab for look in looks], truths), error(steadied(looks), truths)
    assert after < 0.4 * before
    # Standing still would smear: colours have moved by half of the picture meanwhile.
    calm, _ = pan(noise=0)
    assert error(steadied(calm), truths) < 1.5


def test_nought_changes_nothing():
    looks, _ = pan()
    for look, ab in zip(looks, steadied(looks, 0.0), strict=True):
        assert ab is look.ab


def test_the_first_frames_are_as_steady_as_the_last():
    looks, truths = pan(noise=8)
    out = steadied(looks)
    assert error(out[:3], truths[:3]) < 0.5 * error([look.ab for look in looks[:3]], truths[:3])


@pytest.mark.parametrize("rate", [12.5, 50.0])
def test_the_mean_is_over_seconds_not_frames(rate):
    """One frame's flash lasts as long whatever the rate: at twice the rate it weighs half."""
    peaks = {}
    for each in (25.0, rate):
        looks, _ = pan(noise=0, step=0, rate=each)
        looks[15] = Look(looks[15].ab + 40, looks[15].luma, looks[15].time, 15)
        out = steadied(looks, 0.2)
        peaks[each] = float((out[15] - looks[0].ab).mean())
    assert peaks[rate] / peaks[25.0] == pytest.approx(25.0 / rate, rel=0.35)


def test_a_cut_is_found_and_nothing_crosses_it():
    looks, _ = pan(12, noise=0)
    other, _ = pan(12, noise=0, seed=3)
    for index, look in enumerate(other):
        looks.append(Look(look.ab + 60, look.luma, (12 + index) / 25, 12 + index))
    stabiliser = Steadied(0.5)
    out = [ab for _, ab in stabiliser(looks)]
    assert stabiliser.shots == 2
    alone = steadied(looks[:12]) + steadied(looks[12:])
    for ours, theirs in zip(out, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_uncovered_does_not_inherit_colours():
    """A bright square crosses a dark ground: where it was, its colour does not linger."""
    looks = []
    for index in range(20):
        luma = np.full((SIDE, SIDE), 40, np.uint8)
        luma[:, index * 2 : index * 2 + 16] = 220
        ab = np.zeros((GRID, GRID, 2), np.float32)
        ab[:, index // 2 : index // 2 + 4] = 50
        looks.append(Look(ab, luma, index / 25, index))
    last = steadied(looks)[-1]
    assert np.abs(last[:, :7]).mean() < 8  # an average that stands still leaves 16
    assert last[:, 10:13].mean() > 35


def test_hues_that_waver_do_not_turn_gray():
    looks, _ = pan(20, noise=0, step=0)
    for index, look in enumerate(looks):
        angle = 0.6 * (-1) ** index
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        looks[index] = Look((look.ab @ turn).astype(np.float32), look.luma, look.time, index)
    chroma = [
        np.hypot(*np.moveaxis(plane, -1, 0)).mean() for plane in (looks[9].ab, steadied(looks)[9])
    ]
    assert chroma[1] > 0.97 * chroma[0]


def test_memory_is_bounded_however_long_a_shot():
    held = most = 0

    def counted():
        nonlocal held, most
        for index in range(200):
            held += 1
            most = max(most, held)
            yield Look(
                np.zeros((4, 4, 2), np.float32), np.full((SIDE, SIDE), 9, np.uint8), index / 25
            )

    for _ in Steadied(1.0, ahead=5)(counted()):
        held -= 1
    assert (held, most) == (0, 6)


def brightness(frames):
    finder = Cuts()
    return [finder(frame) for frame in frames]


@pytest.mark.parametrize("change", ["flicker", "fade", "pan", "grain"])
def test_what_is_no_cut(change):
    random, base = np.random.default_rng(0), wide(0, SIDE * 3)
    frames = []
    for index in range(24):
        frame = base[:, 2 * index : 2 * index + SIDE] if change == "pan" else base[:, :SIDE]
        frame = frame.astype(float)
        if change == "flicker":
            frame = frame * (0.85 + 0.3 * (index % 2))
        if change == "fade":
            frame = frame * (index / 23)
        if change == "grain":
            frame = frame + random.normal(0, 20, frame.shape)
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    assert brightness(frames) == [True] + [False] * 23
