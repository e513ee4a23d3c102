"""How photographs, scans and films are coloured, and how results are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from colorcli.config.choices import DEVICES, FORMAT_ALIASES, IMAGE_FORMATS
from colorcli.config.settings import WORKERS, value

# Pixels above which predict goes by strips even where memory would do: from here on they take no
# longer than the whole (benchmarks/predict.py), and a third of the memory or less.
LARGE = 100_000_000
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
        "rgb(), a CSS name, neutral, or keep: as it was. In films with a TIME (12.5s, 1:02.5), "
        "for the shot that it lies in.",
        metavar="[PAGE:|TIME:]X,Y,COLOUR[,RADIUS]",
    )  # fmt: skip
    hints: str | None = value(
        None, "More of them: CSV, JSON, or a transparent PNG with painted strokes.",
        metavar="[TIME=]FILE",
    )  # fmt: skip
    sidecars: bool = value(False, "Take those in NAME.hints.csv, .json or .png beside NAME.EXT.")
    reference: tuple[str, ...] = value(
        (), "Colours like those of a colour photograph of a like scene; of a folder, the nearest. "
        "With a TIME, a still for that shot of a film; repeatable.",
        metavar="[TIME=]IMAGE|FOLDER",
    )  # fmt: skip
    reference_strength: float | None = value(
        None, f"How much is taken from it: 0 nothing, 1 all. [default: {STRENGTH}; of stills 1]",
        least=0.0, most=1.0,
    )  # fmt: skip
