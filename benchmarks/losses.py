"""Every loss on the same data and budget: a table on stderr, JSON on stdout.

python benchmarks/losses.py DATA [--val DATA] [-o FOLDER] [--losses mse,…] [TRAIN OPTIONS…]

DATA are folders made by ``colorize prepare``. Other options go to ``colorize train``, such as
``--steps 2000``, ``--preset baseline`` or ``--minutes 10``; runs in FOLDER are resumed. Judged on the
validation split: PSNR over gray (dB, stretched to 256×256), CIEDE2000, both colorfulness figures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from colorcli import dataset
from colorcli.colorizer import Colorizer
from colorcli.config import LOSS_NAMES
from colorcli.lab import join, neutral
from colorcli.metrics import colorfulness, colorfulness_abs, psnr

SIDE = 256


def judge(pictures: list[np.ndarray], colour) -> dict[str, float]:
    """Means over ``pictures`` of what ``colour(gray)`` gives."""
    rows = []
    for truth in pictures:
        shown = colour(neutral(truth))
        difference = deltaE_ciede2000(rgb2lab(truth), rgb2lab(shown))
        rows.append((psnr(truth, shown), difference.mean(), colorfulness(shown),
                     colorfulness_abs(shown)))  # fmt: skip
    means = np.mean(rows, axis=0)
    return dict(zip(("psnr", "delta_e", "cf", "cf_abs"), map(float, means), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("data")
    parser.add_argument("--val", help="prepared folder whose val split judges")
    parser.add_argument("-o", "--output", help="keep the runs here")
    parser.add_argument("--losses", default=",".join(LOSS_NAMES))
    parser.add_argument("--judged", type=int, default=200, help="validation pictures")
    options, passed = parser.parse_known_args()
    pictures = [
        cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA if min(p.shape[:2]) > SIDE else cv2.INTER_CUBIC)
        for p in dataset.photographs(dataset.load(options.val or options.data), "val", options.judged)
    ]  # fmt: skip
    none = np.zeros((1, 1, 2), np.float32)
    gray = judge(pictures, lambda g: join(g, none, np.uint8))
    table = {"gray": {**gray, "gain": 0.0}}
    with tempfile.TemporaryDirectory() as scratch:
        for loss in options.losses.split(","):
            run = Path(options.output or scratch) / loss
            command = [sys.executable, "-m", "colorcli", "train", options.data, "-o", str(run),
                       "--loss", loss, "--json", *passed]  # fmt: skip
            if options.val:
                command += ["--val", options.val]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            trained = json.loads(done.stdout)
            figures = judge(pictures, lambda g, c=Colorizer(run): c.colorize(g, np.uint8))
            table[loss] = {
                **figures, "gain": figures["psnr"] - gray["psnr"],
                "steps": trained["steps"], "minutes": trained["minutes"],
                "images_per_second": trained["images_per_second"],
            }  # fmt: skip
    truth = [(colorfulness(p), colorfulness_abs(p)) for p in pictures]
    table["truth"] = dict(zip(("cf", "cf_abs"), map(float, np.mean(truth, axis=0)), strict=True))
    names = ("gain", "psnr", "delta_e", "cf", "cf_abs", "steps", "minutes", "images_per_second")
    print(f"{'loss':16}", *(f"{name:>10.10}" for name in names), file=sys.stderr)
    for loss, row in table.items():
        cells = (f"{row[n]:10.2f}" if n in row else " " * 10 for n in names)
        print(f"{loss:16}", *cells, file=sys.stderr)
    print(json.dumps({"judged": len(pictures), "side": SIDE, "options": passed, "table": table}))


if __name__ == "__main__":
    main()
