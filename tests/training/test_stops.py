"""Runs that are stopped at the worst of moments, again and again, end like one that never was."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from colorcli.config.model import ModelConfig
from colorcli.config.training import PRESETS
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
    network.follow(other, 14, 14 / 48)
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
    before = log(tmp_path)
    assert train(data, tmp_path, longer).steps == 6  # nothing is left to do
    assert log(tmp_path) == before


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


AHEAD = (  # as a clock leaves it that was set back afterwards
    'model_checkpoint_path: "ckpt-12"\nall_model_checkpoint_paths: "ckpt-12"\n'
    "all_model_checkpoint_timestamps: 9e9\nlast_preserved_timestamp: 8.9e9\n"
)


@pytest.mark.parametrize("text", ["", "model_checkpoint_path: \x00\x00", None, AHEAD])
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


# A life of a run each: what ends it, when it comes for the n-th time.
LIVES = (
    ("before a checkpoint", 1), ("after a line of the log", 1), ("after a checkpoint", 2),
    ("before a checkpoint", 2), ("after the best weights, before the checkpoint", 1),
    ("before judging", 1), ("after judging", 1), ("after a checkpoint", 1), ("before judging", 1),
    ("after a checkpoint", 2), ("after a line of the log", 3), ("before judging", 1),
    ("after judging", 1), ("after judging the end's average", 1), ("before the last models", 1),
    ("between the last models", 1),
)  # fmt: skip


@pytest.mark.slow
def test_any_moment_any_number_of_times(data, straight, tmp_path, monkeypatch):
    assert {moment for moment, _ in LIVES} == set(MOMENTS)
    whole = {e["step"]: e["val_psnr"] for e in log(straight[1]) if "epoch" in e}
    for life, (moment, count) in enumerate(LIVES):
        assert killed(moment, count, monkeypatch, data, tmp_path, CONFIG), (life, moment)
        if life == 9:  # at step 9, judged twice
            found = state(data, tmp_path)
            assert found["step 0"] == 9 and found["tail_count 0"] == 4
            assert found["stale 0"] == (0 if whole[8] > whole[4] else 1)
    result = train(data, tmp_path, CONFIG)
    assert result.stopped == "done" and result.steps == 12
    assert result.val_psnr == pytest.approx(straight[0].val_psnr, abs=0.02)
    ours, theirs = state(data, tmp_path), state(data, straight[1])
    for found in (ours, theirs):
        found.pop("stale 0")  # the end may be judged twice
    same(ours, theirs)
    judged = {e["step"]: e["val_psnr"] for e in log(tmp_path) if "epoch" in e}
    assert judged == pytest.approx(whole, abs=0.02)
    best = [model_folder.read_arrays(f / BEST_WEIGHTS) for f in (tmp_path, straight[1])]
    same(*best)
