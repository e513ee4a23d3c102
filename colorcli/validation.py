"""The pictures that judge a run: a fixed set, scored beside doing nothing, and a panel to look at."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from colorcli import dataset
from colorcli.config import TrainConfig
from colorcli.dataset import Dataset
from colorcli.decoding import NEUTRAL
from colorcli.framing import shown
from colorcli.lab import join, neutral
from colorcli.losses import LOSSES
from colorcli.metrics import psnr

BATCH = 16
# Factors on the logits of a distribution, of which the best in PSNR goes into the head: soft
# targets teach a network to be less sure than the best mean wants (temperature scaling, Guo et al.
# 2017, with PSNR for likelihood).
SCALES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.7, 2.0)
LINE = 4  # white pixels between the pictures of a panel


class Validation:
    """``config.val_images`` pictures of the validation split at the model's own size.

    ``gray_psnr`` is the score of doing nothing in dB; NaN where there are no pictures.
    """

    def __init__(self, data: Dataset, config: TrainConfig, prior: np.ndarray) -> None:
        size = config.model.size
        pictures = itertools.islice(dataset.photographs(data, "val"), config.val_images)
        self.truth = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures]
        self.gray = [neutral(t) for t in self.truth]
        self.lightness = [shown(g, size)[..., None] for g in self.gray]
        self.gray_psnr = self._score([np.zeros((1, 1, 2), np.float32)] * len(self.truth))
        self._loss, self._log_prior = LOSSES[config.model.loss], np.log(prior)
        self._scales = SCALES if self._loss.distribution else (1.0,)

    def _score(self, predicted: list[np.ndarray]) -> float:
        if not self.truth:
            return float("nan")
        coloured = (join(g, ab, np.uint8) for g, ab in zip(self.gray, predicted, strict=True))
        return float(np.mean([psnr(t, c) for t, c in zip(self.truth, coloured, strict=True)]))

    def predictor(self, network: keras.Model) -> Callable[[Any], Any]:
        """ab (scales, B, s, s, 2) of a batch of L by ``network``, compiled: one for each scale."""

        def predict(lightness: Any) -> Any:
            output = network(lightness, training=False)
            return tf.stack(
                [self._loss.decode(s * output, NEUTRAL, self._log_prior) for s in self._scales]
            )

        return tf.function(predict, reduce_retracing=True)

    def _predicted(
        self, predict: Callable[[Any], Any], count: int | None = None
    ) -> list[list[np.ndarray]]:
        """For each scale, ab (s, s, 2) of each picture, or of the first ``count``."""
        inputs = self.lightness[:count]
        parts = [inputs[i : i + BATCH] for i in range(0, len(inputs), BATCH)]
        batches = [predict(np.stack(part)).numpy() for part in parts]
        return [[ab for batch in batches for ab in batch[i]] for i in range(len(self._scales))]

    def score(self, predict: Callable[[Any], Any]) -> tuple[float, float]:
        """Mean PSNR in dB of the coloured pictures at the best of the scales, and which that is."""
        scores = [self._score(predicted) for predicted in self._predicted(predict)]
        if not self.truth:
            return float("nan"), 1.0
        best = int(np.argmax(scores))
        return scores[best], self._scales[best]

    def panel(
        self, predict: Callable[[Any], Any], count: int, scale: float = 1.0
    ) -> np.ndarray | None:
        """sRGB (H, W, 3) uint8 of the first pictures, a row each: gray, predicted, truth."""
        none, rows = np.zeros((1, 1, 2), np.float32), []
        predicted = self._predicted(predict, count)[self._scales.index(scale)]
        for gray, ab, truth in zip(self.gray, predicted, self.truth, strict=False):
            line = np.full((len(gray), LINE, 3), 255, np.uint8)
            row = [join(gray, none, np.uint8), line, join(gray, ab, np.uint8), line, truth]
            rows += [np.hstack(row), np.full((LINE, 3 * len(gray) + 2 * LINE, 3), 255, np.uint8)]
        return np.vstack(rows[:-1]) if rows else None
