"""Frames in, steady colours out: the network on threads, everything else in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.framing import halved, halvings
from colorcli.colorizing.scans.windows import whole
from colorcli.extras.video import steady
from colorcli.system.parallel import in_order

Seen = TypeVar("Seen")
HELD = 24 << 20  # bytes of frames that may wait for those after them


@dataclass(frozen=True)
class Means:
    """What colours a film: the network, its threads, how steady, and when to give up."""

    colorizer: Colorizer
    seconds: float
    workers: int
    stop: threading.Event

    def looks(
        self, frames: Iterable[Any], seen: Callable[[Any], Seen]
    ) -> Generator[Seen, None, None]:
        """``seen`` of each frame, in order, on ``workers`` threads."""
        return in_order(seen, frames, threads=self.workers, window=self.workers + 1, stop=self.stop)

    def look(self, gray: np.ndarray, time: float, frame: Any, turns: int = 0) -> steady.Look:
        """What the network and the stabiliser see of gray (H, W) uint8 or uint16.

        ``turns``: quarter turns against the clock until the picture is upright.
        """
        small = halved(gray, *halvings(gray.shape[0], gray.shape[1], self.colorizer.side))
        view = whole(np.ascontiguousarray(np.rot90(small, turns)))
        ab = self.colorizer.ab_of(self.colorizer.like(view))
        luma = cv2.resize(small, (steady.SIDE, steady.SIDE), interpolation=cv2.INTER_AREA)
        if luma.dtype != np.uint8:
            luma = cv2.convertScaleAbs(luma, alpha=1 / 257)
        return steady.Look(np.ascontiguousarray(np.rot90(ab, -turns)), luma, time, frame)

    def steadied(self, size: int) -> steady.Steadied:
        """A stabiliser that holds no more frames of ``size`` bytes than memory should."""
        ahead = min(steady.AHEAD, max(1, HELD // max(1, size)))
        return steady.Steadied(self.seconds, ahead)
