"""Evaluation protocols by name: what happens to a picture before it is judged, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.color.lab import neutral, rgb_to_lab
from colorcli.colorizing.hand.hint import Known
from colorcli.config.evaluation import JUDGED_SIDE, EvalConfig
from colorcli.system.errors import UsageError


def _resized(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    shrinking = height <= rgb.shape[0] and width <= rgb.shape[1]
    how = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=how)


def squash(rgb: np.ndarray, size: int) -> np.ndarray:
    """Stretched to size×size; averaged when shrinking."""
    return _resized(rgb, size, size)


def crop(rgb: np.ndarray, size: int) -> np.ndarray:
    """The short side resized to ``size``, then the middle size×size of it."""
    height, width = rgb.shape[:2]
    scale = size / min(height, width)
    rgb = _resized(rgb, max(size, round(width * scale)), max(size, round(height * scale)))
    top, left = ((side - size) // 2 for side in rgb.shape[:2])
    return np.ascontiguousarray(rgb[top : top + size, left : left + size])


def native(rgb: np.ndarray, size: int) -> np.ndarray:
    """The picture as it is."""
    return np.ascontiguousarray(rgb)


@dataclass(frozen=True)
class Shape:
    """How a protocol shapes a picture; ``sized`` ones carry a side in their name."""

    apply: Callable[[np.ndarray, int], np.ndarray]
    sized: bool
    note: str


SHAPES: dict[str, Shape] = {
    "squash": Shape(squash, True, "stretched to a square, the field's COCO protocol"),
    "crop": Shape(crop, True, "short side resized, then the middle square"),
    "native": Shape(native, False, "every picture at its own size"),
}


@dataclass(frozen=True)
class Protocol:
    """A named protocol: sRGB (H, W, 3) uint8 in, the picture that is judged out."""

    name: str
    shape: Shape
    size: int = 0

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """The picture as this protocol judges it."""
        return self.shape.apply(rgb, self.size)


def named(name: str = EvalConfig.protocol, size: int | None = None) -> Protocol:
    """``squash-256``, ``crop-224``, ``native``…; ``size`` is for a name that carries none.

    Raises ``UsageError`` for unknown names, sizes under 32 or a size given twice.
    """
    match = re.fullmatch(r"([a-z]+)(?:-(\d+))?", name)
    key, digits = match.groups() if match else ("", None)
    if key not in SHAPES or (digits and not SHAPES[key].sized):
        known = ", ".join(f"{k}-SIZE" if s.sized else k for k, s in SHAPES.items())
        raise UsageError(f"unknown protocol {name!r}; known: {known}")
    if not SHAPES[key].sized:
        if size:
            raise UsageError(f"protocol {name} judges every picture at its own size; drop --size")
        return Protocol(name, SHAPES[key])
    if digits and size and int(digits) != size:
        raise UsageError(f"protocol {name} and --size {size} contradict each other")
    side = int(digits) if digits else size or JUDGED_SIDE
    if not 32 <= side <= 4096:
        raise UsageError(f"protocol {name}: the side must be 32 to 4096 pixels, not {side}")
    return Protocol(f"{key}-{side}", SHAPES[key], side)


def _bt601(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


# Which gray (H, W) of the true colours is coloured: a black-and-white photograph of the scene.
GRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lab": neutral, "bt601": _bt601}


# --- what is told of the true colours

MARGIN = 0.02  # of each side, where no point is
DAB = 50  # the shorter side's part over which a colour is averaged: a person names no grain


def known_at(truth: np.ndarray, points: np.ndarray) -> list[Known]:
    """True colours (H, W, 3) uint8 about points (N, 2) in pixels."""
    side = max(1, min(truth.shape[:2]) // DAB) | 1
    lab = cv2.blur(rgb_to_lab(truth.astype(np.float32) / 255), (side, side))
    found = []
    for x, y in points:
        light, a, b = (float(value) for value in lab[int(y), int(x)])
        found.append(Known(int(x) + 0.5, int(y) + 0.5, (a, b), light, "truth"))
    return found


def told(truth: np.ndarray, count: int, seed: int) -> list[Known]:
    """Colours told to a model, of ``count`` points of sRGB (H, W, 3) uint8.

    Fewer are the first of more of the same ``seed``.
    """
    height, width = truth.shape[:2]
    places = np.random.default_rng(seed).uniform(MARGIN, 1 - MARGIN, (count, 2))
    return known_at(truth, places * (width, height))
