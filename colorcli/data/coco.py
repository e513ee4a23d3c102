"""COCO: the official archives, and which photographs an annotation file names (pycocotools)."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from colorcli.system import disk
from colorcli.system.atomic import Part, sweep
from colorcli.system.download import fetch
from colorcli.system.errors import DataError, UsageError, reason
from colorcli.system.files.inputs import is_below

Progress = Callable[..., None]
OUTSIDE = "leads out of the folder of photographs"  # what is wrong with such a name
BASE_URL = "http://images.cocodataset.org"
ANNOTATIONS = "annotations"


@dataclass(frozen=True)
class Archive:
    """A zip file as COCO publishes it: place below the base address, bytes, sha256, files in it."""

    path: str
    size: int
    sha256: str
    files: int


# COCO itself gives no checksums; these are the ones that many independent projects check against.
ARCHIVES: dict[str, Archive] = {
    "train2017": Archive(
        "zips/train2017.zip", 19336861798,
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929", 118287,
    ),
    "val2017": Archive(
        "zips/val2017.zip", 815585330,
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05", 5000,
    ),
    ANNOTATIONS: Archive(
        "annotations/annotations_trainval2017.zip", 252907541,
        "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268", 6,
    ),
}  # fmt: skip


# --- archives ----------------------------------------------------------------------------------


def obtain(
    root: Path | str,
    split: str,
    *,
    base_url: str = BASE_URL,
    keep: bool = True,
    progress: Callable[[str], contextlib.AbstractContextManager[Progress | None]] | None = None,
) -> None:
    """Download and unpack what is not below ``root`` yet: ``ROOT/SPLIT/`` and ``annotations/``.

    Every step resumes. ``keep``: leave the archives where they are (``ROOT/*.zip``). ``progress``
    makes a bar in bytes for a label. Raises ``UsageError`` for a split that COCO has no archive
    of, ``DataError`` for all that goes wrong.
    """
    if split not in ARCHIVES or split == ANNOTATIONS:
        known = ", ".join(name for name in ARCHIVES if name != ANNOTATIONS)
        raise UsageError(f"--split {split}: no archive known to --download; known: {known}")
    root = Path(root)
    bar = progress or (lambda label: contextlib.nullcontext())
    for name in (ANNOTATIONS, split):
        archive = ARCHIVES[name]
        # Files get their names whole, so that their number tells.
        needed = root / name / f"instances_{split}.json"
        if needed.is_file() if name == ANNOTATIONS else _count(root / name) >= archive.files:
            continue
        target = root / PurePosixPath(archive.path).name
        if not target.is_file():
            _check_space(root, 2 * archive.size - _size(target.with_name(target.name + ".part")))
        url = f"{base_url.rstrip('/')}/{archive.path}"
        with bar(f"downloading {target.name}") as update:
            fetch(url, target, sha256=archive.sha256, size=archive.size, progress=update)
        with bar(f"unpacking {target.name}") as update:
            unpack(target, root, progress=update)
        found = _count(root / name)
        if found < archive.files:
            raise DataError(
                f"{root / name}: {found} files after unpacking {target}, {archive.files} expected; "
                "remove the archive and try again"
            )
        if not keep:
            target.unlink()


def _count(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(not entry.name.startswith(".") for entry in entries)
    except OSError:
        return 0


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _check_space(root: Path, needed: int) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{root}: cannot be made a folder: {reason(error)}") from None
    disk.require_room(
        root, needed, "archive and photographs", "free some space or choose another --root"
    )


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The plain files of an archive; refuses it whole if one would land outside the folder."""
    members = []
    for member in archive.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)
        name = member.orig_filename
        parts = PurePosixPath(name).parts
        unsafe = (
            name.startswith("/") or "\\" in name or "\0" in name or ":" in name or ".." in parts
        )
        if unsafe or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"{path}: its member {name!r} is not safe to unpack; nothing was")
        if not member.is_dir():
            members.append(member)
    return members


def unpack(path: Path | str, folder: Path | str, *, progress: Progress | None = None) -> int:
    """The files of a zip archive below ``folder``; returns their number.

    Each appears whole and with the right CRC, or not at all; those that are there with the right
    size are left alone, so that an interrupted call resumes. Members that would land outside
    ``folder``, links and devices make the archive refused. Raises ``DataError``.
    """
    path, folder = Path(path), Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            left = [m for m in members if _size(folder / m.filename) != m.file_size]
            total = sum(m.file_size for m in members)
            done = total - sum(m.file_size for m in left)
            disk.require_room(folder, total - done, path.name, "free some space and try again")
            for place in {(folder / member.filename).parent for member in left}:
                sweep(str(place))
            for member in left:
                target = folder / member.filename
                with archive.open(member) as source, Part(target, sync=False) as part:
                    shutil.copyfileobj(source, part.file, disk.BLOCK)
                    part.keep()
                done += member.file_size
                if progress:
                    progress(done, total)
        if left and hasattr(os, "sync"):
            os.sync()  # once, before anyone removes the archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{path}: not a whole zip archive ({reason(error)}); remove it and download it again"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be unpacked into {folder}: {reason(error)}") from None
    return len(members)


# --- annotations -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Selection:
    """Photographs of a COCO split that exist on disk, and the named ones that do not.

    ``outside``: names as they stand that lead out of the folder of photographs; not looked at.
    """

    paths: tuple[str, ...]
    missing: tuple[str, ...]
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Filter:
    """Which photographs of an annotation file are meant; all when nothing is given.

    ``categories``: names or ids, of which a photograph must show one (``match`` "any") or each
    ("all"). ``crowds``: whether a region annotated as a crowd (``iscrowd``) shows its category.
    ``licenses``: ids, one of which the photograph must be under.
    """

    categories: tuple[str, ...] = ()
    match: str = "any"
    crowds: bool = True
    licenses: tuple[int, ...] = ()


def select(
    annotations: Path | str, folder: Path | str, wanted: Filter | Sequence[str] = Filter()
) -> Selection:
    """Photographs of ``annotations`` in ``folder`` that the filter means, by file name order.

    Names that lead out of ``folder`` are bad entries. Raises ``DataError`` for an unreadable file,
    an unknown category or licence, or when none of the photographs is on disk.
    """
    if not isinstance(wanted, Filter):
        wanted = Filter(tuple(wanted))
    coco = _load(annotations)
    chosen = set(coco.imgs)
    try:
        if wanted.categories:
            chosen &= _showing(coco, annotations, wanted)
        if wanted.licenses:
            chosen &= _licensed(coco, annotations, wanted.licenses)
        files = sorted({coco.imgs[i]["file_name"] for i in chosen})
        if not all(isinstance(name, str) for name in files):
            raise TypeError("a file name that is no text")
    except (KeyError, TypeError, AttributeError) as error:
        raise _foreign(annotations, error) from None
    if not files:
        raise DataError(f"{annotations}: no photograph passes the filters; loosen them")
    outside = tuple(name for name in files if not is_below(name))
    files = [name for name in files if is_below(name)]
    if not files:
        raise DataError(
            f"{annotations}: all {len(outside)} names lead out of {folder}, e.g. {outside[0]}; "
            "give names below it"
        )
    present: list[str] = []
    missing: list[str] = []
    here = set(_below(Path(folder))) if os.path.isdir(folder) else set()
    for name in files:
        (present if name in here or (Path(folder) / name).is_file() else missing).append(
            str(Path(folder) / name)
        )
    if not present:
        raise DataError(
            f"{folder}: has none of the {len(files)} photographs that {annotations} names, e.g. "
            f"{files[0]}; check the COCO folder and the split; prepare coco --download fetches both"
        )
    return Selection(tuple(present), tuple(missing), outside)


def _below(folder: Path) -> Iterator[str]:
    # One look at the folder instead of one at each of a hundred thousand files.
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if entry.is_file())


def _foreign(annotations: Path | str, error: Exception) -> DataError:
    cause = f"no {error}" if isinstance(error, KeyError) else reason(error)
    return DataError(f"{annotations}: not a COCO annotation file ({cause})")


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    # Outlines are most of the file, and of no use here.
    for key in ("segmentation", "bbox", "keypoints", "segments_info"):
        entry.pop(key, None)
    return entry


def _load(annotations: Path | str) -> Any:
    from pycocotools.coco import COCO

    try:
        with open(annotations, encoding="utf-8") as file:
            document = json.load(file, object_hook=_slim)
        if not isinstance(document, dict) or not isinstance(document["images"], list):
            raise TypeError("no list of images")
        coco = COCO()
        coco.dataset = document
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            coco.createIndex()
    except OSError as error:
        raise DataError(
            f"{annotations}: {reason(error)}; check the COCO folder and the split; prepare coco --download fetches both"
        ) from None
    except (ValueError, KeyError, AssertionError, TypeError, AttributeError) as error:
        raise _foreign(annotations, error) from None
    return coco


def _showing(coco: Any, annotations: Path | str, wanted: Filter) -> set[Any]:
    """Images that show any or all of the wanted categories."""
    if not coco.cats or not coco.anns:
        raise DataError(
            f"{annotations}: has no objects with categories, as captions and image lists have not; "
            "--category needs the instances file"
        )
    names = {c["name"]: c["id"] for c in coco.cats.values()}
    ids = [_category(text, names, annotations) for text in wanted.categories]
    found = [
        {
            coco.anns[a]["image_id"]
            for a in coco.getAnnIds(catIds=[i], iscrowd=None if wanted.crowds else False)
        }
        for i in ids
    ]
    return (set.intersection if wanted.match == "all" else set.union)(*found)


def _category(text: str, names: Mapping[str, int], annotations: Path | str) -> int:
    folded = {name.casefold(): i for name, i in names.items()}
    if text.casefold() in folded:
        return folded[text.casefold()]
    if text.isdecimal() and int(text) in names.values():
        return int(text)
    near = difflib.get_close_matches(text.casefold(), folded, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(f"{annotations}: no category {text!r}{hint}; known: {', '.join(sorted(names))}")


def _licensed(coco: Any, annotations: Path | str, ids: Iterable[int]) -> set[Any]:
    known = {entry["id"]: entry.get("name", "") for entry in coco.dataset.get("licenses", [])}
    for license in ids:
        if license not in known:
            listed = ", ".join(f"{i} ({name})" for i, name in sorted(known.items())) or "none"
            raise DataError(f"{annotations}: no license {license}; known: {listed}")
    wanted = set(ids)
    return {i for i, image in coco.imgs.items() if image.get("license") in wanted}
