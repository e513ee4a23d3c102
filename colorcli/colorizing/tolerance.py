"""How many photographs may fail before a call gives up."""

from __future__ import annotations

import re
from dataclasses import dataclass

from colorcli.system.errors import UsageError

FEWEST = 100  # photographs tried before a share of them says anything


@dataclass(frozen=True)
class Tolerance:
    """At most ``count`` failures, or a ``share`` (0 to 1) of what was tried."""

    text: str
    count: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """``N`` or ``P%``; raises ``UsageError`` for what is none."""
        if re.fullmatch(r"[0-9]{1,12}", text):
            return cls(text, count=int(text))
        if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?%", text) and float(text[:-1]) <= 100:
            return cls(text, share=float(text[:-1]) / 100)
        raise UsageError(f"--max-errors {text}: give a number, or a share such as 0.5%")

    def exceeded(self, failed: int, tried: int) -> bool:
        """Whether ``failed`` of ``tried`` photographs are too many."""
        if self.count is not None:
            return failed > self.count
        return self.share is not None and tried >= FEWEST and failed > self.share * tried
