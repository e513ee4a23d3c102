"""Which photographs were there before: exact copies by digest, near ones by a perceptual hash.

The hash is the usual DCT one (Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010): 32×32 gray, the 8×8 lowest frequencies, each against their median: 64 bits.
Two hashes at most d bits apart agree in one of d + 1 bands of bits, so that only pictures that
share a band are compared (Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web Crawling",
2007). About 60 bytes for each picture.
"""

from __future__ import annotations

import cv2
import numpy as np

BITS = 64
TONE = 6.0  # mean ab further apart than this: the same composition in other colours, not a copy
RECENT = 4096  # pictures held unsorted


def perceptual_hash(rgb: np.ndarray) -> int:
    """64 bits of a picture (H, W, 3) uint8 that survive scaling, recompression, brightness."""
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    return int.from_bytes(np.packbits(low > np.median(low[1:])).tobytes(), "big")


class Duplicates:
    """The pictures kept so far. ``distance``: bits in which near copies may differ, −1 for none."""

    def __init__(self, distance: int) -> None:
        self.distance = distance
        edges = np.linspace(0, BITS, max(0, distance) + 2).astype(int)
        self._bands = [
            (np.uint64(low), np.uint64((1 << width) - 1), np.uint32 if width <= 32 else np.uint64)
            for low, width in zip(edges[:-1], np.diff(edges).tolist(), strict=True)
        ]
        self._digests = np.zeros(RECENT, np.uint64)
        self._hashes = np.zeros(RECENT, np.uint64)
        self._tones = np.zeros((RECENT, 2), np.float16)
        self._numbers = np.zeros(RECENT, np.uint32)
        self._count = self._sorted = 0
        self._recent: dict[int, int] = {}
        self._keys: list[np.ndarray] = []  # sorted keys by index: digests, then each band
        self._orders: list[np.ndarray] = []  # the pictures that have them

    def __len__(self) -> int:
        return self._count

    def add(self, number: int, digest: int, hash: int, tone: tuple[float, float]) -> None:
        """Keep a picture: its number, 64-bit digest, perceptual hash and mean (a, b)."""
        at = self._count
        if at == len(self._digests):
            for name in ("_digests", "_hashes", "_tones", "_numbers"):
                old = getattr(self, name)
                setattr(
                    self, name, np.concatenate([old, np.zeros_like(old[: max(RECENT, at // 4)])])
                )
        self._digests[at], self._hashes[at] = digest, hash
        self._tones[at], self._numbers[at] = tone, number
        self._count += 1
        self._recent[digest] = at
        # A share of what is sorted, so that sorting again stays a small part of the whole.
        if self._count - self._sorted >= max(RECENT, self._sorted // 16):
            self._sort()

    def _sort(self) -> None:
        self._sorted, self._recent = self._count, {}
        columns = [self._digests[: self._count]]
        if self.distance >= 0:
            hashes = self._hashes[: self._count]
            columns += [(hashes >> low & mask).astype(fit) for low, mask, fit in self._bands]
        self._orders = [np.argsort(c, kind="stable").astype(np.uint32) for c in columns]
        self._keys = [c[order] for c, order in zip(columns, self._orders, strict=True)]

    def _with(self, index: int, key: int) -> np.ndarray:
        keys = self._keys[index]
        key = keys.dtype.type(key)  # of the same type, or all keys would be converted
        return self._orders[index][
            np.searchsorted(keys, key, "left") : np.searchsorted(keys, key, "right")
        ]

    def exact(self, digest: int) -> int | None:
        """The number of the picture with these very bytes."""
        at = self._recent.get(digest)
        if at is None and self._sorted:
            found = self._with(0, digest)
            at = int(found[0]) if len(found) else None
        return None if at is None else int(self._numbers[at])

    def near(self, hash: int, tone: tuple[float, float]) -> tuple[int, int] | None:
        """Number of the nearest picture (the first of equals) and its distance in bits."""
        if self.distance < 0 or not self._count:
            return None
        parts = [np.arange(self._sorted, self._count)]
        if self._sorted:
            parts += [
                self._with(i, hash >> int(low) & int(mask))
                for i, (low, mask, _) in enumerate(self._bands, 1)
            ]
        candidates = np.concatenate(parts)
        bits = np.bitwise_count(self._hashes[candidates] ^ np.uint64(hash))
        candidates, bits = candidates[bits <= self.distance], bits[bits <= self.distance]
        apart = self._tones[candidates].astype(np.float32) - np.asarray(tone, np.float32)
        same = np.hypot(apart[:, 0], apart[:, 1]) <= TONE
        if not same.any():
            return None
        order = np.lexsort((candidates[same], bits[same]))
        best = candidates[same][order[0]]
        return int(self._numbers[best]), int(bits[same][order[0]])
