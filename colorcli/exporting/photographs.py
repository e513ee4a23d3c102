"""Real photographs to check and calibrate exports with, the user's own or scikit-image's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from colorcli.data.sources.common import read_rgb
from colorcli.imaging import writing
from colorcli.system.errors import DataError, ImageError
from colorcli.system.files.inputs import find

# Colour photographs that scikit-image carries in its package: there offline, redistributable.
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket")


def bundled() -> list[np.ndarray]:
    """Four photographs as sRGB (H, W, 3) uint8."""
    from skimage import data

    return [np.ascontiguousarray(getattr(data, name)()) for name in BUNDLED]


def given(names: Sequence[str], limit: int) -> list[np.ndarray]:
    """At most ``limit`` photographs of files, folders and globs, evenly chosen.

    Raises ``DataError`` when an input names none or a chosen one cannot be read: what an export is
    checked with is not to shrink unseen.
    """
    found = find(names, writing.READABLE, recursive=True)
    for name, why in found.failures:
        raise DataError(f"{name}: {why}")
    step = max(1, -(-len(found.sources) // limit))
    try:
        return [read_rgb(source.path) for source in found.sources[::step]]
    except ImageError as error:
        raise DataError(str(error)) from None


def views(photographs: Sequence[np.ndarray], *, mirrored: bool = False) -> Iterator[np.ndarray]:
    """Each photograph whole, its quarters and its middle; with ``mirrored`` also the other way."""
    for rgb in photographs:
        top, left = rgb.shape[0] // 2, rgb.shape[1] // 2
        quarters = [rgb[y : y + top, x : x + left] for y in (0, top) for x in (0, left)]
        middle = rgb[top // 2 : top // 2 + top, left // 2 : left // 2 + left]
        for view in (rgb, *quarters, middle):
            yield np.ascontiguousarray(view)
            if mirrored:
                yield cv2.flip(view, 1)
