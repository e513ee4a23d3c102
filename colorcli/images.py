"""Pictures in: bytes to planes, one page at a time, with what their copies are to carry along."""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import re
import struct
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from colorcli import deep, metadata, provenance, whole
from colorcli.errors import ColorizeError, ImageError, reason
from colorcli.icc import Conversion, conversion
from colorcli.lab import is_neutral, neutral, strips

MAX_PIXELS = 512_000_000
Image.MAX_IMAGE_PIXELS = None  # decode() has its own limit, read from the header
# Whatever Pillow has to say of a damaged file, decode() says in one line. Once for all: filters
# set for a moment would be shared by all threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Picture:
    """A decoded photograph or page, upright.

    ``gray`` (H, W) uint8 or uint16: the sRGB-encoded neutral whose CIE L is the picture's.
    ``rgb`` (H, W, 3) uint8 or uint16: its colours in sRGB; None where R = G = B everywhere, or
    where ``decode`` was not told to keep them. ``alpha`` (H, W) uint8 or uint16, or None.
    ``depth``: bits for each sample of the source, 8 or 16. ``duration``: milliseconds of an
    animation's frame, None for a page.
    """

    gray: np.ndarray
    rgb: np.ndarray | None = None
    alpha: np.ndarray | None = None
    depth: int = 8
    duration: float | None = None


@dataclass(frozen=True)
class Document:
    """A decoded file.

    ``format``: what its copy is written as by default. ``frames``: its pages or frames, decoded
    when asked for, one at a time; indexing raises ``ImageError``. ``extra``: metadata for the
    copy (see ``metadata.collect``) and an animation's ``loop``. ``name``: for messages.
    """

    format: str
    frames: Sequence[Picture]
    extra: Mapping[str, Any] = field(default_factory=dict)
    name: str = "-"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame."""
        height, width = self.frames[0].gray.shape
        return width, height


class _Frames(Sequence[Picture]):
    """Pages decoded on demand; the last one is kept, so that asking twice costs nothing."""

    def __init__(self, count: int, load: Callable[[int], Picture]) -> None:
        self._count, self._load = count, load
        self._last: tuple[int, Picture] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        at = range(self._count)[index]
        if self._last is None or self._last[0] != at:
            self._last = None  # free the old one before the new one is made
            self._last = at, self._load(at)
        return self._last[1]


# --- reading -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """How a kind of file begins, Pillow's plugin for it, and the format of its copy."""

    magic: re.Pattern[bytes]
    plugin: str
    format: str


def _reader(magic: bytes, plugin: str, format: str) -> _Reader:
    return _Reader(re.compile(magic, re.DOTALL), plugin, format)


# By content, never by suffix; only what is meant to be read, so that no odd decoder of Pillow's
# many is handed a stranger's bytes.
_READERS: dict[str, _Reader] = {
    "JPEG": _reader(rb"\xff\xd8\xff", "Jpeg", "jpeg"),
    "PNG": _reader(rb"\x89PNG\r\n\x1a\n", "Png", "png"),
    "TIFF": _reader(rb"II[*+]\0|MM\0[*+]", "Tiff", "tiff"),
    "WEBP": _reader(rb"RIFF....WEBP", "WebP", "webp"),
    "AVIF": _reader(rb"....ftyp(?:avif|avis|.{8,40}avi[fs])", "Avif", "avif"),
    "HEIF": _reader(rb"....ftyp(?:hei|hev|mif1|msf1)", "", "heic"),
    "BMP": _reader(rb"BM", "Bmp", "bmp"),
    "GIF": _reader(rb"GIF8[79]a", "Gif", "gif"),
    "PPM": _reader(rb"P[1-6][\s#]", "Ppm", "ppm"),
    "JPEG2000": _reader(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "Jpeg2K", "jp2"),
}

HEIC_EXTRA = "HEIC needs another package; pip install 'colorcli[heic]'"


def _heif() -> Any:
    """pillow-heif, registered; raises ``ImportError``."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return pillow_heif


def register(kind: str) -> None:
    """Register one Pillow plugin, where ``Image.open`` and ``save`` would import them all."""
    if kind == "HEIF":
        _heif()
    elif kind in _READERS:
        importlib.import_module(f"PIL.{_READERS[kind].plugin}ImagePlugin")


@contextmanager
def failures(name: str) -> Iterator[None]:
    """Whatever decoders raise at damaged bytes, as one ``ImageError`` with ``name``."""
    try:
        yield
    except MemoryError:
        raise
    except ColorizeError as error:
        message = str(error)
        raise ImageError(
            message if message.startswith(f"{name}: ") else f"{name}: {message}"
        ) from None
    except Exception as error:
        cause = textwrap.shorten(reason(error), 100, placeholder="…")
        raise ImageError(f"{name}: damaged picture ({cause}); check the file") from None


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ``ImageError`` for no pixels, and for more than ``max_pixels``."""
    if width < 1 or height < 1:
        raise ImageError(f"damaged picture ({width} x {height} pixels); check the file")
    if width * height > max_pixels:
        raise ImageError(
            f"{width * height / 1e6:.0f} megapixels is over the limit; "
            "allow it with --max-megapixels"
        )


# Multi-picture JPEGs of phones hold previews and gain maps besides the photograph; only frames
# of the "Multi-Frame" kinds are photographs in their own right (CIPA DC-007, 5.2.3.3).
def _pages(image: Image.Image, data: bytes) -> list[int]:
    """Pillow's numbers of the frames that are pictures, not thumbnails, masks or previews."""
    if image.format == "GIF":
        return list(range(max(1, whole.gif_frames(data))))
    count, plugin = getattr(image, "n_frames", 1), cast("Any", image)  # what its plugin adds
    if image.format == "MPO":
        kinds = [entry["Attribute"]["MPType"] for entry in plugin.mpinfo[0xB002]]
        return [0, *(i for i, kind in enumerate(kinds) if i and kind.startswith("Multi-Frame"))]
    if image.format == "TIFF" and 1 < count <= whole.MAX_FRAMES:
        kinds = []
        for i in range(count):
            image.seek(i)
            kinds.append(int(plugin.tag_v2.get(254, 0)))
        image.seek(0)
        return [i for i, kind in enumerate(kinds) if not kind & 5] or [0]
    return list(range(count))


def _kind(head: bytes) -> str | None:
    return next((kind for kind, reader in _READERS.items() if reader.magic.match(head)), None)


def lazily(file: BinaryIO, kind: str) -> Image.Image:
    """A Pillow image of a ``kind`` of file whose pixels are not read yet; raises ``ImageError``."""
    try:
        register(kind)
    except ImportError:
        raise ImageError(HEIC_EXTRA) from None
    try:
        return Image.open(file, formats=[kind])
    except UnidentifiedImageError:
        raise ImageError("damaged picture (its header cannot be read); check the file") from None


@dataclass(frozen=True)
class Header:
    """What a file says of its first page before pixels are decoded.

    ``kind``: as Pillow calls its format. ``size``: width and height as it lies. ``depth``: 8 or 16
    bits a sample. ``bands``: samples a pixel. ``single``: whether it is the only page. ``result``:
    whether it is what an earlier run made.
    """

    kind: str
    size: tuple[int, int]
    depth: int = 8
    bands: int = 1
    single: bool = False
    result: bool = False

    @property
    def format(self) -> str:
        """What a copy is written as by default."""
        return _READERS[self.kind].format

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.size[0] * self.size[1]

    @property
    def need(self) -> int:
        """Bytes of memory that it takes to colour it whole, as measured and rounded up."""
        return self.pixels * (self.depth // 8) * (8 + 2 * self.bands)


def peek(file: BinaryIO) -> Header | None:
    """The header of a file at its beginning; None where ``decode`` would raise, or may."""
    try:
        head = file.read(4096)
        netpbm = deep.netpbm(head)
        if netpbm is not None:
            ours = provenance.is_ours(head, {})
            return Header("PPM", netpbm.size, 16, netpbm.channels, result=ours)
        kind = _kind(head)
        if kind is None:
            return None
        file.seek(0)
        try:
            image = lazily(file, kind)
        except ImageError:
            if kind != "TIFF":
                return None
            file.seek(0)
            size = deep.tiff_size(file)[:2]
            file.seek(0)
            ours = provenance.is_ours(head, {"icc_profile": deep.tiff_profile(file)})
            return Header(kind, size, 16, 4, result=ours)
        single = image.format == kind != "GIF" and _pages(image, head) == [0]
        tags = getattr(image, "tag_v2", {})  # of a TIFF, whose size Pillow gives upright
        size = (tags[256], tags[257]) if 256 in tags else image.size
        ours = provenance.is_ours(head, image.info)
        return Header(kind, size, deep.depth(image, head), len(image.getbands()), single, ours)
    except Exception:  # whatever damage does; decode() has the words for it
        return None


# Chunks of a PNG that do not say how its pixels are stored.
_ABOUT = (b"iCCP", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def outline(file: BinaryIO, kind: str) -> Image.Image:
    """A Pillow image with a file's metadata, whose pixels nobody must ask for.

    Pillow would decode a whole PNG for the text that may stand behind its pixels: this one has
    a single pixel instead.
    """
    if kind != "PNG":
        return lazily(file, kind)
    signature, chunks = file.read(8), []
    while len(start := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", start)
        if name in _ABOUT:
            chunks.append((name, file.read(length)))
            file.seek(4, io.SEEK_CUR)
        else:
            file.seek(length + 4, io.SEEK_CUR)
    pixel = (b"IDAT", zlib.compress(b"\0\0"))
    header = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    parts = [metadata.chunk(*c) for c in (header, *chunks, pixel, (b"IEND", b""))]
    return lazily(io.BytesIO(signature + b"".join(parts)), kind)


def decode(
    data: bytes, name: str = "-", *, max_pixels: int = MAX_PIXELS, keep_color: bool = False
) -> Document:
    """A document from the bytes of its file, whatever its suffix; its first frame is decoded.

    EXIF orientation is applied, ICC profiles are converted to sRGB, 16-bit depth and alpha kept.
    ``keep_color`` fills ``Picture.rgb``. Raises ``ImageError``, one line beginning with ``name``,
    for what is not a whole picture, and for more than ``max_pixels`` in a frame or an animation.
    """
    with failures(name):
        if not data:
            raise ImageError("empty file; nothing to colour")
        header = deep.netpbm(data)
        if header is not None:
            check_size(*header.size, max_pixels)
            return _single("ppm", name, from_samples(header.read(data), keep_color))
        kind = _kind(data)
        if kind is None:
            raise ImageError("not a picture that can be read; check the file")
        try:
            image = lazily(io.BytesIO(data), kind)
        except ImageError:
            if kind != "TIFF":
                raise
            return _strange_tiff(data, name, max_pixels, keep_color)
        return _document(image, data, name, _READERS[kind].format, max_pixels, keep_color)


def _single(format: str, name: str, picture: Picture) -> Document:
    return Document(format, [picture], {}, name)


def _strange_tiff(data: bytes, name: str, max_pixels: int, keep_color: bool) -> Document:
    """A TIFF whose layout Pillow does not know, by tifffile."""
    width, height, count = deep.tiff_size(io.BytesIO(data))
    check_size(width, height, max_pixels)

    def load(i: int) -> Picture:
        with failures(name):
            return from_samples(deep.tiff_page(data, i, max_pixels), keep_color)

    frames = _Frames(count, load)
    frames[0]
    return Document("tiff", frames, {}, name)


def _document(
    image: Image.Image, data: bytes, name: str, format: str, max_pixels: int, keep_color: bool
) -> Document:
    check_size(*image.size, max_pixels)
    pages = _pages(image, data)
    if len(pages) > whole.MAX_FRAMES:
        raise ImageError(f"more than {whole.MAX_FRAMES} frames; split the file first")
    animated = len(pages) > 1 and format not in ("tiff", "heic", "jpeg")
    if animated:
        check_size(image.width * len(pages), image.height, max_pixels)
    held = [image]

    def again() -> Image.Image:
        return lazily(io.BytesIO(data), kind)

    def load(i: int) -> Picture:
        with failures(name):
            # One page: its decoder is given up as soon as the planes are made.
            source = held[0] if len(pages) > 1 or i else held.pop() if held else again()
            if len(pages) > 1:
                try:
                    source.seek(pages[i])
                except EOFError:
                    raise ImageError("damaged picture (frames are missing)") from None
                check_size(*source.size, max_pixels)
            picture = _picture(source, data, pages[i], keep_color)
            if animated:
                picture = replace(picture, duration=float(source.info.get("duration", 100)))
            if not extra:
                height, width = picture.gray.shape
                extra.update(metadata.collect(source, (width, height)))
            return picture

    kind = image.format or ""
    extra: dict[str, Any] = {}
    frames = _Frames(len(pages), load)
    frames[0]
    if animated and ("loop" in image.info or kind == "AVIF"):
        extra["loop"] = int(image.info.get("loop", 0))
    return Document(format, frames, extra, name)


# EXIF orientation to what turns rows and columns upright.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: np.rot90,
}


def _upright(picture: Picture, orientation: int) -> Picture:
    turn = _TURNS.get(orientation)
    if turn is None:
        return picture
    rgb, alpha = (
        None if plane is None else np.ascontiguousarray(turn(plane))
        for plane in (picture.rgb, picture.alpha)
    )
    return replace(picture, gray=np.ascontiguousarray(turn(picture.gray)), rgb=rgb, alpha=alpha)


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1…8."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF raises anything: leave the picture as it lies
        return 1


def _picture(image: Image.Image, data: bytes, page: int, keep: bool) -> Picture:
    """The current frame of a Pillow image."""
    if image.format == "JPEG2000":
        whole.check_jp2(data)
    samples = deep.from_image(image, data, page)
    if samples is not None:
        if image.format != "TIFF":
            profile, turned = image.info.get("icc_profile"), orientation(image)
            samples = deep.Samples(samples.pixels, samples.alpha, profile, turned)
        return from_samples(samples, keep)
    image.load()
    if image.format in ("JPEG", "MPO") and page == 0:
        whole.check_jpeg(image, data)
    turned = orientation(image)
    convert = conversion(image.info.get("icc_profile"))
    if image.mode.startswith("I") or image.mode == "F":
        gray = deep.integers(image)
        clear = image.info.get("transparency")
        alpha = np.where(gray == clear, 0, 65535).astype(np.uint16) if clear is not None else None
        return _upright(Picture(_gray(gray, convert), None, alpha, 16), turned)
    alpha = None
    if image.mode in ("1", "L", "LA"):
        if image.has_transparency_data:
            image = image.convert("LA")
            alpha = np.asarray(image.getchannel("A"))
        if image.mode == "LA":
            image = image.getchannel("L")
        gray = np.empty(image.size[::-1], np.uint8)
        for rows in strips(*gray.shape):  # a sixth of the time that Pillow takes for all at once
            strip = image.crop((0, rows.start, image.width, rows.stop))
            gray[rows] = np.asarray(strip if strip.mode == "L" else strip.convert("L"))
        return _upright(Picture(_gray(gray, convert), None, alpha, 8), turned)
    height, width = shape = image.size[::-1]
    alpha = np.empty(shape, np.uint8) if image.has_transparency_data else None

    def bands() -> Iterator[tuple[slice, np.ndarray]]:
        for rows in strips(height, width):
            strip = image.crop((0, rows.start, width, rows.stop))
            if alpha is not None:
                strip = strip.convert("RGBA")
                alpha[rows] = np.asarray(strip.getchannel("A"))
            yield rows, _band(strip, convert)

    gray, rgb = _planes(bands(), shape, np.dtype(np.uint8), keep)
    return _upright(Picture(gray, rgb, alpha, 8), turned)


def _band(strip: Image.Image, convert: Conversion) -> np.ndarray:
    """A strip of a Pillow image in sRGB: (h, w) where neutral, else (h, w, 3)."""
    if strip.mode == "CMYK" and convert.space == "CMYK":
        return _neutral_or(np.asarray(convert.flat(strip)))
    if strip.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return _neutral_or(
            np.asarray(ImageCms.profileToProfile(strip, lab, srgb, outputMode="RGB"))
        )
    strip = strip if strip.mode == "RGB" else strip.convert("RGB")  # which would copy it
    return _from_rgb(np.asarray(strip), convert)


def _neutral_or(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., 0] if is_neutral(rgb) else rgb


def _from_rgb(rgb: np.ndarray, convert: Conversion) -> np.ndarray:
    """Stored RGB in sRGB: (h, w) where neutral, else (h, w, 3)."""
    converts = convert.space == "RGB "
    if (not converts or convert.gray) and is_neutral(rgb):
        return _gray(rgb[..., 0], convert)
    if not converts:
        return rgb
    if rgb.dtype == np.uint16:
        return convert.deep(rgb)
    return np.asarray(convert.flat(Image.fromarray(rgb)))


def _from_cmyk(cmyk: np.ndarray, convert: Conversion) -> np.ndarray:
    """CMYK by its profile, which takes 8 bits, or as light left over by the inks."""
    if cmyk.dtype == np.uint8:
        return _band(Image.frombytes("CMYK", cmyk.shape[1::-1], cmyk.tobytes()), convert)
    if convert.space == "CMYK":
        high = np.ascontiguousarray(cmyk >> 8).astype(np.uint8)
        rgb = np.asarray(convert.flat(Image.frombytes("CMYK", high.shape[1::-1], high.tobytes())))
        return _neutral_or(rgb.astype(np.uint16) * 257)
    light = (65535 - cmyk).astype(np.float32)
    return _neutral_or(np.rint(light[..., :3] * light[..., 3:] / 65535).astype(np.uint16))


def from_samples(samples: deep.Samples, keep: bool) -> Picture:
    """A page, or a strip of one, as a picture; ``keep`` fills its ``rgb``."""
    pixels, convert = samples.pixels, conversion(samples.profile)
    depth = 8 * pixels.dtype.itemsize
    if pixels.ndim == 2:
        picture = Picture(_gray(pixels, convert), None, samples.alpha, depth)
        return _upright(picture, samples.orientation)
    to_band = _from_rgb if pixels.shape[2] == 3 else _from_cmyk
    shape = pixels.shape[:2]
    bands = ((rows, to_band(pixels[rows], convert)) for rows in strips(*shape))
    gray, rgb = _planes(bands, shape, pixels.dtype, keep)
    return _upright(Picture(gray, rgb, samples.alpha, depth), samples.orientation)


def _gray(gray: np.ndarray, convert: Conversion) -> np.ndarray:
    """Neutral samples in sRGB, 16 bits where a profile moved them."""
    if convert.gray is None:
        return gray
    return np.take(convert.gray(np.iinfo(gray.dtype).max + 1), gray)


def _planes(
    bands: Iterable[tuple[slice, np.ndarray]], shape: tuple[int, int], dtype: np.dtype, keep: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Gray and, with ``keep``, colours of ``dtype`` from sRGB strips, (h, w) where neutral.

    An 8-bit plane stays one until the first strip that needs 16 bits for its L.
    """
    gray = np.empty(shape, dtype)
    rgb = np.empty((*shape, 3), dtype) if keep else None
    coloured = False
    for rows, band in bands:
        coloured |= band.ndim == 3
        plane = neutral(band) if band.ndim == 3 else band
        if plane.dtype == np.uint16 and gray.dtype == np.uint8:
            wide = np.empty(shape, np.uint16)
            np.multiply(gray[: rows.start], 257, out=wide[: rows.start], dtype=np.uint16)
            gray = wide
        gray[rows] = plane if plane.dtype == gray.dtype else plane * np.uint16(257)
        if rgb is not None:
            rgb[rows] = band if band.ndim == 3 else to_depth(plane, dtype)[..., None]
    return gray, rgb if coloured else None


def read(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The first frame of a file with its colours; raises ``ImageError``."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {reason(error)}; check the path and its permissions") from None
    return decode(data, str(path), max_pixels=max_pixels, keep_color=True).frames[0]


# --- writing -----------------------------------------------------------------------------------


def to_depth(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """uint8 or uint16 samples as the other, rounded."""
    if values.dtype == dtype:
        return values
    if dtype == np.uint16:
        return values * np.uint16(257)
    return cv2.convertScaleAbs(values, alpha=1 / 257)
