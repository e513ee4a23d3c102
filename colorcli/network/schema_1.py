"""Weights of model folders of schema 1, which colorcli 0.1.0 wrote: other names, other places.

There convolution and norm were two layers, ``X_conv`` and ``X_bn``, and ``weights.npz`` gave
kernels by their byte in the LiteRT file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

EPSILON = 1e-3
AT = "@"  # entry "@PATH": int64 (byte offset in the LiteRT file, *shape) of the kernel PATH

Value = TypeVar("Value")


def renamed(arrays: Mapping[str, Value]) -> dict[str, Value]:
    """The same arrays by today's names; those that have them already stay."""
    norms = {path.split("/")[0] for path in arrays if path.endswith("_bn/gamma")}
    layers = {norm: norm.removesuffix("_bn") for norm in norms}
    layers |= {f"{norm.removesuffix('_bn')}_conv": norm.removesuffix("_bn") for norm in norms}
    result = {}
    for path, array in arrays.items():
        layer, slash, leaf = path.partition("/")
        result[layers.get(layer, layer) + slash + leaf] = array
    return result


def unpacked(packed: Mapping[str, np.ndarray], litert: bytes) -> dict[str, np.ndarray]:
    """All weights by today's names, unfolded, float32. Raises ``ValueError``."""
    named = renamed({path.removeprefix(AT): array for path, array in packed.items()})
    places = renamed({path.removeprefix(AT): path.startswith(AT) for path in packed})
    arrays = {path: a.astype(np.float32) for path, a in named.items() if not places[path]}
    for path in (path for path in named if places[path]):
        at, h, w, i, o = (int(number) for number in named[path])
        flat = np.frombuffer(litert, np.float16, count=h * w * i * o, offset=at)
        kernel = flat.reshape(o, h, w, i).transpose(1, 2, 3, 0).astype(np.float64)
        norm = path.removesuffix("/kernel")
        if f"{norm}/gamma" in arrays:
            deviation = np.sqrt(arrays[f"{norm}/moving_variance"].astype(np.float64) + EPSILON)
            scale = arrays[f"{norm}/gamma"] / deviation
            kernel = kernel / (scale[:, None] if norm.endswith("_depthwise") else scale)
        arrays[path] = kernel.astype(np.float32)
    return arrays
