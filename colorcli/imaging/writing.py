"""Pictures out: planes to bytes, by a table of formats, metadata carried along."""

from __future__ import annotations

import importlib.util
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from colorcli.color.lab import strips
from colorcli.color.levels import to_depth
from colorcli.imaging import kinds, sixteen_bit, tiff_writing
from colorcli.imaging.formats import netpbm
from colorcli.imaging.planes import Picture
from colorcli.imaging.reading import Document
from colorcli.imaging.tags import metadata, provenance
from colorcli.imaging.tags.icc import srgb_profile
from colorcli.imaging.tags.origin import Origin
from colorcli.system.errors import ColorizeError, ImageError, UsageError, reason

Page = tuple[np.ndarray, "np.ndarray | None"]  # RGB (H, W, 3) and alpha (H, W), of one dtype


@dataclass(frozen=True)
class Copy:
    """What goes into a file beside its pixels."""

    count: int
    quality: int | None
    extra: Mapping[str, Any]
    durations: Sequence[float | None]  # grows as pages are taken
    pixels: int  # of the first page


def _image(page: Page) -> Image.Image:
    rgb, alpha = page
    image = Image.fromarray(rgb)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return image


def _animation(first: Image.Image, rest: Iterable[Page], copy: Copy) -> dict[str, Any]:
    """``save`` options for all frames. Pillow wants them at once."""
    frames = [_image(page) for page in rest]
    if any(frame.size != first.size for frame in frames):
        raise ImageError("frames of several sizes; choose --format tiff")
    options: dict[str, Any] = {"save_all": True, "append_images": frames}
    durations = [round(d) for d in copy.durations if d is not None]
    if len(durations) == len(copy.durations):
        options["duration"] = durations
    if "loop" in copy.extra:
        options["loop"] = copy.extra["loop"]
    return options


def saved(image: Image.Image, plugin: str, options: Mapping[str, Any]) -> bytes:
    """The file that a plugin of Pillow's makes of an image."""
    kinds.register(plugin)
    # Pillow's encoders release the GIL when they write to a descriptor, not into a BytesIO.
    with _memory_file() as file:
        image.save(file, plugin, **options)
        file.seek(0)
        return file.read()


def _memory_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("picture"), "w+b")
    return tempfile.TemporaryFile()


def _chosen(copy: Copy, *keys: str) -> dict[str, Any]:
    return {key: copy.extra[key] for key in keys if key in copy.extra}


_SEGMENT = 65000  # bytes of XMP that one segment of a JPEG takes


def _write_jpeg(pages: Iterator[Page], copy: Copy) -> bytes:
    options: dict[str, Any] = {"quality": copy.quality, "icc_profile": srgb_profile()}
    if copy.quality is not None and copy.quality > 90:
        options["subsampling"] = 0
    options |= _chosen(copy, "exif", "dpi", "comment", "xmp")
    if len(options.get("xmp", b"")) > _SEGMENT:
        del options["xmp"]
        if "origin" in copy.extra:
            options["xmp"] = copy.extra["origin"].packet()
    if len(options.get("exif", b"")) > 65533:
        del options["exif"]
    if "iptc" in copy.extra:
        options["extra"] = metadata.jpeg_segment(copy.extra["iptc"])
    return saved(_image(next(pages)), "JPEG", options)


def _write_png(pages: Iterator[Page], copy: Copy) -> bytes:
    first = next(pages)
    if first[0].dtype == np.uint16:
        chunks = metadata.png_chunks(copy.extra, srgb_profile())
        return sixteen_bit.write_png(*first, chunks)
    image = _image(first)
    # Level 1 costs a tenth of the default's time for a few percent of size.
    options = {"compress_level": 1, "icc_profile": srgb_profile(), **_chosen(copy, "exif", "dpi")}
    options["pnginfo"] = metadata.png_text(copy.extra)
    if copy.count > 1:
        options |= _animation(image, pages, copy)
    return saved(image, "PNG", options)


def needs_big_tiff(pixels: int) -> bool:
    """Whether this many might not fit below the 4 GiB that offsets of plain TIFF reach."""
    return pixels * 8 > 2**32 - 2**26


def _write_tiff(pages: Iterator[Page], copy: Copy) -> bytes:
    big = needs_big_tiff(copy.pixels * copy.count)
    flat = (rgb if alpha is None else np.dstack([rgb, alpha]) for rgb, alpha in pages)
    buffer = io.BytesIO()
    tiff_writing.write_tiff(buffer, flat, copy.extra, srgb_profile(), big)
    return buffer.getvalue()


def _write_web(plugin: str) -> Callable[[Iterator[Page], Copy], bytes]:
    def write(pages: Iterator[Page], copy: Copy) -> bytes:
        image = _image(next(pages))
        options = {"quality": copy.quality, "icc_profile": srgb_profile()}
        options |= _chosen(copy, "exif", "xmp")
        if copy.count > 1:
            options |= _animation(image, pages, copy)
        return saved(image, plugin, options)

    return write


def _write_bmp(pages: Iterator[Page], copy: Copy) -> bytes:
    return saved(_image(next(pages)), "BMP", _chosen(copy, "dpi"))


def _palette(image: Image.Image) -> Image.Image:
    """At most 256 colours, dithered; the last one is for what is clear."""
    colours = image.convert("RGB")
    palette = colours.quantize(255)
    flat = colours.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if image.mode == "RGBA":
        flat.paste(255, mask=image.getchannel("A").point(lambda a: 255 * (a < 128)))
        flat.info["transparency"] = 255
    return flat


def _write_gif(pages: Iterator[Page], copy: Copy) -> bytes:
    image = _palette(_image(next(pages)))
    options = _chosen(copy, "comment")
    if copy.count > 1:
        options |= _animation(image, pages, copy)
        options["append_images"] = [_palette(frame) for frame in options["append_images"]]
    if "transparency" in image.info:
        options |= {"transparency": 255, "disposal": 2}
    return saved(image, "GIF", options)


def _write_jp2(pages: Iterator[Page], copy: Copy) -> bytes:
    page = next(pages)
    if page[0].dtype == np.uint16:
        return sixteen_bit.write_jp2(*page)
    # Halving a side below one pixel is an error, so a small picture gets fewer levels.
    levels = max(1, min(6, min(page[0].shape[:2]).bit_length()))
    return saved(_image(page), "JPEG2000", {"num_resolutions": levels})


def _write_ppm(pages: Iterator[Page], copy: Copy) -> bytes:
    return netpbm.write_ppm(next(pages)[0])


@dataclass(frozen=True)
class Format:
    """An output format: suffixes, how it is written, what it holds."""

    suffixes: tuple[str, ...]
    write: Callable[[Iterator[Page], Copy], bytes]
    depths: tuple[int, ...] = (8,)
    alpha: bool = False
    holds: tuple[str, ...] = ()  # "pages", "animation"
    side: int | None = None  # its longest
    quality: int | None = None  # default; None where the format has no such knob
    kind: str = ""  # in KINDS, of a format that another package's plugin writes


FORMATS: dict[str, Format] = {
    "jpeg": Format((".jpg", ".jpeg", ".jpe", ".jfif"), _write_jpeg, side=65500, quality=95),
    "png": Format((".png",), _write_png, (8, 16), True, ("animation",), side=2**31 - 1),
    "tiff": Format((".tif", ".tiff"), _write_tiff, (8, 16), True, ("pages", "animation")),
    "webp": Format(
        (".webp",), _write_web("WEBP"), (8,), True, ("animation",), side=16383, quality=90
    ),
    "avif": Format(
        (".avif",), _write_web("AVIF"), (8,), True, ("animation",), side=65536, quality=85
    ),
    "gif": Format((".gif",), _write_gif, (8,), True, ("animation",), side=65535),
    "bmp": Format((".bmp",), _write_bmp),
    "jp2": Format((".jp2",), _write_jp2, (8, 16), True),
    "ppm": Format((".ppm", ".pnm"), _write_ppm, (8, 16)),
    "heic": Format(
        (".heic", ".heif"),
        _write_web("HEIF"),
        (8,),
        True,
        ("pages",),
        side=16384,
        quality=90,
        kind="HEIF",
    ),
}
SUFFIXES: dict[str, str] = {s: name for name, f in FORMATS.items() for s in f.suffixes}
# Suffixes of camera raw, which is looked for in folders where there is something to develop it
# with: it often lies beside a JPEG of the same photograph.
RAW = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
# Suffixes looked for in folders, and what their copies are called where the suffix cannot stay.
READABLE: dict[str, str] = {s: s for s in SUFFIXES} | {
    ".pgm": ".ppm",
    ".pbm": ".ppm",
    ".pfm": ".ppm",
    ".pam": ".ppm",
    ".dib": ".bmp",
    ".dcx": ".tif",
    ".j2k": ".jp2",
    ".j2c": ".jp2",
    ".jpc": ".jp2",
    ".jpf": ".jp2",
    ".jpx": ".jp2",
    ".apng": ".png",
    ".mpo": ".jpg",
    ".jif": ".jpg",
    ".jls": ".jpg",
    ".hif": ".heic",
    ".jxl": ".png",
    ".jxr": ".png",
    ".wdp": ".png",
    ".hdp": ".png",
    ".hdr": ".png",
    ".exr": ".tif",
    ".tga": ".png",
    ".sgi": ".png",
    ".pcx": ".png",
    ".xpm": ".png",
    ".ico": ".png",
    ".psd": ".tif",
    ".psb": ".tif",
}
if importlib.util.find_spec("rawpy"):
    READABLE |= dict.fromkeys(RAW, ".tif")


def format_of(path: Path | str) -> str:
    """The output format a file name asks for.

    Raises ``UsageError`` naming the known suffixes, or the extra that the format needs.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: unknown output suffix; known: {' '.join(SUFFIXES)}")
    check_format(SUFFIXES[suffix], path)
    return SUFFIXES[suffix]


def check_format(format: str, asked: Path | str) -> None:
    """Raise ``UsageError`` naming the extra that a format needs, ``asked`` for by a path or option."""
    kind = kinds.KINDS.get(FORMATS[format].kind)
    if kind and importlib.util.find_spec(kind.module) is None:
        raise UsageError(f"{asked}: {kind.extra}")


def _over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    full = np.iinfo(rgb.dtype).max
    out = np.empty_like(rgb)
    for rows in strips(*alpha.shape):
        share = alpha[rows][..., None] * np.float32(1 / full)
        out[rows] = np.rint(full - (full - rgb[rows]) * share)
    return out


def check_sides(format: str, width: int, height: int) -> None:
    """Raise ``ImageError`` where a picture is longer than a format holds."""
    side = FORMATS[format].side
    if side and max(width, height) > side:
        raise ImageError(
            f"{width} x {height} pixels, and {format} holds {side} a side; "
            "choose --format png or tiff"
        )


def fitted(format: str, rgb: np.ndarray, alpha: np.ndarray | None, depth: int = 16) -> Page:
    """A page, or a strip of one, as a format holds it: at most ``depth`` bits, over white."""
    chosen = FORMATS[format]
    if rgb.dtype == np.uint16 and (depth < 16 or 16 not in chosen.depths):
        rgb = to_depth(rgb, np.dtype(np.uint8))
    if alpha is not None:
        alpha = to_depth(alpha, rgb.dtype)
        if not chosen.alpha:
            rgb, alpha = _over_white(rgb, alpha), None
    return rgb, alpha


def _fits(format: str, document: Document) -> None:
    """Raise ``ImageError`` where a format cannot hold a document."""
    count, animated = len(document.frames), document.frames[0].duration is not None
    kind = "animation" if animated else "pages"
    if count > 1 and kind not in FORMATS[format].holds:
        able = ", ".join(name for name, f in FORMATS.items() if kind in f.holds)
        raise ImageError(
            f"{count} {'frames' if animated else 'pages'}, and {format} holds one picture; "
            f"choose --format from: {able}"
        )


def carried(extra: Mapping[str, Any], strip: bool, origin: Origin | None) -> dict[str, Any]:
    """What a copy carries of its source's ``extra``, and what it says of its colours."""
    kept = {k: v for k, v in extra.items() if not strip or k == "loop"}
    return kept if origin is None else origin.onto(kept)


def holding(document: Document) -> str:
    """The format that holds a document without loss, where nothing else chooses one.

    PNG, which every reader knows; TIFF for pages; for an animation, what it was.
    """
    if len(document.frames) == 1:
        return "png"
    animated = document.frames[0].duration is not None
    return document.format if animated and "animation" in FORMATS[document.format].holds else "tiff"


def encode(
    pictures: Iterable[tuple[np.ndarray, Picture]],
    document: Document,
    format: str,
    *,
    quality: int | None = None,
    strip: bool = False,
    origin: Origin | None = None,
) -> bytes:
    """The file of sRGB pages (H, W, 3) uint8 or uint16, each with its ``Picture``'s alpha.

    ``pictures`` are taken one at a time, and must be as many as the document's frames. 16 bits
    and alpha are kept where the format holds them; alpha is laid over white elsewhere. ``strip``
    leaves out all metadata but the sRGB profile and ``origin``, what made the colours. Raises
    ``ImageError``, one line beginning with the document's name, when the format cannot hold the
    document.
    """
    chosen = FORMATS[format]
    durations: list[float | None] = []
    count = len(document.frames)

    def pages() -> Iterator[Page]:
        for rgb, picture in pictures:
            check_sides(format, rgb.shape[1], rgb.shape[0])
            page = fitted(format, rgb, picture.alpha, 8 if format == "png" and count > 1 else 16)
            durations.append(picture.duration)
            yield page

    name = document.name
    try:
        _fits(format, document)
        width, height = document.size
        extra = carried(document.extra, strip, origin)
        quality = chosen.quality if quality is None else quality
        data = chosen.write(pages(), Copy(count, quality, extra, durations, width * height))
    except MemoryError:
        raise
    except ImportError:
        raise UsageError(f"{name}: {kinds.KINDS[chosen.kind].extra}") from None
    except ColorizeError as error:
        message = str(error)
        if message.startswith(f"{name}: "):
            raise
        raise type(error)(f"{name}: {message}") from None
    except Exception as error:
        raise ImageError(
            f"{name}: {format} cannot hold this picture ({reason(error)}); choose another --format"
        ) from None
    if len(durations) != count:
        raise ValueError(f"{name}: {len(durations)} pictures for {count} frames")
    return provenance.marked(format, data, extra)
