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

    ``magic``: a pattern, compiled when a file is held against it: all take 12 ms. ``module``: of a plugin that is not Pillow's own. ``extra``: what brings it.
    """

    magic: bytes
    plugin: str
    format: str
    module: str = ""
    extra: str = ""


# By content, never by suffix; only what is meant to be read, so that no odd decoder of Pillow's
# many is handed a stranger's bytes. The first that fits; TGA has no mark of its own and is last.
KINDS: dict[str, Kind] = {
    "JPEG": Kind(rb"\xff\xd8", "Jpeg", "jpeg"),
    "PNG": Kind(rb"\x89PNG\r\n\x1a\n", "Png", "png"),
    "RAW": Kind(
        rb"FUJIFILMCCD-RAW|FOVb|\0MRM|IIRO|IIRS|MMOR|IIU\0|II\x1a\0\0\0HEAPCCDR|II\*\0....CR\x02"
        rb"|....ftypcrx ",
        "", "tiff",
    ),
    "TIFF": Kind(rb"II[*+]\0|MM\0[*+]", "Tiff", "tiff"),
    "WEBP": Kind(rb"RIFF....WEBP", "WebP", "webp"),
    "AVIF": Kind(rb"....ftyp(?:avif|avis|.{8,40}avi[fs])", "Avif", "avif"),
    "HEIF": Kind(
        rb"....ftyp(?:hei|hev|mif1|msf1)", "", "heic", "pillow_heif",
        "HEIC needs another package; pip install 'colorcli[heic]'",
    ),
    "JXL": Kind(
        rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "", "png", "pillow_jxl",
        "JPEG XL needs another package; pip install 'colorcli[jxl]'",
    ),
    "BMP": Kind(rb"BM|BA.{12}BM", "Bmp", "bmp"),
    "DIB": Kind(rb"[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0(?:.{4}|.{8})\x01\0[\1\4\x08\x10\x18\x20]\0", "Bmp", "bmp"),
    "GIF": Kind(rb"GIF8[79]a", "Gif", "gif"),
    "PPM": Kind(rb"P[1-6][\s#]|P7\n|P[Ff]\s", "Ppm", "ppm"),
    "JPEG2000": Kind(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "Jpeg2K", "jp2"),
    "JXR": Kind(rb"II\xbc\x01", "", "png"),
    "HDR": Kind(rb"#\?(?:RADIANCE|RGBE)\s", "", "png"),
    "EXR": Kind(rb"v/1\x01", "", "tiff"),
    "PSD": Kind(rb"8BPS\0[\1\2]", "Psd", "tiff"),
    "SGI": Kind(rb"\x01\xda[\0\1][\1\2]\0[\1\2\3]", "Sgi", "png"),
    "PCX": Kind(rb"\x0a[\0\2\3\4\5][\0\1][\1\2\4\x08]", "Pcx", "png"),
    "XPM": Kind(rb"/\* XPM \*/", "Xpm", "png"),
    "ICO": Kind(rb"\0\0\x01\0[^\0]\0", "Ico", "png"),
    "CUR": Kind(rb"\0\0\x02\0[^\0]\0", "Cur", "png"),
    "ICNS": Kind(rb"icns\0", "Icns", "png"),
    "DDS": Kind(rb"DDS \x7c\0\0\0", "Dds", "png"),
    "SUN": Kind(rb"\x59\xa6\x6a\x95", "Sun", "png"),
    "QOI": Kind(rb"qoif.{8}[\3\4][\0\1]", "Qoi", "png"),
    "XBM": Kind(rb"\s*#define\s+\S+_width\s", "Xbm", "png"),
    "DCX": Kind(rb"\xb1\x68\xde\x3a", "Dcx", "tiff"),
    "MSP": Kind(rb"DanM|LinS", "Msp", "png"),
    # Known to people as pictures, and told by name.
    "FITS": Kind(rb"SIMPLE  =", "", "png"),
    "IFF": Kind(rb"FORM....(?:ILBM|PBM |RGB8)", "", "png"),
    "DjVu": Kind(rb"AT&TFORM", "", "png"),
    "PDF": Kind(rb"%PDF-", "", "png"),
    "WMF": Kind(rb"\xd7\xcd\xc6\x9a", "", "png"),
    "EMF": Kind(rb"\x01\0\0\0.{36} EMF", "", "png"),
    "PostScript": Kind(rb"%!PS|\xc5\xd0\xd3\xc6", "", "png"),
    "SVG": Kind(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.{1,1500}?)?<svg[\s>]", "", "png"),
    "GIMP": Kind(rb"gimp xcf ", "", "png"),
    "FLIF": Kind(rb"FLIF[1-9A-Za-z]", "", "png"),
    "BPG": Kind(rb"BPG\xfb", "", "png"),
    "XPM 2": Kind(rb"! XPM2", "", "png"),
    "OS/2 icon": Kind(rb"(?:BA.{12})?(?:IC|PT|CI|CP).{12}[\x0c\x10-\x40]\0\0\0", "", "png"),
    "DICOM": Kind(rb".{128}DICM", "", "png"),
    "Photo CD": Kind(rb".{2048}PCD_IPI", "", "png"),
    "PICT": Kind(rb"(?:.{512})?.{10}\0\x11\x02\xff\x0c\0|\0{512}.{10}\x11\x01", "", "png"),
    "TGA": Kind(
        rb".(?:\x01[\1-\3\x09-\x0b]..(?!\0\0)..[\x0f\x10\x18\x20]|\0[\2\3\x0a\x0b]\0\0\0\0.)"
        rb"....(?!\0\0)..(?!\0\0)..[\x08\x0f\x10\x18\x20][\0-\x3f]",
        "Tga", "png",
    ),
}  # fmt: skip


def kind_of(head: bytes) -> str | None:
    """The kind of file that begins with ``head``, as Pillow calls it; None for no picture."""
    return next(
        (name for name, kind in KINDS.items() if re.match(kind.magic, head, re.DOTALL)), None
    )


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
