"""Gain on photographs as film, time and lenses leave them: a table on stderr, JSON on stdout.

python benchmarks/old.py PHOTOGRAPH|FOLDER... [--plates FOLDER] [--model NAME] [--limit N]

Each colour photograph is squashed to 256×256 and its gray aged in one fixed way (seeded by its
content). The network sees the aged gray; its ab is joined to the clean L, so that the figure judges
the colours alone: PSNR over that of the clean gray, in dB. ``--plates`` holds pairs
NAME-truth.EXT and NAME-blue.EXT: a true-colour photograph and what a blue-sensitive plate saw.
"""

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from colorcli.color.lab import join, neutral, srgb_linear
from colorcli.color.tone import Colours
from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.evaluation import JUDGED_SIDE, EvalConfig
from colorcli.evaluation.metrics import psnr
from colorcli.evaluation.protocols import squash
from colorcli.imaging import reading, writing
from colorcli.network.decoding import Knobs
from colorcli.system.files.inputs import find

Random = np.random.Generator
NONE = np.zeros((1, 1, 2), np.float32)


def gray(rgb: np.ndarray) -> np.ndarray:
    return neutral(rgb).astype(np.float32) / 65535


def emulsion(*weights: float) -> Callable[[np.ndarray, Random], np.ndarray]:
    return lambda rgb, _: (
        (srgb_linear(rgb.astype(np.float32) / 255) @ np.float32(weights)) ** (1 / 2.2)
    )


def faded(rgb: np.ndarray, random: Random) -> np.ndarray:
    black, white = random.uniform(0.2, 0.35), random.uniform(0.6, 0.75)
    return black + (white - black) * gray(rgb)


def gamma(rgb: np.ndarray, random: Random) -> np.ndarray:
    return gray(rgb) ** random.choice([0.7, 1.4])


def grain(rgb: np.ndarray, random: Random) -> np.ndarray:
    noise = random.normal(0, 1, rgb.shape[:2]).astype(np.float32)
    return gray(rgb) + random.uniform(0.05, 0.1) * (
        0.6 * noise + cv2.GaussianBlur(noise, (0, 0), 1)
    )


def blur(rgb: np.ndarray, random: Random) -> np.ndarray:
    return cv2.GaussianBlur(gray(rgb), (0, 0), random.uniform(1.5, 2.5))


def jpeg(rgb: np.ndarray, _: Random) -> np.ndarray:
    whole = np.rint(gray(rgb) * 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255


AGING: dict[str, Callable[[np.ndarray, Random], np.ndarray]] = {
    "clean": lambda rgb, _: gray(rgb),
    "orthochromatic": emulsion(0.02, 0.55, 0.43),
    "blue-sensitive": emulsion(0.0, 0.12, 0.88),
    "faded": faded,
    "gamma": gamma,
    "grain": grain,
    "blur": blur,
    "jpeg": jpeg,
}


def level(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 65535).astype(np.uint16)


def photographs(inputs: list[str], limit: int) -> Iterator[np.ndarray]:
    sources = find(inputs, writing.READABLE, recursive=True).sources
    chosen = np.random.default_rng(0).permutation(len(sources))[: limit or None]
    for index in sorted(chosen):
        picture = reading.read(sources[index].path)
        if picture.rgb is None:
            continue
        rgb = squash(picture.rgb, JUDGED_SIDE)
        if Colours.of(rgb).chroma >= EvalConfig.min_chroma:
            yield rgb


def gain(colorizer: Colorizer, truth: np.ndarray, seen: np.ndarray) -> float:
    """dB over gray when the network sees ``seen`` (H, W) uint16 and L is the truth's own."""
    clean = neutral(truth)
    coloured = join(clean, colorizer.ab(seen), np.uint8)
    return psnr(truth, coloured) - psnr(truth, join(clean, NONE, np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", help="colour photographs or folders of them")
    parser.add_argument("--plates", type=Path, help="folder of NAME-truth and NAME-blue pairs")
    parser.add_argument("--model", default="default")
    parser.add_argument("--limit", type=int, default=0, help="photographs drawn by chance, 0: all")
    for knob in ("temperature", "vividness"):
        parser.add_argument(f"--{knob}", type=float, default={"temperature": 1.0}.get(knob, 0.0))
    options = parser.parse_args()
    colorizer = Colorizer(
        options.model, Knobs(temperature=options.temperature, vividness=options.vividness)
    )
    gains: dict[str, list[float]] = {}
    for truth in photographs(options.inputs, options.limit):
        for name, age in AGING.items():
            seen = level(age(truth, np.random.default_rng(zlib.crc32(truth.tobytes()))))
            gains.setdefault(name, []).append(gain(colorizer, truth, seen))
    for path in sorted(options.plates.glob("*-truth.*")) if options.plates else []:
        truth = squash(reading.read(path).rgb, JUDGED_SIDE)
        plate = reading.read(path.with_name(path.name.replace("-truth.", "-blue."))).gray
        for name, seen in (("plates, true L", neutral(truth)), ("plates, blue", plate)):
            gains.setdefault(name, []).append(gain(colorizer, truth, seen))
    table = {
        name: {"photographs": len(values), "gain": round(float(np.mean(values)), 3)}
        for name, values in gains.items()
    }
    clean = table.get("clean", {}).get("gain")
    for name, row in table.items():
        if clean and not name.startswith("plates"):
            row["share"] = round(row["gain"] / clean, 3)
        share = f"{row['share']:8.0%}" if "share" in row else ""
        print(f"{name:16}{row['photographs']:6}{row['gain']:+8.2f} dB{share}", file=sys.stderr)
    print(json.dumps({"model": options.model, "protocol": "squash-256", "table": table}))


if __name__ == "__main__":
    main()
