"""What makes an export format: the record that every file of this folder holds as ``FORMAT``."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorcli.system.errors import ModelError, UsageError, reason

if TYPE_CHECKING:  # so that names and choices of formats cost nothing
    import numpy as np

    from colorcli.exporting.signatures import Graph
    from colorcli.network.model_folder import ModelFolder
    from colorcli.network.runtimes import Engine

Feed = Mapping[str, "np.ndarray"]
Run = Callable[[Feed], dict[str, "np.ndarray"]]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Largest allowed difference to the network on photographs.

    ``ab``: mean, in ab units; ``rgb`` and ``rgb_largest``: mean and largest, in 8-bit levels of the
    coloured picture; ``psnr``: dB lost against the true colours.
    """

    ab: float
    rgb: float
    rgb_largest: float
    psnr: float


EXACT = Tolerance(ab=0.01, rgb=0.05, rgb_largest=2, psnr=0.01)
HALF = Tolerance(ab=0.1, rgb=0.4, rgb_largest=8, psnr=0.05)
BYTES = Tolerance(ab=2.0, rgb=3.0, rgb_largest=96, psnr=0.1)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a format is to write: a graph of the model in ``folder``, its weights in ``precision``.

    ``calibration`` gives feeds to watch the ranges of values on; ``properties`` are words that the
    file keeps where it can; ``runtime`` is the file that the user gave as the format's runtime.
    """

    graph: Graph
    folder: ModelFolder
    runtime: str | None
    precision: str
    calibration: Callable[[], Iterable[Feed]]
    properties: Mapping[str, str]


@dataclass(frozen=True)
class Snippet:
    """How to run a format in another place than Python; the card shows it.

    ``code`` is a template of ``exporting/card.py``: ``<< file >>``, ``<< output >>`` (its name),
    ``<< output_bytes >>``, and ``inputs``, each with ``name``, ``dtype``, ``shape`` and ``value``:
    the variable that holds it, or of a knob (``knob`` is true) its default.
    """

    title: str
    language: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """How to run a format: packages to install, Python that defines ``run(feed)``, other places."""

    packages: str
    python: str
    elsewhere: tuple[Snippet, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Format:
    """A way to write a graph. ``suffix`` is "" for a folder.

    ``precisions``: name to tolerance, the default first; ``calibrated`` those that watch
    photographs. ``signatures`` it can hold, and ``flexible`` those that may take any size;
    ``distribution``: it wants a model with one. ``write(order, path)``; ``open(path)`` gives what
    runs the file back, ``engine(path)`` what ``colorize predict`` runs, where it takes such files:
    it raises ``ModelError``, and ``UsageError`` where its runtime is missing. ``needs``: modules of
    the extra ``extra``; ``fetch`` gets what is no module, or takes the file that the user gave.
    """

    name: str
    suffix: str
    precisions: Mapping[str, Tolerance]
    write: Callable[[Order, Path], None]
    open: Callable[[Path], Run]
    example: Example
    engine: Callable[[Path], Engine] | None = None
    signatures: tuple[str, ...] = ("ab", "image")
    flexible: tuple[str, ...] = ()
    distribution: bool = False
    calibrated: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = ""
    fetch: Callable[[str | None], object] | None = None

    def check_runtime(self, given: str | None = None) -> None:
        """Raise ``UsageError`` naming the remedy when something that writing needs is not there."""
        if self.fetch:
            self.fetch(given)
        for module in self.needs:
            try:
                importlib.import_module(module)
            except ImportError:
                raise UsageError(
                    f"{self.name} needs {module}, which is not installed; "
                    f"pip install 'colorcli[{self.extra}]'"
                ) from None

    def run_back(self, path: Path) -> Run:
        """What runs the written file; ``ModelError`` when its own runtime refuses it."""
        try:
            return self.open(path)
        except Exception as error:  # each runtime has errors of its own
            raise ModelError(
                f"the {self.name} export cannot be run back ({reason(error)}); not written"
            ) from None


def save_tensorflow(graph: Graph, folder: Path) -> None:
    """Write a graph as TensorFlow's SavedModel, which its converters read too; raises ``OSError``."""
    import tensorflow as tf

    # Not Keras's ExportArchive: it stores every variable twice.
    module: Any = tf.Module()
    module.weights = [variable.value for variable in graph.network.variables]
    module.serve = tf.function(graph.positional(), input_signature=graph.specs())
    served = module.serve.get_concrete_function()
    try:
        tf.saved_model.save(module, str(folder), signatures={"serving_default": served})
    except tf.errors.OpError as error:  # its own words for a full disk, or one that refuses
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        said = error.message.rsplit("; ", 1)[-1].partition(" [Op:")[0]
        raise OSError(errno.ENOSPC if full else errno.EIO, said) from None
