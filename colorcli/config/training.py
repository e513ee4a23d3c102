"""One training run: its recipe, its losses, and the presets with their names."""

from __future__ import annotations

from dataclasses import dataclass, field

from colorcli.config.choices import OPTIMIZER_NAMES
from colorcli.config.model import ModelConfig
from colorcli.config.settings import SEED, WORKERS, value


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
        choices=("batch", "frozen"),
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
    scans: float = value(
        0.0, "Share of pictures shown as scans: in rims, bars and mats, written on, stamped; neutral "
        "there.", least=0, most=1,
    )  # fmt: skip
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
        "auto", "Of the network's arithmetic; auto: mixed on GPUs.",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
    )  # fmt: skip
    seed: int = value(0, SEED, least=0, most=2**31 - 1)


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
class UprightConfig:
    """How a model learns which way is up, on photographs that lie upright."""

    photographs: int = value(6000, "How many are shown, each in four ways.", least=10)
    crop: float = value(0.5, "Smallest share of a picture's area in a crop.", least=0.01, most=1)
    augment: float = value(0.5, "Share of pictures whose L is aged.", least=0, most=1)
    seed: int = value(0, SEED, least=0)
    workers: int = value(0, "Threads; 0: one for each core.", least=0, environment=WORKERS)
