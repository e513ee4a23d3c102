"""A page: one HTML file that colours photographs in a browser, without a server."""

from __future__ import annotations

from pathlib import Path

from colorcli.exporting.formats.common import HALF, Example, Format, Order, Run
from colorcli.exporting.formats.litert import FORMAT as LITERT


def _fetch(given: str | None) -> object:
    from colorcli.exporting.page.runtime import runtime

    return runtime(given)


def _write(order: Order, path: Path) -> None:
    from colorcli.exporting.page.assembly import assemble
    from colorcli.exporting.page.runtime import runtime

    model = path.with_name(f"{path.name}{LITERT.suffix}")
    LITERT.write(order, model)
    side = order.graph.inputs["L"].shape[1]
    assert side is not None, "the runtime takes static shapes alone"
    stride = int(order.graph.network.compute_output_shape((1, side, side, 1))[1])
    page = assemble(
        model.read_bytes(), order.folder, runtime(order.runtime), side=side, stride=stride
    )
    path.write_text(page, "utf-8")


def _open(path: Path) -> Run:
    from colorcli.exporting.page.assembly import model_in

    model = path.with_name(f"{path.name}.inside{LITERT.suffix}")
    model.write_bytes(model_in(path))
    return LITERT.open(model)


FORMAT = Format(
    name="page",
    suffix=".html",
    precisions={"float16": HALF},
    signatures=("ab",),
    distribution=True,
    write=_write,
    open=_open,
    fetch=_fetch,
    example=Example(
        packages="ai-edge-litert",
        python="""import base64
import gzip
import re

from ai_edge_litert.interpreter import Interpreter

# The page is opened in a browser; this is the network inside it.
packed = re.search(r'id="model">([^<]*)<', MODEL.read_text("utf-8"))[1]
interpreter = Interpreter(model_content=gzip.decompress(base64.b64decode(packed)))
interpreter.allocate_tensors()
serve = interpreter.get_signature_runner()


def run(feed: dict) -> dict:
    names = serve.get_input_details()
    return serve(**{name: value for name, value in feed.items() if name in names})
""",
    ),
)
