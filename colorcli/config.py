"""Every default of the project, once: frozen dataclasses that the command line and library share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MODEL_SCHEMA = 2
DATASET_SCHEMA = 1
EVAL_SCHEMA = 1


def value(default: Any, help: str, **limits: Any) -> Any:
    """A field of a config that flags and files can set: its help and what it may be.

    ``limits``: ``least``, ``most`` (both included), ``multiple`` and ``choices``;
    ``settings`` checks them.
    """
    return field(default=default, metadata={"help": help, **limits})


# Keys of the plug-point tables, for a command line that must not load what the tables hold.
# tests/test_structure.py keeps them equal to the tables.
BACKBONE_NAMES = ("plain", "efficientnet-lite0", "efficientnet-lite2")
LOSS_NAMES = ("mse", "smooth-l1", "classification", "distillation", "perceptual", "adversarial")
OPTIMIZER_NAMES = ("adam", "adamw")
NORM_NAMES = ("batch", "frozen")
PRECISION_NAMES = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
IMAGE_FORMATS = (
    "jpeg", "png", "tiff", "webp", "avif", "gif", "bmp", "jp2", "ppm", "heic",
)  # fmt: skip
FORMAT_ALIASES = ("jpg", "tif")  # suffixes that many take for names
GRAYS = ("lab", "bt601")
PERCEPTUAL_METRICS = ("lpips", "fid")
EXPORT_FORMATS = ("keras", "saved-model", "litert", "onnx")
EXPORT_SIGNATURES = ("ab", "image")
EXPORT_PRECISIONS = ("float32", "float16", "int8")
DEVICES = ("auto", "cpu", "gpu")
RIM_CHOICES = ("crop", "drop", "keep")

# Pixels above which predict goes by strips even where memory would do: from here on they take no
# longer than the whole (benchmarks/predict.py), and a third of the memory or less.
LARGE = 100_000_000


LARGEST_SIDE = 4096  # pixels of the square that a network may be asked to see
MOST_STAGES = 5  # of a decoder: they end at the resolution of L


@dataclass(frozen=True)
class ModelConfig:
    """What rebuilds a network, and nothing that training may change.

    ``size`` is the side in pixels of the square L the network sees when it colours; ``decoder``
    gives the width of each decoder stage, every stage doubling the resolution of the backbone's
    deepest feature map.
    """

    backbone: str = value("efficientnet-lite0", "Encoder.", choices=BACKBONE_NAMES)
    loss: str = value("classification", "Head and loss.", choices=LOSS_NAMES)
    size: int = value(
        224, "Side in pixels that the finished model sees.",
        least=32, most=LARGEST_SIDE, multiple=32,
    )  # fmt: skip
    decoder: tuple[int, ...] = value(
        (128, 96, 64), "Widths of the decoder's stages.", least=1, most=4096
    )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Rebuild from ``config.json``; raises ``TypeError`` on unknown or missing keys."""
        return cls(**{**values, "decoder": tuple(values["decoder"])})


@dataclass(frozen=True)
class PrepareConfig:
    """Which photographs are kept and how they become training shards.

    Colours are judged on the picture reduced to about 64 pixels, in CIE Lab. ``min_chroma``: a
    mean √(a²+b²) below it is near-gray. ``min_spread``: a picture of one hue (the mean (a, b) at
    least 0.95 of the mean chroma long) whose colours lie closer than this, as root mean square,
    to the mean colour of their lightness is toned: sepia, cyanotype, a faded print. ``rims``: what
    becomes of letterboxed pictures and those with a margin: ``crop``, ``drop`` or ``keep``. A
    photograph belongs to the set that the first folder below one of ``roots`` names; outside of
    them, its own folder.
    """

    size: int = 256  # short side in pixels; larger pictures are shrunk to it, smaller ones kept
    min_side: int = 64
    min_chroma: float = 3.0
    min_spread: float = 2.0
    rims: str = "crop"
    duplicate_distance: int = 4  # bits of 64 in which near copies differ; −1: only equal files
    val_fraction: float = 0.02
    shard_images: int = 1024
    quality: int = 95  # of the stored JPEG, without chroma subsampling
    limit: int = 0  # at most this many, drawn by ``seed``; 0: all
    seed: int = 0
    workers: int = 0  # 0: one for each core; no influence on the result
    roots: tuple[str, ...] = ()


@dataclass(frozen=True)
class LossWeights:
    """Numbers inside the losses; each loss reads only its own."""

    regression: float = value(10.0, "classification: weight of the expected ab's error.", least=0)
    log_regression: float = value(
        0.5, "classification: weight of the log of each picture's error, as in PSNR.", least=0
    )
    rebalance: float = value(
        1.0, "classification: λ of rebalancing; 1 none, 0.5 the paper's, 0 full.", least=0, most=1
    )
    teachers: str = value(
        "default", "distillation: finished models, with commas; the mean of their colours teaches."
    )
    distillation: float = value(20.0, "distillation: weight of the distance to it.", least=0)
    perceptual: float = value(0.1, "perceptual: weight of the feature error.", least=0)
    features: str = value(
        "default", "perceptual: frozen network, a model or ImageNet weights .npz."
    )
    adversarial: float = value(0.003, "adversarial: weight of fooling the critic.", least=0)
    penalty: float = value(1.0, "adversarial: γ of the critic's R1 gradient penalty.", least=0)
    critic_rate: float = value(2e-4, "adversarial: the critic's learning rate.", least=0)

    @property
    def teacher_names(self) -> list[str]:
        """Those of ``teachers``, one by one."""
        return [name for name in map(str.strip, self.teachers.split(",")) if name]


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Shares are of the run's steps, or of its minutes."""

    model: ModelConfig = field(default_factory=ModelConfig)
    weights: LossWeights = field(default_factory=LossWeights)
    init: str = value(
        "default", "Start: model name, folder or weights.npz, backbone .npz, URL, or none."
    )
    init_sha256: str = value("", "Checksum of a URL's file; URL#sha256=HEX says the same.")
    stages: tuple[tuple[int, float], ...] = value(
        ((224, 1.0),), "Sides of the training crops with their shares: 128:0.7,192:0.3.", least=32
    )
    batch: int = value(32, "Photographs in a step, over all devices.", least=1)
    epochs: int = value(12, "Times to see every photograph.", least=1)
    steps: int = value(0, "Instead of epochs, when positive.", least=0)
    minutes: float = value(
        0.0, "Instead of both, when positive, with start and end; not reproducible.", least=0
    )
    optimizer: str = value("adamw", "Update rule.", choices=OPTIMIZER_NAMES)
    rate: float = value(2e-3, "Learning rate while the backbone is frozen.", least=0)
    released_rate: float = value(5e-4, "Of decoder and head afterwards.", least=0)
    backbone_rate: float = value(2e-4, "Of the backbone, released.", least=0)
    frozen: float = value(0.0, "Share of the run with the backbone frozen.", least=0, most=1)
    norms: str = value(
        "batch", "Statistics of the decoder's norms: of each batch, or as they were.",
        choices=NORM_NAMES,
    )  # fmt: skip
    # The early blocks work at high resolution, cost half of the backward pass and know edges already.
    release_from: int = value(5, "First backbone block to release; 0: all.", least=0)
    stochastic_depth: float = value(
        0.0, "Chance that the released backbone's last residual is left out; others less.",
        least=0, most=0.9,
    )  # fmt: skip
    warmup: int = value(200, "Steps over which the rates rise.", least=0)
    weight_decay: float = value(0.02, "AdamW's, on kernels.", least=0)
    clip: float = value(1.0, "Largest global norm of the gradients; 0: any.", least=0)
    ema: float = value(0.999, "Decay of the averaged weights that are kept.", least=0, most=1)
    tail_average: float = value(
        0.0, "Last share of the run over which weights are averaged, to be judged at its end.",
        least=0, most=1,
    )  # fmt: skip
    augment: float = value(0.4, "Share of pictures whose L is aged.", least=0, most=1)
    crop: float = value(0.5, "Smallest share of a picture's area in a crop.", least=0.01, most=1)
    enlarge: float = value(
        0.0, "Largest enlargement of a crop: windows grow, pictures too small are left out; 0: any.",
        least=0,
    )  # fmt: skip
    val_images: int = value(256, "Validation pictures of each folder that judges.", least=1)
    val_steps: int = value(0, "Steps between judgements; 0: an epoch.", least=0)
    panel: int = value(6, "Validation pictures shown after each judgement.", least=0)
    patience: int = value(0, "Judgements without a new best before stopping; 0: never.", least=0)
    checkpoint_minutes: float = value(3.0, "Between two checkpoints.", least=0)
    precision: str = value(
        "auto", "Of the network's arithmetic; auto: mixed on GPUs.", choices=PRECISION_NAMES
    )
    seed: int = value(0, "Same seed, same result.", least=0, most=2**31 - 1)


PRESETS: dict[str, TrainConfig] = {
    "default": TrainConfig(),
    "baseline": TrainConfig(
        model=ModelConfig(backbone="plain", loss="mse", size=128, decoder=(128, 64, 32)),
        init="none",
        stages=((128, 1.0),),
        release_from=0,
        optimizer="adam",
        rate=1e-3,
        frozen=0.0,
        backbone_rate=1e-3,
        released_rate=1e-3,
        weight_decay=0.0,
        augment=0.0,
    ),
    # From a finished model to one kind of photograph. A few alike photographs have statistics of
    # their own: norms that followed them would undo what the model knows, so they stay.
    "finetune": TrainConfig(
        batch=16,
        epochs=20,
        norms="frozen",
        frozen=0.0,
        released_rate=1e-4,
        backbone_rate=3e-5,
        warmup=20,
        ema=0.99,
        augment=0.2,
    ),
}
CONTINUING = {"finetune"}  # presets whose architecture is that of the model they start from


@dataclass(frozen=True)
class EvalConfig:
    """How pictures are judged.

    ``protocol``: ``squash-SIZE``, ``crop-SIZE`` or ``native``, see ``evaluation/protocols.py``.
    ``gray``: which gray of the true colours is coloured, Lab's L or BT.601 luma.
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

    ``size`` is the side of L (``ab``) or of the picture (``image``), 0 any size. ``max_loss``
    replaces the format's limit of PSNR lost, in dB. ``calibrate`` and ``verify`` name photographs
    (files, folders, globs) for int8's ranges and for the check; none: those that come with
    scikit-image.
    """

    format: str = "litert"
    precision: str | None = None
    signature: str = "ab"
    size: int | None = None
    max_loss: float | None = None
    calibrate: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
