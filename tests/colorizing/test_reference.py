"""Colours like those of another photograph."""

import json

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli.color.lab import neutral, rgb_to_lab
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand import likeness, reference
from colorcli.colorizing.hand.guidance import guidance
from colorcli.config.predict import HandConfig, ScansConfig
from colorcli.system.errors import UsageError

PLAIN = ScansConfig(regions="none")


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model, scans=PLAIN)


def halves(first, second):
    """A square whose left half is one stuff and whose right half another: L, shares."""
    shares = np.full((8, 8, 9), 0.01, np.float32)
    shares[:, :4, first] += 0.91
    shares[:, 4:, second] += 0.91
    return np.full((8, 8), 50, np.float32), shares


def test_what_is_alike_takes_the_error_and_what_is_not_stays():
    light, shares = halves(0, 1)
    true = np.zeros((8, 8, 2), np.float32)
    true[:, :4], true[:, 4:] = (20, 0), (0, -30)
    known = likeness.taught(true, np.zeros_like(true), light, shares)
    field = likeness.carried(known, *halves(1, 5))
    assert field[:, :4] == pytest.approx(np.broadcast_to([0, -30], (8, 4, 2)), abs=3)
    assert np.abs(field[:, 4:]).max() < 0.1  # there is no such thing in the reference
    darker = likeness.carried(known, light - 60, shares)
    assert np.abs(darker).max() < 1


def test_a_rare_thing_is_believed_less_than_a_common_one():
    light, shares = halves(0, 1)
    true = np.zeros((8, 8, 2), np.float32)
    shares[0, 0] = np.roll(shares[0, 0], 4)
    true[0, 0] = (30, 30)
    known = likeness.taught(true, np.zeros_like(true), light, shares)
    asked = np.broadcast_to(shares[0, 0], (8, 8, 9))
    assert 5 < likeness.carried(known, light, asked).min() < 20


def distance(image, truth):
    a, b = (rgb_to_lab(np.asarray(x).astype(float) / 255)[..., 1:] for x in (image, truth))
    return float(np.abs(a - b).mean())


def test_its_own_colours_bring_a_photograph_nearer_to_them(colorizer):
    truth = scene(5)  # of which the colorizer takes the gray
    alone = distance(colorizer(truth), truth)
    half = distance(colorizer(truth, reference=truth), truth)
    whole = distance(colorizer(truth, reference=truth, reference_strength=1), truth)
    assert whole < half < alone and whole < 0.85 * alone
    same = colorizer(truth, reference=truth, reference_strength=0)
    assert np.array_equal(same, colorizer(truth))


def test_a_hint_s_point_gets_its_colour_whatever_the_reference(colorizer):
    gray = np.full((80, 96), 128, np.uint8)
    gray[:, 48:] = 150
    asked = rgb_to_lab(np.array([120, 90, 60]) / 255)[1:]
    done = colorizer(gray, hints=["20,30,rgb(120,90,60)"], reference=scene(2), reference_strength=1)
    found = rgb_to_lab(done[30, 20].astype(float) / 255)[1:]
    assert np.abs(found - asked).max() < 3


def test_the_nearest_is_what_the_network_takes_for_the_same():
    known = {}
    for name, stuff in (("grass", 0), ("sand", 3), ("sea", 6)):
        light, shares = halves(stuff, stuff + 1)
        ab = np.zeros((8, 8, 2), np.float32)
        known[name] = likeness.taught(ab, ab, light, shares)
    light, shares = halves(4, 8)
    square = likeness.Square(np.zeros((8, 8, 2), np.float32), light, shares)
    assert reference.References(known).nearest(square) == "sand"


def test_of_a_folder_what_is_in_colour(colorizer, tmp_path):
    for seed in (1, 2, 3):
        Image.fromarray(scene(seed)).save(tmp_path / f"{seed}.png")
    Image.fromarray(scene(4)[..., 0]).save(tmp_path / "gray.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    known = colorizer.reference(tmp_path)
    assert sorted(known.taught) == [str(tmp_path / f"{seed}.png") for seed in (1, 2, 3)]
    gray = neutral(scene(2))
    found = colorizer(gray, reference=known)
    outright = [colorizer(gray, reference=str(path)) for path in known.taught]
    assert sum(np.array_equal(found, one) for one in outright) == 1
    same = colorizer(gray, reference=Image.fromarray(scene(2)))
    assert np.array_equal(same, outright[list(known.taught).index(str(tmp_path / "2.png"))])


def test_the_network_sees_a_picture_once_to_choose_and_to_colour(colorizer, tmp_path, monkeypatch):
    for seed in (1, 2):
        Image.fromarray(scene(seed)).save(tmp_path / f"{seed}.png")
    known, looks = colorizer.reference(tmp_path), []
    square = Colorizer._square
    monkeypatch.setattr(
        Colorizer, "_square", lambda self, *a, **k: looks.append(1) or square(self, *a, **k)
    )
    colorizer(neutral(scene(2)), reference=known)
    assert len(looks) == 1
    long = np.hstack([neutral(scene(seed)) for seed in (2, 3, 4)])
    windows = len(colorizer.view(long).windows[0])
    looks.clear()
    colorizer(long, reference=known)
    assert len(looks) == windows > 1


def test_what_cannot_be_a_reference(colorizer, tmp_path, monkeypatch):
    gray = tmp_path / "gray.png"
    Image.fromarray(scene(4)[..., 0]).save(gray)
    for given, says in (
        (gray, "is gray"), (scene(1)[..., 0], "is gray"), (tmp_path / "none.png", "none.png"),
        (tmp_path, "is gray"), ("-", "stdin"), (np.dstack([scene(1)[..., 0]] * 3), "is gray"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            colorizer.reference(given)
    with pytest.raises(UsageError, match="0 to 1"):
        colorizer(scene(1), reference=scene(1), reference_strength=1.5)
    Image.fromarray(scene(4)[..., 0]).save(tmp_path / "gray too.png")
    with pytest.raises(UsageError, match="none of its 2 photographs"):
        colorizer.reference(tmp_path)
    monkeypatch.setattr(reference, "MOST", 1)
    with pytest.raises(UsageError, match="at most 1"):
        colorizer.reference(tmp_path)


def test_a_configured_reference_is_that_of_all(small_model, tmp_path):
    path = tmp_path / "like.png"
    Image.fromarray(scene(6)).save(path)
    hand = guidance(HandConfig(reference=(str(path),), reference_strength=0.8), [])
    gray = neutral(scene(1))
    given = Colorizer(small_model, scans=PLAIN, hand=hand)(gray)
    asked = Colorizer(small_model, scans=PLAIN)(gray, reference=path, reference_strength=0.8)
    assert np.array_equal(given, asked)


def test_the_command(small_model, tmp_path, colorize):
    folder = tmp_path / "like"
    folder.mkdir()
    for seed in (1, 2):
        Image.fromarray(scene(seed)).save(folder / f"{seed}.png")
    pages = [Image.fromarray(scene(seed)[..., 0]) for seed in (1, 2)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "one.png")
    arguments = ["predict", "-m", small_model, "--regions", "none", "--json"]
    done = colorize(*arguments, tmp_path / "one.png", tmp_path / "pages.tif", "-o",
                    f"{tmp_path}/out/", "--reference", folder)  # fmt: skip
    one, several = (json.loads(line)["references"] for line in done.stdout.splitlines())
    names = [str(folder / f"{seed}.png") for seed in (1, 2)]
    assert done.returncode == 0 and len(one) == 1 and {*one, *several} <= {*names}
    refused = colorize(*arguments, tmp_path / "one.png", "--reference", tmp_path / "one.png")
    assert refused.returncode == 2 and refused.stderr.count(b"\n") == 1
    assert b"one.png: is gray" in refused.stderr
    assert not (tmp_path / "one-color.png").exists()
