import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from skimage import color

from colorcli.color import lab

CUBE = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)


@pytest.mark.parametrize("xp", [np, ops], ids=["numpy", "keras"])
def test_rgb_to_lab_agrees_with_scikit_image(xp):
    rgb = (CUBE / 255).astype(np.float32)
    ours = np.asarray(lab.rgb_to_lab(rgb, xp))
    assert np.abs(ours - color.rgb2lab(CUBE / 255)).max() < 1e-3


@pytest.mark.parametrize("xp", [np, ops], ids=["numpy", "keras"])
def test_round_trip_within_half_a_level(xp):
    rgb = (CUBE / 255).astype(np.float32)
    back = np.asarray(lab.lab_to_rgb(lab.rgb_to_lab(rgb, xp), xp))
    assert np.abs(back - rgb).max() * 255 < 0.5


def test_rgb_to_lab_refuses_integers():
    with pytest.raises(TypeError, match="floats"):
        lab.rgb_to_lab(CUBE.astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_to_L_is_the_lightness_of_neutral_colours(dtype):
    gray = np.linspace(0, np.iinfo(dtype).max, 256).astype(dtype)[None]
    rgb = np.repeat(gray[..., None], 3, -1) / np.iinfo(dtype).max
    assert np.abs(lab.gray_to_L(gray) - color.rgb2lab(rgb)[..., 0]).max() < 1e-3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_picture_to_lab_is_the_exact_one(dtype):
    rgb = (CUBE * (np.iinfo(dtype).max // 255)).astype(dtype)
    assert np.abs(lab.picture_to_lab(rgb) - color.rgb2lab(CUBE / 255)).max() < 1e-3


def test_opencv_which_joins_for_speed_is_held_to_ours():
    planes = lab.picture_to_lab(CUBE.astype(np.uint8))
    theirs = cv2.cvtColor(planes, cv2.COLOR_Lab2RGB)
    assert np.abs(theirs - lab.lab_to_rgb(planes)).max() * 255 < 0.5
    assert np.abs(theirs * 255 - CUBE).max() < 0.5


def test_curves_meet_their_lines_and_return():
    light = np.linspace(0, 1, 100_001)
    for there, back in (
        (lab.srgb_linear, lab.srgb_encoded), (lab.luminance_to_L, lab.L_to_luminance),
    ):  # fmt: skip
        shown = there(light)
        assert (np.diff(shown) > 0).all() and np.abs(back(shown) - light).max() < 1e-6
    assert abs(lab.luminance_to_L(0.0)) < 1e-4 and abs(lab.luminance_to_L(1.0) - 100) < 1e-9


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_neutral_keeps_lightness(dtype):
    rgb = (CUBE * (np.iinfo(dtype).max // 255)).astype(dtype)
    kept = lab.gray_to_L(lab.neutral(rgb))
    assert np.abs(kept - color.rgb2lab(CUBE / 255)[..., 0]).max() < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_join_is_scikit_image_within_a_level(dtype):
    random = np.random.default_rng(1)
    gray = random.integers(0, np.iinfo(dtype).max + 1, (40, 50)).astype(dtype)
    ab = random.uniform(-60, 60, (40, 50, 2)).astype(np.float32)
    planes = np.dstack([lab.gray_to_L(gray), ab]).astype(np.float64)
    wanted = lab.lab_to_shown(planes)
    assert np.abs(lab.join(gray, ab) / np.iinfo(dtype).max - wanted).max() * 255 <= 1.0


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_join_preserves_lightness_of_in_gamut_colours(seed):
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (16, 16, 3)) / 255
    true = color.rgb2lab(rgb)
    gray = lab.neutral((rgb * 255).astype(np.uint8))
    ab = true[..., 1:].astype(np.float32)
    shown, coloured = lab.join(gray, ab, np.uint16) / 65535, lab.join(gray, ab) / 65535
    assert np.abs(color.rgb2lab(shown)[..., 0] - lab.gray_to_L(gray)).max() < 0.03
    inside = ((rgb > 0.01) & (rgb < 0.99)).all(axis=-1)  # no channel at an end: nothing changes
    assert np.abs(coloured - rgb)[inside].max() * 255 < 1


def test_join_in_strips_is_join_at_once(monkeypatch):
    random = np.random.default_rng(2)
    gray = random.integers(0, 256, (97, 61)).astype(np.uint8)
    ab = random.uniform(-50, 50, (8, 8, 2)).astype(np.float32)
    whole = lab.join(gray, ab)
    monkeypatch.setattr(lab, "STRIP", 300)
    assert np.array_equal(lab.join(gray, ab), whole)


def test_zero_chroma_gives_the_gray_back():
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    rgb = lab.join(gray, np.zeros((1, 1, 2), np.float32))
    assert np.abs(rgb.astype(int) - gray[..., None]).max() <= 1


# --- the edge of the gamut ---------------------------------------------------------------------

EVERY_LEVEL = np.arange(256)


def ramps(dtype) -> tuple[np.ndarray, np.ndarray]:
    """Every 8-bit level of gray (256, N) beside ab (256, N, 2) of every hue and chroma to 150."""
    hue, chroma = np.deg2rad(np.arange(0, 360, 5)), np.arange(0, 151, 5)
    ab = chroma[:, None, None] * np.stack([np.cos(hue), np.sin(hue)], axis=-1)
    ab = np.repeat(ab.reshape(1, -1, 2), 256, axis=0).astype(np.float32)
    gray = np.repeat(EVERY_LEVEL[:, None], ab.shape[1], axis=1) * (np.iinfo(dtype).max // 255)
    return gray.astype(dtype), ab


def half_a_level() -> np.ndarray:
    """In L (256, 1): half the step of gray to its neighbours, or half of 100 / 255 where that is
    more (near black, where three channels rounded on their own move L by more than one does)."""
    light = lab.lightness(np.arange(-1, 257).clip(0, 255) / 255)
    return np.maximum(np.diff(light).reshape(-1)[1:] / 2, 50 / 255)[:, None]


def off(shown: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """How far L of ``shown`` is from that of ``gray``."""
    return np.abs(color.rgb2lab(shown / np.iinfo(shown.dtype).max)[..., 0] - lab.gray_to_L(gray))


@pytest.mark.parametrize(("given", "shown", "most"), [
    (np.uint8, np.uint8, None), (np.uint16, np.uint8, None), (np.uint16, np.uint16, 0.05),
    (np.uint8, np.uint16, 0.05),
])  # fmt: skip
def test_every_level_keeps_its_lightness_under_every_chroma(given, shown, most):
    gray, ab = ramps(given)
    error = off(lab.join(gray, ab, shown), gray)
    assert (error <= (half_a_level() + 0.005 if most is None else most)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_black_and_white_are_neutral(dtype):
    gray, ab = ramps(dtype)
    shown, light = lab.join(gray, ab), lab.gray_to_L(gray)
    ends = (light <= 1) | (light >= 99)
    assert ends.any() and np.array_equal(shown[ends], np.repeat(gray[ends][:, None], 3, axis=1))
    between = np.linspace(0, np.iinfo(dtype).max, 5000).astype(dtype)[None]
    shown = lab.join(between, np.full((1, 5000, 2), -60, np.float32))
    ends = (lab.gray_to_L(between) <= 1) | (lab.gray_to_L(between) >= 99)
    assert (np.ptp(shown[ends].astype(int), axis=-1) == 0).all()


COLOURS = st.tuples(st.floats(0, 100), st.floats(0, 6.2831), st.floats(0, 150))


@settings(max_examples=300)
@given(COLOURS)
def test_colours_that_are_not_there_are_drawn_straight_to_the_wall(colour):
    light, hue, chroma = colour
    wanted = np.array([light, chroma * np.cos(hue), chroma * np.sin(hue)])
    channels, y = lab._linear(*wanted, np)
    linear = np.array(channels)
    shown = lab.lab_to_shown(wanted)
    assert abs(lab.rgb_to_lab(shown)[0] - light) < 0.01
    if not 1 < light < 99:
        assert np.ptp(shown) < 1e-4
    elif linear.min() >= 0 and linear.max() <= 1:
        assert np.abs(shown - lab.lab_to_rgb(wanted)).max() < 1e-6
    else:
        assert min(shown.min(), 1 - shown.max()) < 1e-6
        ours, theirs = lab.srgb_linear(shown) - y, linear - y
        share = np.linalg.norm(ours) / np.linalg.norm(theirs)
        assert share < 1 and np.abs(ours - share * theirs).max() < 1e-5


@settings(max_examples=50)
@given(COLOURS)
def test_drawn_in_once_is_drawn_in(colour):
    light, hue, chroma = colour
    once = lab.lab_to_shown(np.array([light, chroma * np.cos(hue), chroma * np.sin(hue)]))
    assert np.abs(lab.lab_to_shown(lab.rgb_to_lab(once)) - once).max() * 255 < 0.2


def test_numpy_and_keras_show_the_same():
    gray, ab = ramps(np.uint8)
    planes = np.dstack([lab.gray_to_L(gray), ab]).astype(np.float32)
    ours, theirs = lab.lab_to_shown(planes), np.asarray(lab.lab_to_shown(planes, ops))
    assert np.abs(ours - theirs).max() * 255 < 0.1


def test_the_edge_is_found_in_every_batch(monkeypatch):
    gray, ab = ramps(np.uint8)
    whole = lab.join(gray, ab)
    monkeypatch.setattr(lab._Edge, "batch", 1000)
    monkeypatch.setattr(lab, "STRIP", 5000)
    assert np.array_equal(lab.join(gray, ab), whole)
