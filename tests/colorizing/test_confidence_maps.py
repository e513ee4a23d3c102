"""Maps of confidence: what they say, where they go, and that no later run takes them for pictures."""

import io
import json

import numpy as np
import pytest
from conftest import saved, scene, tiff
from PIL import Image, ImageCms

from colorcli import Colorizer, Knobs
from colorcli.color.bins import COUNT
from colorcli.colorizing import confidence_maps
from colorcli.imaging import reading
from colorcli.imaging.tags.icc import conversion, gray_profile
from colorcli.network.decoding import confidence, distribution
from colorcli.system.errors import UsageError

GRAY = scene(3)[..., 0]


def test_confidence_is_one_less_entropy():
    logits = np.zeros((3, COUNT), np.float32)
    logits[1, 5] = 1000
    logits[2, :5] = 1000
    got = confidence(distribution(logits, np), np)
    assert np.allclose(got, [0, 1, 1 - np.log(5) / np.log(COUNT)], atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_one_run_of_the_network_gives_both(small_model, flip, monkeypatch):
    colorizer = Colorizer(small_model, Knobs(flip_average=flip, vividness=0.5))
    runs = []
    engine = type(colorizer._first.engine)
    call = engine.__call__
    monkeypatch.setattr(engine, "__call__", lambda *a: runs.append(1) or call(*a))
    found = colorizer.predicted(GRAY)
    assert len(runs) == 1 + flip
    assert np.array_equal(found.ab, colorizer.ab(GRAY))
    assert found.confidence.shape == found.ab.shape[:2]
    assert 0 <= found.confidence.min() < found.confidence.max() <= 1
    plain = Colorizer(small_model, Knobs(flip_average=flip, vividness=0)).predicted(GRAY)
    assert np.array_equal(plain.confidence, found.confidence)  # knobs do not make it surer
    if flip:
        mirrored = colorizer.predicted(np.ascontiguousarray(GRAY[:, ::-1])).confidence
        assert np.allclose(mirrored[:, ::-1], found.confidence, atol=1e-3)


def test_the_map_lies_beside_the_result_and_is_no_picture_to_colour(colorize, tmp_path):
    (tmp_path / "a.jpg").write_bytes(saved(Image.fromarray(GRAY), "JPEG"))
    command = ("predict", tmp_path / "a.jpg", "--json", "--confidence", "_sure")
    done = colorize(*command, "-o", tmp_path / "out/")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    path = tmp_path / "out" / "a_sure.png"
    assert told["confidence_map"] == str(path)
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("L", (96, 80))
        shown = np.asarray(image).astype(float) / 255
    assert 0.1 < told["confidence"] < 0.9 and shown.std() > 0
    assert told["confidence"] == pytest.approx(shown.mean(), abs=0.01)
    assert reading.peek(str(path)).result
    again = colorize(*command, "-o", tmp_path / "out/")
    assert again.returncode == 2 and b"exist" in again.stderr
    assert colorize(*command, "-o", tmp_path / "out/", "--overwrite").returncode == 0
    more = colorize("predict", tmp_path / "out", "-o", tmp_path / "twice/")
    assert b"2 earlier results left out" in more.stderr


def test_pages_make_a_tiff(colorize, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.stack([GRAY, GRAY[::-1]])))
    done = colorize(
        "predict", tmp_path / "a.tif", "--json", "--confidence", "-sure",
        "-o", tmp_path / "out/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = tmp_path / "out" / "a-sure.tif"
    assert json.loads(done.stdout)["confidence_map"] == str(path)
    document = reading.decode(path.read_bytes())
    assert [f.gray.shape for f in document.frames] == [(80, 96)] * 2
    assert not np.array_equal(document.frames[0].gray, document.frames[1].gray)
    assert reading.peek(str(path)).result
    one = colorize(
        "predict", tmp_path / "a.tif", "--confidence", tmp_path / "m.png",
        "-o", tmp_path / "two/",
    )  # fmt: skip
    assert one.returncode == 5 and b"name it .tif" in one.stderr
    assert [path.suffix for path in (tmp_path / "two").iterdir()] == [".tif"]


@pytest.mark.parametrize(("asked", "output", "word"), [
    ("one.png", "out/", "one file cannot take the maps of 2"),
    ("some/where", "out/", "neither a file"), (".", "out/", "neither a file"),
    ("", "out/", "neither a file"),
])  # fmt: skip
def test_impossible_maps_are_refused(colorize, small_model, photos, asked, output, word, tmp_path):
    done = colorize(
        "predict", photos / "photo00.png", photos / "photo01.png", "-m", small_model,
        "--confidence", asked, "-o", f"{tmp_path}/{output}",
    )  # fmt: skip
    assert done.returncode == 2 and word in done.stderr.decode(), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_map_never_replaces_its_source(colorize, small_model, tmp_path):
    source = tmp_path / "a.png"
    source.write_bytes(saved(Image.fromarray(GRAY), "PNG"))
    done = colorize(
        "predict", source, "-m", small_model, "--confidence", source, "-o", tmp_path / "b.png",
        "--overwrite",
    )  # fmt: skip
    assert done.returncode == 2 and b"both a map" in done.stderr


def test_stdout_and_a_map_in_a_file(colorize, small_model, tmp_path):
    data = saved(Image.fromarray(GRAY), "PNG")
    done = colorize(
        "predict", "-", "-m", small_model, "--confidence", tmp_path / "m.png", input=data
    )
    assert done.returncode == 0 and Image.open(io.BytesIO(done.stdout)).mode == "RGB"
    assert Image.open(tmp_path / "m.png").size == (96, 80)
    bare = colorize("predict", "-", "-m", small_model, "--confidence", "_c", input=data)
    assert bare.returncode == 2 and b"name a file" in bare.stderr


def test_a_model_without_a_distribution_cannot_tell(small_model, monkeypatch):
    colorizer = Colorizer(small_model)
    monkeypatch.setattr(colorizer._first.engine, "distribution", False)
    with pytest.raises(UsageError, match="no colour distribution"):
        colorizer.predicted(GRAY)


def test_huge_pictures_get_smaller_maps(monkeypatch):
    monkeypatch.setattr(confidence_maps, "LARGE", 1000)
    seen = confidence_maps.Seen((200, 100), np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4))
    drawn = confidence_maps.drawn(seen)
    assert drawn.shape == (45, 22) and drawn.dtype == np.uint8
    assert drawn[0, 0] == 0 and drawn[-1, -1] == 255


def test_the_gray_profile_is_one():
    profile = gray_profile()
    assert int.from_bytes(profile[:4], "big") == len(profile)
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))  # by Little CMS
    assert opened.profile.xcolor_space.strip() == "GRAY"
    levels = conversion(profile).gray(256)
    assert np.abs(levels.astype(int) - np.arange(256) * 257).max() <= 2  # it is sRGB's own curve
