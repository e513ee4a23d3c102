"""One copy of the weights: kernels live in the LiteRT file, ``weights.npz`` says in which tensor.

The LiteRT file is made of the lowered network, whose kernels have their norm's scale in them and
are rounded to float16 before any converter sees them. ``weights.npz`` needs only their tensors'
numbers, and the norms' vectors, to give back the network that fine-tuning and export start from.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from colorcli.network.layers import ConvNorm, convolutions
from colorcli.system.errors import ModelError
from colorcli.system.native import constants

Arrays = Mapping[str, np.ndarray]
AT = (
    "@"  # entry "@PATH": int64 (number of the tensor in the LiteRT file, *shape) of the kernel PATH
)
LEAST = 1024  # values; a smaller kernel costs nothing where it is
# Of the largest value: a float16's last bit, which a converter of another machine may round
# another way, and no more.
TOLERANCE = 2.0**-10


# LiteRT lays HWIO as OHWI and depthwise HWC1 as 1HWC: the same turn of axes.
_LAID, _BACK = (3, 0, 1, 2), (1, 2, 3, 0)


def _shared(layer: ConvNorm) -> bool:
    """Whether a layer's kernel is kept by the LiteRT file alone."""
    return layer.kernel.shape.num_elements() >= LEAST and layer.invertible


def _tensor(layer: ConvNorm, tensors: Mapping[int, np.ndarray]) -> int:
    """The number of the tensor that holds a layer's folded kernel; raises ``ModelError``."""
    kernel = layer.folded()[0].transpose(_LAID)
    errors = {
        number: float(np.abs(tensor.astype(np.float32) - kernel).max())
        for number, tensor in tensors.items()
        if tensor.shape == kernel.shape
    }
    nearest = min(errors, key=errors.__getitem__, default=-1)
    if nearest < 0 or not errors[nearest] <= TOLERANCE * float(np.abs(kernel).max()):
        raise ModelError(f"the LiteRT file does not hold the kernel of {layer.name}")
    return nearest


def pack(network: keras.Model, litert: bytes) -> dict[str, np.ndarray]:
    """What ``weights.npz`` holds beside ``litert``, the LiteRT file of ``network``.

    Vectors as float32; kernels by their tensor, small ones and those with dead channels as
    float16. Raises ``ModelError`` where the file does not hold a kernel.
    """
    packed = {
        w.path: np.asarray(w, np.float16 if len(w.shape) > 1 else np.float32)
        for w in network.weights
    }
    tensors = constants(litert)
    for layer in filter(_shared, convolutions(network)):
        path = layer.kernel.path
        packed[AT + path] = np.array([_tensor(layer, tensors), *packed.pop(path).shape], np.int64)
    return packed


def unpack(network: keras.Model, packed: Arrays, litert: bytes) -> None:
    """Fill ``network`` with what ``pack`` gave. Raises ``ModelError``, ``ValueError`` or ``KeyError``."""
    tensors = constants(litert)
    kernels = {layer.kernel.path: layer for layer in convolutions(network)}
    weights = {w.path: w for w in network.weights}
    if {path.removeprefix(AT) for path in packed} != set(weights):
        odd = min({path.removeprefix(AT) for path in packed} ^ set(weights))
        raise ModelError(f"weights do not fit the network: {odd} is on one side only")
    for path, array in packed.items():
        if not path.startswith(AT):
            if array.shape != tuple(weights[path].shape):
                raise ModelError(f"weights do not fit the network: {path} is {array.shape}")
            weights[path].assign(array.astype(np.float32))
    for path, array in packed.items():  # when the norms that scale them are there
        if path.startswith(AT):
            layer = kernels[path.removeprefix(AT)]
            kernel = tensors[int(array[0])].astype(np.float32)
            if kernel.ndim != 4 or kernel.transpose(_BACK).shape != tuple(layer.kernel.shape):
                raise ModelError(f"weights do not fit the network: {path} is {kernel.shape}")
            layer.unfold(kernel.transpose(_BACK))
