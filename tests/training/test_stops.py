"""Runs that are stopped at the worst of moments, again and again, end like one that never was."""

import dataclasses
import json
import random

import numpy as np
import pytest
import tensorflow as tf

from colorcli.config import PRESETS, ModelConfig, PrepareConfig
from colorcli.data import dataset
from colorcli.data.prepare import prepare
from colorcli.network import model_folder
from colorcli.training import tail
from colorcli.training.run import BEST_WEIGHTS, Run
from colorcli.training.run_folder import checkpoints, run_log
from colorcli.training.run_folder.checkpoints import Checkpoints
from colorcli.training.step import new_state
from colorcli.training.tail import Tail
from colorcli.training.train import train

CONFIG = dataclasses.replace(
    PRESETS["default"],
    model=ModelConfig(backbone="plain", loss="mse", size=32, decoder=(8,)), init="none",
    stages=((32, 0.5), (64, 0.5)), batch=8, steps=12, warmup=2, val_images=4, val_steps=4,
    panel=0, frozen=0.25, ema=0.9, tail_average=0.5, checkpoint_minutes=0.0,
)  # fmt: skip


class Killed(BaseException):
    """What no part of a run may catch."""


# Where a run may be cut off: the owner of the function, its name, and whether that is done yet.
MOMENTS = {
    "before a checkpoint": (Checkpoints, "save", False),
    "after a checkpoint": (Checkpoints, "save", True),
    "after the best weights, before the checkpoint": (Run, "_keep_best", True),
    "before judging": (Run, "assess", False),
    "after judging": (Run, "assess", True),
    "after judging the end's average": (Run, "assess_tail", True),
    "before the last models": (Run, "finish", False),
    "between the last models": (Run, "_save_model", True),
    "after a line of the log": (run_log.Journal, "note", True),
}


@pytest.fixture(scope="module")
def data(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    paths = sorted(str(p) for p in photos.iterdir())
    prepare(paths, folder, PrepareConfig(val_fraction=0.15, shard_images=20, workers=1))
    return dataset.load(folder)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Model folders that hold no more than the step they are of; an average of every step."""

    def save(self, name, arrays=None):
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / model_folder.CONFIG).write_text(str(int(self.state.step)))

    monkeypatch.setattr(Run, "_save_model", save)
    monkeypatch.setattr(tail, "EVERY", 1)


def killed(moment, count, monkeypatch, *arguments):
    """Train until the moment comes for the ``count``-th time; whether it came."""
    owner, name, done = MOMENTS[moment]
    whole, left = getattr(owner, name), [count]

    def cut(self, *given, **named):
        result = whole(self, *given, **named) if done else None
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return result if done else whole(self, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut)
        try:
            train(*arguments)
        except Killed:
            return True
    return False


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def state(data, folder):
    """Everything that the newest checkpoint of a run holds, as arrays by name."""
    parts = new_state(CONFIG, data.prior, "float32", tf.distribute.get_strategy()).parts()
    parts |= Tail(CONFIG).parts()
    assert Checkpoints(folder, parts).restore()
    found = {}
    for name, part in parts.items():
        if part is not None and name != "seconds":
            for i, variable in enumerate(checkpoints._variables(part)):
                found[f"{name} {i}"] = np.asarray(variable)
    return found


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-3, atol=2e-3, err_msg=name)


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "straight"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_save_model", lambda *_: None)
        patch.setattr(tail, "EVERY", 1)
        return train(data, folder, CONFIG), folder


def test_a_tail_average_is_the_mean_of_what_the_end_was(data, straight):
    (line,) = [e for e in log(straight[1]) if e.get("event") == "tail average"]
    assert line["averaged"] == 7 and np.isfinite(line["gain"])  # after steps 6 to 12
    judged = [e["val_psnr"] for e in log(straight[1]) if "val_psnr" in e]
    assert straight[0].val_psnr == pytest.approx(max(judged), abs=1e-3)
    network = Tail(CONFIG)
    weights = [np.asarray(w) for w in network.network.get_weights()]
    values = []
    for step in range(1, 13):
        other = Tail(CONFIG).network
        other.set_weights([w * 0 + step for w in weights])
        network.follow(other, step, step / 12)
        values.append(network.network.get_weights()[0].mean())
    assert values[-1] == pytest.approx(np.mean(range(6, 13))) and int(network.count) == 7
    network.follow(other, 13, 13 / 24)  # made longer: the end is elsewhere
    assert int(network.count) == 1
    network.follow(other, 11, 11 / 24)
    assert int(network.count) == 0


def test_killed_while_it_finishes_longer_than_before(data, tmp_path, monkeypatch):
    first = dataclasses.replace(CONFIG, steps=4, tail_average=0.0)
    longer = dataclasses.replace(first, steps=6)
    train(data, tmp_path, first)
    assert (tmp_path / "model-best" / "config.json").read_text() == "4"
    assert killed("before the last models", 1, monkeypatch, data, tmp_path, longer)
    assert (tmp_path / "model-best" / "config.json").read_text() == "4"
    assert train(data, tmp_path, longer).stopped == "done"
    assert (tmp_path / "model-best" / "config.json").read_text() == "6"
    assert (tmp_path / "model-last" / "config.json").read_text() == "6"
    before = (tmp_path / "log.jsonl").read_text()
    assert train(data, tmp_path, longer).steps == 6  # nothing is left to do
    assert (tmp_path / "log.jsonl").read_text() == before


def test_killed_before_the_last_judgement(data, tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, steps=6, tail_average=0.0)
    # Judged after steps 4 and 6; the checkpoint of step 6 is written before its judgement.
    assert killed("before judging", 2, monkeypatch, data, tmp_path, config)
    train(data, tmp_path, config)
    assert [e["step"] for e in log(tmp_path) if "gain" in e] == [4, 6]


def test_what_kills_leave_is_removed(data, tmp_path):
    config = dataclasses.replace(CONFIG, steps=2, tail_average=0.0)
    train(data, tmp_path, config)
    left = [
        tmp_path / ".colorize-old-model-last", tmp_path / ".colorize-x1y2",
        tmp_path / "checkpoints" / "ckpt-9_temp",
    ]  # fmt: skip
    for folder in left:
        folder.mkdir()
        (folder / "half").write_bytes(b"half")
    torn = [tmp_path / "checkpoints" / n for n in ("ckpt-9.index", "checkpoint.tmp123")]
    for path in torn:
        path.write_bytes(b"half")
    train(data, tmp_path, dataclasses.replace(config, steps=3))
    assert not any(path.exists() for path in (*left, *torn))


@pytest.mark.parametrize("text", ["", "model_checkpoint_path: \x00\x00", None])
def test_a_lost_list_of_checkpoints_is_made_again(text, data, tmp_path):
    parts = {"step": tf.Variable(0, dtype=tf.int64)}
    saved = Checkpoints(tmp_path, parts)
    for step in range(1, 13):
        parts["step"].assign(step)
        saved.save()
    listed = tmp_path / "checkpoints" / "checkpoint"
    listed.unlink() if text is None else listed.write_text(text)
    parts["step"].assign(0)
    again = Checkpoints(tmp_path, parts)
    assert again.present and again.restore() and int(parts["step"]) == 12
    again.sweep()
    assert len(list((tmp_path / "checkpoints").glob("ckpt-*.index"))) == 2


def test_a_long_log_goes_with_a_model_in_part(tmp_path):
    lines = [{"step": i, "loss": 1.0, "norm": 2.0} for i in range(20, 30001, 20)]
    lines += [{"step": i, "val_psnr": 20.0, "gain": 1.0} for i in range(1000, 30001, 1000)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = [json.loads(line) for line in run_log.Journal(tmp_path, 30000).history().splitlines()]
    assert sum("gain" in line for line in kept) == 30
    assert sum("norm" in line for line in kept) == run_log.HISTORY
    assert kept[0] == lines[0] and len(log(tmp_path)) == len(lines)


@pytest.mark.slow
def test_any_moment_any_number_of_times(data, straight, tmp_path, monkeypatch):
    random.seed(3)
    moments = [*MOMENTS, *random.choices(list(MOMENTS), k=9)]
    random.shuffle(moments)
    deaths = [
        killed(moment, random.randint(1, 3), monkeypatch, data, tmp_path, CONFIG)
        for moment in moments
    ]
    result = train(data, tmp_path, CONFIG)
    assert sum(deaths) >= 9 and result.stopped == "done" and result.steps == 12
    assert result.val_psnr == pytest.approx(straight[0].val_psnr, abs=0.02)
    same(state(data, tmp_path), state(data, straight[1]))
    judged = {e["step"]: e["val_psnr"] for e in log(tmp_path) if "val_psnr" in e}
    whole = {e["step"]: e["val_psnr"] for e in log(straight[1]) if "val_psnr" in e}
    assert judged == pytest.approx(whole, abs=0.02)
    best = [model_folder.read_arrays(f / BEST_WEIGHTS) for f in (tmp_path, straight[1])]
    same(*best)
