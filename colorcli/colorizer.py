"""``Colorizer``: image in, image out; what ``predict``, ``eval`` and ``export`` all use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from colorcli import model_dir
from colorcli.config import Knobs
from colorcli.engine import Engine
from colorcli.errors import UsageError
from colorcli.lab import join, neutral, plane

if TYPE_CHECKING:
    from PIL import Image


class Colorizer:
    """A model with its knobs, ready to colour.

    >>> Colorizer("default")(Image.open("photo.jpg")).save("colour.png")

    One instance serves one thread; ``copy()`` makes another for the next.
    """

    def __init__(self, model: str | Path = "default", knobs: Knobs = Knobs()) -> None:
        """Load ``model`` (a bundled name or a folder).

        Raises ``ModelError``, and ``UsageError`` for knobs out of range or that this model lacks.
        """
        if knobs.temperature <= 0 or knobs.vividness < 0 or knobs.saturation < 0:
            raise UsageError("temperature must be above 0, vividness and saturation not below 0")
        self.folder = model_dir.load(model)
        self.knobs = knobs
        self.engine = Engine(self.folder.path / model_dir.LITERT)
        if not self.engine.distribution and (knobs.temperature, knobs.vividness) != (1.0, 0.0):
            raise UsageError(
                f"{model}: has no colour distribution, so --temperature and --vividness do nothing; "
                "use --saturation"
            )

    def copy(self) -> Colorizer:
        """The same model and knobs with an interpreter of its own, for another thread."""
        twin = object.__new__(Colorizer)
        twin.folder, twin.knobs = self.folder, self.knobs
        twin.engine = Engine(self.folder.path / model_dir.LITERT)
        return twin

    def ab(self, gray: np.ndarray) -> np.ndarray:
        """Predicted ab (s, s, 2) float32 of gray (H, W) uint8 or uint16, stretched to a square."""
        side = self.engine.size
        if gray.shape == (side, side):
            small = gray
        else:
            shrinking = min(gray.shape) > side
            how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
            small = cv2.resize(gray, (side, side), interpolation=how)
        ab = self.engine(plane(small), self.knobs.temperature, self.knobs.vividness)
        return ab * np.float32(self.knobs.saturation)

    def colorize(self, gray: np.ndarray, dtype: np.dtype | type | None = None) -> np.ndarray:
        """sRGB (H, W, 3) of gray (H, W) uint8 or uint16; the same depth unless ``dtype``."""
        return join(gray, self.ab(gray), dtype)

    def __call__(self, image: Image.Image) -> Image.Image:
        """A coloured RGB copy of a PIL image of the same size; its own colours are ignored."""
        from PIL import Image

        rgb = np.asarray(image.convert("RGB"))
        gray = np.asarray(image) if image.mode == "L" else neutral(rgb)
        return Image.fromarray(self.colorize(gray, np.uint8))

    def map(self, images: Iterable[Image.Image]) -> Iterator[Image.Image]:
        """Colour one after the other, lazily."""
        return map(self, images)
