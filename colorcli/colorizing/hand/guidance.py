"""Which hints go with which photograph, read and checked before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from colorcli.colorizing.hand import files
from colorcli.colorizing.hand.files import Asked
from colorcli.colorizing.hand.hint import Known, parse
from colorcli.config.predict import STRENGTH, HandConfig
from colorcli.imaging import reading
from colorcli.system.errors import UsageError

MARK = ".hints"  # between the name and the suffix of a sidecar


def is_sidecar(path: str) -> bool:
    """Whether a file's name is that of a sidecar, which is no photograph then."""
    return os.path.splitext(os.path.splitext(path)[0])[1].lower() == MARK


@dataclass(frozen=True)
class Guidance:
    """Hints of photographs by their names as inputs; ``always``: of the one photograph there is.

    ``reference``: a photograph, or a folder of them, that all are to be like, by ``strength``.
    """

    always: tuple[Asked, ...] = ()
    named: Mapping[str, Asked] = field(default_factory=dict)
    reference: str | None = None
    strength: float = STRENGTH

    def _asked(self, name: str) -> Iterable[Asked]:
        own = self.named.get(name)
        return self.always if own is None else (*self.always, own)

    def of(self, name: str, size: tuple[int, int], page: tuple[int, int] = (1, 1)) -> list[Known]:
        """The hints of a photograph's ``page``, of so many, in their places.

        Raises ``UsageError`` where one lies outside of ``size`` (width, height), or on no page.
        """
        found: list[Known] = []
        for asked in self._asked(name):
            asked.check(size)
            asked.check_pages(name, page[1])
            for hint in asked.hints:
                if hint.page in (None, page[0]):
                    found += hint.placed(size)
        return found

    def check_files(self, paths: Iterable[str]) -> None:
        """Raise ``UsageError`` for hints that do not fit the photographs, whose headers are read."""
        for path in paths:
            asked = tuple(self._asked(path))
            header = reading.peek(path) if asked and os.path.isfile(path) else None
            if header is None or header.kind == "RAW":  # its turn comes
                continue
            for one in asked:
                if header.single:
                    one.check_pages(path, 1)
                one.check(header.upright)


def guidance(config: HandConfig, paths: Sequence[str]) -> Guidance:
    """The hints that ``config`` names for the photographs ``paths``, which are to be coloured.

    Raises ``UsageError`` for hints that cannot be read or do not fit, and for hints without a name
    where there are several photographs.
    """
    always = [Asked((parse(text),)) for text in config.hint]
    if config.hints is not None:
        always.append(files.read(config.hints))
    if always and len(paths) > 1:
        option = "--hint" if config.hint else "--hints"
        raise UsageError(
            f"{option} is for one photograph, not {len(paths)}; write NAME.hints.csv beside each "
            "and give --sidecars"
        )
    named: dict[str, Asked] = {}
    for path in paths if config.sidecars else ():
        beside = files.sidecars(path)
        if len(beside) > 1:
            raise UsageError(f"{path}: two files of hints, {' and '.join(beside)}; keep one")
        if beside:
            named[path] = files.read(beside[0])
    found = Guidance(tuple(always), named, config.reference, config.reference_strength)
    found.check_files(paths)
    return found
