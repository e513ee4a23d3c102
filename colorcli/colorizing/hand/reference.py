"""Photographs in colour that others are to be coloured like: read, shown to the network, chosen from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from colorcli.color.lab import gray_to_L, neutral, rgb_to_lab
from colorcli.color.tone import is_colour
from colorcli.colorizing import framing
from colorcli.colorizing.hand import likeness
from colorcli.colorizing.hand.likeness import Square, Taught
from colorcli.imaging import reading, writing
from colorcli.system.errors import ColorizeError, UsageError, reason
from colorcli.system.files import places
from colorcli.system.files.inputs import STREAM, find
from colorcli.system.parallel import cores, in_order

if TYPE_CHECKING:
    from PIL import Image

MOST = 1000  # photographs to choose from: 0.2 MB of memory and a run of the network each

See = Callable[[np.ndarray], Square]  # L (side, side) float32 to what the network makes of it


@dataclass(frozen=True, eq=False)
class Lent:
    """What a photograph takes from a reference: what ``name`` has ``taught``, ``strength`` 0…1 of it."""

    name: str
    taught: Taught
    strength: float

    def like(self, square: Square) -> Square:
        """A square in colours like those of the reference, where it is like it."""
        assert square.shares is not None, "a reference wants a distribution"
        side = square.ab.shape[0]
        light = square.light(side)
        ab = square.ab.copy()
        ab[..., :2] += self.strength * likeness.carried(self.taught, light, square.shares)
        return Square(ab, square.lightness, square.shares)


@dataclass(frozen=True, eq=False)
class References:
    """What photographs in colour teach one model, by their names: one, or some to choose from."""

    taught: Mapping[str, Taught]

    @property
    def several(self) -> bool:
        """Whether there is a choice."""
        return len(self.taught) > 1

    def nearest(self, square: Square) -> str:
        """The name of the one that is most like a picture to the network."""
        assert square.shares is not None, "a reference wants a distribution"
        own = likeness.feature(np.sqrt(square.shares))
        return max(self.taught, key=lambda name: float(self.taught[name].feature @ own))

    def only(self, strength: float) -> Lent:
        """What the one there is gives."""
        (name,) = self.taught
        return self.lent(name, strength)

    def lent(self, name: str, strength: float) -> Lent:
        """What one of them gives."""
        return Lent(name, self.taught[name], strength)


Given: TypeAlias = "str | Path | np.ndarray | Image.Image"
Reference: TypeAlias = "Given | References"  # as a caller gives it


def check_strength(strength: float) -> None:
    """Raise ``UsageError`` for one that is not in 0…1."""
    if not 0 <= strength <= 1:
        raise UsageError(f"a reference's strength is 0 to 1, not {strength:g}")


def opened(source: Given, side: int, see: See) -> References:
    """The references that a file, a folder, a PIL image or sRGB (H, W, 3) means, seen by a network of ``side``.

    Of a folder, what cannot be read or is gray is left out. Raises ``UsageError`` where nothing
    is left, and for a file that is no photograph in colour.
    """
    if isinstance(source, str | Path):
        rgbs = _of_path(os.fspath(source))
    elif isinstance(source, np.ndarray):
        rgbs = [("", partial(_coloured, source, "the reference"))]
    else:
        rgbs = [("", partial(_coloured, np.asarray(source.convert("RGB")), "the reference"))]
    found: dict[str, Taught] = {}

    def learned(one: tuple[str, Callable[[], np.ndarray]]) -> Taught | None:
        try:
            return _taught(one[1](), side, see)
        except ColorizeError:
            if len(rgbs) == 1:
                raise
            return None

    for (name, _), taught in zip(
        rgbs, in_order(learned, rgbs, threads=cores(), window=2 * cores()), strict=True
    ):
        if taught is not None:
            found[name] = taught
    if not found:
        raise UsageError(
            f"{source}: none of its {len(rgbs)} photographs is in colour; name another"
        )
    return References(found)


def _of_path(path: str) -> list[tuple[str, Callable[[], np.ndarray]]]:
    """Names, and what reads them."""
    if path == STREAM:
        raise UsageError(
            "--reference -: stdin is for photographs to colour; give a file or a folder"
        )
    found = find([path], writing.READABLE, results=True)
    sources = found.sources
    if not sources:
        why = found.failures[0][1] if found.failures else "holds no photographs; name another"
        raise UsageError(f"--reference {path}: {why}")
    if len(sources) > MOST:
        raise UsageError(
            f"--reference {path}: {len(sources)} photographs; at most {MOST} are chosen from"
        )
    return [(source.path, partial(_read, source.path)) for source in sources]


def _read(path: str) -> np.ndarray:
    origin = f"--reference {path}"
    try:
        frame = reading.decode(places.read(path), path, keep_color=True).frames[0]
    except OSError as error:
        raise UsageError(f"{origin}: {reason(error)}; check the file") from None
    except ColorizeError as error:
        raise UsageError(f"--reference {error}") from None
    return _coloured(frame.gray if frame.rgb is None else frame.rgb, origin)


def _coloured(rgb: np.ndarray, origin: str) -> np.ndarray:
    """sRGB (H, W, 3) of a picture in colour; ``UsageError`` for another."""
    if rgb.ndim != 3 or rgb.shape[2] not in (3, 4) or rgb.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"{origin}: is gray, and gives no colours; name a photograph in colour")
    rgb = np.ascontiguousarray(rgb[..., :3])
    if not is_colour(rgb):
        raise UsageError(f"{origin}: is gray, and gives no colours; name a photograph in colour")
    return rgb


def _taught(rgb: np.ndarray, side: int, see: See) -> Taught:
    square = see(gray_to_L(framing.squared(neutral(rgb), side)))
    assert square.shares is not None, "a reference wants a distribution"
    cells = square.ab.shape[0]
    small = cv2.resize(rgb, (cells, cells), interpolation=cv2.INTER_AREA)
    true = rgb_to_lab(small.astype(np.float32) / np.iinfo(rgb.dtype).max)[..., 1:]
    light = square.light(cells)
    return likeness.taught(true, square.ab[..., :2], light, square.shares)
