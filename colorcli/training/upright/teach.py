"""The head that tells which way is up: taught on upright photographs that are turned for it."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from colorcli.colorizing import framing
from colorcli.colorizing.scans.windows import DOUBT
from colorcli.config.training import UprightConfig
from colorcli.data.dataset import Dataset
from colorcli.network import model_folder
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
BATCHED = 256  # …that are summed at once
AXES = 64  # of features, along which they differ most: the others are left out
RIDGE = 1.0  # weight of small weights, for each picture
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


def _axes(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel (C, k) and bias (k,) that turn features to their main axes, each as wide as others."""
    some = seen[:: max(1, len(seen) // 400)].reshape(-1, seen.shape[-1]).astype(np.float32)
    middle, spread = some.mean(axis=0), some.std(axis=0) + 1e-3
    sizes, axes = np.linalg.eigh(np.cov((some / spread).T))
    main = np.argsort(-sizes)[:AXES]
    kernel = axes[:, main] / np.sqrt(sizes[main] + 0.05) / spread[:, None]
    return kernel.astype(np.float32), (-middle @ kernel).astype(np.float32)


def _fitted(seen: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The head's weights, learned from cells (n, 4, cells, C): a ridge regression on all of them."""
    count, ways, places, _ = seen.shape
    kernel, bias = _axes(seen)
    size = places * kernel.shape[1]
    among, towards = np.zeros((size, size), np.float32), np.zeros((size, ways), np.float32)
    for at in range(0, count, BATCHED):
        part = seen[at : at + BATCHED].astype(np.float32) @ kernel + bias
        part = part.reshape(-1, size)
        truth = np.tile(np.eye(ways, dtype=np.float32) - 1 / ways, (len(part) // ways, 1))
        among += part.T @ part
        towards += part.T @ truth
    among[np.diag_indices(size)] += RIDGE * count * ways
    read = np.linalg.solve(among, towards)
    return {LAYERS[0]: (kernel, bias), LAYERS[1]: (read, np.zeros(ways, np.float32))}


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
