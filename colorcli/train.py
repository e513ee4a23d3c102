"""``colorize train``: one loop around one compiled step, resumable at any batch."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from colorcli import dataset, feed, model_dir
from colorcli.config import TrainConfig
from colorcli.dataset import Dataset
from colorcli.errors import DataError, UsageError
from colorcli.files import write_atomic
from colorcli.fused import fused
from colorcli.initial import display_name, initialise
from colorcli.lab import join, plane
from colorcli.losses import LOSSES
from colorcli.metrics import psnr
from colorcli.model import build_model, output_stride

Progress = Callable[..., None]
LOG_EVERY = 20  # steps between two log lines

OPTIMIZERS: dict[str, Callable[[TrainConfig], keras.optimizers.Optimizer]] = {
    "adam": lambda c: keras.optimizers.Adam(0.0, global_clipnorm=c.clip or None),
    "adamw": lambda c: keras.optimizers.AdamW(
        0.0, weight_decay=c.weight_decay, global_clipnorm=c.clip or None
    ),
}


@dataclass(frozen=True)
class Trained:
    """What a run came to. ``gain`` is validation PSNR minus that of gray, in dB."""

    folder: str
    steps: int
    loss: float
    val_psnr: float
    gray_psnr: float
    gain: float
    minutes: float


def rates(config: TrainConfig, step: int, fraction: float) -> tuple[float, float]:
    """Learning rates (decoder, backbone) at ``step``, ``fraction`` in 0…1 of the run done.

    Warm-up, then one cosine to zero for each stage: backbone frozen, backbone released.
    """
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    if fraction < config.frozen:
        # The first stage falls to the rate at which the second goes on.
        part = 0.5 * (1 + math.cos(math.pi * fraction / config.frozen))
        return warm * (config.released_rate + (config.rate - config.released_rate) * part), 0.0
    part = (fraction - config.frozen) / (1 - config.frozen)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, part)))
    thaw = min(1.0, part / 0.05)
    return warm * config.released_rate * cosine, warm * thaw * config.backbone_rate * cosine


@dataclass
class _Run:
    """Everything a checkpoint holds, and the two functions that use it."""

    config: TrainConfig
    network: keras.Model
    average: keras.Model  # EMA of the network's weights: what is judged and saved
    optimizers: tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]
    step: tf.Variable
    seconds: tf.Variable
    best: tf.Variable
    prior: np.ndarray


def _start(config: TrainConfig, data: Dataset) -> _Run:
    keras.utils.set_random_seed(config.seed)
    network, average = build_model(config.model), build_model(config.model)
    optimizers = (OPTIMIZERS[config.optimizer](config), OPTIMIZERS[config.optimizer](config))
    for optimizer, variables in zip(optimizers, _groups(network, config.release_from), strict=True):
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        optimizer.build(variables)
    return _Run(
        config, network, average, optimizers,
        tf.Variable(0, dtype=tf.int64), tf.Variable(0.0, dtype=tf.float64),
        tf.Variable(-1e9, dtype=tf.float64), data.prior,
    )  # fmt: skip


_BLOCK = re.compile(r"backbone_block(\d+)_")


def _groups(network: keras.Model, release_from: int) -> tuple[list[Any], list[Any]]:
    """Trainable variables (decoder and head, backbone): each group has its own rate.

    Of the backbone only blocks from number ``release_from`` on; 0 is all of it.
    """
    head = [v for v in network.trainable_variables if not v.path.startswith("backbone_")]

    def released(path: str) -> bool:
        block = _BLOCK.match(path)
        return path.startswith("backbone_") and (
            not release_from or (block is not None and int(block[1]) >= release_from)
        )

    return head, [v for v in network.trainable_variables if released(v.path)]


def _compiled_step(
    run: _Run, strategy: tf.distribute.Strategy, released: bool
) -> Callable[..., Any]:
    loss = LOSSES[run.config.model.loss]
    head, backbone = _groups(run.network, run.config.release_from)
    groups = [head, backbone] if released else [head]
    replicas, twin = strategy.num_replicas_in_sync, fused(run.network)

    def replica(lightness: Any, ab: Any, keep: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for group in groups for v in group])
            output = twin(lightness, training=True)
            value = loss.loss(loss.encode(ab), output, run.config.weights, run.prior)
            scaled = value / replicas
        gradients = tape.gradient(scaled, [v.value for group in groups for v in group])
        for group, optimizer in zip(groups, run.optimizers, strict=False):
            optimizer.apply_gradients(zip(gradients[: len(group)], group, strict=True))
            gradients = gradients[len(group) :]
        for slow, fast in zip(run.average.weights, run.network.weights, strict=True):
            slow.assign(keep * slow + (1.0 - keep) * fast)
        return scaled

    @tf.function
    def step(lightness: Any, ab: Any, keep: Any) -> Any:
        values = strategy.run(replica, args=(lightness, ab, keep))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    return step


class _Validation:
    """A fixed set of validation pictures, judged by PSNR beside doing nothing."""

    def __init__(self, data: Dataset, config: TrainConfig) -> None:
        import cv2

        from colorcli.lab import neutral

        size = config.model.size
        pictures = list(dataset.photographs(data, "val", config.val_images))
        self.truth = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures]
        self.gray = [neutral(t) for t in self.truth]
        none = np.zeros((1, 1, 2), np.float32)
        self.gray_psnr = self._mean([none] * len(self.truth))
        self.decode = LOSSES[config.model.loss].decode

    def _mean(self, predicted: list[np.ndarray]) -> float:
        if not self.truth:
            return float("nan")
        shown = (join(g, ab, np.uint8) for g, ab in zip(self.gray, predicted, strict=True))
        return float(np.mean([psnr(t, s) for t, s in zip(self.truth, shown, strict=True)]))

    def psnr(self, network: keras.Model, infer: Callable[..., Any]) -> float:
        predicted: list[np.ndarray] = []
        for start in range(0, len(self.gray), 16):
            lightness = np.stack([plane(g) for g in self.gray[start : start + 16]])[..., None]
            predicted.extend(infer(lightness).numpy())
        return self._mean(predicted)


def train(
    data: Dataset,
    folder: Path | str,
    config: TrainConfig,
    *,
    validation: Dataset | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a network on ``data`` in the run folder ``folder``; resume what is there.

    Writes ``run.json`` (the config), ``log.jsonl``, ``checkpoints/``, and the model folders
    ``model-best`` and ``model-last``. Raises ``DataError`` for data too small or a loss that is
    not finite, ``UsageError`` when ``folder`` holds a run with another config.
    """
    folder = Path(folder)
    if data.counts["train"] < config.batch:
        raise DataError(
            f"{data.folder}: {data.counts['train']} training photographs are fewer than one batch "
            f"of {config.batch}; add photographs or lower --batch"
        )
    _claim(folder, config)
    strategy = (
        tf.distribute.MirroredStrategy()
        if len(tf.config.list_logical_devices("GPU")) > 1
        else tf.distribute.get_strategy()
    )
    with strategy.scope():
        run = _start(config, data)
    checkpoint = tf.train.Checkpoint(
        network=run.network, average=run.average, head=run.optimizers[0],
        backbone=run.optimizers[1], step=run.step, seconds=run.seconds, best=run.best,
    )  # fmt: skip
    manager = tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), max_to_keep=2)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        started = f"resumed at step {int(run.step)}"
    else:
        started = initialise(run.network, config)
        run.average.set_weights(run.network.get_weights())
    return _loop(run, data, validation or data, folder, manager, strategy, started, progress)


def _claim(folder: Path, config: TrainConfig) -> None:
    path, mine = folder / "run.json", json.loads(json.dumps(asdict(config)))
    if path.is_file():
        theirs = json.loads(path.read_text("utf-8"))
        changed = [key for key in mine if theirs.get(key) != mine[key]]
        if changed:
            raise UsageError(
                f"{folder}: holds a run with other settings ({', '.join(changed)}); "
                "repeat its command to resume it, or choose another -o"
            )
        return
    write_atomic(path, json.dumps(mine, indent=1).encode())


def _loop(
    run: _Run,
    data: Dataset,
    validation: Dataset,
    folder: Path,
    manager: tf.train.CheckpointManager,
    strategy: tf.distribute.Strategy,
    started: str,
    progress: Progress | None,
) -> Trained:
    config = run.config
    per_epoch = data.counts["train"] // config.batch
    total = config.steps or config.epochs * per_epoch
    judge = _Validation(validation, config)
    decode, log_prior = LOSSES[config.model.loss].decode, np.log(run.prior)
    infer = tf.function(
        lambda x: decode(run.average(x, training=False), 1.0, 0.0, log_prior), reduce_retracing=True
    )
    steps = {released: _compiled_step(run, strategy, released) for released in (False, True)}
    log = folder / "log.jsonl"
    values: dict[str, float] = {}
    losses: list[float] = []
    clock = saved = time.monotonic()
    budget = config.minutes * 60

    def fraction() -> float:
        return float(run.seconds) / budget if budget else int(run.step) / total

    def note(**entry: Any) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def assess() -> None:
        if losses:
            values["loss"] = float(np.mean(losses))
        score = judge.psnr(run.average, infer)
        values.update(val_psnr=score, gain=score - judge.gray_psnr)
        note(step=int(run.step), val_psnr=round(score, 4), gray_psnr=round(judge.gray_psnr, 4),
             gain=round(score - judge.gray_psnr, 4), minutes=round(float(run.seconds) / 60, 2))  # fmt: skip
        if score > float(run.best) or math.isnan(score):
            run.best.assign(score)
            # Arrays only: the LiteRT file is made once, at the end.
            _write_arrays(folder / "best.npz", run.average)
        manager.save()

    note(event=started, step=int(run.step), total=total)
    stream = feed.batches(
        data, size=config.train_size, stride=output_stride(config.model), batch=config.batch,
        seed=config.seed, start=int(run.step), crop=config.crop, augment=config.augment,
    )  # fmt: skip
    for lightness, ab in strategy.experimental_distribute_dataset(stream):
        done = fraction()
        if done >= 1:
            break
        at = int(run.step)
        head_rate, backbone_rate = rates(config, at, done)
        run.optimizers[0].learning_rate.assign(head_rate)
        run.optimizers[1].learning_rate.assign(backbone_rate)
        keep = min(config.ema, (1 + at) / (10 + at))
        value = steps[backbone_rate > 0](lightness, ab, tf.constant(keep, tf.float32))
        run.step.assign_add(1)
        now = time.monotonic()
        run.seconds.assign_add(now - clock)
        clock = now
        losses.append(float(value))
        if not math.isfinite(losses[-1]):
            raise DataError(
                f"{folder}: the loss is no longer finite at step {at}; the checkpoint before "
                "it is intact: lower --rate and start another run from it"
            )
        if (at + 1) % LOG_EVERY == 0:
            values["loss"] = float(np.mean(losses))
            note(step=at + 1, loss=round(values["loss"], 5), rate=head_rate,
                 backbone_rate=backbone_rate, minutes=round(float(run.seconds) / 60, 2))  # fmt: skip
            losses.clear()
        if progress:
            progress(
                min(total, round(fraction() * total)) if budget else at + 1, total,
                **values, images=(at + 1) * config.batch,
            )  # fmt: skip
        if now - saved > config.checkpoint_minutes * 60:
            manager.save()
            saved = time.monotonic()
        if (at + 1) % per_epoch == 0:
            assess()
            clock = saved = time.monotonic()
    if int(run.step) % per_epoch:
        assess()
    return _finish(run, data, judge, folder, values)


def _write_arrays(path: Path, network: keras.Model) -> None:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, **{w.path: np.asarray(w) for w in network.weights})
    write_atomic(path, buffer.getvalue())


def _finish(
    run: _Run, data: Dataset, judge: _Validation, folder: Path, values: dict[str, float]
) -> Trained:
    config, log = run.config, folder / "log.jsonl"
    history = log.read_text("utf-8")
    metadata = {
        "trained": {
            "photographs": data.counts["train"],
            "steps": int(run.step),
            "minutes": round(float(run.seconds) / 60, 1),
            # The name alone: where the weights lay on this machine is nobody's business.
            "config": {**asdict(config), "init": display_name(config.init)},
        },
    }
    model_dir.save(run.average, config.model, run.prior, folder / "model-last", metadata, history)
    best = folder / "best.npz"
    if best.is_file():
        model_dir.set_weights(run.average, model_dir.read_arrays(best))
    model_dir.save(run.average, config.model, run.prior, folder / "model-best", metadata, history)
    score = float(run.best)
    return Trained(
        str(folder / "model-best"), int(run.step), round(values.get("loss", math.nan), 5),
        round(score, 4), round(judge.gray_psnr, 4), round(score - judge.gray_psnr, 4),
        round(float(run.seconds) / 60, 2),
    )  # fmt: skip
