"""From ab to the chroma planes of a film: what its numbers mean, and Cb and Cr for a given Y."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from colorcli.color.lab import join

# What R and B give to Y, by FFmpeg's (and H.273's) number of the matrix.
MATRICES = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.470 BG
    6: (0.299, 0.114),  # SMPTE 170M
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, not constant
}
UNSAID = (2, 3)  # unspecified, reserved
HD = 720  # lines from which on a film that says nothing is taken for BT.709, as players do


def matrix_of(said: int, height: int) -> int:
    """The matrix that is meant; raises ``KeyError`` for one that is not luma and chroma."""
    meant = (1 if height >= HD else 6) if said in UNSAID else said
    MATRICES[meant]
    return meant


@dataclass(frozen=True)
class Codes:
    """What the numbers of a film's planes mean.

    ``bits`` of each, ``full`` range or that of studios (16…235 of 255), ``matrix`` of
    ``MATRICES``.
    """

    bits: int = 8
    full: bool = False
    matrix: int = 6

    @property
    def dtype(self) -> type:
        """Of the planes in memory."""
        return np.uint8 if self.bits == 8 else np.uint16

    def gray(self, luma: np.ndarray) -> np.ndarray:
        """Y to full-range gray of the same shape: uint8 of 8 bits, else uint16."""
        if self.full and self.bits in (8, 16):
            return luma
        table = _grays(self.bits, self.full)
        return cv2.LUT(luma, table) if self.bits == 8 else np.take(table, luma, mode="clip")

    def chroma(self, luma: np.ndarray, ab: np.ndarray) -> list[np.ndarray]:
        """Cb and Cr for Y (h, w) that was shrunk to their size and ab (s, s, 2) float32.

        Y itself stays; where RGB has no such colour, chroma is drawn towards gray, as in
        photographs.
        """
        rgb = join(self.gray(luma), ab, np.uint16)
        planes = cv2.split(cv2.transform(rgb, _weights(self)))
        if self.bits == 8:
            return [cv2.convertScaleAbs(plane) for plane in planes]
        return [np.minimum(plane, (1 << self.bits) - 1) for plane in planes]


@lru_cache(maxsize=4)
def _grays(bits: int, full: bool) -> np.ndarray:
    codes = np.arange(1 << bits, dtype=np.float64)
    low, high = (0, (1 << bits) - 1) if full else (16 << (bits - 8), 235 << (bits - 8))
    most, dtype = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    return np.rint(((codes - low) / (high - low)).clip(0, 1) * most).astype(dtype)


@lru_cache(maxsize=4)
def _weights(codes: Codes) -> np.ndarray:
    """Rows that make Cb and Cr of 16-bit R, G, B and 1."""
    red, blue = MATRICES[codes.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    span = (1 << codes.bits) - 1 if codes.full else 224 << (codes.bits - 8)
    rows = [
        np.append((np.eye(3)[at] - luma) / (2 * (1 - share)) * span / 65535, 1 << (codes.bits - 1))
        for at, share in ((2, blue), (0, red))
    ]
    return np.array(rows)


def shrunk(luma: np.ndarray, down: int, across: int, fields: bool = False) -> np.ndarray:
    """Y (H, W) averaged over 2 ** ``down`` rows and 2 ** ``across`` columns, odd rests up.

    ``fields``: rows are those of two fields in turn, and stay so.
    """
    if fields and down:
        parts = [shrunk(luma[first::2], down, across) for first in (0, 1)]
        out = np.empty((sum(map(len, parts)), parts[0].shape[1]), luma.dtype)
        out[0::2], out[1::2] = parts
        return out
    height, width = luma.shape
    rest = [-height % (1 << down), -width % (1 << across)]
    if any(rest):
        luma = np.pad(luma, [(0, rest[0]), (0, rest[1])], "edge")
        height, width = luma.shape
    if not down and not across:
        return luma
    size = (width >> across, height >> down)
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
