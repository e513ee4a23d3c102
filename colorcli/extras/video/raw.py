"""Raw frames through a pipe, as ``ffmpeg -f rawvideo`` writes and reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from colorcli.extras.video.chroma import Codes, matrix_of, shrunk
from colorcli.extras.video.colouring import Means
from colorcli.extras.video.steady import Look
from colorcli.imaging.reading import MAX_PIXELS
from colorcli.system.errors import ImageError, UsageError
from colorcli.system.parallel import Stopped, in_order

# Bits, whether there is chroma to pass over, whether codes use the whole range (FFmpeg's gray does).
FORMATS = {
    "gray8": (8, False, True),
    "gray": (8, False, True),
    "yuv420p": (8, True, False),
    "yuv420p10le": (10, True, False),
}
_SHAPE = re.compile(r"(\d+)[xX×](\d+):(\w+)")


@dataclass(frozen=True)
class Frames:
    """How raw frames lie: ``width`` × ``height`` in one of ``FORMATS``.

    Coloured they are planes at 4:2:0 in studio range, of the same bits: what FFmpeg takes raw
    frames for. Y of those with chroma is what it was.
    """

    width: int
    height: int
    format: str

    @property
    def codes(self) -> Codes:
        """What is written."""
        return Codes(FORMATS[self.format][0], False, matrix_of(2, self.height))

    @property
    def _half(self) -> tuple[int, int]:
        return (self.height + 1) // 2, (self.width + 1) // 2

    @property
    def size(self) -> int:
        """Bytes of one that is read."""
        bits, coloured, _ = FORMATS[self.format]
        samples = self.width * self.height + coloured * 2 * self._half[0] * self._half[1]
        return samples * (1 if bits == 8 else 2)

    def luma(self, data: bytes) -> np.ndarray:
        """Y (H, W) in studio range."""
        codes, full = self.codes, FORMATS[self.format][2]
        read: np.ndarray = np.frombuffer(data, codes.dtype, self.width * self.height)
        luma = read.reshape(self.height, self.width)
        return np.rint(luma * (219 / 255) + 16).astype(np.uint8) if full else luma

    def painted(self, luma: np.ndarray, ab: np.ndarray) -> bytes:
        """A frame in colours."""
        planes = [luma, *self.codes.chroma(shrunk(luma, 1, 1), ab)]
        return b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)


def parsed(text: str) -> Frames:
    """The frames of ``--raw WxH:FORMAT``. Raises ``UsageError``."""
    match = _SHAPE.fullmatch(text)
    if match is None or match[3] not in FORMATS or not (int(match[1]) and int(match[2])):
        raise UsageError(
            f"--raw {text}: give WIDTHxHEIGHT:FORMAT, as 640x480:gray8; known formats: "
            + " ".join(FORMATS)
        )
    frames = Frames(int(match[1]), int(match[2]), match[3])
    if frames.width * frames.height > MAX_PIXELS:
        raise UsageError(
            f"--raw {text}: frames of more than {MAX_PIXELS / 1e6:.0f} megapixels; give their own size"
        )
    return frames


class Coloured:
    """Raw frames in colours, as bytes, as they come from ``source``.

    ``count`` and ``shots`` are those so far. Raises ``ImageError`` for no frame at all, and for a
    last one that is not whole (those before it are out by then), and ``Stopped``.
    """

    def __init__(self, frames: Frames, source: BinaryIO, means: Means, fps: float) -> None:
        self._frames, self._source, self._means, self._fps = frames, source, means, fps
        self._steadied = means.steadied(frames.size)
        self.count = 0

    @property
    def shots(self) -> int:
        """How many began."""
        return self._steadied.shots

    def __iter__(self) -> Iterator[bytes]:
        """Frame by frame."""
        means = self._means
        with closing(means.looks(self._read(), self._look)) as looks:
            out = in_order(
                lambda seen: self._frames.painted(seen[0].frame, seen[1]), self._steadied(looks),
                threads=means.workers, window=2 * means.workers, stop=means.stop,
            )  # fmt: skip
            with closing(out):
                for data in out:
                    self.count += 1
                    yield data
        if means.stop.is_set():
            raise Stopped
        if not self.count:
            raise ImageError("-: no raw frames came; check what writes them")

    def _look(self, item: tuple[int, bytes]) -> Look:
        index, data = item
        luma = self._frames.luma(data)
        return self._means.look(self._frames.codes.gray(luma), index / self._fps, luma, index=index)

    def _read(self) -> Iterator[tuple[int, bytes]]:
        frames, index = self._frames, 0
        while data := self._source.read(frames.size):
            if len(data) < frames.size:
                raise ImageError(
                    f"-: ends inside frame {index + 1} of {frames.width} × {frames.height} "
                    f"{frames.format}; check --raw against what writes them"
                )
            yield index, data
            index += 1
