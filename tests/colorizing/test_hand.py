"""What a person says of colours: text, files, strokes, sidecars; and what becomes of it."""

import io
import json

import numpy as np
import pytest
from conftest import scene, tiff
from PIL import Image

from colorcli.color.lab import rgb_to_lab
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand import files, strokes
from colorcli.colorizing.hand.guidance import Guidance, guidance
from colorcli.colorizing.hand.hint import Hint, parse, placed, timed
from colorcli.config.predict import HandConfig, ScansConfig
from colorcli.system.errors import UsageError

SIZE = 96, 80  # of scene()


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model, scans=ScansConfig(regions="none"))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(scene(3)[..., 0]).save(path)
    return path


def stroke(path, size=SIZE, lines=(((10, 20, 40, 24), (200, 30, 30)),)):
    rgba = np.zeros((size[1], size[0], 4), np.uint8)
    for (left, top, right, bottom), colour in lines:
        rgba[top:bottom, left:right] = (*colour, 255)
    Image.fromarray(rgba).save(path)
    return path


@pytest.mark.parametrize(("text", "x", "y", "colour"), [
    ("12,8,red", 12.5, 8.5, "red"), ("1,1,#7a4b2c", 1.5, 1.5, "#7a4b2c"),
    ("1.0,1.0,red", 95.5, 79.5, "red"), ("0.5,0.25,skyblue", 48.5, 20.5, "skyblue"),
    ("0,0.5,red", 0.5, 40.5, "red"), ("12.75,8,rgb(1, 2, 3)", 12.5, 8.5, "rgb(1, 2, 3)"),
    (" 3 , 4 , rgb(1 2 3) ", 3.5, 4.5, "rgb(1 2 3)"), ("0,0,neutral", 0.5, 0.5, "neutral"),
])  # fmt: skip
def test_how_a_hint_is_read(text, x, y, colour):
    (known,) = placed([text], SIZE)
    assert (known.x, known.y, known.colour) == (x, y, colour)
    assert tuple(files.Asked((parse(text),)).hints) == (parse(text),)


def test_pages_radius_and_the_words_that_are_no_colour():
    hint = parse("2:10,20,rgb(9,9,9),5")
    assert (hint.page, hint.radius, hint.colour) == (2, 5.0, "rgb(9,9,9)")
    dab = [(k.x, k.y) for k in hint.placed(SIZE)]
    assert len(dab) == 7 and all(np.hypot(x - 10.5, y - 20.5) < 5 for x, y in dab)
    assert len([*parse("0,0,red,6").placed(SIZE)]) < 7  # none outside
    (neutral,), (keep,) = placed(["1,2,neutral"], SIZE), placed(["1,2,keep"], SIZE)
    assert neutral.ab == (0, 0) and keep.ab is None
    (red,) = placed([(0.5, 0.5, "red")], SIZE)
    assert red.ab == pytest.approx(rgb_to_lab(np.array([1.0, 0, 0]))[1:])


@pytest.mark.parametrize(("text", "time", "page"), [
    ("12.5s:3,4,red", 12.5, None), ("0s:3,4,red", 0, None), ("1:02.5:3,4,red", 62.5, None),
    ("1:00:02:3,4,red", 3602, None), ("2:3,4,red", None, 2), ("3,4,red", None, None),
])  # fmt: skip
def test_moments_of_a_film(text, time, page):
    hint = parse(text)
    assert (hint.time, hint.page, hint.x, hint.y) == (time, page, 3, 4)
    (known,) = hint.placed(SIZE)
    assert known.told().get("t") == time
    if time is not None:
        with pytest.raises(UsageError, match="a photograph has no times"):
            placed([text], SIZE)


def test_a_time_before_a_file_is_its_own():
    assert timed("1:02=still.png") == (62, "still.png")
    assert timed("3.5s=a=b.png") == (3.5, "a=b.png")
    assert timed("./3s=a.png") == (None, "./3s=a.png") and timed("b=c.png") == (None, "b=c.png")


@pytest.mark.parametrize(("name", "text"), [
    ("a.csv", "t,x,y,colour\n2.5,1,2,red\n1:02,1,2,\"rgb(1,2,3)\"\n,3,4,blue\n"),
    ("a.csv", "x,y,colour,radius,t\n1,2,red,,2.5\n1,2,rgb(1,2,3),0,0:01:02\n3,4,blue,0,\n"),
    ("a.csv", "2.5s:1,2,red\n1:02:1,2,rgb(1,2,3)\n3,4,blue\n"),
    ("a.json", '[{"t": 2.5, "x": 1, "y": 2, "colour": "red"}, "62s:1,2,rgb(1,2,3)", [3, 4, "blue"]]'),
])  # fmt: skip
def test_files_say_when(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = files.read(str(tmp_path / name))
    told = [(h.time, h.x, h.colour) for h in found.hints]
    assert told == [(2.5, 1, "red"), (62, 1, "rgb(1,2,3)"), (None, 3, "blue")]
    assert [h.time for h in found.at(7.0).hints] == [2.5, 62, 7]
    with pytest.raises(
        UsageError, match=rf"{name}, .* 1: a photograph has no times|line [12]: a ph"
    ):
        found.check_still()


@pytest.mark.parametrize(("config", "says"), [
    (HandConfig(hints="3s=no.csv"), "no.csv: no hints can be read"),
    (HandConfig(reference=("a.png", "b.png")), "--reference b.png: one is given already"),
    (HandConfig(reference=("3s=.",)), "a moment is like one photograph; give a file"),
])  # fmt: skip
def test_what_cannot_be_of_a_film(config, says):
    with pytest.raises(UsageError) as caught:
        guidance(config, ["a.mkv"])
    assert says in str(caught.value)


def test_a_moment_is_of_one_film(tmp_path):
    names = [str(tmp_path / name) for name in ("a/1.png", "a/2.png")]
    for config in (HandConfig(hint=("3s:1,1,red",)), HandConfig(reference=("3s=b.png",))):
        with pytest.raises(UsageError, match="of one film, not of 2|one photograph, not 2"):
            guidance(config, names)
        assert guidance(config, names, frames=True).strength == 0.5  # one film's
        with pytest.raises(UsageError, match="one film, not of 2|one film, not 2"):
            guidance(config, [*names, str(tmp_path / "b" / "1.png")], frames=True)


@pytest.mark.parametrize(("text", "says"), [
    ("12,8", "not a hint; give"), ("-3s:1,2,red", "not a hint; give"), ("3s:2:1,2,red", "not a hint"), ("12,8,bleu", "did you mean blue?"), ("x,8,red", "not a hint"),
    ("1,2,#12", "unknown colour '#12'; give #7a4b2c"), ("0:1,2,red", "pages are counted from 1"),
    ("1,2,red,blue", "not a hint"), ("1,2,red,-3", "a radius of -3"), ("", "not a hint"),
])  # fmt: skip
def test_a_hint_that_is_none(text, says):
    with pytest.raises(UsageError, match="^--hint ") as caught:
        parse(text)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["96,10,red", "-1,3,red", "10,80,red", "500,1,red", "-0.1,0.5,red"]
)
def test_a_hint_outside(text):
    with pytest.raises(UsageError, match=r"outside of the picture's 96 x 80 pixels; .* 95,79"):
        placed([text], SIZE)


CSV = '﻿x,y,colour,radius\n# the dress\n10,20,blue\n0.5,0.5,"rgb(1,2,3)",4\n2:1,1,neutral\n'
JSON = [
    {"x": 10, "y": 20, "colour": "blue"}, [0.5, 0.5, "rgb(1,2,3)", 4], "2:1,1,neutral",
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [
    ("a.csv", CSV), ("a.json", json.dumps(JSON)), ("a.json", json.dumps({"hints": JSON})),
])  # fmt: skip
def test_files_say_the_same(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    told = [(h.x, h.y, h.colour, h.radius, h.page, h.fraction) for h in files.read(str(path)).hints]
    assert told == [
        (10, 20, "blue", 0, None, False), (0.5, 0.5, "rgb(1,2,3)", 4, None, True),
        (1, 1, "neutral", 0, 2, False),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "says"), [
    ("a.csv", b"1,2,red\n" * 1001, "1001 hints; give 1000 at most"),
    ("a.csv", b"1,2,red\n1,2,rot\n", "line 2: unknown colour 'rot'"), ("a.csv", b"", "no hints in it"),
    ("a.csv", b"x,y,radius\n", "its columns are"), ("a.json", b"{", "no hints can be read"),
    ("a.json", b"{}", "give a list of hints"), ("a.json", b'[{"x": 1, "z": 2}]', "unknown key z"),
    ("a.json", b'[{"x": 1, "y": true, "colour": "red"}]', "hint 1: needs numbers"),
    ("a.json", b"[3]", "hint 1: not a hint"), ("a.png", b"no", "no hints can be read"),
    ("a.txt", b"1,2,red", "give .json, .csv, .png"), ("none.csv", None, "No such file"),
    ("a.csv", b"\xff\xfe1", "no hints can be read"), ("a.csv", b"x,t,y,colour\n", "its columns are"),
    ("a.csv", b"t,x,y,colour\nsoon,1,2,red\n", "line 2: soon is no time; give seconds"),
    ("a.json", b'[{"x": 1, "y": 1, "t": -1, "colour": "red"}]', "hint 1: -1 is no time"),
    ("a.json", b'[{"x": NaN, "y": 1, "colour": "red"}]', "hint 1: needs numbers"),
    ("a.json", b'[[1, 1e999, "red"]]', "hint 1: needs numbers"),
    ("a.json", b"[" * 100_000, "no hints can be read"),
])  # fmt: skip
def test_a_file_that_holds_none(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        files.read(str(path))
    assert str(caught.value).startswith(str(path)) and says in str(caught.value)


@pytest.mark.parametrize("suffix", files.READERS)
def test_a_device_is_no_file_of_hints(tmp_path, suffix):
    path = tmp_path / f"endless{suffix}"
    path.symlink_to("/dev/zero")
    with pytest.raises(UsageError, match=f"{path}: no hints can be read .a device, no file"):
        files.read(str(path))


def test_strokes_become_a_few_points_on_them(tmp_path):
    lines = (((5, 10, 90, 16), (200, 30, 30)), ((40, 40, 46, 75), (20, 60, 180)))
    asked = files.read(str(stroke(tmp_path / "s.png", lines=lines)))
    assert asked.size == SIZE and 4 <= len(asked.hints) <= strokes.MOST
    for hint in asked.hints:
        ((left, top, right, bottom),) = [
            box for box, rgb in lines if hint.colour == "#{:02x}{:02x}{:02x}".format(*rgb)
        ]
        assert left <= hint.x < right and top <= hint.y < bottom
    assert {h.colour for h in asked.hints} == {"#c81e1e", "#143cb4"}


def test_a_painted_surface_is_bounded_and_nothing_painted_is_refused(tmp_path):
    all_over = stroke(tmp_path / "s.png", (640, 480), (((0, 0, 640, 480), (9, 99, 9)),))
    assert 10 <= len(files.read(str(all_over)).hints) <= strokes.MOST
    for image, says in ((Image.new("RGBA", SIZE), "nothing is painted"), (Image.new("RGB", SIZE), "no transparency")):  # fmt: skip
        image.save(tmp_path / "n.png")
        with pytest.raises(UsageError, match=says):
            files.read(str(tmp_path / "n.png"))


def test_hints_are_checked_before_any_work(photo, tmp_path):
    other = stroke(tmp_path / "s.png", (80, 96))
    for config, says in (
        (HandConfig(hints=str(other)), "80 x 96 pixels, the picture upright 96 x 80"),
        (HandConfig(hint=("96,1,red",)), "outside"), (HandConfig(hint=("2:6,1,red",)), "no page 2"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            guidance(config, [str(photo)])
    with pytest.raises(UsageError, match="for one photograph, not 2; write NAME.hints.csv"):
        guidance(HandConfig(hint=("1,1,red",)), ["a.jpg", "b.jpg"])


def test_the_upright_picture_s_pixels_count(tmp_path, colorizer):
    path, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene(3)[..., 0]).save(path, exif=exif)
    guidance(HandConfig(hint=("79,95,red",)), [str(path)])
    with pytest.raises(UsageError, match="80 x 96"):
        guidance(HandConfig(hint=("95,79,red",)), [str(path)])


def ab_at(image, x, y):
    return rgb_to_lab(np.asarray(image).astype(float) / 255)[y, x, 1:]


@pytest.mark.parametrize("passes", [1, 5])
def test_a_point_gets_its_colour(small_model, passes):
    colorizer = Colorizer(small_model, scans=ScansConfig(regions="none", passes=passes))
    gray = np.full((80, 96), 128, np.uint8)
    gray[:, 48:] = 150
    asked = rgb_to_lab(np.array([120, 90, 60]) / 255)[1:]
    coloured = colorizer(gray, hints=["20,30,rgb(120,90,60)", (70, 50, "neutral")])
    assert np.abs(ab_at(coloured, 20, 30) - asked).max() < 3
    assert np.abs(ab_at(coloured, 70, 50)).max() < 3
    assert np.abs(ab_at(colorizer(gray), 20, 30) - asked).max() > 3


def test_without_hints_nothing_is_different(colorizer):
    gray = scene(2)[..., 0]
    image = Image.fromarray(gray)
    assert np.array_equal(colorizer(gray), colorizer(gray, hints=[]))
    with pytest.raises(UsageError, match="outside"):
        colorizer(image, hints=["96,1,red"])
    hinted = colorizer(image, hints=[Hint(20, 20, "blue")])
    assert not np.array_equal(np.asarray(hinted), colorizer(gray))


def test_a_page_has_its_own_hints(small_model, tmp_path, colorize):
    path = tmp_path / "pages.tif"
    gray = [Image.fromarray(scene(i)[..., 0]) for i in range(3)]
    gray[0].save(path, save_all=True, append_images=gray[1:])
    arguments = ["predict", "-m", small_model, "--regions", "none", "--json", path, "--overwrite"]
    plain, done = tmp_path / "plain.tif", tmp_path / "done.tif"
    colorize(*arguments, "-o", plain)
    told = colorize(*arguments, "-o", done, "--hint", "2:20,20,blue")
    (record,) = [json.loads(line) for line in told.stdout.splitlines()]
    assert record["hints"] == [{"x": 20, "y": 20, "colour": "blue", "page": 2}]
    with Image.open(plain) as before, Image.open(done) as after:
        same = []
        for page in range(3):
            before.seek(page), after.seek(page)
            same.append(np.array_equal(np.asarray(before), np.asarray(after)))
    assert same == [True, False, True]
    beyond = colorize(*arguments, "-o", done, "--hint", "4:20,20,blue")
    assert beyond.returncode != 0 and b"no page 4" in beyond.stderr


def test_a_batch_with_sidecars(small_model, tmp_path, colorize):
    for name in ("a", "b", "c"):
        Image.fromarray(scene(3)[..., 0]).save(tmp_path / f"{name}.png")
    (tmp_path / "a.hints.csv").write_text("20,20,blue\n")
    stroke(tmp_path / "b.png.hints.png")
    arguments = ["predict", "-m", small_model, "--json", "--sidecars", tmp_path, "-o"]
    done = colorize(*arguments, f"{tmp_path}/out/")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [r["input"].rpartition("/")[2] for r in records] == ["a.png", "b.png", "c.png"]
    counts = [len(r["hints"] or ()) for r in records]
    assert counts[0] == 1 and 2 <= counts[1] <= 10 and counts[2] == 0
    stroke(tmp_path / "a.hints.png")
    twice = colorize(*arguments, f"{tmp_path}/other/")
    assert twice.returncode == 2 and b"two files of hints" in twice.stderr
    assert not (tmp_path / "other").exists()


def test_the_command_says_what_is_wrong_before_any_work(small_model, photo, colorize):
    for hint, says in (("20,20,bleu", "did you mean blue?"), ("96,0,red", "outside")):
        done = colorize("predict", "-m", small_model, photo, "--hint", hint)
        assert done.returncode == 2 and says in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1 and not photo.with_name("photo-color.png").exists()


def test_a_colour_much_lighter_is_told_once(small_model, tmp_path, colorize):
    path = tmp_path / "dark.png"
    Image.fromarray(np.full((80, 96), 30, np.uint8)).save(path)
    done = colorize(
        "predict", "-m", small_model, path, "--hint", "9,9,yellow", "--hint", "40,9,white"
    )
    (note,) = [line for line in done.stderr.decode().splitlines() if "is lighter than" in line]
    assert "yellow is lighter than the photograph at 9,9" in note and "lightness stays" in note


def test_strips_take_hints(small_model, colorize, tmp_path, monkeypatch):
    pytest.importorskip("pyvips")
    from colorcli.colorizing.encoded.photograph import colorize_bytes
    from colorcli.colorizing.encoded.strips import colorize_strips
    from colorcli.imaging import reading
    from colorcli.imaging.large.photograph import Photograph

    path = tmp_path / "large.tif"
    path.write_bytes(tiff(np.kron(scene(3)[..., 0], np.ones((8, 8), np.uint8))))
    hand = Guidance((files.Asked((parse("100,100,blue"),)),))
    colorizer = Colorizer(small_model, scans=ScansConfig(regions="none"), hand=hand)
    whole, told = colorize_bytes(path.read_bytes(), "large.tif", colorizer, "png")
    file = io.BytesIO()
    photograph = Photograph(str(path), reading.peek(str(path)), "large.tif")
    strips = colorize_strips(photograph, file, colorizer, "png")
    assert strips.hints == told.hints == [{"x": 100, "y": 100, "colour": "blue"}]
    one, other = (np.asarray(Image.open(io.BytesIO(d))) for d in (whole, file.getvalue()))
    assert np.abs(one.astype(int) - other).max() <= 2
