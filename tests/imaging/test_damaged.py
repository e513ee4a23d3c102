"""Some 500 damaged, odd and hostile files: each is one line with its name, or a whole picture."""

import gc
import io
import struct
import sys
import time
import zlib

import numpy as np
import pytest
import tifffile
from conftest import saved, scene, tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from colorcli.imaging import reading, writing
from colorcli.imaging.jpeg import luma
from colorcli.imaging.tags import icc
from colorcli.system.errors import ImageError

LIMIT = 10**7  # pixels; far under what the hostile headers claim


def _whole() -> dict[str, bytes]:
    rgb = scene(0, 48, 40)
    image = Image.fromarray(rgb)
    deep = rgb.astype(np.uint16) * 257 + 5
    moving = [Image.fromarray(scene(i, 48, 40)) for i in range(3)]
    many = {"save_all": True, "append_images": moving[1:], "duration": 50}
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a caption", 6
    written = reading.Picture(rgb[..., 0])
    document = reading.Document("png", [written])

    def ours(pixels: np.ndarray, format: str) -> bytes:
        return writing.encode([(pixels, written)], document, format)

    return {
        "jpeg": saved(image, "JPEG", exif=exif, icc_profile=icc.srgb_profile()),
        "jpeg gray": saved(image.convert("L"), "JPEG"),
        "jpeg progressive": saved(image, "JPEG", progressive=True),
        "jpeg cmyk": saved(image.convert("CMYK"), "JPEG"),
        "png": saved(image, "PNG", exif=exif, icc_profile=icc.srgb_profile()),
        "png palette": saved(image.convert("P"), "PNG"),
        "png 16": ours(deep, "png"),
        "png 16 gray": saved(Image.fromarray(deep[..., 0]), "PNG"),
        "apng": saved(moving[0], "PNG", **many),
        "tiff": saved(image, "TIFF", compression="tiff_lzw"),
        "tiff raw": saved(image, "TIFF"),
        "tiff jpeg": saved(image, "TIFF", compression="jpeg"),
        "tiff 16": tiff(deep, photometric="rgb", compression="zlib"),
        "tiff 16 raw": tiff(deep, photometric="rgb"),
        "tiff pages": saved(moving[0], "TIFF", **many),
        "tiff float": tiff(rgb[..., 0].astype(np.float32) / 255),
        "webp": saved(image, "WEBP"),
        "webp lossless": saved(image, "WEBP", lossless=True),
        "webp moving": saved(moving[0], "WEBP", **many),
        "avif": saved(image, "AVIF"),
        "avif moving": saved(moving[0], "AVIF", **many),
        "bmp": saved(image, "BMP"),
        "gif": saved(image, "GIF"),
        "gif moving": saved(moving[0], "GIF", **many),
        "jp2": saved(image, "JPEG2000"),
        "jp2 16": ours(deep, "jp2"),
        "ppm": saved(image, "PPM"),
        "ppm 16": ours(deep, "ppm"),
        "pgm plain": b"P2 4 3 255 " + b" ".join(b"%d" % (20 * v) for v in range(11)) + b" 9\n",
        "pfm": b"Pf\n48 40\n-1.0\n" + (rgb[..., 0] / 255).astype("<f4").tobytes(),
    }


WHOLE = _whole()


def frames(data: bytes, name: str = "odd") -> list[reading.Picture]:
    return [*reading.decode(data, name, max_pixels=LIMIT).frames]


def attempt(data: bytes) -> list[reading.Picture] | None:
    """All frames, or None after an error that is one line beginning with the name."""
    start = time.process_time()
    try:
        found = frames(data, "odd file")
    except ImageError as error:
        message = str(error)
        assert message.startswith("odd file: ") and "\n" not in message and len(message) < 300
        assert message.count("odd file") == 1
        found = None
    assert time.process_time() - start < 10
    by_luma = kept_luma(data)
    if by_luma is not None:  # what goes from JPEG to JPEG by its luma is judged no less strictly
        assert found is not None and len(found) == 1
        assert by_luma.size == found[0].gray.shape[::-1]
    return found


def kept_luma(data: bytes) -> luma.Source | None:
    """What ``predict`` takes of a JPEG that shall become one, None where it asks other readers."""
    header = reading.peek(data)
    if header is None or header.pixels > LIMIT or not luma.may_stay(header):
        return None
    return luma.source(data)


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_are_read(kind):
    assert frames(WHOLE[kind])[0].gray.size >= 12
    by_luma = kept_luma(WHOLE[kind])
    assert (by_luma is not None) == (kind in ("jpeg", "jpeg gray", "jpeg progressive"))


def test_what_is_refused_is_let_go():
    half = WHOLE["jpeg"][: len(WHOLE["jpeg"]) // 2]
    gc.disable()  # a folder of damaged files would fill the memory until it looks
    try:
        before = sys.getrefcount(half)
        assert attempt(half) is None
        assert sys.getrefcount(half) == before
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_truncated_file_is_an_error_or_lacks_nothing(kind):
    data = WHOLE[kind]
    wanted = frames(data)
    cuts = {0, 1, 2, 3, 7, 8, 11, 16, 24, 33, len(data) - 1, len(data) - 2, len(data) - 12}
    cuts |= {int(len(data) * share) for share in (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)}
    for cut in sorted(c for c in cuts if 0 <= c < len(data)):
        found = attempt(data[:cut])
        if found is not None:  # only what stands behind the pixels was lost
            assert len(found) == len(wanted), cut
            for one, other in zip(found, wanted, strict=True):
                assert np.array_equal(one.gray, other.gray), cut


@pytest.mark.parametrize("kind", WHOLE)
def test_flipped_bits_are_an_error_or_a_picture(kind):
    random = np.random.default_rng(sum(kind.encode()))
    for i in range(12):
        data = bytearray(WHOLE[kind])
        # Half of them in the first part, where headers are.
        end = len(data) if i % 2 else min(len(data), 200)
        for at in random.integers(0, end, 1 + i % 3):
            data[at] ^= 1 << int(random.integers(8))
        for picture in attempt(bytes(data)) or []:
            assert picture.gray.ndim == 2 and picture.gray.size > 0
            assert picture.alpha is None or picture.alpha.shape == picture.gray.shape


@settings(max_examples=150, derandomize=True)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_any_damage(kind, data):
    damaged = bytearray(WHOLE[kind])
    edits = st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255))
    for at, value in data.draw(st.lists(edits, min_size=1, max_size=6)):
        damaged[at] = value
    attempt(bytes(damaged))


@settings(max_examples=60, derandomize=True)
@given(st.sampled_from(sorted(WHOLE)), st.binary(max_size=200))
def test_any_bytes_after_a_true_beginning(kind, tail):
    attempt(WHOLE[kind][:16] + tail)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int, height: int, depth: int = 8, colour: int = 0, body: bytes = b"\0" * 50
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + idat + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + info + bytes(46)


def ifd(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def layout(width: int, height: int, bits: int = 8, **more: int) -> list[tuple]:
    return [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1),
        (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, more.get("samples", 1)),
        (278, 4, 1, height), (279, 4, 1, more.get("bytes", min(width * height, 2**32 - 1))),
    ]  # fmt: skip


def raw_tiff(width: int, height: int, bits: int = 8, following: int = 0, **more: int) -> bytes:
    return b"II*\0\x08\0\0\0" + ifd(layout(width, height, bits, **more), following)


def jpeg(width: int, height: int) -> bytes:
    data = bytearray(WHOLE["jpeg gray"])
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def gif(width: int, height: int, count: int, trailer: bytes = b";") -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    loop = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    frame = b"!\xf9\x04\0\x01\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + loop + frame * count + trailer


def ihdr(kind: str, width: int, height: int) -> bytes:
    data = bytearray(WHOLE[kind])
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def siz(width: int, height: int) -> bytes:
    data = bytearray(WHOLE["jp2"])
    at = data.index(b"ihdr") + 4
    data[at : at + 8] = struct.pack(">II", height, width)
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


BAD = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"this is a letter, not a photograph\n" * 20,
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "zip": b"PK\x03\x04" + bytes(200),
    "pdf": b"%PDF-1.7\n" + bytes(200),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "psd": b"8BPS\0\1" + bytes(200),
    "raw camera": b"FUJIFILMCCD-RAW " + bytes(200),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "elf": b"\x7fELF" + bytes(200),
    "png of no width": png(0, 10),
    "png of no height": png(10, 0),
    "png of no size": png(0, 0),
    "png too wide": png(2**31 - 1, 1),
    "png absurd": png(2**31 - 1, 2**31 - 1),
    "png over the limit": png(40000, 40000),
    "png of negative size": png(2**32 - 1, 5),
    "png bomb": png(60000, 60000, body=bytes(10**6)),
    "png inflating past its size": png(2000, 2000, body=bytes(100)),
    "png of depth 3": png(5, 5, depth=3),
    "png of colour 9": png(5, 5, colour=9),
    "png 16 without pixels": png(5, 5, 16, 2, b""),
    "png 16 short": png(50, 50, 16, 2, bytes(100)),
    "png 16 absurd": png(2**31 - 1, 2**20, 16, 6),
    "png without data": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""),
    "png text bomb": png(5, 5)[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))) + png(5, 5, body=b"")[33:],
    "png palette without one": png(5, 5, 8, 3),
    "png chunk too long": png(5, 5)[:33] + b"\x7f\xff\xff\xffIDAT" + bytes(30),
    "bmp of no width": bmp(0, 10),
    "bmp of no height": bmp(10, 0),
    "bmp absurd": bmp(2**31 - 1, 2**31 - 1),
    "bmp of negative size": bmp(-5, 5),
    "bmp over the limit": bmp(30000, -30000),
    "bmp short": bmp(100, 100),
    "bmp header only": b"BM" + bytes(12),
    "tiff of no width": raw_tiff(0, 5),
    "tiff of no height": raw_tiff(5, 0),
    "tiff absurd": raw_tiff(2**32 - 1, 2**32 - 1),
    "tiff over the limit": raw_tiff(100_000, 100_000),
    "tiff short": raw_tiff(500, 500),
    "tiff 16 short": raw_tiff(500, 500, 16),
    "tiff 16 rgb short": raw_tiff(500, 500, 16, samples=3),
    "tiff 64 bit": raw_tiff(5, 5, 64),
    "tiff of 65535 samples": raw_tiff(5, 5, 8, samples=65535),
    "tiff 16 of 50000 samples": raw_tiff(5, 5, 16, samples=50_000, bytes=50),
    "tiff 16 of bytes it lacks": raw_tiff(5, 5, 16, samples=3, bytes=2**31),
    "tiff of strips without bytes": raw_tiff(5, 5, 16, samples=3, bytes=0),
    "tiff 16 absurd": raw_tiff(2**31, 2**31, 16, samples=3),
    "tiff without tags": b"II*\0\x08\0\0\0" + ifd([]),
    "tiff directory nowhere": b"II*\0\xff\xff\xff\x7f",
    "tiff directory in its header": b"II*\0\0\0\0\0",
    "big tiff absurd": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63),
    "jpeg of no width": jpeg(0, 40),
    "jpeg of no height": jpeg(48, 0),
    "jpeg over the limit": jpeg(65500, 65500),
    "jpeg taller than its data": jpeg(48, 4000),
    "jpeg of two bytes": b"\xff\xd8",
    "jpeg of markers only": b"\xff\xd8\xff\xd9",
    "jpeg of endless markers": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 50_000,
    "jpeg without tables": b"\xff\xd8" + WHOLE["jpeg gray"][WHOLE["jpeg gray"].index(b"\xff\xc0") :],
    "jpeg with its tail zeroed": WHOLE["jpeg"][:-400] + bytes(400),
    "gif absurd": gif(65535, 65535, 1),
    "gif endless": gif(100, 100, 200_000),
    "gif of frames over the limit": gif(2000, 2000, 9),
    "gif without frames": gif(5, 5, 0),
    "gif of a strange block": gif(5, 5, 0, trailer=b"\x99;"),
    "ppm of no width": b"P6 0 5 255\n" + bytes(50),
    "ppm absurd": b"P6 999999999 999999999 255\n" + bytes(50),
    "ppm of negative size": b"P6 -5 5 255\n" + bytes(75),
    "ppm of maximum 0": b"P6 5 5 0\n" + bytes(75),
    "ppm of maximum 99999": b"P6 5 5 99999\n" + bytes(150),
    "ppm of words": b"P6 five five 255\n" + bytes(75),
    "ppm short": b"P6 50 50 255\n" + bytes(75),
    "ppm 16 short": b"P6 50 50 65535\n" + bytes(75),
    "ppm 16 absurd": b"P6 99999999 99999999 65535\n" + bytes(75),
    "ppm 16 over its maximum": b"P6 2 2 1000\n" + b"\xff" * 24,
    "ppm plain of words": b"P3 2 2 1000\n1 2 3 four 5 6 7 8 9 10 11 12",
    "ppm plain short": b"P3 2 2 1000\n1 2 3",
    "ppm of endless comment": b"P6 #" + b"x" * 200_000,
    "pgm plain of words": b"P2 2 2 255\n1 2 x 4",
    "pfm of no size": b"Pf 0 0 -1.0\n",
    "pfm absurd": b"PF 999999999 999999999 -1.0\n" + bytes(100),
    "pfm short": b"PF 50 50 -1.0\n" + bytes(100),
    "pfm of numbers that are none": b"Pf 2 2 -1.0\n" + np.full(4, np.nan, "<f4").tobytes(),
    "pfm out of range": b"Pf 2 2 -1.0\n" + np.full(4, 900, "<f4").tobytes(),
    "webp absurd": WHOLE["webp lossless"][:21] + b"\xff\xff\xff\x0f" + WHOLE["webp lossless"][25:],
    "webp header only": b"RIFF\x20\0\0\0WEBPVP8 " + bytes(20),
    "avif over the limit": ihdr("avif", 60000, 60000),
    "avif of no width": ihdr("avif", 0, 40),
    "avif header only": b"\0\0\0\x1cftypavif" + bytes(20),
    "heic header only": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "jp2 of no width": siz(0, 40),
    "jp2 over the limit": siz(2**31 - 1, 2**31 - 1),
    "jp2 larger than its data": siz(2000, 2000),
    "jp2 header only": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "j2k header only": b"\xff\x4f\xff\x51" + bytes(60),
}  # fmt: skip

HARMLESS = {
    "apng of frames it lacks": png(5, 5)[:33]
    + chunk(b"acTL", struct.pack(">II", 9, 0))
    + png(5, 5)[33:],
    "tiff of 3 bits": raw_tiff(5, 5, 3),
    "apng of four billion frames": png(5, 5)[:33]
    + chunk(b"acTL", struct.pack(">II", 2**32 - 1, 0))
    + png(5, 5)[33:],
    "tiff looping at once": raw_tiff(40, 2, following=8),
    "tiff of a huge tag": b"II*\0\x08\0\0\0" + ifd([*layout(5, 5), (270, 2, 2**32 - 1, 8)]),
    "gif of no size": gif(0, 0, 1),
    "jpeg of mid-gray": saved(Image.new("L", (64, 64), 128), "JPEG"),
    "jpeg that ends in mid-gray": saved(
        Image.fromarray(np.vstack([scene(0)[..., 0], np.full((40, 96), 128, np.uint8)])), "JPEG"
    ),
    "cmyk jpeg of mid-gray": saved(Image.new("CMYK", (64, 64), (128, 128, 128, 128)), "JPEG"),
    "bytes behind a jpeg": WHOLE["jpeg"] + bytes(5000),
    "bytes behind a png": WHOLE["png"] + b"garbage" * 99,
    "bytes behind a gif": WHOLE["gif"] + b"garbage" * 99,
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_odd_but_whole_is_read(kind):
    found = attempt(HARMLESS[kind])
    assert found is not None and len(found) == 1


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_whole_picture_is_refused(kind):
    assert attempt(BAD[kind]) is None


def icon(kind: str, picture: bytes) -> bytes:
    """An icon of one picture, which its table calls small."""
    if kind == "ico":
        entry = struct.pack("<BBBBHHII", 48, 40, 0, 0, 1, 32, len(picture), 22)
        return struct.pack("<HHH", 0, 1, 1) + entry + picture
    entry = b"ic07" + struct.pack(">I", 8 + len(picture)) + picture
    return b"icns" + struct.pack(">I", 8 + len(entry)) + entry


@pytest.mark.parametrize("kind", ["ico", "icns"])
@pytest.mark.parametrize("picture", [png(4000, 4000), siz(4000, 4000)], ids=["png", "jp2"])
def test_what_an_icon_holds_is_held_to_the_limit_too(kind, picture):
    with pytest.raises(ImageError, match="16 megapixels is over the limit"):
        reading.decode(icon(kind, picture), max_pixels=LIMIT)


def exif_of(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + ifd(list(entries), following)


BROKEN_EXIF = {
    "no EXIF": b"Exif\0\0nonsense",
    "empty": b"",
    "cut": b"Exif\0\0II*\0",
    "directory nowhere": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "looping": exif_of((274, 3, 1, 1), following=8),
    "orientation 77": exif_of((274, 3, 1, 77)),
    "orientation of text": exif_of((274, 2, 4, 0x616161)),
    "orientation of millions": exif_of((274, 3, 2**31, 8)),
    "EXIF in itself": exif_of((274, 3, 1, 1), (34665, 4, 1, 8)),
    "GPS in itself": exif_of((274, 3, 1, 1), (34853, 4, 1, 8)),
    "EXIF nowhere": exif_of((34665, 4, 1, 2**32 - 1)),
    "unknown types": exif_of((274, 99, 1, 6), (305, 77, 3, 8)),
    "rational over zero": exif_of((282, 5, 1, 8)),
}


@pytest.mark.parametrize("kind", BROKEN_EXIF)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_never_loses_the_picture(kind, format):
    image = Image.fromarray(scene(1, 48, 40))
    options = {"lossless": True} if format == "WEBP" else {}
    plain = reading.decode(saved(image, format, **options)).frames[0].gray
    data = saved(image, format, exif=BROKEN_EXIF[kind], **options)
    document = reading.decode(data, "odd")
    assert np.array_equal(document.frames[0].gray, plain)
    rgb = np.dstack([plain >> 8] * 3).astype(np.uint8)
    for out in ("jpeg", "png", "tiff", "webp"):
        again = reading.decode(writing.encode([(rgb, document.frames[0])], document, out))
        assert again.size == (48, 40)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".gif", ".txt", ""])
@pytest.mark.parametrize("kind", ["png 16", "jpeg", "webp", "tiff", "ppm 16"])
def test_a_wrong_suffix_does_not_matter(tmp_path, kind, suffix):
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(WHOLE[kind])
    assert reading.read(path).gray.shape in ((40, 48), (48, 40))


@pytest.mark.parametrize("frames", [1, 3])
def test_a_gif_without_its_end_mark_is_whole(frames):
    random = np.random.default_rng(7)
    pages = [Image.fromarray(random.integers(0, 255, (20, 30), np.uint8)) for _ in range(frames)]
    whole = saved(pages[0], "GIF", save_all=True, append_images=pages[1:])
    assert whole[-1:] == b";"
    document, expected = reading.decode(whole[:-1], "a.gif"), reading.decode(whole, "a.gif")
    assert len(document.frames) == frames
    assert document.frames[0].notes == ("its end mark is missing: all that is in it was read",)
    for page, other in zip(document.frames, expected.frames, strict=True):
        assert np.array_equal(page.gray, other.gray)
    for cut in (2, 40):  # into the last frame
        with pytest.raises(ImageError, match="truncated"):
            reading.decode(whole[:-cut], "a.gif")


def cut_pages(big: bool, order: str, page: int) -> bytes:
    """Three pages whose file ends where the directory of ``page`` should begin."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=order) as written:
        for i in range(3):
            written.write(scene(i, 48, 40), photometric="rgb")
    data = file.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as whole:
        return data[: whole.pages[page].offset]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_pages_that_were_cut_off_are_told(big, order):
    for page in (1, 2):
        frames = reading.decode(cut_pages(big, order, page)).frames
        lost = f"what follows its page {page} is beyond its end and was left out"
        assert len(frames) == page and frames[0].notes == (lost,)
    assert reading.decode(WHOLE["tiff pages"]).frames[0].notes == ()


def test_a_tiff_whose_directories_go_in_circles_has_lost_no_page():
    assert reading.decode(HARMLESS["tiff looping at once"]).frames[0].notes == ()
