"""Export formats: how each writes a graph, runs it back, and how far it may be off."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from colorcli.errors import ModelError, UsageError, reason
from colorcli.exporting.signatures import Graph
from colorcli.system import native

Feed = Mapping[str, np.ndarray]
Run = Callable[[Feed], dict[str, np.ndarray]]
Calibration = Callable[[], Iterable[Feed]]


@dataclass(frozen=True)
class Tolerance:
    """Largest allowed difference to the network on photographs.

    ``ab``: mean, in ab units; ``rgb`` and ``rgb_largest``: mean and largest, in 8-bit levels of the
    coloured picture; ``psnr``: dB lost against the true colours.
    """

    ab: float
    rgb: float
    rgb_largest: float
    psnr: float


EXACT = Tolerance(0.01, 0.05, 2, 0.01)
HALF = Tolerance(0.1, 0.4, 8, 0.05)
BYTES = Tolerance(2.0, 3.0, 96, 0.1)


@dataclass(frozen=True)
class Check:
    """How far an export is from the network, over ``pictures`` views of real photographs.

    Differences in ab units and in 8-bit levels of RGB; PSNR in dB against the true colours, of the
    network and what the export loses; milliseconds of one run on one thread, the median.
    """

    photographs: int
    pictures: int
    ab_largest: float
    ab_mean: float
    rgb_largest: int
    rgb_mean: float
    psnr: float
    psnr_lost: float
    milliseconds: float


@dataclass(frozen=True)
class Exported:
    """A written and checked export."""

    format: str
    precision: str
    signature: str
    size: int  # 0: any
    path: str
    companions: list[str]
    bytes: int
    check: Check
    tolerance: Tolerance


@dataclass(frozen=True)
class Format:
    """A way to write a graph. ``suffix`` is "" for a folder.

    ``precisions``: name to tolerance, the default first. ``flexible``: signatures that may take
    any size. ``needs``: modules of the extra ``extra``. ``write(graph, path, precision,
    calibration, properties)``; ``open(path)`` gives what runs the file back.
    """

    suffix: str
    precisions: Mapping[str, Tolerance]
    flexible: tuple[str, ...]
    write: Callable[[Graph, Path, str, Calibration, Mapping[str, str]], None]
    open: Callable[[Path], Run]
    needs: tuple[str, ...] = ()
    extra: str = ""


def _functional(graph: Graph) -> keras.Model:
    inputs = {
        name: keras.Input(batch_shape=port.shape, dtype=port.dtype, name=name)
        for name, port in graph.inputs.items()
    }
    return keras.Model(inputs, graph.portable(inputs), name="colorizer")


def _write_keras(graph: Graph, path: Path, *_: Any) -> None:
    _functional(graph).save(path)


def _open_keras(path: Path) -> Run:
    model = keras.models.load_model(path, safe_mode=True)
    return lambda feed: {name: np.asarray(out) for name, out in model(dict(feed)).items()}


def _write_saved_model(graph: Graph, path: Path, *_: Any) -> None:
    # Not Keras's ExportArchive: it stores every variable twice.
    module = tf.Module()
    module.weights = [variable.value for variable in graph.network.variables]
    module.serve = tf.function(graph.positional(), input_signature=graph.specs())
    served = module.serve.get_concrete_function()
    tf.saved_model.save(module, str(path), signatures={"serving_default": served})


def _open_saved_model(path: Path) -> Run:
    loaded = tf.saved_model.load(str(path))

    def run(feed: Feed) -> dict[str, np.ndarray]:
        serve = loaded.signatures["serving_default"]  # alone it does not hold the variables
        outputs = serve(**{name: tf.constant(value) for name, value in feed.items()})
        return {name: out.numpy() for name, out in outputs.items()}

    return run


# Only what convolutions do becomes int8: the decode step (a softmax over bins) and the conversions
# between colour spaces lose too much, and cost little as they are.
_FLOAT_OPS = (
    "SOFTMAX", "LOGISTIC", "TANH", "EXP", "LOG", "POW", "SQRT", "RSQRT", "SQUARE", "SUB", "MUL",
    "DIV", "NEG", "SUM", "REDUCE_MAX", "MAXIMUM", "MINIMUM", "FLOOR", "SELECT", "SELECT_V2",
    "GREATER", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE", "TOPK_V2", "PACK", "UNPACK", "SLICE",
    "STRIDED_SLICE", "GATHER", "CAST", "RESHAPE", "SQUEEZE", "EXPAND_DIMS",
)  # fmt: skip
# These join and clip inside the network, but around it they also make Lab and pictures.
_PICTURE_OPS = ("ADD", "ABS", "LESS", "RELU", "RELU_0_TO_1")


def _to_int8(converter: Any, calibration: Calibration, also_float: tuple[str, ...]) -> bytes:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    try:
        lite = tf.lite.experimental
        options = lite.QuantizationDebugOptions(denylisted_ops=[*_FLOAT_OPS, *also_float])
        debugger = lite.QuantizationDebugger(
            converter=converter, debug_dataset=calibration, debug_options=options
        )
    except AttributeError as error:
        raise UsageError(
            f"this TensorFlow cannot leave the decode step in float ({reason(error)}); "
            "use --precision float16"
        ) from None
    return debugger.get_nondebug_quantized_model()


def _write_litert(
    graph: Graph, path: Path, precision: str, calibration: Calibration, properties: Any
) -> None:
    folder = path.with_name(f"{path.name}.saved")
    with native.quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _write_saved_model(graph, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        if precision == "int8":
            data = _to_int8(
                converter, calibration, _PICTURE_OPS if graph.signature == "image" else ()
            )
        else:
            if precision == "float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            data = converter.convert()
    path.write_bytes(data)


def _open_litert(path: Path) -> Run:
    from colorcli.system.interpreter import open_interpreter

    with native.quiet():
        interpreter = open_interpreter(path)
        interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    return lambda feed: {name: np.array(out) for name, out in runner(**feed).items()}


def _write_onnx(
    graph: Graph,
    path: Path,
    precision: str,
    calibration: Calibration,
    properties: Mapping[str, str],
) -> None:
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    function = tf.function(graph.positional(), input_signature=graph.specs())
    with native.quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, _ = tf2onnx.convert.from_function(function, input_signature=graph.specs(), opset=17)
    # TensorFlow lower-cases the names of arguments; the order is kept.
    names = {port.name: name for port, name in zip(model.graph.input, graph.inputs, strict=True)}
    for port in model.graph.input:
        port.name = names[port.name]
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    model.producer_name = "colorcli"
    onnx.helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, dict(feed)), strict=True))


FORMATS: dict[str, Format] = {
    "keras": Format(
        ".keras", {"float32": EXACT}, ("ab",), _write_keras, _open_keras
    ),
    "saved-model": Format(
        "", {"float32": EXACT}, ("ab", "image"),
        _write_saved_model, _open_saved_model,
    ),
    "litert": Format(
        ".tflite",
        {"float16": HALF, "float32": EXACT, "int8": BYTES},
        (), _write_litert, _open_litert,
    ),
    "onnx": Format(
        ".onnx", {"float32": EXACT}, ("ab", "image"),
        _write_onnx, _open_onnx, ("tf2onnx", "onnx", "onnxruntime"), "onnx",
    ),
}  # fmt: skip


def of(path: Path | str) -> str | None:
    """The format that a file name's suffix means; None for one that means none."""
    suffix = os.path.splitext(path)[1].lower()
    return next((name for name, f in FORMATS.items() if f.suffix and f.suffix == suffix), None)


def check_runtime(name: str) -> None:
    """Raise ``UsageError`` naming the extra when a format's modules are not installed."""
    import importlib

    chosen = FORMATS[name]
    for module in chosen.needs:
        try:
            importlib.import_module(module)
        except ImportError:
            raise UsageError(
                f"{name} needs {module}, which is not installed; "
                f"pip install 'colorcli[{chosen.extra}]'"
            ) from None


def readable(name: str, path: Path) -> Run:
    """What runs the written file back; ``ModelError`` when its own runtime refuses it."""
    try:
        return FORMATS[name].open(path)
    except Exception as error:  # each runtime has errors of its own
        raise ModelError(
            f"the {name} export cannot be run back ({reason(error)}); not written"
        ) from None
