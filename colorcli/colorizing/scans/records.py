"""Regions as JSON: what ``--json`` tells of a picture, and what ``--regions FILE`` takes back."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.quads import Region
from colorcli.network.upright.head import WAYS
from colorcli.system.errors import UsageError, reason
from colorcli.system.files import places

_Told = tuple[tuple[Region, ...], int]  # regions of a picture, and its turn where it has none


def record(region: Region) -> dict[str, Any]:
    """A region as JSON holds it: corners to a hundredth of a pixel, degrees.

    The angle is that of the corners told, so that one read back tells the same.
    """
    corners = region.corners.round(2)
    told: dict[str, Any] = {
        "corners": corners.tolist(), "angle": round(replace(region, corners=corners).angle, 2) + 0.0
    }  # fmt: skip
    if region.oval:
        told["oval"] = True
    if region.turned:
        told["turned"] = region.turned
    return told


def _region(told: Any) -> Region:
    corners = np.array(told["corners"], np.float64)
    if corners.shape != (4, 2) or not np.isfinite(corners).all():
        raise ValueError("corners are four pairs of numbers")
    if quads.area(corners) < 1 or not cv2.isContourConvex(corners.astype(np.float32)):
        raise ValueError("corners go around a photograph, clockwise from its upper left")
    return Region(corners, bool(told.get("oval", False)), _turn(told))


def _turn(told: Any) -> int:
    turned = told.get("turned") or 0
    if turned not in WAYS:
        raise ValueError(f"turned is one of {', '.join(map(str, WAYS))}")
    return int(turned)


def _documents(text: str) -> list[Any]:
    """The values of a JSON document, or of one a line."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


class Given:
    """Regions that a person has put right, for one photograph or for many by their names."""

    def __init__(self, path: str) -> None:
        """Read the file ``path``: a list of regions, or objects with ``input`` and ``regions``.

        Raises ``UsageError`` that names it and what is wrong with it.
        """
        self._any: _Told | None = None
        self._named: dict[str, _Told] = {}
        try:
            for document in _documents(places.read(str(path)).decode("utf-8")):
                self._take(document)
        except OSError as error:
            raise UsageError(
                f"--regions {path}: {reason(error)}; give auto, none or a file"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else reason(error)
            raise UsageError(
                f"--regions {path}: {what}; give a list of regions as --json prints them"
            ) from None

    def _take(self, document: Any) -> None:
        if isinstance(document, dict) and "corners" not in document:
            name = os.path.normpath(document["input"])
            if document.get("regions") is not None:  # None of what was not coloured
                self._named[name] = tuple(map(_region, document["regions"])), _turn(document)
            return
        items = document if isinstance(document, list) else [document]
        if items and all(isinstance(i, dict) and "corners" not in i for i in items):
            for item in items:
                self._take(item)
            return
        before = self._any[0] if self._any else ()
        self._any = (*before, *map(_region, items)), 0

    def of(self, name: str, size: tuple[int, int]) -> tuple[Region, ...] | None:
        """Regions of the photograph ``name`` of ``size`` (width, height); None: the file tells none.

        Raises ``UsageError`` where one lies outside of it.
        """
        found = self._found(name)
        if found is None:
            return None
        for region in found[0]:
            shared, _ = cv2.intersectConvexConvex(
                region.corners.astype(np.float32), quads.box(*size).astype(np.float32)
            )
            if shared < 0.5 * quads.area(region.corners):
                raise UsageError(
                    f"{name}: a region of --regions lies outside of its {size[0]} x {size[1]} "
                    "pixels; give corners in its own pixels"
                )
        return found[0]

    def turn(self, name: str) -> int | None:
        """Degrees by which a photograph without regions stands upright; None: the file tells none."""
        found = self._found(name)
        return found and found[1]

    def _found(self, name: str) -> _Told | None:
        named = self._named.get(os.path.normpath(name))
        if named is None and self._named:
            last = os.path.basename(name)
            alike = [found for path, found in self._named.items() if os.path.basename(path) == last]
            named = alike[0] if len(alike) == 1 else None
        return named if named is not None else self._any
