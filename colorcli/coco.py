"""COCO: which photographs an annotation file names, through pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colorcli.errors import DataError, reason


@dataclass(frozen=True)
class Selection:
    """Photographs of a COCO split that exist on disk, and the named ones that do not."""

    paths: tuple[str, ...]
    missing: tuple[str, ...]


def select(
    annotations: Path | str, folder: Path | str, categories: Sequence[str] = ()
) -> Selection:
    """Photographs of ``annotations`` (instances json) in ``folder``, by file name order.

    ``categories``: names or ids; a photograph with any of them is taken (all when empty).
    Raises ``DataError`` for an unreadable file or an unknown category.
    """
    from pycocotools.coco import COCO

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            coco = COCO(str(annotations))
        images = coco.imgs
    except OSError as error:
        raise DataError(f"{annotations}: {reason(error)}; check --root and --split") from None
    except (ValueError, KeyError, AssertionError, TypeError) as error:
        raise DataError(f"{annotations}: not a COCO annotation file ({reason(error)})") from None
    chosen = set(images)
    if categories:
        names = {c["name"]: c["id"] for c in coco.cats.values()}
        ids = []
        for category in categories:
            found = names.get(category, int(category) if category.isdecimal() else None)
            if found not in coco.cats:
                raise DataError(
                    f"{annotations}: no category {category!r}; known: {', '.join(sorted(names))}"
                )
            ids.append(found)
        chosen = {i for c in ids for i in coco.catToImgs[c]}
    try:
        files = sorted(images[i]["file_name"] for i in chosen if i in images)
    except KeyError as error:
        raise DataError(
            f"{annotations}: an image without {error}; not a COCO annotation file"
        ) from None
    paths = [Path(folder) / name for name in files]
    present = tuple(str(p) for p in paths if p.is_file())
    return Selection(present, tuple(str(p) for p in paths if not p.is_file()))
