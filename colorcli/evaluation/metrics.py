"""Figures that compare a coloured picture with the true one, on sRGB (H, W, 3) uint8.

Each is checked against scikit-image where that has it. Definitions differ between papers, so every
row of ``METRICS`` says which one it is; what several metrics need of a picture, ``View`` computes
once. No metric is known by its name elsewhere.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from colorcli.color import bins
from colorcli.color.lab import picture_to_lab
from colorcli.evaluation import perceptual
from colorcli.system.errors import UsageError

WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian: scikit-image cuts it at 3.5 σ, which is 5 pixels
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
AUC_REACH = 150  # largest threshold of AuC, in ab units
PSNR_CAP = 100.0  # dB given to an identical picture, so that a mean stays finite
PRIOR = Path(__file__).with_name("prior.json")


def _blur(planes: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_32F)
    edge = WINDOW // 2
    blurred = cv2.sepFilter2D(planes, cv2.CV_32F, kernel, kernel)
    return blurred[edge:-edge, edge:-edge]


class View:
    """One picture, sRGB (H, W, 3) uint8, and what several metrics need of it."""

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb = np.ascontiguousarray(rgb)

    @cached_property
    def lab(self) -> np.ndarray:
        """Lab (H, W, 3) float32."""
        return picture_to_lab(self.rgb)

    @cached_property
    def centred(self) -> np.ndarray:
        """RGB − 128 as float32: variances are the same, and float32 keeps more of them."""
        return self.rgb.astype(np.float32) - 128

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Gaussian-weighted mean (of ``centred``) and variance around every inner pixel."""
        mean = _blur(self.centred)
        return mean, _blur(self.centred * self.centred) - mean * mean

    @cached_property
    def opponents(self) -> np.ndarray:
        """R − G and (R + G)/2 − B as (H, W, 2) float32."""
        return cv2.transform(
            self.rgb.astype(np.float32), np.array([[1, -1, 0], [0.5, 0.5, -1]], np.float32)
        )

    @cached_property
    def cf(self) -> float:
        """Colorfulness M3 of Hasler and Süsstrunk (2003)."""
        return _colorfulness(self.opponents)

    @cached_property
    def cf_abs(self) -> float:
        """The colorization literature's variant: the same of |rg| and |yb|."""
        return _colorfulness(np.abs(self.opponents))

    @cached_property
    def rarity(self) -> np.ndarray:
        """Weight (H, W) of each pixel, inverse to the prior of its colour."""
        return _rarity()[bins.table_index(self.lab[..., 1:])]


def _colorfulness(opponents: np.ndarray) -> float:
    mean, deviation = cv2.meanStdDev(opponents)  # accumulated in double precision
    return float(np.hypot(*deviation[:, 0]) + 0.3 * np.hypot(*mean[:, 0]))


@lru_cache(maxsize=1)
def _rarity() -> np.ndarray:
    """1/prior of every row of ``bins.table()``: the paper's equation 4 with λ = 0."""
    prior = np.asarray(json.loads(PRIOR.read_text("utf-8"))["prior"])
    return (1 / prior / len(prior)).astype(np.float32)[bins.nearest_table()]


def psnr(truth: np.ndarray, image: np.ndarray) -> float:
    """Peak signal-to-noise ratio over RGB in dB, peak 255; infinite for equal pictures."""
    return float(cv2.PSNR(truth, image)) if not np.array_equal(truth, image) else float("inf")


def ssim(truth: np.ndarray | View, image: np.ndarray | View) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian σ 1.5, range 255, mean over channels.

    As scikit-image's with ``gaussian_weights`` and without ``use_sample_covariance``; not a number
    for pictures with a side under 11 pixels.
    """
    x, y = (p if isinstance(p, View) else View(p) for p in (truth, image))
    if min(x.rgb.shape[:2]) < WINDOW:
        return float("nan")
    (mean_x, var_x), (mean_y, var_y) = x.moments, y.moments
    covariance = _blur(x.centred * y.centred) - mean_x * mean_y
    mean_x, mean_y = mean_x + 128, mean_y + 128
    above = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    below = (mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2)
    return float((above / below).mean(dtype=np.float64))


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def _sin(degrees: float) -> float:
    return math.sin(math.radians(degrees))


def ciede2000(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """CIEDE2000 colour difference (H, W) of Lab (H, W, 3) float32.

    Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula" (2005), with k = 1.
    """
    lightness1, a1, b1 = cv2.split(truth)
    lightness2, a2, b2 = cv2.split(image)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) * 0.5) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean7 / (mean7 + np.float32(25.0**7)))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, hue1 = cv2.magnitude(a1, b1), np.arctan2(b1, a1)
    c2, hue2 = cv2.magnitude(a2, b2), np.arctan2(b2, a2)
    turn = hue2 - hue1
    turn -= np.float32(2 * np.pi) * np.rint(turn * np.float32(0.5 / np.pi))
    hue = hue1 + turn * np.float32(0.5)
    product = c1 * c2
    # Where one colour is neutral its hue is arbitrary: the difference is 0, the mean the other's.
    hue = np.where(product == 0, np.where(c1 == 0, hue2, hue1), hue)
    d_lightness, d_chroma = lightness2 - lightness1, c2 - c1
    d_hue = 2 * np.sqrt(product) * np.sin(turn * np.float32(0.5))
    chroma = (c1 + c2) * 0.5
    around = ((lightness1 + lightness2) * 0.5 - 50) ** 2
    # cos 2h, cos 3h and cos 4h from one cosine and one sine.
    cos, sin = np.cos(hue), np.sin(hue)
    cos2, sin2 = 2 * cos * cos - 1, 2 * sin * cos
    cos3, sin3 = cos2 * cos - sin2 * sin, sin2 * cos + cos2 * sin
    cos4, sin4 = 2 * cos2 * cos2 - 1, 2 * sin2 * cos2
    t = (
        1
        - 0.17 * (cos * _cos(30) + sin * _sin(30))
        + 0.24 * cos2
        + 0.32 * (cos3 * _cos(6) - sin3 * _sin(6))
        - 0.20 * (cos4 * _cos(63) + sin4 * _sin(63))
    )
    chroma7 = chroma**7
    degrees = hue * np.float32(180 / np.pi) % 360
    theta = math.radians(60) * np.exp(-(((degrees - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(chroma7 / (chroma7 + np.float32(25.0**7))) * np.sin(theta)
    light = d_lightness / (1 + 0.015 * around / np.sqrt(20 + around))
    strong = d_chroma / (1 + 0.045 * chroma)
    turned = d_hue / (1 + 0.015 * chroma * t)
    squares = light**2 + strong**2 + turned**2 + rotation * strong * turned
    return np.sqrt(np.maximum(squares, 0))


def auc(truth: View, image: View, weights: np.ndarray | None = None) -> float:
    """AuC of Zhang et al. (2016): area under the share of pixels with ab error ≤ t, t = 0…150.

    In 0…1. ``weights`` (H, W) of the pixels: ``truth.rarity`` is the paper's rebalancing.
    """
    error = cv2.absdiff(truth.lab, image.lab)
    distance = cv2.magnitude(*cv2.split(error)[1:])
    # A pixel counts from the first whole threshold not below its error; the trapezoid rule over
    # whole t then gives it this much of the area.
    first = np.ceil(distance)
    area = np.maximum(AUC_REACH + 0.5 - first - 0.5 * (first == 0), 0) / AUC_REACH
    return float(np.average(area, weights=weights))


@dataclass(frozen=True)
class Case:
    """What a metric may look at: the truth, doing nothing (ab = 0), and the judged picture."""

    truth: View
    nothing: View
    image: View


class Pool(Protocol):
    """Gathers what a metric says of every picture of a set; for any number of threads."""

    def add(self, found: Any, /) -> None:
        """Take in what it says of one picture."""


@dataclass(frozen=True)
class OverSet:
    """How a metric that has no figure of a single picture becomes one of a set.

    What the metric says of each picture goes into a ``pool`` for each row, what it says of the
    true one into another; ``figure(truth's, row's)``.
    """

    pool: Callable[[], Pool]
    figure: Callable[[Any, Any], float]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of one picture, and how it becomes a figure of a data set.

    ``better`` is "higher", "lower" or "" where neither is. ``of`` gives the figure of a case; one
    that needs a network has ``load`` instead, which opens it and gives ``of``, and is judged by
    only where it is asked for. ``weight`` (of the case) makes the data set's figure a weighted
    mean; ``magnitude`` takes |mean| of a signed figure; ``over_set`` takes the place of a mean.
    ``shared``: threads may ask its network at once, as they may PyTorch's; else they take turns.
    ``alone``: it looks at the judged picture only, so that the truth has a figure, too.
    ``drawn``: the report shows how it is distributed over the pictures; ``of_nothing``: that of
    doing nothing, too.
    """

    title: str
    note: str
    unit: str = ""
    digits: int = 2
    better: str = ""
    of: Callable[[Case], Any] | None = None
    load: Callable[[], Callable[[Case], Any]] | None = None
    shared: bool = False
    weight: Callable[[Case], float] | None = None
    magnitude: bool = False
    over_set: OverSet | None = None
    alone: bool = False
    drawn: bool = False
    of_nothing: bool = True

    def __call__(self, case: Case) -> Any:
        """What it says of a case: a figure, or what ``over_set`` gathers."""
        assert self.of, f"{self.title}: its network is not open"
        return self.of(case)

    def opened(self) -> Metric:
        """Itself, its network open. Raises ``UsageError`` and ``DataError`` where there is none."""
        if not self.load:
            return self
        of = self.load()
        return replace(self, of=of if self.shared else _in_turns(of), load=None)


def _in_turns(of: Callable[[Case], Any]) -> Callable[[Case], Any]:
    """The same for one thread at a time."""
    lock = threading.Lock()

    def guarded(case: Case) -> Any:
        with lock:
            return of(case)

    return guarded


def _capped_psnr(truth: View, image: View) -> float:
    return min(PSNR_CAP, psnr(truth.rgb, image.rgb))


def _lpips() -> Callable[[Case], float]:
    distance = perceptual.lpips()
    return lambda c: distance(c.truth.rgb, c.image.rgb)


def _features() -> Callable[[Case], np.ndarray]:
    features = perceptual.inception()
    return lambda c: features(c.image.rgb)


METRICS: dict[str, Metric] = {
    "psnr": Metric(
        title="PSNR", unit="dB", better="higher", drawn=True,
        of=lambda c: _capped_psnr(c.truth, c.image),
        note="RGB, 8 bits, for each picture, then the mean of dB; an identical picture counts 100",
    ),
    "gain": Metric(
        title="gain", unit="dB", better="higher", drawn=True, of_nothing=False,
        of=lambda c: _capped_psnr(c.truth, c.image) - _capped_psnr(c.truth, c.nothing),
        note="PSNR above that of the gray picture, ab = 0",
    ),
    "ssim": Metric(
        title="SSIM", digits=4, better="higher", drawn=True,
        of=lambda c: ssim(c.truth, c.image),
        note="Gaussian window σ 1.5, data range 255, mean over R, G and B",
    ),
    "ciede2000": Metric(
        title="CIEDE2000", unit="ΔE", better="lower", drawn=True,
        of=lambda c: float(ciede2000(c.truth.lab, c.image.lab).mean(dtype=np.float64)),
        note="mean over pixels",
    ),
    "auc": Metric(
        title="AuC", digits=4, better="higher", drawn=True,
        of=lambda c: auc(c.truth, c.image),
        note="share of pixels whose ab error is at most t, integrated over t = 0…150, divided by "
        "150",
    ),
    "auc_rebalanced": Metric(
        title="AuC rebalanced", digits=4, better="higher",
        of=lambda c: auc(c.truth, c.image, c.truth.rarity),
        weight=lambda c: float(c.truth.rarity.mean(dtype=np.float64)),
        note="the same, pixels weighted inversely to the smoothed prior of their true colour "
        "(λ = 0), pooled over the pictures",
    ),
    "cf": Metric(
        title="CF", alone=True, drawn=True, of_nothing=False, of=lambda c: c.image.cf,
        note="colorfulness M3 of Hasler and Süsstrunk",
    ),
    "cf_abs": Metric(
        title="CF literature", alone=True, of=lambda c: c.image.cf_abs,
        note="the colorization literature's variant: of |rg| and |yb|",
    ),
    "delta_cf": Metric(
        title="ΔCF of means", better="lower", magnitude=True,
        of=lambda c: c.image.cf - c.truth.cf,
        note="|difference of the mean CF to the truth's|",
    ),
    "delta_cf_image": Metric(
        title="ΔCF by picture", better="lower", of=lambda c: abs(c.image.cf - c.truth.cf),
        note="mean over pictures of |difference of CF|",
    ),
    "delta_cf_abs": Metric(
        title="ΔCF literature, of means", better="lower", magnitude=True,
        of=lambda c: c.image.cf_abs - c.truth.cf_abs,
        note="|difference of the mean literature's CF to the truth's|",
    ),
    "delta_cf_abs_image": Metric(
        title="ΔCF literature, by picture", better="lower",
        of=lambda c: abs(c.image.cf_abs - c.truth.cf_abs),
        note="mean over pictures of |difference of the literature's CF|",
    ),
    "lpips": Metric(
        title="LPIPS", digits=4, better="lower", drawn=True, load=_lpips, shared=True,
        note="AlexNet, version 0.1; Zhang et al. (2018)",
    ),
    "fid": Metric(
        title="FID", better="lower", load=_features, shared=True,
        over_set=OverSet(perceptual.Moments, perceptual.frechet),
        note="Inception-v3 of 2015; Heusel et al. (2017); biased for few pictures, compare equal "
        "numbers",
    ),
}  # fmt: skip
HEADLINE = "gain"  # what ranks pictures and is told while they are judged
OPTIONAL = tuple(name for name, metric in METRICS.items() if metric.load)


def chosen(optional: Sequence[str] = ()) -> dict[str, Metric]:
    """Every metric that needs no network, and those of ``optional``, in the table's order.

    Raises ``UsageError`` for a name that is not in ``OPTIONAL``.
    """
    for name in optional:
        if name not in OPTIONAL:
            raise UsageError(f"--with {name}: unknown metric; known: {', '.join(OPTIONAL)}")
    return {name: m for name, m in METRICS.items() if not m.load or name in optional}


def by_picture(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Those that say something of a single picture."""
    return {name: metric for name, metric in metrics.items() if not metric.over_set}
