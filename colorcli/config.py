"""Every default of the project, once: frozen dataclasses that the command line and library share.

lines: one field for each option of each command, in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colorcli.choices import (
    BACKBONE_NAMES,
    DEVICES,
    EXPORT_FORMATS,
    EXPORT_PRECISIONS,
    EXPORT_SIGNATURES,
    FORMAT_ALIASES,
    GRAYS,
    IMAGE_FORMATS,
    LOSS_NAMES,
    OPTIMIZER_NAMES,
    PERCEPTUAL_METRICS,
)
from colorcli.color.limits import Limits

MODEL_SCHEMA = 2
DATASET_SCHEMA = 1
EVAL_SCHEMA = 1


def value(default: Any, help: str, **limits: Any) -> Any:
    """A field of a config that flags and files can set: its help and what it may be.

    ``limits``: ``least``, ``most`` (both included), ``multiple`` and ``choices``; ``words`` that
    stand for numbers. ``settings`` checks them. For the option alone: ``flag``, where it is not
    the field's name, and a ``short`` one; ``environment``, the variable that is its default;
    ``metavar``. A field that has no help is no option.
    """
    return field(default=default, metadata={"help": help, **limits})


# Pixels above which predict goes by strips even where memory would do: from here on they take no
# longer than the whole (benchmarks/predict.py), and a third of the memory or less.
LARGE = 100_000_000


LIMIT = "At most this many, by chance; 0: all."
SEED = "Same seed, same result."
WORKERS = "COLORIZE_WORKERS"
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

    ``min_chroma``, ``min_spread``: what is gray, and what is toned (``color/limits.py``). ``rims``:
    what becomes of letterboxed pictures and those with a margin: ``crop``, ``drop`` or ``keep``. A
    photograph belongs to the set that the first folder below one of ``roots`` names; outside of
    them, its own folder.
    """

    size: int = value(256, "Short side of the stored pictures, in pixels.", least=32)
    min_side: int = value(64, "Leave out pictures with a shorter side.", least=1)
    min_chroma: float = value(Limits.min_chroma, "Mean chroma below which one is gray.", least=0)
    min_spread: float = value(
        Limits.min_spread,
        "Spread of colours below which one of a single hue is toned (sepia).",
        least=0,
    )
    rims: str = value(
        "crop", "Letterboxed pictures and those with a margin: crop, leave out, keep.",
        choices=("crop", "drop", "keep"),
    )  # fmt: skip
    keep_results: bool = value(
        False, "Keep pictures that colorize coloured itself: they teach its own guesses."
    )
    duplicate_distance: int = value(
        4, "Bits of 64 in which copies may differ; -1: only equal files are copies.",
        least=-1, most=16,
    )  # fmt: skip
    val_fraction: float = value(0.02, "Share kept for validation.", least=0, most=1)
    shard_images: int = 1024
    quality: int = 95  # of the stored JPEG, without chroma subsampling
    limit: int = value(0, LIMIT, least=0)
    seed: int = value(0, SEED, least=0)
    workers: int = value(
        0, "Processes; 0: one for each core.", least=0
    )  # no influence on the result
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


@dataclass(frozen=True)
class NamesConfig:
    """Which files a call means, beside those it names as arguments."""

    recursive: bool = value(False, "Look into sub-folders too.", short="-r")
    files_from: str | None = value(None, "Read names from this file, or - for stdin.")
    null: bool = value(False, "Those names end in NUL.", short="-0")


@dataclass(frozen=True)
class BatchConfig:
    """One call's share of a large work, its record, and when it gives up."""

    shard: str | None = value(
        None, "Only the I-th of N shares, by name: the same on every machine.", metavar="I/N"
    )
    log: str | None = value(None, "Add a line of JSON for each photograph to this file.")
    max_errors: str | None = value(
        None, "Stop when more have failed: a number, or a share of those tried.", metavar="N|P%"
    )


@dataclass(frozen=True)
class EngineConfig:
    """Where work is done."""

    engine: str = value(
        "local", "local: this machine. ray: the machines of a Ray cluster; needs colorcli[ray].",
        choices=("local", "ray"),
    )  # fmt: skip
    address: str | None = value(
        None, "Of the Ray cluster. [default: RAY_ADDRESS, the one here, or one begun for it]",
        metavar="auto|HOST:PORT",
    )  # fmt: skip


REGIONS = ("auto", "none")  # what --regions takes beside a file
BEST = 5  # passes that --best takes: the whole and its quarters


@dataclass(frozen=True)
class ScansConfig:
    """How a scan is looked at: photographs found in it, and what the network sees of each.

    ``regions``: ``auto``, ``none``, or a file of ``--json``'s regions. ``passes`` 0: one, and of a
    long photograph as many squares as cover it, beside the whole.
    """

    regions: str = value(
        "auto", "Photographs in a scan: auto finds them, none sees the picture whole, or a JSON FILE.",
        metavar="auto|none|FILE",
    )  # fmt: skip
    passes: int = value(
        0, "Squares the network sees of a photograph; auto: more of long ones.", least=0, most=50,
        words={"auto": 0}, metavar="auto|N",
    )  # fmt: skip
    best: bool = value(
        False, f"{BEST} passes, each mirrored, too, for ten times the network's time."
    )
    color_border: bool = value(False, "Colour what lies around photographs, too.")
    split: bool = value(
        False, "Write each photograph found as a file of its own, too, straightened: NAME-1…"
    )
    negative: bool = value(False, "Black-and-white negatives: see and write them as positives.")
    upright: bool = value(
        False, "Turn results upright, too, where the network is sure that they lie otherwise."
    )
    explain: Path | None = value(None, "Draw what was found and seen: a PNG, or a folder of them.")

    @property
    def squares(self) -> int:
        """Passes asked for; 0: by shape."""
        return self.passes or (BEST if self.best else 0)


@dataclass(frozen=True)
class PredictConfig:
    """How photographs are coloured and results are written.

    ``format`` None: by the target's suffix; ``quality`` None: the format's own. Photographs of more
    than ``large`` pixels go by strips where they can.
    """

    keep_color: bool = value(False, "Pass on what is in colour already, unchanged.")
    format: str | None = value(
        None, "Format of the outputs. [default: by suffix]",
        choices=(*IMAGE_FORMATS, *FORMAT_ALIASES),
    )  # fmt: skip
    quality: int | None = value(None, "Of lossy formats.", least=1, most=100)
    strip: bool = value(False, "Leave EXIF, XMP, IPTC and DPI out.")
    confidence: str | None = value(
        None, "Map of where the model is sure, white for sure: FILE.png (or .tif), or what to add "
        "to the results' names.", metavar="FILE|ENDING",
    )  # fmt: skip
    no_provenance: bool = value(
        False, "Do not write into the results that a model predicted their colours."
    )
    c2pa: str | None = value(
        None, "Sign results as Content Credentials: certificates and their key, PEM files.",
        metavar="CERT.pem,KEY.pem",
    )  # fmt: skip
    again: bool = value(False, "Colour results of earlier runs, too.")
    workers: int = value(
        0, "Photographs at once; 0: one for each core.", least=0, environment=WORKERS
    )
    device: str = value(
        "auto", "What runs the network.", choices=DEVICES, environment="COLORIZE_DEVICE"
    )
    max_megapixels: int = value(512, "Refuse larger pictures.", least=1)
    large: int = field(default_factory=lambda: LARGE)
    scans: ScansConfig = ScansConfig()

    def __post_init__(self) -> None:
        """A suffix taken for a format's name becomes that name."""
        name = FORMAT_ALIASES.get(self.format or "", self.format)
        object.__setattr__(self, "format", name)

    @property
    def max_pixels(self) -> int:
        """Pixels of the largest picture, or frame, that is coloured."""
        return self.max_megapixels * 1_000_000

    @property
    def changes_nothing(self) -> bool:
        """Whether a picture that is passed on in its own format may stay the file it was."""
        return self.quality is None and not self.strip


@dataclass(frozen=True)
class WatchConfig:
    """Whether ``predict`` goes on with what arrives in its folders."""

    watch: bool = value(
        False, "Colour what is in the folders, then what arrives in them, until Ctrl-C or SIGTERM."
    )
    settle: float = value(2.0, "Seconds without a change after which a file is whole.", least=0)


@dataclass(frozen=True)
class ServeConfig:
    """Where the service listens, who may ask, and for how much."""

    host: str = value("127.0.0.1", "Address; any but this machine's own needs a token.")
    port: int = value(8017, "Port; 0: a free one.", least=0, most=65535)
    token: str | None = value(
        None, "Asked of everybody: Authorization: Bearer TOKEN.", environment="COLORIZE_TOKEN"
    )
    page: Path | None = value(None, "HTML file to show at /. [default: a form to send pictures]")
    max_upload: int = value(64, "Megabytes of the largest picture that is taken.", least=1)
    max_megapixels: int = value(100, "Refuse larger pictures.", least=1)
    timeout: float = value(30.0, "Seconds in which a picture must have come.", least=0.1)
    workers: int = value(
        0, "Photographs at once; 0: one for each core.", least=0, environment=WORKERS
    )


@dataclass(frozen=True)
class FilmConfig:
    """How films, and photographs that are frames of one, are coloured.

    ``steady``: time constant of the mean that colours are, in seconds. ``raw``: size and format of
    frames on stdin and stdout; ``fps`` is for them and for ``sequence``, whose files have no times.
    """

    steady: float = value(
        0.5, "Films: seconds over which colours are averaged along the motion; 0: each frame alone.",
        least=0, most=1,
    )  # fmt: skip
    video_codec: str | None = value(
        None, "Films: encoder with options, as libx264:preset=slow. [default: the film's family]",
        metavar="NAME[:OPTION=VALUE]",
    )  # fmt: skip
    limit_seconds: float | None = value(
        None, "Films: only so much from the beginning, as a preview.", least=0.01
    )
    sequence: bool = value(
        False, "The photographs of each folder are frames of a film, by their numbers."
    )
    raw: str | None = value(
        None, "stdin and stdout are raw frames of gray8 or yuv420p.", metavar="WxH:FORMAT"
    )
    fps: float = value(24.0, "Frames a second of --sequence and --raw.", least=0.01)

    @property
    def moving(self) -> bool:
        """Whether frames are asked for, whatever the inputs are."""
        return self.sequence or self.raw is not None


STRENGTH = 0.5  # of a reference


@dataclass(frozen=True)
class HandConfig:
    """Colours that a person knows, or has a photograph of; see ``colorizing/hand``."""

    hint: tuple[str, ...] = value(
        (), "A colour that is known, at pixels from 0,0 or fractions; repeatable. COLOUR: #7a4b2c, "
        "rgb(), a CSS name, neutral, or keep: as it was.",
        metavar="[PAGE:]X,Y,COLOUR[,RADIUS]",
    )  # fmt: skip
    hints: str | None = value(
        None, "More of them: CSV, JSON, or a transparent PNG with painted strokes.", metavar="FILE"
    )
    sidecars: bool = value(False, "Take those in NAME.hints.csv, .json or .png beside NAME.EXT.")
    reference: str | None = value(
        None, "Colours like those of a colour photograph of a like scene; of a folder, the nearest.",
        metavar="IMAGE|FOLDER",
    )  # fmt: skip
    reference_strength: float = value(
        STRENGTH, "How much is taken from it: 0 nothing, 1 all.", least=0.0, most=1.0
    )


JUDGED_SIDE = 256  # pixels, of a protocol whose name carries none


@dataclass(frozen=True)
class EvalConfig:
    """How pictures are judged.

    ``protocol``: ``squash-SIZE``, ``crop-SIZE`` or ``native``, see ``evaluation/protocols.py``;
    ``size`` is for a name that carries none. ``gray``: which gray of the true colours is coloured,
    Lab's L or BT.601 luma.
    """

    protocol: str = value(
        "squash", f"squash-SIZE, crop-SIZE or native. [default: squash-{JUDGED_SIDE}]"
    )
    size: int | None = value(None, "Side of the judged square.", least=32)
    gray: str = value("lab", "Gray that is coloured: L of Lab, or BT.601 luma.", choices=GRAYS)
    hints: int = value(
        0, "Judge each model with the true colours of so many random points told, too.", least=0,
        most=1000,
    )  # fmt: skip
    perceptual: tuple[str, ...] = value(
        (), "Judge by this too; needs colorcli[perceptual].", flag="with",
        choices=PERCEPTUAL_METRICS,
    )  # fmt: skip
    min_chroma: float = Limits.min_chroma  # below which an original counts as gray
    limit: int = value(0, LIMIT, least=0)
    samples: int = 1000  # bootstrap replicates
    seed: int = value(0, SEED, least=0)
    workers: int = value(0, "Threads; 0: one for each core.", least=0, environment=WORKERS)


@dataclass(frozen=True)
class VerdictConfig:
    """What is made of an evaluation's figures, beside the table."""

    per_image: str | None = value(None, "Every picture's figures: FILE.csv or FILE.jsonl.")
    panels: str | None = value(None, "Folder for gray, predicted, truth side by side.")
    report: str | None = value(None, "One HTML page with everything.")
    calibration: bool = value(False, "A table of the models' confidence against their error, too.")
    fail_under: tuple[str, ...] = value((), "Exit 5 below it.", metavar="METRIC=VALUE")
    fail_over: tuple[str, ...] = value((), "Exit 5 above it.", metavar="METRIC=VALUE")


@dataclass(frozen=True)
class ExportConfig:
    """What is written. ``format`` None: by the target's suffix; ``precision`` None: the format's own.

    ``size`` is the side of L (``ab``) or of the picture (``image``), 0 any size, None that of the
    model. ``calibrate`` and ``verify`` name files, folders and globs. ``max_loss`` replaces the
    format's limit of PSNR lost, in dB. ``runtime``: a file with what a format runs with.
    """

    format: str | None = value(
        None, "What to write. [default: by suffix, or litert]", choices=EXPORT_FORMATS
    )
    precision: str | None = value(
        None, "Of the weights. [default: float16 for litert, else float32]",
        choices=EXPORT_PRECISIONS,
    )  # fmt: skip
    signature: str = value(
        "ab", "ab: L in, chroma out. image: picture in, coloured picture out.",
        choices=EXPORT_SIGNATURES,
    )  # fmt: skip
    size: int | None = value(
        None, "Side of L (ab) or of the picture (image). [default: the model's; image: any]",
        words={"any": 0}, metavar="N|any",
    )  # fmt: skip
    calibrate: tuple[str, ...] = value(
        (), "Photographs that set int8's ranges. [default: scikit-image's]", metavar="FOLDER|GLOB"
    )
    verify: tuple[str, ...] = value(
        (), "Colour photographs to check with. [default: scikit-image's]", metavar="FOLDER|GLOB"
    )
    max_loss: float | None = value(None, "PSNR in dB it may lose. [default: by precision]")
    runtime: str | None = value(
        None, "Of a page: npm's archive of LiteRT.js. [default: npm gets it]", metavar="TGZ"
    )
