"""Strips against the whole: the same colours, metadata and errors, in bounded memory."""

import io
import itertools
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import test_icc
from conftest import saved, scene, tiff
from PIL import Image, ImageCms

from colorcli.color.lab import Join, gray_to_L, join, rgb_to_lab
from colorcli.color.levels import to_depth
from colorcli.colorizing import predict
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.colorizing.encoded.strips import colorize_strips
from colorcli.colorizing.framing import halved, halvings
from colorcli.colorizing.result import STAGES
from colorcli.config.predict import PredictConfig
from colorcli.imaging import png, reading, sixteen_bit, tiff_writing
from colorcli.imaging.formats import vips
from colorcli.imaging.jpeg import luma
from colorcli.imaging.large import decision, photograph
from colorcli.imaging.large.photograph import Photograph
from colorcli.imaging.large.writing import WRITERS
from colorcli.imaging.tags import metadata
from colorcli.network.decoding import Knobs
from colorcli.system.errors import DataError, ImageError
from colorcli.system.files.delivery import delivered
from colorcli.system.files.inputs import Source
from colorcli.system.files.outputs import Job
from colorcli.system.parallel import Stopped

needs_vips = pytest.mark.skipif(vips.library() is None, reason="needs the extra large")
GAMMA = test_icc.gamma(1.5)
ALWAYS = PredictConfig(large=0)  # strips wherever they can be
FREE = 8 << 30


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


@pytest.fixture(autouse=True)
def low_strips(monkeypatch):
    monkeypatch.setattr(photograph, "STRIP", 5000)  # several strips of a small picture


def photo(width=211, height=203, seed=3) -> np.ndarray:
    return scene(seed, width, height)


def gray(width=211, height=203) -> np.ndarray:
    return photo(width, height)[..., 1]


def deep_gray() -> np.ndarray:
    ramp = np.linspace(0, 6000, 211).astype(np.uint16)
    return gray().astype(np.uint16) * 230 + ramp


def rgba() -> Image.Image:
    image = Image.fromarray(photo())
    image.putalpha(Image.fromarray(gray().T.copy()).resize(image.size))
    return image


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274], exif[271] = orientation, "Camera"
    return exif.tobytes()


INPUTS = {
    "gray.jpg": lambda: saved(Image.fromarray(gray()), "JPEG", quality=90, dpi=(300, 300)),
    "rgb.jpg": lambda: saved(Image.fromarray(photo()), "JPEG", quality=90, exif=turned(1)),
    "progressive.jpg": lambda: saved(Image.fromarray(photo()), "JPEG", progressive=True),
    "cmyk.jpg": lambda: saved(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=98),
    "rgb.png": lambda: saved(Image.fromarray(photo()), "PNG", dpi=(72, 72)),
    "palette.png": lambda: saved(Image.fromarray(photo()).quantize(50), "PNG"),
    "alpha.png": lambda: saved(rgba(), "PNG", exif=turned(1)),
    "la.png": lambda: saved(rgba().convert("LA"), "PNG"),
    "clear.png": lambda: saved(Image.fromarray(gray()), "PNG", transparency=int(gray()[0, 0])),
    "bilevel.png": lambda: saved(Image.fromarray(gray()).convert("1"), "PNG"),
    "gray16.png": lambda: saved(Image.fromarray(deep_gray()), "PNG"),
    "rgb16.png": lambda: sixteen_bit.write_png(photo().astype(np.uint16) * 257, None, b""),
    "rgba16.png": lambda: sixteen_bit.write_png(photo().astype(np.uint16) * 255, deep_gray(), b""),
    "gray16.tif": lambda: tiff(deep_gray(), photometric="minisblack"),
    "white.tif": lambda: tiff(gray(), photometric="miniswhite"),
    "rgb16.tif": lambda: tiff(photo().astype(np.uint16) * 200, photometric="rgb"),
    "tiled.tif": lambda: tiff(photo(), photometric="rgb", tile=(64, 64), compression="zlib"),
    "planar.tif": lambda: tiff(np.moveaxis(photo(), 2, 0), photometric="rgb", planarconfig=2),
    "cmyk.tif": lambda: saved(Image.fromarray(photo()).convert("CMYK"), "TIFF"),
    "bilevel.tif": lambda: saved(Image.fromarray(gray()).convert("1"), "TIFF"),
    "adobe.tif": lambda: tiff(photo(), photometric="rgb", iccprofile=test_icc.matrix(GAMMA)),
    "adobe16.png": lambda: sixteen_bit.write_png(
        photo().astype(np.uint16) * 257,
        None,
        metadata.png_chunks({}, test_icc.matrix(GAMMA)),
    ),
    "dots.jpg": lambda: saved(
        Image.fromarray(gray()),
        "JPEG",
        quality=95,
        icc_profile=test_icc.profile(b"GRAY", {b"kTRC": GAMMA}),
    ),
    "inks.jpg": lambda: saved(
        Image.fromarray(photo()).convert("CMYK"),
        "JPEG",
        quality=98,
        icc_profile=test_icc.lut(b"CMYK", test_icc.inks),
    ),
    **{
        f"turned{i}.jpg": lambda i=i: saved(Image.fromarray(photo()), "JPEG", exif=turned(i))
        for i in range(2, 9)
    },
    "turned6.tif": lambda: tiff(photo(), photometric="rgb", extratags=[(274, 3, 1, 6, True)]),
    "turned8.png": lambda: saved(rgba(), "PNG", exif=turned(8)),
}


def by_strips(data, colorizer, format, output=PredictConfig(), name="x"):
    file = io.BytesIO()
    large = Photograph(data, reading.peek(data), name)
    result = colorize_strips(large, file, colorizer, format, output)
    return file.getvalue(), result


def decoded(data: bytes) -> reading.Picture:
    return reading.decode(data, keep_color=True).frames[0]


def colours(picture: reading.Picture) -> np.ndarray:
    """sRGB (H, W, 3), also of a picture that is black and white alone and so came out gray."""
    return np.dstack([picture.gray] * 3) if picture.rgb is None else picture.rgb


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest, in 8-bit levels."""
    assert a.shape == b.shape and a.dtype == b.dtype
    return float(np.abs(a.astype(int) - b).max()) / (1 if a.dtype == np.uint8 else 257)


@needs_vips
@pytest.mark.parametrize("name", INPUTS)
def test_strips_give_what_the_whole_gives(name, colorizer):
    data = INPUTS[name]()
    header = reading.peek(data)
    format = header.format
    assert decision.decide(data, header, format, memory=FREE, large=0) >= decision.TAKES
    ours, result = by_strips(data, colorizer, format)
    theirs, expected = colorize_bytes(data, "x", colorizer)
    assert replace(result, milliseconds={}) == replace(expected, milliseconds={})
    a, b = decoded(ours), decoded(theirs)
    assert (a.depth, a.alpha is None) == (b.depth, b.alpha is None)
    assert difference(colours(a), colours(b)) <= (2 if format == "jpeg" else 1)
    assert (a.rgb is None) == name.startswith("bilevel")
    if a.alpha is not None:
        assert np.array_equal(a.alpha, b.alpha)


@needs_vips
@pytest.mark.parametrize("name", ["adobe.tif", "adobe16.png", "dots.jpg", "inks.jpg"])
def test_profiles_move_what_strips_read(name):
    data = INPUTS[name]()
    parts = Photograph(data, reading.peek(data)).pictures(keep=True)
    deep_samples = np.dtype(np.uint16)
    ours = np.concatenate([to_depth(p.gray, deep_samples) for _, p in parts])
    theirs = to_depth(reading.decode(data).frames[0].gray, deep_samples)
    assert difference(ours, theirs) <= 1
    plain = Photograph(data, reading.peek(data))
    plain._profile = None
    bare = np.concatenate([to_depth(p.gray, deep_samples) for _, p in plain.pictures()])
    assert difference(bare, ours) > 5  # or the profile says nothing


@needs_vips
@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("strip", [False, True])
def test_strips_make_results_that_are_known_as_such(format, strip, colorizer):
    data = INPUTS["gray.jpg"]()
    made, _ = by_strips(data, colorizer, format, PredictConfig(strip=strip))
    assert [reading.peek(d).result for d in (data, made)] == [False, True]


def tags(image):
    """A picture's tags but for where its data lies: compressed, it follows the last bits of 16."""
    return {tag: value for tag, value in image.getexif().items() if tag not in (273, 279)}


@needs_vips
@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("name", ["alpha.png", "rgba16.png", "gray16.tif", "gray.jpg"])
def test_every_format_is_written_like_the_whole(name, format, strip, colorizer):
    data = INPUTS[name]()
    output = PredictConfig(strip=strip, quality=80 if format == "jpeg" else None)
    ours, _ = by_strips(data, colorizer, format, output)
    theirs, _ = colorize_bytes(data, "x", colorizer, format, output)
    a, b = (Image.open(io.BytesIO(d)) for d in (ours, theirs))
    assert (a.format, a.mode, a.size) == (b.format, b.mode, b.size)
    assert a.info.get("dpi") == b.info.get("dpi")
    assert tags(a) == tags(b)
    assert "sRGB" in ImageCms.getProfileDescription(
        ImageCms.ImageCmsProfile(io.BytesIO(a.info["icc_profile"]))
    )
    if format == "jpeg":
        assert a.quantization == b.quantization and a.layer == b.layer
    assert difference(decoded(ours).rgb, decoded(theirs).rgb) <= (2 if format == "jpeg" else 1)


@needs_vips
@pytest.mark.parametrize("name", ["alpha.png", "gray16.tif"])
def test_a_tiff_of_many_strips(name, colorizer, monkeypatch):
    monkeypatch.setattr(tiff_writing, "TIFF_STRIP", 20_000)
    data = INPUTS[name]()
    ours, _ = by_strips(data, colorizer, "tiff")
    theirs, _ = colorize_bytes(data, "x", colorizer, "tiff")
    a, b = (Image.open(io.BytesIO(d)) for d in (ours, theirs))
    assert tags(a) == tags(b) and len(a.getexif()[279]) == len(b.getexif()[279]) > 1
    # The last bit may hang on which rows are computed together.
    ours, theirs = decoded(ours).rgb, decoded(theirs).rgb
    assert difference(ours, theirs) <= (1 if ours.dtype == np.uint8 else 2 / 257)


@needs_vips
def test_metadata_is_kept_whole_and_orientation_reset(colorizer):
    exif = Image.Exif()
    exif[274], exif[270] = 6, "A long description " * 500
    exif.get_ifd(0x8769)[0x9003] = "1931:05:04 10:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="'
        + b"kept " * 3000 + b'"/></rdf:RDF></x:xmpmeta>'
    )  # fmt: skip
    data = saved(
        Image.fromarray(gray()), "JPEG", exif=exif.tobytes(), xmp=xmp, dpi=(600, 600),
        comment=b"by hand",
    )  # fmt: skip
    for format in WRITERS:
        ours, _ = by_strips(data, colorizer, format)
        copy = Image.open(io.BytesIO(ours))
        found = copy.getexif()
        assert copy.size == (203, 211) and found.get(274, 1) == 1
        assert found[270] == "A long description " * 500
        assert found.get_ifd(0x8769)[0x9003] == "1931:05:04 10:00:00"
        assert found.get_ifd(0x8825)[1] == "N"
        assert round(float(copy.info["dpi"][0])) == 600
        assert b"kept kept" in (copy.info.get("xmp") or b"")
    jpeg, _ = by_strips(data, colorizer, "jpeg")
    assert Image.open(io.BytesIO(jpeg)).info["comment"] == b"by hand"


@needs_vips
def test_png_text_behind_the_pixels_is_found(colorizer):
    data = saved(Image.fromarray(gray()), "PNG")
    chunk = png.chunk(b"tEXt", b"Author\0Somebody")
    data = data[:-12] + chunk + data[-12:]
    ours, _ = by_strips(data, colorizer, "png")
    assert Image.open(io.BytesIO(ours)).text["Author"] == "Somebody"


@needs_vips
def test_colour_is_passed_on(colorizer):
    output = PredictConfig(keep_color=True)
    data = INPUTS["rgb.jpg"]()
    assert by_strips(data, colorizer, "jpeg", output)[0] == data  # the very file
    for name, format, status in (
        ("rgb.jpg", "png", "kept"), ("rgb16.png", "tiff", "kept"), ("gray.jpg", "jpeg", "done"),
    ):  # fmt: skip
        data = INPUTS[name]()
        ours, result = by_strips(data, colorizer, format, output)
        theirs, expected = colorize_bytes(data, "x", colorizer, format, output)
        assert result.status == expected.status == status
        assert difference(decoded(ours).rgb, decoded(theirs).rgb) <= 2


@needs_vips
@pytest.mark.parametrize("name", ["gray.jpg", "rgb.jpg", "rgb.png", "gray16.tif", "tiled.tif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_damage_is_one_error_and_no_file(name, share, colorizer, tmp_path):
    whole = INPUTS[name]()
    data = whole[: int(len(whole) * share)]
    (tmp_path / name).write_bytes(data)
    job = Job(Source(str(tmp_path / name), name), str(tmp_path / "out" / name))
    result, *_ = predict.predict([job], colorizer, replace(ALWAYS, workers=1))
    assert result.status == "failed" and result.error.startswith(f"{tmp_path / name}: ")
    assert "\n" not in result.error and "check the file" in result.error
    assert not (tmp_path / "out" / name).exists() and not list((tmp_path / "out").glob(".*"))


@needs_vips
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_that_ends_behind_its_back_is_damaged(orientation, colorizer):
    data = saved(Image.fromarray(gray()), "JPEG", exif=turned(orientation))
    cut = data[: len(data) // 2] + b"\xff\xd9"
    with pytest.raises(ImageError, match=r"^x: damaged picture"):
        by_strips(cut, colorizer, "jpeg")
    blank = saved(Image.new("L", (211, 203), 128), "JPEG", exif=turned(orientation))
    assert by_strips(blank, colorizer, "jpeg")[1].status == "done"


def test_what_fits_is_coloured_whole():
    data = INPUTS["gray.jpg"]()
    header = reading.peek(data)
    assert header.size == (211, 203) and header.need == 10 * 211 * 203
    assert not decision.decide(data, header, "jpeg", memory=FREE, large=10**6)


@needs_vips
def test_what_does_not_fit_goes_by_strips(monkeypatch):
    monkeypatch.setattr(decision, "TAKES", 100_000)
    data = INPUTS["gray.jpg"]()
    assert decision.decide(data, reading.peek(data), "jpeg", memory=400_000, large=10**6)
    assert not decision.decide(
        data, reading.peek(data), "webp", memory=450_000, large=10**6
    )  # whole, alone


@pytest.mark.parametrize(
    ("name", "format", "remedy"),
    [
        ("gray.jpg", "webp", "choose --format from: jpeg, png, tiff"),
        ("pages.tif", "tiff", "save it as .* of one page"),
        ("float.tif", "tiff", "save it as .* of one page"),
        ("gray.webp", "png", "save it as"),
    ],
)
def test_what_neither_fits_nor_streams_is_refused(name, format, remedy):
    pages = [Image.fromarray(gray())] * 2
    data = {
        **{k: v for k, v in INPUTS.items() if k == name},
        "pages.tif": lambda: saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        "float.tif": lambda: tiff(gray().astype(np.float32) / 255, photometric="minisblack"),
        "gray.webp": lambda: saved(Image.fromarray(gray()), "WEBP"),
    }[name]()
    with pytest.raises(ImageError, match=rf"^y: 211 x 203 pixels need .* are free; {remedy}"):
        decision.decide(data, reading.peek(data), format, memory=100_000, large=10**6, name="y")


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setattr(vips, "library", lambda: None)
    data = INPUTS["gray.jpg"]()
    with pytest.raises(ImageError, match=r"pip install 'colorcli\[large\]'"):
        decision.decide(data, reading.peek(data), "jpeg", memory=100_000, large=10**6)
    assert not decision.decide(data, reading.peek(data), "jpeg", memory=450_000, large=0)


@needs_vips
def test_a_progressive_jpeg_needs_room_for_its_coefficients(monkeypatch):
    monkeypatch.setattr(decision, "TAKES", 1000)
    plain, progressive = INPUTS["rgb.jpg"](), INPUTS["progressive.jpg"]()
    assert decision.decide(plain, reading.peek(plain), "jpeg", memory=200_000, large=0)
    with pytest.raises(ImageError, match="use a machine with more"):
        decision.decide(progressive, reading.peek(progressive), "jpeg", memory=200_000, large=0)


def test_one_that_does_not_fit_harms_no_other(colorizer, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "available_memory", lambda: 3_000_000)
    monkeypatch.setattr(vips, "library", lambda: None)
    Image.fromarray(gray()).save(tmp_path / "small.jpg")
    Image.fromarray(gray(900, 800)).save(tmp_path / "huge.jpg")
    jobs = [
        Job(Source(str(tmp_path / n), n), str(tmp_path / "out" / n))
        for n in ("huge.jpg", "small.jpg")
    ]
    huge, small = predict.predict(jobs, colorizer, PredictConfig(workers=2))
    assert (huge.status, small.status) == ("failed", "done")
    assert huge.error.startswith(f"{tmp_path / 'huge.jpg'}: 900 x 800 pixels need 0.0 GB")


@needs_vips
def test_too_many_pixels_are_refused_as_ever(colorizer, tmp_path):
    Image.fromarray(gray()).save(tmp_path / "a.jpg")
    job = Job(Source(str(tmp_path / "a.jpg"), "a.jpg"), str(tmp_path / "b.jpg"))
    result, *_ = predict.predict([job], colorizer, PredictConfig(large=0, max_megapixels=0))
    assert "--max-megapixels" in result.error


@needs_vips
def test_a_side_too_long_for_the_format_is_told_with_a_remedy(colorizer):
    data = saved(Image.new("L", (65_501, 2), 90), "PNG")
    with pytest.raises(ImageError, match=r"^x: 65501 x 2 pixels, and jpeg holds 65500 a side"):
        by_strips(data, colorizer, "jpeg")
    assert Image.open(io.BytesIO(by_strips(data, colorizer, "tiff")[0])).size == (65_501, 2)


@needs_vips
def test_a_batch_by_strips_equals_a_batch_of_wholes(colorizer, tmp_path, monkeypatch):
    names, taken, real = [], [], predict.colorize_strips
    monkeypatch.setattr(luma, "_library", lambda: None)  # JPEGs by Lab as well
    monkeypatch.setattr(
        predict, "colorize_strips", lambda *a, **k: taken.append(a[0].name) or real(*a, **k)
    )
    for name in ("gray.jpg", "alpha.png", "gray16.tif", "turned6.jpg", "rgb.png"):
        odd = name.replace(".", " [1]\udcff.")  # options to libvips, and no UTF-8
        (tmp_path / odd).write_bytes(INPUTS[name]())
        names.append(odd)
    for folder, output in (("strips", ALWAYS), ("whole", PredictConfig())):
        jobs = [Job(Source(str(tmp_path / n), n), str(tmp_path / folder / n)) for n in names]
        results = list(predict.predict(jobs, colorizer, replace(output, workers=2)))
        assert [r.status for r in results] == ["done"] * len(names), results
        assert all(tuple(r.milliseconds) == STAGES for r in results)
    assert sorted(taken) == sorted(str(tmp_path / n) for n in names)
    for name in names:
        a, b = (decoded((tmp_path / f / name).read_bytes()) for f in ("strips", "whole"))
        assert difference(a.rgb, b.rgb) <= 2


@needs_vips
def test_no_room_and_no_reader_are_told_as_ever(colorizer, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    data = INPUTS["gray.jpg"]()
    for format in WRITERS:
        with pytest.raises(OSError, match="No space left"):
            colorize_strips(Photograph(data, reading.peek(data)), Full(), colorizer, format)
    result, *_ = predict.predict(
        [Job(Source("/dev/null", "x"), "/dev/full")], colorizer, replace(ALWAYS, workers=1)
    )
    assert result.status == "failed"


@needs_vips
def test_stopping_leaves_nothing(colorizer, tmp_path):
    (tmp_path / "a.jpg").write_bytes(INPUTS["gray.jpg"]())
    stop, calls = threading.Event(), []

    def later() -> bool:
        calls.append(1)
        return len(calls) > 40  # in the second pass

    with (
        pytest.raises(Stopped),
        delivered(str(tmp_path / "out.jpg")) as file,
    ):
        source = str(tmp_path / "a.jpg")
        large = Photograph(source, reading.peek(source))
        colorize_strips(large, file, colorizer, "jpeg", stop=later)
    assert not stop.is_set() and os.listdir(tmp_path) == ["a.jpg"]


@needs_vips
def test_writing_to_a_full_device_is_a_data_error(colorizer):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    data = INPUTS["gray.jpg"]()
    with (
        pytest.raises(DataError, match="No space left"),
        delivered("/dev/full") as file,
    ):
        colorize_strips(Photograph(data, reading.peek(data)), file, colorizer, "jpeg")


@needs_vips
def test_a_pipe_gets_all_of_it(small_model, tmp_path):
    """As a process: bytes from stdin, to stdout, nothing on stderr, damage in one line."""
    code = (
        "import sys; from colorcli.config import predict; predict.LARGE = 0\n"
        "from colorcli.cli import main; main()"
    )

    def run(data: bytes, *more: str):
        command = [sys.executable, "-c", code, "predict", "-m", str(small_model), "-", *more]
        return subprocess.run(command, input=data, capture_output=True, timeout=120)

    for more in ((), ("--format", "tiff")):
        done = run(INPUTS["gray16.png"](), *more)
        assert done.returncode == 0 and done.stderr == b""
        assert decoded(done.stdout).rgb.dtype == np.uint16
    data = INPUTS["rgb.jpg"]()
    done = run(data[: len(data) // 2])
    assert (done.returncode, done.stdout) == (3, b"")
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(b"colorize: -: damaged")


def test_an_ordinary_call_does_not_load_libvips(small_model, tmp_path):
    (tmp_path / "a.jpg").write_bytes(INPUTS["gray.jpg"]())
    arguments = ["predict", str(tmp_path / "a.jpg"), "-m", str(small_model), "--json"]
    code = (
        "import sys; from colorcli.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "print('pyvips' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["status"] == "done"
    assert done.stderr.split()[-1] == "False"


def reduced(data: bytes, down: int, across: int) -> np.ndarray:
    """Gray of the photograph halved so often, 16 bits."""
    large = Photograph(data, reading.peek(data))
    parts = large.reduced(photograph.Halvings(down, across, halved))
    return np.concatenate([to_depth(part.gray, np.dtype(np.uint16)) for part in parts])


@needs_vips
@pytest.mark.parametrize("times", [(0, 0), (1, 1), (2, 2), (3, 3), (5, 4), (0, 3)])
@pytest.mark.parametrize("name", INPUTS)
def test_the_first_pass_is_the_halved_whole(name, times):
    """Of the same cells: what is left of odd numbers is cut off, also where the decoder rounds up."""
    data = INPUTS[name]()
    if name.startswith("turned"):  # cells are counted from the other end in some
        times = (0, 0)
    whole = to_depth(reading.decode(data).frames[0].gray, np.dtype(np.uint16))
    ours, theirs = reduced(data, *times), halved(whole, *times)
    assert ours.shape == theirs.shape
    # In levels of 8 bits. Samples are averaged before they become gray, which is no linear map.
    mean = np.abs(ours.astype(int) - theirs).mean() / 257
    assert mean < 2, mean


@needs_vips
@pytest.mark.parametrize("times,shrink", [(0, None), (2, 4), (3, 8), (5, 8)])
def test_the_decoder_of_a_jpeg_halves(times, shrink, monkeypatch):
    asked = []
    plain = photograph._Upright.__init__

    def noting(self, source, loader, options, turns):
        asked.append(options.get("shrink"))
        plain(self, source, loader, options, turns)

    data = INPUTS["gray.jpg"]()
    large = Photograph(data, reading.peek(data))
    monkeypatch.setattr(photograph._Upright, "__init__", noting)
    list(large.reduced(photograph.Halvings(times, times, halved)))
    assert asked == [shrink]


@needs_vips
@pytest.mark.parametrize("height", [203, 208])
def test_damage_in_rows_that_the_first_pass_leaves_out(height):
    noise = np.random.default_rng(0).integers(0, 255, (height, 211), np.uint8)
    data = saved(Image.fromarray(noise), "JPEG", quality=95)
    cut = data[: int(len(data) * 0.94)] + b"\xff\xd9"  # of blocks, the last row and a half
    large = Photograph(cut, reading.peek(cut))
    with pytest.raises(ImageError, match="damaged picture"):
        list(large.reduced(photograph.Halvings(3, 3, halved)))
        large.copy_to(io.BytesIO())  # which no second pass comes before


@needs_vips
def test_the_first_pass_reads_all_where_the_decoder_does_not_halve():
    noise = np.random.default_rng(0).integers(0, 255, (203, 211), np.uint8)
    data = bytearray(tiff(noise, photometric="minisblack", rowsperstrip=1, compression="zlib"))
    with Image.open(io.BytesIO(data)) as image:
        last, count = image.tag_v2[273][-1], image.tag_v2[279][-1]
    data[last : last + count] = bytes(count)
    large = Photograph(bytes(data), reading.peek(bytes(data)))
    with pytest.raises(ImageError, match="damaged picture"):
        list(large.reduced(photograph.Halvings(7, 3, halved)))  # 75 rows are left over


# --- the parts that need no libvips ------------------------------------------------------------


@pytest.mark.parametrize("shape", [(203, 211), (2000, 70), (70, 2000), (64, 64), (20, 30)])
def test_halves_of_strips_are_the_halves_of_the_whole(shape, colorizer):
    plane = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    down, across = halvings(*shape, colorizer.side)
    whole = halved(plane, down, across)
    assert max(whole.shape) <= 8 * 64
    parts = [plane[top : top + (8 << down)] for top in range(0, shape[0], 8 << down)]
    parts = [halved(part, down, across) for part in parts if part.shape[0] >> down]
    assert np.array_equal(np.concatenate(parts), whole)
    told = colorizer.view(whole, size=shape[::-1])  # which of a long one is more than a square
    assert np.array_equal(colorizer.ab_of(told), colorizer.ab(plane))


def test_joined_strips_are_the_joined_whole():
    ab = np.random.default_rng(0).normal(0, 30, (16, 16, 2)).astype(np.float32)
    plane, joined = gray(), Join(ab, 203, 211)
    parts = [joined(plane[top : top + 17], top) for top in range(0, 203, 17)]
    assert difference(np.concatenate(parts), join(plane, ab)) <= 1


@needs_vips
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strips_keep_lightness_at_any_saturation(small_model, dtype):
    full = np.iinfo(dtype).max
    ramp = np.repeat(np.arange(256, dtype=dtype)[:, None], 200, axis=1) * dtype(full // 255)
    data = tiff(ramp, photometric="minisblack")
    ours, _ = by_strips(data, Colorizer(small_model, Knobs(saturation=20.0)), "tiff")
    rgb = decoded(ours).rgb
    assert rgb.dtype == dtype
    error = np.abs(rgb_to_lab(rgb / full)[..., 0] - gray_to_L(ramp))
    assert error.max() < (0.25 if dtype == np.uint8 else 0.05)
    assert (np.ptp(rgb[[0, 1, 2, 3, 253, 254, 255]].astype(int), axis=-1) == 0).all()


@pytest.mark.parametrize("heights", [[203], [1, 2, 100, 100], [7] * 29])
def test_strips_are_cut_to_equal_heights(heights):
    whole = photo()
    tops = np.cumsum([0, *heights])
    rows = [whole[a:b] for a, b in itertools.pairwise(tops)]
    cut = list(tiff_writing.Strips(whole.shape, whole.dtype, rows).cut(10))
    assert {part.shape[0] for part in cut[:-1]} == {10}
    assert np.array_equal(np.concatenate(cut), whole)
