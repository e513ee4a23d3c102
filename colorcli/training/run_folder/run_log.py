"""What a run writes down while it goes: ``log.jsonl``, TensorBoard curves, panels as PNG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from colorcli.imaging import png
from colorcli.system.atomic import write_atomic
from colorcli.system.errors import DataError, reason

LOG, BOARD, PANELS = "log.jsonl", "tensorboard", "panels"
HISTORY = 500  # lines on training, beside those on judgements, that go with a model


class Journal:
    """The records of the run in ``folder``. All methods raise ``DataError`` where writing fails."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open for a run that is at ``step``: what an earlier process wrote after it is dropped."""
        self.folder = folder
        path = folder / LOG
        kept = [line for line in _lines(path) if json.loads(line).get("step", 0) <= step]
        write_atomic(path, "".join(line + "\n" for line in kept).encode())
        try:
            self._board = tf.summary.create_file_writer(str(folder / BOARD))
        except (OSError, tf.errors.OpError) as error:
            raise DataError(f"{folder / BOARD}: cannot be written: {reason(error)}") from None

    def note(self, **entry: Any) -> None:
        """One line of ``log.jsonl``."""
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise DataError(
                f"{self.folder / LOG}: cannot be written: {reason(error)}; the last checkpoint is "
                "intact: repeat the command when there is room"
            ) from None

    def scalars(self, step: int, **values: float) -> None:
        """Points of TensorBoard curves."""
        with self._board.as_default():
            for name, value in values.items():
                tf.summary.write(name, np.float32(value), step, _plugin("scalars"))

    def panel(self, step: int, image: np.ndarray) -> None:
        """The validation panel, sRGB (H, W, 3) uint8, as PNG and in TensorBoard."""
        data = png.plain(image)
        write_atomic(self.folder / PANELS / f"step-{step:07d}.png", data)
        height, width = image.shape[:2]
        with self._board.as_default():
            strings = tf.constant([str(width).encode(), str(height).encode(), data])
            tf.summary.write("gray, predicted, truth", strings, step, _plugin("images"))
        self._board.flush()

    def history(self) -> str:
        """The text of ``log.jsonl``; of a long run, so many of the lines on training alone."""
        lines = _lines(self.folder / LOG)
        training = [i for i, line in enumerate(lines) if '"norm":' in line]
        every = -(-len(training) // HISTORY)
        left_out = set(training) - set(training[:: max(1, every)])
        return "".join(line + "\n" for i, line in enumerate(lines) if i not in left_out)

    def close(self) -> None:
        """Write what TensorBoard still holds."""
        self._board.close()


class Silence(Journal):
    """The journal of a worker that writes nothing."""

    def __init__(self) -> None:
        pass

    def note(self, **entry: Any) -> None:
        """Nothing."""

    def scalars(self, step: int, **values: float) -> None:
        """Nothing."""

    def panel(self, step: int, image: np.ndarray) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def _plugin(name: str) -> Any:
    """What tells TensorBoard how to show a value; tf.summary's own helpers need it installed."""
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = name
    return metadata


def _lines(path: Path) -> list[str]:
    """Whole lines of the log; a torn last one (the machine died) is dropped."""
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            json.loads(line)
        except ValueError:
            continue
        lines.append(line)
    return lines
