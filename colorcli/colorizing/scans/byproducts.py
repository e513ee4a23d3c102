"""What colouring a scan gives beside the coloured scan: its photographs alone, and what was seen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from colorcli.colorizing.result import Result, Stopwatch
from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.explaining import explained
from colorcli.colorizing.scans.quads import Region
from colorcli.colorizing.scans.records import record
from colorcli.colorizing.scans.windows import View
from colorcli.config.predict import PredictConfig
from colorcli.imaging import png, reading, writing
from colorcli.imaging.tags import metadata
from colorcli.imaging.tags.origin import Origin
from colorcli.system.errors import ImageError, UsageError, reason
from colorcli.system.files.delivery import deliver
from colorcli.system.files.inputs import Source
from colorcli.system.files.outputs import Job
from colorcli.system.files.places import require_folders

# In each sheet, so that a later run replaces it and nothing else.
_MARK = png.chunk(b"tEXt", b"Software\0colorize predict --explain")
_HEAD = 200  # bytes of a sheet that hold it
STRAIGHT = 0.5  # pixels by which an edge may be askew without being straightened


def _cut(plane: np.ndarray, region: Region) -> np.ndarray:
    """A photograph out of (H, W, …): its own pixels where it lies straight, else turned to be so."""
    height, width = plane.shape[:2]
    lean = np.abs(region.corners - np.roll(region.corners, -1, axis=0)).min(axis=1).max()
    if lean <= STRAIGHT:
        (left, top), (right, bottom) = np.rint(region.corners[[0, 2]]).astype(int)
        cut = plane[max(0, top) : min(bottom, height), max(0, left) : min(right, width)]
    else:
        size = max(1, round(region.size[0])), max(1, round(region.size[1]))
        map = quads.centred(quads.homography(quads.box(*size), region.corners))
        flags, mode = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        cut = cv2.warpPerspective(plane, map, size, flags=flags, borderMode=mode)
    return np.ascontiguousarray(np.rot90(cut, -region.turned // 90))


@dataclass
class Byproducts:
    """Collects, as pages are coloured, what ``config.scans`` asks for.

    ``regions``: JSON of the photographs found on all pages. ``parts``: encoded photographs.
    ``sheets``: encoded pictures of what was seen, a page each. ``passes``: squares seen at most.
    ``turns``: degrees by which each page was seen turned. ``hints``: JSON of the known colours that
    were used; ``references``: those they are like. ``origin``: what parts say of their colours.
    """

    config: PredictConfig
    origin: Origin | None = None
    regions: list[dict[str, Any]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    sheets: list[bytes] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    passes: int = 1
    turns: list[int] = field(default_factory=list)
    hints: list[dict[str, Any]] = field(default_factory=list)
    references: list[str] = field(default_factory=list)

    def see(self, view: View, page: int | None = None) -> None:
        """Note what was seen of a picture, the ``page`` of several."""
        where = {} if page is None else {"frame": page}
        self.regions += [{**record(region), **where} for region in view.regions]
        self.hints += [hint.told() for hint in view.known]
        if view.lent is not None and view.lent.name not in self.references:
            self.references.append(view.lent.name)
        self.turns.append(view.turned)
        self.passes = max(self.passes, view.passes)
        if view.stands:
            self.note(f"turned by {view.stands} degrees clockwise, to stand upright")
        self.note(*view.notes)
        if self.config.scans.explain is not None:
            sheet = cv2.cvtColor(explained(view), cv2.COLOR_RGB2BGR)
            self.sheets.append(png.encoded(sheet, chunks=_MARK))

    def note(self, *notes: str) -> None:
        """What the picture's owner should know, each once."""
        self.notes += tuple(note for note in notes if note not in self.notes)

    def split(
        self, view: View, rgb: np.ndarray, picture: reading.Picture, document: reading.Document,
        format: str,
    ) -> None:  # fmt: skip
        """Encode the photographs of a coloured page, sRGB (H, W, 3), where that is asked for."""
        config = self.config
        for region in view.regions if config.scans.split else ():
            page = _cut(rgb, region)
            alpha = None if picture.alpha is None else _cut(picture.alpha, region)
            part = replace(picture, gray=page[..., 0], rgb=None, alpha=alpha, duration=None)
            size = page.shape[1], page.shape[0]
            extra = metadata.of_size(document.extra, size)
            alone = reading.Document(document.format, [part], extra, document.name)
            self.parts.append(
                writing.encode(
                    [(page, part)],
                    alone,
                    format,
                    quality=config.quality,
                    strip=config.strip,
                    origin=None if config.no_provenance else self.origin,
                )  # fmt: skip
            )

    def result(
        self, name: str, size: tuple[int, int], clock: Stopwatch, origin: Origin | None, *,
        kept: bool = False, frames: int = 1, notes: Iterable[str] = (),
    ) -> Result:  # fmt: skip
        """What is told of the picture ``name`` of ``size`` (width, height), in colour, or ``kept`` as it was."""
        return Result(
            name, None, "kept" if kept else "done", width=size[0], height=size[1], frames=frames,
            milliseconds=clock.spent, notes=(*notes, *self.notes),
            provenance=origin.told() if origin else None, **({} if kept else self._told()),
        )  # fmt: skip

    def _told(self) -> dict[str, Any]:
        """The fields of a ``Result`` that tell of them."""
        turned = self.turns[0] if len(set(self.turns)) == 1 else 0
        told: dict[str, Any] = {"regions": self.regions, "turned": turned, "passes": self.passes}
        return {**told, "hints": self.hints or None, "references": self.references or None}

    def _names(self, target: str) -> list[str]:
        """Of the photographs alone."""
        stem, suffix = os.path.splitext(target)
        return [f"{stem}-{number}{suffix}" for number in range(1, len(self.parts) + 1)]

    def _paths(self, source: Source) -> list[Path]:
        """Of the sheets."""
        explain, many = self.config.scans.explain, len(self.sheets) > 1
        return [
            _sheet_path(explain, source, number if many else 0)
            for number in range(1, len(self.sheets) + 1)
        ]

    def require_room(self, target: str, source: Source) -> None:
        """Raise ``ImageError`` where a name is taken by what no earlier run made, or cannot be."""
        for name in self._names(target):
            if os.path.exists(name):
                header = reading.peek(name)
                if header is None or not header.result:
                    raise ImageError(f"{name}: exists, and is no earlier result; move it away")
        for path in self._paths(source):
            _check_free(path)

    def deliver(self, target: str, source: Source) -> None:
        """Write them: photographs as NAME-1… beside ``target``, sheets where ``config.scans.explain`` says.

        Raises ``ImageError`` as ``require_room``, ``DataError`` where there is no room on the disk.
        """
        self.require_room(target, source)
        for name, part in zip(self._names(target), self.parts, strict=True):
            deliver(name, part)
        for path, sheet in zip(self._paths(source), self.sheets, strict=True):
            deliver(str(path), sheet)


def check(jobs: Sequence[Job], explain: Path) -> None:
    """Raise ``UsageError`` for a sheet that would replace a photograph or a result: before any work."""
    require_folders(str(explain) if is_sheet(explain) else os.path.join(explain, ""))
    pictures = {os.path.abspath(job.source.path) for job in jobs}
    pictures |= {os.path.abspath(job.target) for job in jobs if job.todo and job.target}
    for job in jobs:
        for number in (0, 1):
            path = _sheet_path(explain, job.source, number)
            if job.todo and os.path.abspath(path) in pictures:
                raise UsageError(f"{path}: both a sheet of --explain and a picture; rename it")


def _check_free(path: Path) -> None:
    """Raise ``ImageError`` where a sheet would replace something else, or has no folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as there:
            taken = _MARK not in there.read(_HEAD)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be written: {reason(error)}; choose another --explain"
        ) from None
    if taken:
        raise ImageError(f"{path}: exists, and is no sheet of --explain; move it away")


def is_sheet(path: Path) -> bool:
    """Whether a name is that of one sheet, not of a folder for them."""
    return path.suffix.lower() == ".png"


def _sheet_path(explain: Path | None, source: Source, number: int) -> Path:
    assert explain is not None, "sheets are made where it is told where to"
    mark = f"-{number}" if number else ""
    if is_sheet(explain):
        return explain.with_name(explain.stem + mark + explain.suffix)
    name = "stdin" if source.path == "-" else source.relative
    return explain / (os.path.splitext(name)[0] + f"{mark}.png")
