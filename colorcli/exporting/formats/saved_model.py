"""TensorFlow's SavedModel: a folder, for TensorFlow Serving and for converters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from colorcli.exporting.formats.common import (
    EXACT,
    Example,
    Feed,
    Format,
    Order,
    Run,
    save_tensorflow,
)

if TYPE_CHECKING:
    import numpy as np


def _write(order: Order, path: Path) -> None:
    save_tensorflow(order.graph, path)


def _open(path: Path) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(feed: Feed) -> dict[str, np.ndarray]:
        serve = loaded.signatures["serving_default"]  # alone it does not hold the variables
        outputs = serve(**{name: tf.constant(value) for name, value in feed.items()})
        return {name: out.numpy() for name, out in outputs.items()}

    return run


FORMAT = Format(
    name="saved-model",
    suffix="",
    precisions={"float32": EXACT},
    flexible=("ab", "image"),
    write=_write,
    open=_open,
    example=Example(
        packages="tensorflow",
        python="""import tensorflow as tf

model = tf.saved_model.load(str(MODEL))
serve = model.signatures["serving_default"]


def run(feed: dict) -> dict:
    names = serve.structured_input_signature[1]
    outputs = serve(**{name: tf.constant(value) for name, value in feed.items() if name in names})
    return {name: value.numpy() for name, value in outputs.items()}
""",
    ),
)
