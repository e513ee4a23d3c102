"""A model is a folder: save, load, check and find it.

``config.json`` rebuilds the network, ``model.tflite`` colours, ``weights.npz`` fills the network for
training and export (its kernels are those of the LiteRT file, see ``packing``), ``metadata.json``
says where it comes from and carries the files' sha256. Nothing in it is executable: npz is read
without pickle.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from colorcli import __version__
from colorcli.color import bins
from colorcli.config import settings
from colorcli.config.choices import EXPORTED
from colorcli.config.model import MODEL_SCHEMA, MOST_STAGES, ModelConfig
from colorcli.network.shelf import places
from colorcli.system import disk, native
from colorcli.system.atomic import atomic_folder
from colorcli.system.errors import ModelError, UsageError, reason
from colorcli.system.files.inputs import is_below

if TYPE_CHECKING:
    import keras

CONFIG, WEIGHTS, LITERT, METADATA, HISTORY = (
    "config.json", "weights.npz", "model.tflite", "metadata.json", "history.jsonl",
)  # fmt: skip
BUNDLED = Path(__file__).parents[1] / "models"
READ_SCHEMAS = (1, MODEL_SCHEMA)  # 1: see schema_1


@dataclass(frozen=True)
class ModelFolder:
    """A checked model folder. ``prior`` is the colour prior (Q,) of its training set."""

    path: Path
    config: ModelConfig
    prior: np.ndarray
    metadata: dict[str, Any]
    schema: int = MODEL_SCHEMA

    @property
    def name(self) -> str:
        """The folder's name, which names a bundled model."""
        return self.path.name


def bundled() -> list[str]:
    """Names of the models that ship with the package."""
    return sorted(p.parent.name for p in BUNDLED.glob(f"*/{CONFIG}"))


def find(name: str | Path) -> Path:
    """What a ``--model`` value means: the name of a bundled or added model, a model folder, a run's
    best model, or a file.

    Raises ``ModelError`` naming what is known.
    """
    if str(name) in bundled():
        return BUNDLED / str(name)
    if (added := places.held(str(name))) is not None:
        return added
    folder = Path(name)
    for candidate in (folder, folder / "model-best", folder / "model-last"):
        if (candidate / CONFIG).is_file():
            return candidate
    if folder.is_file():
        if folder.suffix.lower() in EXPORTED:
            return folder
        raise ModelError(f"{name}: not a model; exported files end in {' or '.join(EXPORTED)}")
    known = ", ".join([*bundled(), *places.names()]) or "none bundled"
    cause = "holds no config.json" if folder.is_dir() else "no such model or folder"
    raise ModelError(f"{name}: {cause}; known models: {known}")


def load(name: str | Path, *, needs: Sequence[str] = (LITERT,)) -> ModelFolder:
    """Open and check a model folder; ``needs`` are the files whose sha256 is verified.

    With them goes that of the config, whose values are checked in any case.

    Raises ``ModelError`` for missing, damaged or newer folders, and for exported files.
    """
    folder = find(name)
    if folder.is_file():
        raise ModelError(
            f"{folder}: an exported file only colours; give the model folder it came from"
        )
    try:
        values = json.loads((folder / CONFIG).read_text("utf-8"))
        metadata = json.loads((folder / METADATA).read_text("utf-8"))
        schema = values["schema"]
        if schema not in READ_SCHEMAS:
            raise ModelError(
                f"{folder}: schema {schema}, this version reads {MODEL_SCHEMA}; upgrade colorcli"
            )
        config = _checked(ModelConfig.from_dict(values["model"]))
        prior = np.asarray(values["prior"], np.float32)
        bins.check_prior(prior)
        expected = {n: metadata["files"][n] for n in ((CONFIG, *needs) if needs else ())}
        if odd := [name for name in metadata.get("files") or () if not is_below(name)]:
            raise ValueError(f"{odd[0]} is no name below the folder")
    except OSError as error:
        raise ModelError(
            f"{error.filename}: {reason(error)}; the model folder is incomplete"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
        raise ModelError(f"{folder}: damaged model folder ({reason(error)})") from None
    for needed, digest in expected.items():
        _check(folder / needed, digest)
    return ModelFolder(folder, config, prior, metadata, schema)


def _checked(config: ModelConfig) -> ModelConfig:
    """The config, each value of its type and within its limits; raises ``UsageError``."""
    values = {name: getattr(config, name) for name in settings.settings(ModelConfig)}
    if len(config.decoder) > MOST_STAGES:
        raise UsageError(f"{CONFIG}: a decoder of {len(config.decoder)} stages")
    return settings.overridden(ModelConfig(), values, CONFIG)


def architecture(init: str) -> ModelConfig | None:
    """That of the model which a run's ``init`` names; None where it names arrays, or none.

    Raises ``ModelError``.
    """
    if init == "none" or "://" in init or init.endswith(".npz"):
        return None
    return load(init, needs=()).config


def _check(path: Path, digest: str | None) -> None:
    try:
        actual = disk.digest(path)
    except OSError as error:
        raise ModelError(f"{path}: {reason(error)}; the model folder is incomplete") from None
    if actual != digest:
        raise ModelError(
            f"{path}: damaged (sha256 differs from {METADATA}); install the model again"
        )


def verify(folder: ModelFolder) -> dict[str, str | None]:
    """What is wrong with each file of a folder, by its name; None: nothing.

    Raises ``ModelError`` where the metadata lists no files.
    """
    listed = folder.metadata.get("files")
    if not isinstance(listed, dict):
        raise ModelError(f"{folder.path / METADATA}: lists no files; install the model again")
    states: dict[str, str | None] = {}
    for name in dict.fromkeys((CONFIG, WEIGHTS, LITERT, *listed)):
        try:
            _check(folder.path / name, listed.get(name))
            states[name] = None
        except ModelError as error:
            states[name] = str(error)
    return states


def load_network(name: str | Path) -> tuple[keras.Model, ModelFolder]:
    """The Keras network of a folder, with its weights. Strict: every array must fit.

    Raises ``ModelError``.
    """
    folder = load(name, needs=(WEIGHTS, LITERT))
    return network_of(folder), folder


def network_of(folder: ModelFolder) -> keras.Model:
    """The network of a checked folder, with its weights. Raises ``ModelError``."""
    from colorcli.network import packing, schema_1
    from colorcli.network.model import build_model

    network = build_model(folder.config)
    try:
        packed, litert = read_arrays(folder.path / WEIGHTS), (folder.path / LITERT).read_bytes()
        if folder.schema == 1:
            set_weights(network, schema_1.unpacked(packed, litert))
        else:
            packing.unpack(network, packed, litert)
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ModelError(f"{folder.path / WEIGHTS}: damaged ({reason(error)})") from None
    return network


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """The named arrays of an ``.npz``, without pickle. Raises ``ModelError``."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, AttributeError) as error:
        raise ModelError(f"{path}: not a readable .npz of weights ({reason(error)})") from None
    except Exception as error:  # zipfile and zlib errors share no base class
        raise ModelError(f"{path}: damaged .npz ({reason(error)})") from None


def arrays_of(network: keras.Model) -> dict[str, np.ndarray]:
    """Weights by path, float32."""
    return {w.path: np.asarray(w, np.float32) for w in network.weights}


def set_weights(
    network: keras.Model, arrays: Mapping[str, np.ndarray], paths: Collection[str] | None = None
) -> None:
    """Fill the network's weights, or those of ``paths``, from ``arrays``, which hold no others.

    Raises ``ModelError``.
    """
    wanted = {w.path: w for w in network.weights if paths is None or w.path in paths}
    if set(arrays) != set(wanted):
        odd = min(set(arrays) ^ set(wanted))
        raise ModelError(f"weights do not fit the network: {odd} is on one side only")
    for path, weight in wanted.items():
        if arrays[path].shape != tuple(weight.shape):
            raise ModelError(
                f"weights do not fit the network: {path} is {arrays[path].shape}, not {tuple(weight.shape)}"
            )
        weight.assign(arrays[path].astype(np.float32))


def to_litert(network: keras.Model, config: ModelConfig, prior: np.ndarray) -> bytes:
    """LiteRT file (float16 weights, static shapes, decode inside) of the network."""
    import tensorflow as tf

    from colorcli.network.layers import lowered
    from colorcli.network.model import with_decode

    rounded = lowered(network, np.float16)
    with tempfile.TemporaryDirectory() as scratch, native.quiet():
        with_decode(rounded, config, prior).export(scratch, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def save(
    network: keras.Model,
    config: ModelConfig,
    prior: np.ndarray,
    folder: Path | str,
    metadata: dict[str, Any] | None = None,
    history: str = "",
) -> Path:
    """Write a model folder whole: under a temporary name, then renamed over an older one.

    Kernels are rounded to float16. Raises ``ModelError`` when the place cannot be written.
    """
    from colorcli.network import packing

    folder = Path(folder)
    litert = to_litert(network, config, prior)
    packed: dict[str, Any] = packing.pack(network, litert)
    values = {
        "schema": MODEL_SCHEMA,
        "model": asdict(config),
        "prior": [float(f"{p:.6g}") for p in prior],
    }
    try:
        with atomic_folder(folder) as part:
            (part / CONFIG).write_text(json.dumps(values, indent=1), "utf-8")
            np.savez_compressed(part / WEIGHTS, **packed)
            (part / LITERT).write_bytes(litert)
            (part / HISTORY).write_text(history, "utf-8")
            files = {name: disk.digest(part / name) for name in (CONFIG, WEIGHTS, LITERT, HISTORY)}
            record = {"colorcli": __version__, **(metadata or {}), "files": files}
            (part / METADATA).write_text(json.dumps(record, indent=1), "utf-8")
    except OSError as error:
        raise ModelError(f"{folder}: the model cannot be written: {reason(error)}") from None
    return folder


def copy(source: Path, folder: Path) -> Path:
    """The model folder ``source`` once more as ``folder``, whole, in place of an older one.

    Raises ``ModelError`` when the place cannot be written.
    """
    try:
        with atomic_folder(folder) as part:
            shutil.copytree(source, part, dirs_exist_ok=True)
    except OSError as error:
        raise ModelError(f"{folder}: the model cannot be written: {reason(error)}") from None
    return folder
