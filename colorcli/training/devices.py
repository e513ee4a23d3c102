"""Where a run computes: one device, several of one machine, or several machines; and how exactly."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

import keras
import tensorflow as tf

from colorcli.system.errors import UsageError


def strategy() -> tf.distribute.Strategy:
    """TensorFlow's strategy for this process: several machines where ``TF_CONFIG`` names them.

    Must come before any other TensorFlow work then. Raises ``UsageError`` for a ``TF_CONFIG``
    that cannot be used.
    """
    text = os.environ.get("TF_CONFIG")
    if text:
        try:
            config = json.loads(text)
            workers = len(config["cluster"]["worker"])
            index = int(config["task"]["index"])
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                'TF_CONFIG must be {"cluster": {"worker": ["HOST:PORT", …]}, '
                '"task": {"type": "worker", "index": N}}'
            ) from None
        if not 0 <= index < workers:
            raise UsageError(f"TF_CONFIG: task index {index} is none of {workers} workers")
        if workers > 1:
            try:
                return tf.distribute.MultiWorkerMirroredStrategy()
            except (RuntimeError, ValueError, tf.errors.OpError) as error:
                line = str(error).splitlines()[0]
                raise UsageError(f"TF_CONFIG: cannot join the other workers: {line}") from None
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def place(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """(this worker's index, number of workers); worker 0 is the chief, who alone writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec().as_dict():
        return 0, 1
    return int(resolver.task_id), len(resolver.cluster_spec().as_dict()["worker"])


def precision(wanted: str) -> str:
    """The Keras dtype policy that ``wanted`` means here: ``auto`` is mixed where GPUs gain by it."""
    if wanted != "auto":
        return wanted
    capable = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    if not capable or min(capable) < (7, 0):
        return "float32"
    return "mixed_bfloat16" if min(capable) >= (8, 0) else "mixed_float16"


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Layers made meanwhile compute in the Keras dtype policy ``name``."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
