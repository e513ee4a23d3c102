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
def test_plane_is_the_lightness_of_neutral_colours(dtype):
    gray = np.linspace(0, np.iinfo(dtype).max, 256).astype(dtype)[None]
    rgb = np.repeat(gray[..., None], 3, -1) / np.iinfo(dtype).max
    assert np.abs(lab.plane(gray) - color.rgb2lab(rgb)[..., 0]).max() < 1e-3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_neutral_keeps_lightness(dtype):
    rgb = (CUBE * (np.iinfo(dtype).max // 255)).astype(dtype)
    kept = lab.plane(lab.neutral(rgb))
    assert np.abs(kept - color.rgb2lab(CUBE / 255)[..., 0]).max() < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_join_is_scikit_image_within_a_level(dtype):
    random = np.random.default_rng(1)
    gray = random.integers(0, np.iinfo(dtype).max + 1, (40, 50)).astype(dtype)
    ab = random.uniform(-60, 60, (40, 50, 2)).astype(np.float32)
    planes = np.dstack([lab.plane(gray), ab]).astype(np.float64)
    wanted = lab.lab_to_rgb(planes)
    assert np.abs(lab.join(gray, ab) / np.iinfo(dtype).max - wanted).max() * 255 <= 1.0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_join_preserves_lightness_of_in_gamut_colours(seed):
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (16, 16, 3)) / 255
    true = color.rgb2lab(rgb)
    gray = lab.neutral((rgb * 255).astype(np.uint8))
    shown = lab.join(gray, true[..., 1:].astype(np.float32), np.uint16)
    wanted = np.dstack([lab.plane(gray), true[..., 1:]]).astype(np.float64)
    inside = np.abs(color.rgb2lab(lab.lab_to_rgb(wanted)) - wanted).max(-1) < 0.1  # not cut to RGB
    difference = np.abs(color.rgb2lab(shown / 65535)[..., 0] - lab.plane(gray))
    assert inside.any() and difference[inside].max() < 0.5


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
