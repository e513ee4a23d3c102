import io
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from conftest import saved, scene, tiff
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from colorcli.color.lab import gray_to_L, rgb_to_lab
from colorcli.color.levels import to_depth
from colorcli.imaging import reading, writing
from colorcli.imaging.tags import metadata
from colorcli.system.errors import ImageError, UsageError

DEEP = np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16)
VEIL = np.random.default_rng(1).integers(0, 65536, (40, 50)).astype(np.uint16)
needs_heif = {"heic": "pillow_heif"}


@pytest.fixture(params=writing.FORMATS)
def format(request):
    if request.param in needs_heif:
        pytest.importorskip(needs_heif[request.param])
    return request.param


def encoded(rgb: np.ndarray, format: str, alpha=None, **options) -> bytes:
    picture = reading.Picture(rgb[..., 0], alpha=alpha)
    return writing.encode([(rgb, picture)], reading.Document("png", [picture]), format, **options)


def colours(data: bytes) -> reading.Picture:
    return reading.decode(data, keep_color=True).frames[0]


def test_going_back_in_an_animation_of_palettes_keeps_its_colours():
    frames = [Image.fromarray(scene(i)).quantize(16) for i in range(3)]
    palette = frames[0].getpalette()
    for frame in frames[1:]:
        frame.putpalette(palette)
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    pictures = reading.decode(data, keep_color=True).frames
    for i in (0, 2, 0, 1):
        wanted = np.asarray(frames[i].convert("RGB"))
        assert np.array_equal(pictures[i].rgb, wanted), i


def copied(document: reading.Document, format: str, **options) -> bytes:
    return writing.encode([(p.rgb, p) for p in document.frames], document, format, **options)


# --- round trips -------------------------------------------------------------------------------


def test_every_format_is_written_and_read_back(format):
    rgb = scene(0)
    document = reading.decode(encoded(rgb, format), keep_color=True)
    assert document.format == format and document.size == (96, 80) and len(document.frames) == 1
    assert np.abs(document.frames[0].rgb.astype(int) - rgb).mean() < 3
    assert document.frames[0].depth == 8 and document.frames[0].alpha is None


def test_sixteen_bits_stay_sixteen_where_the_format_holds_them(format):
    picture = colours(encoded(DEEP, format))
    if 16 in writing.FORMATS[format].depths:
        assert picture.depth == 16 and np.array_equal(picture.rgb, DEEP)
    else:
        assert picture.depth == 8
        assert encoded(DEEP, format) == encoded(to_depth(DEEP, np.dtype(np.uint8)), format)


@pytest.mark.parametrize("depth", [8, 16])
def test_alpha_is_kept_at_its_depth_or_laid_over_white(format, depth):
    rgb, alpha = (
        (DEEP, VEIL) if depth == 16 else (to_depth(a, np.dtype(np.uint8)) for a in (DEEP, VEIL))
    )
    record = writing.FORMATS[format]
    picture = colours(encoded(rgb, format, alpha))
    if record.alpha and depth in record.depths and format != "gif":
        assert picture.alpha.dtype == rgb.dtype
        assert np.abs(picture.alpha.astype(int) - alpha).max() <= (0 if depth == 16 else 6)
    elif record.alpha:
        assert picture.alpha is not None and picture.alpha.dtype == np.uint8
    else:
        assert picture.alpha is None
        clear = encoded(rgb, format, np.zeros_like(alpha))
        assert colours(clear).gray.min() >= np.iinfo(colours(clear).gray.dtype).max * 0.99


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 30000), (30000, 1), (66000, 1)])
def test_tiny_and_thin_pictures_are_written_or_refused_in_one_line(format, shape):
    rgb = np.broadcast_to(np.uint8([10, 120, 200]), (*shape, 3)).copy()
    side = writing.FORMATS[format].side
    if side and max(shape) > side:
        with pytest.raises(ImageError, match=f"{format} holds {side} a side; choose --format"):
            encoded(rgb, format)
    else:
        assert colours(encoded(rgb, format)).gray.shape == shape


# --- depths and layouts ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_is_read(mode, no_press):
    image = Image.fromarray(scene(1))
    image = (
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        if mode == "I;16"
        else image.convert(mode)
    )
    picture = colours(saved(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert picture.gray.shape == (80, 96)
    assert (picture.alpha is not None) == (mode in ("RGBA", "LA"))
    assert picture.depth == (16 if mode == "I;16" else 8)
    assert (picture.rgb is None) == (mode in ("1", "L", "LA", "I;16"))


def test_gray_has_the_lightness_of_each_colour():
    picture = colours(saved(Image.fromarray(scene(2)), "PNG"))
    wanted = rgb_to_lab(scene(2) / 255.0)[..., 0]
    assert np.abs(gray_to_L(picture.gray) - wanted).max() < 0.02


def test_a_little_colour_at_the_bottom_changes_no_gray_above_it():
    rgb = np.repeat(scene(3, 1500, 1500)[..., :1], 3, axis=2)
    plain = colours(saved(Image.fromarray(rgb), "PNG", compress_level=1))
    assert plain.gray.dtype == np.uint8 and plain.rgb is None
    rgb[-1, -1] = 255, 0, 0
    spotted = colours(saved(Image.fromarray(rgb), "PNG", compress_level=1))
    assert spotted.gray.dtype == np.uint16 and np.array_equal(spotted.rgb, rgb)
    error = np.abs(spotted.gray / 65535 - rgb[..., 0] / 255)[:-1].max()
    assert error < 1e-4 and spotted.depth == 8


def test_colours_are_left_out_unless_asked_for():
    data = saved(Image.fromarray(scene(1)), "PNG")
    assert reading.decode(data).frames[0].rgb is None


def raw_png(samples: np.ndarray, colour: int, extra: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    if extra:
        extra = chunk(b"tRNS", extra)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def test_png_of_sixteen_bits_in_every_layout():
    gray = DEEP[..., 0]
    assert np.array_equal(colours(raw_png(gray, 0)).gray, gray)
    assert np.array_equal(colours(raw_png(DEEP, 2)).rgb, DEEP)
    both = colours(raw_png(np.dstack([gray, VEIL]), 4))
    assert np.array_equal(both.gray, gray) and np.array_equal(both.alpha, VEIL)
    both = colours(raw_png(np.dstack([DEEP, VEIL]), 6))
    assert np.array_equal(both.rgb, DEEP) and np.array_equal(both.alpha, VEIL)
    keyed = colours(raw_png(DEEP, 2, struct.pack(">3H", *DEEP[3, 4])))
    assert keyed.alpha[3, 4] == 0 and np.count_nonzero(keyed.alpha == 0) == 1
    keyed = colours(raw_png(gray, 0, struct.pack(">H", gray[3, 4])))
    assert np.array_equal(keyed.alpha == 0, gray == gray[3, 4])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("clear", [False, True])
def test_png_of_few_bits_and_palettes(bits, clear):
    image = Image.fromarray(scene(4)).quantize(2**bits)
    options = {"transparency": 1} if clear else {}
    picture = colours(saved(image, "PNG", bits=bits, **options))
    assert np.array_equal(picture.rgb, np.asarray(image.convert("RGB")))
    if clear:
        assert np.array_equal(picture.alpha == 0, np.asarray(image) == 1)


def test_interlaced_png_is_read():
    # Adam7 of a 2 x 1 picture: pass 1 holds the first pixel, pass 6 the second.
    rows = b"\0\x0a" + b"\0\xc8"

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 1))
    data += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert colours(data).gray.tolist() == [[10, 200]]


GRAY = DEEP[..., 0]
TIFFS = {
    "gray": (tiff(GRAY), GRAY),
    "big-endian": (tiff(GRAY, byteorder=">"), GRAY),
    "white is zero": (tiff(GRAY, photometric="miniswhite"), 65535 - GRAY),
    "deflate": (tiff(DEEP, photometric="rgb", compression="zlib", predictor=True), DEEP),
    "raw": (tiff(DEEP, photometric="rgb"), DEEP),
    "planes": (tiff(np.moveaxis(DEEP, -1, 0).copy(), photometric="rgb", planarconfig="separate"), DEEP),
    "tiles": (tiff(DEEP, photometric="rgb", tile=(16, 16)), DEEP),
    "LZW": (cv2.imencode(".tif", DEEP[..., ::-1].copy(), [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes(), DEEP),
    "gray LZW": (cv2.imencode(".tif", GRAY.copy(), [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes(), GRAY),
    "float": (tiff((GRAY / 65535).astype(np.float32)), GRAY),
    "float colour": (tiff(DEEP / 65535, photometric="rgb"), DEEP),
    "32 bits": (tiff(GRAY * np.uint32(65537)), GRAY),
}  # fmt: skip


@pytest.mark.parametrize("kind", TIFFS)
def test_tiff_of_sixteen_bits_in_every_layout(kind):
    data, wanted = TIFFS[kind]
    picture = colours(data)
    assert picture.depth == 16
    assert np.array_equal(picture.rgb if wanted.ndim == 3 else picture.gray, wanted)


def test_tiff_alpha_and_inks_of_sixteen_bits(no_press):
    plain = colours(tiff(np.dstack([DEEP, VEIL]), photometric="rgb", extrasamples=["unassalpha"]))
    assert np.array_equal(plain.rgb, DEEP) and np.array_equal(plain.alpha, VEIL)
    under = (DEEP * (VEIL[..., None] / 65535)).astype(np.uint16)
    shown = colours(tiff(np.dstack([under, VEIL]), photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(shown.rgb.astype(int) - DEEP)[VEIL > 30000].max() < 5
    two = colours(tiff(np.dstack([GRAY, VEIL]), photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]))  # fmt: skip
    assert np.array_equal(two.gray, GRAY) and np.array_equal(two.alpha, VEIL)
    inks = colours(tiff(np.dstack([DEEP, VEIL]), photometric="separated"))
    wanted = (65535.0 - DEEP) * (65535.0 - VEIL[..., None]) / 65535
    assert np.abs(inks.rgb - wanted).max() <= 1 and inks.depth == 16


@pytest.mark.parametrize(
    ("pixels", "word"),
    [
        (np.full((5, 5), 3.5, np.float32), "floating-point samples from 3.5 to 3.5"),
        (
            np.full((5, 5), np.nan, np.float32),
            "floating-point samples of which some are no numbers",
        ),
        (np.full((5, 5), -1, np.int32), "signed 32-bit samples from -1 to -1"),
        (np.full((5, 5), 70000, np.int32), "signed 32-bit samples from 70000 to 70000"),
    ],
)
def test_samples_of_unknown_scale_are_refused(pixels, word):
    with pytest.raises(ImageError, match=word):
        reading.decode(tiff(pixels), "scan.tif")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4"])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK"])
def test_tiff_of_eight_bits_in_every_compression(compression, mode, no_press):
    if (compression == "group4") != (mode == "1") or (compression == "jpeg" and mode == "CMYK"):
        pytest.skip("no such TIFF")
    image = Image.fromarray(scene(5)).convert(mode)
    picture = colours(saved(image, "TIFF", compression=compression))
    wanted = np.asarray(image.convert("RGB" if mode == "CMYK" else mode if mode != "1" else "L"))
    found = picture.gray if wanted.ndim == 2 else picture.rgb
    assert np.abs(found.astype(int) - wanted).mean() < (6 if compression == "jpeg" else 0.01)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"P5\n# scanned\n50 40\n65535\n" + GRAY.astype(">u2").tobytes(), GRAY),
        (b"P6 50 40 65535\n" + DEEP.astype(">u2").tobytes(), DEEP),
        (b"P6 50 40 # twelve bits\n 4095\n" + (DEEP >> 4).astype(">u2").tobytes(), np.rint((DEEP >> 4) * (65535 / 4095))),
        (b"P3 50 40 65535\n" + b" ".join(b"%d" % v for v in DEEP.ravel()), DEEP),
        (b"Pf 50 40 -1.0\n" + (GRAY[::-1] / 65535).astype("<f4").tobytes(), GRAY),
        (b"PF 50 40 1.0\n" + (DEEP[::-1] / 65535).astype(">f4").tobytes(), DEEP),
    ],
)  # fmt: skip
def test_netpbm_of_sixteen_bits_and_floats(data, wanted):
    picture = colours(data)
    assert picture.depth == 16
    assert np.array_equal(picture.rgb if wanted.ndim == 3 else picture.gray, wanted)
    assert reading.decode(data).format == "ppm"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_every_kind(mode, options, no_press):
    image = Image.fromarray(scene(6)).convert(mode)
    picture = colours(saved(image, "JPEG", quality=95, **options))
    wanted = np.asarray(image.convert("L" if mode == "L" else "RGB"))
    found = picture.gray if mode == "L" else picture.rgb
    assert np.abs(found.astype(int) - wanted).mean() < 8
    assert (picture.rgb is None) == (mode == "L")


# --- pages and animations ----------------------------------------------------------------------


def pages(count: int = 3) -> list[np.ndarray]:
    return [np.roll(DEEP, 7 * i, 0)[: 40 - 5 * i] for i in range(count)]


def test_every_page_of_a_tiff_is_kept_with_its_depth_and_size():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in pages():
            writer.write(page, photometric="rgb", metadata=None)
    document = reading.decode(buffer.getvalue(), keep_color=True)
    assert len(document.frames) == 3
    again = reading.decode(copied(document, "tiff"), keep_color=True)
    for page, picture in zip(pages(), again.frames, strict=True):
        assert np.array_equal(picture.rgb, page)
    with pytest.raises(ImageError, match="3 pages, and jpeg holds one picture; choose .*tiff"):
        copied(document, "jpeg")


def test_thumbnails_in_a_tiff_are_no_pages():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(scene(0), photometric="rgb", metadata=None)
        writer.write(scene(0)[::4, ::4], photometric="rgb", metadata=None, subfiletype=1)
    assert len(reading.decode(buffer.getvalue()).frames) == 1


MOVING = ("GIF", "PNG", "WEBP", "AVIF")


@pytest.mark.parametrize("source", MOVING)
@pytest.mark.parametrize("target", ["gif", "png", "webp", "avif", "tiff"])
def test_every_frame_of_an_animation_is_kept(source, target):
    frames = [Image.fromarray(scene(i)) for i in range(4)]
    times = [50, 100, 150, 200]
    data = saved(frames[0], source, save_all=True, append_images=frames[1:], duration=times, loop=3)
    document = reading.decode(data, keep_color=True)
    assert [p.duration for p in document.frames] == times
    again = reading.decode(copied(document, target), keep_color=True)
    assert len(again.frames) == 4
    if target != "tiff":
        assert [p.duration for p in again.frames] == times
    if source != "AVIF" and target not in ("avif", "tiff"):
        assert again.extra["loop"] == 3
    for i, picture in enumerate(again.frames):
        assert np.abs(picture.rgb.astype(int) - scene(i)).mean() < 6
    for one in ("jpeg", "bmp", "ppm", "jp2"):
        with pytest.raises(ImageError, match="^-: 4 frames, and .* choose --format from: .*gif"):
            copied(document, one)


def test_clear_parts_of_an_animation_stay_clear():
    frames = [
        Image.fromarray(np.dstack([scene(i), np.full((80, 96), 255, np.uint8)])) for i in range(3)
    ]
    for i, frame in enumerate(frames):
        frame.paste((0, 0, 0, 0), (10 * i, 0, 10 * i + 20, 80))
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    document = reading.decode(data, keep_color=True)
    for target in ("gif", "png", "webp"):
        again = reading.decode(copied(document, target), keep_color=True)
        for i, picture in enumerate(again.frames):
            assert np.array_equal(picture.alpha > 127, np.asarray(frames[i])[..., 3] > 127), target


def test_frames_are_decoded_one_at_a_time_and_in_any_order():
    frames = [Image.fromarray(scene(i)).convert("L") for i in range(3)]
    document = reading.decode(saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    for i in (2, 0, 1, -1):
        assert np.array_equal(document.frames[i].gray, np.asarray(frames[i]))
    assert document.frames[1] is document.frames[1]
    assert len(document.frames[1:]) == 2
    with pytest.raises(IndexError):
        document.frames[3]


def test_a_phones_jpeg_with_previews_is_one_photograph():
    frames = [Image.fromarray(scene(i)) for i in range(2)]
    document = reading.decode(saved(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert document.format == "jpeg" and len(document.frames) == 1


def test_many_pixels_are_refused_before_they_are_decoded():
    image = Image.fromarray(scene(0)).convert("P")
    with pytest.raises(ImageError, match="--max-megapixels"):
        reading.decode(saved(image, "PNG"), max_pixels=100)
    moving = saved(image, "GIF", save_all=True, append_images=[Image.fromarray(scene(1))] * 9)
    assert len(reading.decode(moving, max_pixels=80_000).frames) > 1
    with pytest.raises(ImageError, match="--max-megapixels"):
        reading.decode(moving, max_pixels=10_000)


# --- metadata ----------------------------------------------------------------------------------

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6" '
    b'dc:title="kept"/></rdf:RDF></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x78\x00\x05hello"


def photograph() -> bytes:
    """A camera's JPEG on its side: EXIF with GPS and a thumbnail, XMP, IPTC, DPI, a comment."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a caption"
    exif[ExifTags.IFD.Exif] = {
        0xA001: 65535, 0xA002: 96, 0xA003: 80, 0x9003: "1931:05:17 10:00:00",
        0x829A: IFDRational(1, 100),
    }  # fmt: skip
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (IFDRational(1), IFDRational(2), IFDRational(3))}
    return saved(
        Image.fromarray(scene(2)), "JPEG", exif=exif, dpi=(300, 300), xmp=XMP, comment=b"note",
        extra=metadata.jpeg_segment(IPTC),
    )  # fmt: skip


# What Pillow can write of each, and so what must be there.
KEPT = {
    "jpeg": {"exif", "xmp", "iptc", "dpi", "comment", "icc"},
    "png": {"exif", "xmp", "dpi", "icc"},
    "tiff": {"exif", "xmp", "iptc", "dpi", "icc"},
    "webp": {"exif", "xmp", "icc"},
    "avif": {"exif", "xmp", "icc"},
    "heic": {"exif", "xmp", "icc"},
    "gif": {"comment"},
    "bmp": {"dpi"},
}


@pytest.mark.parametrize("depth", [8, 16])
def test_metadata_is_kept_and_made_true(format, depth):
    document = reading.decode(photograph(), keep_color=True)
    assert document.size == (80, 96)
    picture = document.frames[0]
    rgb = to_depth(picture.rgb, np.dtype(f"u{depth // 8}"))
    kept = KEPT.get(format, set())
    data = writing.encode([(rgb, picture)], document, format)
    out = Image.open(io.BytesIO(data))
    out.load()
    assert out.size == (80, 96) and (("icc_profile" in out.info) == ("icc" in kept))
    exif = out.getexif()
    assert exif.get(0x0112, 1) == 1
    if "exif" in kept:
        assert exif[0x010E] == "a caption"
        details = exif.get_ifd(ExifTags.IFD.Exif)
        assert details[0x9003] == "1931:05:17 10:00:00" and float(details[0x829A]) == 0.01
        assert (details[0xA001], details[0xA002], details[0xA003]) == (1, 80, 96)
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (1.0, 2.0, 3.0)
        assert not exif.get_ifd(ExifTags.IFD.IFD1)
    again = reading.decode(data).extra
    assert set(again) - {"text"} == kept - {"icc"}
    if "xmp" in kept:
        assert again["xmp"] == XMP.replace(b'"6"', b'"1"')
    if "iptc" in kept:
        assert again["iptc"] == IPTC
    if "dpi" in kept:
        assert again["dpi"] == pytest.approx((300, 300), abs=0.01)
    bare = writing.encode([(rgb, picture)], document, format, strip=True)
    assert set(reading.decode(bare).extra) <= ({"dpi"} if format == "bmp" else set())
    assert ("icc_profile" in Image.open(io.BytesIO(bare)).info) == ("icc" in kept)


@pytest.mark.parametrize("target", KEPT)
@pytest.mark.parametrize("source", ["tiff", "png", "webp", "avif"])
def test_metadata_travels_between_formats(source, target):
    if target == "heic":
        pytest.importorskip("pillow_heif")
    first = reading.decode(
        copied(reading.decode(photograph(), keep_color=True), source), keep_color=True
    )
    second = reading.decode(copied(first, target), keep_color=True)
    # Pillow writes some resolution into every JPEG with EXIF and every BMP.
    some = {"dpi"} if target in ("jpeg", "bmp") else set()
    assert set(second.extra) | some == (KEPT[source] & KEPT[target] - {"icc"}) | some


def test_a_tiffs_layout_is_not_taken_for_its_exif():
    data = saved(Image.fromarray(scene(1)), "TIFF", compression="tiff_lzw", description="scan 7")
    document = reading.decode(data, keep_color=True)
    exif = Image.open(io.BytesIO(copied(document, "jpeg"))).getexif()
    assert dict(exif) == {0x010E: "scan 7", 0x0112: 1}


def test_png_text_is_kept():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "Grandmother, \u00e9t\u00e9 1931")
    document = reading.decode(
        saved(Image.fromarray(scene(1)), "PNG", pnginfo=info), keep_color=True
    )
    for depth in ("u1", "u2"):
        rgb = to_depth(document.frames[0].rgb, np.dtype(depth))
        out = writing.encode([(rgb, document.frames[0])], document, "png")
        assert Image.open(io.BytesIO(out)).text["Title"] == "Grandmother, \u00e9t\u00e9 1931"


def test_metadata_too_long_for_jpeg_costs_only_itself():
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    data = saved(Image.fromarray(scene(1)), "PNG", exif=exif)
    document = reading.decode(data, keep_color=True)
    again = reading.decode(copied(document, "jpeg"))
    assert again.size == (96, 80) and "exif" not in again.extra


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("container", ["PNG", "TIFF"])
def test_every_orientation_is_applied_once(orientation, depth, container):
    rgb = scene(6)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.asarray(
        ImageOps.exif_transpose(
            Image.open(io.BytesIO(saved(Image.fromarray(rgb), "PNG", exif=exif)))
        )
    )
    if depth == 8:
        data = saved(Image.fromarray(rgb), container, exif=exif)
    elif container == "TIFF":
        data = tiff(rgb.astype(np.uint16) * 257, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])  # fmt: skip
    else:
        document = reading.Document("png", [reading.Picture(rgb[..., 0])])
        data = writing.encode([(rgb.astype(np.uint16) * 257, document.frames[0])], document, "png")
        chunk = exif.tobytes().removeprefix(b"Exif\0\0")
        body = b"eXIf" + chunk
        data = (
            data[:33]
            + struct.pack(">I", len(chunk))
            + body
            + struct.pack(">I", zlib.crc32(body))
            + data[33:]
        )
    found = reading.decode(data, keep_color=True)
    assert np.array_equal(to_depth(found.frames[0].rgb, np.dtype(np.uint8)), upright)
    if "exif" in found.extra:
        out = Image.Exif()
        out.load(found.extra["exif"])
        assert out[0x0112] == 1


# --- messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty file"),
        (b"hello, this is text", "not a picture"),
        (saved(Image.fromarray(scene(4)), "JPEG")[:900], "damaged"),
        (saved(Image.fromarray(scene(4)), "PNG")[:2000], "damaged"),
    ],
)
def test_bad_bytes_are_one_line_with_the_name(data, word):
    with pytest.raises(ImageError, match=word) as caught:
        reading.decode(data, "scan.jpg")
    assert str(caught.value).startswith("scan.jpg: ") and "\n" not in str(caught.value)


def test_unknown_suffix_names_the_known():
    with pytest.raises(UsageError, match=r"\.png"):
        writing.format_of("a.xyz")


def test_heic_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"^a.heic: .*pip install 'colorcli\[heic\]'"):
        reading.decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "a.heic")
    with pytest.raises(UsageError, match=r"pip install 'colorcli\[heic\]'"):
        encoded(scene(0), "heic")


def test_a_missing_file_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        reading.read(tmp_path / "gone.png")


def test_sixteen_to_eight_bits_rounds_to_the_nearest():
    every = np.arange(65536, dtype=np.uint16)
    eight = to_depth(every, np.dtype(np.uint8)).ravel()
    assert np.array_equal(eight, (every.astype(int) + 128) // 257)
    assert np.array_equal(to_depth(eight, np.dtype(np.uint16)).ravel(), eight * np.uint16(257))
