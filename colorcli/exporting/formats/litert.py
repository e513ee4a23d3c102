"""LiteRT (TensorFlow Lite): one small file for phones, browsers and ``colorize predict``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorcli.exporting.formats.common import (
    BYTES,
    EXACT,
    HALF,
    Example,
    Feed,
    Format,
    Order,
    Run,
    Snippet,
    save_tensorflow,
)
from colorcli.system import native
from colorcli.system.errors import UsageError, reason

if TYPE_CHECKING:
    from colorcli.network.runtimes import Engine

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


def _to_int8(
    converter: Any, calibration: Callable[[], Iterable[Feed]], also_float: tuple[str, ...]
) -> bytes:
    import tensorflow as tf

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


def _write(order: Order, path: Path) -> None:
    import tensorflow as tf

    folder = path.with_name(f"{path.name}.saved")
    with native.quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_tensorflow(order.graph, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        if order.precision == "int8":
            also_float = _PICTURE_OPS if order.graph.signature == "image" else ()
            data = _to_int8(converter, order.calibration, also_float)
        else:
            if order.precision == "float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            data = converter.convert()
    path.write_bytes(data)


def _open(path: Path) -> Run:
    import numpy as np

    from colorcli.system.native import open_interpreter

    with native.quiet():
        interpreter = open_interpreter(path)
        interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    return lambda feed: {name: np.array(out) for name, out in runner(**feed).items()}


def _engine(path: Path) -> Engine:
    from colorcli.network.runtimes import LiteRT

    return LiteRT(path)


_BROWSER = Snippet(
    "In a browser, with LiteRT.js",
    "js",
    """import {loadLiteRt, loadAndCompile, Tensor} from "@litertjs/core";
await loadLiteRt("node_modules/@litertjs/core/wasm/");
const model = await loadAndCompile("<< file >>", {accelerator: "wasm"});
const results = await model.run({
<% for i in inputs %>
  << i.name >>: new Tensor(<% if i.knob %>Float32Array.of(<< i.value >>)<% else %><< i.value >><% endif %>, << i.shape >>),
<% endfor %>
});
const << output >> = await results.<< output >>.data();
""",
)
_ANDROID = Snippet(
    "On Android, with LiteRT (com.google.ai.edge.litert:litert)",
    "kotlin",
    """val interpreter = Interpreter(loadMappedFile(context, "<< file >>"))
val output = ByteBuffer.allocateDirect(<< output_bytes >>).order(ByteOrder.nativeOrder())
val inputs = mapOf(
<% for i in inputs %>
    "<< i.name >>" to <% if i.knob %>floatArrayOf(<< i.value >>f)<% else %><< i.value >><% endif %>,
<% endfor %>
)
interpreter.runSignature(inputs, mutableMapOf<String, Any>("<< output >>" to output))
""",
)
FORMAT = Format(
    name="litert",
    suffix=".tflite",
    precisions={"float16": HALF, "float32": EXACT, "int8": BYTES},
    calibrated=("int8",),
    write=_write,
    open=_open,
    engine=_engine,
    example=Example(
        packages="ai-edge-litert",
        python="""from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(str(MODEL))
interpreter.allocate_tensors()
serve = interpreter.get_signature_runner()


def run(feed: dict) -> dict:
    names = serve.get_input_details()
    return serve(**{name: value for name, value in feed.items() if name in names})
""",
        elsewhere=(_BROWSER, _ANDROID),
    ),
)
