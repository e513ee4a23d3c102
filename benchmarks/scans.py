"""Scans as they come, made of photographs: what is found in them, and what that is worth.

python benchmarks/scans.py PHOTOGRAPH|FOLDER... [--model NAME] [--limit N] [--sheet FILE.png]
    [--published FOLDER] [--worth]

Photographs are pasted into rims, bars, mats and album pages (seeded by their number), so that the
truth is known; those with frames of their own are left out of that. Table on stderr, JSON on
stdout: for each kind PSNR inside of the photographs over gray (T = 1, λ = 0), beside the same
photographs bare and the scan seen whole (``--regions none``); how well photographs were found.
``--worth`` leaves out what only finding is judged by: a short table, of any number of photographs,
in Markdown, of what the steps are worth in dB. ``--sheet`` draws what was seen. ``--published`` judges a folder with the ``manifest.json`` of
ScanSplitter's benchmark (Madnex/ScanSplitter, benchmarks/).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from colorcli.color.lab import join, neutral
from colorcli.color.tone import Colours
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.explaining import explained
from colorcli.colorizing.scans.finding import find
from colorcli.config.evaluation import EvalConfig
from colorcli.config.predict import ScansConfig
from colorcli.imaging import reading, writing
from colorcli.network.decoding import Knobs
from colorcli.system.files.inputs import find as find_inputs

Random = np.random.Generator
NONE = np.zeros((1, 1, 2), np.float32)


@dataclass
class Scan:
    """A made scan: sRGB (H, W, 3) uint8, and where its photographs (h, w, 3) lie in it."""

    rgb: np.ndarray
    photographs: list[np.ndarray] = field(default_factory=list)
    corners: list[np.ndarray] = field(default_factory=list)


# --- paper ---------------------------------------------------------------------------------------


def noise(shape: tuple[int, ...], random: Random, amount: float, sigma: float = 0) -> np.ndarray:
    """Noise (H, W, 1) of a standard deviation, blurred by sigma."""
    plain = random.normal(0, 1, shape[:2]).astype(np.float32)
    if sigma:
        plain = cv2.GaussianBlur(plain, (0, 0), sigma)
    return (plain * (amount / max(plain.std(), 1e-6)))[..., None]


def paper(
    height: int, width: int, tone: tuple[float, ...], random: Random, *, texture: float = 0,
    uneven: float = 0,
) -> np.ndarray:  # fmt: skip
    """A sheet (H, W, 3) float32 of a tone, with grain and light that falls off to one side."""
    sheet = np.empty((height, width, 3), np.float32)
    sheet[:] = tone
    if uneven:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        a, b, c = random.uniform(-1, 1, 3)
        sheet += (uneven * (a * x + b * y + c * (x * x + y * y) / 2))[..., None]
    if texture:
        sheet += noise(sheet.shape, random, texture, random.uniform(0, 1.6))
    return sheet


def write_caption(sheet: np.ndarray, at: tuple[float, float], size: float, dark: bool, random: Random) -> None:  # fmt: skip
    """A few words in handwriting's place."""
    text = "".join(random.choice(list("aeinrst lmou1927 ")) for _ in range(random.integers(8, 22)))
    ink = (60, 50, 45) if dark else (225, 220, 205)
    place = (int(at[0]), int(at[1]))
    font, mask = cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, np.zeros(sheet.shape[:2], np.uint8)
    cv2.putText(mask, text, place, font, size / 30, 255, 1, cv2.LINE_AA)
    share = (mask / np.float32(255))[..., None]
    sheet[:] = sheet * (1 - share) + np.float32(ink) * share


# --- prints --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mount:
    """How a print lies on its page: rim as share of the shorter side, its tone and its edge."""

    rim: float = 0.0
    tone: float = 244.0
    scallop: float = 0.0  # share of the shorter side
    shadow: float = 0.0
    fastened: str = ""  # "corners" or "tape"


def print_of(photo: np.ndarray, mount: Mount, random: Random) -> tuple[np.ndarray, np.ndarray, int]:
    """A print (h, w, 3) float32 with rim, its alpha (h, w) and the rim's pixels."""
    rim = round(mount.rim * min(photo.shape[:2]))
    tone = np.float32([mount.tone, mount.tone * 0.985, mount.tone * 0.95])
    sheet = cv2.copyMakeBorder(
        photo.astype(np.float32), rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=tone.tolist()
    )
    if rim:
        sheet[:rim] += noise(sheet[:rim].shape, random, 1.0)
    alpha = np.ones(sheet.shape[:2], np.float32)
    if mount.scallop and rim:
        height, width = alpha.shape
        radius = max(1.0, mount.scallop * min(height, width))
        for length, edge in ((width, "h"), (height, "v")):
            for middle in np.arange(0, length, 3 * radius):
                for far in (0, (height if edge == "h" else width) - 1):
                    at = (middle, far) if edge == "h" else (far, middle)
                    cv2.circle(alpha, (int(at[0]), int(at[1])), int(radius), 0, -1, cv2.LINE_AA)
    return sheet, alpha, rim


def fasten(sheet: np.ndarray, corners: np.ndarray, how: str, random: Random) -> None:
    """Photo corners or strips of tape over a print."""
    size = 0.09 * min(quads.sides(corners))
    for i in range(4):
        corner = corners[i]
        along = [(corners[(i + d) % 4] - corner) for d in (1, 3)]
        units = [a / np.linalg.norm(a) for a in along]
        if how == "corners":
            ink, shape = 40, [corner - 2 * (units[0] + units[1]), corner + size * units[0],
                              corner + size * units[1]]  # fmt: skip
        else:
            if i % 2:
                continue
            out = (units[0] + units[1]) / np.sqrt(2)
            side = (units[0] - units[1]) / np.sqrt(2)
            ink = 205
            shape = [corner + out * size * a + side * size * b
                     for a, b in ((-0.7, -0.35), (-0.7, 0.35), (0.7, 0.35), (0.7, -0.35))]  # fmt: skip
        over = sheet.copy()
        cv2.fillPoly(over, [np.rint(shape).astype(np.int32)], (ink, ink, ink * 0.9), cv2.LINE_AA)
        share = 1.0 if how == "corners" else 0.55
        sheet[:] = share * over + (1 - share) * sheet


def paste(
    sheet: np.ndarray, photo: np.ndarray, middle: tuple[float, float], angle: float, mount: Mount,
    random: Random,
) -> np.ndarray:  # fmt: skip
    """Lay a print on a sheet (H, W, 3) float32; the photograph's own corners (4, 2)."""
    item, alpha, rim = print_of(photo, mount, random)
    height, width = alpha.shape
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1), [0, 0, 1]])
    shift = np.array([[1, 0, middle[0] - width / 2], [0, 1, middle[1] - height / 2], [0, 0, 1]])
    map = shift @ turn
    size = (sheet.shape[1], sheet.shape[0])
    pixels = quads.centred(map)
    over = cv2.warpPerspective(item, pixels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    share = cv2.warpPerspective(alpha, pixels, size, flags=cv2.INTER_LINEAR)
    if mount.shadow:
        away = max(2, 0.012 * min(height, width))
        dark = np.roll(cv2.GaussianBlur(share, (0, 0), away), (int(away), int(away)), (0, 1))
        sheet *= (1 - mount.shadow * dark)[..., None]
    sheet[:] = sheet * (1 - share[..., None]) + over * share[..., None]
    inner = quads.moved(quads.box(width - 2 * rim, height - 2 * rim) + rim, map)
    if mount.fastened:
        fasten(sheet, quads.moved(quads.box(width, height), map), mount.fastened, random)
    return inner


def finished(sheet: np.ndarray, random: Random) -> np.ndarray:
    """As a scanner's JPEG."""
    sheet = sheet + noise(sheet.shape, random, random.uniform(0, 1.2))
    levels = np.clip(np.rint(sheet), 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(85, 97))]
    return cv2.imdecode(cv2.imencode(".jpg", levels[..., ::-1], quality)[1], cv2.IMREAD_COLOR)[..., ::-1].copy()  # fmt: skip


# --- single photographs --------------------------------------------------------------------------

Single = Callable[[np.ndarray, Random], Scan]


def rimmed(
    share: float, tone: tuple[float, ...], *, sides: str = "tblr", clean: bool = False,
    bottom: float = 1.0, texture: float = 0.0, uneven: float = 0.0, caption: bool = False,
) -> Single:  # fmt: skip
    """A rim of a share of the shorter side at the named sides; ``clean``: of one level, no JPEG."""

    def make(photo: np.ndarray, random: Random) -> Scan:
        rim = round(share * min(photo.shape[:2]))
        top, left, right = (rim * (s in sides) for s in "tlr")
        low = round(rim * bottom) * ("b" in sides)
        height, width = photo.shape[:2]
        sheet = paper(
            height + top + low, width + left + right, tone, random, texture=texture, uneven=uneven
        )
        sheet[top : top + height, left : left + width] = photo
        if caption:
            at = (left + width * 0.15, top + height + low * 0.6)
            write_caption(sheet, at, low * 0.5, sum(tone) > 380, random)
        rgb = sheet.clip(0, 255).astype(np.uint8) if clean else finished(sheet, random)
        return Scan(rgb, [photo], [quads.box(width, height) + (left, top)])

    return make


def on_lid(tone: tuple[float, ...], angle: float, *, mount: Mount = Mount(), room: float = 0.3, **look: float) -> Single:  # fmt: skip
    """Somewhere on a scanner's glass or a sheet, askew by up to ``angle``."""

    def make(photo: np.ndarray, random: Random) -> Scan:
        height, width = photo.shape[:2]
        size = int(height * (1 + room) + 20), int(width * (1 + room) + 20)
        sheet = paper(*size, tone, random, **look)
        spare = [room * n / 2 * 0.5 for n in (width, height)]
        middle = [size[1 - i] / 2 + random.uniform(-spare[i], spare[i]) for i in range(2)]
        corners = paste(
            sheet, photo, (middle[0], middle[1]), random.uniform(-angle, angle), mount, random
        )
        return Scan(finished(sheet, random), [photo], [corners])

    return make


def matted(oval: bool, tone: tuple[float, ...]) -> Single:
    """Under a mat with an oval or a rounded opening, which cuts the photograph's corners."""

    def make(photo: np.ndarray, random: Random) -> Scan:
        height, width = photo.shape[:2]
        rim = round(0.15 * min(height, width))
        sheet = paper(height + 2 * rim, width + 2 * rim, tone, random, texture=1.5)
        mask = np.zeros((height, width), np.float32)
        if oval:
            middle, axes = (width // 2, height // 2), (width // 2, height // 2)
            cv2.ellipse(mask, middle, axes, 0, 0, 360, 1, -1, cv2.LINE_AA)
        else:
            radius = int(0.12 * min(height, width))
            cv2.rectangle(mask, (radius, 0), (width - radius, height), 1, -1)
            cv2.rectangle(mask, (0, radius), (width, height - radius), 1, -1)
            for x in (radius, width - radius):
                for y in (radius, height - radius):
                    cv2.circle(mask, (x, y), radius, 1, -1, cv2.LINE_AA)
        part = sheet[rim : rim + height, rim : rim + width]
        part[:] = part * (1 - mask[..., None]) + photo * mask[..., None]
        return Scan(finished(sheet, random), [photo], [quads.box(width, height) + rim])

    return make


WHITE, BLACK, CREAM, GRAY = (252, 252, 252), (6, 6, 6), (228, 215, 188), (128, 126, 122)
SINGLES: dict[str, Single] = {
    "bare": lambda photo, _: Scan(photo, [photo], [quads.box(photo.shape[1], photo.shape[0])]),
    "white rim 8 %": rimmed(0.08, (255, 255, 255), clean=True),
    "white rim 20 %": rimmed(0.2, (255, 255, 255), clean=True),
    "black rim 8 %": rimmed(0.08, (0, 0, 0), clean=True),
    "black rim 20 %": rimmed(0.2, (0, 0, 0), clean=True),
    "letterbox": rimmed(0.25, (0, 0, 0), sides="tb", clean=True),
    "pillarbox": rimmed(0.3, (0, 0, 0), sides="lr", clean=True),
    "gray page": rimmed(0.5, GRAY, clean=True),
    "cream rim, grain": rimmed(0.1, CREAM, texture=3, uneven=6),
    "instant print": rimmed(0.07, (240, 238, 230), bottom=4, texture=1, caption=True),
    "white lid, askew": on_lid(WHITE, 4),
    "black lid, askew": on_lid(BLACK, 4, texture=1.5),
    "print on black lid": on_lid(BLACK, 3, mount=Mount(0.06), texture=1.5),
    "print on white lid": on_lid(WHITE, 3, mount=Mount(0.06, 238, shadow=0.3)),
    "deckled print": on_lid((70, 66, 62), 2, mount=Mount(0.08, scallop=0.012), texture=4),
    "oval mat": matted(True, CREAM),
    "rounded mat": matted(False, (205, 200, 190)),
}  # fmt: skip


# --- pages ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """A kind of album page or scanner glass."""

    tone: tuple[float, ...]
    mounts: tuple[Mount, ...] = (Mount(),)
    angle: float = 3.0
    texture: float = 0.0
    uneven: float = 0.0
    captions: bool = False
    spine: bool = False
    touching: bool = False
    desk: bool = False


PAGES: dict[str, Page] = {
    "scanner white": Page(WHITE, (Mount(), Mount(0.05, 238, shadow=0.25))),
    "lid black": Page(BLACK, (Mount(), Mount(0.05)), texture=1.5),
    "album black": Page((38, 36, 35), (Mount(0.05), Mount(0.04, scallop=0.012)), 3.0, 4, 5, True),
    "album gray": Page((120, 118, 112), (Mount(), Mount(0.05)), 2.5, 4, 8, True),
    "album cream": Page(CREAM, (Mount(0.06, shadow=0.3), Mount(shadow=0.2)), 3.0, 3, 8, True),
    "album, corners": Page(CREAM, (Mount(0.05, 236, 0, 0.25, "corners"),), 2.0, 4, 8),
    "album, tape": Page((214, 200, 172), (Mount(0.04, 240, 0, 0.25, "tape"),), 4.0, 3, 8),
    "spread": Page((222, 208, 180), (Mount(0.05, 242, 0, 0.3),), 2.0, 4, 8, True, spine=True),
    "book on a desk": Page(
        (196, 180, 150), (Mount(0.08, 232, 0, 0.3), Mount(0.07, 236, 0.012, 0.3)), 3.0, 4, 10, True,
        spine=True, desk=True,
    ),
    "touching": Page(WHITE, (Mount(),), 0.0, touching=True),
    "touching, rims": Page(BLACK, (Mount(0.05),), 0.0, 1, touching=True),
}  # fmt: skip
GRIDS = {
    2: [(1, 2), (2, 1)],
    3: [(2, 2), (1, 3)],
    4: [(2, 2)],
    5: [(2, 3), (3, 2)],
    6: [(2, 3), (3, 2)],
}


def resized(photo: np.ndarray, width: float, height: float) -> np.ndarray:
    """The photograph, as large as fits into a cell."""
    share = min(width / photo.shape[1], height / photo.shape[0])
    size = max(8, round(photo.shape[1] * share)), max(8, round(photo.shape[0] * share))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC)


def page(kind: Page, photos: list[np.ndarray], random: Random) -> Scan:
    """Photographs on one page, each in a cell of a grid."""
    count = len(photos)
    grid = [g for g in GRIDS[count] if g[1] > 1 or not kind.spine]
    rows, columns = grid[random.integers(len(grid))]
    cell_h, cell_w = random.uniform(280, 380), random.uniform(300, 420)
    margin = random.uniform(20, 60)
    shape = int(rows * cell_h + 2 * margin), int(columns * cell_w + 2 * margin)
    sheet = paper(*shape, kind.tone, random, texture=kind.texture, uneven=kind.uneven)
    if kind.spine:
        fold = margin + cell_w * (columns // 2)
        x = np.abs(np.arange(shape[1]) - fold) / 12
        sheet *= (1 - 0.45 * np.exp(-x * x / 2))[None, :, None].astype(np.float32)
    scan = Scan(sheet)
    for i, photo in enumerate(photos):
        row, column = divmod(i, columns)
        if kind.touching and i % 2 and column:
            mount = kind.mounts[0]
            last, rim = scan.photographs[-1], mount.rim
            across = min(last.shape[0], cell_h - 8)
            photo = resized(photo, cell_w, across)
            before = scan.corners[-1]
            middle = (
                before[1, 0] + rim * min(last.shape[:2]) + rim * min(photo.shape[:2]) + photo.shape[1] / 2,
                before[:, 1].mean() + (last.shape[0] - photo.shape[0]) / 2,
            )  # fmt: skip
            middle = round(middle[0] * 2) / 2, round(middle[1] * 2) / 2
            scan.corners.append(paste(sheet, photo, middle, 0.0, mount, random))
            scan.photographs.append(photo)
            continue
        mount = kind.mounts[random.integers(len(kind.mounts))]
        share = random.uniform(0.72, 0.88) / (1 + 2 * mount.rim)
        photo = resized(photo, cell_w * share, cell_h * share)
        used = np.array([photo.shape[1], photo.shape[0]]) * (1 + 2 * mount.rim)
        spare = np.maximum(np.array([cell_w, cell_h]) * 0.94 - used, 0) / 2
        middle = np.array([margin + (column + 0.5) * cell_w, margin + (row + 0.5) * cell_h])
        if kind.touching:
            middle[0] += spare[0] if i + 1 < count and column + 1 < columns else 0
        else:
            middle = middle + random.uniform(-0.8, 0.8, 2) * spare
        angle = random.uniform(-kind.angle, kind.angle)
        corners = paste(sheet, photo, (float(middle[0]), float(middle[1])), angle, mount, random)
        scan.corners.append(corners)
        scan.photographs.append(photo)
        if kind.captions and random.random() < 0.5:
            low = corners[3] + (10, mount.rim * min(photo.shape[:2]) + 18)
            write_caption(sheet, (low[0], low[1]), 16, sum(kind.tone) > 300, random)
    if kind.desk:
        scan = laid(scan, sheet, random)
        sheet = scan.rgb
    scan.rgb = finished(sheet, random)
    return scan


def laid(scan: Scan, sheet: np.ndarray, random: Random) -> Scan:
    """A book's spread on a desk: its cover, and the edges of the pages below at three sides."""
    width = sheet.shape[1]
    edge, room = int(random.integers(6, 16)), int(random.integers(14, 40))
    lines = np.arange(edge) / edge * random.uniform(3, 9)
    tones = np.float32(150 + 40 * np.cos(2 * np.pi * lines))[:, None, None] * np.float32(
        [1, 0.93, 0.8]
    )
    sheet = np.concatenate([sheet, np.repeat(tones, width, 1)])
    side = np.repeat(tones.transpose(1, 0, 2), len(sheet), 0)
    sheet = np.concatenate([side[:, ::-1], sheet, side], axis=1)
    cover = (46.0, 34.0, 30.0)
    sheet = cv2.copyMakeBorder(sheet, 5, 8, 7, 7, cv2.BORDER_CONSTANT, value=cover)
    tone = random.uniform(50, 100)
    around = paper(
        len(sheet) + 2 * room, sheet.shape[1] + 2 * room, (tone, tone * 0.95, tone * 0.9), random,
        texture=5, uneven=6,
    )  # fmt: skip
    turn = cv2.getRotationMatrix2D((around.shape[1] / 2, len(around) / 2), random.uniform(-1, 1), 1)
    map = np.vstack([turn, [0, 0, 1]]) @ np.array([[1, 0, room], [0, 1, room], [0, 0, 1.0]])
    cv2.warpPerspective(
        sheet, quads.centred(map), around.shape[1::-1], dst=around, flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )  # fmt: skip
    inner = map @ np.array([[1, 0, edge + 7], [0, 1, 5], [0, 0, 1.0]])
    return Scan(around, scan.photographs, [quads.moved(c, inner) for c in scan.corners])


# --- judging -------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What was found on scans of one kind."""

    overlaps: list[float] = field(default_factory=list)
    cut: list[float] = field(default_factory=list)
    more: list[int] = field(default_factory=list)
    gains: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        overlaps = np.array(self.overlaps)
        row: dict[str, Any] = {
            "photographs": len(overlaps), "iou": overlaps.mean(), "iou_97": (overlaps >= 0.97).mean(),
            "cut_1": (np.array(self.cut) > 0.01).mean(), "too_many": (np.array(self.more) > 0).mean(),
            "too_few": (np.array(self.more) < 0).mean(), "ms": np.median(self.seconds) * 1000,
        }  # fmt: skip
        row |= {name: np.mean(values) for name, values in self.gains.items()}
        return {name: round(float(value), 3) for name, value in row.items()}


def matched(truth: list[np.ndarray], found: list[np.ndarray]) -> list[tuple[float, float]]:
    """IoU of each true photograph with the best found, one each, and the share of it cut off."""
    left, pairs = list(found), []
    for corners in truth:
        best = max(left, key=lambda c: quads.overlap(corners, c), default=None)
        if best is None or quads.overlap(corners, best) == 0:
            pairs.append((0.0, 1.0))
            continue
        left = [c for c in left if c is not best]
        common, _ = cv2.intersectConvexConvex(corners.astype(np.float32), best.astype(np.float32))
        pairs.append((quads.overlap(corners, best), 1 - common / quads.area(corners)))
    return pairs


def squared_errors(truth: np.ndarray, found: np.ndarray, mask: np.ndarray) -> float:
    off = truth.astype(np.float32) - found
    return float((off * off)[mask].mean())


def inside(scan: Scan) -> list[np.ndarray]:
    """A mask (H, W) of each photograph, without the pixels at its edge."""
    masks = []
    for corners in scan.corners:
        mask = np.zeros(scan.rgb.shape[:2], np.uint8)
        shape = quads.grown(corners, -2)
        cv2.fillConvexPoly(mask, np.rint(shape * 16).astype(np.int32), 1, shift=4)
        masks.append(mask > 0)
    return masks


def gains(scan: Scan, colorizers: dict[str, Colorizer]) -> dict[str, list[float]]:
    """dB over gray of each photograph: bare, and within the scan by each colorizer."""
    gray = neutral(scan.rgb)
    plain = join(gray, NONE, np.uint8)
    coloured = {name: c.colorize(gray, np.uint8) for name, c in colorizers.items()}
    found: dict[str, list[float]] = {}
    for mask, photo in zip(inside(scan), scan.photographs, strict=True):
        nothing = squared_errors(scan.rgb, plain, mask)
        for name, rgb in coloured.items():
            gain = 10 * np.log10(nothing / squared_errors(scan.rgb, rgb, mask))
            found.setdefault(name, []).append(float(gain))
        everywhere, alone = np.ones(photo.shape[:2], bool), neutral(photo)
        bare = squared_errors(photo, colorizers["auto"].colorize(alone, np.uint8), everywhere)
        gray_alone = squared_errors(photo, join(alone, NONE, np.uint8), everywhere)
        found.setdefault("bare", []).append(float(10 * np.log10(gray_alone / bare)))
    return found


def photographs(inputs: list[str], limit: int) -> Iterator[np.ndarray]:
    """sRGB (h, w, 3) uint8, in colour, as they are."""
    sources = find_inputs(inputs, writing.READABLE, recursive=True).sources
    count = 0
    for index in np.random.default_rng(0).permutation(len(sources)):
        rgb = reading.read(sources[index].path).rgb
        if rgb is None:
            continue
        rgb = rgb if rgb.dtype == np.uint8 else (rgb >> 8).astype(np.uint8)
        if Colours.of(rgb).chroma >= EvalConfig.min_chroma:
            yield rgb
            count += 1
            if count == limit:
                return


def tallied(scans: Iterator[Scan], colorizers: dict[str, Colorizer], sheets: list[np.ndarray]) -> Tally:  # fmt: skip
    tally = Tally()
    for number, scan in enumerate(scans):
        gray = neutral(scan.rgb)
        began = time.perf_counter()
        regions = find(gray)
        tally.seconds.append(time.perf_counter() - began)
        found = [r.corners for r in regions] or [quads.box(*gray.shape[::-1])]
        for overlap, cut in matched(scan.corners, found):
            tally.overlaps.append(overlap)
            tally.cut.append(cut)
        tally.more.append(len(found) - len(scan.corners))
        for name, values in gains(scan, colorizers).items():
            tally.gains.setdefault(name, []).extend(values)
        if number < 4:
            sheets.append(explained(colorizers["auto"].view(gray)))
    return tally


def pages(kind: Page, photos: list[np.ndarray], number: int) -> Iterator[Scan]:
    for i in range(number):
        random = np.random.default_rng(i)
        chosen = random.choice(len(photos), 2 + i % 5, replace=False)
        yield page(kind, [photos[j] for j in chosen], random)


def strips_of(photos: list[np.ndarray], share: float) -> Iterator[Scan]:
    """The middle of photographs, a share of their shorter side high, as long pictures."""
    for photo in photos:
        height, width = photo.shape[:2]
        if width < height:
            cut = round(width * share)
            strip = photo[:, (width - cut) // 2 :][:, :cut]
        else:
            cut = round(height * share)
            strip = photo[(height - cut) // 2 :][:cut]
        strip = np.ascontiguousarray(strip)
        yield Scan(strip, [strip], [quads.box(strip.shape[1], strip.shape[0])])


def upright_strips(photos: list[np.ndarray]) -> Iterator[Scan]:
    """The middle of photographs, half as wide as high."""
    for photo in photos:
        height, width = photo.shape[:2]
        wide, high = min(width, height // 2), min(height, 2 * width)
        x, y = (width - wide) // 2, (height - high) // 2
        strip = np.ascontiguousarray(photo[y : y + high, x : x + wide])
        yield Scan(strip, [strip], [quads.box(wide, high)])


def lying(photos: list[np.ndarray], quarters: int) -> Iterator[Scan]:
    """Photographs turned clockwise by so many quarters."""
    for photo in photos:
        turned = np.ascontiguousarray(np.rot90(photo, -quarters))
        yield Scan(turned, [turned], [quads.box(turned.shape[1], turned.shape[0])])


WORTH = (
    "white rim 8 %", "white rim 20 %", "black rim 8 %", "black rim 20 %", "letterbox", "gray page"
)  # fmt: skip


def worth(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """dB over gray of photographs as scans come, shown whole and as ``predict`` does, as Markdown."""
    knobs = Knobs(temperature=1.0, vividness=0.0)
    whole = ScansConfig(regions="none", passes=1)
    ways = {"whole": whole, "auto": ScansConfig(), "best": ScansConfig(best=True)}
    colorizers = {n: Colorizer(options.model, knobs, scans=scans) for n, scans in ways.items()}
    photos = list(photographs(options.inputs, options.limit))

    def made(name: str) -> Iterator[Scan]:
        return (SINGLES[name](photo, np.random.default_rng(i)) for i, photo in enumerate(photos))

    kinds: dict[str, Callable[[], Iterator[Scan]]] = {
        "the photograph": lambda: made("bare"),
        **{name: (lambda name=name: made(name)) for name in WORTH},
        "on its side": lambda: lying(photos, 1), "upside down": lambda: lying(photos, 2),
        "3 : 1 strip": lambda: strips_of(photos, 0.42), "2 : 1 strip": lambda: strips_of(photos, 0.6),
        "1 : 2 strip, upright": lambda: upright_strips(photos),
    }  # fmt: skip
    print(f"| {len(photos)} photographs, dB | whole | predict | bare | --best |\n|---|---|---|---|---|", file=sys.stderr)  # fmt: skip
    table = {}
    for name, scans in kinds.items():
        found: dict[str, list[float]] = {}
        asked = {n: c for n, c in colorizers.items() if n != "best" or name == "the photograph"}
        for scan in scans():
            for way, values in gains(scan, asked).items():
                found.setdefault(way, []).extend(values)
        table[name] = row = {way: round(float(np.mean(v)), 3) for way, v in found.items()}
        columns = ("whole", "auto", "bare", "best")
        cells = (f"{row[way]:+.2f}" if way in row else "" for way in columns)
        print(f"| {name} | {' | '.join(cells)} |", file=sys.stderr)
    return table


def published(folder: Path) -> dict[str, float]:
    """ScanSplitter's own figures, for what is found on its pages."""
    expected = detected = right = 0
    overlaps: list[float] = []
    seconds: list[float] = []
    for case in json.loads((folder / "manifest.json").read_text())["cases"]:
        if case["suite"] != "scansplitter":
            continue
        truth = [
            quads.ordered(cv2.boxPoints(((x, y), (w, h), angle)))
            for x, y, w, h, angle in case["rectangles"]
        ]
        gray = reading.read(folder / case["image"]).gray
        began = time.perf_counter()
        found = [region.corners for region in find(gray)]
        seconds.append(time.perf_counter() - began)
        overlaps += [overlap for overlap, _ in matched(truth, found)]
        expected, detected = expected + len(truth), detected + len(found)
        right += len(found) == len(truth)
    both = (expected + detected) / 2
    strict = sum(overlap >= 0.85 for overlap in overlaps)
    return {
        "weighted_f1": round(sum(overlaps) / both, 3), "f1_85": round(strict / both, 3),
        "right_counts": right, "ms": round(float(np.median(seconds)) * 1000, 1),
    }  # fmt: skip


def written(sheets: list[np.ndarray], path: Path) -> None:
    """A contact sheet, eight in a row."""
    side = 320
    tiles = []
    for sheet in sheets:
        share = side / max(sheet.shape[:2])
        small = cv2.resize(sheet, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        height, width = small.shape[:2]
        tiles.append(
            cv2.copyMakeBorder(
                small, top=0, bottom=side - height, left=0, right=side - width,
                borderType=cv2.BORDER_CONSTANT,
            )
        )  # fmt: skip
    tiles += [np.zeros((side, side, 3), np.uint8)] * (-len(tiles) % 8)
    rows = [np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def table_of(options: argparse.Namespace, sheets: list[np.ndarray]) -> dict[str, dict[str, Any]]:
    knobs = Knobs(temperature=1.0, vividness=0.0)
    colorizers = {
        name: Colorizer(options.model, knobs, scans=scans)
        for name, scans in {
            "auto": ScansConfig(), "whole": ScansConfig(regions="none", passes=1)
        }.items()
    }  # fmt: skip
    every = list(photographs(options.inputs, options.limit))
    bare = [photo for photo in every if not find(neutral(photo))]
    table = {}

    def judged(name: str, scans: Iterator[Scan]) -> None:
        table[name] = row = tallied(scans, colorizers, sheets).row()
        print(f"{name:20}" + "  ".join(f"{k} {v:g}" for k, v in row.items()), file=sys.stderr)

    judged("as they are", (SINGLES["bare"](p, np.random.default_rng(0)) for p in every))
    for name, make in SINGLES.items():
        judged(name, (make(p, np.random.default_rng(i)) for i, p in enumerate(bare)))
    for name, kind in PAGES.items():
        judged(name, pages(kind, bare, max(4, len(bare) // 4)))
    judged("2 : 1 strip", strips_of(bare, 0.6))
    judged("3 : 1 strip", strips_of(bare, 0.42))
    colorizers = {"auto": colorizers["auto"], "best": Colorizer(options.model, knobs, scans=ScansConfig(best=True))}  # fmt: skip
    judged("--best", (SINGLES["bare"](p, np.random.default_rng(0)) for p in bare))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", help="colour photographs or folders of them")
    parser.add_argument("--model", default="default")
    parser.add_argument("--limit", type=int, default=40, help="photographs drawn by chance, 0: all")
    parser.add_argument("--sheet", type=Path, help="contact sheet of what was seen")
    parser.add_argument("--worth", action="store_true", help="the short table, in Markdown")
    parser.add_argument("--published", type=Path, help="folder of ScanSplitter's benchmark")
    options = parser.parse_args()
    sheets: list[np.ndarray] = []
    document: dict[str, Any] = {"model": options.model}
    if options.inputs:
        document["table"] = worth(options) if options.worth else table_of(options, sheets)
    if options.published:
        document["published"] = published(options.published)
        print(document["published"], file=sys.stderr)
    if options.sheet and sheets:
        written(sheets, options.sheet)
    print(json.dumps(document))


if __name__ == "__main__":
    main()
