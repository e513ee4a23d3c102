"""What goes with an export: a card for people, metadata for programs, an example that runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

from colorcli import __version__
from colorcli.exporting.formats import Exported
from colorcli.exporting.signatures import OUTPUTS, Graph
from colorcli.network.decoding import KNOBS
from colorcli.network.model_folder import ModelFolder

ASSETS = Path(__file__).parents[1] / "assets"
SCHEMA = 1


@dataclass(frozen=True)
class Runtime:
    """How to run a format from Python: packages to install, and code that defines ``run(feed)``.

    ``elsewhere`` are (title, language, code) for other places; in them ``$file``, ``$feed`` and
    ``$output`` are filled in.
    """

    packages: str
    code: str
    elsewhere: tuple[tuple[str, str, str], ...] = ()


RUNTIMES: dict[str, Runtime] = {
    "keras": Runtime(
        "tensorflow",
        """import keras

model = keras.models.load_model(MODEL)


def run(feed: dict) -> dict:
    given = {name: value for name, value in feed.items() if name in model.input}
    return {name: np.asarray(value) for name, value in model(given).items()}
""",
    ),
    "saved-model": Runtime(
        "tensorflow",
        """import tensorflow as tf

model = tf.saved_model.load(str(MODEL))
serve = model.signatures["serving_default"]


def run(feed: dict) -> dict:
    names = serve.structured_input_signature[1]
    outputs = serve(**{name: tf.constant(value) for name, value in feed.items() if name in names})
    return {name: value.numpy() for name, value in outputs.items()}
""",
    ),
    "litert": Runtime(
        "ai-edge-litert",
        """from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(str(MODEL))
interpreter.allocate_tensors()
serve = interpreter.get_signature_runner()


def run(feed: dict) -> dict:
    names = serve.get_input_details()
    return serve(**{name: value for name, value in feed.items() if name in names})
""",
        (
            (
                "In a browser, with LiteRT.js",
                "js",
                """import {loadLiteRt, loadAndCompile, Tensor} from "@litertjs/core";
await loadLiteRt("node_modules/@litertjs/core/wasm/");
const model = await loadAndCompile("$file", {accelerator: "wasm"});
const results = await model.run({$js_litert});
const $output = await results.$output.data();""",
            ),
            (
                "On Android, with LiteRT (com.google.ai.edge.litert:litert)",
                "kotlin",
                """val interpreter = Interpreter(loadMappedFile(context, "$file"))
val output = ByteBuffer.allocateDirect($output_bytes).order(ByteOrder.nativeOrder())
interpreter.runSignature(mapOf($kotlin), mutableMapOf<String, Any>("$output" to output))""",
            ),
        ),
    ),
    "onnx": Runtime(
        "onnxruntime",
        """import onnxruntime

session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])


def run(feed: dict) -> dict:
    names = {port.name for port in session.get_inputs()}
    outputs = session.run(None, {name: value for name, value in feed.items() if name in names})
    return {port.name: value for port, value in zip(session.get_outputs(), outputs)}
""",
        (
            (
                "In a browser, with onnxruntime-web",
                "js",
                """import * as ort from "onnxruntime-web";
const session = await ort.InferenceSession.create("$file");
const results = await session.run({$js_onnx});
const $output = results.$output.data;""",
            ),
        ),
    ),
}


def _shape(shape: tuple[int | None, ...]) -> str:
    return "×".join("any" if n is None else str(n) for n in shape)


def _snippet_values(graph: Graph, side: int) -> dict[str, str]:
    """What the snippets of ``RUNTIMES`` are filled with."""
    arrays = {"float32": "Float32Array", "uint8": "Uint8Array"}
    litert, onnx, kotlin = [], [], []
    for name, port in graph.inputs.items():
        dims = [side if n is None else n for n in port.shape]
        data = {"L": "lightness", "image": "pixels"}.get(name)
        knob = KNOBS[name].default if name in KNOBS else None
        value = data or f"{arrays[port.dtype]}.of({knob})"
        litert.append(f"{name}: new Tensor({value}, {dims})")
        onnx.append(f'{name}: new ort.Tensor("{port.dtype}", {value}, {dims})')
        kotlin.append(f'"{name}" to {data or f"floatArrayOf({knob}f)"}')
    output = "colours" if graph.signature == "image" else "ab"
    size = side * side * 3 if output == "colours" else 0
    if output == "ab":
        height, width = graph.network.compute_output_shape((1, side, side, 1))[1:3]
        size = int(height * width * 2 * 4)
    return {
        "js_litert": ", ".join(litert), "js_onnx": ", ".join(onnx), "kotlin": ", ".join(kotlin),
        "output": output, "output_bytes": str(size),
    }  # fmt: skip


def _card(result: Exported, graph: Graph, folder: ModelFolder, file: str, example: str) -> str:
    check, info = result.check, folder.metadata
    side = result.size or (folder.config.size if graph.signature == "ab" else 256)
    values = {"file": file, **_snippet_values(graph, side)}
    runtime = RUNTIMES[result.format]
    parts = [
        f"# {file}",
        f"Colours for grayscale photographs: the model {folder.name} of colorcli {__version__} as "
        f"{result.format}, {result.precision}, signature {result.signature}, "
        f"{result.bytes / 1e6:.1f} MB.",
        "## Inputs and outputs",
        "| name | shape | type | meaning |\n|---|---|---|---|\n"
        + "\n".join(
            f"| {name} (in) | {_shape(port.shape)} | {port.dtype} | {port.note} |"
            for name, port in graph.inputs.items()
        )
        + "\n"
        + "\n".join(
            f"| {name} (out) | | {'uint8' if name == 'colours' else 'float32'} | {OUTPUTS[name]} |"
            for name in _outputs(graph)
        ),
        "## Run it",
        f"`python {example} PHOTO OUTPUT` needs numpy, pillow and {runtime.packages}."
        + (
            f" `colorize predict PHOTO -m {file}` runs it too, with more care for formats and sizes."
            if graph.signature == "ab" and result.format in ("litert", "onnx")
            else ""
        ),
    ]
    if graph.signature == "image":
        parts.append(f"Inside: {', '.join(KNOBS)}.")
    for title, language, code in runtime.elsewhere:
        filled = Template(code).substitute(values)
        told = {
            "ab": "`lightness` holds L (0 to 100) of the picture stretched to the square.",
            "image": "`pixels` holds red, green and blue of every pixel, row by row.",
        }[graph.signature]
        parts += [f"### {title}", f"```{language}\n{filled}\n```", f"{told} Not tested here."]
    parts += [
        "## Checked",
        f"Run in its own runtime on {check.photographs} photographs ({check.pictures} views) and "
        "compared with the Keras network:",
        "| | largest | mean |\n|---|---|---|\n"
        f"| ab, units | {check.ab_largest:g} | {check.ab_mean:g} |\n"
        f"| RGB, 8-bit levels | {check.rgb_largest:g} | {check.rgb_mean:g} |",
        f"PSNR against the true colours: {check.psnr:g} dB, of which it loses {check.psnr_lost:g}. "
        f"One run took {check.milliseconds:g} ms (median, on the machine that exported it).",
        "## Where it comes from",
        "\n".join(f"- {line}" for line in _origin(info)) or "- not recorded",
    ]
    return "\n\n".join(parts) + "\n"


def _origin(info: dict[str, Any]) -> list[str]:
    lines = [f"{key}: {info[key]}" for key in ("licence", "date", "known_failures") if key in info]
    data = info.get("data", {})
    if isinstance(data, dict):
        lines += [f"{key}: {value}" for key, value in data.items()]
    return lines


def _outputs(graph: Graph) -> list[str]:
    if graph.signature == "image":
        return ["colours"]
    return ["ab", "logits"] if len(graph.inputs) > 1 else ["ab"]


def texts(
    result: Exported, graph: Graph, folder: ModelFolder, digest: str | None, file: str
) -> dict[str, str]:
    """Card (Markdown), metadata (JSON) and example (Python) of an export named ``file``."""
    example = Path(result.companions[2]).name
    inside = result.format == "saved-model"
    side = result.size or (folder.config.size if graph.signature == "ab" else 0)
    runtime = RUNTIMES[result.format]
    template = (ASSETS / f"example_{graph.signature}.txt").read_text("utf-8")
    export = {**asdict(result), "path": file}
    metadata = {
        "schema": SCHEMA,
        "colorcli": __version__,
        "file": file,
        "sha256": digest,
        "export": {k: v for k, v in export.items() if k != "companions"},
        "model": {"name": folder.name, **asdict(folder.config)},
        "inputs": {name: asdict(port) for name, port in graph.inputs.items()},
        "outputs": {name: OUTPUTS[name] for name in _outputs(graph)},
        "origin": {k: v for k, v in folder.metadata.items() if k not in ("files", "trained")},
    }
    return {
        "card": _card(result, graph, folder, file, example),
        "metadata": json.dumps(metadata, indent=1, ensure_ascii=False) + "\n",
        "example": Template(template).substitute(
            file="." if inside else file, script=example, side=side, packages=runtime.packages,
            runtime=runtime.code.rstrip(),
            knobs={name: KNOBS[name].default for name in graph.inputs if name in KNOBS},
        ),
    }  # fmt: skip
