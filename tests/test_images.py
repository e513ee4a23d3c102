import io

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli import images
from colorcli.errors import ImageError, UsageError


def saved(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", images.FORMATS)
def test_every_format_is_written_and_read_back(format):
    rgb = scene(0)
    source = images.Picture(rgb[..., 0])
    data = images.encode(rgb, source, format)
    back = images.decode(data)
    assert back.format == format
    assert back.gray.shape == rgb.shape[:2]
    assert np.abs(back.rgb.astype(int) - rgb).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_is_read(mode):
    image = Image.fromarray(scene(1))
    image = (
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        if mode == "I;16"
        else image.convert(mode)
    )
    picture = images.decode(saved(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert picture.gray.shape == (80, 96)
    assert (picture.alpha is not None) == (mode in ("RGBA", "LA"))
    assert picture.depth == (16 if mode == "I;16" else 8)
    assert (picture.rgb is None) == (mode in ("1", "L", "LA", "I;16"))


def test_sixteen_bits_stay_sixteen():
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    data = images.encode(deep, images.Picture(deep[..., 0]), "png")
    assert data[24] == 16
    gray = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    assert np.array_equal(images.decode(saved(Image.fromarray(gray), "PNG")).gray, gray)


def test_orientation_is_applied_once_and_reset():
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a caption"
    picture = images.decode(saved(Image.fromarray(scene(2)), "JPEG", exif=exif, dpi=(300, 300)))
    assert picture.gray.shape == (96, 80)
    data = images.encode(np.dstack([picture.gray >> 8] * 3).astype(np.uint8), picture, "jpeg")
    out = Image.open(io.BytesIO(data))
    assert out.getexif()[0x0112] == 1 and out.getexif()[0x010E] == "a caption"
    assert out.info["dpi"] == (300, 300) and "icc_profile" in out.info


def test_alpha_is_kept_or_laid_over_white():
    rgba = np.dstack([scene(3), np.zeros((80, 96), np.uint8)])
    picture = images.decode(saved(Image.fromarray(rgba), "PNG"))
    kept = Image.open(io.BytesIO(images.encode(rgba[..., :3].copy(), picture, "png")))
    assert kept.mode == "RGBA" and kept.getextrema()[3] == (0, 0)
    flat = Image.open(io.BytesIO(images.encode(rgba[..., :3].copy(), picture, "jpeg")))
    assert np.asarray(flat).min() >= 253


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
        images.decode(data, "scan.jpg")
    assert str(caught.value).startswith("scan.jpg: ") and "\n" not in str(caught.value)


def test_many_frames_and_many_pixels_are_refused():
    frames = [Image.fromarray(scene(i)).convert("P") for i in range(3)]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="3 frames"):
        images.decode(gif)
    with pytest.raises(ImageError, match="--max-megapixels"):
        images.decode(saved(frames[0], "PNG"), max_pixels=100)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_damage_is_an_image_error_or_a_picture(format):
    whole = saved(Image.fromarray(scene(5)), format)
    random = np.random.default_rng(0)
    for i in range(40):
        data = bytearray(whole)
        if i % 2:
            data = data[: int(random.integers(1, len(data)))]
        for at in random.integers(0, len(data), 3):
            data[at] ^= int(random.integers(1, 256))
        try:
            picture = images.decode(bytes(data), "odd", max_pixels=10**7)
        except ImageError as error:
            assert str(error).startswith("odd: ") and "\n" not in str(error)
        else:
            assert picture.gray.ndim == 2


def test_unknown_suffix_names_the_known():
    with pytest.raises(UsageError, match=r"\.png"):
        images.format_of("a.xyz")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_and_flat_pictures_turn_alike(orientation):
    gray = scene(6)[..., 0]
    exif = Image.Exif()
    exif[0x0112] = orientation
    flat = images.decode(saved(Image.fromarray(gray), "PNG", exif=exif)).gray
    assert np.array_equal(images._TURNS.get(orientation, np.asarray)(gray), flat)
