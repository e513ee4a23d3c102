"""``colorize export``: the network in other tools' formats, each checked before it is called done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from colorcli import model_dir
from colorcli.config import ModelConfig
from colorcli.errors import DataError, ModelError, UsageError, reason
from colorcli.files import PART
from colorcli.model import with_decode

Feed = dict[str, np.ndarray]


@dataclass(frozen=True)
class Exporter:
    """A format: its file suffix ("" for a folder), how to write it, how to run it back.

    ``tolerance`` is the largest difference in ab units that may remain to the Keras network.
    """

    suffix: str
    write: Callable[[keras.Model, Path, ModelConfig, np.ndarray], None]
    run: Callable[[Path, Feed], np.ndarray]
    tolerance: float


def _write_keras(network: keras.Model, path: Path, config: ModelConfig, prior: np.ndarray) -> None:
    with_decode(network, config, prior).save(path)


def _run_keras(path: Path, feed: Feed) -> np.ndarray:
    loaded = keras.models.load_model(path, safe_mode=True)
    return np.asarray(loaded({k: v for k, v in feed.items() if k in loaded.input})["ab"])


def _write_saved_model(
    network: keras.Model, path: Path, config: ModelConfig, prior: np.ndarray
) -> None:
    with_decode(network, config, prior).export(path, format="tf_saved_model", verbose=False)


def _run_saved_model(path: Path, feed: Feed) -> np.ndarray:
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    names = serve.structured_input_signature[1]
    return serve(**{k: tf.constant(v) for k, v in feed.items() if k in names})["ab"].numpy()


def _write_litert(network: keras.Model, path: Path, config: ModelConfig, prior: np.ndarray) -> None:
    path.write_bytes(model_dir.to_litert(network, config, prior))


def _run_litert(path: Path, feed: Feed) -> np.ndarray:
    from colorcli.engine import LiteRT

    return LiteRT(path)(
        feed["L"][0, ..., 0], float(feed["temperature"][0]), float(feed["vividness"][0])
    )


FORMATS: dict[str, Exporter] = {
    "keras": Exporter(".keras", _write_keras, _run_keras, 0.01),
    "saved-model": Exporter("", _write_saved_model, _run_saved_model, 0.01),
    "litert": Exporter(".tflite", _write_litert, _run_litert, 1.0),
}


@dataclass(frozen=True)
class Exported:
    """A written and checked export; differences are in ab units against the Keras network."""

    format: str
    path: str
    bytes: int
    largest_difference: float
    mean_difference: float
    tolerance: float


def _feed(size: int) -> Feed:
    """L of a synthetic scene (gradients, edges, texture) and knobs off their defaults."""
    y, x = np.mgrid[0 : 1 : 1j * size, 0 : 1 : 1j * size]
    texture = np.random.default_rng(0).normal(0, 4, (size, size))
    scene = 30 + 50 * (1 - y) + 15 * np.sin(9 * x) * (y > 0.5) + texture
    lightness = np.clip(scene, 0, 100).astype(np.float32)[None, ..., None]
    one = np.ones(1, np.float32)
    return {"L": lightness, "temperature": one * 0.8, "vividness": one * 0.2}


def export(
    model: str | Path, format: str, target: Path | str, *, overwrite: bool = False
) -> Exported:
    """Write the model in ``format`` to ``target``, run it back and compare with the network.

    Raises ``UsageError`` when the target exists, ``ModelError`` when the written file differs
    from the network by more than the format's tolerance (nothing is left then), ``DataError``
    when it cannot be written.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown export format {format!r}; known: {', '.join(FORMATS)}")
    target, exporter = Path(target), FORMATS[format]
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: exists already; use --overwrite")
    network, folder = model_dir.load_network(model)
    feed = _feed(folder.config.size)
    reference: Any = with_decode(network, folder.config, folder.prior)
    wanted = np.asarray(reference({k: v for k, v in feed.items() if k in reference.input})["ab"])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=PART, dir=target.parent))
        try:
            written = scratch / f"model{exporter.suffix}"
            exporter.write(network, written, folder.config, folder.prior)
            difference = np.abs(exporter.run(written, feed).reshape(wanted.shape) - wanted)
            if not difference.max() <= exporter.tolerance:
                raise ModelError(
                    f"{target}: the {format} export differs from the network by "
                    f"{difference.max():.3f} ab units (allowed {exporter.tolerance}); not written"
                )
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            written.replace(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {reason(error)}") from None
    parts = [p for p in target.rglob("*") if p.is_file()] if target.is_dir() else [target]
    return Exported(
        format, str(target), sum(p.stat().st_size for p in parts),
        round(float(difference.max()), 5), round(float(difference.mean()), 6), exporter.tolerance,
    )  # fmt: skip
