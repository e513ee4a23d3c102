"""What goes with an export: a card for people, metadata for programs, an example that runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorcli import __version__
from colorcli.color.lab import NEUTRAL
from colorcli.exporting.check import Exported
from colorcli.exporting.formats.common import Snippet
from colorcli.exporting.formats.table import FORMATS
from colorcli.exporting.signatures import OUTPUTS, Graph
from colorcli.network.decoding import KNOBS
from colorcli.network.model_folder import ModelFolder

if TYPE_CHECKING:
    import jinja2

SCHEMA = 1
SIDE = 256  # of the picture in snippets of an image export of any size
VARIABLES = {"L": "lightness", "image": "pixels"}  # what snippets call the data they feed


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    """Templates beside this file and of snippets; their marks are such as code has no use for."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), undefined=jinja2.StrictUndefined,
        block_start_string="<%", block_end_string="%>",
        variable_start_string="<<", variable_end_string=">>",
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters["g"] = "{:g}".format
    made.filters["sides"] = lambda shape: "×".join("any" if n is None else str(n) for n in shape)
    return made


def _snippet_values(graph: Graph, side: int) -> dict[str, Any]:
    """What the templates of ``Snippet`` are filled with, besides the file's name."""
    inputs = [
        {
            "name": name,
            "dtype": port.dtype,
            "shape": [side if n is None else n for n in port.shape],
            "knob": name in KNOBS,
            "value": KNOBS[name].default if name in KNOBS else VARIABLES[name],
        }
        for name, port in graph.inputs.items()
    ]
    if graph.signature == "image":
        return {"inputs": inputs, "output": "colours", "output_bytes": side * side * 3}
    height, width = graph.network.compute_output_shape((1, side, side, 1))[1:3]
    return {"inputs": inputs, "output": "ab", "output_bytes": int(height * width * 2 * 4)}


def _filled(snippet: Snippet, values: Mapping[str, Any]) -> tuple[str, str, str]:
    code = _templates().from_string(snippet.code).render(values)
    return snippet.title, snippet.language, code.rstrip()


def _card(
    made: Exported, graph: Graph, folder: ModelFolder, values: Mapping[str, Any], example: str
) -> str:
    chosen = FORMATS[made.format]
    return _templates().get_template("card.md").render(
        values,
        made=made, model=folder, version=__version__, example=example,
        packages=chosen.example.packages,
        inputs=graph.inputs,
        outputs={
            name: ("uint8" if name == "colours" else "float32", OUTPUTS[name])
            for name in _outputs(graph)
        },
        predicts=graph.signature == "ab" and chosen.engine is not None,
        inside=tuple(KNOBS),
        elsewhere=[_filled(snippet, values) for snippet in chosen.example.elsewhere],
        origin=_origin(folder.metadata),
    )  # fmt: skip


def _origin(info: Mapping[str, Any]) -> list[str]:
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
    made: Exported, graph: Graph, folder: ModelFolder, *, digest: str | None, file: str
) -> tuple[str, str, str]:
    """Card (Markdown), metadata (JSON) and example (Python) of an export named ``file``.

    In the order of ``made.companions``. ``digest``: the file's sha256.
    """
    script = Path(made.companions[2]).name
    chosen = FORMATS[made.format]
    given = made.size or (folder.config.size if graph.signature == "ab" else 0)
    values = {"file": file, **_snippet_values(graph, given or SIDE)}
    export = {**asdict(made), "path": file}
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
    example = _templates().get_template(f"example_{graph.signature}.txt").render(
        file=file if chosen.suffix else ".", script=script, side=given,
        packages=chosen.example.packages, runtime=chosen.example.python.rstrip(),
        knobs={name: KNOBS[name].default for name in graph.inputs if name in KNOBS},
        neutral=NEUTRAL,
    )  # fmt: skip
    told = json.dumps(metadata, indent=1, ensure_ascii=False) + "\n"
    return _card(made, graph, folder, values, script), told, example
