"""What tells our results from photographs: a mark in the head of the file, which says nothing else.

Where a format holds an ICC profile, the profile names its creator (ICC.1:2022, 7.2.17); it stays
with the colours when metadata is left out. GIF gets an application extension, BMP its two fields
that belong to the application, JPEG 2000 a box of its own (T.800, I.7.2), PPM a comment.
GIF and JPEG 2000 take XMP here too, for which their writers have no place; PPM what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

_CREATOR = b"clrz"  # no signature that the ICC's registry lists
_AT = 80  # of the creator in a profile
_GIF = b"\x21\xff\x0bcolorizecli\x01\x01\x00"
_COMMENT = b"# result of colorize\n"
_UUID = bytes.fromhex("6a2d3c0f5b7e4f0e9a4b636f6c6f7269")
# XMP part 3, 1.1.2 (GIF: the packet is no sub-blocks, so that a ramp of bytes leads readers of
# such out of it, wherever they land) and 1.1.4.
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_END = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
_UUID_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _box(uuid: bytes, content: bytes = b"") -> bytes:
    return (8 + len(uuid) + len(content)).to_bytes(4, "big") + b"uuid" + uuid + content


_BOX = _box(_UUID)


def of_profile(profile: bytes) -> bytes:
    """An ICC profile that names us as its creator."""
    return profile[:_AT] + _CREATOR + profile[_AT + len(_CREATOR) :]


def _gif(data: bytes, extra: Mapping[str, Any]) -> bytes:
    flags = data[10]
    end = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    body, xmp = data[end:], extra.get("xmp", b"")
    if xmp and body.endswith(b";"):
        # Before the trailer: some players want the extension that loops to be the first.
        body = body[:-1] + _GIF_XMP + xmp + _GIF_XMP_END + b";"
    return b"GIF89a" + data[6:end] + _GIF + body


def _bmp(data: bytes, extra: Mapping[str, Any]) -> bytes:
    return data[:6] + _CREATOR + data[10:]


def _jp2(data: bytes, extra: Mapping[str, Any]) -> bytes:
    if data[4:8] != b"jP  ":  # a bare codestream
        return data
    end = 12 + int.from_bytes(data[12:16], "big")  # of the box with the file's type
    xmp = _box(_UUID_XMP, extra["xmp"]) if "xmp" in extra else b""
    return data[:end] + _BOX + xmp + data[end:]


def _ppm(data: bytes, extra: Mapping[str, Any]) -> bytes:
    said = f"# {extra['origin'].comment()}\n".encode() if "origin" in extra else b""
    return data[:3] + _COMMENT + said + data[3:]


_MARKERS: dict[str, Callable[[bytes, Mapping[str, Any]], bytes]] = {
    "gif": _gif, "bmp": _bmp, "jp2": _jp2, "ppm": _ppm,
}  # fmt: skip


def marked(format: str, data: bytes, extra: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """A file of ours in ``format`` with the mark, where its profile does not carry it already.

    ``extra``: what its metadata are, see ``metadata.collect`` and ``Origin.onto``.
    """
    return _MARKERS[format](data, extra) if format in _MARKERS else data


def is_ours(head: bytes, info: Mapping[Any, Any]) -> bool:
    """Whether a file is a result, by its first kilobytes and what Pillow knows of it."""
    profile = info.get("icc_profile") or b""
    return (
        profile[_AT : _AT + len(_CREATOR)] == _CREATOR
        or (head[:4] == b"GIF8" and _GIF in head)
        or (head[:2] == b"BM" and head[6:10] == _CREATOR)
        or (head[4:8] == b"jP  " and _BOX in head)
        or (head[:2] == b"P6" and head[3:].startswith(_COMMENT))
    )
