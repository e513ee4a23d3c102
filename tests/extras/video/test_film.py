"""Films through the whole pipeline: what is kept, what is refused, nothing half-done."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli.colorizing import intake
from colorcli.colorizing.hand.guidance import Guidance
from colorcli.colorizing.predict import foretold, predict
from colorcli.colorizing.watch import watch
from colorcli.config.predict import FilmConfig, PredictConfig
from colorcli.extras.video import film
from colorcli.extras.video.containers import formats, reading
from colorcli.extras.video.films import Films
from colorcli.system.errors import UsageError
from colorcli.system.files.shards import Shard

av = pytest.importorskip("av", reason="films need PyAV (colorcli[video])")

COUNT, SIZE = 14, (64, 48)


class Tinted:
    """A colorizer whose colours are told: a reddish half and a bluish one, that flicker."""

    side, origin = 32, None
    hand, stills = Guidance(), ()

    def __init__(self):
        self.calls = 0

    def like(self, view):
        return view

    def ab_of(self, view):
        self.calls += 1
        ab = np.zeros((8, 8, 2), np.float32)
        ab[:, :4, 0], ab[:, 4:, 1] = 30, -30
        return ab + (-1) ** self.calls * 4


def picture(index, size=SIZE, cut=99):
    """Gray frame (H, W) uint8 of a film: a scene that moves, and another after the cut."""
    width, height = size
    gray = scene(int(index >= cut), width * 2, height)[..., 1]
    at = index % width
    return np.ascontiguousarray(gray[:, at : at + width])


def made(path, *, codec="ffv1", pix_fmt="yuv420p", size=SIZE, count=COUNT, pts=None, sound=True,
         rate=25, setting=None, cut=99, options=None, subtitle=False):  # fmt: skip
    """A film at ``path``; ``setting(container, video)`` is called before its first frame."""
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        base = Fraction(1, 600) if pts else Fraction(1, rate)
        video.codec_context.time_base = video.time_base = base
        audio = out.add_stream("pcm_s16le" if path.suffix in (".mkv", ".mov", ".avi") else "aac",
                               rate=8000) if sound else None  # fmt: skip
        if setting:
            setting(out, video)
        packets = []
        for index in range(count):
            frame = av.VideoFrame(*size, pix_fmt)
            deep = 1 << (frame.format.components[0].bits - 8)
            for number, plane in enumerate(frame.planes):
                flat = np.frombuffer(plane, np.uint8 if deep == 1 else np.uint16)
                rows = flat.reshape(-1, plane.line_size // flat.itemsize)
                if number == 0:
                    luma = picture(index, size, cut) // 2 + 40
                    rows[: size[1], : size[0]] = luma.astype(rows.dtype) * deep
                else:
                    rows[:] = 128 * deep
            frame.pts, frame.time_base = (pts[index] if pts else index), base
            packets += video.encode(frame)
        packets += video.encode(None)
        if audio:
            for block in range(count // 2):
                tone = np.random.default_rng(block).integers(-999, 999, (1, 640)).astype(np.int16)
                sounds = av.AudioFrame.from_ndarray(tone, "s16", "mono")
                sounds.sample_rate, sounds.pts = 8000, block * 640
                packets += audio.encode(sounds)
            packets += audio.encode(None)
        out.mux(sorted(packets, key=lambda p: float(p.dts * p.time_base)))
    return path


def run(source, target, *, film=FilmConfig(), config=PredictConfig(workers=2), colorizer=None,
        **request):  # fmt: skip
    kinds = (Films(film),)
    wish = intake.Request([str(source)], str(target), **request)
    _, jobs = intake.planned(wish, config, kinds)
    return list(predict(jobs, colorizer or Tinted(), config, kinds=kinds))


def only(source, target, **options):
    (result,) = run(source, target, **options)
    assert result.status == "done", result.error
    return result


def frames(path):
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def plane(frame, number=0):
    lies = frame.planes[number]
    flat = np.frombuffer(lies, np.uint8 if frame.format.components[0].bits == 8 else np.uint16)
    rows = flat.reshape(-1, lies.line_size // flat.itemsize)
    return rows[: lies.height, : lies.width].copy()


def packets(path, kind):
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        return [(bytes(p), float(p.pts * p.time_base)) for p in container.demux(streams) if p.size]


LOSSLESS = FilmConfig(video_codec="libx264:qp=0")
FFV1 = FilmConfig(video_codec="ffv1")


@pytest.mark.parametrize(("pix_fmt", "written"), [
    ("yuv420p", "yuv420p"), ("yuv422p", "yuv422p"), ("yuv444p", "yuv444p"), ("gray", "yuv420p"),
    ("yuv420p10le", "yuv420p10le"), ("gray10le", "yuv420p10le"), ("yuv411p", "yuv420p"),
    ("yuv422p12le", "yuv422p12le"),
])  # fmt: skip
def test_luma_is_what_it_was_and_chroma_is_new(pix_fmt, written, tmp_path):
    source = made(tmp_path / "a.mkv", pix_fmt=pix_fmt)
    result = only(source, tmp_path / "b.mkv")
    assert (result.frames, result.width, result.height, result.shots) == (COUNT, *SIZE, 1)
    before, after = frames(source), frames(tmp_path / "b.mkv")
    assert [f.format.name for f in after] == [written] * COUNT
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(plane(old), plane(new))
        blues, reds = (plane(new, number).astype(float) for number in (1, 2))
        third, more = reds.shape[1] // 3, 1.02 * (128 << (new.format.components[0].bits - 8))
        assert reds[:, :third].mean() > more > blues[:, :third].mean()
        assert blues[:, -third:].mean() > more


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_times_sound_tags_chapters_and_aspect_are_kept(suffix, tmp_path):
    pts = [0, 24, 47, 100, 124, 300, 301, 330, 400, 444, 500, 520, 533, 600]

    def setting(out, video):
        out.metadata["title"] = "Holiday"
        out.set_chapters([{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000),
                           "metadata": {"title": "One"}}])  # fmt: skip
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        video.codec_context.color_range = 1
        for name, value in (("color_primaries", 5), ("color_trc", 6), ("colorspace", 5)):
            setattr(video.codec_context, name, value)

    source = made(tmp_path / f"a{suffix}", codec="libx264", pts=pts, setting=setting)
    target = tmp_path / f"b{suffix}"
    only(source, target)
    assert [f.time for f in frames(target)] == pytest.approx([p / 600 for p in pts], abs=6e-4)
    assert [f.time for f in frames(target)] == [f.time for f in frames(source)]
    was, now = packets(source, "audio"), packets(target, "audio")
    assert b"".join(p for p, _ in was) == b"".join(p for p, _ in now) != b""
    assert was[0][1] == now[0][1] and (was == now or suffix == ".mov")  # PCM is cut as one likes
    with av.open(str(source)) as old, av.open(str(target)) as new:
        tags = {key.lower(): value for key, value in new.metadata.items()}
        assert tags["title"] == "Holiday" and reading.MARK in tags["comment"]
        assert [c["metadata"] for c in new.chapters()] == [c["metadata"] for c in old.chapters()]
        assert [c["end"] * c["time_base"] for c in new.chapters()] == [Fraction(1, 2)]
        was, now = old.streams.video[0], new.streams.video[0]
        assert now.codec_context.name == was.codec_context.name == "h264"
        for name in (
            "sample_aspect_ratio",
            "color_primaries",
            "color_trc",
            "colorspace",
            "color_range",
        ):
            assert getattr(now.codec_context, name) == getattr(was.codec_context, name), name


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_a_turned_film_stays_turned_and_is_shown_upright(degrees, tmp_path):
    source = made(tmp_path / "a.mp4", codec="libx264",
                  setting=lambda out, video: video.set_display_rotation(degrees))  # fmt: skip
    seen = []

    class Watching(Tinted):
        def ab_of(self, view):
            seen.append(view.base.shape)
            return super().ab_of(view)

    only(source, tmp_path / "b.mp4", colorizer=Watching())
    turns = [frames(path)[0].rotation for path in (source, tmp_path / "b.mp4")]
    assert turns[0] == turns[1] and turns[0] % 360 == degrees % 360
    assert set(seen) == {SIZE if degrees in (90, -90) else SIZE[::-1]}
    with av.open(str(tmp_path / "b.mp4")) as container:  # sound first must not cost the turn
        assert len(container.streams) == 2


def test_subtitles_go_along_or_are_told_of(tmp_path):
    lines = tmp_path / "a.srt"
    lines.write_text("1\n00:00:00,100 --> 00:00:00,400\nHello\n")
    plain = made(tmp_path / "plain.mkv")
    source = tmp_path / "a.mkv"
    with av.open(str(plain)) as one, av.open(str(lines)) as two, av.open(str(source), "w") as out:
        streams = {id(s): out.add_stream_from_template(s, opaque=True)
                   for c in (one, two) for s in c.streams}  # fmt: skip
        for container in (one, two):
            for packet in container.demux():
                if packet.size:
                    packet.stream = streams[id(packet.stream)]
                    out.mux(packet)
    only(source, tmp_path / "b.mkv")
    assert packets(tmp_path / "b.mkv", "subtitle") == packets(source, "subtitle") != []
    result = only(source, tmp_path / "c.mp4")
    assert any("subrip" in note and "left out" in note for note in result.notes)


@pytest.mark.parametrize(("source", "target", "codec", "note"), [
    ("a.mkv", "b.mp4", "h264", "ffv1 is written as h264"), ("a.mkv", "b.mkv", "ffv1", None),
    ("a.mkv", "b.mov", "h264", "ffv1 is written as h264"), ("a.mkv", "b.webm", "vp9", "ffv1 is written as vp9"),
    ("a.mkv", "b.avi", "ffv1", None),
])  # fmt: skip
def test_containers_and_families(source, target, codec, note, tmp_path):
    result = only(made(tmp_path / source, sound=False), tmp_path / target)
    with av.open(str(tmp_path / target)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == codec
    assert len(frames(tmp_path / target)) == COUNT
    assert [n for n in result.notes if "written as" in n] == ([] if note is None else [
        f"its {note}; --video-codec chooses another"])  # fmt: skip


def test_interlaced_stays_so_or_is_refused_by_name(tmp_path):
    def setting(out, video):
        video.codec_context.flags |= 1 << 18 | 1 << 29

    source = made(tmp_path / "a.mkv", codec="mpeg2video", setting=setting)
    assert frames(source)[0].interlaced_frame
    only(source, tmp_path / "b.mkv")
    assert all(f.interlaced_frame for f in frames(tmp_path / "b.mkv"))
    (result,) = run(source, tmp_path / "c.mkv", film=FilmConfig(video_codec="libx265"))
    assert result.status == "failed" and "interlaced" in result.error
    assert "bwdif" in result.error and not (tmp_path / "c.mkv").exists()


@pytest.mark.parametrize(("size", "codec", "written"), [
    ((65, 49), "ffv1", "yuv420p"), ((65, 48), "libx264:qp=0", "yuv444p"),
    ((64, 49), "libx264:qp=0", "yuv422p"),
])  # fmt: skip
def test_odd_sides(size, codec, written, tmp_path):
    source = made(tmp_path / "a.mkv", size=size)
    only(source, tmp_path / "b.mkv", film=FilmConfig(video_codec=codec))
    before, after = frames(source), frames(tmp_path / "b.mkv")
    assert after[0].format.name == written
    assert all(np.array_equal(plane(a), plane(b)) for a, b in zip(before, after, strict=True))


def test_the_network_runs_once_a_frame_and_shots_are_found(tmp_path):
    source, colorizer = made(tmp_path / "a.mkv", cut=7), Tinted()
    result = only(source, tmp_path / "b.mkv", colorizer=colorizer)
    assert (colorizer.calls, result.shots) == (COUNT, 2)


def flicker(path):
    """Mean change of Cr from frame to frame, in codes."""
    planes = [np.frombuffer(f.planes[2], np.uint8).astype(float) for f in frames(path)]
    return np.mean([np.abs(b - a).mean() for a, b in itertools.pairwise(planes)])


def test_steady_colours_flicker_less(tmp_path):
    source = made(tmp_path / "a.mkv")
    for steady in (0.0, 0.5):
        only(source, tmp_path / f"{steady}.mkv", film=FilmConfig(steady=steady),
             config=PredictConfig(workers=1))  # fmt: skip
    assert flicker(tmp_path / "0.5.mkv") < 0.25 * flicker(tmp_path / "0.0.mkv")


def test_quality_is_said_to_the_codec(tmp_path):
    source = made(tmp_path / "a.mkv", size=(160, 128))
    sizes = {}
    for quality in (20, 75, 95):
        config = PredictConfig(workers=2, quality=quality)
        only(source, tmp_path / f"{quality}.mp4", config=config)
        sizes[quality] = (tmp_path / f"{quality}.mp4").stat().st_size
    assert sizes[20] < sizes[75] < sizes[95]
    result = only(source, tmp_path / "b.mkv", config=PredictConfig(quality=50))
    assert "--quality does nothing: ffv1 has none" in result.notes


def test_a_preview_ends_early(tmp_path):
    source = made(tmp_path / "a.mkv")
    result = only(source, tmp_path / "b.mkv", film=FilmConfig(limit_seconds=0.2))
    assert result.frames == len(frames(tmp_path / "b.mkv")) == 5
    assert max(at for _, at in packets(tmp_path / "b.mkv", "audio")) < 0.2


def test_a_film_in_colour_is_passed_on(tmp_path):
    gray, keep = made(tmp_path / "a.mkv"), PredictConfig(keep_color=True, again=True)
    only(gray, tmp_path / "b.mkv", config=keep)
    (result,) = run(tmp_path / "b.mkv", tmp_path / "c.mkv", config=keep)
    assert result.status == "kept"
    assert (tmp_path / "c.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    (result,) = run(tmp_path / "b.mkv", tmp_path / "d.avi", config=keep)
    assert result.status == "kept"
    was, now = (packets(tmp_path / name, "video") for name in ("b.mkv", "d.avi"))
    assert was == now
    (result,) = run(tmp_path / "b.mkv", tmp_path / "d.webm", config=keep)
    assert result.status == "failed" and "ffv1" in result.error


def test_earlier_results_are_known_and_names_follow_the_rules(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    made(folder / "a.mkv", sound=False), made(folder / "b.mpg", codec="mpeg2video", sound=False)
    (folder / "notes.ts").write_text("let x = 1")
    found, jobs = intake.planned(intake.Request([str(folder)]), PredictConfig(), (Films(),))
    assert [Path(j.target).name for j in jobs] == ["a-color.mkv", "b-color.mkv"]
    assert found.others == 1
    results = list(predict(jobs, Tinted(), kinds=(Films(),)))
    assert [r.status for r in results] == ["done", "done"]
    again = intake.planned(
        intake.Request([str(folder)], skip_existing=True), PredictConfig(), (Films(),)
    )
    assert [j.skip for j in again[1]] == [True, True]
    (folder / "a-color.mkv").rename(folder / "other.mkv")
    _, jobs = intake.planned(
        intake.Request([str(folder / "other.mkv")]), PredictConfig(), (Films(),)
    )
    assert [r.status for r in foretold(jobs, kinds=(Films(),))] == ["result"]
    assert [r.status for r in predict(jobs, Tinted(), kinds=(Films(),))] == ["result"]


def test_a_format_is_for_pictures_alone(tmp_path):
    source = made(tmp_path / "a.mkv", sound=False)
    only(source, tmp_path / "out", config=PredictConfig(format="webp"))
    assert (tmp_path / "out" / "a.mkv").is_file()


def test_a_film_is_known_by_content_where_its_name_says_nothing(tmp_path):
    made(tmp_path / "a.mkv", sound=False).rename(tmp_path / "tape")
    only(tmp_path / "tape", tmp_path / "out")
    assert (tmp_path / "out" / "tape.mkv").is_file()


@pytest.mark.parametrize("target", ["b.png", "b.wmv", "b.xyz"])
def test_a_film_goes_into_no_picture(target, tmp_path):
    with pytest.raises(UsageError, match="mkv|unknown output suffix"):
        run(made(tmp_path / "a.mkv"), tmp_path / target)


@pytest.mark.parametrize("codec", ["libx264:preset", ":x=1", "libx264:=fast"])
def test_an_encoder_that_is_spelt_wrong(codec, tmp_path):
    with pytest.raises(UsageError, match="NAME:OPTION=VALUE"):
        run(made(tmp_path / "a.mkv"), tmp_path / "b.mkv", film=FilmConfig(video_codec=codec))


# --- what is bad --------------------------------------------------------------------------------


def cut_short(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def empty(path):
    path.write_bytes(b"")


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def sound_alone(path):
    with av.open(str(path), "w") as out:
        audio = out.add_stream("aac" if path.suffix == ".mp4" else "pcm_s16le", rate=8000)
        sounds = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "mono")
        sounds.sample_rate, sounds.pts = 8000, 0
        out.mux(audio.encode(sounds) + audio.encode(None))


def without_frames(path):
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height = SIZE
        out.start_encoding()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(("spoil", "words"), [
    (cut_short, "truncated|cannot be read"), (empty, "cannot be read|no moving"),
    (noise, "cannot be read|no moving"), (sound_alone, "no moving pictures"),
    (without_frames, "not one frame|no size|no moving|End of file"),
])  # fmt: skip
def test_bad_films_cost_no_other_its_result(spoil, words, suffix, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    made(folder / f"a{suffix}", codec="libx264", count=60)
    spoil(folder / f"a{suffix}")
    made(folder / "b.mkv", sound=False)
    bad, good = run(folder, out)
    assert (bad.status, good.status) == ("failed", "done")
    import re

    assert re.search(words, bad.error) and "\n" not in bad.error
    assert bad.error.startswith(f"{folder}/a{suffix}: ") and ";" in bad.error
    assert [p.name for p in out.iterdir()] == ["b.mkv"]


def test_a_film_that_is_too_large_is_refused(tmp_path):
    source = made(tmp_path / "a.mkv", size=(1200, 1000), count=1, sound=False)
    (result,) = run(source, tmp_path / "b.mkv", config=PredictConfig(max_megapixels=1))
    assert result.status == "failed" and "--max-megapixels" in result.error


def test_a_size_that_changes_is_named(tmp_path):
    parts = [made(tmp_path / f"{n}.h264", codec="libx264", size=size, sound=False)
             for n, size in enumerate([(64, 48), (96, 64)])]  # fmt: skip
    source = tmp_path / "a.h264"
    source.write_bytes(b"".join(p.read_bytes() for p in parts))
    (result,) = run(source, tmp_path / "b.mkv")
    assert result.status == "failed"
    assert "change from 64 × 48 to 96 × 64 after" in result.error
    assert not (tmp_path / "b.mkv").exists()


def test_hdr_is_refused_by_name(tmp_path):
    def setting(out, video):
        for name, value in (("color_primaries", 9), ("color_trc", 16), ("colorspace", 9)):
            setattr(video.codec_context, name, value)

    source = made(tmp_path / "a.mkv", codec="libx265", pix_fmt="yuv420p10le", setting=setting,
                  options={"x265-params": "log-level=none"})  # fmt: skip
    (result,) = run(source, tmp_path / "b.mkv")
    assert result.status == "failed" and "HDR (PQ)" in result.error


class Full:
    """A disk with no room left after a few bytes."""

    def __init__(self, file, room=2000):
        self._file, self._room = file, room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        self._room -= len(data)
        if self._room < 0:
            raise OSError(28, "No space left on device")
        return self._file.write(data)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    from contextlib import contextmanager

    from colorcli.system.files import delivery

    @contextmanager
    def full(target):
        with delivery.delivered(target) as file:
            yield Full(file)

    monkeypatch.setattr(film, "delivered", full)
    out = tmp_path / "out"
    (result,) = run(made(tmp_path / "a.mkv", size=(160, 128)), out / "b.mkv")
    assert result.status == "failed" and "No space left" in result.error
    assert list(out.iterdir()) == []


def test_without_the_extra_one_line_names_it(tmp_path, monkeypatch):
    source = made(tmp_path / "a.mkv")
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(reading, "installed", lambda: False)
    (result,) = run(source, tmp_path / "b.mkv")
    assert result.status == "failed" and "pip install 'colorcli[video]'" in result.error
    found, jobs = intake.planned(intake.Request([str(tmp_path)]), PredictConfig(), (Films(),))
    assert [j.source.error is None for j in jobs] == [False] and found.others == 1


def test_stopping_leaves_nothing(tmp_path):
    source, stop = made(tmp_path / "a.mkv"), threading.Event()

    class Stopping(Tinted):
        def ab_of(self, view):
            if self.calls == 6:
                stop.set()
            return super().ab_of(view)

    out = tmp_path / "out"
    kinds = (Films(),)
    _, jobs = intake.planned(
        intake.Request([str(source)], str(out / "b.mkv")), PredictConfig(), kinds
    )
    assert list(predict(jobs, Stopping(), kinds=kinds, stop=stop)) == []
    assert list(out.iterdir()) == []


# --- the command --------------------------------------------------------------------------------


def test_the_command_reports_a_film_as_json_and_by_pipes(colorize, tmp_path):
    source = made(tmp_path / "a.mkv", count=6)
    done = colorize("predict", source, "--json", "-o", tmp_path / "b.mkv")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert (told["status"], told["frames"], told["shots"]) == ("done", 6, 1)
    assert told["milliseconds"]["encode"] > 0
    piped = colorize("predict", "-", "-o", "-", input=source.read_bytes())
    assert piped.returncode == 0, piped.stderr
    (tmp_path / "c.mkv").write_bytes(piped.stdout)
    assert len(frames(tmp_path / "c.mkv")) == 6
    planned = colorize("predict", source, "--dry-run")
    assert planned.stdout.decode().split() == [str(source), "->", str(tmp_path / "a-color.mkv")]


def test_ctrl_c_says_so_and_leaves_nothing(tmp_path):
    source = made(tmp_path / "a.mkv", count=400, size=(320, 240), sound=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "predict", source, "-o", tmp_path / "out" / "b.mkv"],
        stderr=subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    while not list(tmp_path.glob("out/.colorize-*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted; 0 of 1" in said and said.count(b"\n") == 1
    assert b"begins a film anew" in said
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_said_by_the_next(tmp_path):
    source = made(tmp_path / "a.mkv", count=400, size=(320, 240), sound=False)
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "predict", source, "-o", out / "b.mkv"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not list(out.glob(".colorize-*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert [part.name[:10] for part in out.iterdir()] == [".colorize-"]
    short = FilmConfig(limit_seconds=0.1)
    assert "begun anew" in only(source, out / "c.mkv", film=short).notes[-1]
    assert [path.name for path in out.iterdir()] == ["c.mkv"]
    assert only(source, out / "d.mkv", film=short).notes == ()


# --- many machines ------------------------------------------------------------------------------


def test_each_film_is_of_one_share(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abcdef":
        made(tmp_path / "in" / f"{name}.mkv", sound=False, count=2)
    held = []
    for number in (1, 2):
        wish = intake.Request([str(tmp_path / "in")], str(tmp_path / "out"), shard=Shard(number, 2))
        held.append({job.target for job in intake.planned(wish, PredictConfig(), (Films(),))[1]})
    assert all(held) and not held[0] & held[1]
    assert {Path(name).name for name in held[0] | held[1]} == {f"{n}.mkv" for n in "abcdef"}


def test_a_cluster_refuses_films_one_by_one_and_takes_the_photographs(tmp_path):
    (tmp_path / "in").mkdir()
    made(tmp_path / "in" / "a.mkv", sound=False, count=2)
    Image.fromarray(scene(1)).save(tmp_path / "in" / "b.png")
    wish = intake.Request([str(tmp_path / "in")], str(tmp_path / "out"))
    film, photograph = intake.streamed(wish, PredictConfig(), (Films(),))
    assert "one machine" in film.source.error and "--engine ray" in film.source.error
    assert photograph.todo and Path(photograph.target).name == "b.png"


@pytest.mark.parametrize(("frames", "parted"), [
    (["--sequence", "."], ["--engine", "ray"]), (["--raw", "8x8:gray8", "-"], ["--shard", "1/2"]),
    (["%d.png"], ["--engine", "ray"]), (["%d.png"], ["--shard", "1/2"]),
])  # fmt: skip
def test_frames_are_not_parted_from_their_neighbours(frames, parted, tmp_path, colorize):
    Image.fromarray(scene(1)).save(tmp_path / "1.png")
    done = colorize("predict", *frames, *parted, cwd=tmp_path)
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == 2 and "one after the other, in one call" in line


@pytest.mark.parametrize(
    ("name", "says"), [("nosuch", "known: libx264"), ("aac", "known:"), ("libx256", "did you mean")]
)
def test_an_encoder_that_there_is_not_is_refused_by_name(name, says):
    with pytest.raises(UsageError, match=f"--video-codec {name}: no encoder of FFmpeg's .*{says}"):
        formats.asked(f"{name}:crf=16")
    assert formats.asked("mpeg4:qscale=3").name == "mpeg4"


def test_a_film_that_arrives_in_a_watched_folder_is_coloured(tmp_path):
    (tmp_path / "in").mkdir()
    made(tmp_path / "in" / "a.mkv", sound=False, count=3)
    request, stop = intake.Request([str(tmp_path / "in")], f"{tmp_path}/out/"), threading.Event()
    results = watch(request, Tinted, kinds=(Films(),), stop=stop, settle=0.1)
    told = {Path(result.input).name: result.status for result in itertools.islice(results, 1)}
    assert told == {"a.mkv": "done"} and len(frames(tmp_path / "out" / "a.mkv")) == 3
    stop.set()
    results.close()
