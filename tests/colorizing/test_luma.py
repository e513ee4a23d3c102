"""JPEG to JPEG: luma stays, the rest is as ever, and what is odd goes the general way."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from coefficients import coefficients
from conftest import saved, scene, sepia
from PIL import Image, ImageCms

from colorcli.color.lab import neutral
from colorcli.colorizing import predict
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.encoded.luma import colorize_luma
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading
from colorcli.imaging.jpeg import luma
from colorcli.imaging.tags import icc, metadata
from colorcli.network.decoding import Knobs
from colorcli.system.errors import ImageError
from colorcli.system.files.inputs import Source
from colorcli.system.files.outputs import Job
from colorcli.system.parallel import Stopped

pytest.importorskip("simplejpeg")


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


def gray(seed=0, width=61, height=43) -> Image.Image:
    return Image.fromarray(scene(seed, width, height)).convert("L")


def tagged(orientation: int, **more) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, "a caption"
    return saved(gray(), "JPEG", exif=exif, **more)


def luma_of(data: bytes) -> np.ndarray:
    """Y as it lies."""
    image = Image.open(io.BytesIO(data))
    image.draft("L", image.size)
    return np.asarray(image.convert("L"))


def coloured(data: bytes, colorizer: Colorizer, **options) -> bytes:
    done = colorize_luma(data, "x.jpg", colorizer, PredictConfig(**options))
    assert done is not None and done[1].status == "done"
    return done[0]


# --- what stays --------------------------------------------------------------------------------

GRAYS = {
    "plain": lambda: saved(gray(), "JPEG"),
    "coarse": lambda: saved(gray(), "JPEG", quality=15),
    "fine": lambda: saved(gray(), "JPEG", quality=100),
    "own codes and restarts": lambda: saved(gray(), "JPEG", optimize=True, restart_marker_rows=1),
    "one pixel": lambda: saved(gray().resize((1, 1)), "JPEG"),
    "one row": lambda: saved(gray().resize((50, 1)), "JPEG"),
    "on its side": lambda: tagged(6),
    "mirrored": lambda: tagged(2),
    "our own profile": lambda: saved(gray(), "JPEG", icc_profile=icc.srgb_profile()),
}


@pytest.mark.parametrize("kind", GRAYS)
def test_luma_coefficients_of_a_gray_jpeg_are_identical(kind, colorizer):
    before = GRAYS[kind]()
    after = coloured(before, colorizer)
    image = Image.open(io.BytesIO(after))
    image.load()
    assert image.mode == "RGB" and image.size == Image.open(io.BytesIO(before)).size
    found = coefficients(after)
    assert len(found) == 3 and np.array_equal(found[0], coefficients(before)[0])
    assert np.array_equal(luma_of(after), luma_of(before))


def test_a_progressive_one_stays_progressive(colorizer):
    before = saved(gray(), "JPEG", progressive=True)
    after = coloured(before, colorizer)
    assert Image.open(io.BytesIO(after)).info["progressive"]
    assert np.array_equal(luma_of(after), luma_of(before))


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 40}]
)
@pytest.mark.parametrize("picture", [scene(1, 130, 90), sepia(scene(1, 130, 90))])
def test_luma_of_a_colour_jpeg_is_not_quantized_otherwise(picture, options, colorizer):
    before = saved(Image.fromarray(picture), "JPEG", **options)
    after = coloured(before, colorizer)
    difference = np.abs(luma_of(after).astype(int) - luma_of(before))
    by_lab, _ = colorize_bytes(before, "x.jpg", colorizer)
    assert difference.mean() < 0.15
    assert difference.mean() < np.abs(luma_of(by_lab).astype(int) - luma_of(before)).mean() / 2


def test_colours_are_those_of_the_way_by_lab(small_model):
    colorizer = Colorizer(small_model, Knobs(saturation=0.3))  # the noise it gives is vivid
    before = saved(gray(5, 200, 160), "JPEG", quality=95)
    by_lab, _ = colorize_bytes(before, "x.jpg", colorizer)
    one, other = (
        np.asarray(Image.open(io.BytesIO(data)).convert("YCbCr")).astype(int)
        for data in (coloured(before, colorizer), by_lab)
    )
    difference = np.abs(one - other).reshape(-1, 3).mean(axis=0)
    assert (difference <= [1.0, 1.5, 1.5]).all(), difference


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("strip", [False, True])
def test_every_orientation_is_applied_once(orientation, strip, colorizer):
    before = tagged(orientation)
    done, result = colorize_luma(before, "x.jpg", colorizer, PredictConfig(strip=strip))
    upright = reading.decode(before).frames[0].gray
    after = reading.decode(done, keep_color=True).frames[0]
    assert after.gray.shape == upright.shape == (result.height, result.width)
    lies = Image.open(io.BytesIO(done)).getexif().get(0x0112, 1)
    assert lies == (1 if strip else orientation)
    # A picture with nothing to be seen but its sides: colours lie where those of an upright one do.
    straight = coloured(saved(Image.fromarray(upright), "JPEG", quality=100), colorizer)
    wanted = reading.decode(straight, keep_color=True).frames[0].rgb
    assert np.abs(after.rgb.astype(int) - wanted).mean() < 3


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_metadata_is_that_of_the_way_by_lab(mode, strip, silent, colorizer):
    exif, config = Image.Exif(), PredictConfig(strip=strip, no_provenance=silent)
    exif[0x010E] = "a caption"
    before = saved(
        Image.fromarray(scene(2)).convert(mode), "JPEG", exif=exif, dpi=(300, 300),
        xmp=b"<x:xmpmeta/>", comment=b"note", extra=metadata.jpeg_segment(b"\x1c\x02\x78\x00\x05hello"),
    )  # fmt: skip
    by_lab, _ = colorize_bytes(before, "x.jpg", colorizer, None, config)
    after = coloured(before, colorizer, strip=strip, no_provenance=silent)
    assert reading.decode(after).extra == reading.decode(by_lab).extra
    assert bool(reading.decode(after).extra) == (not strip or not silent)
    assert reading.peek(after).result and reading.peek(by_lab).result


def test_exif_too_long_for_a_jpeg_turns_the_pixels(colorizer, monkeypatch):
    monkeypatch.setattr(metadata, "EXIF_LIMIT", 10)
    before = tagged(6)
    after = coloured(before, colorizer)
    assert Image.open(io.BytesIO(after)).size == (43, 61)
    upright = reading.decode(before).frames[0].gray
    assert np.abs(luma_of(after).astype(int) - upright).mean() < 1.2  # as on the way by Lab


@pytest.mark.parametrize("quality", [1, 30, 75, 90, 91, 100])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_quality_is_that_of_all(mode, quality, colorizer):
    before = saved(Image.fromarray(scene(3, 77, 55)).convert(mode), "JPEG")
    by_lab, _ = colorize_bytes(before, "x.jpg", colorizer, None, PredictConfig(quality=quality))
    after = coloured(before, colorizer, quality=quality)
    one, other = (Image.open(io.BytesIO(data)) for data in (after, by_lab))
    assert one.quantization == other.quantization and one.layer == other.layer
    assert after.count(b"\xff\xda") == 1 and one.size == (77, 55)
    one.load()


# --- what goes by Lab --------------------------------------------------------------------------


def gray_profile(gamma: float) -> bytes:
    """An ICC profile of gray with a gamma."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()[:128])
    profile[16:20] = b"GRAY"
    curve = b"curv\0\0\0\0\0\0\0\1" + round(gamma * 256).to_bytes(2, "big") + b"\0\0"
    table = (
        (1).to_bytes(4, "big") + b"kTRC" + (144).to_bytes(4, "big") + len(curve).to_bytes(4, "big")
    )
    return bytes(profile) + table + curve


PLAIN = saved(gray(), "JPEG")
RGB = Image.fromarray(scene(4, 61, 43))
OTHERS = {
    "inks": (lambda: saved(RGB.convert("CMYK"), "JPEG"), {}),
    "another gamma": (lambda: saved(gray(), "JPEG", icc_profile=gray_profile(1.8)), {}),
    "RGB components": (lambda: saved(RGB, "JPEG", keep_rgb=True), {}),
    "colours to be looked at": (lambda: saved(RGB, "JPEG"), {"keep_color": True}),
    "phone's previews": (lambda: saved(RGB, "MPO", save_all=True, append_images=[RGB]), {}),
    "12 bits": (lambda: PLAIN.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c"), {}),
    "arithmetic codes": (lambda: PLAIN.replace(b"\xff\xc0", b"\xff\xc9"), {}),
    "no JPEG": (lambda: saved(gray(), "PNG"), {}),
    "bytes where none belong": (lambda: PLAIN[:-2] + bytes(9) + PLAIN[-2:], {}),
}


def goes_by_lab(data: bytes, colorizer: Colorizer, **options) -> bool:
    header = reading.peek(data)
    if header is None or not luma.may_stay(header, options.get("keep_color", False)):
        return True
    return colorize_luma(data, "x.jpg", colorizer, PredictConfig(**options)) is None


@pytest.mark.parametrize("kind", OTHERS)
def test_others_go_by_lab(kind, colorizer):
    make, options = OTHERS[kind]
    assert goes_by_lab(make(), colorizer, **options)
    assert not goes_by_lab(PLAIN, colorizer, **options)  # gray has no colours to keep


def test_a_profile_that_moves_nothing_is_none(colorizer):
    # The curve of sRGB's own gray: what scanners write beside the samples that all else expects.
    levels = np.arange(256) / 255
    linear = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    table = np.rint(linear * 65535).astype(">u2").tobytes()
    profile = (
        gray_profile(1.0)[:132] + b"kTRC" + (144).to_bytes(4, "big") + (524).to_bytes(4, "big")
    )
    profile += b"curv\0\0\0\0\0\0\1\0" + table
    assert not goes_by_lab(saved(gray(), "JPEG", icc_profile=profile), colorizer)


def test_without_its_library_all_goes_by_lab(colorizer, monkeypatch):
    monkeypatch.setattr(luma, "_library", lambda: None)
    assert goes_by_lab(PLAIN, colorizer)
    assert colorize_luma(PLAIN, "x.jpg", colorizer) is None


# --- damage ------------------------------------------------------------------------------------

DAMAGED = {
    "gray": lambda: saved(gray(1, 120, 90), "JPEG"),
    "colour": lambda: saved(Image.fromarray(scene(1, 120, 90)), "JPEG"),
    "progressive": lambda: saved(gray(1, 120, 90), "JPEG", progressive=True),
    "restarts": lambda: saved(gray(1, 120, 90), "JPEG", restart_marker_rows=1),
    "on its side": lambda: tagged(6),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_judged_as_on_the_way_by_lab(kind, colorizer):
    """What this way takes is whole, and seen by the other way as it is by this one."""
    random, whole = np.random.default_rng(sum(kind.encode())), DAMAGED[kind]()
    start = whole.index(b"\xff\xda")
    broken = [whole[:cut] for cut in range(2, len(whole) - 1, max(1, len(whole) // 25))]
    broken += [whole[:cut] + b"\xff\xd9" for cut in range(start + 20, len(whole), 97)]
    for at in random.integers(2, len(whole), 60):
        bits = bytearray(whole)
        bits[at] ^= 1 << int(random.integers(8))
        broken.append(bytes(bits))
    taken = 0
    for data in broken:
        source = luma.source(data)
        if source is None:
            continue
        taken += 1
        picture = reading.decode(data).frames[0]  # raises where the other way refuses
        assert source.size == picture.gray.shape[::-1]
        if picture.gray.dtype == np.uint8:
            back = np.ascontiguousarray(source.luma)
            assert source.orientation != 1 or np.array_equal(back, picture.gray)
        done = coloured(data, colorizer)
        assert np.array_equal(luma_of(done), source.luma) or source.coded is None
    assert taken < len(broken)


def jobs(folder, out, *names) -> list[Job]:
    return [Job(Source(f"{folder}/{name}", name), f"{out}/{name}") for name in names]


def test_half_a_picture_fails_and_harms_no_other(colorizer, tmp_path):
    whole = saved(gray(1, 300, 200), "JPEG")
    (tmp_path / "a.jpg").write_bytes(whole)
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    results = list(
        predict.predict(jobs(tmp_path, tmp_path / "out", "a.jpg", "b.jpg", "c.jpg"), colorizer)
    )
    assert [r.status for r in results] == ["done", "failed", "failed"]
    for result in results[1:]:
        with pytest.raises(ImageError) as said:
            reading.decode(Path(result.input).read_bytes(), result.input)
        assert result.error == str(said.value)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.jpg"]


# --- in the pipeline ---------------------------------------------------------------------------


def test_stopping_leaves_nothing(colorizer):
    for after in range(2):
        asked = iter([False] * after + [True] * 9)
        with pytest.raises(Stopped):
            colorize_luma(PLAIN, "x.jpg", colorizer, stop=lambda asked=asked: next(asked))


def test_luma_stays_in_a_batch_and_in_photographs_too_large_for_the_other_way(
    colorizer, tmp_path, monkeypatch
):
    names = [f"{i}.jpg" for i in range(6)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(saved(gray(i), "JPEG"))
    header = reading.peek(str(tmp_path / names[0]))
    monkeypatch.setattr(predict, "available_memory", lambda: 2 * luma.need(header))
    assert luma.need(header) < header.need / 2
    stop = threading.Event()
    for result in predict.predict(jobs(tmp_path, tmp_path / "out", *names), colorizer, stop=stop):
        assert result.status == "done" and (result.width, result.height, result.frames) == (
            61,
            43,
            1,
        )
        after = Path(result.output).read_bytes()
        assert np.array_equal(luma_of(after), luma_of(Path(result.input).read_bytes()))


def test_other_formats_go_by_lab(colorizer, tmp_path):
    (tmp_path / "a.jpg").write_bytes(PLAIN)
    job = Job(Source(f"{tmp_path}/a.jpg", "a.jpg"), f"{tmp_path}/out/a.png")
    (result,) = predict.predict([job], colorizer)
    assert result.status == "done"
    rgb = np.asarray(Image.open(result.output))
    light = neutral(rgb).astype(float) / 257
    assert np.abs(light - np.asarray(gray())).mean() < 6  # of JPEG
