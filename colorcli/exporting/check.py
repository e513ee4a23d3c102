"""An export run on photographs and compared with the network it came from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from colorcli.color.lab import join, neutral, picture_to_lab
from colorcli.colorizing.framing import shown
from colorcli.evaluation.metrics import psnr
from colorcli.evaluation.protocols import squash
from colorcli.exporting.formats.common import Feed, Run, Tolerance
from colorcli.exporting.plan import Plan
from colorcli.network.decoding import NEUTRAL, Knobs, after
from colorcli.network.model import with_decode
from colorcli.network.model_folder import ModelFolder

SEEN = 256  # side at which an ``ab`` export's colours are compared
WIDE = (160, 240)  # height and width with which an export of any size is checked too
# Off the defaults: checked too, where knobs are inputs.
STEERED = Knobs(flip_average=False, **NEUTRAL)
BEST = 100.0  # dB given to an identical picture


@dataclass(frozen=True, kw_only=True)
class Check:
    """How far an export is from the network, over ``pictures`` views of real photographs.

    Differences in ab units and in 8-bit levels of RGB; PSNR in dB against the true colours, of the
    network and what the export loses; milliseconds of one run on one thread, the median.
    """

    photographs: int
    pictures: int
    ab_largest: float
    ab_mean: float
    rgb_largest: int
    rgb_mean: float
    psnr: float
    psnr_lost: float
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A written and checked export."""

    format: str
    precision: str
    signature: str
    size: int  # 0: any
    path: str
    companions: list[str]
    bytes: int
    check: Check
    tolerance: Tolerance


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What one run on one picture came to; ``psnr`` and ``lost`` where the knobs are the export's."""

    ab: np.ndarray  # differences, in units
    rgb: np.ndarray  # in 8-bit levels
    seconds: float
    psnr: float | None
    lost: float | None


class Bench:
    """Feeds a graph with photographs, and says what its colours should be and what they are."""

    def __init__(self, network: Any, folder: ModelFolder, plan: Plan) -> None:
        self.plan, self.side = plan, folder.config.size
        self.reference = with_decode(network, folder.config, folder.prior, flexible=True)

    def wanted(self, gray: np.ndarray, side: int, knobs: Knobs) -> np.ndarray:
        """The network's ab (s, s, 2) for gray (H, W), seen at ``side``."""
        return self.reference(self._feed(gray, side, knobs))["ab"].numpy()[0]

    def _feed(self, gray: np.ndarray, side: int, knobs: Knobs) -> dict[str, np.ndarray]:
        values = {
            "L": shown(gray, side)[None, ..., None],
            **{name: np.full(1, value, np.float32) for name, value in knobs.decoding.items()},
        }
        return {name: values[name] for name in self.reference.input}

    def sizes(self) -> list[Any]:
        """What to run: sides of L, or (height, width) of pictures."""
        size = self.plan.size
        if not self.plan.image:
            return [size] if size else [self.side, self.side + 64]
        return [(size, size)] if size else [(SEEN, SEEN), WIDE]

    def steered(self) -> list[Knobs]:
        """Knobs to run with: the export's own, and others where they are inputs."""
        inputs = not self.plan.image and len(self.reference.input) > 1
        return [self.plan.knobs, STEERED] if inputs else [self.plan.knobs]

    def feed(self, rgb: np.ndarray, size: Any, knobs: Knobs) -> tuple[np.ndarray, np.ndarray, Feed]:
        """Truth, the gray fed in, and the feed."""
        if not self.plan.image:
            truth = squash(rgb, SEEN)
            gray = neutral(truth)
            return truth, gray, self._feed(gray, size, knobs)
        truth = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)
        gray = ((neutral(truth).astype(np.uint32) + 128) // 257).astype(np.uint8)
        # The same levels in 16 bits, so that the reference does not round what it shrinks.
        return truth, gray.astype(np.uint16) * 257, {"image": np.dstack([gray] * 3)[None]}

    def calibration(self, pictures: Sequence[np.ndarray]) -> Callable[[], Iterator[Feed]]:
        """What TensorFlow's converter watches the ranges of values on."""
        size = self.sizes()[0]
        return lambda: (self.feed(rgb, size, self.plan.knobs)[2] for rgb in pictures)

    def _once(self, run: Run, rgb: np.ndarray, size: Any, knobs: Knobs) -> _Run:
        truth, gray, feed = self.feed(rgb, size, knobs)
        began = time.perf_counter()
        outputs = run(feed)
        seconds = time.perf_counter() - began
        ab = self.wanted(gray, self.side if self.plan.image else size, knobs)
        wanted = join(gray, after(ab, knobs.decoding), np.uint8)
        if self.plan.image:
            made = outputs["colours"][0]
            # Of 8-bit colours, so a rounded level of a dark pixel shows here as well.
            apart = np.abs(picture_to_lab(made) - picture_to_lab(wanted))[..., 1:]
        else:
            made = join(gray, outputs["ab"][0], np.uint8)
            apart = np.abs(outputs["ab"][0] - ab)
        score = lost = None
        if knobs is self.plan.knobs:
            score = min(BEST, psnr(truth, wanted))
            lost = score - min(BEST, psnr(truth, made))
        return _Run(ab=apart, rgb=cv2.absdiff(made, wanted), seconds=seconds, psnr=score, lost=lost)

    def check(self, run: Run, pictures: Sequence[np.ndarray], photographs: int) -> Check:
        """Run the export on every picture, size and knob, and compare."""
        ab_largest, rgb_largest, ab_means, rgb_means = 0.0, 0, [], []
        scores, lost, seconds = [], [], []
        for rgb in pictures:
            for size in self.sizes():
                for knobs in self.steered():
                    once = self._once(run, rgb, size, knobs)
                    ab_largest = max(ab_largest, float(np.nan_to_num(once.ab, nan=np.inf).max()))
                    rgb_largest = max(rgb_largest, int(once.rgb.max()))
                    ab_means.append(once.ab.mean())
                    rgb_means.append(once.rgb.mean())
                    seconds.append(once.seconds)
                    scores += [] if once.psnr is None else [once.psnr]
                    lost += [] if once.lost is None else [once.lost]
        return Check(
            photographs=photographs,
            pictures=len(pictures),
            ab_largest=round(ab_largest, 4),
            ab_mean=round(float(np.mean(ab_means)), 5),
            rgb_largest=rgb_largest,
            rgb_mean=round(float(np.mean(rgb_means)), 4),
            psnr=round(float(np.mean(scores)), 3),
            psnr_lost=round(float(np.mean(lost)), 4),
            milliseconds=round(float(np.median(seconds)) * 1000, 2),
        )


def excess(check: Check, tolerance: Tolerance, *, image: bool) -> str | None:
    """In words, the first figure that is over its tolerance; None when all are within."""
    figures = (
        # Of an image graph ab is known only through rounded colours, so RGB judges alone.
        (None if image else check.ab_mean, tolerance.ab, "differs by {} ab units in the mean"),
        (check.rgb_mean, tolerance.rgb, "differs by {} levels of RGB in the mean"),
        (check.rgb_largest, tolerance.rgb_largest, "differs by up to {} levels of RGB"),
        (check.psnr_lost, tolerance.psnr, "loses {} dB of PSNR"),
    )
    for figure, most, words in figures:
        if figure is not None and not figure <= most:
            return f"{words.format(f'{figure:.4g}')} (allowed {most:g})"
    return None
