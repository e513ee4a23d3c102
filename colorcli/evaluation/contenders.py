"""Whose colours are judged, and one picture in all the versions that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from colorcli.color.lab import join
from colorcli.color.limits import Limits
from colorcli.color.tone import Colours
from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.evaluation import EvalConfig
from colorcli.data.sources.common import Item, read_rgb
from colorcli.evaluation import protocols
from colorcli.imaging import png
from colorcli.system.errors import ImageError

GRAY = "gray"  # the row of doing nothing
NONE = np.zeros((1, 1, 2), np.float32)  # the ab of doing nothing


class Contender(Protocol):
    """Whose colours are judged; it serves any number of threads."""

    name: str

    def describe(self) -> dict[str, Any]:
        """``kind`` and ``knobs`` of its row."""
        ...

    def show(
        self, item: Item, original: np.ndarray, gray: np.ndarray, protocol: protocols.Protocol
    ) -> np.ndarray:
        """SRGB uint8 of the judged size, for ``gray`` (H, W) of the judged picture."""
        ...


@dataclass(frozen=True)
class Model:
    """A colorizer, shown the gray picture as the protocol leaves it.

    ``hints``: so many true colours are told to it, of points chosen by ``seed``.
    """

    name: str
    colorizer: Colorizer
    hints: int = 0
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """What the JSON says of it."""
        hints = {"hints": self.hints} if self.hints else {}
        return {"kind": "model", "knobs": {**self.colorizer.knobs.told(), **hints}}

    def show(
        self, item: Item, original: np.ndarray, gray: np.ndarray, protocol: protocols.Protocol
    ) -> np.ndarray:
        """Its colours, (H, W, 3) uint8."""
        if not self.hints:
            return self.colorizer.colorize(gray, np.uint8)
        seed = self.seed * 1_000_003 + item.index
        told = protocols.told(protocol(original), self.hints, seed)
        return self.colorizer.colorize(gray, np.uint8, lambda size: told)


@dataclass(frozen=True)
class Pictures:
    """Another tool's output: files by the key of the picture they colour."""

    name: str
    files: Mapping[str, str]

    def describe(self) -> dict[str, Any]:
        """What the JSON says of it."""
        return {"kind": "pictures", "knobs": None}

    def show(
        self, item: Item, original: np.ndarray, gray: np.ndarray, protocol: protocols.Protocol
    ) -> np.ndarray:
        """The file's picture under the protocol; ``ImageError`` when its size is not the truth's."""
        path = self.files[item.key]
        rgb = read_rgb(path)
        if rgb.shape != original.shape:
            sizes = " and ".join(f"{p.shape[1]}×{p.shape[0]}" for p in (rgb, original))
            raise ImageError(
                f"{path}: it and {item.name} differ in size, {sizes} pixels; make them equal"
            )
        return protocol(rgb)


def distinct(models: Sequence[str | Path]) -> list[str]:
    """A short name for each model: that of its file or folder, or as given where two agree."""
    short = [Path(model).name or str(model) for model in models]
    names = []
    for model, name in zip(models, short, strict=True):
        name = str(model) if short.count(name) > 1 else name
        while name in names or name == GRAY:
            name += "'"
        names.append(name)
    return names


@dataclass(frozen=True)
class Scene:
    """One picture in all its versions, sRGB (H, W, 3) uint8 of one size."""

    truth: np.ndarray
    gray: np.ndarray
    shown: dict[str, np.ndarray]


def scene(
    item: Item, contenders: Sequence[Contender], protocol: protocols.Protocol, config: EvalConfig
) -> Scene | None:
    """Read and colour one picture; None for a gray original. Raises ``ImageError``."""
    original = item.read()
    truth = protocol(original)
    if min(truth.shape[:2]) < 11:
        raise ImageError(f"{item.name}: under 11 pixels, too small to judge")
    if Colours.of(truth).kind(Limits(config.min_chroma)) == "gray":
        return None
    gray = protocols.GRAYS[config.gray](truth)
    shown = {c.name: c.show(item, original, gray, protocol) for c in contenders}
    return Scene(truth, join(gray, NONE, np.uint8), shown)


def panel(scene: Scene) -> bytes:
    """PNG of gray → predicted (each contender) → truth side by side, thin white lines between."""
    line = np.full((scene.truth.shape[0], 4, 3), 255, np.uint8)
    row = [scene.gray]
    for image in (*scene.shown.values(), scene.truth):
        row += [line, image]
    return png.plain(np.hstack(row))
