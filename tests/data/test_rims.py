"""Bars around a photograph: found to the line, and never where a photograph has none."""

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli.data import rims
from colorcli.exporting import photographs

BLACK, WHITE, MAT = (4, 4, 4), (250, 250, 250), (180, 170, 150)


def framed(rgb, top, left, bottom, right, colour, noise=1.5):
    """A photograph (H, W, 3) uint8 with bars around it, as JPEG leaves them."""
    widths = ((top, bottom), (left, right), (0, 0))
    out = np.stack(
        [np.pad(rgb[..., i], widths[:2], constant_values=value) for i, value in enumerate(colour)],
        -1,
    ).astype(float)
    out += np.random.default_rng(0).normal(0, noise, out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [BLACK, WHITE, MAT])
@pytest.mark.parametrize(
    "bars",
    [
        (30, 0, 30, 0),
        (0, 40, 0, 40),
        (12, 12, 12, 12),
        (10, 8, 30, 8),
        (5, 0, 6, 0),
        (60, 0, 62, 0),
    ],
    ids=str,
)
def test_bars_are_found_to_the_line(bars, colour):
    picture = framed(scene(3, 200, 150), *bars, colour)
    box = rims.photograph(picture)
    top, left, bottom, right = bars
    height, width = picture.shape[:2]
    expected = (top, left, height - bottom, width - right)
    # One line more is cut beside each bar, where both may be blended.
    cut = [(1 if bar else 0) for bar in bars]
    assert box == (
        expected[0] + cut[0], expected[1] + cut[1], expected[2] - cut[2], expected[3] - cut[3]
    )  # fmt: skip
    assert rims.photograph(box.of(picture)) is None


def test_bars_inside_a_rim():
    picture = framed(framed(scene(5, 200, 150), 25, 0, 25, 0, BLACK), 9, 9, 9, 9, WHITE)
    box = rims.photograph(picture)
    assert np.abs(np.array(box) - (34, 9, 184, 209)).max() <= 2


def horizon():
    """White sky over a straight sea: one bar, to the eye of a program."""
    picture = scene(1, 200, 150)
    picture[:60] = 255
    return picture


def night():
    """A lit house in black: even edges all round, but no straight border."""
    picture = np.full((150, 200, 3), 3, np.uint8)
    y, x = np.mgrid[0:150, 0:200]
    inside = (np.abs(x - 100) + np.abs(y - 80)) < 65
    picture[inside] = scene(2, 200, 150)[inside]
    return picture


def studio():
    """A thing on white paper."""
    picture = np.full((150, 200, 3), 252, np.uint8)
    picture[40:120, 80:130] = scene(4, 50, 80)
    return picture


def vignette():
    y, x = np.mgrid[-1:1:150j, -1:1:200j]
    dark = np.clip(1.4 - x**2 - y**2, 0, 1)[..., None]
    return (scene(6, 200, 150) * dark).astype(np.uint8)


@pytest.mark.parametrize(
    "make",
    [
        horizon, night, studio, vignette, lambda: scene(7, 200, 150),
        lambda: np.full((150, 200, 3), 200, np.uint8), lambda: scene(1, 8, 8),
        lambda: framed(scene(3, 200, 150), 30, 0, 60, 0, BLACK),  # a stage between dark halves
    ],
)  # fmt: skip
def test_dark_and_white_edges_of_photographs_stay(make):
    assert rims.photograph(make()) is None


def test_photographs_have_no_rims():
    for pixels in photographs.bundled():
        image = Image.fromarray(pixels)
        image.thumbnail((256, 256))
        assert rims.photograph(np.asarray(image)) is None


def test_words_and_scaling():
    small, large = np.zeros((100, 200, 3)), np.zeros((250, 500, 3))
    box = rims.Box(11, 0, 90, 199)
    assert rims.described(box, small) == "bars of 11.0% top, 10.0% bottom, 0.5% right"
    assert box.scaled(small, large) == (28, 0, 225, 497)
