"""Training runs: every loss, resuming, damage, devices. A plain backbone on 32-pixel crops."""

import dataclasses
import importlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.model import ModelConfig
from colorcli.config.prepare import PrepareConfig
from colorcli.config.training import PRESETS, LossWeights
from colorcli.data import dataset
from colorcli.data.prepare import prepare
from colorcli.exporting.export import export
from colorcli.network import model_folder
from colorcli.network.losses import LOSSES
from colorcli.system import disk
from colorcli.system.errors import DataError, UsageError
from colorcli.system.lock import alone
from colorcli.training import run as running
from colorcli.training import spent
from colorcli.training import train as training
from colorcli.training.feed import enlargement
from colorcli.training.run_folder.checkpoints import Checkpoints
from colorcli.training.step import compiled, new_state
from colorcli.training.train import Watch, train

CONFIG = dataclasses.replace(
    PRESETS["default"],
    model=ModelConfig(backbone="plain", loss="mse", size=32, decoder=(8,)), init="none",
    stages=((32, 1.0),), batch=8, steps=8, warmup=2, val_images=4, val_steps=4, panel=2,
    frozen=0.25, ema=0.9,
)  # fmt: skip
TESTS = str(Path(__file__).parent)
FLAGS = [
    "--preset",
    "baseline",
    "--size",
    "32",
    "--stages",
    "32",
    "--decoder",
    "8",
    "--batch",
    "8",
    "--warmup",
    "2",
    "--val-images",
    "4",
    "--panel",
    "0",
]


def changed(**values):
    model = {k: values.pop(k) for k in ("backbone", "loss", "decoder") if k in values}
    return dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, **model), **values)


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def stop_at(step):
    """(stop, progress) for ``train``: ends it after ``step`` steps."""
    seen = []
    return lambda: len(seen) >= step, lambda done, total, **_: seen.append(done)


def cut(data, folder, config, step):
    stop, progress = stop_at(step - 1)
    result = train(data, folder, config, watch=Watch(stop=stop, progress=progress))
    assert result.stopped == "interrupted" and result.steps == step
    return result


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "straight"
    return train(data, folder, CONFIG), folder


@pytest.fixture
def no_models(monkeypatch):
    """Runs that write no model folders, which takes longer than all else here."""
    monkeypatch.setattr(running.Run, "_save_model", lambda *_: None)


def test_a_run_leaves_models_logs_and_pictures(straight):
    result, folder = straight
    assert result.steps == 8 and result.stopped == "done" and np.isfinite(result.loss)
    assert result.gain == pytest.approx(result.val_psnr - result.gray_psnr, abs=1e-3)
    judged = [line for line in log(folder) if "gain" in line]
    assert [line["step"] for line in judged] == [4, 8]
    assert max(line["val_psnr"] for line in judged) == pytest.approx(result.val_psnr, abs=1e-3)
    import cv2

    panel = cv2.imread(str(folder / "panels" / "step-0000008.png"))
    assert panel.shape == (2 * 32 + 4, 3 * 32 + 8, 3)
    assert panel[:32, :32].std(axis=2).max() == 0 and panel[:32, -32:].std(axis=2).max() > 5
    assert list((folder / "tensorboard").glob("events.*"))
    assert model_folder.load(folder).path.name == "model-best"
    assert not list(folder.glob(".colorize-*"))


def test_resumed_ends_like_uninterrupted(straight, data, tmp_path):
    cut(data, tmp_path / "cut", CONFIG, 3)
    assert not (tmp_path / "cut" / "model-best").exists()
    # A line that was written after the checkpoint, by a process that died then.
    with (tmp_path / "cut" / "log.jsonl").open("a") as file:
        file.write('{"step": 7, "loss": 1}\n{"step": 8, "lo')
    resumed = train(data, tmp_path / "cut", CONFIG)
    assert resumed.steps == 8 and "resumed at step 3" in [
        e.get("event") for e in log(tmp_path / "cut")
    ]
    assert {"step": 7, "loss": 1} not in log(tmp_path / "cut")
    a, b = (
        model_folder.arrays_of(model_folder.load_network(f / "model-last")[0])
        for f in (straight[1], tmp_path / "cut")
    )
    worst = max(np.abs(a[path] - b[path]).max() for path in a)
    assert worst < 1e-4, worst
    assert resumed.val_psnr == pytest.approx(straight[0].val_psnr, abs=0.01)


def test_a_run_of_a_version_without_a_record_goes_on(straight, data, tmp_path, no_models):
    cut(data, tmp_path, CONFIG, 5)
    (tmp_path / "state.json").unlink()
    resumed = train(data, tmp_path, CONFIG)
    assert resumed.steps == 8
    assert resumed.val_psnr == pytest.approx(straight[0].val_psnr, abs=0.01)
    assert [e["step"] for e in log(tmp_path) if "gain" in e] == [4, 8]


def test_a_start_that_training_only_worsens_stays_the_best(straight, data, tmp_path, no_models):
    config = changed(init=str(straight[1]), steps=2, frozen=0.0, released_rate=1.0, ema=0.0)
    result = train(data, tmp_path, config)
    judged = [line for line in log(tmp_path) if "gain" in line]
    assert [line["step"] for line in judged] == [0, 2]
    assert judged[0]["gain"] > judged[1]["gain"]
    assert result.gain == pytest.approx(judged[0]["gain"], abs=1e-3)


def test_a_finished_run_stays_finished_and_may_go_on(straight, data):
    result, folder = straight
    again = train(data, folder, CONFIG)
    assert (again.steps, again.val_psnr) == (8, result.val_psnr)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decoder": (16,)}, "another architecture .decoder .8., not .16."),
        ({"loss": "smooth-l1"}, "another architecture .loss mse, not smooth-l1"),
        (
            {"rate": 1.0, "seed": 4},
            r"other settings .rate, seed.: --rate 0.002, not 1.0; --seed 0, not 4; repeat",
        ),
    ],
)
def test_a_folder_of_another_run_is_refused(changes, words, straight, data):
    before = (straight[1] / "run.json").read_bytes()
    with pytest.raises(UsageError, match=words):
        train(data, straight[1], changed(**changes))
    assert (straight[1] / "run.json").read_bytes() == before


def test_a_run_on_other_data_is_refused(straight, photos, tmp_path):
    prepare(sorted(map(str, photos.glob("*.png"))), tmp_path / "other",
            PrepareConfig(val_fraction=0.3, workers=1))  # fmt: skip
    with pytest.raises(UsageError, match="other data"):
        train(dataset.load(tmp_path / "other"), straight[1], CONFIG)


def test_fewer_photographs_than_a_batch(data, tmp_path):
    with pytest.raises(DataError, match="fewer than one batch"):
        train(data, tmp_path / "x", changed(batch=64))
    assert not (tmp_path / "x").exists()


def test_stochastic_depth_wants_a_backbone_with_residual_blocks(data, tmp_path):
    with pytest.raises(UsageError, match="plain has no residual blocks"):
        train(data, tmp_path / "x", changed(stochastic_depth=0.1))
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        train(data, tmp_path / "file" / "run", CONFIG)


def test_a_loss_that_explodes_stops_and_leaves_the_checkpoint(data, tmp_path, no_models):
    config = changed(rate=1e30, released_rate=1e30, clip=0.0, warmup=0, checkpoint_minutes=0.0)
    with pytest.raises(DataError, match="no longer finite at step") as caught:
        train(data, tmp_path, config)
    assert "\n" not in str(caught.value)
    state = new_state(config, data.prior, "float32", tf.distribute.get_strategy())
    assert Checkpoints(tmp_path, state.parts()).restore()
    assert all(np.isfinite(w).all() for w in state.network.get_weights())


def test_a_full_disk_leaves_the_checkpoint_before(data, tmp_path):
    state = new_state(CONFIG, data.prior, "float32", tf.distribute.get_strategy())
    checkpoints = Checkpoints(tmp_path, state.parts())
    state.step.assign(1)
    checkpoints.save()
    before = sorted(p.name for p in checkpoints.folder.iterdir())
    state.step.assign(2)
    resource = pytest.importorskip("resource", reason="no limits here")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))  # no file may be larger
    try:
        with pytest.raises(DataError, match="cannot be written.*the last checkpoint is intact"):
            checkpoints.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(p.name for p in checkpoints.folder.iterdir()) == before
    assert Checkpoints(tmp_path, state.parts()).restore() and int(state.step) == 1


def test_a_disk_too_small_is_said_at_once(data, tmp_path, monkeypatch):
    usage = disk.shutil.disk_usage
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda p: usage(p)._replace(free=10_000_000))
    with pytest.raises(DataError, match=r"checkpoints would take .* the disk has 10\.0 MB free"):
        train(data, tmp_path, CONFIG)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(data, tmp_path):
    state = new_state(CONFIG, data.prior, "float32", tf.distribute.get_strategy())
    checkpoints = Checkpoints(tmp_path, state.parts())
    for step in (1, 2):
        state.step.assign(step)
        checkpoints.save()
    newest = checkpoints.folder / "ckpt-2.data-00000-of-00001"
    newest.write_bytes(newest.read_bytes()[:1000])
    assert Checkpoints(tmp_path, state.parts()).restore() and int(state.step) == 1
    for path in checkpoints.folder.glob("*.data*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no checkpoint there fits"):
        Checkpoints(tmp_path, state.parts()).restore()


def test_several_folders_train_as_one(data, photos, tmp_path, here):
    other = tmp_path / "other"
    prepare(sorted(map(str, photos.glob("*.png"))), other, PrepareConfig(val_fraction=0, workers=1))
    run, both = tmp_path / "run", [data.folder, other, other]
    options = ["-o", run, *FLAGS, "--steps", "2", "--json"]
    first = here("train", *both, *options)
    assert first.exit_code == 0, first.stderr
    result = json.loads(first.stdout)
    assert np.isfinite(result["gain"])  # judged by the first folder's validation split
    metadata = json.loads((run / "model-last" / "metadata.json").read_text())
    distinct = data.counts["train"] + dataset.load(other).counts["train"]
    assert metadata["trained"]["photographs"] == distinct
    fewer = here("train", *both[:2], *options)
    assert fewer.exit_code == 2
    assert f"holds a run on other data than {data.folder}, {other}" in fewer.stderr


def test_a_mixture_is_weighed_judged_by_several_and_told_by_set(
    photos, tmp_path, monkeypatch, here
):
    monkeypatch.chdir(tmp_path)
    for i, path in enumerate(sorted(photos.glob("*.png"))):
        place = tmp_path / "photos" / ("one" if i % 2 else "two/food") / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    for name, place in (("one", "photos/one"), ("two:2", "photos/two"), ("all", "photos")):
        options = ["-r", "-o", name, "--val-fraction", "0.4", "--workers", "1", "-q"]
        assert here("prepare", "folder", place, *options).exit_code == 0
    (tmp_path / "run.toml").write_text(
        'tail_average = 0.5\n[data]\none = 0.5\n"two:2" = 1.5\n[val]\none = 1\n"all" = 0\n'
    )
    command = ["train", "-o", "run", "--config", "run.toml", *FLAGS, "--steps", "2", "--json"]
    done = here(*command, "--val-images", "20")
    assert done.exit_code == 0, done.stderr
    # Small photographs, said once for the run's only size.
    assert done.stderr.count("at 32 px") == 0
    result = json.loads(done.stdout)
    assert set(result["gains"]) == {"one", "all", "all/one", "all/two"}
    assert result["gain"] == pytest.approx(result["gains"]["one"], abs=2e-4)
    lines = log(tmp_path / "run")
    (judges,) = [e["judges"] for e in lines if "judges" in e]
    assert judges["one"]["weight"] == 1 and judges["all"]["weight"] == 0
    assert judges["all"]["images"] == judges["all/one"]["images"] + judges["all/two"]["images"]
    (judged,) = [e for e in lines if "epoch" in e]
    assert judged["gains"]["one"] == pytest.approx(judged["gain"], abs=2e-4)
    (average,) = [e for e in lines if e.get("event") == "tail average"]
    assert average["averaged"] == 1 and set(average["gains"]) == set(judged["gains"])
    assert ", gain one " in done.stderr and ", gain all " in done.stderr
    card = json.loads((tmp_path / "run" / "model-best" / "metadata.json").read_text())
    assert set(card["trained"]["sets"]) == {"one", "food"}
    printed = here(*command[:-1], "--set", "food:2", "--print-config").stdout
    assert '"one" = 0.5\n"two:2" = 1.5' in printed and '[sets]\n"food" = 2.0' in printed
    for more, words in (
        (["one", "two:2"], "two:2/ for the folder"),
        (["one:2", "two:2/"], "holds a run on other data than one, two:2"),
        (["--val", "all"], "holds a run that other photographs judge"),
        (["--set", "foot:2"], "set foot: none of the folders has it"),
    ):
        refused = here(*command, "--val-images", "20", *more)
        assert refused.exit_code == 2 and words in refused.stderr, refused.stderr
        assert refused.stderr.count("\n") == 1


def test_what_is_enlarged_is_said_and_logged_or_left_out(data, tmp_path, no_models):
    small = enlargement.at_size(data, 128, 0.5, 0.0)
    assert small.photographs == sum(small.small.values()) == data.counts["train"]
    assert small.most == pytest.approx(128 / 80) and small.crops == 1 and not small.left_out
    assert f"{small.photographs} photographs are enlarged by more than 1.3, up to 1.60" in str(
        small
    )
    assert str(enlargement.at_size(data, 32, 0.5, 0.0)) == ""
    # Whole pictures pass, most windows in them do not; grown windows all do.
    some = enlargement.at_size(data, 96, 0.5, 0.0)
    assert not some.small and some.crops == pytest.approx(((96 / 1.3 / 80) ** 2 - 0.5) / 0.5)
    assert f"{some.crops:.0%} of the crops" in str(some)
    assert enlargement.at_size(data, 96, 0.5, 1.3).crops == 0
    with pytest.raises(DataError, match="large enough for 128 px and --enlarge 1.2; allow more"):
        enlargement.at_size(data, 128, 0.5, 1.2)
    config = changed(stages=((32, 0.5), (96, 0.5)), steps=2, enlarge=1.3, panel=0)
    train(data, tmp_path, config)
    sizes = [e for e in log(tmp_path) if e.get("event") == "size"]
    assert [(e["size"], e["step"], e["crops"]) for e in sizes] == [(32, 0, 0.0), (96, 1, 0.0)]


def test_sides_of_a_folder_prepared_before_they_were_told(data, tmp_path):
    folder = shutil.copytree(data.folder, tmp_path / "set")
    index = json.loads((folder / "dataset.json").read_text())
    told = index.pop("sets")
    (folder / "dataset.json").write_text(json.dumps(index))
    old = dataset.load(folder)
    sides = {}
    for counts in told["train"].values():
        sides |= {int(side): count for side, count in counts.items()}
    assert dataset.sides(old) == {"set": sides} == dataset.sides(old)
    assert old.sets["train"] == {"set": data.counts["train"]} and old.epoch == data.epoch


def test_a_shard_gone_bad_while_training_is_named(data, photos, tmp_path):
    folder = tmp_path / "set"
    prepare(
        sorted(map(str, photos.glob("*.png"))), folder, PrepareConfig(val_fraction=0, workers=1)
    )
    loaded = dataset.load(folder)
    shard = folder / loaded.shards["train"][0]["file"]
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    shard.write_bytes(damaged)
    with pytest.raises(DataError, match=f"{shard}: damaged") as caught:
        train(loaded, tmp_path / "run", CONFIG)
    assert "\n" not in str(caught.value)


STEP = 5.0  # seconds


class Clock:
    """Time that passes only where a run does something: seconds by what it is."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        for module in (training, running, spent):
            monkeypatch.setattr(module, "time", self)
        for name, cost in (("_judge", 40.0), ("checkpoint", 2.0), ("_save_model", 25.0)):
            self._slow(monkeypatch, name, cost)

    def monotonic(self):
        return self.now

    def _slow(self, monkeypatch, name, cost):
        real = getattr(running.Run, name)

        def slowly(run, *arguments):
            if name == "_save_model":  # what it writes is of no interest here
                with run.spent.on("model"):
                    self.now += cost
                    write = run.folder / arguments[0] / model_folder.CONFIG
                    write.parent.mkdir(exist_ok=True)
                    write.touch()
                return
            with run.spent.on("checkpoint" if name == "checkpoint" else "judgement"):
                self.now += cost
                real(run, *arguments)

        monkeypatch.setattr(running.Run, name, slowly)

    def step(self, done, total, judged=False, **_):
        self.now += 0.0 if judged else STEP


@pytest.mark.parametrize(
    ("init", "minutes", "every"),
    [
        ("none", 4.0, 8),
        ("straight", 4.0, 1000),
        *(pytest.param("none", 10.0, every, marks=pytest.mark.slow) for every in (1000, 30)),
    ],
)
def test_minutes_hold_start_and_end(data, straight, tmp_path, monkeypatch, init, minutes, every):
    clock = Clock(monkeypatch)
    config = changed(minutes=minutes, val_steps=every, panel=0, checkpoint_minutes=3.0,
                     init=init if init == "none" else str(straight[1]))  # fmt: skip
    began = clock.now - 20.0  # start-up
    result = train(data, tmp_path / "run", config, watch=Watch(progress=clock.step, began=began))
    took = clock.now - began
    assert result.stopped == "done" and result.minutes == pytest.approx(took / 60, abs=0.01)
    assert minutes * 60 - 90 < took <= minutes * 60 + 2 * STEP
    judged = [e["step"] for e in log(tmp_path / "run") if "gain" in e]
    assert judged[0] == 0 and judged[-1] == result.steps > 0
    steps = result.steps
    again = train(
        data, tmp_path / "run", config, watch=Watch(progress=clock.step, began=clock.now - 20.0)
    )
    assert (again.stopped, again.steps) == ("done", steps)  # what is finished stays so
    more = dataclasses.replace(config, minutes=minutes + 2)
    later = train(
        data, tmp_path / "run", more, watch=Watch(progress=clock.step, began=clock.now - 20.0)
    )
    assert later.steps > steps
    assert more.minutes * 60 - 90 < later.minutes * 60 <= more.minutes * 60 + 2 * STEP


def test_fewer_minutes_than_the_ends_take_still_train_a_step(data, tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    result = train(data, tmp_path, changed(minutes=0.1, panel=0), watch=Watch(progress=clock.step))
    assert 1 <= result.steps <= 2 and result.stopped == "done"


def test_figures_that_there_are_none_of_are_left_out(photos, tmp_path, here, no_models):
    """No validation, hence no gain; nothing done the second time, hence no speed."""
    paths = sorted(map(str, photos.glob("photo0*.png")))
    prepare(paths, tmp_path / "set", PrepareConfig(val_fraction=0, workers=1))
    command = ["train", tmp_path / "set", "-o", tmp_path / "run", *FLAGS, "--steps", "2"]
    for _ in range(2):
        done = here(*command)
        text = done.stderr
        assert done.exit_code == 0 and "2 steps, " in text and "nan" not in text, text
    assert "images/s" not in text
    shown = []
    importlib.import_module("colorcli.cli.train")._shown(
        lambda done, total, **values: shown.append(values)
    )(1, 2, step=1, images_per_second=float("nan"), loss=0.5)
    assert shown == [{"loss": 0.5}]


def test_patience_ends_a_run_early(data, tmp_path, no_models):
    # A rate of nothing, and norms that follow nothing, never bring a better score than the first.
    config = changed(rate=0.0, released_rate=0.0, backbone_rate=0.0, norms="frozen", ema=0.0, val_steps=1,
                     patience=2, panel=0)  # fmt: skip
    result = train(data, tmp_path, config)
    assert (result.stopped, result.steps) == ("patience", 3)
    assert train(data, tmp_path, config).steps == 3


def test_stages_change_the_size_of_the_crops(data, tmp_path, monkeypatch, no_models):
    sizes = []
    batches = training.batches.batches

    def spied(data, view, **options):
        sizes.append((view.size, options["start"]))
        return batches(data, view, **options)

    monkeypatch.setattr(training.batches, "batches", spied)
    train(data, tmp_path, changed(stages=((32, 0.5), (64, 0.5)), steps=4, panel=0))
    assert sizes == [(32, 0), (64, 2)]


def one_step(state, released):
    step = compiled(state, tf.distribute.get_strategy(), released)
    for optimizer in state.optimizers:
        optimizer.learning_rate.assign(0.01)
    lightness = tf.random.stateless_uniform((2, 32, 32, 1), [1, 2], 0, 100)
    ab = tf.random.stateless_uniform((2, 8, 8, 2), [1, 3], -40, 40)
    before = {w.path: np.asarray(w) for w in state.network.weights}
    logs = step(lightness, ab, tf.constant(0.5), tf.zeros(2))
    return before, {w.path: np.asarray(w) for w in state.network.weights}, logs


def test_release_spares_early_blocks_and_all_statistics(data):
    config = changed(
        backbone="efficientnet-lite0", decoder=(8, 8, 8), release_from=14, stochastic_depth=0.1
    )
    state = new_state(config, data.prior, "float32", tf.distribute.get_strategy())
    before, after, _ = one_step(state, released=False)
    moved = {path for path in after if not np.array_equal(before[path], after[path])}
    assert moved and not any(path.startswith("backbone_") for path in moved)
    before, after, _ = one_step(state, released=True)
    moved = {path for path in after if not np.array_equal(before[path], after[path])}
    backbone = {path for path in moved if path.startswith("backbone_")}
    assert {path.split("_")[1] for path in backbone} == {"block14", "block15"}
    assert not any("moving" in path for path in backbone)
    average = {w.path: np.asarray(w) for w in state.average.weights}
    assert any(not np.array_equal(average[p], before[p]) for p in backbone)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_steps_are_near_float32(precision, data):
    states = [
        new_state(CONFIG, data.prior, p, tf.distribute.get_strategy())
        for p in ("float32", precision)
    ]
    states[1].network.set_weights(states[0].network.get_weights())
    exact, mixed = (one_step(state, released=True)[2] for state in states)
    assert all(w.dtype == "float32" for w in states[1].network.weights)
    for name in ("loss", "norm"):
        assert float(mixed[name]) == pytest.approx(float(exact[name]), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_resumes_predicts_and_exports(loss, data, small_model, tmp_path):
    weights = LossWeights(teachers=str(small_model), features=str(small_model))
    config = changed(loss=loss, weights=weights, steps=4, panel=0, batch=4)
    cut(data, tmp_path / "run", config, 2)
    result = train(data, tmp_path / "run", config)
    assert result.steps == 4 and np.isfinite([result.loss, result.val_psnr]).all()
    card = (tmp_path / "run" / "model-last" / "metadata.json").read_text()
    assert small_model.name in card and str(small_model.parent) not in card
    gray = np.linspace(0, 255, 40 * 50).reshape(40, 50).astype(np.uint8)
    coloured = Colorizer(tmp_path / "run").colorize(gray)
    assert coloured.shape == (40, 50, 3)
    assert export(tmp_path / "run", tmp_path / "model.tflite").bytes > 1000


def spawn(code, environment=None):
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
    )  # fmt: skip


DEVICES = dataclasses.replace(
    CONFIG,
    model=dataclasses.replace(CONFIG.model, loss="adversarial"),
    steps=5,
    frozen=0.4,
    panel=0,
)
DISTRIBUTED = """
import sys
sys.path.insert(0, {tests!r})
import tensorflow as tf
if {virtual}:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    from colorcli.training import devices
    strategy = devices.strategy()
from colorcli.data import dataset
from colorcli.training import run, train
from test_train import DEVICES
train.LOG_EVERY = 1
if {virtual}:
    run.Run._save_model = lambda *_: None
train.train(dataset.load({data!r}), {run!r}, DEVICES, strategy=strategy)
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.slow
def test_devices_and_machines_train_like_one(data, tmp_path, monkeypatch):
    def code(name, virtual=False):
        return DISTRIBUTED.format(
            virtual=virtual, data=str(data.folder), run=str(tmp_path / name), tests=TESTS
        )

    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    settings = [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}})}
        for i in range(2)
    ]
    runs = [spawn(code("workers"), environment) for environment in settings]
    for run in runs:
        _, errors = run.communicate(timeout=240)
        assert run.returncode == 0, errors[-2000:]
    assert (tmp_path / "workers" / "model-best" / "model.tflite").is_file()
    run = spawn(code("devices", virtual=True))
    _, errors = run.communicate(timeout=240)
    assert run.returncode == 0, errors[-2000:]
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    train(data, tmp_path / "one", DEVICES)
    figures = {
        name: [(e["loss"], e["norm"], e["critic"]) for e in log(tmp_path / name) if "norm" in e]
        for name in ("one", "devices", "workers")
    }
    assert len(figures["one"]) == 5
    for name in ("devices", "workers"):
        assert np.allclose(figures[name], figures["one"], rtol=1e-3), figures


def test_two_runs_do_not_share_a_folder(data, tmp_path, here, no_models):
    run, told = tmp_path / "r", []

    def second(done, total, **_):
        told.append(here("train", data.folder, "-o", run, *FLAGS))

    train(data, run, changed(steps=1, panel=0, val_steps=9), watch=Watch(progress=second))
    wanted = f"{run}: another train is at work on it (process {os.getpid()}); wait for it"
    assert told
    for refused in told:
        (line,) = refused.stderr.splitlines()
        assert (refused.exit_code, refused.stdout) == (3, "")
        assert line.startswith(f"colorize: {wanted}")
    with alone(run / training.LOCK, run, "train", "wait"):  # free again
        assert (run / training.LOCK).is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_say_how_to_go_on(number, code, data, tmp_path):
    command = [sys.executable, "-m", "colorcli", "train", str(data.folder), "-o", str(tmp_path / "r"),
               *FLAGS, "--steps", "100000", "--json"]  # fmt: skip
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    path = tmp_path / "r" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (path.is_file() and '"loss"' in path.read_text()):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    run.send_signal(number)
    out, errors = run.communicate(timeout=120)
    assert run.returncode == code, errors
    document = json.loads(out)
    assert document["stopped"] == "interrupted" and document["steps"] >= 5
    assert "repeat the command to go on" in errors and "Traceback" not in errors
    assert (tmp_path / "r" / "checkpoints" / "checkpoint").is_file()


KILLED = """
import dataclasses, os, sys, time
import tensorflow, keras
from colorcli.data import dataset
from colorcli.training import train
from colorcli.system import disk
from colorcli.config.model import ModelConfig
from colorcli.config.training import PRESETS
train.LOG_EVERY = 1
model = ModelConfig(backbone="plain", loss="mse", size=32, decoder=(8,))
config = dataclasses.replace(
    PRESETS["baseline"], model=model, stages=((32, 1.0),), batch=8, steps=60, warmup=2,
    val_images=4, val_steps=1000, panel=0, checkpoint_minutes=0.0,
)
for line in sys.stdin:  # each line starts one life in a fork, before TensorFlow has threads
    child = os.fork()
    if child == 0:
        sys.stdin.close()
        train.train(dataset.load({data!r}), {run!r}, config)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.slow
def test_ten_kills_lose_nothing(data, tmp_path):
    run = tmp_path / "run"
    nursery = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(data=str(data.folder), run=str(run))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    random.seed(5)
    path, deaths, reached = run / "log.jsonl", 0, []

    def live():
        nursery.stdin.write("\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())

    def lines(word):
        return [x for x in path.read_text().splitlines() if word in x] if path.is_file() else []

    for life in range(10):
        # Some die while they start, the others at a random moment of steps and checkpoints.
        word = "event" if life % 4 == 1 else "norm"
        child, before = live(), len(lines(word))
        deadline = time.monotonic() + 90
        while len(lines(word)) <= before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.6))
        os.kill(child, signal.SIGKILL)
        deaths += os.WTERMSIG(int(nursery.stdout.readline())) == signal.SIGKILL
        reached.append(len(lines("norm")))
    live()
    assert nursery.stdout.readline().strip() == "0", nursery.stderr.read()[-2000:]
    nursery.stdin.close()
    nursery.wait(60)
    assert deaths == 10 and len(set(reached)) > 3, reached
    done = [e for e in log(run) if "norm" in e]
    assert [e["step"] for e in done] == list(range(1, 61))  # each step once, none lost
    losses = [e["loss"] for e in done]
    assert np.isfinite(losses).all() and np.mean(losses[-8:]) < np.mean(losses[:8])
