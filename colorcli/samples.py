"""One photograph to one training record, or the reason why it is left out."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from colorcli import bins, images, tfrecord
from colorcli.config import PrepareConfig
from colorcli.duplicates import perceptual_hash
from colorcli.errors import reason

REDUCED = 64  # short side, about, of the picture that is judged
LEVELS = 32  # of lightness, for the colour that each has on the whole
ONE_HUE = 0.95  # length of the mean (a, b) over mean chroma: 1 when every pixel has the same hue
CELLS = 2 * (bins.REACH // bins.GRID) + 1  # of the ab plane on the bins' grid, a side


@dataclass(frozen=True)
class Sample:
    """A record ready for a shard, or why there is none.

    ``dropped`` is the key of the count: broken, small, gray, toned. ``tone`` is the mean (a, b);
    ``cells`` (CELLS², float32, Σ = 1) the share of each cell of the ab plane.
    """

    record: bytes = b""
    digest: bytes = b""
    hash: int = 0
    tone: tuple[float, float] = (0.0, 0.0)
    chroma: float = 0.0
    cells: np.ndarray | None = None
    dropped: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Colours:
    """What the colours of a picture (H, W, 3) come to, in Lab units."""

    chroma: float
    spread: float
    tone: tuple[float, float]
    cells: np.ndarray

    @property
    def one_hue(self) -> bool:
        """Whether nearly every pixel has the same hue."""
        return float(np.hypot(*self.tone)) >= ONE_HUE * self.chroma


def colours(rgb: np.ndarray) -> Colours:
    """Measure sRGB (H, W, 3) uint8."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).reshape(-1, 3)
    lightness, ab = lab[:, 0], lab[:, 1:].astype(np.float64)
    level = np.minimum((lightness * (LEVELS / 100)).astype(np.int32), LEVELS - 1)
    pixels = np.maximum(np.bincount(level, minlength=LEVELS), 1)
    variance = 0.0
    for channel in ab.T:
        sums = np.bincount(level, channel, LEVELS)
        variance += (channel @ channel - (sums * sums / pixels).sum()) / len(ab)
    cell = np.clip(np.rint(ab / bins.GRID), -(CELLS // 2), CELLS // 2).astype(np.int32)
    index = (cell[:, 0] + CELLS // 2) * CELLS + cell[:, 1] + CELLS // 2
    shares = np.bincount(index, minlength=CELLS * CELLS) / len(ab)
    a, b = ab.mean(0)
    return Colours(
        float(np.hypot(ab[:, 0], ab[:, 1]).mean()), float(max(0.0, variance)) ** 0.5,
        (float(a), float(b)), shares.astype(np.float32),
    )  # fmt: skip


@lru_cache(maxsize=1)
def _nearest_bins() -> np.ndarray:
    """The bin (CELLS²,) of each cell: its own, or the nearest for cells outside the gamut."""
    span = (np.arange(CELLS) - CELLS // 2) * bins.GRID
    grid = np.stack(np.meshgrid(span, span, indexing="ij"), -1).reshape(-1, 1, 2)
    return ((grid - bins.centres()) ** 2).sum(-1).argmin(1)


def histogram(cells: np.ndarray) -> np.ndarray:
    """Shares of the colour bins (Q,) float64 from those of the cells."""
    return np.bincount(_nearest_bins(), weights=cells, minlength=len(bins.centres()))


def _decoded(data: bytes, config: PrepareConfig) -> Image.Image | str:
    """The first frame, upright, at least ``config.size`` a side; or how small it is."""
    image = Image.open(io.BytesIO(data))
    if image.width * image.height > images.MAX_PIXELS:
        raise ValueError(f"{image.width}×{image.height} pixels are too many")
    if min(image.size) < config.min_side:
        return f"{image.width}×{image.height}"
    # libjpeg scales by 1/2, 1/4, 1/8 while it decodes: all that a large photograph needs.
    image.draft("RGB", (config.size, config.size))
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "CMYK":  # its profile is for its own inks
        return images.srgb(image)
    profile = image.info.get("icc_profile")
    image = image.convert("RGB")
    if profile:
        image.info["icc_profile"] = profile
    return image


def _shrunk(image: Image.Image, size: int) -> np.ndarray:
    """sRGB (H, W, 3) uint8 with a short side of ``size``, or less where the picture has less."""
    profile = image.info.get("icc_profile")
    whole = min(image.size) // size
    width, height = (max(1, round(s * size / min(image.size))) for s in image.size)
    if whole > 1:
        image = image.reduce(whole)  # a box average; what is left is less than a factor of two
    rgb = np.asarray(image)
    if min(rgb.shape[:2]) > size:
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    if profile:
        shrunk = Image.fromarray(rgb)
        shrunk.info["icc_profile"] = profile
        rgb = np.asarray(images.srgb(shrunk))
    return rgb


def _reduced(rgb: np.ndarray) -> np.ndarray:
    factor = max(1, min(rgb.shape[:2]) // REDUCED)
    height, width = (side // factor for side in rgb.shape[:2])
    # A whole factor: the fast way of area averaging.
    return cv2.resize(
        rgb[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA
    )


def sample(path: str, config: PrepareConfig) -> Sample:
    """Read, judge and encode one photograph. Never raises for a bad file: it says so."""
    try:
        data = Path(path).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _decoded(data, config)
            if isinstance(image, str):
                return Sample(dropped="small", detail=image)
            rgb = _shrunk(image, config.size)
    # Pillow's readers raise nearly anything on damaged bytes; a bad file must not stop the rest.
    except Exception as error:
        return Sample(dropped="broken", detail=_cause(error))
    reduced = _reduced(rgb)
    found = colours(reduced)
    if found.chroma < config.min_chroma:
        return Sample(dropped="gray", detail=f"mean chroma {found.chroma:.1f}")
    if found.spread < config.min_spread and found.one_hue:
        detail = f"one hue, spread {found.spread:.1f} at mean chroma {found.chroma:.1f}"
        return Sample(dropped="toned", detail=detail)
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [
        cv2.IMWRITE_JPEG_QUALITY, config.quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ])[1].tobytes()  # fmt: skip
    features = {"image": jpeg, "name": os.fsencode(Path(path).name)}
    return Sample(
        tfrecord.frame(tfrecord.example(features)), hashlib.sha256(data).digest(),
        perceptual_hash(reduced), (round(found.tone[0], 1), round(found.tone[1], 1)),
        found.chroma, found.cells,
    )  # fmt: skip


def _cause(error: Exception) -> str:
    if "cannot identify image" in str(error):  # Pillow names an object in memory there
        return "not a picture that can be read"
    return reason(error)
