"""ONNX: one file for ONNX Runtime on most systems, browsers, and ``colorize predict``."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorcli.exporting.formats.common import EXACT, Example, Format, Order, Run, Snippet
from colorcli.network.decoding import NEUTRAL
from colorcli.system import native
from colorcli.system.errors import ModelError, UsageError, reason

if TYPE_CHECKING:
    import numpy as np


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


def _session(path: Path | str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _open(path: Path) -> Run:
    session = _session(path)
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, dict(feed)), strict=True))


class _Onnx:
    """ONNX Runtime on one thread, for a file that takes L: an ``Engine``."""

    def __init__(self, path: Path | str) -> None:
        """Load ``path``; ``ModelError`` when it is no colorizer, ``UsageError`` without runtime."""
        from colorcli.network.runtimes import refuse_pictures

        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            raise UsageError(
                f"{path}: needs onnxruntime, which is not installed; pip install 'colorcli[onnx]'"
            ) from None
        try:
            self._run = _session(path)
            inputs = {i.name: i for i in self._run.get_inputs()}
            self._outputs = [o.name for o in self._run.get_outputs()]
            refuse_pictures(path, inputs)
            side = inputs["L"].shape[1]
            if not isinstance(side, int):  # any size: the file says which one it was trained for
                side = int(self._run.get_modelmeta().custom_metadata_map["size"])
            if "ab" not in self._outputs:
                raise KeyError("ab")
        except ModelError:
            raise
        except Exception as error:  # the runtime raises classes of its own
            raise ModelError(f"{path}: not a usable ONNX model ({reason(error)})") from None
        self._inputs = tuple(inputs)
        self._last: dict[str, np.ndarray] = {}
        self.size, self.distribution = side, "logits" in self._outputs
        self.knobs: Collection[str] = set(inputs) - {"L"}

    def __call__(self, lightness: np.ndarray, values: Mapping[str, float] = NEUTRAL) -> np.ndarray:
        """See ``Engine``."""
        from colorcli.network.runtimes import feed_of

        feed = feed_of(lightness, values)
        outputs = self._run.run(self._outputs, {name: feed[name] for name in self._inputs})
        self._last = dict(zip(self._outputs, outputs, strict=True))
        return self._last["ab"][0]

    def logits(self) -> np.ndarray | None:
        """See ``Engine``."""
        return self._last["logits"][0] if self.distribution else None

    def features(self) -> list[np.ndarray]:
        """See ``Engine``."""
        return []

    def another(self) -> _Onnx:
        """See ``Engine``."""
        return copy.copy(self)  # a session serves many threads, its last outputs do not


FORMAT = Format(
    name="onnx",
    suffix=".onnx",
    precisions={"float32": EXACT},
    flexible=("ab", "image"),
    write=_write,
    open=_open,
    engine=_Onnx,
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
