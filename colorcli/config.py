"""Every default of the project, once: frozen dataclasses that the command line and library share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

MODEL_SCHEMA = 1
DATASET_SCHEMA = 1
EVAL_SCHEMA = 1


@dataclass(frozen=True)
class ModelConfig:
    """What rebuilds a network, and nothing that training may change.

    ``size`` is the side in pixels of the square L the network sees when it colours; ``decoder``
    gives the width of each decoder stage, every stage doubling the resolution of the backbone's
    deepest feature map.
    """

    backbone: str = "efficientnet-lite0"
    loss: str = "classification"
    size: int = 192
    decoder: tuple[int, ...] = (128, 96, 64)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Rebuild from ``config.json``; raises ``TypeError`` on unknown or missing keys."""
        return cls(**{**values, "decoder": tuple(values["decoder"])})


@dataclass(frozen=True)
class Knobs:
    """How a distribution over colours becomes one colour.

    ``temperature``: annealed mean, 1 is the plain (PSNR-optimal) mean, lower is more decided.
    ``vividness``: λ of prior-corrected decoding, 0 off; lifts rare, saturated colours.
    ``saturation``: factor on ab after decoding. ``flip_average``: mean with the colours of the
    mirrored picture (test-time augmentation), for twice the network's time.
    """

    temperature: float = 1.0
    vividness: float = 0.0
    saturation: float = 1.0
    flip_average: bool = False


@dataclass(frozen=True)
class PrepareConfig:
    """Which photographs are kept and how they become training shards.

    Colours are judged on the picture reduced to about 64 pixels, in CIE Lab. ``min_chroma``: a
    mean √(a²+b²) below it is near-gray. ``min_spread``: a picture of one hue (the mean (a, b) at
    least 0.95 of the mean chroma long) whose colours lie closer than this, as root mean square,
    to the mean colour of their lightness is toned: sepia, cyanotype, a faded print.
    """

    size: int = 256  # short side in pixels; larger pictures are shrunk to it, smaller ones kept
    min_side: int = 64
    min_chroma: float = 3.0
    min_spread: float = 2.0
    duplicate_distance: int = 4  # bits of 64 in which near copies differ; −1: only equal files
    val_fraction: float = 0.02
    shard_images: int = 1024
    quality: int = 95  # of the stored JPEG, without chroma subsampling
    limit: int = 0  # at most this many, drawn by ``seed``; 0: all
    seed: int = 0
    workers: int = 0  # 0: one for each core; no influence on the result


@dataclass(frozen=True)
class LossWeights:
    """Weights inside the losses; each loss reads only its own."""

    regression: float = 10.0  # of the expected-ab term beside the cross-entropy
    log_regression: float = 0.3  # of the mean log of each picture's error: what PSNR averages
    rebalance: float = 1.0  # λ of class rebalancing: 1 none, 1/2 the paper's, 0 full


@dataclass(frozen=True)
class TrainConfig:
    """One training run. ``init`` names what the weights start from (see ``train.initialise``)."""

    model: ModelConfig = field(default_factory=ModelConfig)
    weights: LossWeights = field(default_factory=LossWeights)
    init: str = "default"
    init_sha256: str = ""  # of the file, where init is a URL without its own #sha256=
    train_size: int = 192
    batch: int = 32
    epochs: int = 12
    steps: int = 0  # overrides epochs when positive
    minutes: float = 0.0  # when positive, the run is this long instead, and not reproducible
    optimizer: str = "adamw"
    rate: float = 2e-3
    backbone_rate: float = 3e-4
    # First backbone block that ever learns; 0: all do. The early ones work at high resolution, cost
    # half of the backward pass and know edges already.
    release_from: int = 5
    frozen: float = 0.0  # share of the run during which the backbone keeps its weights
    released_rate: float = 1e-3  # of the decoder, once the backbone is released
    warmup: int = 200
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.999
    augment: float = 0.4  # share of pictures whose L is aged (emulsion, fading, grain, blur)
    crop: float = 0.6  # smallest share of the picture's area that a random crop keeps
    val_images: int = 256
    checkpoint_minutes: float = 3.0
    seed: int = 0


PRESETS: dict[str, TrainConfig] = {
    "default": TrainConfig(),
    "baseline": TrainConfig(
        model=ModelConfig(backbone="plain", loss="mse", size=128, decoder=(128, 64, 32)),
        init="none",
        train_size=128,
        release_from=0,
        optimizer="adam",
        rate=1e-3,
        frozen=0.0,
        backbone_rate=1e-3,
        released_rate=1e-3,
        weight_decay=0.0,
        augment=0.0,
    ),
}


@dataclass(frozen=True)
class EvalConfig:
    """How pictures are judged.

    ``protocol``: ``squash-SIZE``, ``crop-SIZE`` or ``native``, see ``protocols.py``. ``gray``:
    which gray of the true colours is coloured, Lab's L or BT.601 luma.
    """

    protocol: str = "squash"
    size: int = 256  # of a protocol whose name carries none
    gray: str = "lab"
    min_chroma: float = 3.0  # mean √(a²+b²) below which an original counts as gray
    samples: int = 1000  # bootstrap replicates
    seed: int = 0
    workers: int = 0  # threads; 0: one for each core


@dataclass(frozen=True)
class ExportConfig:
    """What is written. ``precision`` None: the format's own; ``size`` None: that of the model.

    ``size`` is the side of L (``ab``) or of the picture (``image``), 0 any size. ``knobs`` go into
    an ``image`` graph. ``max_loss`` replaces the format's limit of PSNR lost, in dB.
    """

    format: str = "litert"
    precision: str | None = None
    signature: str = "ab"
    size: int | None = None
    knobs: Knobs = field(default_factory=Knobs)
    max_loss: float | None = None


def as_dict(config: Any) -> dict[str, Any]:
    """A frozen config as plain JSON values."""
    return dataclasses.asdict(config)


# Keys of the plug-point tables, for a command line that must not load what the tables hold.
# tests/test_tables.py keeps them equal to the tables.
BACKBONE_NAMES = ("plain", "efficientnet-lite0", "efficientnet-lite2")
LOSS_NAMES = ("mse", "smooth-l1", "classification")
IMAGE_FORMATS = (
    "jpeg", "png", "tiff", "webp", "avif", "gif", "bmp", "jp2", "ppm", "heic",
)  # fmt: skip
GRAYS = ("lab", "bt601")
PERCEPTUAL_METRICS = ("lpips", "fid")
EXPORT_FORMATS = ("keras", "saved-model", "litert", "onnx")
EXPORT_SIGNATURES = ("ab", "image")
EXPORT_PRECISIONS = ("float32", "float16", "int8")
DEVICES = ("auto", "cpu", "gpu")
