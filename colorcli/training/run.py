"""A run under way: what it has learnt, what judged it, what it has written, where its time went."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from colorcli.config.training import TrainConfig
from colorcli.data.dataset import Dataset
from colorcli.network import initial_weights, model_folder
from colorcli.network.model import build_model, sharpened
from colorcli.system.atomic import write_atomic
from colorcli.system.errors import DataError
from colorcli.training import devices
from colorcli.training.agreement import Workers
from colorcli.training.run_folder import resume
from colorcli.training.run_folder.checkpoints import Checkpoints
from colorcli.training.run_folder.record import Record
from colorcli.training.run_folder.run_log import Journal, Silence
from colorcli.training.spent import Spent
from colorcli.training.step import new_state
from colorcli.training.tail import Tail
from colorcli.training.validation import Judged, Validation

Progress = Callable[..., None]
BEST, LAST = "model-best", "model-last"
BEST_WEIGHTS = "best.npz"  # of the run so far, before a model folder is made of them
PATIENT = 20  # times longer than it takes to write model-last, until it is written again


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run is to do: learn from ``data`` in ``folder``, judged by ``judges``."""

    data: Dataset
    judges: Dataset
    folder: Path
    config: TrainConfig


class Run:
    """One process's part of a run. What only the chief does, the others skip.

    ``values`` are the newest figures for whoever watches; ``progress`` is who does.
    """

    def __init__(
        self,
        task: Task,
        strategy: tf.distribute.Strategy,
        spent: Spent,
        progress: Progress | None = None,
    ) -> None:
        self.data, self.folder, self.config = task.data, task.folder, task.config
        self.strategy, self.spent, self.progress = strategy, spent, progress
        self.workers = Workers(strategy)
        self.chief = self.workers.chief
        self.per_epoch = self.data.epoch // self.config.batch
        self.total = self.config.steps or self.config.epochs * self.per_epoch
        self.values: dict[str, float] = {}
        self._model_seconds, self._model_written, self._model_step = 0.0, 0.0, -1
        self._best_step = -1  # as far as this process knows
        precision = devices.precision(self.config.precision)
        self.state = new_state(self.config, self.data.prior, precision, strategy)
        self.tail = Tail(self.config)
        parts = {**self.state.parts(), **self.tail.parts()}
        self.checkpoints = Checkpoints(self.folder, parts)
        self._begin(task.judges)

    def _begin(self, judges: Dataset) -> None:
        """Go on from the newest checkpoint, or start anew."""
        identity = resume.identity(self.config, self.data, judges)
        if self.checkpoints.present:
            resume.check(self.folder, identity, self.data)
        self.record = Record()
        if self.checkpoints.restore():
            self.started = f"resumed at step {self.step}"
            self.record = Record.read(self.folder)
        else:
            self.started = self._initialise()
        if not self.workers.agree(self.step):
            raise DataError(
                f"{self.folder}: the workers are at different steps; -o must be one folder that "
                "all machines see"
            )
        self.journal: Journal = Silence()
        if self.chief:
            write_atomic(self.folder / resume.RUN, resume.record(identity))
            self.checkpoints.sweep()
            self.checkpoints.require_room()
            self.judge = Validation(judges, self.config, self.data.prior)
            self._predict = self.judge.predictor(self.state.average)
            self.journal = Journal(self.folder, self.step)
        if self.tail.network is not None:
            self.spent.last["judgement"] += 1  # that of the tail average
        overhead = self.record.overhead
        self.spent.resume(float(self.state.seconds) + overhead, self.record.costs)
        # Seconds of the budget that are not for training.
        self.withheld = self.workers.of_chief(overhead + self.spent.reserve)

    def _initialise(self) -> str:
        """Weights to start from; in words, whence."""
        with self.strategy.scope():
            initial_weights.start_from_prior(self.state.network, self.config, self.data.prior)
            started = initial_weights.initialise(self.state.network, self.config)
            self.state.average.set_weights(self.state.network.get_weights())
        return started

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state.step)

    @property
    def fraction(self) -> float:
        """How much of the run is done, from 0; all of it at 1 and above."""
        if not self.config.minutes:
            return self.step / self.total
        budget = max(self.config.minutes * 60 - self.withheld, 1e-3)
        return float(self.state.seconds) / budget

    @property
    def finished(self) -> bool:
        """Whether the models of this very step were written."""
        written = (self.folder / BEST / model_folder.CONFIG).is_file()
        return written and self.record.finished == self.step

    @property
    def out_of_patience(self) -> bool:
        """Whether too many judgements have come since the best."""
        return 0 < self.config.patience <= int(self.state.stale)

    def time_for(self, what: str) -> bool:
        """Whether the budget allows it once more, beside the last time."""
        return not self.config.minutes or self.spent.allows(what, self.config.minutes * 60)

    def clocks(self) -> dict[str, Any]:
        """Minutes of training, for the log; where they are limited, what else took its seconds."""
        seconds = float(self.state.seconds)
        clocks: dict[str, Any] = {"minutes": round(seconds / 60, 3)}
        if self.config.minutes:
            costs = {what: round(cost, 1) for what, cost in self.spent.costs.items()}
            clocks |= {"overhead": round(self.spent.overhead(seconds), 1), "costs": costs}
        return clocks

    # --- judging -------------------------------------------------------------------------------

    def name_judges(self) -> None:
        """Write into the log what judges, unless it did before."""
        if self.chief and self.record.judges != (told := self.judge.told()):
            self.record.judges = told
            self.journal.note(event="judged by", step=self.step, judges=told)

    def assess(self) -> None:
        """Judge the averaged weights; keep them where they are the best so far."""
        if self.chief:
            with self.spent.on("judgement"):
                self._judge()

    def _judge(self) -> None:
        state, step = self.state, self.step
        found, gray = self.judge.score(self._predict), self.judge.gray_psnr
        score, self.record.scale = found.psnr, found.scale
        self.values |= {"val_psnr": score, "gain": score - gray}
        if len(self.judge.weights) > 1:
            self.values |= {f"gain {label}": found.gains[label] for label in self.judge.weights}
        if score > float(state.best) or math.isnan(score):
            state.best.assign(score)
            state.stale.assign(0)
            self._keep_best(self._sharpened(), found.gains)
            self._best_step = step
        else:
            state.stale.assign_add(1)
        self.journal.note(
            step=step, epoch=round(step / self.per_epoch, 3), **self._told(found),
            scale=found.scale, **self.clocks(),
        )  # fmt: skip
        if not math.isnan(score):
            by_group = {f"gain/{label}": gain for label, gain in found.gains.items()}
            shown = {"val_psnr": score, "gray_psnr": gray, "gain": score - gray}
            self.journal.scalars(step, **shown, scale=found.scale, **by_group)
        panel = self.judge.panel(self._predict, self.config.panel, found.scale)
        if panel is not None:
            self.journal.panel(step, panel)
        if self.progress:
            done = min(step, self.total)
            self.progress(done, self.total, step=step, judged=True, **self.values)

    def _told(self, found: Judged) -> dict[str, Any]:
        """A judgement as the log has it, in dB."""
        gray = self.judge.gray_psnr
        shown = {"val_psnr": found.psnr, "gray_psnr": gray, "gain": found.psnr - gray}
        told = {k: None if math.isnan(v) else round(v, 4) for k, v in shown.items()}
        by_group = {label: round(gain, 4) for label, gain in found.gains.items()}
        return {**told, "gains": by_group} if by_group else told

    def assess_tail(self) -> None:
        """Judge the mean over the run's end; keep it where it is the best."""
        if not self.chief or self.tail.network is None or not int(self.tail.count):
            return
        found = self.judge.score(self.judge.predictor(self.tail.network))
        self.journal.note(
            event="tail average", step=self.step, averaged=int(self.tail.count),
            **self._told(found), tail_scale=found.scale,
        )  # fmt: skip
        if found.psnr > float(self.state.best):
            self.state.best.assign(found.psnr)
            arrays = model_folder.arrays_of(self.tail.network)
            self._keep_best(sharpened(arrays, found.scale), found.gains)
            self._best_step = -1  # other weights than any step's

    def _keep_best(self, arrays: dict[str, Any], gains: dict[str, float]) -> None:
        self.record.gains, buffer = gains, io.BytesIO()
        np.savez(buffer, **arrays)
        write_atomic(self.folder / BEST_WEIGHTS, buffer.getvalue())

    def _sharpened(self) -> dict[str, np.ndarray]:
        """The averaged weights, with the logits' factor that judged best in the head."""
        return sharpened(model_folder.arrays_of(self.state.average), self.record.scale)

    # --- saving --------------------------------------------------------------------------------

    def _remember(self) -> None:
        self.record.overhead = self.spent.overhead(float(self.state.seconds))
        self.record.costs = dict(self.spent.costs)
        self.record.write(self.folder)

    def checkpoint(self) -> None:
        """Keep all that is needed to go on from here."""
        if self.chief:
            with self.spent.on("checkpoint"):
                self._remember()
                self.checkpoints.save()

    def _save_model(self, name: str, weights: dict[str, np.ndarray] | str | None = None) -> None:
        """Write a model of ``weights``: the averaged ones, arrays, or those of another by name."""
        if isinstance(weights, str):
            model_folder.copy(self.folder / weights, self.folder / name)
            return
        with self.spent.on("model"), devices.policy("float32"):
            network = build_model(self.config.model)
            model_folder.set_weights(network, weights or self._sharpened())
            model_folder.save(
                network, self.config.model, self.state.prior, self.folder / name,
                metadata={"trained": self._trained()}, history=self.journal.history(),
            )  # fmt: skip

    def _trained(self) -> dict[str, Any]:
        """What a model says of its training."""
        config = asdict(self.config)
        # Names alone: where files lay on this machine is nobody's business.
        named = initial_weights.display_name
        config["init"] = named(self.config.init)
        config["weights"] |= {
            "features": named(self.config.weights.features),
            "teachers": ",".join(map(named, self.config.weights.teacher_names)),
        }
        return {
            "photographs": self.data.distinct,
            "sets": self.data.sets["train"],
            "steps": self.step,
            "minutes": round(float(self.state.seconds) / 60, 1),
            "config": config,
        }

    def refresh(self) -> None:
        """Bring model-last up to date, so that one can predict meanwhile; seldom, if it is slow."""
        start = time.monotonic()
        if self.chief and start - self._model_written >= PATIENT * self._model_seconds:
            self._save_model(LAST)
            self._model_step, self._model_written = self.step, time.monotonic()
            self._model_seconds = self._model_written - start

    def finish(self) -> None:
        """Write the models of the run as it stands."""
        if not self.chief:
            return
        if self._model_step != self.step:
            self._save_model(LAST)
        same = self._best_step == self.step and (self.folder / LAST).is_dir()
        weights = LAST if same else model_folder.read_arrays(self.folder / BEST_WEIGHTS)
        self._save_model(BEST, weights)
        self.record.finished = self.step
        self._remember()
        self.journal.note(event="finished", step=self.step)
