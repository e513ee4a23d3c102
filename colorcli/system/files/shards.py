"""A share of the photographs for each of many calls that do not know each other."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from colorcli.system.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """The share ``number`` (1 to ``of``) of ``of`` shares.

    A name's share hangs on the name alone: files that are added later move no other, and every
    machine comes to the same.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``I/N``; raises ``UsageError`` for what is none."""
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        shard = found and cls(int(found[1]), int(found[2]))
        if not shard or not 1 <= shard.number <= shard.of:
            raise UsageError(
                f"--shard {text}: give I/N with I from 1 to N, such as 3/64; a Slurm array is "
                "numbered so by --array=1-64"
            )
        return shard

    def holds(self, name: str) -> bool:
        """Whether ``name`` is of this share. Names apart by case only are of the same."""
        name = name.casefold().replace(os.sep, "/")
        digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.number - 1
