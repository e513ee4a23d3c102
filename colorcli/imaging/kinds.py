"""Kinds of picture files: how they begin, which Pillow plugin opens them, what copies become."""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from colorcli.imaging import png
from colorcli.imaging.refusals import Damaged, Wanting
from colorcli.system import windows

Image.MAX_IMAGE_PIXELS = None  # decode() has its own limit, read from the header
# Whatever Pillow has to say of a damaged file, decode() says in one line. Once for all: filters
# set for a moment would be shared by all threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Kind:
    """How a kind of file begins, Pillow's plugin for it, and the format of its copy.

    ``module``: of a plugin that is not Pillow's own. ``extra``: what brings it.
    """

    magic: re.Pattern[bytes]
    plugin: str
    format: str
    module: str = ""
    extra: str = ""


def _kind(magic: bytes, plugin: str, format: str, module: str = "", extra: str = "") -> Kind:
    return Kind(re.compile(magic, re.DOTALL), plugin, format, module, extra)


# By content, never by suffix; only what is meant to be read, so that no odd decoder of Pillow's
# many is handed a stranger's bytes. The first that fits; TGA has no mark of its own and is last.
KINDS: dict[str, Kind] = {
    "JPEG": _kind(rb"\xff\xd8", "Jpeg", "jpeg"),
    "PNG": _kind(rb"\x89PNG\r\n\x1a\n", "Png", "png"),
    "RAW": _kind(
        rb"FUJIFILMCCD-RAW|FOVb|\0MRM|IIRO|IIRS|MMOR|IIU\0|II\x1a\0\0\0HEAPCCDR|II\*\0....CR\x02"
        rb"|....ftypcrx ",
        "", "tiff",
    ),
    "TIFF": _kind(rb"II[*+]\0|MM\0[*+]", "Tiff", "tiff"),
    "WEBP": _kind(rb"RIFF....WEBP", "WebP", "webp"),
    "AVIF": _kind(rb"....ftyp(?:avif|avis|.{8,40}avi[fs])", "Avif", "avif"),
    "HEIF": _kind(
        rb"....ftyp(?:hei|hev|mif1|msf1)", "", "heic", "pillow_heif",
        "HEIC needs another package; pip install 'colorcli[heic]'",
    ),
    "JXL": _kind(
        rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "", "png", "pillow_jxl",
        "JPEG XL needs another package; pip install 'colorcli[jxl]'",
    ),
    "BMP": _kind(rb"BM|BA.{12}BM", "Bmp", "bmp"),
    "DIB": _kind(rb"[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0(?:.{4}|.{8})\x01\0[\1\4\x08\x10\x18\x20]\0", "Bmp", "bmp"),
    "GIF": _kind(rb"GIF8[79]a", "Gif", "gif"),
    "PPM": _kind(rb"P[1-6][\s#]|P7\n|P[Ff]\s", "Ppm", "ppm"),
    "JPEG2000": _kind(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "Jpeg2K", "jp2"),
    "JXR": _kind(rb"II\xbc\x01", "", "png"),
    "HDR": _kind(rb"#\?(?:RADIANCE|RGBE)\s", "", "png"),
    "EXR": _kind(rb"v/1\x01", "", "tiff"),
    "PSD": _kind(rb"8BPS\0[\1\2]", "Psd", "tiff"),
    "SGI": _kind(rb"\x01\xda[\0\1][\1\2]\0[\1\2\3]", "Sgi", "png"),
    "PCX": _kind(rb"\x0a[\0\2\3\4\5][\0\1][\1\2\4\x08]", "Pcx", "png"),
    "XPM": _kind(rb"/\* XPM \*/", "Xpm", "png"),
    "ICO": _kind(rb"\0\0\x01\0[^\0]\0", "Ico", "png"),
    "CUR": _kind(rb"\0\0\x02\0[^\0]\0", "Cur", "png"),
    "ICNS": _kind(rb"icns\0", "Icns", "png"),
    "DDS": _kind(rb"DDS \x7c\0\0\0", "Dds", "png"),
    "SUN": _kind(rb"\x59\xa6\x6a\x95", "Sun", "png"),
    "QOI": _kind(rb"qoif.{8}[\3\4][\0\1]", "Qoi", "png"),
    "XBM": _kind(rb"\s*#define\s+\S+_width\s", "Xbm", "png"),
    "DCX": _kind(rb"\xb1\x68\xde\x3a", "Dcx", "tiff"),
    "MSP": _kind(rb"DanM|LinS", "Msp", "png"),
    # Known to people as pictures, and told by name.
    "FITS": _kind(rb"SIMPLE  =", "", "png"),
    "IFF": _kind(rb"FORM....(?:ILBM|PBM |RGB8)", "", "png"),
    "DjVu": _kind(rb"AT&TFORM", "", "png"),
    "PDF": _kind(rb"%PDF-", "", "png"),
    "WMF": _kind(rb"\xd7\xcd\xc6\x9a", "", "png"),
    "TGA": _kind(
        rb".(?:\x01[\1-\3\x09-\x0b]..(?!\0\0)..[\x0f\x10\x18\x20]|\0[\2\3\x0a\x0b]\0\0\0\0.)"
        rb"....(?!\0\0)..(?!\0\0)..[\x08\x0f\x10\x18\x20][\0-\x3f]",
        "Tga", "png",
    ),
}  # fmt: skip


def kind_of(head: bytes) -> str | None:
    """The kind of file that begins with ``head``, as Pillow calls it; None for no picture."""
    return next((name for name, kind in KINDS.items() if kind.magic.match(head)), None)


def register(name: str) -> None:
    """Register one Pillow plugin, where ``Image.open`` and ``save`` would import them all.

    Raises ``ImportError`` where it is another package's and that is missing.
    """
    kind = KINDS.get(name)
    if kind is None:
        return
    if kind.module:
        module = importlib.import_module(kind.module)
        if name == "HEIF":
            module.register_heif_opener(thumbnails=False)
    elif kind.plugin:
        importlib.import_module(f"PIL.{kind.plugin}ImagePlugin")


def opened(source: str | bytes) -> BinaryIO:
    """The file ``source``, or its bytes, to read."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return open(windows.reachable(source), "rb")


def lazily(file: BinaryIO, name: str) -> Image.Image:
    """A Pillow image of a kind of file whose pixels are not read yet; raises ``ImageError``."""
    try:
        register(name)
    except ImportError:
        raise Wanting(KINDS[name].extra) from None
    try:
        return Image.open(file, formats=[name])
    except UnidentifiedImageError:
        raise Damaged("damaged picture (its header cannot be read); check the file") from None


# Chunks of a PNG that do not say how its pixels are stored.
_ABOUT = (b"iCCP", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def outline(file: BinaryIO, name: str) -> Image.Image:
    """A Pillow image with a file's metadata, whose pixels nobody must ask for.

    Pillow would decode a whole PNG for the text that may stand behind its pixels: this one has
    a single pixel instead.
    """
    if name != "PNG":
        return lazily(file, name)
    file.seek(8, io.SEEK_CUR)
    chunks = []
    while len(start := file.read(8)) == 8:
        length, mark = struct.unpack(">I4s", start)
        if mark in _ABOUT:
            chunks.append((mark, file.read(length)))
            file.seek(4, io.SEEK_CUR)
        else:
            file.seek(length + 4, io.SEEK_CUR)
    pixel = (b"IDAT", zlib.compress(b"\0\0"))
    parts = [png.chunk(*c) for c in (*chunks, pixel, (b"IEND", b""))]
    return lazily(io.BytesIO(png.head(1, 1, channels=1, bits=8) + b"".join(parts)), name)
