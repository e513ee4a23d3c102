"""One photograph: what is stored of it, and why others are left out."""

import dataclasses
import io

import numpy as np
import pytest
from conftest import scene
from PIL import Image, ImageCms

from colorcli.color import bins
from colorcli.color.lab import rgb_to_lab
from colorcli.color.tone import Colours
from colorcli.config.prepare import PrepareConfig
from colorcli.data import samples, tfrecord
from colorcli.data.samples import histogram, sample
from colorcli.imaging import reading, writing

CONFIG = PrepareConfig(size=64, min_side=40)


def stored(item) -> np.ndarray:
    features = tfrecord.features(item.record[12:-4])
    return np.asarray(Image.open(io.BytesIO(features["image"])))


def written(path, rgb, **options):
    image = rgb if isinstance(rgb, Image.Image) else Image.fromarray(rgb)
    image.save(path, **options)
    return str(path)


def toned(seed, dark, light):
    """A scene in shades from one colour to another, as sepia and cyanotype are."""
    gray = np.asarray(Image.fromarray(scene(seed, 192, 160)).convert("L"))[..., None] / 255
    return (np.array(dark) + gray * (np.array(light, float) - dark)).astype(np.uint8)


def test_a_photograph_is_shrunk_and_kept(tmp_path):
    item = sample(written(tmp_path / "a.png", scene(1, 300, 200)), CONFIG)
    assert item.dropped == "" and stored(item).shape == (64, 96, 3)
    assert tfrecord.features(item.record[12:-4])["name"] == b"a.png"
    small = sample(written(tmp_path / "b.png", scene(1, 60, 50)), CONFIG)
    assert stored(small).shape == (50, 60, 3)
    assert np.abs(stored(small).astype(int) - scene(1, 60, 50)).mean() < 3


@pytest.mark.parametrize("side", [63, 64, 65, 127, 128, 129, 700])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_every_size_keeps_its_shape_and_colours(tmp_path, side, suffix):
    rgb = np.asarray(
        Image.fromarray(scene(3)).resize((side * 3 // 2, side), Image.Resampling.BICUBIC)
    )
    item = sample(written(tmp_path / f"a.{suffix}", rgb), CONFIG)
    got = stored(item)
    assert abs(got.shape[0] - min(64, side)) == 0 and abs(got.shape[1] - got.shape[0] * 1.5) <= 1
    expected = Image.fromarray(rgb).resize(got.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(got.astype(int) - np.asarray(expected)).mean() < 6


def test_measures_agree_with_the_exact_formulas():
    rgb = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    found = Colours.of(rgb)
    ab = rgb_to_lab(rgb / 255.0)[..., 1:].reshape(-1, 2)
    assert found.chroma == pytest.approx(np.hypot(*ab.T).mean(), abs=0.1)
    assert list(found.mean) == pytest.approx(ab.mean(0).tolist(), abs=0.1)
    nearest = ((ab[:, None] - bins.centres()) ** 2).sum(-1).argmin(1)
    exact = np.bincount(nearest, minlength=len(bins.centres())) / len(ab)
    shares = samples.cells(found.lab)
    assert np.abs(histogram(shares) - exact).sum() < 0.01
    assert histogram(shares).sum() == pytest.approx(1)


def test_colours_outside_the_bins_count_for_the_nearest():
    cells = np.zeros(samples.CELLS**2)
    cells[0] = 1.0  # a = b = -110
    expected = ((bins.centres() + 110) ** 2).sum(1).argmin()
    assert histogram(cells)[expected] == 1.0


@pytest.mark.parametrize(
    ("make", "reason", "detail"),
    [
        (lambda p: written(p, Image.fromarray(scene(1)).convert("L")), "gray", "mean chroma 0.0"),
        (lambda p: written(p, toned(1, (9, 8, 8), (230, 226, 224))), "gray", "mean chroma"),
        (lambda p: written(p, toned(2, (40, 26, 13), (250, 232, 195))), "toned", "one hue, spread"),
        (lambda p: written(p, toned(3, (5, 20, 60), (215, 230, 245))), "toned", "one hue"),
        (lambda p: written(p, scene(1, 39, 90)), "small", "39×90"),
        (lambda p: p.write_bytes(b"no picture") and str(p), "broken", "not a picture"),
        (lambda p: p.write_bytes(b"") or str(p), "broken", "not a picture"),
        (lambda p: str(p.parent / "none.png"), "broken", "No such file"),
        (lambda p: str(p.parent), "broken", "directory"),
    ],
)  # fmt: skip
def test_reasons_to_leave_one_out(tmp_path, make, reason, detail):
    item = sample(make(tmp_path / "a.png"), CONFIG)
    assert (item.dropped, item.record) == (reason, b"") and detail in item.detail
    assert "\n" not in item.detail and "0x" not in item.detail


def letterboxed(seed, scale=1):
    """A scene of 3 : 2 with black bars of a sixth above and below."""
    bar = np.zeros((40 * scale, 240 * scale, 3), np.uint8)
    return np.concatenate([bar, scene(seed, 240 * scale, 160 * scale), bar])


@pytest.mark.parametrize("scale", [1, 3])
def test_bars_are_cut_off_and_the_rest_is_as_large_as_others(tmp_path, scale):
    path = written(tmp_path / "a.png", letterboxed(1, scale))
    item = sample(path, CONFIG)
    assert item.dropped == "" and "top" in item.cropped and "left" not in item.cropped
    assert item.side == 64 and abs(stored(item).shape[1] - 96) <= 3
    expected = Image.fromarray(scene(1, 240 * scale, 160 * scale)).resize(
        stored(item).shape[1::-1], Image.Resampling.BOX
    )
    assert np.abs(stored(item).astype(int) - np.asarray(expected)).mean() < 8
    kept = sample(path, dataclasses.replace(CONFIG, rims="keep"))
    assert kept.cropped == "" and stored(kept).shape == (64, 64, 3)
    left_out = sample(path, dataclasses.replace(CONFIG, rims="drop"))
    assert left_out.dropped == "rimmed" and "bars of" in left_out.detail


def test_what_a_rim_leaves_too_small_is_left_out(tmp_path):
    path = written(tmp_path / "a.png", letterboxed(1))
    item = sample(path, PrepareConfig(size=256, min_side=170))
    assert (item.dropped, item.detail[:8]) == ("small", "240×158,")


@pytest.mark.parametrize(
    ("path", "roots", "name"),
    [
        ("photos/food/a.jpg", ("photos",), "food"),
        ("photos/food/soup/a.jpg", ("photos/",), "food"),
        ("photos/a.jpg", ("photos",), "photos"),
        ("photos/food/a.jpg", (), "food"),
        ("./food/a.jpg", (".",), "food"),
        ("a.jpg", (".",), ""),
        ("/x/photos/food/a.jpg", ("/x", "/x/photos"), "food"),
        ("photographs/food/soup/a.jpg", ("photo",), "soup"),
    ],
)
def test_the_set_is_the_first_folder_below_the_root(path, roots, name):
    assert samples.set_name(path, roots) == name


@pytest.mark.parametrize("quality", [60, 75, 92])
def test_sepia_is_known_through_jpeg(tmp_path, quality):
    for seed in range(6):
        path = written(
            tmp_path / "a.jpg", toned(seed, (36, 24, 12), (248, 236, 205)), quality=quality
        )
        assert sample(path, CONFIG).dropped == "toned"


def test_one_warm_hue_is_no_sepia(tmp_path):
    """An orange of every saturation, as a sunset has, differs from a print in one ink."""
    y, x = np.mgrid[0:96, 0:128] / [[[96]], [[128]]]
    light, colour = 60 + 180 * y, x
    rgb = np.stack([light, light * (1 - 0.45 * colour), light * (1 - 0.8 * colour)], -1)
    assert sample(written(tmp_path / "a.png", rgb.astype(np.uint8)), CONFIG).dropped == ""


def test_a_cut_jpeg_is_broken(tmp_path):
    path = tmp_path / "a.jpg"
    written(path, scene(1, 300, 200))
    path.write_bytes(path.read_bytes()[:-900])
    assert sample(str(path), CONFIG).dropped == "broken"


@pytest.mark.parametrize("side", [200, 300, 600])
def test_both_readers_of_jpeg_give_the_same(tmp_path, monkeypatch, side):
    rgb = np.asarray(
        Image.fromarray(scene(3)).resize((side * 3 // 2, side), Image.Resampling.BICUBIC)
    )
    path = written(tmp_path / "a.jpg", rgb, quality=95)
    fast = stored(sample(path, CONFIG)).astype(int)
    monkeypatch.setattr(samples, "_plain_jpeg", lambda *_: None)
    slow = stored(sample(path, CONFIG)).astype(int)
    assert fast.shape == slow.shape and np.abs(fast - slow).mean() < 1.5


def test_noise_in_a_jpeg_says_nothing_on_stderr(tmp_path, capfd):
    path = tmp_path / "a.jpg"
    written(path, scene(1, 300, 200), quality=95)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    sample(str(path), CONFIG)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_orientation_is_applied(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.rot90(scene(2, 120, 80), 1)
    got = stored(sample(written(tmp_path / f"a.{suffix}", turned, exif=exif), CONFIG))
    assert got.shape == (64, 96, 3)
    expected = Image.fromarray(scene(2, 120, 80)).resize((96, 64), Image.Resampling.BOX)
    assert np.abs(got.astype(int) - np.asarray(expected)).mean() < 6


def test_a_wide_gamut_profile_is_converted(tmp_path):
    """The same numbers mean other colours under another profile; here L alone is twisted."""
    rgb, profile = scene(4, 64, 64), ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    broken = written(tmp_path / "b.png", rgb, icc_profile=b"no profile")
    assert np.abs(stored(sample(broken, CONFIG)).astype(int) - rgb).mean() < 3
    odd = written(tmp_path / "a.png", rgb, icc_profile=profile.tobytes())  # does not fit RGB
    assert np.abs(stored(sample(odd, CONFIG)).astype(int) - rgb).mean() < 3


def test_transparency_and_other_modes(tmp_path):
    image = Image.fromarray(scene(1, 80, 80))
    image.putalpha(Image.fromarray(np.where(np.mgrid[0:80, 0:80][0] < 40, 0, 255).astype(np.uint8)))
    got = stored(sample(written(tmp_path / "a.png", image), CONFIG))
    assert got[:24].min() > 240 and got[-24:].mean() < 240
    for mode, suffix in (("CMYK", "jpg"), ("P", "gif"), ("RGBA", "webp")):
        path = written(tmp_path / f"m.{suffix}", Image.fromarray(scene(1, 80, 80)).convert(mode))
        assert sample(path, CONFIG).dropped == ""
    deep = written(tmp_path / "deep.png", (scene(1)[..., 0].astype(np.uint16) * 257))
    assert sample(deep, CONFIG).dropped == "gray"


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "gif", "bmp", "jp2", "ppm"])
def test_what_we_coloured_ourselves_teaches_nothing(tmp_path, format):
    rgb = scene(6)
    page = reading.Document(format, [reading.Picture(rgb[..., 0])])
    ours = tmp_path / "ours"
    ours.write_bytes(writing.encode([(rgb, page.frames[0])], page, format))
    assert sample(str(ours), CONFIG).dropped == "colorized"
    kept = dataclasses.replace(CONFIG, keep_results=True)
    assert not sample(str(ours), kept).dropped
    theirs = written(tmp_path / "theirs.png", rgb)
    assert not sample(theirs, CONFIG).dropped
