"""``colorize train``: one loop around one compiled step, resumable at any batch."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from colorcli.config.training import TrainConfig
from colorcli.data.dataset import Dataset
from colorcli.network.backbones import BACKBONES
from colorcli.network.model import check, output_stride
from colorcli.system.errors import DataError, UsageError
from colorcli.system.lock import alone
from colorcli.training import devices, schedule
from colorcli.training.agreement import Told
from colorcli.training.feed import batches, enlargement
from colorcli.training.run import BEST, BEST_WEIGHTS, Progress, Run, Task
from colorcli.training.spent import Spent
from colorcli.training.step import compiled

LOCK = ".lock"
SHORT = 6  # times its start that a run must last to try out how long saving takes
LOG_EVERY = 20  # steps between two log lines
# What a damaged shard brings about in a batch.
UNREADABLE = (
    tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run came to. ``gain`` is validation PSNR minus that of gray, in dB; ``gains`` those of
    the folders that judge, and of the sets in them.

    ``stopped``: why it ended: ``done``, ``patience`` or ``interrupted``. ``folder`` is the best
    model's; of an interrupted run, the run's. ``minutes``: with start-up, judging and saving.
    """

    folder: str
    steps: int
    loss: float
    val_psnr: float
    gray_psnr: float
    gain: float
    minutes: float
    images_per_second: float
    stopped: str
    gains: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a caller follows a run.

    ``stop`` is asked after each step: true saves a checkpoint and ends it. ``progress`` is called
    with steps done and in all, and the newest figures by name. ``began``: a time of
    ``time.monotonic()`` from which ``config.minutes`` are counted (None: now); they hold the last
    judgement and saving too.
    """

    stop: Callable[[], bool] = lambda: False
    progress: Progress | None = None
    began: float | None = None


def train(
    data: Dataset,
    folder: Path | str,
    config: TrainConfig,
    *,
    validation: Dataset | None = None,
    strategy: tf.distribute.Strategy | None = None,
    watch: Watch = Watch(),
) -> Trained:
    """Train a network on ``data`` in the run folder ``folder``; resume what is there.

    Writes ``run.json`` (the config), ``state.json``, ``log.jsonl``, ``tensorboard/``, ``panels/``,
    ``checkpoints/``, and the model folders ``model-best`` and ``model-last``, the latter also
    meanwhile. ``validation`` may join several folders, whose weights count; None is ``data``'s
    first. Raises ``DataError`` for data that is damaged or too small, a folder that cannot be
    written or that another process trains in, or a loss that is not finite, ``UsageError`` when
    ``folder`` holds another run, and ``ModelError``.
    """
    spent = Spent(time.monotonic() if watch.began is None else watch.began)
    folder = Path(folder)
    strategy = strategy or devices.strategy()
    _check(data, config, strategy.num_replicas_in_sync)
    judges = data.named[0] if validation is None or validation is data else validation
    chief = devices.place(strategy)[0] == 0  # the one that writes
    advice = "wait for it, or choose another -o"
    with alone(folder / LOCK, folder, "train", advice) if chief else contextlib.nullcontext():
        task = Task(data=data, judges=judges, folder=folder, config=config)
        return _Loop(Run(task, strategy, spent, watch.progress), watch.stop).go()


def _check(data: Dataset, config: TrainConfig, replicas: int) -> None:
    """Raise what ``train`` does for settings that fit no run."""
    schedule.check(config)
    check(config.model)
    if config.stochastic_depth and not BACKBONES[config.model.backbone].residual:
        raise UsageError(
            f"backbone {config.model.backbone} has no residual blocks to leave out; "
            "drop --stochastic-depth"
        )
    if config.batch % replicas:
        raise UsageError(
            f"batch {config.batch} cannot be shared evenly by {replicas} devices; "
            f"take a multiple of {replicas}"
        )
    if data.epoch < config.batch:
        raise DataError(
            f"{data}: {data.epoch} training photographs are fewer than one batch "
            f"of {config.batch}; add photographs or lower --batch"
        )


class _Loop:
    """The steps of a run, from where it is to its end."""

    def __init__(self, run: Run, stop: Callable[[], bool]) -> None:
        self.run, self.stop, self.config = run, stop, run.config
        # Whether to end for lack of patience, and the step of the last judgement.
        self.halt, self.judged = run.out_of_patience, run.step
        self.clock = self.saved = time.monotonic()
        self.recent: list[dict[str, float]] = []
        self.paced, self.pace_seconds, self.pace_clock = 0, 0.0, math.nan

    def go(self) -> Trained:
        """Train until done, out of patience, or told to stop."""
        run = self.run
        try:
            if (run.fraction >= 1 or self.halt) and run.finished:  # nothing is left to do
                return self._result("patience" if self.halt else "done")
            self._start()
            reason = "patience" if self.halt else self._steps()
            self._end(reason)
            run.workers.agree(0)  # the others wait for the chief, without whom they are cut off
        except tf.errors.OpError as error:
            if run.workers.count == 1:
                raise
            raise DataError(
                f"worker {run.workers.index}: lost the others ({_line(error)}); the last "
                "checkpoint is intact: start all of them again"
            ) from None
        finally:
            run.journal.close()
        return self._result(reason)

    def _start(self) -> None:
        """What comes before the first step of this process."""
        run, config, start = self.run, self.config, self.run.spent.here
        run.journal.note(event=run.started, step=run.step, total=run.total)
        self.compiled = {r: compiled(run.state, run.strategy, r) for r in (False, True)}
        if run.fraction >= 1:
            self.judged = -1  # the last checkpoint may have come before the last judgement
        run.name_judges()
        if run.step == 0 and (config.init != "none" or config.minutes):
            # What one starts from may be better than anything that follows.
            self._assess()
        if 0 < config.minutes <= 2 * config.checkpoint_minutes and not run.spent.reserve:
            # Too short a run to find out under way how long saving takes: done now, or, where
            # there is not even time for that, taken for as long as the start was.
            if config.minutes * 60 >= SHORT * start:
                run.refresh()
            else:
                run.spent.suppose(start)

    def _steps(self) -> str:
        """Step after step; why they ended."""
        self.clock = self.saved = time.monotonic()
        for lightness, ab in self._batches():
            told = self._step(lightness, ab)
            self._between()
            if told.stop:
                return "interrupted"
            # With others, patience ends when all have been told.
            if told.halt or (self.halt and self.run.workers.count == 1):
                return "patience"
        return "patience" if self.halt else "done"

    def _step(self, lightness: Any, ab: Any) -> Told:
        """Learn from a batch, and hear what the others say."""
        run, state = self.run, self.run.state
        at = run.step
        rates = schedule.rates(self.config, at, run.fraction)
        for optimizer, rate in zip(state.optimizers, rates, strict=True):
            optimizer.learning_rate.assign(rate)
        keep = tf.constant(min(self.config.ema, (1 + at) / (10 + at)), tf.float32)
        now = time.monotonic()
        mine = Told(
            seconds=now - self.clock, withheld=run.spent.withheld(float(state.seconds)),
            stop=self.stop(), halt=self.halt,
        )  # fmt: skip
        step = self.compiled[rates[1] > 0]
        logs = step(lightness, ab, keep, run.workers.tell(mine))
        told = run.workers.heard(logs.pop("told"))
        run.withheld = told.withheld
        state.step.assign_add(1)
        state.seconds.assign_add(told.seconds)
        self.clock = now
        self._learnt(at, {name: float(value) for name, value in logs.items()})
        if run.step % LOG_EVERY == 0:
            self._note_recent(rate=rates[0], backbone_rate=rates[1])
        self._pace()
        run.tail.follow(state.average, run.step, run.fraction)
        return told

    def _learnt(self, at: int, logs: dict[str, float]) -> None:
        """Look at what a step gave; raises ``DataError`` where that is not finite."""
        scale = self.run.state.scale
        finite = math.isfinite(logs["loss"]) and math.isfinite(logs["norm"])
        if float(scale) > 1 and not finite:
            scale.assign(scale / 2)  # float16 ran over; the step changed nothing
        elif float(scale) > 1 and (at + 1) % 1000 == 0:
            scale.assign(min(2 * float(scale), 2.0**15))
        elif not finite:
            self.run.journal.note(event="not finite", step=at, loss=str(logs["loss"]))
            raise DataError(
                f"{self.run.folder}: loss or gradient are no longer finite at step {at}; the last "
                "checkpoint is intact: start another run from its model with a lower --rate"
            )
        self.recent.append(logs)

    def _note_recent(self, **rates: float) -> None:
        """The means since the last time, into the log."""
        run = self.run
        means = {
            name: float(np.mean([logs[name] for logs in self.recent])) for name in self.recent[0]
        }
        self.recent.clear()
        run.values["loss"] = means["loss"]
        rounded = {name: float(f"{value:.6g}") for name, value in means.items()}
        run.journal.note(step=run.step, **rounded, **rates, **run.clocks())
        run.journal.scalars(run.step, **means, **rates)

    def _pace(self) -> None:
        now = time.monotonic()
        if not math.isnan(self.pace_clock):
            self.paced += 1
            self.pace_seconds += now - self.pace_clock
        self.pace_clock = now

    @property
    def _images_per_second(self) -> float:
        """Of training alone: without judging, saving, and the first step's compilation."""
        return self.paced * self.config.batch / self.pace_seconds if self.paced else math.nan

    def _between(self) -> None:
        """What comes between two steps: progress, and by times judging and saving."""
        run, config, done = self.run, self.config, self.run.step
        if run.progress:
            shown = min(run.total, round(run.fraction * run.total)) if config.minutes else done
            speed = self._images_per_second
            run.progress(shown, run.total, step=done, images_per_second=speed, **run.values)
        judge = done % (config.val_steps or run.per_epoch) == 0
        if not judge and time.monotonic() - self.saved <= config.checkpoint_minutes * 60:
            return
        if judge and run.time_for("judgement"):
            self._assess()
            self.judged, self.halt = done, run.out_of_patience
        run.checkpoint()
        if run.time_for("model"):
            run.refresh()
        self.clock = self.saved = time.monotonic()
        self.pace_clock = math.nan

    def _assess(self) -> None:
        if self.run.chief and self.recent:
            self._note_recent()
        self.run.assess()

    def _end(self, reason: str) -> None:
        """What comes after the last step, which ended for ``reason``."""
        run, ended = self.run, reason != "interrupted"
        if ended:
            if run.step > self.judged or not (run.folder / BEST_WEIGHTS).is_file():
                self._assess()
            run.assess_tail()
        run.checkpoint()
        if ended:
            run.finish()
        if self.config.minutes:
            run.journal.note(event=reason, step=run.step, **run.clocks())

    def _batches(self) -> Iterator[tuple[Any, Any]]:
        """Batches from where the run is to its end, at the size of each stage."""
        run, config = self.run, self.config
        while run.fraction < 1:
            size = schedule.size_at(config, run.fraction)
            seen = enlargement.at_size(run.data, size, config.crop, config.enlarge)
            run.journal.note(event="size", step=run.step, **asdict(seen))
            coming = iter(run.strategy.distribute_datasets_from_function(self._stream(size)))
            while run.fraction < 1 and schedule.size_at(config, run.fraction) == size:
                try:
                    batch = next(coming)
                except UNREADABLE as error:
                    raise self._blamed(error) from None
                yield batch

    def _stream(self, size: int) -> Callable[[tf.distribute.InputContext], tf.data.Dataset]:
        """This worker's batches of crops of ``size`` pixels from the present step on."""
        run, config = self.run, self.config
        view = batches.View(
            size=size, stride=output_stride(config.model), crop=config.crop,
            augment=config.augment, enlarge=config.enlarge, scans=config.scans,
        )  # fmt: skip
        part = batches.Part(
            worker=run.workers.index, workers=run.workers.count,
            share=config.batch // run.strategy.num_replicas_in_sync,
        )  # fmt: skip
        start = run.step
        return lambda context: batches.batches(
            run.data, view, batch=config.batch, seed=config.seed, start=start, part=part
        )

    def _blamed(self, error: tf.errors.OpError) -> DataError:
        """The shard that is to blame for a batch that could not be read."""
        try:
            self.run.data.reread()
        except DataError as named:
            return named
        line = _line(error) or type(error).__name__
        return DataError(f"{self.run.data}: a batch cannot be read ({line}); prepare again")

    def _result(self, stopped: str) -> Trained:
        run = self.run
        score = float(run.state.best)
        gray = run.judge.gray_psnr if run.chief else math.nan
        score = score if score > -1e8 else math.nan
        return Trained(
            folder=str(run.folder if stopped == "interrupted" else run.folder / BEST),
            steps=run.step,
            loss=round(run.values.get("loss", math.nan), 5),
            val_psnr=round(score, 4),
            gray_psnr=round(gray, 4),
            gain=round(score - gray, 4),
            minutes=round(run.spent.total / 60, 2),
            images_per_second=round(self._images_per_second, 1),
            stopped=stopped,
            gains={label: round(gain, 4) for label, gain in run.record.gains.items()},
        )


def _line(error: tf.errors.OpError) -> str:
    """What TensorFlow says, short."""
    return error.message.splitlines()[0][:160] if error.message else ""
