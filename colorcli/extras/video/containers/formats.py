"""Which containers and encoders films are written with: two tables, and the choice among them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from colorcli.system.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Container:
    """A kind of file: FFmpeg's ``name`` of it, and the encoder where the film's own family will not do."""

    name: str
    encoder: str = "libx264"
    lossless: str = "ffv1"


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """An encoder, and how ``--quality`` is said to it.

    ``families``: names of codecs that it stands in for. ``scale``: the option that holds quality,
    with its values for quality 0 and 100; ``quality`` is what is taken where none is asked for.
    ``fields``: whether it can say that a film is interlaced. ``lossless``: Y comes out as it went in.
    ``odd``: sides may be odd where chroma is halved.
    """

    name: str
    families: tuple[str, ...] = ()
    scale: tuple[str, float, float] | None = None
    quality: int = 75
    options: Mapping[str, str] = field(default_factory=dict)
    fields: bool = False
    lossless: bool = False
    odd: bool = False

    def settings(self, quality: int | None) -> dict[str, str]:
        """Its options, as FFmpeg takes them."""
        if self.scale is None:
            return dict(self.options)
        option, worst, best = self.scale
        share = (self.quality if quality is None else quality) / 100
        return {option: f"{worst + (best - worst) * share:g}", **self.options}


CONTAINERS: dict[str, Container] = {
    "mp4": Container(name="mp4", lossless="libx264"),
    "mov": Container(name="mov", lossless="libx264"),
    "mkv": Container(name="matroska"),
    "webm": Container(name="webm", encoder="libvpx-vp9", lossless="libvpx-vp9"),
    "avi": Container(name="avi"),
}
# By the suffix of a film: that of its result. What is not written any more goes into Matroska,
# which holds all of it.
SUFFIXES: dict[str, str] = {
    **{f".{suffix}": f".{suffix}" for suffix in CONTAINERS},
    ".m4v": ".m4v",
    **dict.fromkeys(
        [
            ".mpg",
            ".mpeg",
            ".m2v",
            ".vob",
            ".ts",
            ".mts",
            ".m2ts",
            ".wmv",
            ".asf",
            ".flv",
            ".3gp",
            ".ogv",
            ".mxf",
            ".dv",
            ".mk3d",
            ".h264",
            ".264",
            ".hevc",
        ],
        ".mkv",
    ),
}
# By the first bytes of a film whose name says nothing.
_HEADS = (
    (re.compile(rb"\x1a\x45\xdf\xa3.{0,64}webm", re.DOTALL), ".webm"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), ".mkv"),
    (re.compile(rb".{4}ftypqt  ", re.DOTALL), ".mov"),
    (re.compile(rb".{4}ftyp(?:iso|mp4|mp7|avc|M4V|dash|3g|f4v|MSNV)", re.DOTALL), ".mp4"),
    (re.compile(rb"RIFF.{4}AVI ", re.DOTALL), ".avi"),
    (re.compile(rb"\x00\x00\x01\xba|FLV\x01|\x30\x26\xb2\x75|OggS|G.{187}G", re.DOTALL), ".mkv"),
)
HEAD = 512  # bytes that tell

ENCODERS: dict[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        Encoder(
            name="libx264", families=("h264",), scale=("crf", 42, 10),
            options={"preset": "fast", "rc-lookahead": "10"}, fields=True,
        ),
        Encoder(
            name="libx265", families=("hevc",), scale=("crf", 44, 12),
            options={"preset": "fast", "x265-params": "log-level=error"},
        ),
        Encoder(
            name="libvpx-vp9", families=("vp9", "vp8"), scale=("crf", 60, 15),
            options={"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
            odd=True,
        ),
        Encoder(
            name="libsvtav1", families=("av1",), scale=("crf", 60, 15), options={"preset": "8"},
        ),
        Encoder(name="prores_ks", families=("prores",), options={"profile": "hq"}, fields=True),
        Encoder(
            name="ffv1", lossless=True, fields=True, odd=True,
            families=("ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "v210", "png", "qtrle"),
            options={"level": "3", "slicecrc": "1", "g": "1"},
        ),
    )
}  # fmt: skip
_OF_FAMILY = {family: e for e in ENCODERS.values() for family in e.families}


def suffix_of(head: bytes) -> str | None:
    """The suffix of a result by the first ``HEAD`` bytes of a film; None where it is none."""
    return next((suffix for pattern, suffix in _HEADS if pattern.match(head)), None)


def container_of(target: str, suffix: str) -> Container:
    """What a film goes into, by the ``suffix`` of ``target``. Raises ``UsageError``."""
    known = CONTAINERS.get({".m4v": "mp4"}.get(suffix, suffix[1:]))
    if known is None:
        names = " ".join(f".{name}" for name in CONTAINERS)
        raise UsageError(f"{target}: films are written as {names}; name it so, or give a folder")
    return known


def chosen(container: Container, codec: str) -> Encoder:
    """The encoder for a film of ``codec``: of the same family where there is one for it."""
    own = _OF_FAMILY.get(codec)
    if own is None:
        return ENCODERS[container.encoder]
    if not _holds(container, own):
        return ENCODERS[container.lossless if own.lossless else container.encoder]
    return own


def _holds(container: Container, encoder: Encoder) -> bool:
    held = {
        "webm": ("libvpx-vp9", "libsvtav1"),
        "mp4": ("libx264", "libx265", "libvpx-vp9", "libsvtav1"),
        "mov": ("libx264", "libx265", "prores_ks"),
        "avi": ("libx264", "ffv1"),
    }
    return encoder.name in held.get(container.name, ENCODERS)


def _encodes(name: str) -> bool:
    """Whether the FFmpeg at hand has an encoder of this name for moving pictures."""
    import av

    try:
        return av.Codec(name, "w").type == "video"
    except ValueError:  # as PyAV says that there is none
        return False


def asked(text: str) -> Encoder:
    """The encoder of ``--video-codec NAME[:OPTION=VALUE…]``. Raises ``UsageError``."""
    name, *pairs = text.split(":")
    given = dict(pair.partition("=")[::2] for pair in pairs)
    if not (name and all(given) and all(given.values())):
        raise UsageError(f"--video-codec {text}: give NAME:OPTION=VALUE, as in libx264:preset=slow")
    if name not in ENCODERS and not _encodes(name):
        near = difflib.get_close_matches(name, ENCODERS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(ENCODERS)}"
        raise UsageError(f"--video-codec {name}: no encoder of FFmpeg's for films; {hint}")
    known = ENCODERS.get(name, Encoder(name=name, fields=True))
    scale = known.scale
    if scale and {scale[0], "qp", "b", "bitrate", "crf", "lossless"} & given.keys():
        scale = None  # they have said it themselves
    return replace(known, scale=scale, options={**known.options, **given})
