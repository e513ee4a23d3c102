"""Maps of where a model is sure of its colours, beside the pictures that it coloured."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.scans.windows import View
from colorcli.config.predict import LARGE
from colorcli.imaging import png
from colorcli.imaging.formats.tiff import library
from colorcli.imaging.tags import metadata
from colorcli.imaging.tags.icc import gray_profile
from colorcli.imaging.tags.origin import Origin
from colorcli.system.errors import UsageError
from colorcli.system.files import places
from colorcli.system.files.delivery import deliver
from colorcli.system.files.inputs import STREAM
from colorcli.system.files.outputs import Job

SINGLE, SEVERAL = (".png",), (".tif", ".tiff")  # suffixes of maps, which hold one page and more


@dataclass(frozen=True)
class Seen:
    """A picture that was coloured: its height and width, and how sure the model was (h, w)."""

    size: tuple[int, int]
    confidence: np.ndarray


class Witness:
    """A colorizer for one photograph, which remembers how sure it was of each frame."""

    def __init__(self, colorizer: Colorizer) -> None:
        self._colorizer = colorizer
        self.seen: list[Seen] = []

    @property
    def side(self) -> int:
        """See ``Colorizer``."""
        return self._colorizer.side

    @property
    def origin(self) -> Origin:
        """See ``Colorizer``."""
        return self._colorizer.origin

    def view(
        self, gray: np.ndarray, *, size: tuple[int, int] | None = None, name: str = "-",
        page: tuple[int, int] = (1, 1),
    ) -> View:  # fmt: skip
        """See ``Colorizer``."""
        return self._colorizer.view(gray, size=size, name=name, page=page)

    def ab_of(self, view: View) -> np.ndarray:
        """See ``Colorizer``."""
        predicted = self._colorizer.predicted_of(view)
        sure, size = predicted.confidence, view.size[::-1]
        if view.stands:
            sure = np.rot90(sure, -view.stands // 90)
            size = size[::-1] if view.stands % 180 else size
        self.seen.append(Seen(size, np.ascontiguousarray(sure)))
        return predicted.ab

    @property
    def mean(self) -> float | None:
        """Mean confidence over all frames, None where none was coloured."""
        means = [float(seen.confidence.mean()) for seen in self.seen]
        return round(sum(means) / len(means), 4) if means else None


# --- names -------------------------------------------------------------------------------------


def is_file(asked: str) -> bool:
    """Whether ``--confidence`` names a file, and not what is added to the results' names."""
    return asked.lower().endswith(SINGLE + SEVERAL)


def place(asked: str, target: str, frames: int = 1) -> str:
    """Where the map of the result ``target`` goes."""
    if is_file(asked):
        return asked
    return os.path.splitext(target)[0] + asked + (SINGLE if frames == 1 else SEVERAL)[0]


def check(jobs: Sequence[Job], asked: str, *, replace: bool) -> None:
    """Raise ``UsageError`` for maps that cannot be: before any work.

    ``replace``: maps that exist may be written over.
    """
    todo = [job for job in jobs if job.todo]
    if is_file(asked):
        if len(todo) > 1:
            raise UsageError(
                f"--confidence {asked}: one file cannot take the maps of {len(todo)} photographs; "
                "give an ending of names, such as _confidence"
            )
    elif os.path.basename(asked) != asked or not asked.strip("."):
        raise UsageError(
            f"--confidence {asked}: neither a file in .png or .tif nor an ending of names, such as "
            "_confidence"
        )
    elif any(job.target == STREAM for job in todo):
        raise UsageError("--confidence of a picture that goes to stdout; name a file: map.png")
    pictures = {os.path.abspath(job.target) for job in jobs if job.target is not None}
    pictures |= {os.path.abspath(job.source.path) for job in jobs}
    for job in todo:
        for frames in (1, 2):
            there = place(asked, job.target, frames)
            if os.path.abspath(there) in pictures:
                raise UsageError(f"{there}: both a map of --confidence and a picture; rename it")
            if not replace and places.status(there):
                raise UsageError(f"{there}: exists already; add --overwrite or --skip-existing")


# --- files -------------------------------------------------------------------------------------


def drawn(seen: Seen) -> np.ndarray:
    """The map (H, W) uint8, 255 for sure; smaller than its picture where that is huge."""
    height, width = seen.size
    scale = min(1.0, (LARGE / (height * width)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.rint(seen.confidence * 255).astype(np.float32)
    large = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return np.rint(large).astype(np.uint8)


def _png(page: np.ndarray) -> bytes:
    chunks = metadata.png_chunks({}, gray_profile())
    return png.encoded(page, (cv2.IMWRITE_PNG_COMPRESSION, 6), chunks)


def _tiff(pages: Iterable[np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with library().TiffWriter(buffer, byteorder="<") as writer:
        for page in pages:
            packed = zlib.compress(np.ascontiguousarray(page).data, 6)
            writer.write(
                iter([packed]), shape=page.shape, dtype=page.dtype, photometric="minisblack",
                compression="zlib", rowsperstrip=page.shape[0], metadata=None, software=False,
                iccprofile=gray_profile(),
            )  # fmt: skip
    return buffer.getvalue()


def write(asked: str, target: str, seen: Sequence[Seen]) -> str:
    """Write the map of the result ``target`` where ``asked`` says, and give its place.

    Raises ``UsageError`` where the file holds one page and there are several, ``DataError`` where
    it cannot be written.
    """
    path = place(asked, target, len(seen))
    several = path.lower().endswith(SEVERAL)
    if len(seen) > 1 and not several:
        raise UsageError(f"{path}: {len(seen)} maps, and a PNG holds one; name it .tif")
    pages = map(drawn, seen)
    deliver(path, _tiff(pages) if several else _png(next(pages)))
    return path
