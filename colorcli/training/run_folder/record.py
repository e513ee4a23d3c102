"""What a run remembers beside its checkpoints: a few figures in ``state.json``."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from colorcli.system.atomic import write_atomic

STATE = "state.json"


@dataclass(kw_only=True)
class Record:
    """Written before each checkpoint and at the end; a run without one goes on with these values.

    ``overhead``: seconds that were not training. ``costs``: seconds that judging and saving took,
    by their names, see ``spent``. ``scale``: what the logits are multiplied by in models that are
    saved, as last judged. ``gains``: dB over gray of the best judgement, by group. ``judges``: what
    judged. ``finished``: the step whose models were written last; −1 before any.
    """

    overhead: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)
    scale: float = 1.0
    gains: dict[str, float] = field(default_factory=dict)
    judges: dict[str, Any] = field(default_factory=dict)
    finished: int = -1

    @classmethod
    def read(cls, folder: Path) -> Record:
        """That of the run in ``folder``; a fresh one where there is none that can be read."""
        known = {f.name for f in fields(cls)}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            told = json.loads((folder / STATE).read_text("utf-8"))
            return cls(**{name: value for name, value in told.items() if name in known})
        return cls()

    def write(self, folder: Path) -> None:
        """Keep it; raises ``DataError``."""
        write_atomic(folder / STATE, json.dumps(asdict(self), indent=1).encode())
