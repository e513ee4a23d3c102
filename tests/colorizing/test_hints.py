"""Known colours spread over the square that the network saw."""

import cv2
import numpy as np
import pytest

from colorcli.colorizing import hints
from colorcli.colorizing.hints import Point
from colorcli.network.decoding import distribution

CELLS, SIDE, BINS = 28, 56, 9


def square(seed=0, patches=2):
    """A square of vertical stripes, each of its own lightness and distribution: ab, L, roots."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (patches, BINS))
    column = np.arange(CELLS) * patches * 2 // CELLS % patches
    fine = np.arange(SIDE) * patches * 2 // SIDE % patches
    light = np.linspace(30, 70, patches)[fine][None].repeat(SIDE, 0).astype(np.float32)
    ab = random.normal(0, 5, (patches, 2))[fine][None].repeat(SIDE, 0).astype(np.float32)
    roots = np.sqrt(distribution(logits[column][None].repeat(CELLS, 0), np)).astype(np.float32)
    return ab, light, roots


@pytest.mark.parametrize("distribution", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_hint_s_own_point_gets_its_colour(seed, distribution):
    ab, light, roots = square(seed)
    random = np.random.default_rng(seed)
    points = [
        Point(x, y, tuple(random.uniform(-60, 60, 2)))
        for x, y in ((0.12, 0.2), (0.6, 0.15), (0.85, 0.8), (0.35, 0.7))
    ]
    done = ab + hints.corrections(ab, light, roots if distribution else None, points)
    x, y = np.array([[p.x, p.y] for p in points]).T
    found = hints.sampled(done, x, y)
    assert np.abs(found - [p.ab for p in points]).max() < 3


def test_the_same_stuff_far_away_shares_a_correction_and_other_stuff_does_not():
    ab, light, roots = square(1)  # stripes A B A B
    change = hints.corrections(ab, light, roots, [Point(0.1, 0.1, (40.0, -30.0))])
    size = np.hypot(*np.moveaxis(change, -1, 0))
    own, other, again = size[5, 5], size[48, 20], size[48, 34]
    assert own > 30 and again > 0.3 * own and other < 2
    alone = hints.corrections(ab, light, None, [Point(0.1, 0.1, (40.0, -30.0))])
    assert np.hypot(*alone[48, 34]) < 0.6 * again  # nothing is known to be the same


def test_a_hint_that_agrees_and_no_hint_change_nothing():
    ab, light, roots = square(2)
    assert not hints.corrections(ab, light, roots, []).any()
    points = [Point(0.3, 0.3, None), Point(0.2, 0.9, None)]
    assert not hints.corrections(ab, light, roots, points).any()


def test_what_is_to_stay_holds_a_neighbour_s_hint_off():
    ab, light, roots = square(2)
    asked = Point(0.1, 0.2, (50.0, 50.0))
    free = hints.corrections(ab, light, roots, [asked])[17, 7]
    held = hints.corrections(ab, light, roots, [asked, Point(7.5 / 56, 17.5 / 56, None)])[17, 7]
    assert np.hypot(*held) < 0.1 * np.hypot(*free)


def test_contradicting_hints_meet_half_way():
    ab, light, roots = square(0)
    points = [Point(0.1, 0.5, (20.0, 0.0)), Point(0.1, 0.5, (0.0, 40.0))]
    done = ab + hints.corrections(ab, light, roots, points)
    assert hints.sampled(done, np.array([0.1]), np.array([0.5]))[0] == pytest.approx(
        [10, 20], abs=1
    )


@pytest.mark.parametrize("column", [100, 168, 300])
def test_a_hint_on_a_line_finer_than_the_grid_is_met_in_the_picture(column):
    ab, light, roots = square(1)
    light[20] = 100
    asked = Point((column + 0.5) / 560, 209.5 / 560, (40.0, -30.0))
    done = ab + hints.corrections(ab, light, roots, [asked])
    large = cv2.resize(done, (560, 560), interpolation=cv2.INTER_CUBIC)
    assert np.abs(large[209, column] - asked.ab).max() < 3


def test_what_lay_at_a_point_counts_for_its_like_where_the_place_does_not_show_it():
    ab, light, roots = square(1)  # stripes A B A B
    at = Point(0.1, 0.1, (40.0, -30.0))
    (stuff,) = hints.remembered(ab, light, roots, [at])
    gone = Point(float("nan"), float("nan"), at.ab, stuff)
    change = np.hypot(*np.moveaxis(hints.corrections(ab, light, roots, [gone]), -1, 0))
    assert change[5, 5] > 8 and change[5, 34] > 8 > 2 > change[48, 20]
    off = Point(20.5 / SIDE, 0.9, at.ab, stuff)  # it has come onto the other stripe
    there = np.hypot(*np.moveaxis(hints.corrections(ab, light, roots, [off]), -1, 0))
    assert np.allclose(there, change)
    still = Point(0.1, 0.1, at.ab, stuff)
    same = hints.corrections(ab, light, roots, [still])
    assert np.allclose(same, hints.corrections(ab, light, roots, [at]))


def test_what_is_shown_is_what_stretching_makes():
    plane = np.random.default_rng(0).normal(0, 20, (7, 9, 2)).astype(np.float32)
    large = cv2.resize(plane, (90, 70), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.array([0, 13, 35, 69]), np.array([89, 4, 50, 0])
    found = hints.shown(plane, (columns + 0.5) / 90, (rows + 0.5) / 70)
    assert found == pytest.approx(large[rows, columns], abs=1e-3)


def test_samples_are_bilinear_and_stay_inside():
    plane = np.stack(np.meshgrid(np.arange(4.0), np.arange(3.0)), axis=-1)
    x, y = np.array([0.0, 0.5, 1.0, 0.25]), np.array([0.0, 0.5, 1.0, 0.75])
    assert hints.sampled(plane, x, y) == pytest.approx(
        np.array([[0, 0], [1.5, 1], [3, 2], [0.5, 1.75]])
    )
