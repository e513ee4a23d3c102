"""Checkpoints of a run: everything that makes it go on as if nothing had happened."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from colorcli.system import disk
from colorcli.system.atomic import PART, write_atomic
from colorcli.system.errors import DataError, reason

KEPT = 2
LIST = "checkpoint"  # as TensorFlow calls the list of checkpoints


class Checkpoints:
    """The newest ``KEPT`` checkpoints of a run folder, each whole or not there."""

    def __init__(self, folder: Path, parts: dict[str, Any]) -> None:
        """``parts``: what a checkpoint holds, by name (networks, optimizers, variables)."""
        self.folder = folder / "checkpoints"
        self._parts = {name: part for name, part in parts.items() if part is not None}
        self._checkpoint = tf.train.Checkpoint(**self._parts)
        try:
            self._manager = self._managed()
            if not self._manager.checkpoints and (lost := self._unlisted()):
                listed = [f'model_checkpoint_path: "{lost[-1]}"']
                for name in lost:
                    listed.append(f'all_model_checkpoint_paths: "{name}"')
                    listed.append("all_model_checkpoint_timestamps: 1.0")
                write_atomic(self.folder / LIST, "\n".join(listed).encode())
                self._manager = self._managed()
        except (OSError, tf.errors.OpError) as error:
            raise DataError(f"{self.folder}: cannot be used: {reason(error)}") from None

    def _managed(self) -> tf.train.CheckpointManager:
        try:
            return tf.train.CheckpointManager(self._checkpoint, str(self.folder), max_to_keep=KEPT)
        except ValueError:  # the list is torn
            (self.folder / LIST).unlink(missing_ok=True)
            return tf.train.CheckpointManager(self._checkpoint, str(self.folder), max_to_keep=KEPT)

    def _unlisted(self) -> list[str]:
        """Names of checkpoints in the folder, oldest first, where a power cut took the list of them."""
        found = [path.with_suffix("") for path in self.folder.glob("ckpt-*.index")]
        numbered = [path for path in found if path.name.removeprefix("ckpt-").isdecimal()]
        numbered.sort(key=lambda path: int(path.name.removeprefix("ckpt-")))
        return [path.name for path in numbered]

    def require_room(self) -> None:
        """Raise ``DataError`` at once when the disk cannot hold what the run will keep."""
        variables = [v for part in self._parts.values() for v in _variables(part)]
        size = sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in variables)
        present = sum(f.stat().st_size for f in self.folder.glob("*") if f.is_file())
        needed = (KEPT + 1) * size - present
        place, advice = self.folder.parent, "free some space or choose another -o"
        disk.require_room(place, needed, "checkpoints", advice)

    @property
    def present(self) -> bool:
        """Whether there is any checkpoint."""
        return bool(self._manager.checkpoints)

    def restore(self) -> bool:
        """Go back to the newest readable checkpoint; whether there was one.

        Raises ``DataError`` when there are some and none fits.
        """
        known = self._manager.checkpoints
        for path in reversed(known):
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched()
                return True
            # What TensorFlow's reader raises on damaged bytes includes IndexError.
            except (tf.errors.OpError, AssertionError, ValueError, LookupError):
                continue
        if known:
            raise DataError(
                f"{self.folder}: no checkpoint there fits this run; choose another -o, or remove "
                "the folder to start anew"
            )
        return False

    def save(self) -> None:
        """Write one now. Raises ``DataError``; the one before stays."""
        try:
            self._manager.save()
        except (OSError, tf.errors.OpError) as error:
            self.sweep()
            text = reason(error).split("[Op:")[0]
            raise DataError(
                f"{self.folder}: cannot be written ({text.strip()[:160]}); the last checkpoint is "
                "intact: make room and repeat the command"
            ) from None

    def sweep(self) -> None:
        """Remove what a failed or killed save left, to give its room back."""
        kept = {Path(path).name for path in self._manager.checkpoints}
        for path in self.folder.glob("ckpt-*"):
            if path.name.split(".")[0] not in kept:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        for path in self.folder.glob(f"{LIST}.tmp*"):
            path.unlink(missing_ok=True)
        # Models that a killed process was writing.
        for path in self.folder.parent.glob(f"{PART}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def _variables(part: Any) -> list[Any]:
    """Of a network or an optimizer; or the variable itself."""
    if isinstance(part, keras.Model):
        return part.weights
    return part.variables if isinstance(part, keras.optimizers.Optimizer) else [part]
