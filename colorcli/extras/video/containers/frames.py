"""Frames of a film as planes of numbers, and back: only chroma is written, Y is what it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from colorcli.extras.video.chroma import UNSAID, Codes, matrix_of, shrunk
from colorcli.extras.video.containers.formats import Encoder
from colorcli.system.errors import ImageError

# Formats whose planes are read as they lie: Y first, of one or two bytes.
_PLAIN = re.compile(r"(?:yuv([aj]?)4\d\dp|gray)(\d+)?(?:le)?")
_STUDIO, _FULL = 1, 2  # FFmpeg's numbers of ranges
_HDR = {16: "PQ", 18: "HLG"}  # transfers that are no gray of sRGB
_SQUARE = 64  # pixels, to find out how a format subsamples


@dataclass(frozen=True)
class Layout:
    """How the frames of a film lie in memory, and what they are written as.

    ``read``: what they are converted to first, None for as they are; ``written``: the pixel format
    that is encoded. ``fields``: their rows are those of two fields in turn. ``tags``: colour
    primaries, transfer, matrix and range, by FFmpeg's names and numbers.
    """

    codes: Codes
    written: str
    read: str | None = None
    fields: bool = False
    tags: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def halvings(self) -> tuple[int, int]:
        """How often the written chroma is halved, down and across."""
        return _halvings(self.written)

    def luma(self, frame: Any) -> np.ndarray:
        """Y (H, W) of a frame, not copied."""
        return _view(frame.planes[0], self.codes)[: frame.height, : frame.width]

    def taken(self, frame: Any) -> Any:
        """A frame as it is worked with."""
        if self.read is None or frame.format.name == self.read:
            return frame
        out = frame.reformat(
            format=self.read, dst_color_range="JPEG" if self.codes.full else "MPEG"
        )
        out.pts, out.time_base = frame.pts, frame.time_base
        return out

    def painted(self, frame: Any, ab: np.ndarray) -> Any:
        """The frame in colours: ab (s, s, 2) float32."""
        import av

        luma, out = self.luma(frame), frame
        if frame.format.name == self.written:
            frame.make_writable()
            luma = self.luma(frame)
        else:
            out = av.VideoFrame(frame.width, frame.height, self.written)
            out.pts, out.time_base = frame.pts, frame.time_base
            self.luma(out)[:] = luma
        small = shrunk(luma, *self.halvings, self.fields)
        for plane, chroma in zip(out.planes[1:], self.codes.chroma(small, ab), strict=False):
            _view(plane, self.codes)[: plane.height, : plane.width] = chroma
        for name, value in self.tags:
            setattr(out, name, value)
        out.pict_type = 0  # else the encoder would repeat the source's kinds of frames
        return out


def layout(frame: Any, encoder: Encoder, name: str) -> Layout:
    """The layout of a film whose first frame this is, for an encoder.

    Raises ``ImageError`` for what is no gray that the network knows, and what cannot be written.
    """
    if frame.color_trc in _HDR:
        raise ImageError(
            f"{name}: HDR ({_HDR[frame.color_trc]}) is not coloured; convert it to SDR first, as by "
            "ffmpeg -vf tonemap"
        )
    fields = bool(frame.interlaced_frame)
    if fields and not encoder.fields:
        raise ImageError(
            f"{name}: it is interlaced, which {encoder.name} cannot say; give --video-codec libx264, "
            "or deinterlace it first, as by ffmpeg -vf bwdif"
        )
    plain = _PLAIN.fullmatch(frame.format.name)
    lumas = plain or (len(frame.format.components) > 2 and not _is_rgb(frame.format))
    try:
        matrix = matrix_of(frame.colorspace if lumas else 2, frame.height)
    except KeyError:
        raise ImageError(
            f"{name}: its colour matrix (H.273 number {frame.colorspace}) is not luma and chroma; "
            "convert it first, as by ffmpeg -vf format=yuv420p"
        ) from None
    bits = frame.format.components[0].bits
    full = bool(lumas) and _is_full(frame)
    written, held = _written(frame, encoder, name, 8 if bits <= 8 else bits)
    notes: tuple[str, ...] = (
        (f"{bits} bits become {held}: {encoder.name} holds no more",) if held < bits else ()
    )
    if plain and plain[1] == "a":
        notes += ("its transparency is left out",)
    read = None if plain and held == bits else written
    return Layout(
        Codes(held, full, matrix), written, read, fields,
        tags=_tags(frame, matrix, full), notes=notes,
    )  # fmt: skip


def _is_rgb(format: Any) -> bool:
    return bool(format.is_rgb or format.has_palette)


def _is_full(frame: Any) -> bool:
    """Whether codes use the whole range; gray that does not say so does, as FFmpeg has it."""
    format, said = frame.format.name, frame.color_range
    return format.startswith("yuvj") or said == _FULL or (format.startswith("gray") and not said)


def _tags(frame: Any, matrix: int, full: bool) -> tuple[tuple[str, int], ...]:
    """All four, also where the film says nothing: players guess, each in its way."""
    primaries, transfer = frame.color_primaries, frame.color_trc
    return (
        ("color_primaries", matrix if primaries in UNSAID or not primaries else primaries),
        (
            "color_trc",
            (1 if matrix == 1 else 6) if transfer in UNSAID or not transfer else transfer,
        ),
        ("colorspace", matrix),
        ("color_range", _FULL if full else _STUDIO),
    )


def _halvings(pix_fmt: str) -> tuple[int, int]:
    import av

    format = av.VideoFormat(pix_fmt, _SQUARE, _SQUARE)
    if len(format.components) < 3 or _is_rgb(format):
        return (0, 0) if _is_rgb(format) else (1, 1)
    return tuple(
        (_SQUARE // side).bit_length() - 1
        for side in (format.chroma_height(_SQUARE), format.chroma_width(_SQUARE))
    )


def _written(frame: Any, encoder: Encoder, name: str, bits: int) -> tuple[str, int]:
    """The encoder's pixel format that holds a film best, and its bits.

    Chroma at the film's own resolution, finer where the sides are odd.
    """
    import av

    own = _halvings(frame.format.name)
    own = own if own in ((1, 1), (0, 1), (0, 0)) else (1, 1)  # 4:1:1 and its like are not written
    wanted = [own, (1, 1), (0, 1), (0, 0)]
    known = av.Codec(encoder.name, "w").video_formats
    offered = {format.name for format in known or ()}
    for depth in (*range(bits, 17), *range(bits - 1, 7, -1)):
        for down, across in wanted:
            shape = {(1, 1): "420", (0, 1): "422", (0, 0): "444"}[down, across]
            pix_fmt = f"yuv{shape}p" + (f"{depth}le" if depth > 8 else "")
            even = not (down and frame.height % 2) and not (across and frame.width % 2)
            if pix_fmt in offered and (even or encoder.odd):
                return pix_fmt, depth
    odd = f" of {frame.width} × {frame.height}" if frame.width % 2 or frame.height % 2 else ""
    raise ImageError(
        f"{name}: {encoder.name} writes no {frame.format.name}{odd}; give another --video-codec, "
        "as libx264 or ffv1"
    )


def _view(plane: Any, codes: Codes) -> np.ndarray:
    """A plane with its padding."""
    flat: np.ndarray = np.frombuffer(plane, codes.dtype)
    return flat.reshape(-1, plane.line_size // flat.itemsize)
