"""Speed and memory of `colorize eval` at 256 pixels: a table on stderr, JSON on stdout.

python benchmarks/eval.py [--rounds N]   medians over whole processes; run on an idle machine.

The comparison in the same session is the same figures by scikit-image, in one process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from colorcli.exporting import photographs

COUNTS = (200, 1000)


def write(folder: Path, count: int) -> None:
    """Views of scikit-image's photographs, 320 pixels high, as JPEG."""
    views = list(photographs.views(photographs.bundled(), mirrored=True))
    folder.mkdir()
    for i in range(count):
        view = views[i % len(views)]
        width = round(view.shape[1] * 320 / view.shape[0])
        Image.fromarray(cv2.resize(view, (width, 320))).save(folder / f"{i:04d}.jpg", quality=92)


def run(folder: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak megabytes of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "eval", str(folder), "-q", *options],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"eval failed with {status}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def with_scikit_image(folder: Path, count: int) -> float:
    """Pictures a second of PSNR, SSIM, CIEDE2000 and both AuC's distances, gray against truth."""
    from skimage import color
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    began = time.perf_counter()
    for path in sorted(folder.iterdir())[:count]:
        truth = cv2.resize(np.asarray(Image.open(path)), (256, 256), interpolation=cv2.INTER_AREA)
        gray = np.dstack([cv2.cvtColor(truth, cv2.COLOR_RGB2GRAY)] * 3)
        for image in (gray, gray // 2 + truth // 2):
            peak_signal_noise_ratio(truth, image)
            structural_similarity(
                truth, image, channel_axis=2, gaussian_weights=True, use_sample_covariance=False,
                data_range=255,
            )  # fmt: skip
            lab, seen = color.rgb2lab(truth), color.rgb2lab(image)
            color.deltaE_ciede2000(lab, seen).mean()
            np.hypot(*np.moveaxis(lab - seen, -1, 0)[1:])
    return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    table = {}
    with tempfile.TemporaryDirectory() as scratch:
        folders = {count: Path(scratch, str(count)) for count in COUNTS}
        for count, folder in folders.items():
            write(folder, count)
        cases = {f"{count} pictures": (count, ()) for count in COUNTS}
        cases["200 pictures, one worker"] = (200, ("--workers", "1"))
        cases["200 pictures, two models"] = (200, ("-m", "default", "-m", "default"))
        for label, (count, options) in cases.items():
            runs = [run(folders[count], *options) for _ in range(rounds)]
            seconds = statistics.median(r[0] for r in runs)
            table[label] = {
                "seconds": round(seconds, 2),
                "images_per_second": round(count / seconds, 1),
                "megabytes": round(statistics.median(r[1] for r in runs), 1),
            }
        table["scikit-image, one process, no network"] = {
            "images_per_second": round(with_scikit_image(folders[200], 40), 1)
        }
    for label, values in table.items():
        print(f"{label:40}", *(f"{v:9} {k}" for k, v in values.items()), file=sys.stderr)
    print(json.dumps({"cores": os.cpu_count(), "table": table}))


if __name__ == "__main__":
    main()
