"""Painted strokes to hints: a picture that is transparent except for what a person painted."""

from __future__ import annotations

import cv2
import numpy as np

from colorcli.color.lab import rgb_to_lab
from colorcli.colorizing.hand.hint import Hint
from colorcli.system.errors import UsageError

OPAQUE = 128  # alpha from which a pixel counts as painted
MOST = 64  # points that all strokes together become
CELLS = 32  # along the longer side, to begin with: a point for each colour in each cell
ALIKE = 12.0  # ab units within which colours are one


def _groups(ab: np.ndarray) -> np.ndarray:
    """A number (n,) for the colour of each pixel of ab (n, 2)."""
    return np.unique(np.rint(ab / ALIKE), axis=0, return_inverse=True)[1].reshape(-1)


def _spots(at: np.ndarray, group: np.ndarray, cell: float) -> list[np.ndarray]:
    """Pixels (indices) of each colour in each cell of a grid."""
    key = np.concatenate([np.floor(at / cell).astype(np.int64), group[:, None]], axis=1)
    _, number, counts = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(number.reshape(-1), kind="stable")
    return np.split(order, np.cumsum(counts)[:-1])


def hints_of(rgba: np.ndarray, origin: str) -> list[Hint]:
    """Hints, ``MOST`` at most, of strokes (H, W, 4) uint8; ``UsageError`` where nothing is painted.

    Each is a painted pixel amid a piece of stroke, with the mean colour of the piece.
    """
    height, width = rgba.shape[:2]
    painted = (rgba[..., 3] >= OPAQUE).astype(np.uint8)
    inner = cv2.erode(painted, np.ones((3, 3), np.uint8), borderValue=0)
    # The edges of brushes are mixed.
    rows, columns = np.nonzero(inner if inner.any() else painted)
    if not rows.size:
        raise UsageError(f"{origin}: nothing is painted in it; paint strokes of colour on it")
    at = np.stack([columns, rows], axis=1)
    rgb = rgba[rows, columns, :3].astype(np.float32)
    ab = rgb_to_lab(rgb / 255)[:, 1:]
    group = _groups(ab)
    cell = max(height, width) / CELLS
    spots = _spots(at, group, cell)
    while len(spots) > MOST and cell < 2 * max(height, width):
        cell *= 1.25
        spots = _spots(at, group, cell)
    if len(spots) > MOST:
        raise UsageError(
            f"{origin}: more than {MOST} colours are painted in it; a stroke is of one colour"
        )
    found = []
    for spot in spots:
        middle = at[spot].mean(axis=0)
        x, y = at[spot[np.argmin(((at[spot] - middle) ** 2).sum(axis=1))]]
        red, green, blue = np.rint(rgb[spot].mean(axis=0)).astype(int)
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        found.append(Hint(float(x), float(y), colour, origin=origin))
    return found
