"""COCO: photographs that an annotation file names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from colorcli.config.settings import value, words
from colorcli.data.sources.common import (
    Bar,
    Files,
    Judged,
    Photographs,
    Selection,
    Source,
    drawn,
)  # fmt: skip
from colorcli.system.errors import UsageError
from colorcli.system.files.inputs import Source as File

if TYPE_CHECKING:
    from colorcli.data.coco import Selection as Annotated


@dataclass(frozen=True, kw_only=True)
class Coco(Source):
    """Photographs that an annotation file of COCO's kind names.

    They lie in ``root``/``split``; ``annotations`` None: COCO's own file of the split. Of the
    categories (names or ids) a photograph shows "any" or "all" (``match``), in a crowd too unless
    ``ignore_crowds``.
    """

    prepares = "COCO: photographs that an annotation file names. The same command resumes."
    judged = Judged(
        help="COCO folder: holds SPLIT/ and annotations/.", called="--coco",
        also={
            "split": "Of COCO or a prepared folder. [default: val2017, val]",
            "annotations": "[default: COCO/annotations/instances_SPLIT.json]",
            "category": "COCO: only these, by name or id: person,dog",
        },
        make=lambda root, also: Coco(
            root=str(root), split=also.get("split", "val2017"),
            annotations=also.get("annotations"), category=also.get("category", ""),
        ),
    )  # fmt: skip

    root: str = value(".", "Holds SPLIT/ and annotations/.")
    split: str = value(
        "train2017", "Folder of photographs below the root: train2017, val2017, yours."
    )
    annotations: str | None = value(None, "[default: ROOT/annotations/instances_SPLIT.json]")
    download: bool = value(False, "Fetch and unpack what the root lacks; resumes.")
    remove_archives: bool = value(False, "Delete each archive once it is unpacked.")
    base_url: str | None = value(
        None, "Mirror with zips/ and annotations/.", environment="COLORIZE_COCO_URL"
    )
    category: str = value("", "Only these, by name or id: person,dog")
    match: str = value("any", "Show any, or all, of those categories.", choices=("any", "all"))
    ignore_crowds: bool = value(False, "A crowd (iscrowd) shows no category.")
    license: str = value("", "Only photographs under these licence ids: 4,5")

    def _licenses(self) -> tuple[int, ...]:
        ids = words(self.license)
        if not all(word.isdecimal() for word in ids):
            raise UsageError(
                f"--license {self.license}: licences are named by their ids, such as 4,5"
            )
        return tuple(map(int, ids))

    def obtain(self, bar: Bar) -> None:
        """See ``Source``."""
        self._licenses()  # raises, before hours of work
        if self.download:
            from colorcli.data import coco

            coco.obtain(
                self.root, self.split, base_url=self.base_url or coco.BASE_URL,
                keep=not self.remove_archives, progress=bar,
            )  # fmt: skip

    def _found(self) -> tuple[Annotated, list[tuple[str, str]]]:
        """What the annotations name, and the names among it that are bad, with what is wrong."""
        from colorcli.data import coco

        chosen = coco.select(
            self.annotations or f"{self.root}/annotations/instances_{self.split}.json",
            Path(self.root) / self.split,
            coco.Filter(words(self.category), self.match, not self.ignore_crowds, self._licenses()),
        )
        return chosen, [(name, coco.OUTSIDE) for name in chosen.outside]

    def _files(self, paths: Iterable[str]) -> list[File]:
        folder = Path(self.root) / self.split
        return [File(path, os.path.relpath(path, folder)) for path in paths]

    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """See ``Source``."""
        chosen, bad = self._found()
        where = self.annotations or Path(self.root) / "annotations" / f"instances_{self.split}.json"
        return Selection(
            items=Files(drawn(self._files(chosen.paths), limit, seed)),
            broken=[{"path": name, "reason": f"{where}: {name}: {why}"} for name, why in bad],
            missing=list(chosen.missing),
        )

    def photographs(self) -> Photographs:
        """See ``Source``."""
        chosen, bad = self._found()
        origin = {
            "kind": "coco", "split": self.split, "category": ",".join(words(self.category)),
            "match": self.match, "ignore_crowds": self.ignore_crowds,
            "license": ",".join(map(str, self._licenses())),
        }  # fmt: skip
        files = self._files(chosen.paths)
        return Photographs(files=files, origin=origin, missing=chosen.missing, bad=bad)


SOURCE = Coco
