"""Every kind of file that photographs come in: read as it is meant, by truth and by libvips."""

import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import saved, scene, tiff
from oddities import FILES, REFUSED
from PIL import Image
from skimage.color import rgb2lab

from colorcli.color.lab import gray_to_L, rgb_to_lab
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.colorizing.scans.windows import whole
from colorcli.config.predict import PredictConfig
from colorcli.imaging import kinds, planes, reading
from colorcli.imaging.formats import vips
from colorcli.imaging.tags import icc
from colorcli.system.errors import ImageError

needs_vips = pytest.mark.skipif(vips.library() is None, reason="needs the extra large")


class Tint:
    """A colorizer that gives every picture the same slight chroma."""

    origin = None

    side = 32

    def view(self, gray, **_):
        return whole(gray)

    def ab_of(self, view):
        return np.broadcast_to(np.float32([4, 6]), (8, 8, 2)).copy()


def made(kind):
    odd = FILES[kind]()
    for package in odd.needs:
        pytest.importorskip(package)
    return odd


def lightness(pixels: np.ndarray) -> np.ndarray:
    rgb = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
    return rgb2lab(rgb)[..., 0]


def differs(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    error = np.abs(found - wanted)
    return error.mean(), np.percentile(error, 99)


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_is_read_as_it_is_meant(kind):
    odd = made(kind)
    document = reading.decode(odd.data, "odd", keep_color=True)
    picture = document.frames[0]
    assert picture.gray.shape == odd.wanted.shape[:2] and len(document.frames) == 1
    assert picture.depth == odd.depth
    mean, most = differs(gray_to_L(picture.gray), lightness(odd.wanted))
    assert mean < 1.5 and most < 6
    found = picture.gray if picture.rgb is None else picture.rgb
    found = found / np.iinfo(found.dtype).max
    if found.ndim == 2 and odd.wanted.ndim == 3:
        found = found[..., None]
    assert np.abs(found - odd.wanted).mean() < odd.tolerance


def vips_lightness(data: bytes) -> np.ndarray | None:
    """L by libvips, turned upright; None where it does not open the file."""
    library = vips.library()
    try:
        image = library.Image.new_from_buffer(data, "", fail_on="error").autorot()
        light = image.colourspace("lab")[0].cast("float")
        return np.frombuffer(light.write_to_memory(), np.float32).reshape(light.height, light.width)
    except library.Error:
        return None


@needs_vips
@pytest.mark.parametrize("kind", FILES)
def test_the_coloured_copy_has_the_lightness_that_libvips_sees(kind):
    odd = made(kind)
    wanted = vips_lightness(odd.data) if odd.vips else None
    if wanted is None:
        pytest.skip("libvips does not read it as it is meant")
    encoded, result = colorize_bytes(odd.data, "odd", Tint(), "png", PredictConfig())
    assert result.status == "done"
    mean, most = differs(vips_lightness(encoded), wanted)
    assert mean < 1.5 and most < 6


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_meant_is_refused_by_name(kind):
    make, words = REFUSED[kind]
    with pytest.raises(ImageError, match=words) as caught:
        reading.decode(make(), "odd")
    assert str(caught.value).startswith("odd: ") and "\n" not in str(caught.value)


WANTING = {
    "tiff 12 bits gray": r"TIFF of 12 bits needs pip install 'colorcli\[tiff\]'",
    "tiff lzw predictor 3": r"needs pip install 'colorcli\[tiff\]'",
    "tiff webp": r"needs pip install 'colorcli\[tiff\]'",
    "lossless jpeg": r"lossless JPEG needs pip install 'colorcli\[tiff\]'",
    "jpeg-ls": r"JPEG-LS needs pip install 'colorcli\[tiff\]'",
    "jpeg xl": r"JPEG XL needs another package; pip install 'colorcli\[jxl\]'",
}


def test_without_a_package_its_extra_is_told(tmp_path):
    for number, kind in enumerate(WANTING):
        (tmp_path / str(number)).write_bytes(made(kind).data)
    code = (
        "import sys\n"
        "for name in ('imagecodecs', 'pillow_jxl', 'pyvips'): sys.modules[name] = None\n"
        "from colorcli.imaging import reading\n"
        "for path in sys.argv[1:]:\n"
        "    try: reading.read(path)\n"
        "    except reading.ImageError as error: print(error)\n"
        "    else: print('read')\n"
    )
    paths = [tmp_path / str(number) for number in range(len(WANTING))]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    for line, words in zip(done.stdout.splitlines(), WANTING.values(), strict=True):
        assert re.search(words, line), line


def test_a_note_tells_that_an_animation_was_not_read():
    (picture,) = reading.decode(made("png of a broken animation").data).frames
    assert picture.notes == ("its animation is damaged; only its still picture was read",)
    assert reading.decode(made("bmp 4-4-4").data).frames[0].notes == ()


# --- inks --------------------------------------------------------------------------------------


def inked(**options) -> bytes:
    return saved(Image.fromarray(scene(4)).convert("CMYK"), "TIFF", **options)


@needs_vips
def test_inks_without_a_profile_are_those_of_a_press():
    picture = reading.decode(inked(), keep_color=True).frames[0]
    mean, most = differs(gray_to_L(picture.gray), vips_lightness(inked()))
    assert mean < 1.5 and most < 6 and picture.notes == ()
    assert reading.decode(inked()).frames[0].notes == ()


def test_inks_without_any_profile_are_said_to_be_approximate(no_press):
    picture = reading.decode(inked(), keep_color=True).frames[0]
    assert picture.notes == ("no profile: approximate",)
    rgb = np.asarray(Image.fromarray(scene(4)).convert("CMYK").convert("RGB"))
    assert np.array_equal(picture.rgb, rgb)
    deep = np.asarray(Image.fromarray(scene(4)).convert("CMYK")).astype(np.uint16) * 257
    (picture,) = reading.decode(tiff(deep, photometric="separated")).frames
    assert picture.notes == ("no profile: approximate",)


def test_the_profile_of_a_press_is_the_systems_where_no_library_brings_one(monkeypatch, tmp_path):
    if vips.library() is None:
        pytest.skip("needs a profile to stand for the system's")
    (tmp_path / "press.icc").write_bytes(vips.press_profile())
    monkeypatch.setattr(icc, "_PRESS", (str(tmp_path / "none.icc"), str(tmp_path / "press.icc")))
    monkeypatch.setattr(vips, "library", lambda: None)
    planes._press.cache_clear()
    try:
        assert planes._press().space == "CMYK"
    finally:
        planes._press.cache_clear()


# --- kinds -------------------------------------------------------------------------------------


def test_a_reader_never_hands_on_part_of_a_picture():
    data = made("tiff palette 16 bits").data
    with pytest.raises(ImageError):
        reading.decode(data[: len(data) // 3])


def test_camera_raw_is_known_by_its_content_and_refused_by_name(monkeypatch):
    mosaic = tiff(
        np.zeros((16, 16), np.uint16),
        photometric=32803,
        extratags=[(50706, 1, 4, b"\1\4\0\0", True)],
    )
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(
        ImageError, match=r"camera raw needs another package; pip install 'colorcli\[raw\]'"
    ):
        reading.decode(mosaic)
    assert kinds.kind_of(b"FUJIFILMCCD-RAW 0201") == "RAW"
    assert kinds.kind_of(b"\0\0\0\x18ftypcrx \0\0\0\1") == "RAW"


def test_camera_raw_is_developed(tmp_path):
    """A DNG of our own: a ramp of light seen by a sensor whose colours are sRGB's."""
    pytest.importorskip("rawpy")
    light = np.linspace(0.05, 1, 64)
    mosaic = np.broadcast_to(np.rint(light * 65535), (48, 64)).astype(np.uint16)
    matrix = np.linalg.inv(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    rational = [n for v in matrix.ravel() for n in (round(v * 10000), 10000)]
    neutral = [1, 1, 1, 1, 1, 1]
    data = tiff(
        mosaic, photometric=32803,
        extratags=[
            (271, 2, 4, "Own", True), (272, 2, 4, "One", True),
            (33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True),
            (50706, 1, 4, bytes([1, 4, 0, 0]), True), (50708, 2, 8, "Own One", True),
            (50721, 10, 9, rational, True), (50728, 5, 3, neutral, True),
            (50778, 3, 1, 21, True), (50717, 4, 1, 65535, True),
        ],
    )  # fmt: skip
    document = reading.decode(data)
    picture = document.frames[0]
    assert document.format == "tiff" and picture.depth == 16 and picture.gray.shape == (48, 64)
    found = gray_to_L(picture.gray)[24, 4:-4]
    assert (np.diff(found) > 0).all() and found[0] < 60 < 90 < found[-1]


def test_odd_samples_keep_their_lightness_in_colour():
    """What the tolerances are worth: RGB of the oddities as this package sees it."""
    odd = FILES["tiff cielab 16 bits"]()
    picture = reading.decode(odd.data).frames[0]
    wanted = rgb_to_lab(odd.wanted)[..., 0]
    assert np.abs(gray_to_L(picture.gray) - wanted).max() < 0.02
