"""Run a model's network: the light LiteRT runtime, or TensorFlow's own where it has no wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from colorcli import native
from colorcli.errors import ModelError, reason


def _interpreter(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # no wheel for this platform
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    # One thread: a second one inside an interpreter gives nothing, a second interpreter does.
    return Interpreter(str(path), num_threads=1)


class Engine:
    """One interpreter of one LiteRT file. Not for two threads at once; make one for each."""

    def __init__(self, path: Path | str) -> None:
        """Load ``path``; raises ``ModelError`` when it is not a LiteRT colorizer."""
        try:
            with native.quiet():
                self._run = _interpreter(Path(path))
                self._run.allocate_tensors()
            signature = self._run.get_signature_runner()
            inputs, outputs = signature.get_input_details(), signature.get_output_details()
            self._inputs = {name: detail["index"] for name, detail in inputs.items()}
            self._ab = outputs["ab"]["index"]
            self._logits = outputs["logits"]["index"] if "logits" in outputs else None
            self.size = int(inputs["L"]["shape"][1])
        except (ValueError, RuntimeError, KeyError, OSError) as error:
            raise ModelError(f"{path}: not a usable LiteRT model ({reason(error)})") from None

    @property
    def distribution(self) -> bool:
        """Whether temperature and vividness act on this network."""
        return self._logits is not None

    def __call__(
        self, lightness: np.ndarray, temperature: float = 1.0, vividness: float = 0.0
    ) -> np.ndarray:
        """ab (s, s, 2) float32 of L (size, size) float32 in 0…100."""
        values = {"temperature": temperature, "vividness": vividness}
        for name, index in self._inputs.items():
            value = lightness[None, ..., None] if name == "L" else np.full(1, values[name])
            self._run.set_tensor(index, np.ascontiguousarray(value, np.float32))
        self._run.invoke()
        return self._run.get_tensor(self._ab)[0]

    def logits(self) -> np.ndarray | None:
        """Bin logits (s, s, Q) of the last call; None for a regression head."""
        return None if self._logits is None else self._run.get_tensor(self._logits)[0]
