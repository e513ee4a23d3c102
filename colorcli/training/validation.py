"""The pictures that judge a run: a fixed set, scored beside doing nothing, and a panel to look at."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from colorcli.color.lab import join, neutral
from colorcli.colorizing.framing import shown
from colorcli.config.training import TrainConfig
from colorcli.data import dataset
from colorcli.data.dataset import Dataset
from colorcli.evaluation.metrics import psnr
from colorcli.network.decoding import NEUTRAL
from colorcli.network.losses import LOSSES

BATCH = 16
# Factors on the logits of a distribution, of which the best in PSNR goes into the head: soft
# targets teach a network to be less sure than the best mean wants (temperature scaling, Guo et al.
# 2017, with PSNR for likelihood).
SCALES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.7, 2.0)
LINE = 4  # white pixels between the pictures of a panel


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How a network did: mean PSNR in dB, the scale that gave it, and dB over gray by group."""

    psnr: float
    scale: float
    gains: dict[str, float]


class Validation:
    """``config.val_images`` pictures of each folder's validation split, at the model's own size.

    What judges is the mean over folders, by their weights, of each one's mean. ``gray_psnr`` is the
    score of doing nothing in dB; NaN where there are no pictures. ``groups`` are the pictures
    (indices) of each folder, and of each set of a folder that has several, as FOLDER/SET.
    """

    def __init__(self, data: Dataset, config: TrainConfig, prior: np.ndarray) -> None:
        size = config.model.size
        self.truth: list[np.ndarray] = []
        self.groups: dict[str, np.ndarray] = {}
        self.weights: dict[str, float] = {}  # of the folders
        for part in data.named:
            self._add(part, config.val_images, size)
        self.gray = [neutral(t) for t in self.truth]
        none = np.zeros((1, 1, 2), np.float32)
        self._gray_scores = np.array([self._score(i, none) for i in range(len(self.truth))])
        self.gray_psnr = self._mean(self._gray_scores)
        self._loss, self._log_prior = LOSSES[config.model.loss], np.log(prior)
        self._scales = SCALES if self._loss.distribution else (1.0,)

    def _add(self, part: Dataset, most: int, size: int) -> None:
        """Read a folder's pictures and group them."""
        label, number = part.name, 1
        while label in self.groups:
            number += 1
            label = f"{part.name} {number}"
        sets: dict[str, list[int]] = {}
        first = len(self.truth)
        for name, picture in dataset.labelled(part, "val", most):
            sets.setdefault(name, []).append(len(self.truth))
            self.truth.append(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA))
        if len(self.truth) == first:
            return
        self.weights[label] = part.weight
        self.groups[label] = np.arange(first, len(self.truth))
        if len(sets) > 1:
            self.groups |= {f"{label}/{name}": np.array(sets[name]) for name in sorted(sets)}

    def _mean(self, scores: np.ndarray) -> float:
        """Of scores (n,) of all pictures, the figure that judges."""
        weights = list(self.weights.values())
        if not sum(weights):
            return float("nan")
        means = [scores[self.groups[label]].mean() for label in self.weights]
        return float(np.average(means, weights=weights))

    def told(self) -> dict[str, dict[str, float]]:
        """By group: its pictures, their PSNR in gray in dB, and a folder's weight."""
        return {
            label: {
                "images": len(group), "gray_psnr": round(float(self._gray_scores[group].mean()), 4),
                **({"weight": self.weights[label]} if label in self.weights else {}),
            }
            for label, group in self.groups.items()
        }  # fmt: skip

    def _score(self, index: int, ab: np.ndarray) -> float:
        return psnr(self.truth[index], join(self.gray[index], ab, np.uint8))

    def predictor(self, network: keras.Model) -> Callable[[Any], Any]:
        """ab (scales, B, s, s, 2) of a batch of L by ``network``, compiled: one for each scale."""

        def predict(lightness: Any) -> Any:
            output = network(lightness, training=False)
            return tf.stack(
                [self._loss.decode(s * output, NEUTRAL, self._log_prior) for s in self._scales]
            )

        return tf.function(predict, reduce_retracing=True)

    def _predicted(
        self, predict: Callable[[Any], Any], indices: Sequence[int]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Each of the pictures with its ab (scales, s, s, 2)."""
        for i in range(0, len(indices), BATCH):
            part = indices[i : i + BATCH]
            planes = np.stack([shown(self.gray[j], len(self.gray[j]))[..., None] for j in part])
            yield from zip(part, predict(planes).numpy().swapaxes(0, 1), strict=True)

    def score(self, predict: Callable[[Any], Any]) -> Judged:
        """Judge at the best of the scales; NaN and no groups where there are no pictures."""
        if not self.truth:
            return Judged(psnr=float("nan"), scale=1.0, gains={})
        scores = np.array(
            [
                [self._score(index, ab) for ab in scaled]
                for index, scaled in self._predicted(predict, range(len(self.truth)))
            ]
        ).T
        means = [self._mean(row) for row in scores]
        best = int(np.argmax(means))
        over = scores[best] - self._gray_scores
        gains = {label: float(over[group].mean()) for label, group in self.groups.items()}
        return Judged(psnr=means[best], scale=self._scales[best], gains=gains)

    def panel(
        self, predict: Callable[[Any], Any], count: int, scale: float = 1.0
    ) -> np.ndarray | None:
        """sRGB (H, W, 3) uint8 of the folders' first pictures, a row each: gray, predicted, truth."""
        none, rows = np.zeros((1, 1, 2), np.float32), []
        folders = (self.groups[label].tolist() for label in self.weights)
        turns = itertools.chain.from_iterable(itertools.zip_longest(*folders))
        first = list(itertools.islice((i for i in turns if i is not None), count))
        for index, scaled in self._predicted(predict, first):
            gray, truth, ab = self.gray[index], self.truth[index], scaled[self._scales.index(scale)]
            line = np.full((len(gray), LINE, 3), 255, np.uint8)
            row = [join(gray, none, np.uint8), line, join(gray, ab, np.uint8), line, truth]
            rows += [np.hstack(row), np.full((LINE, 3 * len(gray) + 2 * LINE, 3), 255, np.uint8)]
        return np.vstack(rows[:-1]) if rows else None
