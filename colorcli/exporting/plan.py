"""What is to be exported, settled and refused before anything is loaded: format, size, place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from colorcli.config.exporting import ExportConfig
from colorcli.config.model import ModelConfig
from colorcli.exporting.formats import table
from colorcli.exporting.formats.common import Format, Tolerance
from colorcli.exporting.formats.table import FORMATS
from colorcli.exporting.signatures import SIGNATURES
from colorcli.network.decoding import Knobs
from colorcli.network.losses import LOSSES
from colorcli.system.errors import UsageError
from colorcli.system.files import outputs

DEFAULT = "litert"  # where neither the option nor a suffix says the format


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A config with its blanks filled in."""

    format: Format
    signature: str
    precision: str
    size: int  # 0: any
    knobs: Knobs
    tolerance: Tolerance

    @property
    def image(self) -> bool:
        """Whether the graph takes pictures, not L."""
        return self.signature == "image"

    @property
    def calibrated(self) -> bool:
        """Whether photographs set the ranges of values."""
        return self.precision in self.format.calibrated


def planned(config: ExportConfig, knobs: Knobs, model: ModelConfig) -> Plan:
    """Raises ``UsageError`` for what this format cannot be."""
    name = config.format or DEFAULT
    for value, known, what in (
        (name, FORMATS, "export format"), (config.signature, SIGNATURES, "signature"),
    ):  # fmt: skip
        if value not in known:
            raise UsageError(f"unknown {what} {value!r}; known: {', '.join(known)}")
    chosen = FORMATS[name]
    if config.signature not in chosen.signatures:
        its = ", ".join(chosen.signatures)
        raise UsageError(f"{chosen.name} has no signature {config.signature}; it has: {its}")
    if chosen.distribution and not LOSSES[model.loss].distribution:
        raise UsageError(
            f"{chosen.name} needs a model with a colour distribution, and this one gives plain ab "
            f"(loss {model.loss}); train one with --loss classification"
        )
    if config.runtime is not None and chosen.fetch is None:
        raise UsageError(f"{chosen.name} brings its own runtime; drop --runtime")
    precision = config.precision or next(iter(chosen.precisions))
    if precision not in chosen.precisions:
        its = ", ".join(chosen.precisions)
        raise UsageError(f"{chosen.name} has no precision {precision}; it has: {its}")
    if config.signature == "ab" and knobs != Knobs():
        raise UsageError(
            "knobs are inputs of signature ab, or act on its output; set them with --signature image"
        )
    if config.calibrate and precision not in chosen.calibrated:
        raise UsageError(f"{precision} is not calibrated with photographs; drop --calibrate")
    tolerance = chosen.precisions[precision]
    if config.max_loss is not None:
        tolerance = replace(tolerance, psnr=config.max_loss)
    return Plan(
        format=chosen, signature=config.signature, precision=precision, tolerance=tolerance,
        size=_size(config, chosen, model), knobs=knobs.suiting(LOSSES[model.loss].distribution),
    )  # fmt: skip


def _size(config: ExportConfig, chosen: Format, model: ModelConfig) -> int:
    flexible = config.signature in chosen.flexible
    size = config.size
    if size is None and config.signature == "ab":
        size = model.size
    if size is None and not flexible:
        raise UsageError(
            f"{chosen.name} takes pictures of one size only; give --size N for N×N pixels"
        )
    if size == 0 and not flexible:
        raise UsageError(
            f"{chosen.name} of signature {config.signature} takes one size only; give --size N"
        )
    if size and not 32 <= size <= 4096:
        raise UsageError(f"the size must be 32 to 4096 pixels, not {size}")
    if size and config.signature == "ab" and size % 32:
        raise UsageError(f"the network takes multiples of 32 pixels, not {size}")
    return size or 0


def place(output: str, format: str | None, model: str | Path) -> tuple[str, str]:
    """Where an export goes and its format, by ``output`` and the ``format`` asked for, if any.

    Into a folder goes a file of the model's name, or what is a folder itself. Raises
    ``UsageError`` for an unknown suffix, and one that contradicts the format.
    """
    if outputs.is_folder(output):
        format = format or DEFAULT
        suffix = FORMATS[format].suffix
        name = Path(model).resolve().name + suffix
        return (str(Path(output, name)) if suffix else output), format
    meant = table.of(output)
    if format is None and meant is None:
        outputs.known_suffix(output, [f.suffix for f in FORMATS.values() if f.suffix])
    return output, outputs.agreed(output, format, meant) or DEFAULT


def companions(target: Path, format: str) -> dict[str, Path]:
    """Where card, metadata and example of an export go: beside a file, inside a folder."""
    if not FORMATS[format].suffix:
        names = ("card.md", "metadata.json", "example.py")
        paths = [target / name for name in names]
    else:
        stem = target.stem or target.name
        paths = [target.with_name(stem + end) for end in (".md", ".json", "_example.py")]
    return dict(zip(("card", "metadata", "example"), paths, strict=True))


def check_free(target: Path, chosen: Format, *, overwrite: bool) -> None:
    """Raise ``UsageError`` where something is in the way that must stay."""
    for path in (target, *companions(target, chosen.name).values()):
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: exists already; use --overwrite")
    if target.is_dir() and not _replaceable(target, chosen):
        raise UsageError(f"{target}: a folder with other things is in the way; choose another -o")


def _replaceable(folder: Path, chosen: Format) -> bool:
    """Whether a folder is no more than an earlier export of a format that is one."""
    if chosen.suffix:
        return False
    return (folder / "saved_model.pb").is_file() or not any(folder.iterdir())
