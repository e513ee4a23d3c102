import numpy as np
import pytest
from conftest import scene
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorcli import metrics


@pytest.fixture
def pair():
    truth = scene(0)
    noise = np.random.default_rng(0).normal(0, 12, truth.shape)
    return truth, np.clip(truth + noise, 0, 255).astype(np.uint8)


def test_psnr_and_ssim_agree_with_scikit_image(pair):
    assert metrics.psnr(*pair) == pytest.approx(peak_signal_noise_ratio(*pair), abs=1e-4)
    wanted = structural_similarity(
        *pair, channel_axis=2, gaussian_weights=True, use_sample_covariance=False, data_range=255
    )
    assert metrics.ssim(*pair) == pytest.approx(wanted, abs=1e-4)
    assert metrics.psnr(pair[0], pair[0]) == float("inf")


def test_colorfulness_by_its_formula():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = (100, 0, 0)  # rg = 100, yb = 50 in half of the pixels
    expected = np.hypot(50, 25) + 0.3 * np.hypot(50, 25)
    assert metrics.colorfulness(image) == pytest.approx(expected)
    green = image[..., [1, 0, 2]]
    assert metrics.colorfulness(green) == pytest.approx(expected)
    mixed = np.concatenate([image, green])
    assert metrics.colorfulness(mixed) > metrics.colorfulness_abs(mixed)


def test_gray_has_no_colour():
    gray = np.repeat(scene(1)[..., :1], 3, -1)
    assert metrics.colorfulness(gray) == 0 and metrics.colorfulness_abs(gray) == 0
