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

from colorcli import devices, feed, initial, model_dir, resume, schedule
from colorcli.atomic import write_atomic
from colorcli.backbones import BACKBONES
from colorcli.checkpoints import Checkpoints
from colorcli.config import TrainConfig
from colorcli.dataset import Dataset
from colorcli.errors import DataError, UsageError
from colorcli.journal import Journal, Silence
from colorcli.lock import alone
from colorcli.model import build_model, check, output_stride, sharpened
from colorcli.resume import RUN
from colorcli.spent import Spent
from colorcli.step import compiled, new_state
from colorcli.validation import Validation

Progress = Callable[..., None]
BEST, LAST, LOCK = "model-best", "model-last", ".lock"
BEST_WEIGHTS = "best.npz"  # of the run so far, before a model folder is made of them
SHORT = 6  # times its start that a run must last to try out how long saving takes
LOG_EVERY = 20  # steps between two log lines
PATIENT = 20  # times longer than it takes to write model-last, until it is written again


@dataclass(frozen=True)
class Trained:
    """What a run came to. ``gain`` is validation PSNR minus that of gray, in dB.

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


def train(
    data: Dataset,
    folder: Path | str,
    config: TrainConfig,
    *,
    validation: Dataset | None = None,
    strategy: tf.distribute.Strategy | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
    began: float | None = None,
) -> Trained:
    """Train a network on ``data`` in the run folder ``folder``; resume what is there.

    Writes ``run.json`` (the config), ``log.jsonl``, ``tensorboard/``, ``panels/``,
    ``checkpoints/``, and the model folders ``model-best`` and ``model-last``, the latter also
    meanwhile. ``stop`` is asked after each step: true saves a checkpoint and returns.
    ``config.minutes`` are counted from ``began``, a time of ``time.monotonic()`` (None: now), and
    hold the last judgement and saving too. Raises
    ``DataError`` for data that is damaged or too small, a folder that cannot be written or that
    another process trains in, or a loss that is not finite, ``UsageError`` when ``folder`` holds another run, and ``ModelError``.
    """
    spent = Spent(time.monotonic() if began is None else began)
    folder = Path(folder)
    strategy = strategy or devices.strategy()
    schedule.check(config)
    check(config.model)
    if config.stochastic_depth and not BACKBONES[config.model.backbone].residual:
        raise UsageError(
            f"backbone {config.model.backbone} has no residual blocks to leave out; "
            "drop --stochastic-depth"
        )
    replicas = strategy.num_replicas_in_sync
    if config.batch % replicas:
        raise UsageError(
            f"batch {config.batch} cannot be shared evenly by {replicas} devices; "
            f"take a multiple of {replicas}"
        )
    if data.counts["train"] < config.batch:
        raise DataError(
            f"{data}: {data.counts['train']} training photographs are fewer than one batch "
            f"of {config.batch}; add photographs or lower --batch"
        )
    chief = devices.place(strategy)[0] == 0  # the one that writes
    with _alone(folder) if chief else contextlib.nullcontext():
        run = _Run(data, folder, config, validation or data, strategy, spent)
        return run.go(stop, progress)


def _alone(folder: Path) -> contextlib.AbstractContextManager[None]:
    return alone(folder / LOCK, folder, "train", "wait for it, or choose another -o")


class _Run:
    """One process's part of a run: its state, its records, its clocks."""

    def __init__(self, data: Dataset, folder: Path, config: TrainConfig, validation: Dataset,
                 strategy: tf.distribute.Strategy, spent: Spent) -> None:  # fmt: skip
        self.spent = spent
        self.data, self.folder, self.config, self.strategy = data, folder, config, strategy
        self.worker, self.workers = devices.place(strategy)
        self.chief = self.worker == 0
        self.per_epoch = data.counts["train"] // config.batch
        self.total = config.steps or config.epochs * self.per_epoch
        precision = devices.precision(config.precision)
        self.state = new_state(config, data.prior, precision, strategy)
        self.checkpoints = Checkpoints(folder, self.state.parts())
        if self.checkpoints.present:
            resume.check(folder, config, data)
        if self.checkpoints.restore():
            self.started = f"resumed at step {int(self.state.step)}"
        else:
            with strategy.scope():
                initial.start_from_prior(self.state.network, config, data.prior)
                self.started = initial.initialise(self.state.network, config)
                self.state.average.set_weights(self.state.network.get_weights())
        if not self._agreed(int(self.state.step)):
            raise DataError(
                f"{folder}: the workers are at different steps; -o must be one folder that all "
                "machines see"
            )
        self.journal: Journal = Silence()
        if self.chief:
            write_atomic(folder / RUN, resume.record(config, data))
            self.checkpoints.require_room()
            self.judge = Validation(validation, config, data.prior)
            self.predict = self.judge.predictor(self.state.average)
            self.journal = Journal(folder, int(self.state.step))
        overhead, trained = self.journal.last("overhead", 0.0), float(self.state.seconds)
        self.spent.resume(trained + overhead, self.journal.last("costs", {}))
        # Seconds of the budget that are not for training; the chief knows, and all must agree.
        self.withheld = self._mean(overhead + self.spent.reserve) * self.workers
        # What the logits are multiplied by in the models that are saved: as last judged.
        self.scale = float(self.journal.last("scale", 1.0))
        self.values: dict[str, float] = {}
        self.recent: list[dict[str, float]] = []
        self.paced, self.pace_seconds, self.pace_clock = 0, 0.0, math.nan
        self.model_seconds, self.model_written, self.model_step = 0.0, 0.0, -1
        self.best_step = -1  # as far as this process knows

    def _mean(self, number: float) -> float:
        """The mean of what all workers, who must ask together, say."""
        if self.workers == 1:
            return number
        mine = tf.constant(float(number), tf.float64)
        reduce = tf.function(
            lambda x: self.strategy.reduce(
                tf.distribute.ReduceOp.MEAN, self.strategy.run(lambda y: y, args=(x,)), axis=None
            )
        )
        return float(reduce(mine))

    def _agreed(self, number: int) -> bool:
        """Whether all workers, who must ask together, say the same."""
        return abs(self._mean(number) - number) < 1e-6

    @property
    def fraction(self) -> float:
        """How much of the run is done, from 0; all of it at 1 and above."""
        if not self.config.minutes:
            return int(self.state.step) / self.total
        budget = max(self.config.minutes * 60 - self.withheld, 1e-3)
        return float(self.state.seconds) / budget

    def go(self, stop: Callable[[], bool], progress: Progress | None) -> Trained:
        """Train until done, out of patience, or told to stop."""
        state, config, start = self.state, self.config, self.spent.here
        self.journal.note(event=self.started, step=int(state.step), total=self.total)
        steps = {r: compiled(state, self.strategy, r) for r in (False, True)}
        judged, halt = int(state.step), self._out_of_patience()
        if self.fraction >= 1 and (self.folder / BEST / model_dir.CONFIG).is_file():
            return self._result("done")  # nothing is left to do
        if int(state.step) == 0 and (config.init != "none" or config.minutes):
            # What one starts from may be better than anything that follows.
            self._assess(progress)
        if 0 < config.minutes <= 2 * config.checkpoint_minutes and not self.spent.reserve:
            # Too short a run to find out under way how long saving takes: done now, or, where
            # there is not even time for that, taken for as long as the start was.
            if config.minutes * 60 >= SHORT * start:
                self._refresh()
            else:
                self.spent.suppose(start)
        clock = saved = time.monotonic()
        reason = "patience" if halt else "done"
        try:
            for lightness, ab in self._batches() if not halt else ():
                at, done = int(state.step), self.fraction
                head_rate, backbone_rate = schedule.rates(config, at, done)
                state.optimizers[0].learning_rate.assign(head_rate)
                state.optimizers[1].learning_rate.assign(backbone_rate)
                keep = tf.constant(min(config.ema, (1 + at) / (10 + at)), tf.float32)
                now = time.monotonic()
                # Every worker passes on how long it took and whether it was told to stop.
                told = 2.0 if stop() else 1.0 if halt else 0.0
                withheld = self.spent.withheld(float(state.seconds)) if self.chief else 0.0
                shared = tf.constant([now - clock, told, withheld], tf.float32)
                logs = steps[backbone_rate > 0](lightness, ab, keep, shared)
                seconds, told, withheld = (float(x) for x in logs.pop("shared"))
                self.withheld = withheld * self.workers
                logs = {name: float(value) for name, value in logs.items()}
                state.step.assign_add(1)
                state.seconds.assign_add(seconds)
                clock = now
                self._learnt(at, logs, head_rate, backbone_rate)
                if progress:
                    budget = config.minutes > 0
                    shown = min(self.total, round(self.fraction * self.total))
                    progress(
                        shown if budget else at + 1, self.total, step=at + 1,
                        images_per_second=self.images_per_second, **self.values,
                    )  # fmt: skip
                judge = (at + 1) % (config.val_steps or self.per_epoch) == 0
                if judge or time.monotonic() - saved > config.checkpoint_minutes * 60:
                    if judge and self._time_for("judgement"):
                        self._assess(progress)
                        judged, halt = at + 1, self._out_of_patience()
                    self._checkpoint()
                    if self._time_for("model"):
                        self._refresh()
                    clock = saved = time.monotonic()
                    self.pace_clock = math.nan
                if told > 0 or (halt and self.workers == 1):
                    reason = "interrupted" if told * self.workers >= 2 else "patience"
                    break
            if reason != "interrupted" and (
                int(state.step) > judged or not (self.folder / BEST_WEIGHTS).is_file()
            ):
                self._assess(progress)
            self._checkpoint()
            if reason != "interrupted":
                self._finish()
            if config.minutes:
                self.journal.note(event=reason, step=int(state.step), **self._clocks())
            self._agreed(0)  # the others wait for the chief, without whom they are cut off
        except tf.errors.OpError as error:
            if self.workers == 1:
                raise
            line = error.message.splitlines()[0][:160] if error.message else ""
            raise DataError(
                f"worker {self.worker}: lost the others ({line}); the last checkpoint is intact: "
                "start all of them again"
            ) from None
        finally:
            self.journal.close()
        return self._result(reason)

    def _batches(self) -> Iterator[tuple[Any, Any]]:
        """Batches from where the run is to its end, at the size of each stage."""
        config, per_replica = self.config, self.config.batch // self.strategy.num_replicas_in_sync
        while self.fraction < 1:
            size = schedule.size_at(config, self.fraction)

            def stream(context: tf.distribute.InputContext, size: int = size) -> tf.data.Dataset:
                return feed.batches(
                    self.data, size=size, stride=output_stride(config.model), batch=config.batch,
                    seed=config.seed, start=int(self.state.step), crop=config.crop,
                    augment=config.augment, part=(self.worker, self.workers), share=per_replica,
                )  # fmt: skip

            batches = iter(self.strategy.distribute_datasets_from_function(stream))
            while self.fraction < 1 and schedule.size_at(config, self.fraction) == size:
                try:
                    batch = next(batches)
                except (tf.errors.DataLossError, tf.errors.InvalidArgumentError,
                        tf.errors.NotFoundError, tf.errors.OutOfRangeError) as error:  # fmt: skip
                    raise self._blamed(error) from None
                yield batch

    def _blamed(self, error: tf.errors.OpError) -> DataError:
        """The shard that is to blame for a batch that could not be read."""
        try:
            self.data.reread()
        except DataError as named:
            return named
        line = error.message.splitlines()[0][:160] if error.message else type(error).__name__
        return DataError(f"{self.data}: a batch cannot be read ({line}); prepare again")

    def _learnt(
        self, at: int, logs: dict[str, float], head_rate: float, backbone_rate: float
    ) -> None:
        """Look at what a step gave; raises ``DataError`` where that is not finite."""
        state, scale = self.state, float(self.state.scale)
        finite = math.isfinite(logs["loss"]) and math.isfinite(logs["norm"])
        if scale > 1 and not finite:
            state.scale.assign(scale / 2)  # float16 ran over; the step changed nothing
        elif scale > 1 and (at + 1) % 1000 == 0:
            state.scale.assign(min(2 * scale, 2.0**15))
        elif not finite:
            self.journal.note(event="not finite", step=at, loss=str(logs["loss"]))
            raise DataError(
                f"{self.folder}: loss or gradient are no longer finite at step {at}; the last "
                "checkpoint is intact: start another run from its model with a lower --rate"
            )
        self.recent.append(logs)
        done = at + 1
        if done % LOG_EVERY == 0:
            self._note_recent(done, rate=head_rate, backbone_rate=backbone_rate)
        now = time.monotonic()
        if not math.isnan(self.pace_clock):
            self.paced += 1
            self.pace_seconds += now - self.pace_clock
        self.pace_clock = now

    @property
    def images_per_second(self) -> float:
        """Of training alone: without judging, saving, and the first step's compilation."""
        return self.paced * self.config.batch / self.pace_seconds if self.paced else math.nan

    def _note_recent(self, step: int, **rates: float) -> None:
        means = {
            name: float(np.mean([logs[name] for logs in self.recent])) for name in self.recent[0]
        }
        self.recent.clear()
        self.values["loss"] = means["loss"]
        rounded = {name: float(f"{value:.6g}") for name, value in means.items()}
        self.journal.note(step=step, **rounded, **rates, **self._clocks())
        self.journal.scalars(step, **means, **rates)

    def _time_for(self, what: str) -> bool:
        """Whether the budget allows it once more, beside the last time."""
        return not self.config.minutes or self.spent.allows(what, self.config.minutes * 60)

    def _clocks(self) -> dict[str, Any]:
        """Minutes of training, for the log; where they are limited, what else took its seconds."""
        seconds = float(self.state.seconds)
        clocks: dict[str, Any] = {"minutes": round(seconds / 60, 3)}
        if self.config.minutes:
            costs = {what: round(cost, 1) for what, cost in self.spent.costs.items()}
            clocks |= {"overhead": round(self.spent.overhead(seconds), 1), "costs": costs}
        return clocks

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= int(self.state.stale)

    def _assess(self, progress: Progress | None) -> None:
        """Judge the averaged weights; keep them where they are the best so far."""
        if not self.chief:
            return
        step = int(self.state.step)
        if self.recent:
            self._note_recent(step)
        with self.spent.on("judgement"):
            self._judge(step, progress)

    def _judge(self, step: int, progress: Progress | None) -> None:
        state = self.state
        (score, self.scale), gray = self.judge.score(self.predict), self.judge.gray_psnr
        self.values |= {"val_psnr": score, "gain": score - gray}
        if score > float(state.best) or math.isnan(score):
            state.best.assign(score)
            state.stale.assign(0)
            self._keep_best()
            self.best_step = step
        else:
            state.stale.assign_add(1)
        shown = {"val_psnr": score, "gray_psnr": gray, "gain": score - gray}
        self.journal.note(
            step=step, epoch=round(step / self.per_epoch, 3),
            **{k: None if math.isnan(v) else round(v, 4) for k, v in shown.items()},
            scale=self.scale, **self._clocks(),
        )  # fmt: skip
        if not math.isnan(score):
            self.journal.scalars(step, **shown, scale=self.scale)
        panel = self.judge.panel(self.predict, self.config.panel, self.scale)
        if panel is not None:
            self.journal.panel(step, panel)
        if progress:
            progress(min(step, self.total), self.total, step=step, judged=True, **self.values)

    def _checkpoint(self) -> None:
        if self.chief:
            with self.spent.on("checkpoint"):
                self.checkpoints.save()

    def _keep_best(self) -> None:
        import io

        buffer = io.BytesIO()
        arrays: dict[str, Any] = self._sharpened()
        np.savez(buffer, **arrays)
        write_atomic(self.folder / BEST_WEIGHTS, buffer.getvalue())

    def _sharpened(self) -> dict[str, np.ndarray]:
        """The averaged weights, with the logits' factor that judged best in the head."""
        return sharpened(model_dir.arrays_of(self.state.average), self.scale)

    def _save_model(self, name: str, arrays: dict[str, np.ndarray] | None = None) -> None:
        config, state = self.config, self.state
        metadata = {
            "trained": {
                "photographs": self.data.distinct,
                "steps": int(state.step),
                "minutes": round(float(state.seconds) / 60, 1),
                # Names alone: where files lay on this machine is nobody's business.
                "config": {
                    **asdict(config),
                    "init": initial.display_name(config.init),
                    "weights": {
                        **asdict(config.weights),
                        "features": initial.display_name(config.weights.features),
                        "teachers": ",".join(
                            map(initial.display_name, config.weights.teacher_names)
                        ),
                    },
                },
            },
        }
        with self.spent.on("model"), devices.policy("float32"):
            network = build_model(config.model)
            model_dir.set_weights(network, arrays or self._sharpened())
            model_dir.save(
                network, config.model, state.prior, self.folder / name, metadata,
                self.journal.history(),
            )  # fmt: skip

    def _refresh(self) -> None:
        """Bring model-last up to date, so that one can predict meanwhile; seldom, if it is slow."""
        start = time.monotonic()
        if self.chief and start - self.model_written >= PATIENT * self.model_seconds:
            self._save_model(LAST)
            self.model_step, self.model_written = int(self.state.step), time.monotonic()
            self.model_seconds = self.model_written - start

    def _finish(self) -> None:
        if not self.chief:
            return
        if self.model_step != int(self.state.step):
            self._save_model(LAST)
        last = self.folder / LAST
        if self.best_step == int(self.state.step) and last.is_dir():  # the same weights
            model_dir.copy(last, self.folder / BEST)
        else:
            self._save_model(BEST, model_dir.read_arrays(self.folder / BEST_WEIGHTS))

    def _result(self, stopped: str) -> Trained:
        score = float(self.state.best)
        gray = self.judge.gray_psnr if self.chief else math.nan
        score = score if score > -1e8 else math.nan
        return Trained(
            str(self.folder if stopped == "interrupted" else self.folder / BEST),
            int(self.state.step), round(self.values.get("loss", math.nan), 5), round(score, 4),
            round(gray, 4), round(score - gray, 4), round(self.spent.total / 60, 2),
            round(self.images_per_second, 1), stopped,
        )  # fmt: skip
