"""Frames in, steady colours out: the network on threads, everything else in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.framing import halved, halvings
from colorcli.colorizing.scans.windows import whole
from colorcli.extras.video import steady
from colorcli.extras.video.following import Followed, Glance
from colorcli.system.parallel import in_order

Seen = TypeVar("Seen")
HELD = 24 << 20  # bytes of frames that may wait for those after them


@dataclass(frozen=True)
class Means:
    """What colours a film: the network, its threads, how steady, and when to give up.

    ``plan``: what is known of its frames.
    """

    colorizer: Colorizer
    seconds: float
    workers: int
    stop: threading.Event
    plan: Followed = field(default_factory=Followed)

    def looks(
        self, frames: Iterable[Any], seen: Callable[[Any], Seen]
    ) -> Generator[Seen, None, None]:
        """``seen`` of each frame, in order, on ``workers`` threads."""
        return in_order(seen, frames, threads=self.workers, window=self.workers + 1, stop=self.stop)

    def _small(self, gray: np.ndarray) -> np.ndarray:
        return halved(gray, *halvings(gray.shape[0], gray.shape[1], self.colorizer.side))

    def glance(self, gray: np.ndarray, time: float, index: int, turns: int = 0) -> Glance:
        """What is followed of frame ``index``; see ``look``."""
        return Glance(index, time, _size(gray, turns), _turned(self._small(gray), turns))

    def look(
        self, gray: np.ndarray, time: float, frame: Any, *, index: int, turns: int = 0
    ) -> steady.Look:
        """What the network and the stabiliser see of gray (H, W) uint8 or uint16, frame ``index``.

        ``turns``: quarter turns against the clock until the picture is upright.
        """
        small = self._small(gray)
        view = self.colorizer.like(whole(_turned(small, turns), _size(gray, turns)))
        ab = self.colorizer.ab_of(self.plan.at(index).on(view))
        luma = steady.thumbnail(small, steady.SIDE)
        return steady.Look(np.ascontiguousarray(np.rot90(ab, -turns)), luma, time, frame)

    def steadied(self, size: int) -> steady.Steadied:
        """A stabiliser that holds no more frames of ``size`` bytes than memory should."""
        ahead = min(steady.AHEAD, max(1, HELD // max(1, size)))
        return steady.Steadied(self.seconds, ahead)


def _turned(gray: np.ndarray, turns: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(gray, turns))


def _size(gray: np.ndarray, turns: int) -> tuple[int, int]:
    """Width and height of gray (H, W), turned."""
    height, width = gray.shape
    return (height, width) if turns % 2 else (width, height)
