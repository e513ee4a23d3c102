"""Weights as they are published: what readers of them are tried with."""

import keras
import numpy as np

from colorcli.network.backbones import published_names


def published(network: keras.Model) -> dict[str, np.ndarray]:
    """Arrays shaped and named as the PyTorch port publishes them."""
    random, arrays = np.random.default_rng(0), {}
    for layer, conv, norm in published_names(network):
        h, w, i, o = layer.kernel.shape
        if layer.depthwise:
            i, o = o, i
        arrays[f"{conv}.weight"] = random.normal(size=(o, 3 if "stem" in conv else i, h, w))
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{norm}.{leaf}"] = random.uniform(0.5, 1, layer.gamma.shape)
    return arrays
