"""The head that tells which way is up: taught on upright photographs that are turned for it."""

from __future__ import annotations

import io
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import keras
import numpy as np
from keras import layers

from colorcli.colorizing import framing
from colorcli.colorizing.scans.windows import DOUBT
from colorcli.config.training import UprightConfig
from colorcli.data.dataset import Dataset
from colorcli.network import model_folder
from colorcli.network.layers import ConvNorm
from colorcli.network.model import ENTRY, FIRST, build_model
from colorcli.network.packing import AT
from colorcli.network.runtimes import LiteRT
from colorcli.network.upright import head as upright
from colorcli.network.upright.head import LAYERS, WAYS, Head, agreed, cells
from colorcli.network.upright.tap import convolved, made_of
from colorcli.system import disk
from colorcli.system.atomic import write_atomic
from colorcli.system.errors import DataError, ModelError, reason
from colorcli.system.parallel import cores, in_order
from colorcli.training.feed.batches import View, batches

BATCH = 32  # photographs that come at once, and…
BATCHED = 256  # …views that are learned from at once
WIDTHS = (96, 64)  # of the head's layers
EPOCHS, FEWEST = 16, 300  # times that each view is learned from, and steps at least
RATE, DECAY = 3e-3, 0.02  # of AdamW, at first
DROPPED = 0.3  # share of the layers' outputs that is left out at a time
SCALES = [float(scale) for scale in np.geomspace(1, 64, 49)]
HELD = 0.2  # share of the photographs that judge
PRECISION = 0.99  # that "turned" must have among photographs a share of which is
TURNED = 0.25
LEAST = 0.6  # no smaller share is sure, whatever the photographs that judge say


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What a head came to, on photographs that it did not learn from, all four ways alike.

    ``accuracy`` of the likeliest way at the first look; ``found``: share of turned photographs that
    are turned upright; ``wrong``: share of upright ones that are turned.
    """

    file: str
    photographs: int
    accuracy: float
    sure: float
    found: float
    wrong: float
    bytes: int


def teach(
    model: str, data: Dataset, config: UprightConfig = UprightConfig(), *,
    progress: Callable[..., None] | None = None,
) -> Taught:  # fmt: skip
    """Write ``upright.npz`` into the folder of ``model``, which learns it from ``data``.

    Raises ``ModelError`` for what is no model folder, or one that cannot be written.
    """
    folder = model_folder.load(model, needs=(model_folder.WEIGHTS, model_folder.LITERT))
    tensors = _tensors(folder)
    seen = _seen(folder, tensors, data, config, progress)
    return taught(folder, tensors, seen)


def taught(
    folder: model_folder.ModelFolder, tensors: tuple[int, ...], seen: np.ndarray
) -> Taught:  # fmt: skip
    """Write the head that is learned from cells (n, 4, cells, C) of photographs in all ways."""
    held = max(1, round(HELD * len(seen)))
    weights = sharpened(_fitted(seen[held:]), seen[:held])
    judged = Head(tensors, weights, 1.0)
    shares = np.array([[judged.of(way.astype(np.float32)) for way in ways] for ways in seen[:held]])
    sure = threshold(shares)
    found, wrong = rates(shares, sure)
    file = folder.path / upright.FILE
    accuracy = float((shares.argmax(axis=2) == np.arange(len(WAYS))).mean())
    digest = folder.metadata["files"][model_folder.LITERT]
    told: dict[str, Any] = {
        "photographs": len(seen), "accuracy": round(accuracy, 4), "sure": round(sure, 4),
        "found": round(found, 4), "wrong": round(wrong, 4),
    }  # fmt: skip
    _write(folder, upright.arrays(Head(tensors, weights, sure), digest), told)
    return Taught(file=str(file), bytes=file.stat().st_size, **told)


def _tensors(folder: model_folder.ModelFolder) -> tuple[int, ...]:
    """The numbers of the tensors that hold ``FEATURES`` in a folder's LiteRT file."""
    packed = model_folder.read_arrays(folder.path / model_folder.WEIGHTS)
    litert = (folder.path / model_folder.LITERT).read_bytes()

    def before(layer: str) -> int:
        kernel = packed.get(f"{AT}{layer}/kernel")
        if kernel is None:
            raise ModelError(f"{folder.path}: does not tell where {layer} is; train it anew")
        return convolved(litert, int(kernel[0]))

    found = [before(ENTRY)]
    if any(layer.name == f"{FIRST}_join" for layer in build_model(folder.config).layers):
        found.append(made_of(litert, before(FIRST))[1])
    return tuple(found)


def _photographs(data: Dataset, size: int, config: UprightConfig) -> Iterator[np.ndarray]:
    """L (size, size) float32 as the network is shown it: windows of photographs, some of them aged."""
    view = View(size=size, stride=size, crop=config.crop, augment=config.augment)
    batch = min(BATCH, data.epoch)
    for lightness, _ in itertools.islice(
        batches(data, view, batch=batch, seed=config.seed), config.photographs // batch or 1
    ):
        yield from (framing.stretch(one) for one in lightness.numpy()[..., 0])


def _seen(
    folder: model_folder.ModelFolder, tensors: tuple[int, ...], data: Dataset,
    config: UprightConfig, progress: Callable[..., None] | None,
) -> np.ndarray:  # fmt: skip
    """Cells (n, 4, cells, C) float16 of each photograph as each of ``WAYS`` would set it upright."""
    first = LiteRT(folder.path / model_folder.LITERT, tensors)
    idle: SimpleQueue[LiteRT] = SimpleQueue()
    workers = config.workers or cores()
    for number in range(workers):
        idle.put(first.another() if number else first)

    def look(lightness: np.ndarray) -> np.ndarray:
        engine = idle.get()
        found = []
        for way in range(len(WAYS)):  # turned against the clock, so that it takes that to set it up
            engine(np.rot90(lightness, way))
            found.append(cells(engine.features()).astype(np.float16))
        idle.put(engine)
        return np.stack(found)

    seen = []
    shown = _photographs(data, first.size, config)
    for found in in_order(look, shown, threads=workers, window=4 * workers):
        seen.append(found)
        if progress:
            progress(len(seen), config.photographs)
    return np.stack(seen)


def _scaled(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and spread (C,) of each feature of cells (n, 4, cells, C)."""
    some = seen[:: max(1, len(seen) // 400)].reshape(-1, seen.shape[-1]).astype(np.float32)
    return some.mean(axis=0), some.std(axis=0) + 1e-2


def _network(side: int, channels: int) -> keras.Model:
    """The head as it is taught: features (B, side, side, C) of spread 1 to logits of ``WAYS`` (B, 4)."""
    x = features = keras.Input((side, side, channels))
    for name, width, size in zip(LAYERS, WIDTHS, (1, 3), strict=False):
        x = ConvNorm(width, size, activation="relu", name=name)(x)
        x = layers.Dropout(DROPPED)(x)
    return keras.Model(features, layers.Dense(len(WAYS), name=LAYERS[-1])(layers.Flatten()(x)))


class _Views(keras.utils.PyDataset):
    """Cells (n, 4, cells, C) in batches, in another order each time, with the way each lies."""

    def __init__(self, seen: np.ndarray, count: int, seed: int) -> None:
        super().__init__()
        self._seen = seen.reshape(len(seen) * len(WAYS), *seen.shape[2:])
        self._middle, self._spread = _scaled(seen)
        random, self._count = np.random.default_rng(seed), count
        rounds = -(-count * BATCHED // len(self._seen))
        self._order = np.concatenate([random.permutation(len(self._seen)) for _ in range(rounds)])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.sort(self._order[index * BATCHED : (index + 1) * BATCHED])
        x = (self._seen[chosen].astype(np.float32) - self._middle) / self._spread
        side = math.isqrt(x.shape[1])
        return x.reshape(len(x), side, side, -1), chosen % len(WAYS)


def _fitted(seen: np.ndarray, seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The head's weights, learned from cells (n, 4, cells, C)."""
    steps = max(FEWEST, EPOCHS * len(seen) * len(WAYS) // BATCHED)
    keras.utils.set_random_seed(seed)
    network = _network(math.isqrt(seen.shape[2]), seen.shape[3])
    falling = keras.optimizers.schedules.CosineDecay(RATE, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.AdamW(falling, weight_decay=DECAY), loss)
    network.fit(_Views(seen, steps, seed), epochs=1, verbose=0, shuffle=False)
    middle, spread = _scaled(seen)
    weights = {}
    for name in LAYERS[:-1]:
        kernel, bias = network.get_layer(name).folded()
        weights[name] = kernel.reshape(-1, kernel.shape[-1]), bias
    kernel, bias = weights[LAYERS[0]]
    kernel = kernel / spread[:, None]
    weights[LAYERS[0]] = kernel, bias - middle @ kernel
    return weights | {LAYERS[-1]: tuple(network.get_layer(LAYERS[-1]).get_weights())}


def sharpened(
    weights: Mapping[str, tuple[np.ndarray, np.ndarray]], seen: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The weights, their scores times what makes the truth of photographs (n, 4, cells, C) likeliest."""
    judged = Head((), weights, 1.0)
    logs = np.log([[judged.of(way.astype(np.float32)) for way in ways] for ways in seen])
    right = np.arange(len(WAYS))

    def likely(scale: float) -> float:
        scaled = scale * logs
        scaled -= np.log(np.exp(scaled).sum(axis=2, keepdims=True))
        return float(scaled[:, right, right].mean())

    scale = max(SCALES, key=likely)
    read, bias = weights[LAYERS[1]]
    return {**weights, LAYERS[1]: (read * scale, bias * scale)}


# --- when it is sure ---------------------------------------------------------------------------


def looked(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of shares (n, 4 ways it lies, 4) what two looks come to: a way (n, 4), and its share.

    Way 0, and a share of 0, where the first look does not doubt that a photograph lies upright.
    """
    ways, sure = np.zeros(shares.shape[:2], int), np.zeros(shares.shape[:2])
    for photograph, seen in enumerate(shares):
        for lies, first in enumerate(seen):
            way = int(first.argmax())
            if way and first[way] >= DOUBT:
                both = agreed(first, seen[(lies - way) % len(WAYS)], way)
                ways[photograph, lies], sure[photograph, lies] = way, both[way]
    return ways, sure


def rates(shares: np.ndarray, sure: float) -> tuple[float, float]:
    """The share of turned photographs that are set upright, and of upright ones that are turned."""
    ways, how = looked(shares)
    turned = how >= sure
    right = turned & (ways == np.arange(len(WAYS)))
    return float(right[:, 1:].mean()), float(turned[:, 0].mean())


def threshold(shares: np.ndarray) -> float:
    """The least share from which on "turned" is right in ``PRECISION`` of the cases.

    That is among photographs of which ``TURNED`` lie turned, in the three ways alike.
    """
    ways, how = looked(shares)
    weight = np.where(np.arange(len(WAYS)) == 0, 1 - TURNED, TURNED / (len(WAYS) - 1))
    weight = np.broadcast_to(weight, ways.shape)
    right = ways == np.arange(len(WAYS))
    said = ways.ravel() > 0
    order = np.argsort(-how.ravel()[said])
    levels = how.ravel()[said][order]
    kept = np.cumsum((weight * right).ravel()[said][order])
    precision = kept / np.cumsum(weight.ravel()[said][order])
    good = np.nonzero(precision >= PRECISION)[0]
    return max(LEAST, float(levels[good[-1]])) if len(good) else 1.0


# --- the file ----------------------------------------------------------------------------------


def _write(
    folder: model_folder.ModelFolder, arrays: Mapping[str, Any], told: Mapping[str, Any]
) -> None:
    """Put the head into a model folder, whose metadata tells of it; raises ``ModelError``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path = folder.path / upright.FILE
    metadata = dict(folder.metadata)
    try:
        write_atomic(path, buffer.getvalue())
        metadata["files"] = {**metadata["files"], upright.FILE: disk.digest(path)}
        metadata["upright"] = dict(told)
        text = json.dumps(metadata, indent=1)
        write_atomic(folder.path / model_folder.METADATA, text.encode())
    except (OSError, DataError) as error:
        raise ModelError(f"{path}: cannot be written: {reason(error)}") from None
