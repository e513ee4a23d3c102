"""Films in: frames to colour, and what else the file holds, in the order in which it comes."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

from colorcli.imaging import refusals
from colorcli.system.errors import ImageError, reason

MARK = "coloured by colorize"  # what the comment of a result says
RATE = 25  # frames a second where nothing says so
# Demuxers whose header knows how long a film is.
_EXACT = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"}
_LACKING = 1.0  # seconds that may be missing at the end, and the share
_LACKING_SHARE = 0.02


def installed() -> bool:
    """Whether PyAV is there; it is not loaded."""
    return importlib.util.find_spec("av") is not None


@contextlib.contextmanager
def failures(name: str, doing: str = "read") -> Iterator[None]:
    """FFmpeg's errors as ``ImageError``; those of the disk stay what they are."""
    try:
        import av
    except ImportError:
        raise ImageError(
            f"{name}: films need PyAV, which is not installed; pip install 'colorcli[video]'"
        ) from None
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError) and doing != "read":
            raise OSError(error.errno, error.strerror) from None
        raise ImageError(
            f"{name}: cannot be {doing} ({reason(error)}); {_REMEDIES[doing]}"
        ) from None


_REMEDIES = {
    "read": "check that it plays",
    "written": "another container (-o NAME.mkv) or --video-codec may hold it",
}


def is_result(path: str) -> bool:
    """Whether a film is what an earlier run made; its header is read."""
    if not installed():
        return False
    with contextlib.suppress(ImageError, OSError), Film(path, path) as film:
        return MARK in film.tags.get("comment", "")
    return False


class Film:
    """A film open for reading: a path, or a binary file that need not be sought in.

    ``video`` is the stream that is coloured, ``others`` are those that are passed on, ``tags`` its
    metadata, in lower case. Raises ``ImageError``; a context manager.
    """

    def __init__(self, source: str | BinaryIO, name: str) -> None:
        with failures(name):
            import av

            opened = f"file:{source}" if isinstance(source, str) else source
            self.container = av.open(opened, "r", metadata_errors="replace")
        self.name = name
        self.notes: dict[str, None] = {}
        streams = self.container.streams
        moving = [s for s in streams.video if not _is_cover(s)]
        if not moving:
            self.container.close()
            raise ImageError(f"{name}: holds no moving pictures; check the file")
        self.video = moving[0]
        self.others = [s for s in streams if s is not self.video]
        self.tags = {key.lower(): value for key, value in self.container.metadata.items()}
        if self.video.codec_context is None:
            self.container.close()
            raise ImageError(f"{name}: no decoder for its pictures; convert it first, as by ffmpeg")
        self.video.thread_type = "AUTO"

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as they lie in the file."""
        return self.video.codec_context.width, self.video.codec_context.height

    @property
    def start(self) -> float:
        """Seconds at which it begins, by its own clock."""
        return (self.container.start_time or 0) / 1_000_000

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return self.video.average_rate or self.video.guessed_rate or Fraction(RATE)

    @property
    def frames(self) -> int:
        """How many there will be, as far as is known; 0 where nothing is."""
        if self.video.frames:
            return int(self.video.frames)
        return round(self.seconds * self.rate)

    @property
    def seconds(self) -> float:
        """How long the whole file plays, by its header; 0 where it does not say."""
        return float((self.container.duration or 0) / 1_000_000)

    def check(self, max_pixels: int) -> None:
        """Raise ``ImageError`` for a size that is not worked with."""
        width, height = self.size
        if not (width and height):
            raise ImageError(f"{self.name}: its header names no size; check that it plays")
        with refusals.failures(self.name):
            refusals.check_size(width, height, max_pixels)

    def read(self, limit: float | None = None) -> Iterator[Any]:
        """Frames of ``video`` with times, and packets of ``others``, as they come.

        ``limit``: seconds after which nothing comes. Raises ``ImageError``: nothing that can be
        read, a size that changes, a file that ends too early.
        """
        count, reached, damaged = 0, 0.0, 0
        size = None
        streams = [s for s in (self.video, *self.others) if s.type != "attachment"]
        start = self.start
        with failures(self.name):
            for packet in self.container.demux(streams):
                if packet.stream.index != self.video.index:
                    if packet.size:
                        at = _end(packet)
                        reached = max(reached, at - start)
                        if limit is None or at - start < limit:
                            yield packet
                    continue
                frames, broken = _decoded(packet)
                damaged += broken
                for frame in frames:
                    if frame.pts is None:
                        self._timed(frame, count)
                    at = float(frame.pts * frame.time_base) - start
                    if limit is not None and at >= limit:
                        self._begun(count)
                        return
                    size = size or (frame.width, frame.height)
                    self._steady(frame, size, at)
                    count, reached = count + 1, max(reached, at)
                    yield frame
        self._begun(count)
        if damaged:
            self.notes[f"{damaged} damaged packets of pictures were left out"] = None
        if limit is None:
            self._whole(reached)

    def _timed(self, frame: Any, index: int) -> None:
        frame.time_base = self.video.time_base or 1 / self.rate
        frame.pts = round(index / self.rate / frame.time_base)

    def _begun(self, count: int) -> None:
        if not count:
            raise ImageError(f"{self.name}: not one frame of it can be read; check that it plays")

    def _steady(self, frame: Any, size: tuple[int, int], at: float) -> None:
        if (frame.width, frame.height) != size:
            raise ImageError(
                f"{self.name}: its pictures change from {size[0]} × {size[1]} to {frame.width} × "
                f"{frame.height} after {at:.1f} s; cut it there first, as by ffmpeg -t {at:.1f}"
            )

    def _whole(self, reached: float) -> None:
        missing = self.seconds - reached
        if self.container.format.name in _EXACT and missing > max(
            _LACKING, _LACKING_SHARE * self.seconds, 2 / float(self.rate)
        ):
            raise ImageError(
                f"{self.name}: truncated: it ends after {reached:.1f} of {self.seconds:.1f} s; fetch "
                f"it again, or colour what there is by --limit-seconds {max(reached, 0.1):.1f}"
            )


def upright(name: str) -> tuple[int, int] | None:
    """Width and height of a film's pictures as they are shown; None where none can be read."""
    try:
        with Film(name, name) as film:
            first = next(filter(is_frame, film.read()))
    except (ImageError, StopIteration):
        return None
    size = first.width, first.height
    return (size[1], size[0]) if turns(first) % 2 else size


def is_frame(item: Any) -> bool:
    """Whether what ``Film.read`` gave is a frame, and no packet."""
    return hasattr(item, "planes")


def turns(frame: Any) -> int:
    """Quarter turns against the clock until it is upright."""
    return round((frame.rotation or 0) / 90) % 4


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _end(packet: Any) -> float:
    """When a packet is over, in seconds."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    return float(((stamp or 0) + (packet.duration or 0)) * packet.time_base)


def _decoded(packet: Any) -> tuple[list[Any], int]:
    """The frames of a packet, and whether it was damaged."""
    import av

    try:
        return packet.decode(), 0
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        return [], int(isinstance(error, av.error.InvalidDataError))
