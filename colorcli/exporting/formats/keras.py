"""Keras 3's own file: graph and weights in one archive, no code of ours in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorcli.exporting.formats.common import EXACT, Example, Format, Order, Run

if TYPE_CHECKING:
    from colorcli.exporting.signatures import Graph


def _functional(graph: Graph) -> Any:
    import keras

    inputs = {
        name: keras.Input(batch_shape=port.shape, dtype=port.dtype, name=name)
        for name, port in graph.inputs.items()
    }
    return keras.Model(inputs, graph.portable(inputs), name="colorizer")


def _write(order: Order, path: Path) -> None:
    _functional(order.graph).save(path)


def _open(path: Path) -> Run:
    import keras
    import numpy as np

    model = keras.models.load_model(path, safe_mode=True)
    return lambda feed: {name: np.asarray(out) for name, out in model(dict(feed)).items()}


FORMAT = Format(
    name="keras",
    suffix=".keras",
    precisions={"float32": EXACT},
    flexible=("ab",),
    write=_write,
    open=_open,
    example=Example(
        packages="tensorflow",
        python="""import keras

model = keras.models.load_model(MODEL)


def run(feed: dict) -> dict:
    given = {name: value for name, value in feed.items() if name in model.input}
    return {name: np.asarray(value) for name, value in model(given).items()}
""",
    ),
)
