"""Films out: coloured frames encoded, all else of the source passed on as it is."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from colorcli.extras.video.containers.formats import Container, Encoder
from colorcli.extras.video.containers.frames import Layout
from colorcli.extras.video.containers.reading import MARK, Film, failures
from colorcli.imaging.tags.origin import Origin
from colorcli.system.errors import ImageError

# Tags of a stream that told of its old encoding.
_STALE = ("bps", "duration", "number_of_frames", "number_of_bytes", "encoder", "_statistics")
_ROTATION = "DISPLAYMATRIX"


class Writer:
    """A film that is being written to ``file``; a context manager, finished at its end.

    ``notes``: what could not be kept.
    """

    def __init__(
        self, file: BinaryIO, film: Film, container: Container, encoder: Encoder | None,
        *, strip: bool = False, origin: Origin | None = None,
    ) -> None:  # fmt: skip
        import av

        self.notes: dict[str, None] = {}
        self._film, self._encoder = film, encoder
        options = {}
        if container.name in ("mp4", "mov") and any("com." in key for key in film.tags):
            options["movflags"] = "use_metadata_tags"  # a phone's own
        with failures(film.name, "written"):
            self._out = av.open(file, "w", format=container.name, options=options)
        self._label = container
        self._copies: dict[int, Any] = {}
        self._video: Any = None
        self._strip = strip
        self._mark = f"{MARK}; {origin.comment()}" if origin else MARK
        self._ready = False

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        """Close it; after an error whatever closing says does not matter any more."""
        with contextlib.suppress(Exception) if failed else failures(self._film.name, "written"):
            self._out.close()

    def begin(
        self, frame: Any, layout: Layout | None, settings: dict[str, str], threads: int
    ) -> None:
        """Lay the streams out, in the source's order, for frames like this one."""
        film = self._film
        with failures(film.name, "written"):
            for stream in film.container.streams:
                if stream is film.video and layout is not None:
                    self._video = self._encoding(frame, layout, settings, threads)
                else:
                    self._copy(stream)
            if layout is None and film.video.index not in self._copies:
                raise ImageError(
                    f"{film.name}: {self._label.name} does not hold "
                    f"{film.video.codec_context.codec.canonical_name}; name it NAME.mkv"
                )
            self._tag()
            self._ready = True
            self._out.start_encoding()

    def _encoding(self, frame: Any, layout: Layout, settings: dict[str, str], threads: int) -> Any:
        film, source = self._film, self._film.video
        assert self._encoder is not None, "frames are encoded by something"
        try:
            out = self._out.add_stream(self._encoder.name, rate=film.rate, options=settings)
        except ValueError as error:  # PyAV's, of the container
            raise ImageError(
                f"{film.name}: {error}; -o NAME.mkv holds every codec, or leave --video-codec out"
            ) from None
        context = out.codec_context
        context.width, context.height = frame.width, frame.height
        context.pix_fmt = layout.written
        context.time_base = out.time_base = self._ticks(frame)
        context.thread_count = threads
        with contextlib.suppress(AttributeError):
            context.thread_type = "SLICE"  # frames side by side would each hold a dozen more
        for name, value in layout.tags:
            setattr(context, name, value)
        if source.codec_context.sample_aspect_ratio:
            context.sample_aspect_ratio = source.codec_context.sample_aspect_ratio
        if layout.fields:
            context.flags |= 1 << 18 | 1 << 29  # interlaced DCT, interlaced motion
            context.field_order = source.codec_context.field_order
        if self._label.name == "avi":  # which has no times of its own
            context.max_b_frames = 0
        self._describe(out, source)
        if matrix := _matrix(frame):
            out.set_display_matrix(matrix)
        return out

    def _ticks(self, frame: Any) -> Fraction:
        """The time base of what is written: the film's, so that its times stay what they are."""
        base = Fraction(frame.time_base or self._film.video.time_base)
        return 1 / Fraction(self._film.rate) if self._label.name == "avi" else base

    def _copy(self, stream: Any) -> None:
        kind = stream.type
        codec = stream.codec_context.codec.canonical_name if stream.codec_context else ""
        what = f"{kind} stream {stream.index}" + (f" ({codec})" if codec else "")
        if kind not in ("video", "audio", "subtitle", "attachment"):
            if not self._film.container.chapters():  # in MP4 those have a stream, written anew
                self.notes[f"{what} is left out"] = None
            return
        if kind == "attachment" and self._label.name != "matroska":
            self.notes[f"{what} does not fit into {self._label.name} and is left out"] = None
            return
        try:
            if self._label.name == "mp4" and _nameless(stream):
                raise ValueError("an MP4 of PCM must say which channel is where")
            out = self._out.add_stream_from_template(stream, opaque=True)
        except ValueError:
            self.notes[
                f"{what} does not fit into {self._label.name} and is left out; -o NAME.mkv may hold it"
            ] = None
            return
        if kind != "attachment":
            self._describe(out, stream)
            self._copies[stream.index] = out

    def _describe(self, out: Any, source: Any) -> None:
        tags = {} if self._strip and source.type == "video" else dict(source.metadata)
        if source is self._film.video:
            tags = {k: v for k, v in tags.items() if not k.lower().startswith(_STALE)}
        out.metadata.update(tags)
        out.disposition = source.disposition

    def _tag(self) -> None:
        film = self._film
        old = {} if self._strip else {
            key: value for key, value in film.container.metadata.items()
            if key.lower() not in ("encoder", "major_brand", "minor_version", "compatible_brands")
        }  # fmt: skip
        name = next((key for key in old if key.lower() == "comment"), "comment")
        said = old.get(name, "")
        if MARK not in said:
            old[name] = f"{said}; {self._mark}" if said else self._mark
        self._out.metadata.update(old)
        if chapters := film.container.chapters():
            self._out.set_chapters(chapters)

    def frame(self, frame: Any) -> None:
        """Encode one."""
        with failures(self._film.name, "written"):
            if self._label.name == "avi":
                frame.pts = round(frame.pts * frame.time_base * self._film.rate)
                frame.time_base = 1 / Fraction(self._film.rate)
            self._out.mux(self._video.encode(frame))

    def packet(self, packet: Any) -> None:
        """Pass one on, if its stream could be kept."""
        out = self._copies.get(packet.stream.index)
        if out is None:
            return
        with failures(self._film.name, "written"):
            packet.stream = out
            self._out.mux(packet)

    def remuxed(self) -> tuple[str, ...]:
        """Pass all of the film on without decoding any; what could not be kept."""
        film = self._film
        first = next(film.read())
        film.container.seek(film.container.start_time or 0)
        self.begin(first, None, {}, 1)
        with failures(film.name):
            for packet in film.container.demux():
                if packet.size:
                    self.packet(packet)
        return (*film.notes, *self.notes)

    def finish(self) -> None:
        """Encode what the encoder still holds."""
        with failures(self._film.name, "written"):
            if self._video is not None:
                self._out.mux(self._video.encode(None))


def _nameless(stream: Any) -> bool:
    """Whether it is PCM whose channels have a number only, as all of Matroska's."""
    codec = stream.codec_context
    return bool(codec and codec.name.startswith("pcm_") and codec.layout.name.endswith("channels"))


def _matrix(frame: Any) -> list[int] | None:
    """The nine numbers that turn and mirror a film when it is shown, where it is."""
    for data in frame.side_data:
        if data.type.name == _ROTATION:
            return np.frombuffer(data, np.int32).tolist()
    return None
