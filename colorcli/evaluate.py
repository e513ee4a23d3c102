"""``colorize eval``: judge a model against true colours, always beside doing nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from colorcli import images
from colorcli.colorizer import Colorizer
from colorcli.config import EvalConfig
from colorcli.errors import DataError, ImageError
from colorcli.files import write_atomic
from colorcli.lab import join, neutral, rgb_to_lab
from colorcli.metrics import METRICS, colorfulness, colorfulness_abs


@dataclass(frozen=True)
class Evaluation:
    """Mean of each metric over the judged pictures, for the model, for gray, for the truth.

    ``gain`` is the model's PSNR minus that of gray, in dB.
    """

    model: str
    protocol: str
    gray: str  # which gray the network was fed
    judged: int
    gray_originals: int
    broken: list[dict[str, str]]
    metrics: dict[str, dict[str, float]]
    gain: float
    panels: list[str] = field(default_factory=list)


def from_files(
    paths: Iterable[Path | str], broken: list[dict[str, str]]
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, sRGB (H, W, 3) uint8) of each readable colour file; others are noted in ``broken``."""
    for path in paths:
        try:
            picture = images.read(path)
        except ImageError as error:
            broken.append({"path": str(path), "reason": str(error)})
            continue
        if picture.rgb is None:
            gray = (
                picture.gray
                if picture.gray.dtype == np.uint8
                else (picture.gray >> 8).astype(np.uint8)
            )
            yield str(path), np.dstack([gray] * 3)
        else:
            yield str(path), picture.rgb


def squash(rgb: np.ndarray, size: int) -> np.ndarray:
    """Stretched to size×size, the field's COCO protocol; averaged when shrinking."""
    how = cv2.INTER_AREA if min(rgb.shape[:2]) >= size else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(rgb), (size, size), interpolation=how)


def _is_gray(rgb: np.ndarray, least: float) -> bool:
    ab = rgb_to_lab(rgb.astype(np.float32) / 255)[..., 1:]
    return float(np.hypot(ab[..., 0], ab[..., 1]).mean()) < least


def panel(gray: np.ndarray, predicted: np.ndarray, truth: np.ndarray) -> bytes:
    """PNG of gray → predicted → truth side by side, with a thin white line between."""
    line = np.full((gray.shape[0], 4, 3), 255, np.uint8)
    row = np.hstack([gray, line, predicted, line, truth])
    return cv2.imencode(".png", cv2.cvtColor(row, cv2.COLOR_RGB2BGR))[1].tobytes()


def evaluate(
    pictures: Iterable[tuple[str, np.ndarray]],
    colorizer: Colorizer,
    config: EvalConfig = EvalConfig(),
    *,
    broken: Sequence[dict[str, str]] = (),
    panels: Path | None = None,
    total: int = 0,
    progress: Callable[..., None] | None = None,
) -> Evaluation:
    """Judge ``colorizer`` on true-colour ``pictures``: protocol squash, Lab L fed in.

    Gray originals have an infinite PSNR by doing nothing, so they are left out and counted.
    ``broken`` may still fill while ``pictures`` is consumed. Raises ``DataError`` when nothing
    is left to judge.
    """
    sums: dict[str, dict[str, list[float]]] = {
        row: {name: [] for name in METRICS} for row in ("model", "gray")
    }
    truths: dict[str, list[float]] = {"cf": [], "cf_abs": []}
    gray_originals, written = 0, []
    none = np.zeros((1, 1, 2), np.float32)
    for index, (name, rgb) in enumerate(pictures):
        truth = squash(rgb, config.size)
        if progress:
            progress(index + 1, total)
        if _is_gray(truth, config.min_chroma):
            gray_originals += 1
            continue
        gray = neutral(truth)
        shown = {
            "model": colorizer.colorize(gray, np.uint8),
            "gray": join(gray, none, np.uint8),
        }
        for row, image in shown.items():
            for metric, function in METRICS.items():
                sums[row][metric].append(function(truth, image))
        truths["cf"].append(colorfulness(truth))
        truths["cf_abs"].append(colorfulness_abs(truth))
        if panels is not None:
            path = panels / f"{index:05d}-{Path(name).stem}.png"
            write_atomic(path, panel(shown["gray"], shown["model"], truth))
            written.append(str(path))
    judged = len(truths["cf"])
    if not judged:
        raise DataError(
            f"no colour photograph to judge ({gray_originals} gray, {len(broken)} unreadable); "
            "give photographs in colour"
        )
    metrics = {
        row: {m: round(float(np.mean(v)), 4) for m, v in table.items()}
        for row, table in sums.items()
    }
    metrics["truth"] = {m: round(float(np.mean(v)), 4) for m, v in truths.items()}
    gain = metrics["model"]["psnr"] - metrics["gray"]["psnr"]
    return Evaluation(
        colorizer.folder.name, f"squash-{config.size}", "Lab L", judged, gray_originals,
        list(broken), metrics, round(gain, 4) if math.isfinite(gain) else gain, written,
    )  # fmt: skip
