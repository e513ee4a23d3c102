"""What a network's weights start from: nothing, a published backbone, or any model."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import keras
import numpy as np

from colorcli.config.training import TrainConfig
from colorcli.network import model_folder, schema_1
from colorcli.network.backbones import BACKBONES
from colorcli.network.layers import backbone_weights
from colorcli.network.losses import LOSSES
from colorcli.system.disk import cache
from colorcli.system.download import fetch
from colorcli.system.errors import ModelError

_URL = re.compile(r"(https?|file)://", re.IGNORECASE)


def display_name(init: str) -> str:
    """``init`` without the places on this machine or the network, for a model's metadata."""
    return Path(urlsplit(init).path if _URL.match(init) else init).name


def fetched(init: str, sha256: str) -> str:
    """A local path for ``init``; a URL's file is downloaded once and kept.

    ``URL#sha256=HEX`` gives the checksum, or ``sha256`` does. Raises ``DataError`` for a download
    that fails and ``ModelError`` for an unusable checksum.
    """
    if not _URL.match(init):
        return init
    url, _, fragment = init.partition("#")
    sha256 = (sha256 or fragment.removeprefix("sha256=")).lower()
    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ModelError(f"{init}: {sha256!r} is no sha256; give 64 hexadecimal digits")
    name = display_name(url) or "weights.npz"
    # Unchecked files are kept by address, so that two servers' weights.npz do not meet.
    place = sha256 or re.sub(r"[^\w.-]+", "_", url)[-150:]
    return str(fetch(url, cache() / place / name, sha256=sha256 or None))


def start_from_prior(network: keras.Model, config: TrainConfig, prior: np.ndarray) -> None:
    """Let a head of bin logits begin at the colour prior (Q,) of its data."""
    if LOSSES[config.model.loss].distribution:
        network.get_layer("head").bias.assign(np.log(prior))


def initialise(network: keras.Model, config: TrainConfig) -> str:
    """Fill the weights that ``config.init`` names; returns what was done, in words.

    ``none``: nothing. An ``.npz`` (or the URL of one): a whole network's weights by our names, or
    a published backbone's. Otherwise a model folder, run folder or bundled name: all its weights
    if the architecture is the same, else its backbone. Raises ``ModelError`` when nothing fits.
    """
    if config.init == "none":
        return "random weights"
    path = fetched(config.init, config.init_sha256)
    shown, ours = display_name(config.init), config.model
    # The weights.npz of a model folder needs the LiteRT file beside it.
    beside = Path(path).parent if Path(path).name == model_folder.WEIGHTS else None
    if beside is not None and (beside / model_folder.CONFIG).is_file():
        path, shown = str(beside), beside.name
    if path.endswith(".npz"):
        return _from_arrays(network, config, path, shown)
    given, folder = model_folder.load_network(path)
    arrays, theirs = model_folder.arrays_of(given), folder.config
    if ours.backbone != theirs.backbone:
        raise ModelError(
            f"{config.init}: its backbone is {theirs.backbone}, not {ours.backbone}; "
            "use --init none or a model with the same backbone"
        )
    if (ours.loss, ours.decoder) == (theirs.loss, theirs.decoder):
        model_folder.set_weights(network, arrays)
        return f"all weights from {folder.name}"
    return _some(network, arrays, folder.name)


def _some(network: keras.Model, arrays: dict[str, np.ndarray], name: str) -> str:
    """Backbone, and of decoder and head what has the same place and shape."""
    backbone = {w.path for w in backbone_weights(network)}
    rest = [w for w in network.weights if w.path not in backbone]
    fitting = [w for w in rest if w.path in arrays and arrays[w.path].shape == tuple(w.shape)]
    taken = backbone | {w.path for w in fitting}
    model_folder.set_weights(network, {k: v for k, v in arrays.items() if k in taken}, taken)
    if not fitting:
        return f"backbone from {name}"
    return f"backbone and {len(fitting)} of {len(rest)} decoder weights from {name}"


def _from_arrays(network: keras.Model, config: TrainConfig, path: str, shown: str) -> str:
    arrays = schema_1.renamed(model_folder.read_arrays(path))
    if {w.path for w in network.weights} <= set(arrays):
        model_folder.set_weights(network, arrays)
        return f"all weights from {shown}"
    load = BACKBONES[config.model.backbone].load
    if load is None:
        raise ModelError(
            f"{config.init}: does not hold this network's weights, and its backbone "
            f"{config.model.backbone} has no published ones; use --init none"
        )
    try:
        load(network, arrays)
    except ModelError as error:
        raise ModelError(f"{config.init}: {error}") from None
    return f"backbone from {shown}"
