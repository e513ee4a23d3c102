"""What is told of a photograph that was worked on, and the time that it took."""

from __future__ import annotations

import time
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

STAGES = ("read", "decode", "network", "join", "encode", "write")


@dataclass(frozen=True)
class Result:
    """One photograph's line in the JSON output.

    ``status``: done, kept (in colour already, passed on), skipped (there already), failed,
    planned (dry run), result (of an earlier run, left alone). ``regions``: photographs found in
    it (see ``scans.records``), ``turned``: degrees by which it was seen turned, ``passes``: squares
    that the network saw of each, ``hints``: known colours that were used, ``references``: photographs it is like. ``notes``: what to know of how it was read. ``provenance``: what the result says of its colours' origin, None where it says nothing.
    ``confidence``: mean of ``confidence_map``, 0…1, where that was asked for.
    ``shots``: of a film.
    """

    input: str
    output: str | None
    status: str
    _: KW_ONLY
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    regions: list[dict[str, Any]] | None = None
    turned: int | None = None
    passes: int | None = None
    shots: int | None = None
    hints: list[dict[str, Any]] | None = None
    references: list[str] | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] | None = None
    confidence: float | None = None
    confidence_map: str | None = None


class Stopwatch:
    """Milliseconds by stage: each call books the time since the last one."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        """Book the time since the last call, or the beginning, as that of ``stage``."""
        now = time.perf_counter()
        self.spent[stage] = round(self.spent.get(stage, 0.0) + (now - self._last) * 1000, 1)
        self._last = now
