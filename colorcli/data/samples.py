"""One photograph to one training record, or the reason why it is left out."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from colorcli.color import bins
from colorcli.color.limits import Limits
from colorcli.color.tone import Colours, reduced
from colorcli.config.prepare import PrepareConfig
from colorcli.data import rims, tfrecord
from colorcli.data.duplicates import perceptual_hash
from colorcli.imaging import reading
from colorcli.imaging.tags import icc, provenance
from colorcli.system import native
from colorcli.system.errors import reason
from colorcli.system.files import places

CELLS = 2 * (bins.REACH // bins.GRID) + 1  # of the ab plane on the bins' grid, a side


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A record ready for a shard, or why there is none.

    ``dropped`` is the key of the count: broken, small, colorized (a result of ours), rimmed, gray,
    toned. ``tone`` is the mean
    (a, b); ``cells`` (CELLS², float32, Σ = 1) the share of each cell of the ab plane; ``set`` the
    name of its set, ``side`` its short side in pixels, ``cropped`` what was cut off.
    """

    record: bytes = b""
    digest: bytes = b""
    hash: int = 0
    tone: tuple[float, float] = (0.0, 0.0)
    chroma: float = 0.0
    cells: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    set: str = ""
    side: int = 0
    cropped: str = ""
    dropped: str = ""
    detail: str = ""


def cells(lab: np.ndarray) -> np.ndarray:
    """The share (CELLS²,) float32 of each cell of the ab plane in Lab (H, W, 3)."""
    a, b = lab[..., 1].ravel(), lab[..., 2].ravel()
    # |a|, |b| of sRGB colours stay below 110, so that no cell lies outside.
    index = np.rint(a / bins.GRID) * CELLS + np.rint(b / bins.GRID) + CELLS * CELLS // 2
    shares = np.bincount(index.astype(np.intp), minlength=CELLS * CELLS) / len(index)
    return shares.astype(np.float32)


@lru_cache(maxsize=1)
def _nearest_bins() -> np.ndarray:
    """The bin (CELLS²,) of each cell: its own, or the nearest for cells outside the gamut."""
    span = (np.arange(CELLS) - CELLS // 2) * bins.GRID
    grid = np.stack(np.meshgrid(span, span, indexing="ij"), -1).reshape(-1, 1, 2)
    return ((grid - bins.centres()) ** 2).sum(-1).argmin(1)


def histogram(cells: np.ndarray) -> np.ndarray:
    """Shares of the colour bins (Q,) float64 from those of the cells."""
    return np.bincount(_nearest_bins(), weights=cells, minlength=len(bins.centres()))


def _read(data: bytes, config: PrepareConfig) -> np.ndarray | Sample:
    """The first frame, upright sRGB (H, W, 3) uint8 with a short side of ``config.size`` or less.

    A ``Sample`` for one that is left out by its header. Raises nearly anything for damaged bytes.
    """
    size = config.size
    image: Image.Image = Image.open(io.BytesIO(data))
    if image.width * image.height > reading.MAX_PIXELS:
        raise ValueError(f"{image.width}×{image.height} pixels are too many")
    if min(image.size) < config.min_side:
        return Sample(dropped="small", detail=f"{image.width}×{image.height}")
    if not config.keep_results and provenance.is_ours(data[: reading.HEAD], image.info):
        return Sample(dropped="colorized", detail="a result of colorize")
    profile = image.info.get("icc_profile")
    rgb = _plain_jpeg(image, data, size)
    if rgb is None:
        # libjpeg scales by 1/2, 1/4, 1/8 while it decodes: nearly all that a large one needs.
        image.draft("RGB", (size, size))
        image = _upright_rgb(image)
        whole = min(image.size) // size
        # A box average first; what is left to do is less than a factor of two.
        rgb = np.asarray(image.reduce(whole) if whole > 1 else image)
        rgb = _fitted(rgb, size)
    if profile and image.mode == "RGB":
        shrunk = Image.fromarray(rgb)
        shrunk.info["icc_profile"] = profile
        rgb = np.asarray(icc.srgb(shrunk))
    return rgb


def _plain_jpeg(image: Image.Image, data: bytes, size: int) -> np.ndarray | None:
    """What most files are, by OpenCV, which hands it over faster; None for all others.

    OpenCV says nothing of a file cut short, so that the end must be there. Its libjpeg writes
    other warnings to file descriptor 2.
    """
    if image.format != "JPEG" or image.mode != "RGB" or not data.endswith(b"\xff\xd9"):
        return None
    if image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1):
        return None
    scale = next(s for s in _DRAFTS if min(image.size) >= s * size or s == 1)
    with native.quiet():
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), _DRAFTS[scale])
    return None if bgr is None else cv2.cvtColor(_fitted(bgr, size), cv2.COLOR_BGR2RGB)


def _fitted(pixels: np.ndarray, size: int) -> np.ndarray:
    """``pixels`` (H, W, 3) with a short side of ``size``; as they are if that is more."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short <= size:
        return pixels
    target = (round(width * size / short), round(height * size / short))
    return cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR)


_DRAFTS = {
    8: cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION,
    4: cv2.IMREAD_REDUCED_COLOR_4 | cv2.IMREAD_IGNORE_ORIENTATION,
    2: cv2.IMREAD_REDUCED_COLOR_2 | cv2.IMREAD_IGNORE_ORIENTATION,
    1: cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
}


def _upright_rgb(image: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "CMYK":  # its profile is for its own inks
        return icc.srgb(image)
    return image if image.mode == "RGB" else image.convert("RGB")  # which copies


def _without_rim(rgb: np.ndarray, box: rims.Box, data: bytes, config: PrepareConfig) -> np.ndarray:
    """The photograph in ``box``, from a larger reading of ``data`` where there is one to be had."""
    inner = box.of(rgb)
    wanted = -(-config.size * min(rgb.shape[:2]) // min(inner.shape[:2]))
    larger = _read(data, replace(config, size=wanted))
    if isinstance(larger, np.ndarray) and larger.shape[0] > rgb.shape[0]:
        inner = box.scaled(rgb, larger).of(larger)
    return _fitted(inner, config.size)


def set_name(path: str, roots: Sequence[str]) -> str:
    """The set that a photograph belongs to: see ``PrepareConfig``."""
    folders = Path(path).parts[:-1]
    tops = [Path(root).parts for root in roots]
    below = [folders[len(top) :] for top in tops if folders[: len(top)] == top]
    inside = min(below, key=len, default=())
    return inside[0] if inside else folders[-1] if folders else ""


def sample(path: str, config: PrepareConfig) -> Sample:
    """Read, judge and encode one photograph. Never raises for a bad file: it says so."""
    try:
        data = places.read(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rgb = _read(data, config)
    # Pillow's readers raise nearly anything on damaged bytes; a bad file must not stop the rest.
    except Exception as error:
        return Sample(dropped="broken", detail=_cause(error))
    if isinstance(rgb, Sample):
        return rgb
    cropped = ""
    box = None if config.rims == "keep" else rims.photograph(rgb)
    if box:
        cropped = rims.described(box, rgb)
        if config.rims == "drop":
            return Sample(dropped="rimmed", detail=cropped)
        rgb = _without_rim(rgb, box, data, config)
        if min(rgb.shape[:2]) < config.min_side:
            return Sample(dropped="small", detail=f"{rgb.shape[1]}×{rgb.shape[0]}, {cropped}")
    small = reduced(rgb)
    found = Colours.of(small)
    kind = found.kind(Limits(config.min_chroma, config.min_spread))
    if kind != "colour":
        detail = f"mean chroma {found.chroma:.1f}"
        if kind == "toned":
            detail = f"one hue, spread {found.spread:.1f} at {detail}"
        return Sample(dropped=kind, detail=detail)
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [
        cv2.IMWRITE_JPEG_QUALITY, config.quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ])[1].tobytes()  # fmt: skip
    name = set_name(path, config.roots)
    features = {"image": jpeg, "name": os.fsencode(Path(path).name), "set": os.fsencode(name)}
    return Sample(
        record=tfrecord.frame(tfrecord.example(features)), digest=hashlib.sha256(data).digest(),
        hash=perceptual_hash(small), tone=(round(found.mean[0], 1), round(found.mean[1], 1)),
        chroma=found.chroma, cells=cells(found.lab), set=name, side=min(rgb.shape[:2]),
        cropped=cropped,
    )  # fmt: skip


def _cause(error: Exception) -> str:
    if "cannot identify image" in str(error):  # Pillow names an object in memory there
        return "not a picture that can be read"
    return reason(error)
