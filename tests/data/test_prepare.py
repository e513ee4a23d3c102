"""Photographs to shards: cleaning, splits, and runs that are killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import REPO, scene
from PIL import Image

from colorcli.color.tone import Colours
from colorcli.config.prepare import PrepareConfig
from colorcli.data import blocks, dataset, samples, tfrecord, workers
from colorcli.data.prepare import prepare
from colorcli.system import disk
from colorcli.system.errors import DataError

GONE = {"path": "gone.jpg", "reason": "missing", "detail": "named, but not there"}
CONFIG = PrepareConfig(val_fraction=0.15, shard_images=20, workers=1)


@pytest.fixture(scope="module")
def paths(photos):
    return sorted(str(p) for p in photos.iterdir())


@pytest.fixture(scope="module")
def made(paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    return prepare(paths, folder, CONFIG, source={"kind": "test"}), folder


def contents(folder):
    """Everything a finished folder holds but the times in the cache of checksums."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != dataset.VERIFIED}


def names(folder, split):
    data = dataset.load(folder)
    return [
        os.fsdecode(tfrecord.features(record)["name"])
        for path in data.files(split)
        for record in tfrecord.records(path)
    ]


def report(folder):
    return [json.loads(line) for line in (folder / "report.jsonl").open(encoding="utf-8")]


def test_everything_is_counted(made, photos):
    result, folder = made
    assert sum(result.counts.values()) == 48 and result.dropped == {"gray": 1, "broken": 1}
    assert [entry["path"] for entry in result.broken] == [str(photos / "broken.jpg")]
    lines = {line["path"]: line["reason"] for line in report(folder)}
    assert lines == {str(photos / "broken.jpg"): "broken", str(photos / "gray.png"): "gray"}
    index = json.loads((folder / "dataset.json").read_text())
    assert index["counts"] == result.counts and index["source"] == {"kind": "test"}
    assert index["config"]["size"] == 256 and "workers" not in index["config"]
    assert set(index["versions"]) == {"colorcli", "pillow", "opencv", "numpy"}
    assert result.bytes == sum(p.stat().st_size for p in folder.glob("*.tfrecord"))
    assert sorted(names(folder, "train") + names(folder, "val")) == sorted(
        p.name for p in photos.iterdir() if p.name.startswith("photo")
    )
    assert not (folder / dataset.WORK).exists()


def test_prior_and_chroma_are_those_of_the_photographs(made, photos):
    result, folder = made
    found = [Colours.of(np.asarray(Image.open(p))) for p in sorted(photos.glob("photo*"))]
    assert result.mean_chroma == pytest.approx(np.mean([f.chroma for f in found]), abs=1e-3)
    from colorcli.color import bins

    prior = bins.prior(samples.histogram(sum(samples.cells(f.lab).astype(float) for f in found)))
    assert dataset.load(folder).prior == pytest.approx(prior, rel=1e-4)


def test_shards_are_balanced(made):
    shards = json.loads((made[1] / "dataset.json").read_text())["shards"]
    whole = [shard["images"] for shard in shards["train"]]
    assert len(whole) == 3 and max(whole) <= 17 and min(whole) >= 10
    assert len(shards["val"]) == 1


def test_the_result_does_not_depend_on_workers(paths, made, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "FEW", 0)
    config = PrepareConfig(val_fraction=0.15, shard_images=20, workers=3)
    prepare(paths, tmp_path / "set", config, source={"kind": "test"})
    assert contents(tmp_path / "set") == contents(made[1])


def test_the_split_follows_from_the_file_alone(paths, made, tmp_path):
    """The same files elsewhere, fewer of them, in another order, at another size."""
    kept = [p for p in paths if "photo" in p][::2]
    copies = [shutil.copy(p, tmp_path / Path(p).name) for p in kept]
    config = PrepareConfig(val_fraction=0.15, size=48, seed=7, workers=1)
    prepare(copies, tmp_path / "set", config)
    for split in ("train", "val"):
        expected = {Path(p).name for p in kept} & set(names(made[1], split))
        assert set(names(tmp_path / "set", split)) == expected


@pytest.fixture
def copies(tmp_path):
    """Twelve photographs, each as itself, the same file again, and two near copies."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(12):
        image = Image.fromarray(scene(i, 240, 200))
        image.save(folder / f"{i:02d}.png")
        shutil.copy(folder / f"{i:02d}.png", folder / f"{i:02d}-again.png")
        image.save(folder / f"{i:02d}-saved.jpg", quality=90)
        image.resize((180, 150), Image.Resampling.LANCZOS).save(folder / f"{i:02d}-small.png")
    return sorted(str(p) for p in folder.iterdir())


def test_copies_are_left_out_and_never_straddle_the_split(copies, tmp_path):
    config = PrepareConfig(val_fraction=0.5, shard_images=10, workers=1, duplicate_distance=8)
    result = prepare(copies, tmp_path / "set", config)
    assert result.dropped["duplicate"] + result.dropped["near-duplicate"] == 36
    kept = [name[:2] for split in ("train", "val") for name in names(tmp_path / "set", split)]
    assert sorted(kept) == [f"{i:02d}" for i in range(12)]
    for line in report(tmp_path / "set"):
        twin = Path(line["duplicate_of"]).name
        assert twin[:2] == Path(line["path"]).name[:2] and twin != Path(line["path"]).name
        if line["reason"] == "duplicate":
            assert {twin[2:], Path(line["path"]).name[2:]} == {".png", "-again.png"}


def test_without_the_perceptual_hash_only_equal_files_are_copies(copies, tmp_path):
    config = PrepareConfig(workers=1, duplicate_distance=-1)
    assert prepare(copies, tmp_path / "set", config).dropped == {"duplicate": 12}


def test_limit_draws_by_seed(paths, tmp_path):
    drawn = []
    for i, seed in enumerate((1, 1, 2)):
        config = PrepareConfig(limit=10, seed=seed, workers=1)
        result = prepare(paths, tmp_path / str(i), config)
        assert sum(result.counts.values()) + sum(result.dropped.values()) == 10
        drawn.append(names(tmp_path / str(i), "train"))
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.fixture
def sets(tmp_path):
    """photos/ with three sets and a photograph beside them, one picture letterboxed."""
    root = tmp_path / "photos"
    for i in range(14):
        folder = root / ("" if i == 13 else ("food", "people/old", "street")[i % 3])
        folder.mkdir(parents=True, exist_ok=True)
        picture = scene(i, 96 + i, 80 + i)
        if i == 4:
            picture = np.pad(picture, ((20, 20), (0, 0), (0, 0)))
        Image.fromarray(picture).save(folder / f"{i}.png")
    return root


def test_sets_and_sides_are_counted_and_cropped_ones_reported(sets, tmp_path, colorize):
    made = tmp_path / "set"
    done = colorize("prepare", "folder", sets, "-r", "-o", made, "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    result, index = json.loads(done.stdout), json.loads((made / "dataset.json").read_text())
    assert result["sets"] == {"food": 5, "people": 4, "street": 4, "photos": 1}
    assert result["cropped"] == index["cropped"] == 1 and result["dropped"] == {}
    (line,) = report(made)
    assert line["path"] == str(sets / "people/old/4.png") and line["reason"] == "cropped"
    assert "top" in line["detail"] and "bottom" in line["detail"]
    sides = Counter()
    for split in index["sets"].values():
        for counts in split.values():
            sides.update(counts)
    # The letterboxed one was 84 high, and loses a blended line at either bar.
    assert sides == Counter(str(80 + i - 2 * (i == 4)) for i in range(14))
    for split in ("train", "val"):
        stored = Counter(
            tfrecord.features(record)["set"].decode()
            for path in dataset.load(made).files(split)
            for record in tfrecord.records(path)
        )
        assert stored == {n: sum(s.values()) for n, s in index["sets"][split].items()}


def test_sets_are_the_same_after_an_interruption(sets, tmp_path):
    config = PrepareConfig(shard_images=4, workers=1, val_fraction=0.3, roots=(str(sets),))
    given = sorted(map(str, sets.rglob("*.png")))
    prepare(given, tmp_path / "whole", config)
    with pytest.raises(Stop):
        prepare(given, tmp_path / "cut", config, progress=stop_at(9))
    prepare(given, tmp_path / "cut", config)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_missing_ones_are_reported(paths, tmp_path):
    result = prepare(paths[:5], tmp_path / "set", CONFIG, left_out=[GONE])
    assert result.dropped["missing"] == 1
    assert report(tmp_path / "set")[0]["path"] == "gone.jpg"


def test_nothing_usable_leaves_nothing(tmp_path, photos):
    for given in ([], [str(photos / "gray.png")], [str(photos / "broken.jpg")]):
        with pytest.raises(DataError, match=f"no usable photograph among {len(given)}"):
            prepare(given, tmp_path / "empty", CONFIG)
        assert not (tmp_path / "empty").exists()


def test_a_finished_folder_is_left_alone(made, paths, tmp_path):
    result, folder = made
    before = contents(folder)
    again = prepare(paths, folder, CONFIG, source={"kind": "test"})
    assert again.counts == result.counts and again.resumed == len(paths)
    with pytest.raises(DataError, match="already holds a prepared data set"):
        prepare(paths[:9], folder, CONFIG, source={"kind": "test"})
    assert contents(folder) == before and not (folder / dataset.WORK).exists()


def test_folders_of_other_things(paths, tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match=r"holds other things \(holiday\.jpg\)"):
        prepare(paths, tmp_path, CONFIG)
    assert [p.name for p in tmp_path.iterdir() if p.name != dataset.WORK] == ["holiday.jpg"]
    with pytest.raises(DataError, match="cannot be made a folder"):
        prepare(paths, tmp_path / "holiday.jpg" / "set", CONFIG)


class Stop(Exception):
    pass


def stop_at(count):
    def progress(done, total, **_):
        if done == count:
            raise Stop

    return progress


def test_an_interrupted_run_ends_like_one_that_was_not(made, paths, tmp_path):
    folder = tmp_path / "set"
    with pytest.raises(Stop):
        prepare(paths, folder, CONFIG, source={"kind": "test"}, progress=stop_at(40))
    with pytest.raises(DataError, match="not finished"):
        dataset.load(folder)
    with pytest.raises(DataError, match="unfinished work of another command"):
        prepare(paths[1:], folder, CONFIG, source={"kind": "test"})
    seen = []
    result = prepare(
        paths, folder, CONFIG, source={"kind": "test"},
        progress=lambda done, total, **_: seen.append(done),
    )  # fmt: skip
    assert result.resumed == 33 and seen == list(range(34, 51))
    assert contents(folder) == contents(made[1])


def test_a_lost_shard_is_made_again(made, paths, tmp_path):
    folder = tmp_path / "set"
    with pytest.raises(Stop):
        prepare(paths, folder, CONFIG, source={"kind": "test"}, progress=stop_at(49))
    (folder / "train-00001.tfrecord").unlink()
    assert prepare(paths, folder, CONFIG, source={"kind": "test"}).resumed == 16
    assert contents(folder) == contents(made[1])


@pytest.mark.slow
def test_kill_9_again_and_again(tmp_path):
    """Real processes with a pool, killed at random moments; no worker stays behind."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(240):
        Image.fromarray(scene(i, 200, 160)).save(photos / f"{i}.png")
    code = (
        "import sys, glob; from colorcli.data.prepare import prepare\n"
        "from colorcli.config.prepare import PrepareConfig\n"
        "if __name__ == '__main__':\n"
        "    prepare(sorted(glob.glob(sys.argv[1] + '/*')), sys.argv[2],\n"
        "            PrepareConfig(shard_images=8, val_fraction=0.2, workers=2))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(REPO)}

    def start(folder):
        return subprocess.Popen([sys.executable, script, photos, folder], env=environment)

    assert start(tmp_path / "straight").wait(120) == 0
    random, folder, blocks = np.random.default_rng(0), tmp_path / "killed", []
    for _ in range(6):
        process = start(folder)
        deadline = time.monotonic() + 60
        wanted = len(blocks) + 1  # each time at least one more
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(folder.glob(".work/block-*.json"))) >= wanted:
                break
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (folder / "dataset.json").exists():
            break
        blocks = sorted(folder.glob(".work/block-*.json"))
        times = {p: p.stat().st_mtime_ns for p in folder.glob("train-*.tfrecord")}
        assert len(times) >= len(blocks) - 1
    kept = {p: t for p, t in times.items() if int(p.stem[-5:]) < len(blocks)}
    assert start(folder).wait(120) == 0
    assert contents(folder) == contents(tmp_path / "straight")
    assert kept and all(p.stat().st_mtime_ns == t for p, t in kept.items())
    deadline = time.monotonic() + 60
    while left := subprocess.run(["pgrep", "-f", str(script)], capture_output=True).stdout:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_two_runs_do_not_share_a_folder(paths, tmp_path):
    pytest.importorskip("fcntl")
    folder = tmp_path / "set"

    def progress(done, total, **_):
        if done == 5:
            with pytest.raises(DataError, match="another prepare is at work"):
                prepare(paths, folder, CONFIG)

    assert sum(prepare(paths, folder, CONFIG, progress=progress).counts.values()) == 48


OTHER = {
    "--size": ("64", "32"),
    "--min-side": ("8", "9"),
    "--min-chroma": ("3.0", "4.0"),
    "--val-fraction": ("0.0", "0.5"),
    "--limit": ("0", "5"),
    "--seed": ("0", "7"),
    "--duplicate-distance": ("4", "-1"),
}


@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_made_otherwise_names_the_options_and_both_values(
    here, photos, tmp_path, finished
):
    folder, command = tmp_path / "set", ("prepare", "folder", "-o", tmp_path / "set")
    common = {"--size": "64", "--min-side": "8", "--val-fraction": "0"}

    def run(*inputs, **changes):
        options = {**common, **{k.replace("_", "-"): v for k, v in changes.items()}}
        return here(*command, *inputs, *(x for pair in options.items() for x in pair))

    names = [photos / f"photo{i:02d}.png" for i in range(6)]
    assert run(*names).exit_code == 0
    if not finished:  # as a kill after the first block leaves it
        index = json.loads((folder / "dataset.json").read_text())
        (folder / "dataset.json").unlink()
        (folder / ".work").mkdir()
        (folder / ".work" / "block-00000.json").write_text("{}")
        plan = {"version": index["version"], "config": index["config"], "source": index["source"]}
        (folder / ".work" / "plan.json").write_text(json.dumps(plan))
    before = {p.name: p.read_bytes() for p in folder.glob("*.tfrecord")}
    for option, (was, wanted) in OTHER.items():
        done = run(*names, **{option: wanted})
        told = done.stderr
        assert done.exit_code == 3 and len(told.splitlines()) == 1
        assert f", with {option} {was}, not {wanted}; " in told
    both = run(*names, **{"--seed": "1", "--size": "96"}).stderr
    assert "--size 64, not 96; --seed 0, not 1; " in both
    told = run(*names[:2]).stderr
    assert f"with photographs {' '.join(map(str, names))}"[:60] in told
    told = here("prepare", "coco", "-o", folder, "--root", tmp_path).stderr
    assert "instances_train2017" in told  # nothing to compare with
    assert {p.name: p.read_bytes() for p in folder.glob("*.tfrecord")} == before != {}


def test_a_small_disk_is_told_at_once(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    seen = []
    with pytest.raises(DataError, match=r"34 photographs still to come would take .*--limit"):
        prepare(
            paths, tmp_path / "set", CONFIG,
            progress=lambda done, total, **_: seen.append(done),
        )  # fmt: skip
    assert len(seen) < 40


def test_a_full_disk_keeps_what_is_done(made, paths, tmp_path, monkeypatch):
    folder, write, left = tmp_path / "set", blocks._File.write, [45]

    def failing(self, *arguments):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        write(self, *arguments)

    monkeypatch.setattr(blocks._File, "write", failing)
    with pytest.raises(DataError, match="No space left on device; free some space and repeat"):
        prepare(paths, folder, CONFIG, source={"kind": "test"})
    assert not list(folder.glob(".colorize-*"))
    assert prepare(paths, folder, CONFIG, source={"kind": "test"}).resumed > 0
    assert contents(folder) == contents(made[1])


def _fatal_chunk(names, config):
    if any(name.endswith("photo07.png") for name in names):
        os._exit(9)  # as a crash inside a decoder or the kernel's want of memory would
    return [samples.sample(name, config) for name in names]


def test_a_photograph_that_kills_its_reader_costs_no_other(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "FEW", 0)
    monkeypatch.setattr(workers, "chunk_of", _fatal_chunk)
    config = PrepareConfig(val_fraction=0.15, shard_images=100, workers=2)
    given = [p for p in paths if int("".join(c for c in Path(p).stem if c.isdigit()) or 99) < 12]
    result = prepare(given, tmp_path / "set", config)
    assert sum(result.counts.values()) == 11
    assert [Path(entry["path"]).name for entry in result.broken] == ["photo07.png"]
    assert "crashed" in result.broken[0]["reason"]


def test_workers_never_load_tensorflow(paths, tmp_path):
    code = (
        "import sys; from colorcli.data.prepare import prepare\n"
        "prepare(sys.argv[2:], sys.argv[1])\n"
        "print(sorted({'tensorflow', 'keras', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "set", *paths[:9]],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_command_line(here, photos, tmp_path):
    listed = "\0".join(str(photos / f"photo{i:02d}.png") for i in range(9)).encode()
    done = here(
        "prepare", "folder", photos / "gray.png", photos / "none*.png", "--files-from", "-", "-0",
        "-o", tmp_path / "set", "--val-fraction", "0", input=listed,
    )  # fmt: skip
    told = done.stderr.splitlines()
    assert done.exit_code == 5 and len(told) == 2
    assert told[0].startswith(f"colorize: {photos / 'none*.png'}: no file matches")
    assert "9 to train, 0 to validate, 1 gray" in told[1]
    for arguments, code, word in (
        (["folder", "-o", tmp_path / "x"], 2, "no photographs given"),
        (["folder", "--files-from", tmp_path / "none", "-o", tmp_path / "x"], 2, "needs a list"),
        (["folder", tmp_path / "none", "-o", tmp_path / "x"], 3, "no usable photograph"),
        (["folder", photos, "-o", photos], 3, "holds other things"),
        (["coco", "--root", tmp_path, "-o", tmp_path / "x"], 3, "instances_train2017.json"),
        (["coco", "--license", "cc", "-o", tmp_path / "x"], 2, "by their ids"),
        (["coco", "--split", "mine", "--download", "-o", tmp_path / "x"], 2, "known: train2017"),
    ):
        done = here("prepare", *arguments)
        assert done.exit_code == code and word in done.stderr
        assert "Traceback" not in done.stderr
    assert Counter(p.name for p in tmp_path.iterdir()) == Counter({"set": 1})
