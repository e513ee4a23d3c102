"""Profiles are built here byte by byte, and every conversion is checked against Little CMS."""

import io
import struct

import numpy as np
import pytest
from conftest import scene
from PIL import Image, ImageCms

from colorcli.imaging import reading
from colorcli.imaging.tags import icc

D50 = (0.9642, 1.0, 0.8249)
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + fixed(*values)


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(value * 256), 0)


def table(values: np.ndarray) -> bytes:
    return (
        b"curv\0\0\0\0"
        + struct.pack(">I", len(values))
        + np.rint(values * 65535).astype(">u2").tobytes()
    )


def parametric(kind: int, *values: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*values)


def text(value: str) -> bytes:
    encoded = value.encode("utf-16-be")
    return (
        b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
    )


def profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ", kind=b"scnr") -> bytes:
    tags = {b"desc": text("made by a test"), b"cprt": text("none"), b"wtpt": xyz(*D50)} | tags
    entries, body, at = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        entries += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    size = 132 + len(entries) + len(body)
    header = struct.pack(">I4xI4s4s4s", size, 0x04200000, kind, space, pcs)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


def matrix(curve: bytes, columns=ADOBE) -> bytes:
    tags = {
        name + b"XYZ": xyz(*column)
        for name, column in zip((b"r", b"g", b"b"), columns, strict=True)
    }
    return profile(
        b"RGB ", tags | {name + b"TRC": curve for name in (b"r", b"g", b"b")}, kind=b"mntr"
    )


def lut(space: bytes, corner, points: int = 9) -> bytes:
    """A table profile (mft2): ``corner`` gives Lab of device coordinates in 0…1."""
    channels = 4 if space == b"CMYK" else 3
    axis = np.linspace(0, 1, points)
    nodes = np.stack(np.meshgrid(*[axis] * channels, indexing="ij"), axis=-1).reshape(-1, channels)
    lab = corner(nodes)
    # ICC.1:2022, 6.3.4.2: the legacy 16-bit Lab of mft2
    words = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=-1)
    words = np.clip(np.rint(words), 0, 65535).astype(">u2").tobytes()
    ramp = struct.pack(">HH", 0, 65535)
    data = b"mft2\0\0\0\0" + bytes([channels, 3, points, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    data += struct.pack(">HH", 2, 2) + ramp * channels + words + ramp * 3
    return profile(space, {b"A2B0": data}, pcs=b"Lab ")


def inks(cmyk: np.ndarray) -> np.ndarray:
    light = 1 - cmyk
    return np.stack(
        [
            100 * light[:, :3].mean(axis=1) * light[:, 3],
            60 * (cmyk[:, 1] - cmyk[:, 0]),
            60 * (cmyk[:, 2] - cmyk[:, 1]),
        ],
        axis=-1,
    )


def scanner(rgb: np.ndarray) -> np.ndarray:
    return np.stack(
        [100 * rgb.mean(axis=1) ** 0.9, 50 * (rgb[:, 0] - rgb[:, 1]), 50 * (rgb[:, 1] - rgb[:, 2])],
        axis=-1,
    )


CURVES = {
    "gamma 2.2": gamma(2.2),
    "gamma 1.8": gamma(1.8),
    "identity": b"curv\0\0\0\0" + struct.pack(">I", 0),
    "table": table(np.linspace(0, 1, 257) ** 1.5),
    "para 0": parametric(0, 1.7),
    "para 1": parametric(1, 2.0, 1.1, -0.1),
    "para 2": parametric(2, 2.0, 0.9, 0.05, 0.02),
    "para 3": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "para 4": parametric(4, 2.2, 0.9, 0.1, 0.3, 0.05, 0.0, 0.0),
}


def cms(
    image: Image.Image, data: bytes, exact: bool = False, intent: int = ImageCms.Intent.PERCEPTUAL
) -> np.ndarray:
    """Little CMS; ``exact``: without its shortcuts, which cost it several levels in the darks.

    Colorimetric then, because version 4 profiles are otherwise given black point compensation.
    """
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(data)), ImageCms.createProfile("sRGB")
    how = {"renderingIntent": intent}
    if exact:
        how["flags"] = ImageCms.Flags.NOOPTIMIZE
        how["renderingIntent"] = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, target, image.mode, "RGB", **how)
    return np.asarray(ImageCms.applyTransform(image, transform)).astype(float)


@pytest.mark.parametrize("curve", CURVES)
def test_gray_profiles_agree_with_little_cms(curve):
    data = profile(b"GRAY", {b"kTRC": CURVES[curve]})
    ramp = np.arange(256, dtype=np.uint8)[None]
    wanted = cms(Image.fromarray(ramp), data, exact=True)[0, :, 1]
    found = icc.conversion(data).gray(256) / 257
    assert np.abs(found - wanted).max() <= 1.01


def test_gray_profile_with_lab_connection_space():
    data = profile(b"GRAY", {b"kTRC": gamma(1.0)}, pcs=b"Lab ")
    wanted = cms(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), data, exact=True)[0, :, 1]
    assert np.abs(icc.conversion(data).gray(256) / 257 - wanted).max() <= 1.01


@pytest.mark.parametrize("curve", CURVES)
def test_matrix_profiles_agree_with_little_cms(curve):
    data = matrix(CURVES[curve])
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    wanted = cms(Image.fromarray(rgb), data, exact=True)
    found = icc.conversion(data).deep(rgb.astype(np.uint16) * 257) / 257
    assert np.abs(found - wanted).max() <= 1.6 and np.abs(found - wanted).mean() < 0.35


def test_table_profiles_at_16_bits_agree_with_little_cms_and_lose_no_level():
    data = lut(b"RGB ", scanner)
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    found = icc.conversion(data).deep(rgb.astype(np.uint16) * 257) / 257
    assert np.abs(found - cms(Image.fromarray(rgb), data)).mean() < 1
    ramp = np.repeat(np.arange(30000, 32000, dtype=np.uint16)[None, :, None], 3, axis=2)
    assert len(np.unique(icc.conversion(data).deep(ramp)[..., 1])) > 1000


def saved(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_gray_pictures_come_through_their_profile(format):
    data = profile(b"GRAY", {b"kTRC": gamma(1.8)})
    gray = scene(1)[..., 0]
    picture = reading.decode(saved(Image.fromarray(gray), format, icc_profile=data)).frames[0]
    assert picture.depth == 8 and picture.gray.dtype == np.uint16
    wanted = cms(Image.fromarray(gray), data, exact=True)[..., 1]
    assert np.abs(picture.gray / 257 - wanted).max() <= 1.01
    deep = gray.astype(np.uint16) * 257 + 3
    picture = reading.decode(saved(Image.fromarray(deep), format, icc_profile=data)).frames[0]
    assert picture.depth == 16
    assert np.abs(picture.gray / 257 - wanted).max() <= 1.1
    assert len(np.unique(picture.gray)) == len(np.unique(deep))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour_pictures_come_through_their_profile(mode):
    data = matrix(gamma(2.2))
    image = Image.fromarray(scene(2)).convert(mode)
    document = reading.decode(saved(image, "PNG", icc_profile=data), keep_color=True)
    wanted = cms(image.convert("RGB"), data)
    assert np.abs(document.frames[0].rgb - wanted).max() == 0


def test_neutral_rgb_stays_neutral_under_a_profile():
    gray = scene(3)[..., 0]
    image = Image.fromarray(np.dstack([gray] * 3))
    picture = reading.decode(saved(image, "PNG", icc_profile=matrix(gamma(1.8))), keep_color=True)
    assert picture.frames[0].rgb is None
    assert (
        np.abs(
            picture.frames[0].gray / 257 - cms(image, matrix(gamma(1.8)), exact=True)[..., 1]
        ).max()
        <= 1.5
    )


def test_cmyk_comes_through_its_profile(no_press):
    data = lut(b"CMYK", inks, 5)
    image = Image.fromarray(scene(4)).convert("CMYK")
    document = reading.decode(saved(image, "TIFF", icc_profile=data), keep_color=True)
    by_measure = cms(image, data, intent=ImageCms.Intent.RELATIVE_COLORIMETRIC)
    assert np.abs(document.frames[0].rgb - by_measure).max() == 0
    plain = reading.decode(saved(image, "TIFF"), keep_color=True)
    assert np.abs(plain.frames[0].rgb - np.asarray(image.convert("RGB"), float)).max() == 0


def test_srgb_changes_nothing():
    rgb = scene(5)
    data = saved(Image.fromarray(rgb), "PNG", icc_profile=icc.srgb_profile())
    assert np.array_equal(reading.decode(data, keep_color=True).frames[0].rgb, rgb)


@pytest.mark.parametrize(
    "data",
    [
        b"no profile at all",
        bytes(200),
        matrix(gamma(2.2))[:180],
        matrix(gamma(2.2))[:128] + b"\xff" * 80,
        matrix(parametric(4, 2.2)),
        profile(b"GRAY", {}),
        profile(b"RGB ", {b"A2B0": b"mft2" + bytes(60)}),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_broken_profile_never_loses_the_picture(data, mode):
    image = Image.fromarray(scene(6)).convert(mode)
    picture = reading.decode(saved(image, "PNG", icc_profile=data), keep_color=True).frames[0]
    assert np.array_equal(picture.gray if mode == "L" else picture.rgb, np.asarray(image))


def test_a_profile_of_another_space_is_passed_over():
    gray = Image.fromarray(scene(7)[..., 0])
    picture = reading.decode(saved(gray, "PNG", icc_profile=lut(b"CMYK", inks, 3))).frames[0]
    assert np.array_equal(picture.gray, np.asarray(gray))
