"""Colours of moments over their shots: points that follow, what is remembered, stills, refusals."""

import json

import numpy as np
import pytest
from conftest import scene
from PIL import Image
from test_film import COUNT, LOSSLESS, SIZE, frames, made, only, picture, plane, run
from test_steady import wide

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand.files import Asked
from colorcli.colorizing.hand.guidance import Guidance, guidance
from colorcli.colorizing.hand.hint import parse
from colorcli.colorizing.hand.likeness import Square
from colorcli.config.predict import HandConfig
from colorcli.extras.video.following import SIDE, Glance, followed, moments
from colorcli.system.errors import UsageError

RATE = 25


class Seen:
    """A colorizer that sees the left and the right of each frame as two kinds of stuff."""

    distribution = True

    def __init__(self):
        self.looks = 0

    def like(self, view):
        return view

    def look(self, view):
        self.looks += 1
        shares = np.full((8, 8, 3), 0.05, np.float32)
        shares[:, :4, 0], shares[:, 4:, 1] = 0.9, 0.9
        light = np.linspace(20, 80, 64, dtype=np.float32).reshape(8, 8)
        return Square(np.zeros((8, 8, 2), np.float32), light, shares)


def pan(count, step=2, cut=None):
    """Frames (SIDE, SIDE) of a picture that moves to the left; after ``cut`` of another."""
    strip = [np.kron(wide(s, SIDE + step * count), np.ones((2, 1), np.uint8)) for s in (0, 10)]
    strip[1] = np.where(strip[1] > np.median(strip[1]), 200, 20)[::-1].astype(np.uint8)
    for index in range(count):
        seed = int(cut is not None and index >= cut)
        gray = strip[seed][:SIDE, step * index : step * index + SIDE]
        yield Glance(index, index / RATE, (2 * SIDE, SIDE), np.ascontiguousarray(gray))


def asked(*texts):
    return Asked(tuple(map(parse, texts)))


def test_a_point_goes_with_the_motion_both_ways_and_is_lost_at_the_edge():
    colorizer = Seen()
    known = moments([asked("0.4s:0.5,0.5,red", "0.4s:0.1,0.3,blue")], [])
    plan = followed(known, pan(20), colorizer)
    assert colorizer.looks == 1 and not plan.missed
    for index in range(20):
        middle, left = plan.at(index).known
        assert (middle.x, middle.y) == pytest.approx((0.5 - (index - 10) * 2 / SIDE, 0.5), abs=0.02)
        assert np.isnan(left.x) == ((index - 10) * 2 / SIDE > 0.1) or abs(index - 16) < 2
        assert left.stuff is not None and left.stuff.root.shape == (3,)


def test_a_hint_holds_from_cut_to_cut_and_no_farther():
    walked = []

    def glances():
        for glance in pan(30, cut=12):
            walked.append(glance.index)
            yield glance

    plan = followed(moments([asked("0.2s:0.5,0.5,red")], []), glances(), Seen())
    assert [len(plan.at(index).known) for index in range(30)] == [1] * 12 + [0] * 18
    assert max(walked) <= 13  # what comes after is not looked at
    later = followed(moments([asked("0.8s:0.5,0.5,red")], []), pan(30, cut=12), Seen())
    assert [len(later.at(index).known) for index in range(30)] == [0] * 12 + [1] * 18


def test_a_moment_is_the_frame_that_is_shown_then():
    known = moments([asked("0.119s:0.5,0.5,red", "0.5,0.25,blue")], [])
    plan = followed(known, pan(6), Seen())
    assert [span.key for span in plan.spans] == [0, 2]
    assert [hint.get("t") for hint in plan.hints] == [None, 0.119]
    beyond = followed(moments([asked("0:09:1,1,red")], []), pan(6), Seen())
    with pytest.raises(UsageError, match=r"^--hint 0:09:1,1,red: the film ends after 0.2 s"):
        beyond.check()


@pytest.mark.parametrize("text", ["0.1s:300,5,red", "2:5,5,red"])
def test_hints_that_fit_no_film(text):
    with pytest.raises(UsageError, match="outside|no pages; say when, as in 12.5s:"):
        found = Guidance((asked(text),)).of_film("a.mkv")
        followed(moments(found, []), pan(6), Seen())


# --- films --------------------------------------------------------------------------------------


def hinted(small_model, *hints, **config):
    hand = guidance(HandConfig(hint=hints, **config), ["a.mkv"])
    return Colorizer(small_model, hand=hand)


def reds(path):
    """Mean of Cr about the left and the right third of each frame."""
    return np.array([
        [plane(f, 2)[:, :10].mean(), plane(f, 2)[:, -10:].mean()] for f in frames(path)
    ])  # fmt: skip


def test_a_film_takes_hints_for_the_shot_they_lie_in(small_model, tmp_path):
    source = made(tmp_path / "a.mkv", cut=7)
    only(source, tmp_path / "plain.mkv", colorizer=Colorizer(small_model))
    colorizer = hinted(small_model, "0.4s:0.5,0.5,red,0.4")
    result = only(source, tmp_path / "b.mkv", colorizer=colorizer)
    assert result.hints and {hint["t"] for hint in result.hints} == {0.4} and result.shots == 2
    before, after = reds(tmp_path / "plain.mkv"), reds(tmp_path / "b.mkv")
    assert np.abs(after[:7] - before[:7]).max() < 0.5
    assert (after[7:] - before[7:]).mean(axis=1).min() > 3
    missed = hinted(small_model, "9s:0.5,0.5,red")
    (failed,) = run(source, tmp_path / "c.mkv", colorizer=missed)
    assert failed.status == "failed" and "the film ends after 0.5 s" in failed.error


def test_places_are_those_of_the_film_as_it_is_shown(small_model, tmp_path):
    source = made(tmp_path / "a.mp4", codec="libx264", count=4,
                  setting=lambda out, video: video.set_display_rotation(90))  # fmt: skip
    colorizer = hinted(small_model, "40,60,red", "8,4,neutral")  # 48 wide, 64 high
    only(source, tmp_path / "b.mp4", colorizer=colorizer, film=LOSSLESS)
    outside = hinted(small_model, "60,40,red")
    (failed,) = run(source, tmp_path / "c.mp4", colorizer=outside)
    assert "outside of the picture's 48 x 64 pixels" in failed.error
    frame = frames(tmp_path / "b.mp4")[0]
    turned = np.rot90(plane(frame, 2).astype(float), round(frame.rotation / 90))
    assert turned[30, 20] > turned[2, 4] + 10


def test_a_still_colours_its_shot(small_model, tmp_path):
    source = made(tmp_path / "a.mkv", cut=7)
    gray = picture(9, SIZE, 7)
    half = gray // 2
    still = np.dstack([half + 90, half, half])
    still[:, 32:] = np.dstack([half, half, half + 90])[:, 32:]
    Image.fromarray(still).save(tmp_path / "still.png")
    colorizer = hinted(small_model, reference=(f"0.36s={tmp_path / 'still.png'}",))
    result = only(source, tmp_path / "b.mkv", colorizer=colorizer)
    only(source, tmp_path / "plain.mkv", colorizer=Colorizer(small_model))
    assert result.references == [str(tmp_path / "still.png")]
    before, after = reds(tmp_path / "plain.mkv"), reds(tmp_path / "b.mkv")
    assert np.abs(after[:7] - before[:7]).max() < 0.5
    assert (after[7:, 0] - after[7:, 1]).min() > 20


def test_what_comes_once_is_refused(small_model, tmp_path, colorize):
    source = made(tmp_path / "a.mkv", sound=False, count=3)
    hint = ["-m", small_model, "--hint", "0s:0.5,0.5,red"]
    piped = colorize("predict", "-", "-o", tmp_path / "b.mkv", *hint, input=source.read_bytes())
    assert piped.returncode == 3 and b"give it as a file" in piped.stderr
    raw = colorize("predict", "--raw", "8x8:gray8", "-", *hint, input=bytes(64))
    assert raw.returncode == 2 and b"not for --raw, which comes once" in raw.stderr
    watched = colorize("predict", tmp_path, "--watch", *hint)
    assert watched.returncode == 2 and b"there already" in watched.stderr
    for hint, says in (("0s:600,20,red", b"lies outside"), ("2:3,4,red", b"a film has no pages")):
        done = colorize(
            "predict", source, "-o", tmp_path / "b.mkv", "-m", small_model, "--hint", hint
        )
        assert done.returncode == 2 and says in done.stderr and done.stderr.count(b"\n") == 1
    Image.fromarray(scene(1)).save(tmp_path / "a.png")
    hint = ["-m", small_model, "--hint", "0s:0.5,0.5,red"]
    for given, says in ((hint, b"a photograph has no times"),
                        (["--reference", f"1s={tmp_path / 'a.png'}"], b"has no times")):  # fmt: skip
        done = colorize("predict", tmp_path / "a.png", "-o", tmp_path / "c.png", *given)
        assert done.returncode == 2 and says in done.stderr and done.stderr.count(b"\n") == 1
    assert not (tmp_path / "b.mkv").exists() and not (tmp_path / "c.png").exists()


def test_the_command_takes_times_and_sidecars_of_films(small_model, tmp_path, colorize):
    (tmp_path / "in").mkdir()
    for name in ("a.mkv", "b.mkv"):
        made(tmp_path / "in" / name, sound=False, count=3)
    (tmp_path / "in" / "a.hints.csv").write_text(
        "t,x,y,colour\n0.04,10,10,red\n0:00.08,20,5,blue\n"
    )
    told = colorize("predict", "-m", small_model, tmp_path / "in", "-o", f"{tmp_path}/out/",
                    "--sidecars", "--json")  # fmt: skip
    a, b = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(h["t"], h["x"], h["colour"]) for h in a["hints"]] == [(0.04, 10, "red"), (0.08, 20, "blue")]  # fmt: skip
    assert b["hints"] is None and told.returncode == 0


def test_a_frame_s_sidecar_is_of_its_moment(small_model, tmp_path, colorize):
    for index in range(COUNT):
        Image.fromarray(picture(index, SIZE, 7)).save(tmp_path / f"f_{index}.png")
    arguments = ["predict", "-m", small_model, "--sequence", tmp_path, "--json", "--sidecars"]
    assert colorize(*arguments, "-o", f"{tmp_path}/plain/").returncode == 0
    (tmp_path / "f_9.hints.csv").write_text("0.5,0.5,red,0.4\n")
    done = colorize(*arguments, "-o", f"{tmp_path}/out/")
    assert done.returncode == 0, done.stderr
    change = [
        np.abs(
            np.asarray(Image.open(tmp_path / "out" / f"f_{i}.png")).astype(int)
            - np.asarray(Image.open(tmp_path / "plain" / f"f_{i}.png"))
        ).mean()
        for i in range(COUNT)
    ]
    assert max(change[:7]) < 0.1 and min(change[7:]) > 3
    timed = [*arguments[:-1], "--hint", f"{9 / 24 + 0.01}s:0.5,0.5,red,0.4"]
    assert colorize(*timed, "-o", f"{tmp_path}/timed/").returncode == 0
    for index in (3, 12):
        one, other = (Image.open(tmp_path / f / f"f_{index}.png") for f in ("out", "timed"))
        assert np.array_equal(np.asarray(one), np.asarray(other))
