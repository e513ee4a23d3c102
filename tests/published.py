"""Weights as they are published: what readers of them are tried with."""

import keras
import numpy as np

from colorcli import backbones


def published(network: keras.Model) -> dict[str, np.ndarray]:
    """Arrays shaped and named as the PyTorch port publishes them."""
    random, arrays = np.random.default_rng(0), {}
    for layer in network.layers:
        if not layer.name.startswith("backbone_") or not layer.weights:
            continue
        source = backbones._source_name(layer.name)
        if layer.name.endswith("_bn"):
            for leaf in ("weight", "bias", "running_mean", "running_var"):
                arrays[f"{source}.{leaf}"] = random.uniform(0.5, 1, layer.weights[0].shape)
        else:
            h, w, i, o = layer.weights[0].shape
            if "depthwise" in layer.name:
                i, o = o, i
            arrays[f"{source}.weight"] = random.normal(size=(o, 3 if "stem" in source else i, h, w))
    return arrays
