"""Where one shot of a film ends and the next begins."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

SIDE = 32  # pixels of the thumbnails that are compared
LEAST = 9.0  # mean difference in gray levels below which nothing is a cut
SURELY = 0.45  # of the pair's contrast: so different are only different pictures
TIMES = 3.0  # as different as neighbours lately were: motion that goes on is no cut
LATELY = 12  # pairs of frames
BINS = 0.1  # half the L1 distance of histograms below which the picture only moved


class Cuts:
    """Tells cuts from motion, flicker and fades, one frame after the other.

    Brightness that changes as a whole (old films flicker, scenes fade) is taken out first. What is
    left must be large for the contrast there is, larger than neighbours lately differed by, and
    change the histogram.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._lately: deque[float] = deque(maxlen=LATELY)

    def __call__(self, luma: np.ndarray) -> bool:
        """Whether ``luma`` (H, W) uint8 begins a shot; the first does."""
        small = cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._before = self._before, small
        if before is None:
            return True
        levelled = [plane - plane.mean() for plane in (before, small)]
        difference = float(np.abs(levelled[1] - levelled[0]).mean())
        contrast = float(sum(np.abs(plane).mean() for plane in levelled))
        usual = float(np.median(self._lately)) if self._lately else 0.0
        cut = (
            difference > LEAST
            and difference > SURELY * contrast
            and difference > TIMES * usual
            and _apart(*levelled) > BINS
        )
        self._lately.clear() if cut else self._lately.append(difference)
        return cut


def _apart(first: np.ndarray, second: np.ndarray) -> float:
    """Half the L1 distance of two histograms, 0…1."""
    counts = [np.histogram(plane, 32, (-128, 128))[0] / plane.size for plane in (first, second)]
    return float(np.abs(counts[0] - counts[1]).sum() / 2)
