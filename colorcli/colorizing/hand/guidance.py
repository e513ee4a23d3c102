"""Which hints go with which photograph, read and checked before any work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from colorcli.colorizing.hand import files
from colorcli.colorizing.hand.files import Asked
from colorcli.colorizing.hand.hint import Known, parse, timed
from colorcli.config.predict import STRENGTH, HandConfig
from colorcli.imaging import reading
from colorcli.system.errors import UsageError

# Width and height, upright, of a film by its path; None for what is none.
Films = Callable[[str], "tuple[int, int] | None"]
MARK = ".hints"  # between the name and the suffix of a sidecar


def is_sidecar(path: str) -> bool:
    """Whether a file's name is that of a sidecar, which is no photograph then."""
    return os.path.splitext(os.path.splitext(path)[0])[1].lower() == MARK


@dataclass(frozen=True)
class Guidance:
    """Hints of photographs by their names as inputs; ``always``: of the one photograph there is.

    ``reference``: a photograph, or a folder of them, that all are to be like, by ``strength``.
    ``stills``: photographs that the shot of a film at a time in seconds is to be like, by ``share``.
    """

    always: tuple[Asked, ...] = ()
    named: Mapping[str, Asked] = field(default_factory=dict)
    reference: str | None = None
    strength: float = STRENGTH
    stills: tuple[tuple[float, str], ...] = ()
    share: float = 1.0

    def _asked(self, name: str) -> Iterable[Asked]:
        own = self.named.get(name)
        return self.always if own is None else (*self.always, own)

    def of(self, name: str, size: tuple[int, int], page: tuple[int, int] = (1, 1)) -> list[Known]:
        """The hints of a photograph's ``page``, of so many, in their places.

        Raises ``UsageError`` where one lies outside of ``size`` (width, height), or on no page.
        """
        found: list[Known] = []
        for asked in self._asked(name):
            asked.check_still()
            asked.check(size)
            asked.check_pages(name, page[1])
            for hint in asked.hints:
                if hint.page in (None, page[0]):
                    found += hint.placed(size)
        return found

    def of_film(self, name: str) -> list[Asked]:
        """The hints of a film; raises ``UsageError`` for those of pages."""
        found = [*self._asked(name)]
        for asked in found:
            asked.check_film()
        return found

    def check_files(self, paths: Iterable[str], films: Films) -> None:
        """Raise ``UsageError`` for hints that do not fit what they are of, whose headers are read."""
        for path in paths:
            if not (asked := tuple(self._asked(path))) or not os.path.isfile(path):
                continue
            if size := films(path):
                for one in self.of_film(path):
                    one.check(size)
                continue
            header = reading.peek(path)
            if header is None or header.kind == "RAW":  # its turn comes
                continue
            for one in asked:
                one.check_still()
                if header.single:
                    one.check_pages(path, 1)
                one.check(header.upright)


def _referred(config: HandConfig, count: int) -> tuple[str | None, list[tuple[float, str]]]:
    """The reference of all, and those of moments; of ``count`` pictures."""
    always, stills = list[str](), list[tuple[float, str]]()
    for text in config.reference:
        time, path = timed(text)
        if time is None:
            always.append(path)
        elif os.path.isdir(path):
            raise UsageError(f"--reference {text}: a moment is like one photograph; give a file")
        else:
            stills.append((time, path))
    if len(always) > 1:
        raise UsageError(
            f"--reference {always[1]}: one is given already; put both into a folder and give that, or "
            "say when each is for in a film, as in 12.5s=still.png"
        )
    if stills and count > 1:
        raise UsageError(
            f"--reference {config.reference[0]}: a time is of one film, not of {count} inputs; give "
            "each a call of its own"
        )
    return (always[0] if always else None), stills


def guidance(
    config: HandConfig, paths: Sequence[str], *,
    frames: bool = False, films: Films = lambda _: None,
) -> Guidance:  # fmt: skip
    """The hints that ``config`` names for the photographs and films ``paths``, which are to be coloured.

    ``frames``: those of each folder are a film. ``films``: the size of one, for each path. Raises ``UsageError`` for hints that cannot be read or do not fit, and for hints without a name
    where there are several photographs.
    """
    always = [Asked((parse(text),)) for text in config.hint]
    if config.hints is not None:
        time, path = timed(config.hints)
        always.append(files.read(path).at(time))
    count = len({os.path.dirname(path) for path in paths} if frames else paths)
    if always and count > 1:
        option = "--hint" if config.hint else "--hints"
        what = "film" if frames else "photograph"
        raise UsageError(
            f"{option} is for one {what}, not {count}; write NAME.hints.csv beside each "
            "and give --sidecars"
        )
    named: dict[str, Asked] = {}
    for path in paths if config.sidecars else ():
        beside = files.sidecars(path)
        if len(beside) > 1:
            raise UsageError(f"{path}: two files of hints, {' and '.join(beside)}; keep one")
        if beside:
            named[path] = files.read(beside[0])
    reference, stills = _referred(config, count)
    given = config.reference_strength
    how = {} if given is None else {"strength": given, "share": given}
    found = Guidance(tuple(always), named, reference, stills=tuple(stills), **how)
    if not frames:  # whose turn comes, one by one
        found.check_files(paths, films)
    return found
