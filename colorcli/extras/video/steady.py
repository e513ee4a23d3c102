"""Colours held steady: each point's ab is a mean over time along the motion of its shot.

A network colours every frame a little differently. The mean is exponentially weighted, both ways in
time, so that it neither lags behind nor has to settle: the first frames of a shot get their colours
from those after them. The weights fall with time in seconds, whatever the rate of the frames, and
are nought where the picture before cannot be found in the picture after: what is uncovered starts
afresh. Where the network wavers between hues, a mean of ab is grayer than any of them, so the length
of ab has a mean of its own. Motion is that of the film's own luma, by OpenCV's DIS flow (Kroeger et
al., arXiv 1603.03590); colours change nothing in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from colorcli.extras.video.shots import Cuts

SIDE = 64  # of the square luma that motion is looked for in: small enough that grain is gone
AHEAD = 12  # frames that are waited for, at most
REACH = 1.5  # time constants ahead beyond which nothing is waited for
DOUBT = 20.0  # gray levels of a mismatch that is believed to a third
PER_NOISE = 3.0  # the same in medians of the mismatch: grain everywhere is no reason for doubt
# Typed as an array by OpenCV's stubs; an empty one in its place is read from (5.0).
_NONE: Any = None
LIVELIER = 1.3  # at most, than the mean of ab


def thumbnail(gray: np.ndarray, side: int) -> np.ndarray:
    """Gray (H, W) uint8 or uint16 as (side, side) uint8."""
    small = cv2.resize(gray, (side, side), interpolation=cv2.INTER_AREA)
    return small if small.dtype == np.uint8 else cv2.convertScaleAbs(small, alpha=1 / 257)


@dataclass(frozen=True)
class Look:
    """A frame as it is seen here.

    ``ab`` (s, s, 2) float32 is the network's, ``luma`` (SIDE, SIDE) uint8, ``time`` in seconds;
    ``frame`` is what it was made of, and passed through.
    """

    ab: np.ndarray
    luma: np.ndarray
    time: float
    frame: Any = None


class _Way:
    """From one frame to its neighbour: what lay there is carried over here."""

    def __init__(self, here: Look, there: Look, flow: np.ndarray, decay: float) -> None:
        side = here.ab.shape[0]
        moved = cv2.resize(flow, (side, side), interpolation=cv2.INTER_AREA) * (side / SIDE)
        moved = cv2.medianBlur(np.ascontiguousarray(moved), 3)
        self._map: np.ndarray = moved + _grid(side)
        self._weight = decay * self._trust(here, there)[..., None]

    def _trust(self, here: Look, there: Look) -> np.ndarray:
        """How far each point (s, s) is the same thing in both frames, 0…1."""
        side = here.ab.shape[0]
        lumas = (
            cv2.resize(look.luma, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
            for look in (here, there)
        )
        now, before = lumas
        mismatch = np.abs(now - cv2.remap(before, self._map, _NONE, cv2.INTER_LINEAR))
        doubt = max(DOUBT, PER_NOISE * float(np.median(mismatch)))
        inside = ((self._map > -1) & (self._map < side)).all(axis=2)
        return np.exp(-((mismatch / doubt) ** 2)) * inside

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        """Weighted sums (s, s, 4) of the neighbour, here."""
        carried = cv2.remap(
            sums, self._map, _NONE, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return carried * self._weight


def _length(ab: np.ndarray) -> np.ndarray:
    return np.sqrt((ab**2).sum(axis=-1, keepdims=True))


def _weighed(ab: np.ndarray) -> np.ndarray:
    return np.dstack([ab, _length(ab), np.ones(ab.shape[:2], np.float32)])


def _grid(side: int) -> np.ndarray:
    """Each point's own place, (side, side, 2) float32: x, y."""
    return np.stack(np.meshgrid(*[np.arange(side, dtype=np.float32)] * 2), axis=-1)


@dataclass
class _Held:
    """A frame that waits: its ``own`` a, b, length of ab and weight (s, s, 4), ``past`` their sums.

    ``back``: from the frame after it to it, once that is known.
    """

    look: Look
    own: np.ndarray
    past: np.ndarray
    back: _Way | None = None


class Steadied:
    """Looks with steady ab, in order, ``AHEAD`` behind at most.

    ``seconds`` is the time constant; 0 leaves all as it is. ``ahead`` frames are held at most.
    ``shots`` counts those met.
    """

    def __init__(self, seconds: float, ahead: int = AHEAD) -> None:
        self._seconds, self._ahead = seconds, ahead
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._cuts = Cuts()
        self.shots = 0

    def __call__(self, looks: Iterable[Look]) -> Iterator[tuple[Look, np.ndarray]]:
        """Each look with its ab (s, s, 2)."""
        held: deque[_Held] = deque()
        for look in looks:
            cut = self._cuts(look.luma)
            self.shots += cut
            if not self._seconds:
                yield look, look.ab
                continue
            if cut:
                yield from _drained(held)
            own = _weighed(look.ab)
            past = own
            if held:
                there, back = self._ways(held[-1].look, look)
                held[-1].back = back
                past = own + there(held[-1].past)
            held.append(_Held(look, own, past))
            while len(held) > 1 and self._enough(held):
                yield _drawn(held)
                held.popleft()
        yield from _drained(held)

    def _ways(self, before: Look, after: Look) -> tuple[_Way, _Way]:
        """Onto the later one, and back onto the earlier one."""
        decay = float(np.exp(-max(0.0, after.time - before.time) / self._seconds))
        forth = self._flow.calc(after.luma, before.luma, _NONE)
        back = self._flow.calc(before.luma, after.luma, _NONE)
        return _Way(after, before, forth, decay), _Way(before, after, back, decay)

    def _enough(self, held: deque[_Held]) -> bool:
        """Whether the first of them has waited long enough."""
        waited = held[-1].look.time - held[0].look.time
        return len(held) > self._ahead or waited >= REACH * self._seconds


def _drawn(held: deque[_Held]) -> tuple[Look, np.ndarray]:
    """The first frame with the mean of all that lies before and after it."""
    first = held[0]
    ahead = held[-1].own
    for later in range(len(held) - 2, -1, -1):
        back = held[later].back
        assert back is not None, "all but the last have a neighbour after them"
        ahead = back(ahead) + (held[later].own if later else 0)
    sums = first.past + ahead if len(held) > 1 else first.past
    mean, length = np.split(sums[..., :3] / sums[..., 3:], (2,), axis=-1)
    livelier = length / np.maximum(_length(mean), 1e-3)
    return first.look, mean * np.minimum(livelier, LIVELIER)


def _drained(held: deque[_Held]) -> Iterator[tuple[Look, np.ndarray]]:
    while held:
        yield _drawn(held)
        held.popleft()
