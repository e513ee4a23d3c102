"""LPIPS and FID: judged by networks that are not ours, so optional.

The networks come with the extra ``perceptual`` (PyTorch); their published weights are fetched once,
checked by sha256, and kept where PyTorch keeps such files.
"""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from colorcli.system import disk
from colorcli.system.atomic import Part
from colorcli.system.errors import DataError, UsageError, reason

TIMEOUT = 20.0  # seconds without a byte before a download is given up


@dataclass(frozen=True)
class Weights:
    """Published weights: where they are, and how the sha256 of the file begins."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[-1]


ALEXNET = Weights("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "7be5be79")
INCEPTION = Weights(
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
    "6726825d",
)


def fetch(weights: Weights, folder: Path, timeout: float = TIMEOUT) -> Path:
    """The file of ``weights`` in ``folder``, downloaded whole or not at all when it is not there.

    Raises ``DataError`` that names the file, the address and the folder when it cannot be had or
    is not the published one.
    """
    path = folder / weights.name
    remedy = f"download {weights.url} into {folder}"
    try:
        if not path.is_file():
            with Part(path) as part, urllib.request.urlopen(weights.url, timeout=timeout) as answer:
                shutil.copyfileobj(answer, part.file, disk.BLOCK)
                part.file.flush()
                _check(Path(part.path), weights, remedy)
                part.keep()
        _check(path, weights, remedy)
    except OSError as error:
        raise DataError(
            f"{weights.name}: these weights cannot be had ({reason(error)}); {remedy}"
        ) from None
    return path


def _check(path: Path, weights: Weights, remedy: str) -> None:
    if not disk.digest(path).startswith(weights.sha256):
        raise DataError(
            f"{path}: damaged, its sha256 does not begin with {weights.sha256}; {remedy}"
        )


def _torch(metric: str, package: str) -> Any:
    """The package that holds the network; ``UsageError`` naming the extra when it is missing."""
    import importlib

    try:
        importlib.import_module("torch")
        return importlib.import_module(package)
    except ImportError as error:
        raise UsageError(
            f"{metric} needs {error.name or package}, which is not installed; "
            "pip install 'colorcli[perceptual]'"
        ) from None


def _hub() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def _tensor(rgb: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)[None]))


def lpips() -> Callable[[np.ndarray, np.ndarray], float]:
    """Opens AlexNet: (truth, image), sRGB (H, W, 3) uint8, to their LPIPS distance.

    Raises ``UsageError`` without the extra, ``DataError`` without the weights.
    """
    package = _torch("lpips", "lpips")
    import torch

    fetch(ALEXNET, _hub())
    network = package.LPIPS(net="alex", verbose=False).eval()

    def distance(truth: np.ndarray, image: np.ndarray) -> float:
        pair = [_tensor(rgb).float() / 127.5 - 1 for rgb in (truth, image)]
        with torch.inference_mode():
            return float(network(*pair))

    return distance


def inception() -> Callable[[np.ndarray], np.ndarray]:
    """Opens Inception-v3: sRGB (H, W, 3) uint8 to FID's features (2048,).

    Raises ``UsageError`` without the extra, ``DataError`` without the weights.
    """
    package = _torch("fid", "torch_fidelity.feature_extractor_inceptionv3")
    import torch

    path = fetch(INCEPTION, _hub())
    network = package.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    ).eval()

    def features(rgb: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(_tensor(rgb))[0][0].double().numpy()

    return features


class Moments:
    """Running mean and covariance of features (D,), for any number of pictures and threads."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Any = 0.0
        self._outer: Any = 0.0
        self._lock = Lock()

    def add(self, features: np.ndarray) -> None:
        """Take one picture's features in."""
        outer = np.outer(features, features)
        with self._lock:
            self.count += 1
            self._sum = self._sum + features
            self._outer = self._outer + outer

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (D,) and unbiased covariance (D, D); at least two pictures."""
        mean = self._sum / self.count
        return mean, (self._outer - self.count * np.outer(mean, mean)) / (self.count - 1)


def frechet(one: Moments, other: Moments) -> float:
    """Fréchet distance between two Gaussians; Heusel et al. (2017): FID, given Inception features.

    Not a number for fewer than two pictures. Biased upwards for few pictures: compare only equal
    numbers.
    """
    if min(one.count, other.count) < 2:
        return float("nan")
    (mean1, cov1), (mean2, cov2) = one.mean_and_covariance(), other.mean_and_covariance()
    # tr √(C₁C₂) = tr √(√C₁ C₂ √C₁), and that matrix is symmetric: two stable eigenproblems.
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ cov2 @ root)
    overlap = np.sqrt(np.maximum(inner, 0)).sum()
    distance = ((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * overlap
    return float(max(distance, 0.0))
