"""Networks that some losses bring along: finished models that teach, frozen features that compare, a
critic that learns.

A partner adds a term to the loss of each step and may then learn from the same step. What it
learns is kept in checkpoints; it never becomes part of a model folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from colorcli.color.lab import AB_MAX, L_MAX, lab_to_rgb
from colorcli.config.training import LossWeights
from colorcli.network import model_folder
from colorcli.network.backbones import BACKBONES
from colorcli.network.decoding import NEUTRAL
from colorcli.network.losses import LOSSES
from colorcli.system.errors import ModelError
from colorcli.training.devices import policy

Logs = dict[str, Any]


class Partner:
    """Interface: ``judge`` inside the network's gradient, ``learn`` after it.

    Both take L (B, S, S, 1), true and predicted ab (B, s, s, 2), float32. ``network`` and
    ``optimizer`` are what a checkpoint keeps.
    """

    network: keras.Model | None = None
    optimizer: keras.optimizers.Optimizer | None = None

    def judge(self, lightness: Any, truth: Any, predicted: Any) -> tuple[Any, Logs]:
        """A scalar to add to the loss, and what to log."""
        raise NotImplementedError

    def learn(self, lightness: Any, truth: Any, predicted: Any, replicas: int) -> Logs:
        """Train the partner's own network, one of ``replicas``; what to log."""
        return {}


class Teachers(Partner):
    """Finished models whose mean colours the network is drawn to, beside the true ones.

    After Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015). A true
    colour is one draw of what a point may be; a teacher says the mean, and that of several errs
    less than any of them. Each sees the same L as the network, aged or not, at its own size. The
    loss is the mean squared distance of ab, over 110.
    """

    def __init__(self, weights: LossWeights) -> None:
        self.weight = weights.distillation
        self.taught: list[Callable[[Any], Any]] = []
        for name in weights.teacher_names:
            with policy("float32"):
                network, folder = model_folder.load_network(name)
                self.taught.append(_colours(network, folder))
        if not self.taught:
            raise ModelError("--teachers names no model; the distillation loss needs one")

    def judge(self, lightness: Any, truth: Any, predicted: Any) -> tuple[Any, Logs]:
        """The distance to the teachers' mean, weighted."""
        size = tf.shape(predicted)[1:3]
        shown = [tf.image.resize(colours(lightness), size) for colours in self.taught]
        mean = tf.stop_gradient(tf.add_n(shown) / len(shown))
        value = tf.reduce_mean(tf.square((predicted - mean) / AB_MAX))
        return self.weight * value, {"distance": value}


def _colours(network: keras.Model, folder: model_folder.ModelFolder) -> Callable[[Any], Any]:
    """ab (B, s, s, 2), the plain mean, of L (B, S, S, 1) by a finished model."""
    loss, log_prior = LOSSES[folder.config.loss], tf.math.log(folder.prior)

    def colours(lightness: Any) -> Any:
        seen = tf.image.resize(lightness, (folder.config.size, folder.config.size))
        return loss.decode(network(seen, training=False), NEUTRAL, log_prior)

    return colours


class Features(Partner):
    """How differently a frozen ImageNet backbone sees the predicted and the true picture.

    After Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
    Super-Resolution" (ECCV 2016). Our backbones read gray pictures, in which a change of colour
    at the same L does not show. So R, G and B are read as three gray pictures, like the plates of
    a three-colour camera: each is a natural input of the backbone, and together they tell the
    colours. The loss is the mean absolute difference at strides 4, 8 and 16, each over the mean
    absolute feature of the truth.
    """

    strides = (4, 8, 16)

    def __init__(self, weights: LossWeights) -> None:
        self.weight = weights.perceptual
        with policy("float32"):
            network, maps = _features(weights.features)
            self.wanted = [maps.index(s) for s in self.strides]
            self.frozen = network

    def _maps(self, lightness: Any, ab: Any) -> list[Any]:
        size = tf.shape(lightness)[1:3]
        lab = tf.concat([lightness, tf.image.resize(ab, size)], -1)
        planes = tf.concat(tf.split(lab_to_rgb(lab, ops), 3, -1), 0)
        # What the backbone scales as L is nearly a pixel's share of white (see backbones).
        maps = self.frozen(planes * L_MAX, training=False)
        return [maps[i] for i in self.wanted]

    def judge(self, lightness: Any, truth: Any, predicted: Any) -> tuple[Any, Logs]:
        """The feature error, weighted."""
        pairs = zip(self._maps(lightness, truth), self._maps(lightness, predicted), strict=True)
        value = tf.add_n([
            tf.reduce_mean(tf.abs(shown - true)) / (tf.reduce_mean(tf.abs(true)) + 1e-6)
            for true, shown in pairs
        ]) / len(self.strides)  # fmt: skip
        return self.weight * value, {"features": value}


def _features(source: str) -> tuple[keras.Model, list[int]]:
    """A pretrained backbone from L to its feature maps, and their strides.

    Every stride is an output, so that strict loading finds every layer. Raises ``ModelError``.
    """

    def built(backbone: str) -> tuple[keras.Model, list[int]]:
        lightness = keras.Input((None, None, 1))
        maps = BACKBONES[backbone].build(lightness)
        return keras.Model(lightness, [maps[s] for s in sorted(maps)]), sorted(maps)

    published = {name: b.load for name, b in BACKBONES.items() if b.load is not None}
    if source.endswith(".npz"):
        arrays, problem = model_folder.read_arrays(source), None
        for name, load in published.items():  # whose weights these are, only loading tells
            network, strides = built(name)
            try:
                load(network, arrays)
            except ModelError as error:
                problem = problem or error
            else:
                return network, strides
        raise ModelError(f"{source}: weights of no known backbone ({problem})")
    folder = model_folder.load(source, needs=(model_folder.WEIGHTS, model_folder.LITERT))
    if folder.config.backbone not in published:
        raise ModelError(
            f"{source}: its backbone is {folder.config.backbone}; the perceptual loss needs one of "
            f"{', '.join(published)}: name another model or weights in --features"
        )
    network, strides = built(folder.config.backbone)
    arrays = model_folder.arrays_of(model_folder.network_of(folder))
    paths = {w.path for w in network.weights}
    model_folder.set_weights(network, {k: v for k, v in arrays.items() if k in paths})
    return network, strides


class Critic(Partner):
    """A PatchGAN that tells true from predicted ab, given L.

    Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (CVPR 2017);
    non-saturating logistic loss with the zero-centred penalty γ/2·|∇D(truth)|² (R1) of Mescheder
    et al., "Which Training Methods for GANs do actually Converge?" (ICML 2018), which keeps it
    stable. It works at the resolution of the predicted chroma.
    """

    network: keras.Model
    optimizer: keras.optimizers.Optimizer

    def __init__(self, weights: LossWeights) -> None:
        self.weight, self.penalty = weights.adversarial, weights.penalty
        with policy("float32"):
            x = entry = keras.Input((None, None, 3), name="critic")
            for i, (width, stride) in enumerate(((64, 2), (128, 2), (128, 1))):
                x = layers.Conv2D(width, 4, stride, "same", name=f"critic_conv{i}")(x)
                x = layers.LeakyReLU(0.2)(x)
            self.network = keras.Model(
                entry, layers.Conv2D(1, 3, padding="same", name="patches")(x)
            )
            # No momentum: the critic's opponent moves (Mescheder et al.).
            self.optimizer = keras.optimizers.Adam(weights.critic_rate, beta_1=0.0, beta_2=0.99)
            self.optimizer.build(self.network.trainable_variables)

    def _patches(self, lightness: Any, ab: Any) -> Any:
        side = lightness.shape[1] // ab.shape[1]
        small = tf.nn.avg_pool2d(lightness, side, side, "VALID") if side > 1 else lightness
        return self.network(tf.concat([small / (0.5 * L_MAX) - 1.0, ab / AB_MAX], -1))

    def judge(self, lightness: Any, truth: Any, predicted: Any) -> tuple[Any, Logs]:
        """The loss of not being taken for true, weighted."""
        value = tf.reduce_mean(tf.nn.softplus(-self._patches(lightness, predicted)))
        return self.weight * value, {"fooling": value}

    def learn(self, lightness: Any, truth: Any, predicted: Any, replicas: int) -> Logs:
        """One step of the critic against this step's predictions."""
        variables = [v.value for v in self.network.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(truth)
                real = self._patches(lightness, truth)
                score = tf.reduce_sum(tf.reduce_mean(real, (1, 2, 3)))
            slope = inner.gradient(score, truth) * AB_MAX  # per unit of the critic's own scale
            fake = self._patches(lightness, predicted)
            loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
            steep = tf.reduce_mean(tf.reduce_sum(slope**2, (1, 2, 3)))
            value = (loss + 0.5 * self.penalty * steep) / replicas
        gradients = tape.gradient(value, variables)
        self.optimizer.apply_gradients(
            zip(gradients, self.network.trainable_variables, strict=True)
        )
        return {"critic": loss}


PARTNERS: dict[str, Callable[[LossWeights], Partner]] = {
    "teachers": Teachers, "features": Features, "critic": Critic,
}  # fmt: skip
"""Names that ``Loss.partner`` may have."""
