"""Image files as frames: order, names, resuming, and what is broken."""

import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli.colorizing import intake
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand.guidance import Guidance
from colorcli.config.predict import FilmConfig, PredictConfig
from colorcli.extras.video import sequence, ways

COUNT = 12


class Flickering:
    """Tells a and b by turns, whatever it sees."""

    side, origin = 32, None
    hand, stills = Guidance(), ()

    def __init__(self):
        self.calls, self._lock = 0, threading.Lock()

    def like(self, view):
        return view

    def ab_of(self, view):
        gray = view.base
        with self._lock:
            self.calls += 1
        # By what is seen, not by the order of threads.
        shift = 1 if int(gray.astype(np.uint32).sum()) % 2 else -1
        return np.full((8, 8, 2), 20 + 8 * shift, np.float32)


def drawn(folder, count=COUNT, name="f_{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    base = scene(0)[..., 1]
    for index in range(1, count + 1):
        gray = base.copy()
        gray[0, 0] = index * 21 % 256  # told apart by its parity
        Image.fromarray(gray).save(folder / name.format(index))
    return folder


def run(inputs, output=None, *, film=FilmConfig(sequence=True), colorizer=None, **request):
    rest, frames = ways.expanded([str(i) for i in inputs])
    wish = intake.Request(rest, output and str(output), listed=frames, **request)
    config = PredictConfig(workers=2)
    _, jobs = intake.planned(wish, config)
    return list(sequence.predict(jobs, colorizer or Flickering(), config, film=film))


def chroma(folder, name="f_{}.png"):
    return [
        np.asarray(Image.open(folder / name.format(i)).convert("LAB"))[..., 1].astype(float).mean()
        for i in range(1, COUNT + 1)
    ]


def test_frames_come_by_number_and_are_steady(tmp_path):
    source, colorizer = drawn(tmp_path / "in"), Flickering()
    results = run([source], tmp_path / "out", colorizer=colorizer)
    assert [Path(r.output).name for r in results] == [f"f_{i}.png" for i in range(1, COUNT + 1)]
    assert {r.status for r in results} == {"done"} and colorizer.calls == COUNT
    run([source], tmp_path / "single", film=FilmConfig(sequence=True, steady=0))
    assert np.std(chroma(tmp_path / "out")) < 0.4 * np.std(chroma(tmp_path / "single"))


def test_a_numbered_pattern_names_its_files(tmp_path):
    source = drawn(tmp_path / "in", name="f_{:04d}.png")
    (source / "f_12.png").write_bytes(b"another name")
    rest, frames = ways.expanded([str(source / "f_%04d.png"), "x.jpg", "no_%03d.png"])
    assert rest == ["x.jpg", "no_%03d.png"]
    assert [Path(f).name for f in frames] == [f"f_{i:04d}.png" for i in range(1, COUNT + 1)]
    results = run([source / "f_%04d.png"], tmp_path / "out")
    assert [r.status for r in results] == ["done"] * COUNT


@pytest.mark.parametrize(("pattern", "found"), [("f_%d.png", 12), ("f_%02d.png", 3), ("%d.png", 0)])
def test_widths_of_numbers(pattern, found, tmp_path):
    source = drawn(tmp_path / "in")
    assert len(ways.expanded([str(source / pattern)])[1]) == found


def test_a_run_that_goes_on_gives_the_same_colours(tmp_path):
    source = drawn(tmp_path / "in")
    run([source], tmp_path / "whole")
    run([source], tmp_path / "parts")
    for index in (7, 8, 9):
        (tmp_path / "parts" / f"f_{index}.png").unlink()
    results = run([source], tmp_path / "parts", skip_existing=True)
    assert [r.status for r in results] == ["skipped"] * 6 + ["done"] * 3 + ["skipped"] * 3
    for index in range(1, COUNT + 1):
        one, other = ((tmp_path / f / f"f_{index}.png").read_bytes() for f in ("whole", "parts"))
        assert one == other, index


def test_frames_far_from_those_to_do_are_not_looked_at(tmp_path):
    source = drawn(tmp_path / "in")
    film = FilmConfig(sequence=True, steady=0.05)  # seven frames are all that have a say
    run([source], tmp_path / "out", film=film)
    (tmp_path / "out" / "f_12.png").unlink()
    colorizer = Flickering()
    run([source], tmp_path / "out", film=film, colorizer=colorizer, skip_existing=True)
    assert colorizer.calls == 8


def test_a_broken_frame_costs_no_other_its_result(tmp_path):
    source = drawn(tmp_path / "in")
    (source / "f_5.png").write_bytes(b"no picture")
    results = run([source, tmp_path / "missing.png"], tmp_path / "out")
    told = {Path(r.input).name: r.status for r in results}
    assert told.pop("f_5.png") == told.pop("missing.png") == "failed"
    assert set(told.values()) == {"done"} and len(told) == COUNT - 1


def test_the_command_takes_frames(colorize, tmp_path):
    source = drawn(tmp_path / "in", 3)
    done = colorize("predict", source / "f_%d.png", "-o", f"{tmp_path}/out/", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b'"done"') == 3 and len(list((tmp_path / "out").iterdir())) == 3


def test_frames_are_like_a_reference(small_model, tmp_path, colorize):
    drawn(tmp_path / "in")
    Image.fromarray(scene(0)).save(tmp_path / "like.png")
    told = []
    for hand in (Guidance(), Guidance(reference=str(tmp_path / "like.png"), strength=1)):
        target = tmp_path / f"out{len(told)}"
        results = run([tmp_path / "in"], target, colorizer=Colorizer(small_model, hand=hand))
        assert {result.status for result in results} == {"done"}
        told.append(np.asarray(Image.open(target / "f_3.png")).astype(float))
    plain, like = (np.abs(image - scene(0)).mean() for image in told)
    assert like < 0.95 * plain
    frames, few = str(tmp_path / "in" / "f_%d.png"), ["--reference", tmp_path]
    refused = colorize("predict", "-m", small_model, frames, "-o", tmp_path / "no", *few)
    assert refused.returncode == 2 and b"one photograph; give a file" in refused.stderr
    few = ["--reference", tmp_path / "like.png"] * 2
    twice = colorize("predict", "-m", small_model, frames, "-o", tmp_path / "no", *few)
    assert twice.returncode == 2 and b"put both into a folder" in twice.stderr
