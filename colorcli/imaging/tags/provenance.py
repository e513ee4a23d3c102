"""What tells our results from photographs: a mark in the head of the file, which says nothing else.

Where a format holds an ICC profile, the profile names its creator (ICC.1:2022, 7.2.17); it stays
with the colours when metadata is left out. GIF gets an application extension, BMP its two fields
that belong to the application, JPEG 2000 a box of its own (T.800, I.7.2), PPM a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_CREATOR = b"clrz"  # no signature that the ICC's registry lists
_AT = 80  # of the creator in a profile
_GIF = b"\x21\xff\x0bcolorizecli\x01\x01\x00"
_COMMENT = b"# result of colorize\n"
_UUID = bytes.fromhex("6a2d3c0f5b7e4f0e9a4b636f6c6f7269")
_BOX = (8 + len(_UUID)).to_bytes(4, "big") + b"uuid" + _UUID


def of_profile(profile: bytes) -> bytes:
    """An ICC profile that names us as its creator."""
    return profile[:_AT] + _CREATOR + profile[_AT + len(_CREATOR) :]


def _gif(data: bytes) -> bytes:
    flags = data[10]
    end = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    return b"GIF89a" + data[6:end] + _GIF + data[end:]


def _bmp(data: bytes) -> bytes:
    return data[:6] + _CREATOR + data[10:]


def _jp2(data: bytes) -> bytes:
    if data[4:8] != b"jP  ":  # a bare codestream
        return data
    end = 12 + int.from_bytes(data[12:16], "big")  # of the box with the file's type
    return data[:end] + _BOX + data[end:]


def _ppm(data: bytes) -> bytes:
    return data[:3] + _COMMENT + data[3:]


_MARKERS: dict[str, Callable[[bytes], bytes]] = {
    "gif": _gif, "bmp": _bmp, "jp2": _jp2, "ppm": _ppm,
}  # fmt: skip


def marked(format: str, data: bytes) -> bytes:
    """A file of ours in ``format`` with the mark, where its profile does not carry it already."""
    return _MARKERS[format](data) if format in _MARKERS else data


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
