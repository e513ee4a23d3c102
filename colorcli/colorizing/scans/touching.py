"""Photographs that touch, taken apart: straight lines from side to side across which nothing goes on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 224  # pixels of the shorter side of the copy that is looked at
APART = 3  # columns between which nothing goes on
JUMP, MOST = 10.0, 40.0  # levels of a difference that is one, and that counts
LEANS = np.arange(-2, 3) / 100  # slopes of cuts
SHORTEST = 0.25  # of the shorter side: the smaller part
USUAL = 1.72  # longer side by the shorter one that single photographs reach


@dataclass(frozen=True)
class _Proof:
    """What a cut needs: ``jumps``, the share of its length that jumps; ``stands``, by how often its
    differences exceed those of the columns about it; ``like``, how much both sides may go together.
    """

    jumps: float
    stands: float
    like: float


# Of a whole that no single photograph has the shape of; of one whose parts differ in height, as they
# also seem to where a night sky is as dark as the lid; of others, where horizons and doors go across.
_ODD, _UNEVEN, _USUAL = _Proof(0.7, 2.5, 0.6), _Proof(0.9, 6.0, 0.35), _Proof(0.98, 12.0, 0.35)
UNLIKE = 0.04  # of the height, by which parts differ in it
THICK = 5  # rows or columns side by side that are more than the dark line between two prints


def _uneven(seen: np.ndarray, at: int) -> bool:
    """Whether what is seen (h, w) left of a column begins or ends at another height than right of it."""
    ends = [np.array(_trimmed(half)[1::2]) for half in (seen[:, :at], seen[:, at:])]
    return bool(np.abs(ends[0] - ends[1]).max() > UNLIKE * len(seen))


def _best(gray: np.ndarray, seen: np.ndarray, room: int) -> tuple[float, int] | None:
    """How good the best cut between columns of gray (h, w) float32 is, and before which it lies."""
    one, other = gray[:, APART:], gray[:, :-APART]
    both = (seen[:, APART:] | seen[:, :-APART]).astype(np.float32)
    count = both.sum(axis=0) + 1e-3
    off = np.abs(one - other) * both
    jumps = (off > JUMP).sum(axis=0) / count
    good = (jumps >= _ODD.jumps) & (count > 0.3 * len(gray))
    good[:room] = good[-room:] = False
    if not good.any():
        return None
    means = [(part * both).sum(axis=0) / count for part in (one, other)]
    a, b = ((part - mean) * both for part, mean in zip((one, other), means, strict=True))
    like = (a * b).sum(axis=0) / (np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0)) + 20 * count)
    value = np.minimum(off, MOST).sum(axis=0) / count * (1 - like)
    near = cv2.blur(value[None], (33, 1))[0] * 33 - cv2.blur(value[None], (9, 1))[0] * 9
    stands = value / (near / 24 + 1)
    value = np.where(good & (stands >= _ODD.stands) & (like <= _ODD.like), value, 0)
    at = int(value.argmax())
    if not value[at]:
        return None
    if gray.shape[1] > USUAL * len(gray):
        need = _ODD
    else:
        need = _UNEVEN if _uneven(seen, at + APART - 1) else _USUAL
    sure = jumps[at] >= need.jumps and stands[at] >= need.stands and like[at] <= need.like
    return (float(value[at]), at + APART - 1) if sure else None


def _sheared(plane: np.ndarray, lean: float, how: int) -> np.ndarray:
    """A plane (h, w) whose cuts of that lean are made columns."""
    if not lean:
        return plane
    shear = np.array([[1, lean, -lean * (len(plane) - 1) / 2], [0, 1, 0]], np.float32)
    return cv2.warpAffine(
        plane, shear, plane.shape[::-1], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP | how,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def _summed(plane: np.ndarray) -> np.ndarray:
    return cv2.reduce(plane, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0]


def _even(seen: np.ndarray) -> bool:
    """Whether what is seen (h, w) begins and ends at the same height left and right of any column."""
    rows = max(1, int(UNLIKE * len(seen)))
    ends = (_summed(part.T).max() for part in (seen[:rows], seen[-rows:]))
    return all(end >= 0.9 * seen.shape[1] for end in ends)


def _hopeful(light: np.ndarray, seen: np.ndarray, room: int) -> list[float]:
    """Leans by which columns of light (h, w) float32 may jump enough; costs less than to look."""
    height, width = light.shape
    need = _ODD if width > USUAL * height else _USUAL if _even(seen) else _UNEVEN
    jump = (cv2.absdiff(light[:, APART:], light[:, :-APART]) > JUMP).view(np.uint8)
    both = seen[:, APART:] | seen[:, :-APART]
    near = np.ones((1, 3), np.uint8)  # what levels between pixels may jump by
    planes = cv2.dilate(jump & both, near), cv2.erode(both, near)
    found = []
    for lean in LEANS:
        jumps, count = (_summed(_sheared(plane, lean, 0)) for plane in planes)
        enough = jumps >= need.jumps * np.maximum(count, 0.3 * height)
        if enough[room:-room].any():
            found.append(lean)
    return found


def _cut(gray: np.ndarray, seen: np.ndarray) -> tuple[float, float] | None:
    """Where columns of gray (h, w) uint8 part two photographs: x at the top and at the bottom."""
    height, width = gray.shape
    room = max(4, round(SHORTEST * min(width, height)))
    if width < 2 * room + 40:
        return None
    light, middle = gray.astype(np.float32), (height - 1) / 2
    found = []
    for lean in _hopeful(light, seen, room):
        leant, there = _sheared(light, lean, cv2.INTER_LINEAR), _sheared(seen, lean, 0)
        if best := _best(leant, there, room):
            found.append((best[0], best[1] - lean * middle, best[1] + lean * middle))
    return max(found)[1:] if found else None


def _trimmed(seen: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is seen (h, w), without lines that are nearly empty."""
    full = ((seen.mean(axis=axis) > 0.12).astype(np.uint8)[None] for axis in (1, 0))
    thick = np.ones((1, THICK), np.uint8)
    rows, columns = (np.flatnonzero(cv2.morphologyEx(f, cv2.MORPH_OPEN, thick)) for f in full)
    if not (rows.size and columns.size):
        return 0, 0, seen.shape[1], seen.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _split(gray: np.ndarray, seen: np.ndarray, at: tuple[int, int], depth: int) -> list[np.ndarray]:
    """Parts of gray (h, w), whose own upper left lies ``at`` (x, y); cut where it can be."""
    x, y = at
    for turned in (False, True) if depth < 4 else ():
        planes = [np.ascontiguousarray(p.T) if turned else p for p in (gray, seen)]
        found = _cut(planes[0], planes[1])
        if found is None:
            continue
        cut = round(sum(found) / 2)
        if turned:
            halves = (gray[:cut], seen[:cut], at), (gray[cut:], seen[cut:], (x, y + cut))
        else:
            halves = (
                (gray[:, :cut], seen[:, :cut], at),
                (gray[:, cut:], seen[:, cut:], (x + cut, y)),
            )
        return [part for half in halves for part in _split(*half, depth + 1)]
    left, top, right, bottom = _trimmed(seen) if depth else (0, 0, gray.shape[1], gray.shape[0])
    box = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return [np.array(box, np.float64) + at]


def parts(gray: np.ndarray, seen: np.ndarray) -> list[np.ndarray]:
    """Corners (4, 2) of the photographs that touch in gray (h, w) uint8; one: it is one itself.

    ``seen`` (h, w) bool: where something other than the sheet they lie on is seen.
    """
    return _split(gray, seen.astype(np.uint8), (0, 0), 0)
