"""Run a model's network: one class for each runtime of a model folder, ``ENGINES`` by device.

What wrote an exported file opens it: ``EXPORTED`` names its module by suffix.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from colorcli.config.choices import EXPORTED
from colorcli.network import model_folder
from colorcli.network.decoding import KNOBS, LOGITS, NEUTRAL, decode, of_stage
from colorcli.network.upright import head as upright
from colorcli.network.upright.head import Head
from colorcli.network.upright.tap import FEATURES, tapped
from colorcli.system import disk, native
from colorcli.system.errors import ModelError, UsageError, reason
from colorcli.system.native import open_interpreter


class Engine(Protocol):
    """A network with its decode step. Not for two threads at once: ``another()`` for each."""

    size: int  # side in pixels of the square L it takes
    distribution: bool  # whether it gives logits, which all knobs act on
    knobs: Collection[str]  # those that its own decode step has as inputs

    def __call__(self, lightness: np.ndarray, values: Mapping[str, float] = NEUTRAL) -> np.ndarray:
        """ab (s, s, 2) float32 of L (size, size) float32 in 0…100, by ``values`` of its ``knobs``."""

    def logits(self) -> np.ndarray | None:
        """Bin logits (s, s, Q) of the last call; None for a regression head."""

    def features(self) -> list[np.ndarray]:
        """What the encoder made of the last call's L, each (h, w, C); none where nobody asked for it."""

    def another(self) -> Engine:
        """The same network for another thread."""


def feed_of(lightness: np.ndarray, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """A batch of one for a graph that takes L and every knob; others take what they know of it."""
    numbers = {name: np.full(1, value, np.float32) for name, value in values.items()}
    return {"L": np.ascontiguousarray(lightness[None, ..., None], np.float32), **numbers}


def refuse_pictures(path: Path | str, inputs: Collection[str]) -> None:
    """Raise ``ModelError`` for an export that takes pictures: there is nothing left to steer."""
    if "image" in inputs:
        raise ModelError(
            f"{path}: takes whole pictures (--signature image); colour with an export of "
            "--signature ab, or run this one as its card says"
        )


class LiteRT:
    """The light LiteRT runtime, or TensorFlow's own interpreter where it has no wheel."""

    _announced = False  # the runtime prints its banner with the process's first interpreter

    def __init__(self, path: Path | str, tensors: Sequence[int] = ()) -> None:
        """Load a ``.tflite``; raises ``ModelError`` when it is not a LiteRT colorizer.

        ``tensors``: the numbers of those whose values are its ``features``.
        """
        self._path, self._tensors = Path(path), tensors
        try:
            with contextlib.nullcontext() if LiteRT._announced else native.quiet():
                self._run = open_interpreter(self._source())
                self._run.allocate_tensors()
            LiteRT._announced = True
            signature = self._run.get_signature_runner()
            inputs, outputs = signature.get_input_details(), signature.get_output_details()
            refuse_pictures(path, inputs)
            self._inputs = {name: detail["index"] for name, detail in inputs.items()}
            self._ab = outputs["ab"]["index"]
            self._logits = outputs["logits"]["index"] if "logits" in outputs else None
            self.size = int(inputs["L"]["shape"][1])
        except (ValueError, RuntimeError, KeyError, OSError, struct.error) as error:
            raise ModelError(f"{path}: not a usable LiteRT model ({reason(error)})") from None
        self.distribution = self._logits is not None
        self.knobs: Collection[str] = self._inputs.keys() - {"L"}

    def _source(self) -> Path | bytes:
        if not self._tensors:
            return self._path
        return tapped(self._path.read_bytes(), self._tensors)

    def __call__(self, lightness: np.ndarray, values: Mapping[str, float] = NEUTRAL) -> np.ndarray:
        """See ``Engine``."""
        feed = feed_of(lightness, values)
        for name, index in self._inputs.items():
            self._run.set_tensor(index, feed[name])
        self._run.invoke()
        return self._run.get_tensor(self._ab)[0]

    def logits(self) -> np.ndarray | None:
        """See ``Engine``."""
        return None if self._logits is None else self._run.get_tensor(self._logits)[0]

    def features(self) -> list[np.ndarray]:
        """See ``Engine``."""
        return [self._run.get_tensor(number)[0] for number in self._tensors]

    def another(self) -> LiteRT:
        """See ``Engine``."""
        return LiteRT(self._path, self._tensors)


class Keras:
    """The Keras network, compiled by TensorFlow for the device it finds: a GPU, or the CPU."""

    def __init__(self, path: Path | str, *, features: bool = False) -> None:
        """Load the network of the folder that holds ``path``, its weights; raises ``ModelError``."""
        native.tensorflow()
        import tensorflow as tf

        from colorcli.network.model import with_decode

        network, folder = model_folder.load_network(Path(path).parent)
        decoded = with_decode(network, folder.config, folder.prior, features=features)
        self._names = set(decoded.input)
        self.knobs: Collection[str] = self._names - {"L"}
        self._run = tf.function(decoded, reduce_retracing=True)
        self._outputs: dict[str, Any] = {}
        self.size = folder.config.size
        self.distribution = "logits" in decoded.output

    def __call__(self, lightness: np.ndarray, values: Mapping[str, float] = NEUTRAL) -> np.ndarray:
        """See ``Engine``."""
        feed = feed_of(lightness, values)
        self._outputs = self._run({k: v for k, v in feed.items() if k in self._names})
        return self._outputs["ab"][0].numpy()

    def logits(self) -> np.ndarray | None:
        """See ``Engine``."""
        return self._outputs["logits"][0].numpy() if self.distribution else None

    def features(self) -> list[np.ndarray]:
        """See ``Engine``."""
        return [self._outputs[name][0].numpy() for name in FEATURES if name in self._outputs]

    def another(self) -> Keras:
        """See ``Engine``."""
        return copy.copy(self)  # the network may be shared, the last outputs not


def _on_cpu(path: Path, head: Head | None) -> LiteRT:
    return LiteRT(path, head.tensors if head else ())


def _on_gpu(path: Path, head: Head | None) -> Keras:
    native.tensorflow()
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        raise UsageError("TensorFlow finds no GPU here; use --device cpu, or install its GPU build")
    return Keras(path, features=head is not None)


@dataclass(frozen=True)
class Runtime:
    """What a device takes: the file of the model folder it runs, and how to open it.

    The latter is told the model's head, whose features are wanted; None: it has none.
    """

    needs: str
    open: Callable[[Path, Head | None], Engine]


ENGINES: dict[str, Runtime] = {
    # The network is small: LiteRT on one core takes less than TensorFlow's start-up saves.
    "auto": Runtime(model_folder.LITERT, _on_cpu),
    "cpu": Runtime(model_folder.LITERT, _on_cpu),
    "gpu": Runtime(model_folder.WEIGHTS, _on_gpu),
}


def _exported(path: Path) -> Engine:
    """A plug-in's: formats stand above this room, which knows their names alone."""
    opened: Engine = importlib.import_module(EXPORTED[path.suffix.lower()]).FORMAT.engine(path)
    return opened


@dataclass(frozen=True)
class Opened:
    """An engine, and the log of the colour prior (Q,) where its model's folder tells it.

    ``name`` of the model; ``digest``: sha256, in hex, of the file that the engine runs. ``head``:
    that which tells the way up.
    """

    engine: Engine
    log_prior: np.ndarray | None = None
    name: str = ""
    digest: str = ""
    head: Head | None = None

    def another(self) -> Opened:
        """The same for another thread."""
        return replace(self, engine=self.engine.another())

    def ways(self) -> np.ndarray | None:
        """How likely each of ``head.WAYS`` would set the last call's L upright (4,); None: no opinion."""
        features = self.engine.features() if self.head else []
        return self.head(features) if self.head and features else None

    def ab(self, lightness: np.ndarray, values: Mapping[str, float]) -> np.ndarray:
        """ab (s, s, 2) float32 of L (size, size), by ``values`` of the knobs that act on logits.

        A knob that the model's file has no input for acts here, on its logits. Raises
        ``UsageError`` where an exported file, which tells no prior, was made before the knob.
        """
        engine = self.engine
        ab = engine(lightness, values)
        acting = [k.name for k in of_stage(LOGITS) if values[k.name] != k.neutral]
        if not engine.distribution or set(acting) <= set(engine.knobs):
            return ab
        if self.log_prior is None:
            missing = next(name for name in acting if name not in engine.knobs)
            raise UsageError(
                f"the exported file has no input {missing}; give --{missing} "
                f"{KNOBS[missing].neutral:g}, or export the model again"
            )
        return decode(engine.logits(), values, self.log_prior, np).astype(np.float32)


def _called(model: str | Path, path: Path) -> str:
    """What a model is called in records: its name, or that of its file, folder or run."""
    return Path(model).name or path.resolve().name


def open_model(model: str | Path, device: str = "auto") -> Opened:
    """The model that ``model`` names, on ``device`` (a key of ``ENGINES``).

    Raises ``ModelError``, and ``UsageError`` for a device that is not there or not for this model.
    """
    path, runtime = model_folder.find(model), ENGINES[device]
    if path.is_file():
        return Opened(_exported(path), name=_called(model, path), digest=disk.digest(path))
    folder = model_folder.load(path, needs=(runtime.needs,))
    files = folder.metadata["files"]
    head = upright.load(folder.path, files.get(model_folder.LITERT, ""))
    engine = runtime.open(folder.path / runtime.needs, head)
    if engine.size != folder.config.size:
        raise ModelError(
            f"{folder.path}: damaged model folder ({model_folder.CONFIG} says size "
            f"{folder.config.size}, {runtime.needs} takes {engine.size}); install the model again"
        )
    return Opened(
        engine, np.log(folder.prior), name=_called(model, path), digest=files[runtime.needs],
        head=head,
    )  # fmt: skip
