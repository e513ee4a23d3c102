"""What a file says beside its pixels: EXIF, XMP, IPTC, resolution, comments; cleaned for a copy."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from colorcli.imaging.png import chunk

# TIFF tags that describe how pixels are stored, or that travel by another way.
_STORAGE = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281}
    | {284, 288, 289, 290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325}
    | {330, 332, 333, 334, 336, 338, 339, 340, 341, 342, 347, 351, 512, 513, 514, 515, 517, 518}
    | {519, 520, 521, 529, 530, 531, 532, 700, 33723, 34377, 34675}
)
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377
_IPTC_RESOURCE = 0x0404
EXIF_LIMIT = 65533  # of one JPEG segment


def _exif(image: Image.Image, size: tuple[int, int], orientation: int) -> bytes:
    """EXIF of an sRGB copy of ``size``: no thumbnail, true dimensions and colour space."""
    source = image.getexif()
    details = dict(source.get_ifd(ExifTags.IFD.Exif))
    place = dict(source.get_ifd(ExifTags.IFD.GPSInfo))
    details.pop(ExifTags.IFD.Interop, None)  # it may say Adobe RGB
    if ExifTags.Base.ColorSpace in details:
        details[ExifTags.Base.ColorSpace] = 1
    if ExifTags.Base.ExifImageWidth in details:
        details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = size
    exif = Image.Exif()
    below = {ExifTags.IFD.Exif: details, ExifTags.IFD.GPSInfo: place}
    hidden = _STORAGE | set(below)
    if hasattr(image, "tag_v2"):  # a TIFF's resolution travels as dpi
        hidden |= {282, 283, 296}
    for tag in set(source) - hidden:
        exif[tag] = source[tag]
    for tag, values in below.items():
        if values:
            exif[tag] = values
    if not len(exif):
        return b""
    exif[ExifTags.Base.Orientation] = orientation
    data = exif.tobytes()
    if len(data) > EXIF_LIMIT and details.pop(ExifTags.Base.MakerNote, None):
        data = exif.tobytes()
    return data


def _oriented(xmp: bytes, orientation: int) -> bytes:
    return re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\g<1>%d" % orientation, xmp)


def _xmp(info: Mapping[Any, Any], orientation: int) -> bytes:
    data = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    data = data.encode() if isinstance(data, str) else bytes(data)
    data = _oriented(data, orientation)
    return re.sub(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", b"", data, flags=re.DOTALL)


def _iptc(image: Image.Image) -> bytes:
    resources = image.info.get("photoshop") or {}
    if isinstance(resources, Mapping) and isinstance(data := resources.get(_IPTC_RESOURCE), bytes):
        return data
    if not hasattr(image, "tag_v2"):
        return b""
    data = image.tag_v2.get(_IPTC, b"")
    if isinstance(data, tuple):  # often written as LONGs
        order = image.tag_v2._endian
        data = struct.pack(f"{order}{len(data)}I", *data)
    return bytes(data)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    x, y = (float(v) for v in image.info.get("dpi") or (0, 0))
    return (x, y) if 0 < x < 1e5 and 0 < y < 1e5 else None


def _text(image: Image.Image) -> dict[str, str]:
    """PNG text, without what has a place of its own."""
    text = getattr(image, "text", {})
    own = ("XML:com.adobe.xmp", "Raw profile")
    return {str(k): str(v) for k, v in text.items() if not k.startswith(own)}


def _comment(image: Image.Image) -> bytes:
    if image.format == "JPEG2000":  # the name of its encoder
        return b""
    comment = image.info.get("comment") or b""
    return comment.encode("utf-8", "replace") if isinstance(comment, str) else bytes(comment)


def collect(image: Image.Image, size: tuple[int, int], orientation: int = 1) -> dict[str, Any]:
    """Metadata of ``image`` for an sRGB copy of ``size`` (width, height), upright by ``orientation``.

    Keys, where the file has them: ``exif`` ``xmp`` ``iptc`` ``comment`` (bytes), ``dpi``
    (x, y), ``text`` (PNG's key to value). A damaged part is dropped; the picture matters more.
    """
    found: dict[str, Any] = {}
    for key, part in (
        ("xmp", lambda: _xmp(image.info, orientation)),
        ("iptc", lambda: _iptc(image)),
        ("exif", lambda: _exif(image, size, orientation)),
        ("dpi", lambda: _dpi(image)),
        ("text", lambda: _text(image)),
        ("comment", lambda: _comment(image)),
    ):
        try:
            if value := part():
                found[key] = value
        except Exception:  # damaged metadata raises anything
            continue
    return found


def of_size(
    extra: Mapping[str, Any], size: tuple[int, int], *, upright: bool = False
) -> dict[str, Any]:
    """What ``collect`` found, for a part of the picture of ``size`` (width, height).

    ``upright``: its pixels are, whatever the picture's were.
    """
    found = dict(extra)
    if "exif" in found:
        exif = Image.Exif()
        exif.load(found["exif"])
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if ExifTags.Base.ExifImageWidth in details:
            details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = size
        if upright:
            exif[ExifTags.Base.Orientation] = 1
        found["exif"] = exif.tobytes()
    if upright and "xmp" in found:
        found["xmp"] = _oriented(found["xmp"], 1)
    return found


def photoshop(iptc: bytes) -> bytes:
    """IPTC as a Photoshop image resource block, the form JPEG and TIFF carry."""
    pad = b"\0" * (len(iptc) % 2)
    return b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc + pad


def jpeg_segment(iptc: bytes) -> bytes:
    """IPTC as a JPEG APP13 segment; nothing when it is too long for one."""
    body = b"Photoshop 3.0\0" + photoshop(iptc)
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body if len(body) < 65530 else b""


Tag = tuple[int, int, int, Any, bool]  # number, type, count, value, on the first page alone


def tiff_tags(
    extra: Mapping[str, Any], below: bool = True
) -> tuple[list[Tag], dict[int, dict[int, Any]]]:
    """TIFF tags for ``tifffile``'s ``extratags``, and the EXIF and GPS directories ``below`` by tag.

    A place for the pointer to each sub-directory is among the tags, under its number less one.
    """
    tags: list[Tag] = []
    directories: dict[int, dict[int, Any]] = {}
    exif = Image.Exif()
    if "exif" in extra:
        exif.load(extra["exif"])
    for tag, value in exif.items():
        if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if below:
                directories[tag] = dict(exif.get_ifd(tag))
                tags.append((tag - 1, 4, 1, 0, True))  # becomes the pointer when it stands
        elif tag not in _STORAGE and tag not in (282, 283, 296) and (entry := _entry(value)):
            tags.append((tag, *entry, True))
    if "xmp" in extra:
        tags.append((_XMP, 1, len(extra["xmp"]), extra["xmp"], True))
    if "iptc" in extra:
        tags.append((_IPTC, 7, len(extra["iptc"]), extra["iptc"], True))
        block = photoshop(extra["iptc"])
        tags.append((_PHOTOSHOP, 1, len(block), block, True))
    return tags, directories


def _entry(value: Any) -> tuple[int, int, Any] | None:
    """Type, count and value of a TIFF tag; None for what has no plain form."""
    if isinstance(value, str):
        data = value.encode("utf-8", "replace") + b"\0"
        return 2, len(data), data
    if isinstance(value, bytes):
        return (7, len(value), value) if value else None
    values = value if isinstance(value, tuple) else (value,)
    if values and all(isinstance(v, int) and 0 <= v < 2**32 for v in values):
        return 4, len(values), values if len(values) > 1 else values[0]
    if values and all(isinstance(v, TiffImagePlugin.IFDRational) for v in values):
        return 5, len(values), tuple(n for v in values for n in (v.numerator, v.denominator))
    return None


def directory(tags: Mapping[int, Any], group: int, offset: int) -> bytes:
    """A little-endian TIFF directory of ``tags`` to stand at ``offset``."""
    table = TiffImagePlugin.ImageFileDirectory_v2(b"II\x2a\0\x08\0\0\0", group=group)
    for tag, value in tags.items():
        table[tag] = value
    return table.tobytes(offset)


def png_text(extra: Mapping[str, Any]) -> PngImagePlugin.PngInfo:
    """XMP and text for Pillow's PNG writer."""
    info = PngImagePlugin.PngInfo()
    if "xmp" in extra:
        info.add_itxt("XML:com.adobe.xmp", extra["xmp"].decode("utf-8", "replace"))
    for key, value in extra.get("text", {}).items():
        info.add_itxt(key.encode("latin-1", "ignore").decode("latin-1")[:79] or "Comment", value)
    return info


def png_chunks(extra: Mapping[str, Any], profile: bytes) -> bytes:
    """The chunks that say colour space and metadata, to stand after ``IHDR``."""
    out = [chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(profile))]
    if "dpi" in extra:
        x, y = (round(v / 0.0254) for v in extra["dpi"])
        out.append(chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if "exif" in extra:
        out.append(chunk(b"eXIf", extra["exif"].removeprefix(b"Exif\0\0")))
    if "xmp" in extra:
        out.append(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + extra["xmp"]))
    for key, value in extra.get("text", {}).items():
        name = key.encode("latin-1", "ignore")[:79]
        if name:
            out.append(chunk(b"iTXt", name + b"\0\0\0\0\0" + value.encode("utf-8", "replace")))
    return b"".join(out)
