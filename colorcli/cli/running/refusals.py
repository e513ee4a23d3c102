"""What ``predict`` cannot be asked for: options that contradict each other, or what is to be coloured."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from colorcli.cli.running.runs import Run
from colorcli.config.calls import BatchConfig, EngineConfig, NamesConfig
from colorcli.config.predict import FilmConfig, HandConfig, PredictConfig
from colorcli.system.errors import UsageError


@dataclass(frozen=True)
class Asked:
    """A call of ``predict``. ``flags``: its own, by their names."""

    inputs: Sequence[str]
    flags: Mapping[str, bool]
    names: NamesConfig
    batch: BatchConfig
    where: EngineConfig
    hand: HandConfig
    film: FilmConfig
    config: PredictConfig

    @property
    def ray(self) -> bool:
        """Whether a cluster colours."""
        return self.where.engine == "ray"

    @property
    def hinted(self) -> bool:
        """Whether colours of single photographs are given."""
        return bool(self.hand.hint or self.hand.hints or self.hand.sidecars)

    @property
    def particular(self) -> bool:
        """Whether something is asked for that films may not take: there may be a million jobs to look at."""
        return self.hinted or bool(self.hand.reference or self.config.c2pa)

    @property
    def folders(self) -> list[str]:
        """References of which the nearest is chosen."""
        return [path for path in self.hand.reference if os.path.isdir(path)]

    @property
    def stills(self) -> list[str]:
        """References for a moment of a film."""
        if not self.hand.reference:
            return []
        from colorcli.colorizing.hand.hint import timed

        return [text for text in self.hand.reference if timed(text)[0] is not None]


def _apart(asked: Asked) -> Iterator[tuple[object, str]]:
    """Options of which one rules the other out, as (whether that is so, what to say)."""
    flags, names, config, hand = asked.flags, asked.names, asked.config, asked.hand
    for one, other in (("--overwrite", "--skip-existing"), ("--quiet", "--verbose")):
        yield flags[one] and flags[other], f"{one} and {other} contradict each other"
    yield (
        asked.flags["--watch"] and (flags["--dry-run"] or asked.ray),
        "--watch and --dry-run or --engine ray contradict each other",
    )
    yield (
        not asked.inputs and names.files_from is None,
        "no photographs given; name files, folders or globs, or - for stdin",
    )
    yield (
        names.files_from == "-" and "-" in asked.inputs,
        "stdin cannot be both a photograph and the list of --files-from",
    )
    yield asked.where.address and not asked.ray, "--address belongs to --engine ray"
    yield (
        config.c2pa and config.no_provenance,
        "--c2pa and --no-provenance contradict each other",
    )
    yield (
        not hand.reference and hand.reference_strength is not None,
        "--reference-strength belongs to --reference",
    )
    piped = [*asked.inputs] != ["-"] or names.files_from or flags["--dry-run"] or flags["--json"]
    yield (
        asked.film.raw is not None and piped,
        "--raw colours stdin alone: give - and nothing else to colour or tell",
    )


def _moving(asked: Asked, frames: object, films: object) -> Iterator[tuple[object, str]]:
    """What ``frames`` in a row, ``films``, watched folders and clusters do not take."""
    hand, moving = asked.hand, frames or films
    yield (
        (asked.hinted or asked.stills) and (asked.flags["--watch"] or asked.ray),
        "hints and stills are for what is there already: not for --watch or --engine ray",
    )
    yield (
        (asked.hinted or asked.stills) and asked.film.raw is not None,
        "hints and stills hold over a shot, which is looked at first: not for --raw, which comes "
        "once; give a film, or frames by --sequence",
    )
    yield hand.reference and asked.ray, "--reference is for this machine, not for --engine ray"
    yield (
        asked.folders and moving,
        f"--reference {' '.join(asked.folders)}: the frames of a film are like one photograph; "
        "give a file",
    )
    yield (
        asked.config.c2pa and (asked.ray or moving),
        "--c2pa signs photographs: not films, frames or by --engine ray",
    )
    yield (
        frames and (asked.flags["--watch"] or asked.batch.shard or asked.ray),
        "frames are coloured one after the other, in one call: leave --engine ray, --shard and "
        "--watch out, or give each call the folders of its own films",
    )


def _beside(asked: Asked, run: Run) -> Iterator[tuple[object, str]]:
    """What cannot be given beside the results."""
    scans = asked.config.scans
    yield (
        asked.flags["--json"] and run.piped,
        "--json and a picture cannot share stdout; give -o FILE",
    )
    yield scans.split and run.piped, "--split writes files, and stdout is one; give -o FILE"
    one = scans.explain is not None and scans.explain.suffix.lower() == ".png"
    yield (
        one and run.todo != 1,
        f"--explain {scans.explain}: one file for many photographs; give a folder",
    )


def _logged(asked: Asked) -> Iterator[tuple[object, str]]:
    """A log that has a picture's name: it may be one's, or come to be."""
    from colorcli.imaging.writing import READABLE

    log = asked.batch.log
    yield (
        log is not None and os.path.splitext(log)[1].lower() in READABLE,
        f"--log {log}: a picture's name; name it .jsonl",
    )


def _refuse(found: Iterator[tuple[object, str]]) -> None:
    for wrong, message in found:
        if wrong:
            raise UsageError(message)


def call(asked: Asked) -> None:
    """Raise ``UsageError`` for a call that cannot be meant, whatever it colours."""
    _refuse(_apart(asked))
    moving(asked, frames=asked.film.moving)


def moving(asked: Asked, *, frames: object = False, films: object = False) -> None:
    """Raise ``UsageError`` where ``frames`` in a row, or ``films``, are asked for what they do not take."""
    _refuse(_moving(asked, frames, films))


def photographs(asked: Asked) -> None:
    """Raise ``UsageError`` where photographs alone are to be coloured like a moment of a film."""
    if asked.stills:
        raise UsageError(f"--reference {asked.stills[0]}: a photograph has no times; leave it out")


def beside(asked: Asked, run: Run) -> None:
    """Raise ``UsageError`` for what cannot be given beside the results of ``run``."""
    _refuse(_beside(asked, run))
    if asked.batch.log is not None:
        _refuse(_logged(asked))
