"""What counts as colour."""

import numpy as np
import pytest
from conftest import scene, sepia

from colorcli.color.limits import Limits
from colorcli.color.tone import Colours, is_colour, reduced


def drawn(hue: float) -> np.ndarray:
    """A scene whose own colours are left out for one hue that follows its lightness."""
    gray = scene(4)[..., 1:2].astype(float)
    tone = 1 + 0.25 * np.cos(np.deg2rad([hue, hue - 120, hue + 120]))
    return np.clip(gray * tone, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("depth", [1, 257])
@pytest.mark.parametrize(("name", "picture", "kind"), [
    ("scene", scene(1), "colour"), ("gray", np.dstack([scene(1)[..., 0]] * 3), "gray"),
    ("sepia", sepia(1), "toned"), ("cyanotype", drawn(220), "toned"), ("green", drawn(120), "toned"),
    ("two tones", np.hstack([drawn(30), drawn(200)]), "colour"),
    ("muted", (scene(1) * 0.2 + 90).astype(np.uint8), "colour"),
    ("a corner of sky", scene(1)[:3, :3], "toned"),
])  # fmt: skip
def test_kinds(name, picture, kind, depth):
    found = Colours.of(picture.astype(np.uint16) * depth if depth > 1 else picture)
    assert found.kind() == kind, (name, found.chroma, found.spread, found.one_hue)
    assert is_colour(picture) == (kind == "colour")


def test_limits_move_the_border():
    found = Colours.of(sepia(1))
    assert found.kind(Limits(min_chroma=found.chroma + 0.1)) == "gray"
    assert found.kind(Limits(min_spread=found.spread)) == "colour"


@pytest.mark.parametrize("shape", [(1, 1), (63, 200), (64, 64), (65, 900), (1000, 700), (3, 5000)])
def test_what_is_judged_is_small_and_a_mean(shape):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    small = reduced(picture)
    assert 32 <= min(small.shape[:2]) <= 64 or small.shape == picture.shape
    assert small.mean() == pytest.approx(picture.mean(), abs=3)


def test_is_colour():
    assert is_colour(scene(1))
    assert is_colour(scene(1).astype(np.uint16) * 257)
    assert not is_colour(sepia(1))
    gray = np.dstack([scene(1)[..., 0]] * 3)
    noise = np.random.default_rng(0).normal(0, 2, gray.shape)
    assert not is_colour(np.clip(gray + noise, 0, 255).astype(np.uint8))
    rose = gray.copy()
    rose[20:32, 20:36] = 200, 20, 30  # 2.5 % of the picture
    assert is_colour(rose)
