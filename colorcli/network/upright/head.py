"""``upright.npz`` beside a model: features of a square to the turn that would set it upright.

The file belongs to one ``model.tflite``, whose sha256 it carries: in a folder whose model is
another by now it counts as absent, and such a model has no opinion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colorcli.network.decoding import distribution
from colorcli.system.errors import ModelError

FILE = "upright.npz"
WAYS = (0, 90, 180, 270)  # degrees, clockwise, that would set a picture upright
LAYERS = ("cell", "near", "ways")  # each a kernel and a bias


@dataclass(frozen=True, eq=False)
class Head:
    """``tensors``: the numbers of those that hold features in the model's LiteRT file.

    ``weights``: by name, a kernel (in, out) and a bias (out,) float32 of each of ``LAYERS``: the
    first sees each cell alone, the second those around it, too, the last the picture. ``sure``: the
    share that a way must have.
    """

    tensors: tuple[int, ...]
    weights: Mapping[str, tuple[np.ndarray, np.ndarray]]
    sure: float

    def __call__(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """How likely each of ``WAYS`` is (4,), of features, each (h, w, C) float32."""
        return self.of(cells(features))

    def of(self, x: np.ndarray) -> np.ndarray:
        """How likely each of ``WAYS`` is (4,), of the cells of a square (n, C)."""
        cell, near, ways = (self.weights[name] for name in LAYERS)
        x = np.maximum(x @ cell[0] + cell[1], 0)
        x = np.maximum(around(x) @ near[0] + near[1], 0)
        return distribution(x.reshape(-1) @ ways[0] + ways[1], np)


def cells(features: Sequence[np.ndarray]) -> np.ndarray:
    """Features (h, w, C), the coarsest first, as (cells, all channels): means of the finer ones."""
    height, width = features[0].shape[:2]
    parts = []
    for plane in features:
        down, across = plane.shape[0] // height, plane.shape[1] // width
        means = plane.reshape(height, down, width, across, -1).mean(axis=(1, 3))
        parts.append(means.reshape(height * width, -1))
    return np.concatenate(parts, axis=1)


def around(x: np.ndarray) -> np.ndarray:
    """Each cell (n, C) of a square beside its eight neighbours, row by row (n, 9 C); 0 beyond."""
    side = math.isqrt(len(x))
    wide = np.pad(x.reshape(side, side, -1), ((1, 1), (1, 1), (0, 0)))
    shifted = [wide[down : down + side, on : on + side] for down in range(3) for on in range(3)]
    return np.concatenate(shifted, axis=-1).reshape(len(x), -1)


def agreed(first: np.ndarray, second: np.ndarray, way: int) -> np.ndarray:
    """How likely each way is by two looks (4,), the second at what the way of that index turns."""
    both = np.sqrt(first * np.roll(second, way))
    return both / both.sum()


def arrays(head: Head, digest: str) -> dict[str, Any]:
    """What the file holds; weights as float16."""
    kept: dict[str, Any] = {
        "tensors": np.array(head.tensors), "sure": np.float32(head.sure), "model": np.str_(digest)
    }  # fmt: skip
    for name, (kernel, bias) in head.weights.items():
        kept[f"{name}/kernel"], kept[f"{name}/bias"] = kernel.astype(np.float16), bias
    return kept


def load(folder: Path, digest: str) -> Head | None:
    """The head of a model folder whose LiteRT file has the sha256 ``digest``; None: it has none.

    Raises ``ModelError`` for a damaged one.
    """
    from colorcli.network.model_folder import read_arrays

    path = folder / FILE
    if not path.is_file():
        return None
    kept = read_arrays(path)
    try:
        if str(kept["model"]) != digest:
            return None
        weights = {
            name: (kept[f"{name}/kernel"].astype(np.float32), kept[f"{name}/bias"])
            for name in LAYERS
        }
        if weights[LAYERS[-1]][0].shape[1] != len(WAYS):
            raise ValueError(f"{LAYERS[-1]} gives {weights[LAYERS[-1]][0].shape[1]} ways")
        tensors = tuple(int(number) for number in kept["tensors"])
        return Head(tensors, weights, float(kept["sure"]))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"{path}: damaged ({error}); teach it again, or remove it") from None
