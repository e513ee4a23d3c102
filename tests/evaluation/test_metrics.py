import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import scene
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorcli.color import bins
from colorcli.color.lab import picture_to_lab
from colorcli.evaluation import metrics
from colorcli.evaluation.metrics import METRICS, Case, View


@pytest.fixture
def pair():
    truth = scene(0)
    noise = np.random.default_rng(0).normal(0, 12, truth.shape)
    return truth, np.clip(truth + noise, 0, 255).astype(np.uint8)


def case(truth, image):
    nothing = np.repeat(truth.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    return Case(View(truth), View(nothing), View(image))


def independent(truth: np.ndarray, image: np.ndarray) -> dict[str, float]:
    """The same figures by scikit-image and float64 formulas written out."""
    lab, seen = color.rgb2lab(truth), color.rgb2lab(image)
    error = np.hypot(*np.moveaxis(seen - lab, -1, 0)[1:])
    shares = [(error <= t).mean() for t in range(151)]

    def colorfulness(rgb, change):
        r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
        rg, yb = change(r - g), change((r + g) / 2 - b)
        return np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())

    return {
        "psnr": peak_signal_noise_ratio(truth, image),
        "ssim": structural_similarity(
            truth, image, channel_axis=2, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, data_range=255,
        ),
        "ciede2000": color.deltaE_ciede2000(lab, seen).mean(),
        "auc": np.trapezoid(shares) / 150,
        "cf": colorfulness(image, lambda x: x),
        "cf_abs": colorfulness(image, np.abs),
        "delta_cf": colorfulness(image, lambda x: x) - colorfulness(truth, lambda x: x),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_figures_agree_with_an_independent_computation(name):
    truth = np.ascontiguousarray(getattr(data, name)()[::2, ::2])
    for image in (truth // 2 + 64, np.ascontiguousarray(truth[..., [1, 2, 0]])):
        ours = case(truth, image)
        for metric, wanted in independent(truth, image).items():
            tolerance = 1e-4 if metric == "ssim" else 1e-3
            assert METRICS[metric].of(ours) == pytest.approx(wanted, abs=tolerance), metric


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_ciede2000_and_lab_over_the_whole_cube(seed):
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 256, (2, 24, 24, 3)).astype(np.uint8)
    one[:4] = one[:4, :, :1]  # grays, whose hue is arbitrary
    other[2:6] = other[2:6, :, :1]
    labs = [color.rgb2lab(p) for p in (one, other)]
    ours = [picture_to_lab(p) for p in (one, other)]
    assert np.abs(ours[0] - labs[0]).max() < 1e-3
    wanted = color.deltaE_ciede2000(*labs)
    # Hue turns over for opposite colours, where any two computations may part.
    assert np.abs(metrics.ciede2000(*ours).mean() - wanted.mean()) < 2e-3


def test_psnr_of_equal_pictures_is_infinite_but_counts_a_hundred(pair):
    assert metrics.psnr(pair[0], pair[0]) == float("inf")
    assert METRICS["psnr"].of(case(pair[0], pair[0])) == 100
    assert metrics.ssim(pair[0], pair[0]) == pytest.approx(1)


def test_ssim_of_a_tiny_picture_is_not_a_number():
    tiny = np.zeros((10, 40, 3), np.uint8)
    assert np.isnan(metrics.ssim(tiny, tiny))


def test_colorfulness_by_its_formula():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = (100, 0, 0)  # rg = 100, yb = 50 in half of the pixels
    expected = np.hypot(50, 25) + 0.3 * np.hypot(50, 25)
    assert View(image).cf == pytest.approx(expected)
    green = image[..., [1, 0, 2]]
    assert View(green).cf == pytest.approx(expected)
    mixed = np.concatenate([image, green])
    assert View(mixed).cf > View(mixed).cf_abs


def test_gray_has_no_colour():
    gray = np.repeat(scene(1)[..., :1], 3, -1)
    assert View(gray).cf == 0 and View(gray).cf_abs == 0


def test_auc_of_the_truth_is_one_and_of_opposites_less():
    truth, opposite = View(scene(3)), View(scene(3)[..., ::-1])
    assert metrics.auc(truth, truth) == metrics.auc(truth, truth, truth.rarity) == 1
    assert metrics.auc(truth, opposite) < 0.95


def test_rebalancing_asks_for_rare_colours():
    """One rare red pixel among gray ones, missed: nothing to the plain AuC, most to the other."""
    truth = np.full((20, 20, 3), 128, np.uint8)
    truth[0, 0] = (255, 0, 0)
    missed = np.full_like(truth, 128)
    weights = View(truth).rarity
    plain, rebalanced = (metrics.auc(View(truth), View(missed), w) for w in (None, weights))
    assert plain > 0.99 and rebalanced < 0.5
    index = bins.nearest_table()[bins.table_index(picture_to_lab(truth)[..., 1:])]
    prior = np.asarray(json.loads(metrics.PRIOR.read_text())["prior"])
    assert weights[0, 0] / weights[1, 1] == pytest.approx(
        prior[index[1, 1]] / prior[index[0, 0]], rel=1e-4
    )


def test_the_prior_covers_every_bin():
    weights = metrics._rarity()
    assert len(weights) == (2 * bins.REACH + 1) ** 2 and weights.min() > 0


@pytest.mark.parametrize("shared", [False, True])
def test_threads_take_turns_at_a_network_that_is_not_shared(shared):
    together = threading.Barrier(2, timeout=0.3 if not shared else 30)

    def of(case):
        try:
            together.wait()
        except threading.BrokenBarrierError:
            return "alone"
        return "together"

    metric = metrics.Metric(title="t", note="n", load=lambda: of, shared=shared).opened()
    with ThreadPoolExecutor(2) as pool:
        met = {*pool.map(metric, [None, None])}
    assert met == ({"together"} if shared else {"alone"})


@pytest.mark.parametrize("name", metrics.chosen())
def test_every_metric_is_finite_and_better_points_the_right_way(name, pair):
    truth, noisy = pair
    metric = METRICS[name]
    worse = case(truth, np.full_like(truth, 128))
    better = case(truth, noisy)
    values = [abs(metric.of(c)) if metric.magnitude else metric.of(c) for c in (worse, better)]
    assert np.isfinite(values).all()
    if metric.better == "higher":
        assert values[1] > values[0]
    elif metric.better == "lower":
        assert values[1] < values[0]
