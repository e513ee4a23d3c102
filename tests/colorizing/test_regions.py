"""Scans: photographs found in them, seen by themselves, put together, split, told and given back."""

import json
import os
import sys

import cv2
import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli.cli import main
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.scans import byproducts, fitting, negatives, quads, touching
from colorcli.colorizing.scans.background import sheets
from colorcli.colorizing.scans.explaining import explained
from colorcli.colorizing.scans.finding import find
from colorcli.colorizing.scans.quads import Region
from colorcli.colorizing.scans.records import Given, record
from colorcli.colorizing.scans.windows import View, Window, joined, whole, windows
from colorcli.config.predict import PredictConfig, ScansConfig
from colorcli.system.atomic import write_atomic
from colorcli.system.errors import DataError, UsageError
from colorcli.system.files import delivery
from colorcli.system.files.inputs import Source


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


def photograph(seed: int, width: int = 180, height: int = 130) -> np.ndarray:
    """Gray (H, W) uint8 with detail to its edges."""
    gray = cv2.cvtColor(scene(seed, width, height), cv2.COLOR_RGB2GRAY)
    random = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(random.normal(0, 1, gray.shape), (0, 0), 6)
    return np.clip(gray * 0.5 + 64 + 50 * rough / rough.std(), 20, 225).astype(np.uint8)


def laid(sheet: np.ndarray, gray: np.ndarray, middle: tuple[float, float], angle: float = 0.0):
    """Lay a photograph on a sheet; its corners."""
    height, width = gray.shape
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1), [0, 0, 1]])
    map = (
        np.array([[1, 0, middle[0] - width / 2], [0, 1, middle[1] - height / 2], [0, 0, 1]]) @ turn
    )
    size = sheet.shape[::-1]
    share = cv2.warpPerspective(np.ones(gray.shape), quads.centred(map), size)
    over = cv2.warpPerspective(gray, quads.centred(map), size, borderMode=cv2.BORDER_REPLICATE)
    sheet[:] = np.rint(sheet * (1 - share) + over * share)
    return quads.moved(quads.box(width, height), map)


def paper(tone: float, height: int, width: int, grain: float = 0.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, grain, (height, width)) if grain else 0
    return np.clip(np.full((height, width), tone) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_a_photograph_is_no_scan(seed):
    assert find(photograph(seed)) == ()


@pytest.mark.parametrize(("tone", "grain"), [(255, 0), (0, 0), (128, 0), (225, 3), (40, 3)])
@pytest.mark.parametrize(
    "sides", [(16, 16, 16, 16), (40, 40, 0, 0), (0, 0, 40, 40), (12, 60, 12, 12)]
)
def test_rims_and_bars_are_found(tone, grain, sides):
    gray = photograph(1)
    top, bottom, left, right = sides
    height, width = gray.shape
    sheet = paper(tone, height + top + bottom, width + left + right, grain)
    sheet[top : top + height, left : left + width] = gray
    (found,) = find(sheet)
    assert quads.overlap(found.corners, quads.box(width, height) + (left, top)) > 0.97
    assert abs(found.angle) < 0.6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_print_askew_with_a_rim_on_a_lid(dtype):
    gray = photograph(2)
    framed = cv2.copyMakeBorder(gray, 10, 10, 10, 10, cv2.BORDER_CONSTANT, value=240)
    sheet = paper(8, 260, 320, 1)
    corners = laid(sheet, framed, (150, 130), 3.0)
    inner = quads.grown(corners, -10)
    scanned = sheet if dtype == np.uint8 else sheet.astype(np.uint16) * 257
    (found,) = find(scanned)
    assert quads.overlap(found.corners, inner) > 0.96
    assert found.angle == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize(("tone", "grain"), [(252, 1), (10, 1), (38, 4), (120, 4), (222, 3)])
def test_several_on_a_page_in_reading_order(tone, grain):
    sheet = paper(tone, 460, 640, grain)
    places = [((150, 120), -2.0), ((470, 110), 1.5), ((160, 330), 2.5), ((460, 340), -1.0)]
    truth = [laid(sheet, photograph(i), middle, angle) for i, (middle, angle) in enumerate(places)]
    cv2.putText(sheet, "anno 1927", (380, 440), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 90, 1)
    found = find(sheet)
    assert len(found) == 4
    for region, corners in zip(found, truth, strict=True):
        assert quads.overlap(region.corners, corners) > 0.96


def test_a_copy_with_other_pixels_finds_the_same():
    sheet = paper(255, 200, 300)
    truth = laid(sheet, photograph(0), (150, 100))
    squeezed = cv2.resize(sheet, (150, 200), interpolation=cv2.INTER_AREA)
    (found,) = find(squeezed, (3000, 2000))
    assert quads.overlap(found.corners, truth * 10) > 0.95


def test_touching_photographs_are_parted_where_they_meet():
    one, other = photograph(3, 200, 224), photograph(4, 190, 224)
    other = 255 - other
    both = np.hstack([one, other])
    parts = touching.parts(both, np.ones(both.shape, bool))
    assert len(parts) == 2 and parts[0][1, 0] == pytest.approx(200, abs=3)


STRANGE = {
    "blank": np.full((300, 200), 255, np.uint8),
    "black": np.zeros((300, 200), np.uint8),
    "a pixel": np.pad(np.full((1, 1), 255, np.uint8), 100),
    "a line": np.full((1, 5000), 90, np.uint8),
    "a column": np.arange(5000, dtype=np.uint16)[:, None],
    "one pixel": np.full((1, 1), 90, np.uint8),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_scan_of_photographs_is_left_whole(name, colorizer):
    gray = STRANGE[name]
    assert find(gray) == ()
    assert colorizer.colorize(gray).shape == (*gray.shape, 3)


def test_a_page_of_text_holds_no_photograph():
    sheet = paper(250, 700, 500)
    for y in range(60, 640, 22):
        text = "the quick brown fox jumps over the lazy dog"
        cv2.putText(sheet, text, (50, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 30, 1)
    assert find(sheet) == ()


def test_forty_passport_photographs():
    sheet = paper(253, 1400, 1000)
    for i in range(40):
        laid(sheet, photograph(i % 7, 100, 130), (110 + 190 * (i % 5), 100 + 170 * (i // 5)))
    assert len(find(sheet)) == 40


def test_a_photograph_of_a_photograph_is_one_frame_at_most():
    outer = photograph(4, 480, 360)
    framed = cv2.copyMakeBorder(photograph(5), 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=235)
    laid(outer, framed, (240, 180), 6.0)
    assert len(find(outer)) <= 1


def test_points_on_a_line_are_no_oval():
    line = np.stack([np.arange(40), np.full(40, 7)], axis=1)[:, None].astype(np.int32)
    assert fitting._ellipse(line.astype(np.float32) + 0.5) is None


def test_photographs_beside_a_fold_are_found():
    sheet = paper(205, 400, 620, 2)
    places = [(150, 110), (480, 110), (150, 300), (480, 300)]
    places = [(x + (46 if x < 300 else -60), y) for x, y in places]  # nearly in its shadow
    x = (np.arange(620) - 308) / 10
    sheet[:] = sheet * (1 - 0.45 * np.exp(-x * x / 2))
    for i, middle in enumerate(places):
        laid(sheet, photograph(i), middle, 1.0)
    assert len(find(sheet)) == 4


def test_a_horizon_in_a_rim_parts_no_photograph():
    sheet = paper(60, 420, 640, 1)
    sky = np.tile(np.linspace(200, 225, 90)[:, None], (1, 180))
    sea = 60 + 12 * np.random.default_rng(0).random((50, 180))
    for middle in ((160, 200), (470, 200)):
        scene = np.vstack([sky, sea]).astype(np.uint8)
        framed = cv2.copyMakeBorder(scene, 9, 9, 9, 9, cv2.BORDER_CONSTANT, value=242)
        laid(sheet, framed, middle, 1.5)
    assert len(find(sheet)) == 2


def test_a_rim_is_as_wide_where_the_sky_is_as_light():
    gray = photograph(2, 240, 180)
    gray[:25] = 236  # on paper of 240, with grain
    sheet = paper(240, 200, 260, 1)
    sheet[10:190, 10:250] = gray
    found = fitting.within(next(sheets(sheet)))
    assert quads.overlap(found.corners, quads.box(240, 180) + 10) > 0.97


def test_prints_that_touch_lose_the_rims_between_them():
    one, other = photograph(3, 220, 160), photograph(4, 220, 160)
    prints = [
        cv2.copyMakeBorder(g, 9, 9, 9, 9, cv2.BORDER_CONSTANT, value=240) for g in (one, other)
    ]
    both = np.hstack([prints[0], np.full((178, 1), 120, np.uint8), prints[1]])
    sheet = paper(6, 300, 560, 1)
    sheet[60:238, 40 : 40 + both.shape[1]] = both
    found = find(sheet)
    truth = [quads.box(220, 160) + (49 + x, 69) for x in (0, 239)]
    assert len(found) == 2
    for region, corners in zip(found, truth, strict=True):
        assert quads.overlap(region.corners, corners) > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_a_horizon_parts_no_photograph_of_usual_shape(seed):
    random = np.random.default_rng(seed)
    sky = np.linspace(120, 150, 100)[:, None] + random.normal(0, 3, (100, 224))
    sea = 100 + random.normal(0, 6, (120, 224))
    gray = np.vstack([sky, sea]).clip(0, 255).astype(np.uint8)
    assert len(touching.parts(gray, np.ones(gray.shape, bool))) == 1


def test_an_oval_larger_than_the_picture_is_none():
    y, x = np.mgrid[:224, :299]
    shore = (((x - 150) / 172) ** 2 + ((y - 112) / 100) ** 2 < 1).astype(np.uint8)
    gray = np.where(shore, photograph(1, 299, 224), 230).astype(np.uint8)
    assert not any(region.oval for region in find(gray))


# --- windows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height", "passes", "count"), [
    (100, 80, 0, 1), (100, 80, 1, 1), (200, 100, 0, 4), (300, 100, 0, 5), (100, 300, 0, 5),
    (5000, 1, 0, 13), (100, 80, 5, 5), (100, 80, 10, 10), (300, 100, 1, 1), (100, 80, 3, 3),
])  # fmt: skip
def test_the_squares_of_a_photograph(width, height, passes, count):
    found = windows(quads.box(width, height), 0, passes)
    assert len(found) == count and not any(found[0].open)
    for window in found:
        assert window.corners.min() >= -1e-6
        assert (window.corners <= np.array([width, height]) + 1e-6).all()
    ends = [quads.moved(w.corners, w.to_square(64)) for w in found]
    assert all(np.allclose(e, quads.box(64, 64), atol=1e-2) for e in ends)


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_equal_chroma_joins_without_a_seam_and_leaves_the_rim_neutral(turned):
    region = Region(quads.box(300, 90) + (50, 30), turned=turned)
    seen = windows(region.corners, turned, 0)
    view = View((400, 150), np.zeros((150, 400), np.uint8), (region,), (seen,))
    ab = np.full((8, 8, 2), (20.0, -30.0), np.float32)
    found = joined(view, [[ab] * len(seen)])
    scale = found.shape[1] / 400
    inside = found[int(36 * scale) : int(112 * scale), int(56 * scale) : int(342 * scale)]
    assert np.abs(inside - (20, -30)).max() < 1e-3
    assert not found[: int(26 * scale)].any() and not found[:, : int(46 * scale)].any()


def test_a_turned_window_is_seen_upright_and_joined_back():
    gray = photograph(5, 64, 64)
    seen = windows(quads.box(64, 64), 90, 1)[0]
    assert (
        np.abs(
            quads.straightened(gray, seen.corners, (64, 64)).astype(int) - np.rot90(gray, -1)
        ).max()
        < 2
    )
    region = Region(quads.box(64, 64), turned=90)
    view = View((64, 64), gray, (region,), ((seen,),))
    light = np.rot90(gray, -1).astype(np.float32)
    back = joined(view, [[np.dstack([light, light])]])
    assert np.abs(back[4:-4, 4:-4, 0] - gray[4:-4, 4:-4]).max() < 3


def test_an_oval_leaves_its_corners_neutral():
    region = Region(quads.box(100, 80), oval=True)
    view = View((100, 80), np.zeros((80, 100), np.uint8), (region,), ((Window(region.corners),),))
    found = joined(view, [[np.full((8, 8, 2), 9, np.float32)]])
    assert found[40, 50, 0] == pytest.approx(9) and found[2, 2, 0] == 0


def test_a_rim_stays_neutral_unless_told_otherwise(small_model):
    sheet = paper(200, 190, 240)
    sheet[30:160, 30:210] = photograph(1)
    bare = Colorizer(small_model).colorize(sheet)
    assert np.ptp(bare[:20].astype(int), axis=2).max() == 0
    assert np.ptp(bare[50:140, 50:190].astype(int), axis=2).max() > 0
    coloured = Colorizer(small_model, scans=ScansConfig(color_border=True)).colorize(sheet)
    assert np.ptp(coloured[:20].astype(int), axis=2).max() > 0
    whole = Colorizer(small_model, scans=ScansConfig(regions="none"))
    assert whole.view(sheet).plain


def test_nothing_found_is_shown_as_it_always_was(small_model):
    gray = photograph(1)
    plain = Colorizer(small_model, scans=ScansConfig(regions="none", passes=1))
    assert np.array_equal(Colorizer(small_model).colorize(gray), plain.colorize(gray))


# --- negatives -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_negative_becomes_a_positive(dtype):
    most = np.iinfo(dtype).max
    scene_light = (photograph(6) / 255.0) ** 2.2
    density = 0.2 + 1.2 * (np.log10(scene_light) - np.log10(scene_light.min()))
    through = (10 ** -(density / 2)) ** (1 / 2.2)
    negative = np.rint(through * most).astype(dtype)
    back = negatives.positive(negative)(negative)
    assert back.dtype == dtype
    assert np.corrcoef(back.ravel(), photograph(6).ravel())[0, 1] > 0.97
    assert np.ptp(back) > 0.6 * most


def test_a_blank_negative_stays_blank():
    gray = np.full((40, 40), 120, np.uint8)
    assert np.ptp(negatives.positive(gray)(gray)) == 0


# --- records, pictures of what was seen ------------------------------------------------------------

CORNERS = [[10, 10], [90, 12], [88, 60], [9, 58]]


def test_what_is_told_can_be_given_back(tmp_path):
    region = Region(np.array(CORNERS, float), oval=True)
    file = tmp_path / "regions.json"
    file.write_text(json.dumps([record(region)]))
    (given,) = Given(str(file)).of("any.jpg", (100, 80))
    assert given.oval and np.allclose(given.corners, CORNERS)
    lines = [{"input": "a/x.jpg", "regions": [record(region)]}, {"input": "a/y.jpg", "regions": []}]
    file.write_text("\n".join(map(json.dumps, lines)))
    many = Given(str(file))
    assert len(many.of("b/x.jpg", (100, 80))) == 1 and many.of("a/y.jpg", (100, 80)) == ()
    assert many.of("z.jpg", (100, 80)) is None


@pytest.mark.parametrize(("text", "words"), [
    ("{", "regions"), ('[{"corners": [[0, 0]]}]', "four pairs"), ("[3]", "regions"),
    ('[{"corners": [[0,0],[1,9],[9,0],[9,9]]}]', "clockwise"), ('[{"corner": 1}]', "input"),
    ('[{"corners": [[0,0],[9,0],[9,9],[0,9]], "turned": 45}]', "turned"),
])  # fmt: skip
def test_bad_regions_are_refused_in_one_line(text, words, tmp_path):
    file = tmp_path / "r.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        Given(str(file))
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_regions_outside_of_the_picture_are_refused(tmp_path):
    file = tmp_path / "r.json"
    file.write_text(json.dumps([{"corners": CORNERS}]))
    with pytest.raises(UsageError, match="lies outside"):
        Given(str(file)).of("x.jpg", (30, 20))
    with pytest.raises(UsageError, match="give auto, none or a file"):
        Given(str(tmp_path / "missing.json"))
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="endless.json: a device, no file; give auto"):
        Given(str(tmp_path / "endless.json"))
    file.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="recursion"):
        Given(str(file))


def test_what_was_seen_is_drawn():
    gray = photograph(0, 300, 200)
    region = Region(quads.box(200, 100) + 40)
    view = View((300, 200), gray, (region,), (windows(region.corners, 0, 0),))
    sheet = explained(view)
    assert sheet.shape == (200, 300, 3)
    red = (sheet[..., 0] > 200) & (sheet[..., 1] < 120) & (sheet[..., 2] < 120)
    assert red[38:44, 60:220].any() and not red[:30].any()
    assert sheet[5, 5].max() < 0.7 * gray[5, 5]


# --- the command -----------------------------------------------------------------------------------


def page() -> np.ndarray:
    sheet = paper(250, 300, 460)
    laid(sheet, photograph(0), (120, 150), 2.0)
    laid(sheet, photograph(1), (340, 150))
    return sheet


@pytest.mark.parametrize(
    ("explain", "code", "words"),
    [
        ("a.png", 2, "both a sheet of --explain and a picture"),
        (".", 2, "both a sheet of --explain and a picture"),
        ("o.png", 2, "both a sheet of --explain and a picture"),
        ("other.png", 3, "exists, and is no sheet of --explain; move it away"),
        ("a.png/below", 2, "a.png is a file, not a folder; choose another name"),
    ],
)
def test_sheets_replace_sheets_alone(colorize, small_model, tmp_path, explain, code, words):
    for name in ("a.png", "other.png"):
        Image.fromarray(photograph(1)).save(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = colorize(
        "predict", "a.png", "-m", small_model, "-o", "o.png", "--explain", explain, "-q",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == code and words in done.stderr.decode()
    assert all(path.read_bytes() == data for path, data in before.items())


@pytest.mark.parametrize("option", [["--explain", "sheet.png"], ["--confidence", "_sure"]])
def test_a_full_disk_beside_costs_no_result(small_model, tmp_path, option, monkeypatch, capfd):
    Image.fromarray(photograph(1)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)

    def full(path, data):
        if path != "o.png":
            raise DataError(f"{path}: cannot be written: No space left on device; make room")
        write_atomic(path, data)

    monkeypatch.setattr(delivery, "write_atomic", full)
    arguments = ["predict", "a.png", "-m", str(small_model), "-o", "o.png", *option]
    monkeypatch.setattr(sys, "argv", ["colorize", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    said = capfd.readouterr().err.splitlines()
    assert code == 5 and "a.png: coloured, but" in said[0] and "No space left" in said[0]
    assert said[1].startswith("colorize: 1 coloured, 1 of them without all that was asked for")
    assert Image.open("o.png").mode == "RGB" and sorted(os.listdir()) == ["a.png", "o.png"]


def test_sheets_are_made_anew(tmp_path):
    beside = byproducts.Byproducts(PredictConfig(scans=ScansConfig(explain=tmp_path / "seen")))
    beside.see(whole(photograph(1)))
    for _ in range(2):
        beside.deliver(str(tmp_path / "o.png"), Source("a.jpg", "a.jpg"))
    assert Image.open(tmp_path / "seen" / "a.png").size


def test_split_explain_and_records(colorize, small_model, tmp_path):
    Image.fromarray(page()).save(tmp_path / "page.png", dpi=(300, 300))
    out, sheets = tmp_path / "out", tmp_path / "sheets"
    arguments = ["-m", small_model, "-o", f"{out}/", "--json", "--split", "--explain", sheets]
    done = colorize("predict", tmp_path / "page.png", *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [round(r["angle"]) for r in told["regions"]] == [2, 0]
    assert told["passes"] == 1 and told["turned"] == 0 and told["frames"] == 1
    assert {p.name for p in out.iterdir()} == {"page.png", "page-1.png", "page-2.png"}
    with Image.open(out / "page-2.png") as part:
        assert abs(part.width - 180) <= 2 and abs(part.height - 130) <= 2
        assert round(part.info["dpi"][0]) == 300
    assert (sheets / "page.png").is_file()
    (tmp_path / "r.json").write_text(done.stdout.decode())
    again = colorize(
        "predict", tmp_path / "page.png", "-m", small_model, "-o", out / "b.png", "--json",
        "--regions", tmp_path / "r.json",
    )  # fmt: skip
    assert json.loads(again.stdout)["regions"] == told["regions"]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--regions", "missing.json"], "give auto, none or a file"),
    (["--split", "-o", "-"], "--split writes files"),
    (["--passes", "x"], "auto"),
])  # fmt: skip
def test_usage_is_told_in_one_line(colorize, arguments, words, small_model, tmp_path):
    Image.fromarray(page()).save(tmp_path / "page.png")
    done = colorize("predict", tmp_path / "page.png", "-m", small_model, *arguments)
    assert done.returncode == 2 and words in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_taken_name_is_not_written_over(colorize, small_model, tmp_path):
    Image.fromarray(page()).save(tmp_path / "page.png")
    out = tmp_path / "out"
    out.mkdir()
    (out / "page-1.png").write_bytes(b"mine")
    done = colorize("predict", tmp_path / "page.png", "-m", small_model, "-o", out, "--split")
    assert done.returncode == 3 and b"page-1.png" in done.stderr
    assert (out / "page-1.png").read_bytes() == b"mine" and not (out / "page.png").exists()
