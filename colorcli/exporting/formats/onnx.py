"""ONNX: one file for ONNX Runtime on most systems, browsers, and ``colorize predict``."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from colorcli.exporting.formats.common import EXACT, Example, Format, Order, Run, Snippet
from colorcli.system import native


def _write(order: Order, path: Path) -> None:
    import onnx
    import tensorflow as tf
    import tf2onnx

    graph = order.graph
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
    onnx.helper.set_model_props(model, dict(order.properties))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _open(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, dict(feed)), strict=True))


FORMAT = Format(
    name="onnx",
    suffix=".onnx",
    precisions={"float32": EXACT},
    flexible=("ab", "image"),
    write=_write,
    open=_open,
    needs=("tf2onnx", "onnx", "onnxruntime"),
    extra="onnx",
    example=Example(
        packages="onnxruntime",
        python="""import onnxruntime

session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])


def run(feed: dict) -> dict:
    names = {port.name for port in session.get_inputs()}
    outputs = session.run(None, {name: value for name, value in feed.items() if name in names})
    return {port.name: value for port, value in zip(session.get_outputs(), outputs)}
""",
        elsewhere=(
            Snippet(
                "In a browser, with onnxruntime-web",
                "js",
                """import * as ort from "onnxruntime-web";
const session = await ort.InferenceSession.create("<< file >>");
const results = await session.run({
<% for i in inputs %>
  << i.name >>: new ort.Tensor("<< i.dtype >>", <% if i.knob %>Float32Array.of(<< i.value >>)<% else %><< i.value >><% endif %>, << i.shape >>),
<% endfor %>
});
const << output >> = results.<< output >>.data;
""",
            ),
        ),
    ),
)
