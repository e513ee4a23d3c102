"""What known colours give: true ones at some points told to the model, over colouring alone.

python benchmarks/hints.py PHOTOS... [--model M] [--limit N] [--mean] [--sheet FILE.png]

PHOTOS are colour photographs or folders of them; each is squashed to 256 × 256. At 1, 5, 10, 20 and
50 random points, and amid the largest surfaces of one colour, as a person would choose them. Also:
how near a hint's own point comes to what was asked, on average and for 95 of 100 runs, and the worst
of single hints; how much points far away and unlike it change; milliseconds of CPU that 20 hints
take, also on a photograph of 12 megapixels. --mean decodes by the plain mean instead of the default knobs;
--sheet draws the first photographs: gray, automatic, with 3 and 10 points, true. The kernel's
widths are asked for with --set NEAR=0.4, to choose them on other photographs than those reported.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from judged import arguments, colour_photographs, tune

from colorcli.color.lab import join, neutral, rgb_to_lab
from colorcli.colorizing import hints
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand.hint import Known
from colorcli.colorizing.scans import windows
from colorcli.config.evaluation import JUDGED_SIDE
from colorcli.config.predict import ScansConfig
from colorcli.evaluation import protocols
from colorcli.evaluation.metrics import METRICS, Case, View, psnr
from colorcli.network.decoding import NEUTRAL, Knobs

COUNTS = (1, 5, 10, 20, 50)
SURFACES = (1, 3, 5, 10)
FAR = 1 / 3  # of the picture
ROUNDS = 9  # of timing
UNLIKE = 0.7  # distance of the distributions' roots, of at most √2


def at_surfaces(truth: np.ndarray, count: int) -> list[Known]:
    """Points that a person would choose: amid the ``count`` largest surfaces of one colour."""
    height, width = truth.shape[:2]
    small = cv2.pyrMeanShiftFiltering(
        cv2.resize(truth, (128, 128), interpolation=cv2.INTER_AREA), 8, 20
    )
    lab = rgb_to_lab(small.astype(np.float32) / 255)
    label = np.rint(lab / (25, 12, 12)).astype(np.int64)
    flat = (label[..., 0] * 1000 + label[..., 1] * 31 + label[..., 2]).reshape(-1)
    surfaces = []
    for value in np.unique(flat):
        mask = (flat == value).reshape(128, 128).astype(np.uint8)
        parts, numbers, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        surfaces += [(int(stats[n, cv2.CC_STAT_AREA]), numbers == n) for n in range(1, parts)]
    surfaces.sort(key=lambda surface: -surface[0])
    middles = []
    for _, mask in surfaces[:count]:
        depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = divmod(int(depth.argmax()), 128)
        middles.append(((x + 0.5) / 128 * width, (y + 0.5) / 128 * height))
    return protocols.known_at(truth, np.array(middles))


def with_hints(colorizer: Colorizer, view: windows.View, known: list[Known]) -> np.ndarray:
    return colorizer.ab_of(replace(view, known=tuple(known)))


def judged(truth: np.ndarray, gray: np.ndarray, ab: np.ndarray) -> list[float]:
    shown = join(gray, ab, np.uint8)
    case = Case(View(truth), View(truth), View(shown))
    return [psnr(truth, shown), METRICS["ciede2000"].of(case)]


def own_point(ab: np.ndarray, known: list[Known]) -> float:
    """Mean distance in ab of what hints asked for to what became of their points."""
    at = np.array([[k.x, k.y] for k in known]) / JUDGED_SIDE
    return float(np.hypot(*(hints.shown(ab, *at.T) - [k.ab for k in known]).T).mean())


def elsewhere(colorizer: Colorizer, gray: np.ndarray, change: np.ndarray, known: Known) -> float:
    """Mean change in ab of points far from one hint and unlike it; NaN where there are none."""
    square = colorizer._square(hints_light(colorizer, gray))
    roots, side = np.sqrt(square.shares), square.ab.shape[0]
    x, y = np.array([known.x]) / JUDGED_SIDE, np.array([known.y]) / JUDGED_SIDE
    centre = (np.arange(side) + 0.5) / side
    far = np.hypot(centre[None] - x, centre[:, None] - y) > FAR
    distance = np.sqrt(np.maximum(2 - 2 * roots @ hints.sampled(roots, x, y)[0], 0))
    size = cv2.resize(
        np.hypot(*np.moveaxis(change, -1, 0)), (side, side), interpolation=cv2.INTER_AREA
    )
    there = far & (distance > UNLIKE)
    return float(size[there].mean()) if there.any() else float("nan")


def of_twelve(colorizer: Colorizer, photo: np.ndarray, known: list[Known]) -> float:
    """Milliseconds of CPU that hints take of a photograph of 12 megapixels, beside colouring it."""
    gray = neutral(cv2.resize(photo, (4000, 3000), interpolation=cv2.INTER_CUBIC)).astype(np.uint16)
    scale = np.array([4000, 3000]) / JUDGED_SIDE
    large = [replace(k, x=k.x * scale[0], y=k.y * scale[1]) for k in known]
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for told, found in spent.items():
            began = time.process_time()
            colorizer.colorize(gray, np.uint8, lambda size, told=told: large if told else ())
            found.append(time.process_time() - began)
    return 1000 * (float(np.median(spent[True])) - float(np.median(spent[False])))


def hints_light(colorizer: Colorizer, gray: np.ndarray) -> np.ndarray:
    from colorcli.color.lab import gray_to_L
    from colorcli.colorizing.framing import squared

    return gray_to_L(squared(gray, colorizer.side))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--mean", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--sheet-rows", type=int, default=20)
    options = parser.parse_args()
    tune(hints, options.set)
    cv2.setNumThreads(1)
    colorizer = Colorizer(
        options.model, Knobs(**NEUTRAL) if options.mean else Knobs(),
        scans=ScansConfig(regions="none"),
    )  # fmt: skip
    rows: dict[str, list[list[float]]] = {}
    own, single, others, spent, sheet = [], [], [], [], []
    for number, truth in enumerate(colour_photographs(options.photos, options.limit)):
        gray = neutral(truth)
        view = colorizer.view(gray)
        alone = colorizer.ab_of(view)
        first = judged(truth, gray, alone)
        rows.setdefault("automatic", []).append(first)
        asked = {f"{n} random": protocols.told(truth, n, number) for n in COUNTS}
        asked |= {f"{n} chosen": at_surfaces(truth, n) for n in SURFACES}
        for name, known in asked.items():
            ab = with_hints(colorizer, view, known)
            score = judged(truth, gray, ab)
            rows.setdefault(name, []).append(
                [new - old for new, old in zip(score, first, strict=True)]
            )
            own.append(own_point(ab, known))
            if len(known) == 1:
                single.append(own[-1])
            if name == "1 random":
                side = ab.shape[0]
                before = cv2.resize(alone, (side, side), interpolation=cv2.INTER_CUBIC)
                others.append(elsewhere(colorizer, gray, ab - before, known[0]))
        began = time.process_time()
        colorizer.ab_of(view)
        middle = time.process_time()
        with_hints(colorizer, view, asked["20 random"])
        spent.append((time.process_time() - middle) - (middle - began))
        if options.sheet and number < options.sheet_rows:
            few = [with_hints(colorizer, view, asked[f"{n} chosen"]) for n in (3, 10)]
            none = np.zeros((1, 1, 2), np.float32)
            shown = [join(gray, ab, np.uint8) for ab in (none, alone, *few)]
            sheet.append(np.hstack([*shown, truth]))
    if options.sheet:
        cv2.imwrite(str(options.sheet), cv2.cvtColor(np.vstack(sheet), cv2.COLOR_RGB2BGR))
    result = {
        "model": options.model, "photographs": len(spent), "mean": options.mean,
        "own_point": round(float(np.mean(own)), 2), "own_point_95": round(float(np.quantile(own, 0.95)), 2),
        "own_point_worst": round(max(single), 2),
        "far_and_unlike": round(float(np.nanmean(others)), 2),
        "milliseconds_20": round(1000 * float(np.median(spent)), 1),
        "milliseconds_20_of_12_megapixels": round(of_twelve(colorizer, truth, asked["20 random"]), 1),
        "table": {name: [round(float(n), 2) for n in np.mean(v, axis=0)] for name, v in rows.items()},
    }  # fmt: skip
    print(f"{len(spent)} photographs\n{'points':<12}  PSNR, dB  CIEDE2000", file=sys.stderr)
    for name, (gain, delta) in result["table"].items():
        print(f"{name:<12}  {gain:+8.2f}  {delta:+9.2f}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
