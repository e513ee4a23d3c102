"""What long works have in common: which files they mean, their share of them, and where it is done."""

from __future__ import annotations

from dataclasses import dataclass

from colorcli.config.settings import value


@dataclass(frozen=True)
class NamesConfig:
    """Which files a call means, beside those it names as arguments."""

    recursive: bool = value(False, "Look into sub-folders too.", short="-r")
    files_from: str | None = value(None, "Read names from this file, or - for stdin.")
    null: bool = value(False, "Those names end in NUL.", short="-0")


@dataclass(frozen=True)
class BatchConfig:
    """One call's share of a large work, its record, and when it gives up."""

    shard: str | None = value(
        None, "Only the I-th of N shares, by name: the same on every machine.", metavar="I/N"
    )
    log: str | None = value(None, "Add a line of JSON for each photograph to this file.")
    max_errors: str | None = value(
        None, "Stop when more have failed: a number, or a share of those tried.", metavar="N|P%"
    )


@dataclass(frozen=True)
class EngineConfig:
    """Where work is done."""

    engine: str = value(
        "local", "local: this machine. ray: the machines of a Ray cluster; needs colorcli[ray].",
        choices=("local", "ray"),
    )  # fmt: skip
    address: str | None = value(
        None, "Of the Ray cluster. [default: RAY_ADDRESS, the one here, or one begun for it]",
        metavar="auto|HOST:PORT",
    )  # fmt: skip
