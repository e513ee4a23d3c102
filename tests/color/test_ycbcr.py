import cv2
import numpy as np
import pytest
from conftest import scene

from colorcli.color import ycbcr
from colorcli.color.lab import join, neutral


def upsampled(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Halved chroma as libjpeg interpolates it: nine parts the nearest, three, three and one."""
    across = np.pad(plane.astype(float), 1, "edge")
    for _ in range(2):
        near, before, after = across[1:-1], across[:-2], across[2:]
        both = np.stack([(3 * near + before) / 4, (3 * near + after) / 4], axis=1)
        across = both.reshape(-1, across.shape[1]).T
    return across[:height, :width]


def decoded(luma: np.ndarray, blue: np.ndarray, red: np.ndarray) -> np.ndarray:
    """RGB before it is cut to 0…255."""
    blue, red = (
        p.astype(float) if p.shape == luma.shape else upsampled(p, *luma.shape) for p in (blue, red)
    )
    return luma[..., None] + np.stack([blue - 128, red - 128], axis=-1) @ ycbcr.RGB_FROM_CHROMA.T


LUMAS = {
    "noise": lambda random, shape: random.integers(0, 256, shape),
    "dark": lambda random, shape: random.integers(0, 30, shape),
    "bright": lambda random, shape: random.integers(225, 256, shape),
    "edges": lambda random, shape: 255 * random.integers(0, 2, shape),
    "ramp": lambda random, shape: np.broadcast_to(np.linspace(0, 255, shape[1]), shape),
}


WAYS = ("full", "halved", "large")


def chroma(luma, ab, way, monkeypatch):
    """Cb and Cr of a size, or of half of it as that of a large photograph comes about."""
    if way == "large":
        monkeypatch.setattr(ycbcr, "LARGE", 0)
    return ycbcr.chroma(luma, ab, halved=way != "full")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(48, 64), (47, 33), (1, 1), (2, 1), (1, 9), (700, 501)])
@pytest.mark.parametrize("kind", LUMAS)
def test_no_colour_is_cut_by_more_than_the_slack(kind, shape, way, monkeypatch):
    random = np.random.default_rng(0)
    luma = LUMAS[kind](random, shape).astype(np.uint8)
    ab = random.uniform(-110, 110, (5, 7, 2)).astype(np.float32)
    blue, red = chroma(luma, ab, way, monkeypatch)
    wanted = tuple(-(-side // 2) for side in shape) if way != "full" else shape
    assert blue.shape == red.shape == wanted and blue.dtype == red.dtype == np.uint8
    rgb = decoded(luma, blue, red)
    slack = ycbcr.SLACK + 1e-6
    assert rgb.min() >= -slack and rgb.max() <= 255 + slack


@pytest.mark.parametrize("way", WAYS)
def test_chroma_is_that_of_the_way_by_lab(way, monkeypatch):
    times = 4 if way == "large" else 1
    luma = cv2.GaussianBlur(neutral(scene(3, 160 * times, 120 * times)), (0, 0), 2 * times)
    luma = cv2.convertScaleAbs(luma, alpha=1 / 257)
    ab = np.random.default_rng(1).uniform(-25, 25, (6, 6, 2)).astype(np.float32)
    exact = cv2.cvtColor(join(luma, ab), cv2.COLOR_RGB2YCrCb)
    for plane, wanted in zip(
        chroma(luma, ab, way, monkeypatch), (exact[..., 2], exact[..., 1]), strict=True
    ):
        found = plane.astype(float) if way == "full" else upsampled(plane, *luma.shape)
        assert np.abs(found - wanted).mean() < 0.5
        assert np.percentile(np.abs(found - wanted), 99) <= 1.5


@pytest.mark.parametrize("way", WAYS)
def test_strips_leave_no_trace(way, monkeypatch):
    random = np.random.default_rng(2)
    luma = random.integers(0, 256, (90, 71)).astype(np.uint8)
    ab = random.uniform(-60, 60, (8, 8, 2)).astype(np.float32)
    whole = chroma(luma, ab, way, monkeypatch)
    monkeypatch.setattr(ycbcr, "STRIP", 200)
    for one, other in zip(whole, chroma(luma, ab, way, monkeypatch), strict=True):
        # BLAS sums in another order for another number of rows.
        assert np.abs(one.astype(int) - other).max() <= 1


def test_no_chroma_stays_none():
    luma = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for plane in ycbcr.chroma(luma, np.zeros((4, 4, 2), np.float32), halved=True):
        assert np.abs(plane.astype(int) - ycbcr.NEUTRAL).max() <= 1
