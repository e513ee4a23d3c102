"""Small pictures of every odd kind of file that photographs come in, each with its true colours."""

import io
import struct
import zlib
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import tifffile
from conftest import saved, scene, tiff
from PIL import Image

from colorcli.imaging import reading
from colorcli.imaging.tags.icc import srgb_profile

WIDTH, HEIGHT = 50, 37  # no multiple of a tile or of eight
RGB = scene(3, WIDTH, HEIGHT)
GRAY = RGB[..., 1].copy()


@dataclass(frozen=True)
class Odd:
    """A file, what its colours are (H, W) or (H, W, 3) in 0…1, and how well they are kept."""

    data: bytes
    wanted: np.ndarray
    tolerance: float = 0.004  # of 0…1, mean
    depth: int = 8
    needs: tuple[str, ...] = field(default=())
    vips: bool = True  # libvips, where it opens it, reads it as it is meant


def shares(pixels: np.ndarray) -> np.ndarray:
    return pixels / np.iinfo(pixels.dtype).max


def stepped(pixels: np.ndarray, bits: int) -> np.ndarray:
    """0…255 as whole numbers of ``bits`` bits."""
    return np.rint(shares(pixels) * (2**bits - 1)).astype(np.uint64)


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of samples side by side, bit by bit, each row from a new byte on."""
    rows = values.reshape(len(values), -1).astype(">u8")
    ones = np.unpackbits(rows.view(np.uint8).reshape(*rows.shape, 8), axis=2)[..., 64 - bits :]
    return np.packbits(ones.reshape(len(rows), -1), axis=1).tobytes()


def tiff_by_hand(
    parts: list[bytes], bits: int, samples: int, photometric: int, *more: tuple[int, int, list[int]]
) -> bytes:
    """A big-endian TIFF whose strips are ``parts``: one, or one for each plane."""
    start, body = 8, b"".join(parts)
    offsets = [start + sum(map(len, parts[:i])) for i in range(len(parts))]
    tags = [
        (256, 4, [WIDTH]), (257, 4, [HEIGHT]), (258, 3, [bits] * samples), (259, 3, [1]),
        (262, 3, [photometric]), (273, 4, offsets), (277, 3, [samples]), (278, 4, [HEIGHT]),
        (279, 4, [len(part) for part in parts]), (284, 3, [1 if len(parts) == 1 else 2]), *more,
    ]  # fmt: skip
    at = start + len(body) + len(body) % 2
    tags = list({tag[0]: tag for tag in tags}.values())  # the later of two counts
    directory, tail = struct.pack(">H", len(tags)), b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, kind, values in sorted(tags):
        value = struct.pack(f">{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(value) > 4:
            tail, value = tail + value, struct.pack(">I", behind + len(tail))
        directory += struct.pack(">HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    head = b"MM\0*" + struct.pack(">I", at) + body + b"\0" * (len(body) % 2)
    return head + directory + bytes(4) + tail


def of_depth(bits: int, layout: str) -> Odd:
    pixels = GRAY if layout == "gray" else RGB
    values = stepped(pixels, bits)
    if layout == "planar":
        parts = [packed(values[..., i], bits) for i in range(3)]
    else:
        parts = [packed(values, bits)]
    data = tiff_by_hand(parts, bits, 1 if layout == "gray" else 3, 1 if layout == "gray" else 2)
    depth = 8 if bits <= 8 else 16
    return Odd(
        data, values / (2**bits - 1), depth=depth, needs=("imagecodecs",), vips=bits in (2, 4)
    )


def of_palette(bits: int) -> Odd:
    count = min(2**bits, 256)
    indexed = Image.fromarray(RGB).quantize(count)
    table = np.zeros((3, 2**bits), int)
    colours = np.array(indexed.getpalette()).reshape(-1, 3)[:count]
    step = 2**bits // 256 if bits > 8 else 1  # all of 16 bits are used
    table[:, : step * len(colours) : step] = colours.T * 257
    index = np.asarray(indexed).astype(np.uint64) * step
    data = tiff_by_hand([packed(index, bits)], bits, 1, 3, (320, 3, table.ravel().tolist()))
    depth = 16 if bits > 8 else 8
    return Odd(
        data, shares(np.asarray(indexed.convert("RGB"))), depth=depth, needs=("imagecodecs",)
    )


def of_lab(bits: int, icc: bool) -> Odd:
    from skimage.color import rgb2lab

    lab = rgb2lab(RGB)
    full = (255 if bits == 8 else 65280 if icc else 65535) / 100
    ab = lab[..., 1:] * 2 ** (bits - 8)
    ab = np.rint(ab + 2 ** (bits - 1) if icc else ab).astype(np.int64)
    light = np.rint(lab[..., :1] * full).astype(np.int64)
    pixels = np.concatenate([light, ab], axis=2).astype(f"u{bits // 8}")
    data = tiff(pixels, photometric="icclab" if icc else "cielab")
    return Odd(data, shares(RGB), 0.01, depth=bits, vips=not icc)


def ycbcr(compression: str) -> Odd:
    """Planes of Y, Cb and Cr, as full as each other."""
    pixels = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    number, encode = {
        "none": (1, bytes), "zlib": (8, zlib.compress), "lzw": (5, partial(by_codec, "lzw")),
    }[compression]  # fmt: skip
    parts = [encode(pixels[..., i].tobytes()) for i in range(3)]
    data = tiff_by_hand(parts, 8, 3, 6, (259, 3, [number]), (530, 3, [1, 1]))
    needs = CODECS if compression == "lzw" else ()
    # libvips 8.18 takes such planes for RGB, and rows of one for rows of another.
    return Odd(data, shares(RGB), 0.01, needs=needs, vips=False)


def bmp(
    header: int, bits: int, masks: tuple[int, ...], values: np.ndarray, extra: bytes = b""
) -> bytes:
    """A bitmap of a header of so many bytes; ``values`` (H, W) are what its pixels hold."""
    compression = 3 if masks else 0
    info = struct.pack("<IiiHHI", header, WIDTH, HEIGHT, 1, bits, compression).ljust(40, b"\0")
    info += struct.pack(f"<{len(masks)}I", *masks)
    info = info[:16] if header == 16 else info.ljust(max(header, len(info)), b"\0")
    if bits < 16:
        body = packed(values[::-1], bits)
        line = len(body) // HEIGHT
        rows = [body[i : i + line] for i in range(0, len(body), line)]
    else:
        rows = [row.astype(f"<u{bits // 8}").tobytes() for row in values[::-1]]
    body = b"".join(row + bytes(-len(row) % 4) for row in rows)
    start = 14 + len(info) + len(extra)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + extra + body


def bitfields(bits: int, widths: tuple[int, ...], header: int = 56) -> Odd:
    """RGB(A) in fields of so many bits, from the highest down to the lowest."""
    planes = [*np.moveaxis(RGB, -1, 0), np.full_like(GRAY, 255)]
    at, masks, values = sum(widths), [], np.zeros((HEIGHT, WIDTH), np.uint64)
    wanted = []
    for plane, width in zip(planes, widths, strict=False):
        at -= width
        masks.append((2**width - 1) << at)
        steps = stepped(plane, width)
        values |= steps << np.uint64(at)
        wanted.append(steps / (2**width - 1))
    masks += [0] * (4 - len(masks))
    return Odd(bmp(header, bits, tuple(masks), values), np.dstack(wanted[:3]), 0.005)


def os2(header: int) -> Odd:
    table = np.zeros((256, 4), np.uint8)
    table[:, :3] = np.arange(256)[:, None]
    return Odd(bmp(header, 8, (), GRAY, table.tobytes()), shares(GRAY))


def dib() -> Odd:
    values = RGB.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    return Odd(bmp(40, 32, (), values)[14:], shares(RGB))


def run_lengths(bits: int) -> bytes:
    """A bitmap of runs, of pixels one by one, and of a leap to the last row."""
    full = 2**bits - 1
    values = GRAY if bits == 8 else GRAY >> 4
    table = np.zeros((2**bits, 4), np.uint8)
    table[:, :3] = np.rint(np.arange(2**bits) * 255 / full)[:, None]
    body = b""
    for row in values[::-1]:
        literal, rest = row[:9], row[9:]
        nibbles = np.append(literal, [0, 0, 0]) if bits == 4 else np.append(literal, 0)
        raw = nibbles.astype(np.uint8)
        raw = (raw[::2] << 4) | raw[1::2] if bits == 4 else raw
        body += b"\0\x09" + raw[: 6 if bits == 4 else 10].tobytes()
        for value in rest:
            body += bytes([1, value << 4 if bits == 4 else value])
        body += b"\0\0"
    body += b"\0\1"
    info = struct.pack("<IiiHHI", 40, WIDTH, HEIGHT, 1, bits, 1 if bits == 8 else 2).ljust(
        40, b"\0"
    )
    start = 54 + table.nbytes
    head = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start)
    return head + info + table.tobytes() + body


def colour_runs() -> bytes:
    """A bitmap of OS/2's run lengths of whole pixels, as the first of an array of bitmaps."""
    body = b""
    for row in RGB[::-1, :, ::-1]:
        body += b"\0\x09" + row[:9].tobytes() + b"\0"  # 27 bytes, made even
        for value in row[9:]:
            body += b"\1" + value.tobytes()
        body += b"\0\0"
    body += b"\0\1"
    info = struct.pack("<IiiHHI", 64, WIDTH, HEIGHT, 1, 24, 4).ljust(64, b"\0")
    start = 14 + 14 + len(info)
    array = b"BA" + struct.pack("<IIHH", 40, 0, 0, 0)
    return array + b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + body


def targa(pixels: np.ndarray, corner: int) -> bytes:
    """Runs of a hundred pixels and of single ones, whatever the rows; ``corner``: bits of the layout."""
    turned = pixels[:: -1 if not corner & 0x20 else 1, :: -1 if corner & 0x10 else 1]
    flat = turned.reshape(WIDTH * HEIGHT, -1)[:, ::-1]
    body = b""
    for at in range(0, len(flat), 100):
        part = flat[at : at + 100]
        if (part == part[0]).all():
            body += bytes([0x80 | len(part) - 1]) + part[0].tobytes()
        else:
            body += bytes([len(part) - 1]) + part.tobytes()
    step = flat.shape[1]
    head = struct.pack(
        "<BBB5x4xHHBB", 0, 0, 10 if step == 3 else 11, WIDTH, HEIGHT, 8 * step, corner
    )
    return head + body


BANDS = np.repeat(np.uint8([[40], [90], [200]]), (10, 15, 12), axis=0).repeat(WIDTH, axis=1)


def pcx(index: np.ndarray, bits: int, planes: int, colours: bytes, version: int = 5) -> bytes:
    """Bytes one by one, the high ones as runs of one."""
    line = (WIDTH * bits + 15) // 16 * 2
    rows = []
    for row in index:
        for plane in range(planes):
            values = (row >> (plane * bits) & (2**bits - 1)).astype(np.uint64)
            rows.append(packed(values[None], bits).ljust(line, b"\0"))
    body = b"".join(
        bytes([0xC1, byte]) if byte >= 0xC0 else bytes([byte]) for byte in b"".join(rows)
    )
    head = struct.pack(
        "<BBBB6H", 10, version, 1, bits, 0, 0, WIDTH - 1, HEIGHT - 1, 72, 72
    ) + colours.ljust(48, b"\0")
    return (head + struct.pack("<BBHH", 0, planes, line, 1)).ljust(128, b"\0") + body


SIXTEEN = np.arange(16)[:, None] * np.uint8([17, 13, 9])


def of_pcx(bits: int, planes: int) -> Odd:
    index = GRAY >> (8 - bits * planes)
    colours = SIXTEEN.astype(np.uint8)
    return Odd(pcx(index, bits, planes, colours.tobytes()), shares(colours[index]))


def of_cga() -> Odd:
    """Dark blue, light green, light red and yellow, as the palette's first and fourth byte say."""
    four = np.uint8([[0, 0, 170], [85, 255, 85], [255, 85, 85], [255, 255, 85]])
    index = np.argsort(GRAY.ravel()).argsort().reshape(GRAY.shape) * 4 // GRAY.size
    return Odd(pcx(index, 2, 1, bytes([0x13, 0x13, 0x13, 0xA4])), shares(four[index]))


def of_cinema() -> Odd:
    """A JPEG 2000 of X'Y'Z' that a projector would show as the picture."""
    light = (
        FLOATS
        / 3
        @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    )
    values = np.rint((light * 48 / 52.37) ** (1 / 2.6) * 4095).astype(np.uint16)
    data = by_codec("jpeg2k", values, level=0, bitspersample=12, codecformat="J2K", mct=False)
    at = data.index(b"\xff\x4f\xff\x51") + 6
    data = data[:at] + struct.pack(">H", 3) + data[at + 2 :]
    return Odd(data, shares(RGB), 0.01, depth=16, needs=CODECS, vips=False)


def turned_jp2() -> bytes:
    """A JPEG 2000 whose components are Cr, Cb, Y, as its channel definitions say."""
    luma = np.asarray(Image.fromarray(RGB).convert("YCbCr"))[..., ::-1]
    data = saved(Image.fromarray(np.ascontiguousarray(luma)), "JPEG2000", mct=0, num_resolutions=3)
    at = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, at)
    head = data[at + 4 : at + size].replace(struct.pack(">I", 16), struct.pack(">I", 18))
    cdef = struct.pack(">I4sH9H", 28, b"cdef", 3, 0, 0, 3, 1, 0, 2, 2, 0, 1)
    return data[:at] + struct.pack(">I", size + 28) + head + cdef + data[at + size :]


def numbered_jp2() -> bytes:
    """A JPEG 2000 of numbers of colours, some of which are the same, in the order G, B, R."""
    indexed = Image.fromarray(RGB).quantize(100)
    table = np.zeros((256, 3), np.uint8)
    table[100:200] = np.array(indexed.getpalette()).reshape(-1, 3)[:100]
    numbers = np.asarray(indexed) + np.uint8(100)
    data = saved(Image.fromarray(numbers), "JPEG2000", irreversible=False, num_resolutions=3)
    at = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, at)
    head = data[at + 4 : at + size].replace(struct.pack(">I", 17), struct.pack(">I", 16))
    body = struct.pack(">H4B", 256, 3, 7, 7, 7) + table[:, [1, 2, 0]].tobytes()
    boxes = struct.pack(">I4s", 8 + len(body), b"pclr") + body
    boxes += struct.pack(">I4s", 20, b"cmap") + bytes([0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 2])
    boxes += struct.pack(">I4sH9H", 28, b"cdef", 3, 0, 0, 2, 1, 0, 3, 2, 0, 1)
    return data[:at] + struct.pack(">I", size + len(boxes)) + head + boxes + data[at + size :]


JPEG = saved(Image.fromarray(RGB), "JPEG", quality=95, subsampling=0)


def multi_picture() -> bytes:
    """An MPO whose second picture is cut off."""
    second = Image.fromarray(RGB[::-1].copy())
    whole = saved(Image.fromarray(RGB), "MPO", save_all=True, append_images=[second], quality=95)
    return whole[: whole.index(b"\xff\xd9") + 2]


def still() -> bytes:
    """A PNG whose animation skips a number."""
    frames = [Image.fromarray(scene(i, WIDTH, HEIGHT)) for i in (3, 4, 5)]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    at = data.index(b"fdAT")
    (length,) = struct.unpack(">I", data[at - 4 : at])
    body = struct.pack(">I", 77) + data[at + 8 : at + 4 + length]
    check = struct.pack(">I", zlib.crc32(b"fdAT" + body))
    return data[:at] + b"fdAT" + body + check + data[at + 8 + length :]


def psd(mode: int, planes: np.ndarray, packbits: bool = False) -> bytes:
    """A Photoshop document of channels (C, H, W) and no layers."""
    bits = 8 * planes.dtype.itemsize
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(planes), HEIGHT, WIDTH, bits, mode)
    rows = [row.astype(planes.dtype.newbyteorder(">")).tobytes() for p in planes for row in p]
    if packbits:  # each row as one literal run
        rows = [bytes([len(row) - 1]) + row for row in rows]
    sizes = struct.pack(f">{len(rows)}H", *map(len, rows)) if packbits else b""
    return head + bytes(12) + struct.pack(">H", packbits) + sizes + b"".join(rows)


def pfm(pixels: np.ndarray) -> bytes:
    return b"Pf\n%d %d\n-1.0\n" % (WIDTH, HEIGHT) + pixels[::-1].astype("<f4").tobytes()


def by_codec(name: str, pixels: np.ndarray, **options) -> bytes:
    import imagecodecs

    return bytes(getattr(imagecodecs, f"{name}_encode")(pixels, **options))


TWELVE = stepped(GRAY, 12).astype(np.uint16)
CODECS = ("imagecodecs",)
# Light of three times the range that is shown, and what is shown of it: luminance up to white stays.
FLOATS = 3 * np.where(
    shares(RGB) > 0.04045, ((shares(RGB) + 0.055) / 1.055) ** 2.4, shares(RGB) / 12.92
)


def shown(light: np.ndarray) -> np.ndarray:
    """sRGB in 0…1 of one pixel's linear light, by small steps towards gray."""
    gray = min(1.0, float(light @ [0.2126, 0.7152, 0.0722]))
    steps = gray + (light - gray) * np.linspace(1, 0, 2001)[:, None]
    inside = ((steps >= -1e-9) & (steps <= 1 + 1e-9)).all(axis=1)
    steps = steps[inside.argmax()].clip(0, 1)
    return np.where(steps > 0.0031308, 1.055 * steps ** (1 / 2.4) - 0.055, 12.92 * steps)


LIGHT = np.apply_along_axis(shown, 2, FLOATS)


def bright() -> bytes:
    return tiff(FLOATS.astype(np.float32), photometric="rgb")


def with_sun() -> Odd:
    """A pixel two hundred times as bright as white must not darken the others."""
    light, wanted = FLOATS.astype(np.float32), LIGHT.copy()
    light[3, 5], wanted[3, 5] = 200, 1
    return Odd(tiff(light, photometric="rgb"), wanted, depth=16, vips=False)


def beyond_profile() -> Odd:
    """Encoded as the profile says, though brighter than white in places."""
    encoded = shares(RGB).astype(np.float32) * 1.2
    data = tiff(encoded, photometric="rgb", iccprofile=srgb_profile())
    return Odd(data, encoded.clip(0, 1), 0.01, depth=16, vips=False)


def floating_inks() -> Odd:
    """A press's inks as shares of 1, seen as those of 16 bits are."""
    inks = np.asarray(Image.fromarray(RGB).convert("CMYK"))
    deep = reading.decode(tiff(inks * np.uint16(257), photometric="separated"), keep_color=True)
    data = tiff((inks / 255).astype(np.float32), photometric="separated")
    rgb = deep.frames[0].rgb
    return Odd(data, rgb / 65535, 0.01, depth=16, vips=False)


def radiance() -> bytes:
    """By hand, without run lengths: a common exponent for each pixel."""
    mantissa, exponent = np.frexp(FLOATS.max(-1))
    scale = mantissa * 256 / np.maximum(FLOATS.max(-1), 1e-30)
    pixels = np.dstack([FLOATS * scale[..., None], exponent + 128.0]).clip(0, 255).astype(np.uint8)
    head = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {HEIGHT} +X {WIDTH}\n"
    return head.encode() + pixels.tobytes()


def pam(pixels: np.ndarray, kind: str) -> bytes:
    height, width, depth = pixels.shape
    peak = 255 if pixels.dtype.itemsize == 1 else 65535
    lines = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {peak}\nTUPLTYPE {kind}\n"
    return (lines + "ENDHDR\n").encode() + pixels.tobytes()


FILES = {
    **{
        f"tiff {bits} bits {layout}": partial(of_depth, bits, layout)
        for bits in (2, 4, 6, 10, 12, 14, 24, 32)
        for layout in ("gray", "rgb", "planar")
    },
    **{f"tiff palette {bits} bits": partial(of_palette, bits) for bits in (2, 4, 6, 8, 16)},
    **{
        f"tiff {'icc' if icc else 'cie'}lab {bits} bits": partial(of_lab, bits, icc)
        for bits in (8, 16)
        for icc in (False, True)
    },
    **{f"tiff planar ycbcr {c}": partial(ycbcr, c) for c in ("none", "lzw", "zlib")},
    "tiff 12 bits by differences": lambda: Odd(
        tiff_by_hand(
            [packed(np.diff(TWELVE.astype(int), axis=1, prepend=0) % 4096, 12)], 12, 1, 1,
            (317, 3, [2]),
        ),
        TWELVE / 4095, depth=16, needs=CODECS,
    ),
    "tiff whole range": lambda: Odd(
        tiff((GRAY.astype(np.uint32) << 24) + 0xABCDEF), (GRAY + 0.67) / 256, depth=16, vips=False
    ),
    "tiff lzw predictor 3": lambda: Odd(
        tiff(shares(GRAY).astype(np.float32), compression="lzw", predictor=3), shares(GRAY),
        depth=16, needs=CODECS, vips=False,
    ),
    "tiff tiles at the edge": lambda: Odd(
        tiff(GRAY, tile=(16, 16), compression="lzw"), shares(GRAY), needs=CODECS
    ),
    "tiff one-bit tiles at the edge": lambda: Odd(
        tiff(GRAY > 128, tile=(16, 16), photometric="minisblack"), (GRAY > 128).astype(float)
    ),
    "tiff webp": lambda: Odd(
        tiff(RGB, photometric="rgb", compression="webp", compressionargs={"level": -1}), shares(RGB), 0.03, needs=CODECS
    ),
    "tiff signed, range declared": lambda: Odd(
        tiff(
            (GRAY.astype(int) - 128).astype(np.int8),
            extratags=[(340, 6, 1, -128, True), (341, 6, 1, 127, True)],
        ),
        shares(GRAY), vips=False,
    ),
    "tiff signed": lambda: Odd(  # libvips cuts off what is below 0
        tiff((GRAY.astype(int) - 128).astype(np.int8)), shares(GRAY), vips=False
    ),
    "tiff signed of 16 bits": lambda: Odd(
        tiff(((GRAY.astype(int) - 128) * 256).astype(np.int16)), GRAY / 256, depth=16, vips=False
    ),
    "tiff signed by its name only": lambda: Odd(
        tiff(GRAY.view(np.int8)), shares(GRAY), vips=False
    ),
    "tiff of 16 bits signed by its name only": lambda: Odd(
        tiff((GRAY.astype(np.uint16) * 257).view(np.int16)), shares(GRAY), depth=16, vips=False
    ),
    "tiff of light": lambda: Odd(bright(), LIGHT, depth=16),
    "tiff of light with a sun": with_sun,
    "tiff of floats beyond their profile": beyond_profile,
    "tiff of floating inks": floating_inks,
    "psd of light": lambda: Odd(
        psd(3, np.moveaxis(FLOATS.astype(np.float32), -1, 0)), LIGHT, depth=16, vips=False
    ),
    "psd of gray light": lambda: Odd(
        psd(1, (FLOATS[None, ..., 1] / 3).astype(np.float32)), shares(RGB[..., 1]), depth=16, vips=False
    ),
    "jpeg xr of light": lambda: Odd(
        by_codec("jpegxr", FLOATS.astype(np.float32), level=100), LIGHT, 0.02, depth=16, needs=CODECS
    ),
    "radiance hdr": lambda: Odd(radiance(), LIGHT, 0.01, depth=16),
    "jpeg xr": lambda: Odd(by_codec("jpegxr", RGB, level=100), shares(RGB), 0.01, needs=CODECS),
    "gif with something behind it": lambda: Odd(
        saved(Image.fromarray(GRAY), "GIF")[:-1] + b"garbage", shares(GRAY), vips=False
    ),
    "pam of colours and alpha": lambda: Odd(pam(np.dstack([RGB, GRAY]), "RGB_ALPHA"), shares(RGB)),
    "pam of 16 bits": lambda: Odd(
        pam(RGB.astype(">u2") * 257, "RGB"), shares(RGB), depth=16, vips=False
    ),
    "tiff float of 1 to 255": lambda: Odd(tiff(GRAY.astype(np.float32)), shares(GRAY), depth=16),
    "pfm of 1 to 255": lambda: Odd(pfm(GRAY), shares(GRAY), depth=16),
    "bmp 4-4-4": lambda: bitfields(16, (4, 4, 4)),
    "bmp 2-3-1": lambda: bitfields(16, (2, 3, 1)),
    "bmp 4-4-4-4": lambda: bitfields(16, (4, 4, 4, 4)),
    "bmp 11-11-10": lambda: bitfields(32, (11, 11, 10), header=108),
    "bmp 8-8-8-8": lambda: bitfields(32, (8, 8, 8, 8), header=124),
    "bmp of OS/2, short": lambda: os2(16),
    "bmp of OS/2, long": lambda: os2(64),
    "dib": dib,
    "jpeg, empty JFIF": lambda: Odd(
        JPEG[:2] + b"\xff\xe0\0\2" + JPEG[2 + 2 + 16 :], shares(RGB), 0.02
    ),
    "jpeg, bytes before segments": lambda: Odd(
        JPEG[:2] + bytes(5) + JPEG[2:], shares(RGB), 0.02
    ),
    "mpo without its second": lambda: Odd(multi_picture(), shares(RGB), 0.05),
    "jpeg-ls": lambda: Odd(by_codec("jpegls", GRAY), shares(GRAY), needs=CODECS),
    "jpeg-ls of 16 bits": lambda: Odd(
        by_codec("jpegls", TWELVE * 16), TWELVE / 4095, depth=16, needs=CODECS
    ),
    "lossless jpeg": lambda: Odd(
        by_codec("ljpeg", stepped(GRAY, 14).astype(np.uint16), bitspersample=14), shares(GRAY),
        depth=16, needs=CODECS,
    ),
    "png of a broken animation": lambda: Odd(still(), shares(RGB)),
    "png of a broken text": lambda: Odd(
        (d := saved(Image.fromarray(RGB), "PNG"))[:33]
        + struct.pack(">I4s", 9, b"iCCP") + b"name\0\7abc" + bytes(4) + d[33:], shares(RGB),
    ),
    "psd gray": lambda: Odd(psd(1, GRAY[None]), shares(GRAY)),
    "psd packed": lambda: Odd(psd(3, np.moveaxis(RGB, -1, 0), packbits=True), shares(RGB)),
    "psd 16 bits": lambda: Odd(
        psd(3, np.moveaxis(RGB.astype(np.uint16) * 257, -1, 0)), shares(RGB), depth=16
    ),
    **{
        f"{name.lower()} of Pillow": lambda name=name, mode=mode: Odd(
            saved(Image.fromarray(RGB).convert(mode), name, **({"sizes": [(WIDTH, HEIGHT)]} if name == "ICO" else {})),
            shares(RGB if mode == "RGB" else np.asarray(Image.fromarray(RGB).convert("L"))),
        )
        for name, mode in (("TGA", "RGB"), ("TGA", "L"), ("SGI", "RGB"), ("PCX", "RGB"), ("ICO", "RGB"))
    },
    **{
        f"jpeg 2000 of {bits} bits": lambda bits=bits: Odd(
            by_codec(
                "jpeg2k", stepped(RGB, bits).astype(np.uint16), level=0, bitspersample=bits
            ),
            shares(RGB), depth=16, needs=CODECS,
        )
        for bits in (10, 12, 16)
    },
    "jpeg 2000 of Y, Cb, Cr the other way round": lambda: Odd(turned_jp2(), shares(RGB), 0.02),
    "jpeg 2000 of a palette": lambda: Odd(numbered_jp2(), shares(RGB), 0.03),
    "bmp of run lengths": lambda: Odd(run_lengths(8), shares(GRAY)),
    "bmp of short run lengths": lambda: Odd(run_lengths(4), (GRAY >> 4) / 15, 0.005),
    "bmp of colour run lengths, in an array": lambda: Odd(colour_runs(), shares(RGB)),
    **{
        f"targa of runs across rows from corner {corner >> 4}": lambda corner=corner: Odd(
            targa(BANDS[..., None], corner), shares(BANDS)
        )
        for corner in (0, 0x10, 0x20, 0x30)
    },
    "targa with a palette that it does not use": lambda: Odd(
        b"\0\1\2" + struct.pack("<HHB", 0, 4, 24) + targa(RGB, 0x20)[8:18] + bytes(12)
        + np.ascontiguousarray(RGB[..., ::-1]).tobytes(), shares(RGB),
    ),
    "targa of colours across rows": lambda: Odd(targa(RGB, 0x20), shares(RGB)),
    **{
        f"pcx of {planes} planes of {bits} bits": partial(of_pcx, bits, planes)
        for bits, planes in ((1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (4, 1))
    },
    "pcx of CGA": of_cga,
    **{
        f"{name.lower()} of Pillow": lambda name=name: Odd(
            saved(Image.fromarray(RGB), name), shares(RGB), vips=False
        )
        for name in ("DDS", "QOI")
    },
    "xbm of Pillow": lambda: Odd(
        saved(Image.fromarray(GRAY > 128), "XBM"), (GRAY > 128).astype(float), vips=False
    ),
    "jpeg 2000 of a cinema": of_cinema,
    "jpeg xl": lambda: Odd(by_codec("jpegxl", RGB, lossless=True), shares(RGB), needs=("imagecodecs", "pillow_jxl")),
}  # fmt: skip

REFUSED = {
    "floats that are all beyond white": (
        lambda: tiff(shares(RGB).astype(np.float32) * 900 + 9, photometric="rgb"),
        r"samples from \S+ to \S+; scale them to 0…1 first",
    ),
    "inks far beyond their range": (
        lambda: tiff(shares(np.dstack([RGB, GRAY])).astype(np.float32) * 9 + 2, photometric="separated"),
        "scale them to 0…1 first",
    ),
    "a psd of no numbers": (
        lambda: psd(1, np.full((1, HEIGHT, WIDTH), np.nan, np.float32)), "are no numbers",
    ),
    "tiff of signed 32 bits": (lambda: tiff(np.full((5, 5), -7, np.int32)), "signed 32-bit"),
    "floats of no known range": (lambda: tiff(shares(GRAY).astype(np.float32) * 5), r"to \S+; scale them to 0…1 first, as by: magick"),
    "openexr": (lambda: b"v/1\x01" + bytes(60), "EXR files are not read; save it as TIFF"),
    "a page": (lambda: b"%PDF-1.7\n", "PDF files are not read; save it as TIFF"),
    "pcx of an odd depth": (lambda: pcx(GRAY, 4, 3, b""), "PCX of 3 planes of 4 bits"),
    "a targa that ends": (lambda: targa(RGB, 0)[:-200], "truncated"),
    "a pcx that ends": (lambda: pcx(GRAY >> 4, 4, 1, b"")[:-200], "truncated"),
    "a bitmap of runs that ends": (lambda: colour_runs()[:-200], "truncated"),
    **{
        f"{name}, by its name": (partial(bytes, head), f"odd: {name} files are not read; save it as TIFF")
        for name, head in {
            "EMF": b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(40),
            "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
            "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
            "GIMP": b"gimp xcf file\0" + bytes(40),
            "FLIF": b"FLIF44" + bytes(40),
            "BPG": b"BPG\xfb" + bytes(40),
            "XPM 2": b"! XPM2\n2 2 2 1\n",
            "OS/2 icon": b"CI" + bytes(12) + b"\x0c\0\0\0" + bytes(40),
            "DICOM": bytes(128) + b"DICM" + bytes(40),
            "Photo CD": bytes(2048) + b"PCD_IPI" + bytes(40),
            "PICT": bytes(522) + b"\0\x11\2\xff\x0c\0" + bytes(40),
        }.items()
    },
    "an array of OS/2 icons": (
        lambda: b"BA" + bytes(12) + b"IC" + bytes(12) + b"\x0c\0\0\0" + bytes(40), "odd: OS/2 icon files"
    ),
    "an older PICT": (lambda: bytes(522) + b"\x11\1" + bytes(40), "odd: PICT files are not read"),
    "dds of a layout that Pillow has not": (
        lambda: b"DDS " + struct.pack("<7I", 124, 0x1007, 4, 4, 0, 0, 0) + bytes(44)
        + struct.pack("<2I4s5I", 32, 4, b"DX10", 0, 0, 0, 0, 0) + bytes(20) + struct.pack("<5I", 91, 3, 0, 1, 0)
        + bytes(99),
        r"not read \(Unimplemented DXGI format 91\); save it as TIFF, PNG or JPEG",
    ),
    "nothing known": (lambda: b"%!nothing\n", "not a picture that can be read"),
}  # fmt: skip

assert tifffile and io
