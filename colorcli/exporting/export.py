"""``colorize export``: the network in other tools' formats, each checked before it is called done.

What is written is run back in its own runtime on real photographs and compared with the network;
only then do the file, its card, its metadata and its example appear.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from colorcli.color.lab import join, neutral
from colorcli.color.levels import to_depth
from colorcli.colorizing.framing import shown
from colorcli.config import ExportConfig, ModelConfig
from colorcli.errors import DataError, ModelError, UsageError, reason
from colorcli.evaluation.metrics import lab_of, psnr
from colorcli.evaluation.protocols import squash
from colorcli.exporting import card, formats, photographs, signatures
from colorcli.exporting.formats import FORMATS, Check, Exported, Feed, Run, Tolerance
from colorcli.files import outputs
from colorcli.network import model_folder
from colorcli.network.decoding import NEUTRAL, Knobs, after
from colorcli.network.losses import LOSSES
from colorcli.network.model import with_decode
from colorcli.system import disk
from colorcli.system.atomic import put, scratch

DEFAULT = "litert"  # where neither the option nor a suffix says the format
CALIBRATE_AT_MOST, CHECK_AT_MOST = 200, 50  # photographs
SEEN = 256  # side at which an ``ab`` export's colours are compared
WIDE = (160, 240)  # height and width with which an export of any size is checked too
STEERED = Knobs(
    flip_average=False, **NEUTRAL
)  # off the defaults: checked too, where knobs are inputs


@dataclass(frozen=True)
class _Plan:
    """A config with its blanks filled in."""

    config: ExportConfig
    knobs: Knobs
    precision: str
    size: int  # 0: any
    tolerance: Tolerance


def _planned(config: ExportConfig, knobs: Knobs, model: ModelConfig) -> _Plan:
    """Raises ``UsageError`` for what this format cannot be."""
    name = config.format or DEFAULT
    if name not in FORMATS:
        raise UsageError(f"unknown export format {name!r}; known: {', '.join(FORMATS)}")
    chosen = FORMATS[name]
    precision = config.precision or next(iter(chosen.precisions))
    if precision not in chosen.precisions:
        raise UsageError(
            f"{name} has no precision {precision}; it has: {', '.join(chosen.precisions)}"
        )
    if config.signature not in signatures.SIGNATURES:
        known = ", ".join(signatures.SIGNATURES)
        raise UsageError(f"unknown signature {config.signature!r}; known: {known}")
    flexible = config.signature in chosen.flexible
    size = config.size
    if size is None:
        if config.signature == "ab":
            size = model.size
        elif flexible:
            size = 0
        else:
            raise UsageError(
                f"{name} takes pictures of one size only; give --size N for N×N pixels"
            )
    if size == 0 and not flexible:
        raise UsageError(
            f"{name} of signature {config.signature} takes one size only; give --size N"
        )
    if size and not 32 <= size <= 4096:
        raise UsageError(f"the size must be 32 to 4096 pixels, not {size}")
    if config.signature == "ab" and size % 32:
        raise UsageError(f"the network takes multiples of 32 pixels, not {size}")
    if config.signature == "ab" and knobs != Knobs():
        raise UsageError(
            "knobs are inputs of signature ab, or act on its output; set them with --signature image"
        )
    tolerance = chosen.precisions[precision]
    if config.max_loss is not None:
        tolerance = replace(tolerance, psnr=config.max_loss)
    knobs = knobs.suiting(LOSSES[model.loss].distribution)
    return _Plan(config, knobs, precision, size, tolerance)


class _Bench:
    """Feeds a graph with photographs, and says what its colours should be and what they are."""

    def __init__(self, network: Any, folder: model_folder.ModelFolder, plan: _Plan) -> None:
        self.plan, self.side = plan, folder.config.size
        self.reference = with_decode(network, folder.config, folder.prior, flexible=True)

    def wanted(self, gray: np.ndarray, side: int, knobs: Knobs) -> np.ndarray:
        """The network's ab (s, s, 2) for gray (H, W), seen at ``side``."""
        return self.reference(self._feed(gray, side, knobs))["ab"].numpy()[0]

    def _feed(self, gray: np.ndarray, side: int, knobs: Knobs) -> dict[str, np.ndarray]:
        values = {
            "L": shown(gray, side)[None, ..., None],
            **{name: np.full(1, value, np.float32) for name, value in knobs.decoding.items()},
        }
        return {name: values[name] for name in self.reference.input}

    def sizes(self) -> list[Any]:
        """What to run: sides of L, or (height, width) of pictures; None the picture's own."""
        size = self.plan.size
        if self.plan.config.signature == "ab":
            return [size] if size else [self.side, self.side + 64]
        return [(size, size)] if size else [(SEEN, SEEN), WIDE]

    def feed(self, rgb: np.ndarray, size: Any, knobs: Knobs) -> tuple[np.ndarray, np.ndarray, Feed]:
        """Truth, the gray fed in, and the feed."""
        if self.plan.config.signature == "ab":
            truth = squash(rgb, SEEN)
            gray = neutral(truth)
            return truth, gray, self._feed(gray, size, knobs)
        truth = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)
        gray = to_depth(neutral(truth), np.uint8)
        # The same levels in 16 bits, so that the reference does not round what it shrinks.
        return truth, to_depth(gray, np.uint16), {"image": np.dstack([gray] * 3)[None]}

    def calibration(self, pictures: Sequence[np.ndarray]) -> Callable[[], Iterator[Feed]]:
        """What TensorFlow's converter watches the ranges of values on."""
        size = self.sizes()[0]
        return lambda: (self.feed(rgb, size, self.plan.knobs)[2] for rgb in pictures)

    def check(self, run: Run, pictures: Sequence[np.ndarray], photographs: int) -> Check:
        """Run the export on every picture, size and knob, and compare."""
        image = self.plan.config.signature == "image"
        knobs = [self.plan.knobs]
        if not image and len(self.reference.input) > 1:
            knobs.append(STEERED)
        ab_largest, rgb_largest, ab_means, rgb_means = 0.0, 0, [], []
        scores, lost, times = [], [], []
        for rgb in pictures:
            for size in self.sizes():
                for knob in knobs:
                    truth, gray, feed = self.feed(rgb, size, knob)
                    began = time.perf_counter()
                    outputs = run(feed)
                    times.append(time.perf_counter() - began)
                    ab = self.wanted(gray, self.side if image else size, knob)
                    wanted = join(gray, after(ab, knob.decoding), np.uint8)
                    if image:
                        made = outputs["colours"][0]
                        # Of 8-bit colours, so a rounded level of a dark pixel shows here as well.
                        apart = np.abs(lab_of(made) - lab_of(wanted))[..., 1:]
                    else:
                        made = join(gray, outputs["ab"][0], np.uint8)
                        apart = np.abs(outputs["ab"][0] - ab)
                    levels = cv2.absdiff(made, wanted)
                    ab_largest = max(ab_largest, float(np.nan_to_num(apart, nan=np.inf).max()))
                    rgb_largest = max(rgb_largest, int(levels.max()))
                    ab_means.append(apart.mean())
                    rgb_means.append(levels.mean())
                    if knob is knobs[0]:
                        scores.append(min(100.0, psnr(truth, wanted)))
                        lost.append(scores[-1] - min(100.0, psnr(truth, made)))
        return Check(
            photographs, len(pictures), round(ab_largest, 4), round(float(np.mean(ab_means)), 5),
            rgb_largest, round(float(np.mean(rgb_means)), 4), round(float(np.mean(scores)), 3),
            round(float(np.mean(lost)), 4), round(float(np.median(times)) * 1000, 2),
        )  # fmt: skip


def excess(check: Check, tolerance: Tolerance, *, image: bool) -> str | None:
    """In words, the first figure that is over its tolerance; None when all are within."""
    figures = (
        # Of an image graph ab is known only through rounded colours, so RGB judges alone.
        (None if image else check.ab_mean, tolerance.ab, "differs by {} ab units in the mean"),
        (check.rgb_mean, tolerance.rgb, "differs by {} levels of RGB in the mean"),
        (check.rgb_largest, tolerance.rgb_largest, "differs by up to {} levels of RGB"),
        (check.psnr_lost, tolerance.psnr, "loses {} dB of PSNR"),
    )
    for figure, most, words in figures:
        if figure is not None and not figure <= most:
            return f"{words.format(f'{figure:.4g}')} (allowed {most:g})"
    return None


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
    meant = formats.of(output)
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


def _pictures(names: Sequence[str], limit: int) -> list[np.ndarray]:
    return photographs.given(names, limit) if names else photographs.bundled()


def _bytes(path: Path) -> int:
    parts = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return sum(p.stat().st_size for p in parts)


def export(
    model: str | Path,
    target: Path | str,
    config: ExportConfig = ExportConfig(),
    *,
    knobs: Knobs = Knobs(),
    overwrite: bool = False,
    progress: Callable[..., None] | None = None,
) -> Exported:
    """Write the model to ``target``, or into it as ``place`` says, run it back on photographs and compare with the network.

    ``knobs`` go into a graph of signature ``image``. ``config.calibrate`` and ``config.verify`` name photographs for int8's
    ranges and for the check; by default those that come with scikit-image. A card, metadata and an example are
    written beside a file or into a folder. Raises ``UsageError`` for a combination the format does
    not have, a missing runtime or an existing target, ``ModelError`` when the export differs by
    more than its tolerance (nothing is left then), ``DataError`` when it cannot be written.
    """
    placed, name = place(str(target), config.format, model)
    target, config = Path(placed), replace(config, format=name)
    known = model_folder.load(model, needs=(model_folder.WEIGHTS, model_folder.LITERT))
    plan = _planned(config, knobs, known.config)
    chosen = FORMATS[name]
    if config.calibrate and plan.precision != "int8":
        raise UsageError(f"only int8 is calibrated; drop --calibrate for {plan.precision}")
    beside = companions(target, name)
    for path in (target, *beside.values()):
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: exists already; use --overwrite")
    if target.is_dir() and not _replaceable(target, chosen):
        raise UsageError(f"{target}: a folder with other things is in the way; choose another -o")
    formats.check_runtime(name)
    network, folder = model_folder.load_network(model)
    checked = _pictures(config.verify, CHECK_AT_MOST)
    calibrated = _pictures(config.calibrate, CALIBRATE_AT_MOST) if plan.precision == "int8" else []
    bench = _Bench(network, folder, plan)
    graph = signatures.build(
        config.signature, network, folder.config, folder.prior,
        size=plan.size or None, values=plan.knobs.decoding,
    )  # fmt: skip
    properties = {"signature": config.signature, "size": str(plan.size or folder.config.size)}
    watched = list(photographs.views(calibrated, mirrored=True))
    try:
        with scratch(target.parent) as aside:
            written = aside / f"model{chosen.suffix}"
            if progress:
                progress(0, 3)
            chosen.write(graph, written, plan.precision, bench.calibration(watched), properties)
            if progress:
                progress(1, 3)
            views = list(photographs.views(checked))
            check = bench.check(formats.readable(name, written), views, len(checked))
            if progress:
                progress(2, 3, lost=check.psnr_lost)
            if wrong := excess(check, plan.tolerance, image=config.signature == "image"):
                hint = _hint(plan, check)
                raise ModelError(f"{target}: the {name} export {wrong}; not written{hint}")
            result = Exported(
                name, plan.precision, config.signature, plan.size, str(target),
                [str(path) for path in beside.values()], _bytes(written), check, plan.tolerance,
            )  # fmt: skip
            digest = disk.digest(written) if written.is_file() else None
            texts = card.texts(result, graph, folder, digest, target.name)
            _appear(written, target, beside, texts)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {reason(error)}") from None
    if progress:
        progress(3, 3, lost=check.psnr_lost)
    return result


def _replaceable(folder: Path, chosen: formats.Format) -> bool:
    """Whether a folder is no more than an earlier export of a format that is one."""
    if chosen.suffix:
        return False
    return (folder / "saved_model.pb").is_file() or not any(folder.iterdir())


def _hint(plan: _Plan, check: Check) -> str:
    if plan.precision != "int8" or not math.isfinite(check.psnr_lost):
        return ""
    more = "other photographs" if plan.config.calibrate else "photographs of your own"
    return f"; calibrate with {more} (--calibrate), use float16, or allow it with --max-loss"


def _appear(written: Path, target: Path, beside: dict[str, Path], texts: dict[str, str]) -> None:
    """Rename everything to its place, the model last: where it is, the rest is."""
    inside = written.is_dir()
    for key, path in beside.items():
        part = (written if inside else written.parent) / path.name
        part.write_text(texts[key], "utf-8")
        if not inside:
            put(part, path)
    put(written, target)
