"""One copy of the weights: kernels live in the LiteRT file, ``weights.npz`` says where.

LiteRT folds batch norm into the convolution before it. We fold first, so that the float16 kernels
in the file are known to the bit; ``weights.npz`` then needs only their places and the norms'
vectors to give back the unfolded network that fine-tuning and export start from.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from colorcli.backbones import BN_EPSILON

Arrays = Mapping[str, np.ndarray]
AT = "@"  # entry "@PATH": int64 (byte offset in the LiteRT file, *shape) of the kernel PATH
LEAST = 1024  # values; a smaller kernel could stand in the file by coincidence, and costs nothing
TINY = 1e-4  # a channel scaled by less than this cannot be unfolded from float16


def _norms(arrays: Arrays) -> list[str]:
    return [path.split("/")[0] for path in arrays if path.endswith("/moving_variance")]


def _kernel(norm: str) -> str:
    return f"{norm.removesuffix('_bn')}_conv/kernel"


def _scales(arrays: Arrays) -> dict[str, np.ndarray]:
    """Factor on the output channels of each kernel that a batch norm follows, by kernel path."""
    scales = {}
    for norm in _norms(arrays):
        deviation = np.sqrt(arrays[f"{norm}/moving_variance"].astype(np.float64) + BN_EPSILON)
        path, scale = _kernel(norm), arrays[f"{norm}/gamma"] / deviation
        # Depthwise kernels are HWC1, all others HWIO.
        scales[path] = scale[:, None] if path.endswith("depthwise_conv/kernel") else scale
    return scales


def fold(arrays: Arrays) -> dict[str, np.ndarray]:
    """The same network with batch norms that only shift: weights by path, float32."""
    scales = _scales(arrays)
    folded = {
        path: (array * scales[path] if path in scales else array).astype(np.float32)
        for path, array in arrays.items()
    }
    for norm in _norms(arrays):
        one = np.ones_like(folded[f"{norm}/gamma"])
        shift = arrays[f"{norm}/moving_mean"] * scales[_kernel(norm)].ravel()
        folded[f"{norm}/beta"] = (arrays[f"{norm}/beta"] - shift).astype(np.float32)
        folded[f"{norm}/gamma"], folded[f"{norm}/moving_mean"] = one, 0 * one
        folded[f"{norm}/moving_variance"] = one - np.float32(BN_EPSILON)
    return folded


def pack(arrays: Arrays, litert: bytes) -> dict[str, np.ndarray]:
    """What ``weights.npz`` holds beside ``litert``, the LiteRT file of the folded network.

    Vectors as float32; kernels by their place, or as float16 where the file does not hold them to
    the bit.
    """
    scales, folded, packed = _scales(arrays), fold(arrays), {}
    for path, array in arrays.items():
        at = -1
        sound = path not in scales or np.abs(scales[path]).min() > TINY
        if array.ndim == 4 and array.size >= LEAST and sound:
            # LiteRT's order: HWIO -> OHWI, depthwise HWC1 -> 1HWC.
            at = litert.find(folded[path].astype(np.float16).transpose(3, 0, 1, 2).tobytes())
        if at >= 0:
            packed[AT + path] = np.array([at, *array.shape], np.int64)
        else:
            packed[path] = array.astype(np.float16 if array.ndim > 1 else np.float32)
    return packed


def unpack(packed: Arrays, litert: bytes) -> dict[str, np.ndarray]:
    """The weights by path, unfolded, float32. Raises ``ValueError`` when a place is not in the file."""
    arrays, places = {}, {}
    for path, array in packed.items():
        if path.startswith(AT):
            places[path.removeprefix(AT)] = array
        else:
            arrays[path] = array.astype(np.float32)
    scales = _scales(arrays)
    for path, (at, *shape) in places.items():
        h, w, i, o = shape
        flat = np.frombuffer(litert, np.float16, count=h * w * i * o, offset=int(at))
        kernel = flat.reshape(o, h, w, i).transpose(1, 2, 3, 0)
        arrays[path] = (kernel / scales.get(path, 1.0)).astype(np.float32)
    return arrays
