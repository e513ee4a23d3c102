"""Luma and chroma as JPEG stores them (BT.601 of sRGB in full range, ITU-T T.871): 8-bit levels."""

from __future__ import annotations

import cv2
import numpy as np

from colorcli.color.lab import Join, share_shown

NEUTRAL = 128  # the chroma of gray
# What Cb and Cr add to the luma of red, green and blue (ITU-T T.871, 7).
RGB_FROM_CHROMA = np.array([[0.0, 1.402], [-0.344136, -0.714136], [1.772, 0.0]])
SLACK = 2  # levels that decoding may cut from a channel
_ROUNDED = 0.72  # level that green may move away when one of Cb and Cr is cut to a whole number
STRIP = 1 << 18  # chroma samples of one
# How far beyond ``SLACK`` each Cb, and each Cr, takes the channel it moves most; green is never it.
_FAR = np.ceil(RGB_FROM_CHROMA.max(axis=0)[:, None] * np.abs(np.arange(256) - NEUTRAL) - SLACK)
_FAR = np.clip(_FAR, 0, 255).astype(np.uint8)


def chroma(luma: np.ndarray, ab: np.ndarray, *, halved: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cb and Cr for a photograph's own ``luma`` (H, W) uint8 from ab (h, w, 2) of any size.

    Both are uint8, (H, W), or with ``halved`` (⌈H/2⌉, ⌈W/2⌉), each sample amid four of luma: those
    of ``join`` at that size. Where luma leaves them no room they are drawn towards gray, as
    ``lab_to_shown`` does, so that decoding, which interpolates halved chroma, cuts no channel by
    more than ``SLACK`` levels.
    """
    height, width = (-(-side // (1 + halved)) for side in luma.shape)
    join = Join(ab, height, width)
    blue, red = np.empty((2, height, width), np.uint8)
    tall = max(1, STRIP // width)
    for top in range(0, height, tall):
        rows = slice(top, min(top + tall, height))
        middle, low, high = _reduced(luma, rows) if halved else (luma[rows],) * 3
        rgb = join(middle, rows.start)
        _, red[rows], blue[rows] = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
        _draw_in(blue[rows], red[rows], low, high)
    return blue, red


def _reduced(luma: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, least and greatest luma for ``rows`` of halved chroma.

    The mean is over the four that a sample lies amid; the ends are over all sixteen that it has a
    part in when decoding interpolates.
    """
    height, width = luma.shape
    first, last = 2 * rows.start, min(2 * rows.stop, height)
    near = luma[max(first - 1, 0) : last + 1]
    window = np.ones((4, 4), np.uint8)
    even = np.s_[first - max(first - 1, 0) :: 2, ::2]
    count = rows.stop - rows.start
    low = cv2.erode(near, window, anchor=(1, 1))[even][:count]
    high = cv2.dilate(near, window, anchor=(1, 1))[even][:count]
    own = luma[first:last]
    odd = (last - first) & 1, width & 1
    if any(odd):
        own = np.pad(own, ((0, odd[0]), (0, odd[1])), "edge")
    middle = cv2.resize(own, low.shape[::-1], interpolation=cv2.INTER_AREA)
    return middle, np.ascontiguousarray(low), np.ascontiguousarray(high)


def _draw_in(blue: np.ndarray, red: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Draw Cb and Cr, in place, towards gray where lumas from ``low`` to ``high`` want it."""
    far = cv2.max(cv2.LUT(blue, _FAR[0]), cv2.LUT(red, _FAR[1]))
    at = np.flatnonzero(cv2.max(cv2.add(high, far), cv2.bitwise_not(cv2.subtract(low, far))) == 255)
    if not at.size:
        return
    both = np.stack([plane.reshape(-1)[at] for plane in (blue, red)]).astype(np.float32) - NEUTRAL
    channels = RGB_FROM_CHROMA.astype(np.float32) @ both
    least, most = (plane.reshape(-1)[at].astype(np.float32) for plane in (low, high))
    room = SLACK - _ROUNDED
    share = share_shown(
        channels.max(axis=0), -channels.min(axis=0), 255 + room - most, least + room
    )
    drawn = (np.trunc(both * share) + NEUTRAL).astype(np.uint8)
    for plane, values in zip((blue, red), drawn, strict=True):
        plane.reshape(-1)[at] = values
