"""Luma and chroma as JPEG stores them (BT.601 of sRGB in full range, ITU-T T.871): 8-bit levels."""

from __future__ import annotations

import cv2
import numpy as np

from colorcli.color.lab import Join, share_shown, strips

NEUTRAL = 128  # the chroma of gray
# What Cb and Cr add to the luma of red, green and blue (ITU-T T.871, 7).
RGB_FROM_CHROMA = np.array([[0.0, 1.402], [-0.344136, -0.714136], [1.772, 0.0]])
SLACK = 2  # levels that decoding may cut from a channel
_ROUNDED = 0.72  # level that green may move away when one of Cb and Cr is cut to a whole number
STRIP = 1 << 18  # chroma samples of one
# Halved chroma of more samples is computed at half its size: predicted ab has 50 to a side, and what
# luma does to it is smooth. Even small photographs, 299 × 224, lose nothing by it (+0.01 dB).
LARGE = 1 << 17
# How far beyond ``SLACK`` each Cb, and each Cr, takes the channel it moves most; green is never it.
_FAR = np.ceil(RGB_FROM_CHROMA.max(axis=0)[:, None] * np.abs(np.arange(256) - NEUTRAL) - SLACK)
_FAR = np.clip(_FAR, 0, 255).astype(np.uint8)


def chroma(luma: np.ndarray, ab: np.ndarray, *, halved: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cb and Cr for a photograph's own ``luma`` (H, W) uint8 from ab (h, w, 2) of any size.

    Both are uint8, (H, W), or with ``halved`` (⌈H/2⌉, ⌈W/2⌉), each sample amid four of luma: those
    of ``join`` at that size, or of a large photograph at half of it. Where luma leaves them no room
    they are drawn towards gray, as ``lab_to_shown`` does, so that decoding, which interpolates
    halved chroma, cuts no channel by more than ``SLACK`` levels.
    """
    height, width = (-(-side // (1 + halved)) for side in luma.shape)
    if halved and height * width > LARGE:
        small = _painted(_halved(_halved(luma)), ab)
        blue, red = (cv2.resize(plane, (width, height)) for plane in small)
    else:
        blue, red = _painted(_halved(luma) if halved else luma, ab)
    for rows in strips(height, width, STRIP):
        _draw_in(blue[rows], red[rows], *(_ends(luma, rows) if halved else (luma[rows],) * 2))
    return blue, red


def _painted(light: np.ndarray, ab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cb and Cr (h, w) uint8 of ``join`` for luma (h, w)."""
    join = Join(ab, *light.shape)
    blue, red = np.empty((2, *light.shape), np.uint8)
    for rows in strips(len(light), light.shape[1], STRIP):
        rgb = join(light[rows], rows.start)
        _, red[rows], blue[rows] = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    return blue, red


def _halved(luma: np.ndarray) -> np.ndarray:
    """The mean of the four of luma that each sample of halved chroma lies amid."""
    odd = luma.shape[0] & 1, luma.shape[1] & 1
    if any(odd):
        luma = np.pad(luma, ((0, odd[0]), (0, odd[1])), "edge")
    return cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _ends(luma: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest luma for ``rows`` of halved chroma.

    They are over all sixteen that a sample has a part in when decoding interpolates.
    """
    first, last = 2 * rows.start, min(2 * rows.stop, luma.shape[0])
    near = luma[max(first - 1, 0) : last + 1]
    window = np.ones((4, 4), np.uint8)
    even = np.s_[first - max(first - 1, 0) :: 2, ::2]
    count = rows.stop - rows.start
    low, high = (how(near, window, anchor=(1, 1))[even][:count] for how in (cv2.erode, cv2.dilate))
    return np.ascontiguousarray(low), np.ascontiguousarray(high)


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
