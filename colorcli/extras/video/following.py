"""Colours that are known at moments of a film, carried over the shots that these lie in.

A hint follows the motion of the film's own luma from its frame, both ways in time, to the cuts
around it. Where it is covered, leaves the picture or comes off its thing, what lay there is
remembered, and what is like it to the network keeps its colour. So a film is looked at once before
it is coloured, up to the end of the last of these shots; the network sees the moments alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand import guided
from colorcli.colorizing.hand.files import Asked
from colorcli.colorizing.hand.hint import Known
from colorcli.colorizing.hand.reference import Lent
from colorcli.colorizing.hints import sampled
from colorcli.colorizing.result import Result
from colorcli.colorizing.scans.windows import View, whole
from colorcli.extras.video import steady
from colorcli.extras.video.shots import Cuts
from colorcli.system.errors import UsageError

SIDE = 128  # of the square luma in which points are followed
BEHIND = 3000  # frames through which they are followed back at most: 48 MB
CLOSE = 1.5  # pixels of SIDE by which the way there and back may miss its beginning
AFTER = 1.0  # seconds after the last frame in which a moment is still its own
# Typed as an array by OpenCV's stubs.
_NONE: Any = None


@dataclass(frozen=True)
class Moment:
    """What is known of one, ``time`` seconds from the beginning; ``origin``: where it was given."""

    time: float
    origin: str
    asked: tuple[Asked, ...] = ()
    lent: Lent | None = None


def moments(told: Iterable[Asked], stills: Iterable[tuple[float, Lent]]) -> list[Moment]:
    """Hints and stills of a film by time; hints without one are of the beginning."""
    found: dict[float, Moment] = {}
    for time, lent in stills:
        found[time] = Moment(time, f"--reference {time:g}s={lent.name}", lent=lent)
    for asked in told:
        for time in {hint.time or 0.0 for hint in asked.hints}:
            hints = tuple(hint for hint in asked.hints if (hint.time or 0.0) == time)
            here = found.get(time, Moment(time, hints[0].origin))
            found[time] = replace(here, asked=(*here.asked, replace(asked, hints=hints)))
    return [found[time] for time in sorted(found)]


@dataclass(frozen=True)
class Glance:
    """A frame before it is coloured: its number, its time in seconds, its size and gray, upright.

    ``gray`` (h, w) uint8 or uint16 may be smaller than ``size`` (width, height).
    """

    index: int
    time: float
    size: tuple[int, int]
    gray: np.ndarray


@dataclass(frozen=True)
class Told:
    """What is known of one frame: colours at places in 0…1 of its sides, and what it is like."""

    known: tuple[Known, ...] = ()
    lent: Lent | None = None

    def on(self, view: View) -> View:
        """A view of the frame with it."""
        width, height = view.size
        known = tuple(replace(k, x=k.x * width, y=k.y * height) for k in self.known)
        return replace(view, known=known, lent=self.lent or view.lent)


@dataclass
class _Span:
    """A moment's shot: frames ``first`` to before ``end``, and where its points (N, 2) lie in each.

    ``still``: they, or what is ``lent``, are those of a still.
    """

    first: int
    key: int
    known: list[Known]
    lent: Lent | None
    still: bool
    paths: dict[int, np.ndarray]
    end: int | None = None

    def holds(self, index: int) -> bool:
        return self.first <= index and (self.end is None or index < self.end)

    def at(self, index: int) -> Iterator[Known]:
        nowhere = np.full((len(self.known), 2), np.nan, np.float32)
        for known, (x, y) in zip(self.known, self.paths.get(index, nowhere), strict=True):
            yield replace(known, x=float(x), y=float(y))


@dataclass(frozen=True)
class Followed:
    """What is known of each frame of a film.

    ``hints``, ``references``, ``notes``: what to tell of them. ``missed``: what of them a moment
    after the last frame was given by.
    """

    spans: Sequence[_Span] = ()
    hints: Sequence[dict[str, Any]] = ()
    references: Sequence[str] = ()
    notes: Sequence[str] = ()
    missed: Sequence[str] = ()
    seconds: float = 0.0

    def at(self, index: int) -> Told:
        """That of one, counted from 0."""
        spans = [span for span in self.spans if span.holds(index)]
        if not spans:
            return Told()
        stills = [span for span in spans if span.still]
        nearest = min(stills, key=lambda span: abs(span.key - index), default=None)
        counted = (span for span in spans if span is nearest or not span.still)
        known = tuple(known for span in counted for known in span.at(index))
        return Told(known, nearest.lent if nearest else None)

    def on(self, result: Result) -> Result:
        """A result that tells of it."""
        hints, references = [*self.hints] or result.hints, [*self.references] or result.references
        notes = (*result.notes, *self.notes)
        return replace(result, hints=hints, references=references, notes=notes)

    def check(self) -> None:
        """Raise ``UsageError`` for a moment after the end."""
        for origin in self.missed:
            raise UsageError(f"{origin}: the film ends after {self.seconds:.1f} s; say when before")


def followed(known: Sequence[Moment], glances: Iterable[Glance], colorizer: Colorizer) -> Followed:
    """What is known of each frame by what is known of moments, in order of time.

    ``glances`` are those of all frames, and are asked for as far as needed. Raises ``UsageError``
    for hints that do not fit the film.
    """
    walk, last = _Walk(colorizer, deque(known)), None
    for glance in glances:
        if last is not None:
            walk.see(last, glance.time)
            if walk.done:
                break
        last = glance
    else:
        if last is not None:
            walk.see(last, last.time + AFTER)
    return walk.told(last.time if last else 0.0)


@dataclass
class _Walk:
    """On its way through a film."""

    colorizer: Colorizer
    pending: deque[Moment]
    spans: list[_Span] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    hints: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cuts, self._motion = Cuts(), _Motion()
        self._behind: deque[tuple[int, np.ndarray]] = deque(maxlen=BEHIND)
        self._first = 0
        self._open: list[_Span] = []
        self._references: dict[str, None] = {}

    @property
    def done(self) -> bool:
        """Whether nothing of what comes matters."""
        return not (self.pending or self._open)

    def see(self, glance: Glance, until: float) -> None:
        """The next frame, which is shown ``until`` a time."""
        luma = steady.thumbnail(glance.gray, SIDE)
        if self._cuts(steady.thumbnail(glance.gray, steady.SIDE)):
            for span in self._open:
                span.end = glance.index
            self._open, self._first = [], glance.index
            self._behind.clear()
        elif self._open:
            before, there = self._behind[-1]
            self._motion.between(there, luma)
            for span in self._open:
                span.paths[glance.index] = self._motion(span.paths[before])
        if self.done:
            return
        self._behind.append((glance.index, luma))
        while self.pending and self.pending[0].time < until:
            self._begin(self.pending.popleft(), glance)

    def _begin(self, moment: Moment, glance: Glance) -> None:
        view = self.colorizer.like(whole(glance.gray, glance.size))
        square = self.colorizer.look(view)
        if moment.lent is not None:
            own = guided.of_still(view, square, moment.lent)
            self._hold(glance, guided.remembered(view, square, own), moment.lent, bool(own))
        lent = [*(span.lent for span in reversed(self._open)), view.lent]
        view = replace(view, lent=next((one for one in lent if one), None))
        known = list[Known]()
        for asked in moment.asked:
            asked.check(glance.size)
            known += [k for hint in asked.hints for k in hint.placed(glance.size)]
        self.hints += [k.told() for k in known]
        notes = guided.notes(view, known, self.colorizer.distribution) if known else ()
        self.notes |= dict.fromkeys(notes)
        self._references |= {moment.lent.name: None} if moment.lent else {}
        self._hold(glance, guided.remembered(view, square, known))

    def _hold(
        self, glance: Glance, known: list[Known], still: Lent | None = None, points: bool = False
    ) -> None:
        """Follow what is known of a frame back to where its shot begins, and from now on forth.

        ``points``: all of a ``still`` is among them.
        """
        if not (known or still):
            return
        at = np.array([[k.x, k.y] for k in known], np.float32).reshape(-1, 2) / glance.size
        lent = None if points else still
        span = _Span(
            self._first, glance.index, known, lent=lent, still=still is not None,
            paths={glance.index: at},
        )  # fmt: skip
        places, after = at, None
        for index, luma in reversed(self._behind):
            if after is not None:
                self._motion.between(after, luma)
                span.paths[index] = places = self._motion(places)
            after = luma
        self.spans.append(span)
        self._open.append(span)

    def told(self, seconds: float) -> Followed:
        """What came of it."""
        return Followed(
            self.spans, self.hints, [*self._references], [*self.notes],
            missed=[moment.origin for moment in self.pending], seconds=seconds,
        )  # fmt: skip


class _Motion:
    """Where points of one frame lie in another."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def between(self, here: np.ndarray, there: np.ndarray) -> None:
        """Look for the motion from one luma (SIDE, SIDE) uint8 to another."""
        self._forth, self._back = (
            cv2.medianBlur(self._flow.calc(*pair, _NONE), 5) / SIDE
            for pair in ((here, there), (there, here))
        )

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Where (N, 2) in 0…1 of the sides come to lie; NaN for what is not found again."""
        known = np.nan_to_num(places)
        moved = known + sampled(self._forth, *known.T)
        missed = moved + sampled(self._back, *moved.T) - known
        lost = (np.hypot(*missed.T) * SIDE > CLOSE) | ((moved < 0) | (moved > 1)).any(axis=1)
        return np.where((lost | np.isnan(places).any(axis=1))[:, None], np.nan, moved)
