"""Exports of a model: size, milliseconds an image on one thread, PSNR lost. Table on stderr, JSON
on stdout.

python benchmarks/exports.py [--model NAME] [--photographs FOLDER] [--rounds N]

PSNR is that of `colorize eval`'s squash-256, on colour photographs of your own where given (at most
400 of them), else on the four of scikit-image, which is few.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from colorcli.color.lab import gray_to_L, join, neutral
from colorcli.evaluation.metrics import psnr
from colorcli.evaluation.protocols import squash
from colorcli.exporting import photographs
from colorcli.exporting.formats.table import FORMATS

CASES = [
    ("keras", "float32", "ab"), ("saved-model", "float32", "ab"), ("litert", "float32", "ab"),
    ("litert", "float16", "ab"), ("litert", "int8", "ab"), ("onnx", "float32", "ab"),
    ("litert", "float16", "image"), ("litert", "int8", "image"), ("onnx", "float32", "image"),
]  # fmt: skip
SIDE = 256  # of judged pictures, and of image exports


def feed(signature: str, gray: np.ndarray, side: int) -> dict[str, np.ndarray]:
    if signature == "image":
        levels = ((gray.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return {"image": np.dstack([levels] * 3)[None]}
    small = cv2.resize(gray, (side, side), interpolation=cv2.INTER_AREA)
    one = np.ones(1, np.float32)
    return {"L": gray_to_L(small)[None, ..., None], "temperature": one, "vividness": 0 * one}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--photographs")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    # One thread everywhere, so that milliseconds compare.
    import tensorflow as tf

    from colorcli.exporting.plan import companions

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    cv2.setNumThreads(1)
    if options.photographs:
        pictures = photographs.given([options.photographs], 400)
    else:
        pictures = photographs.bundled()
    truths = [squash(rgb, SIDE) for rgb in pictures]
    table, network = {}, None
    with tempfile.TemporaryDirectory() as scratch:
        for name, precision, signature in CASES:
            path = Path(scratch, f"{name}-{precision}-{signature}{FORMATS[name].suffix}")
            # The knobs of an image export are inside it: those of the others, as fed below.
            inside = ["--size", str(SIDE), "--temperature", "1", "--vividness", "0"]
            done = subprocess.run(
                [sys.executable, "-m", "colorcli", "export", "-m", options.model, "-o", str(path),
                 "--format", name, "--precision", precision, "--signature", signature,
                 *(inside if signature == "image" else ()), "--json"], capture_output=True, text=True,
            )  # fmt: skip
            label = f"{name} {precision} {signature}"
            if done.returncode:
                table[label] = {"refused": done.stderr.strip().splitlines()[-1]}
                continue
            result = json.loads(done.stdout)
            metadata = json.loads(companions(path, name)["metadata"].read_text("utf-8"))
            side = metadata["model"]["size"]
            run = FORMATS[name].run_back(path)
            scores = []
            for truth in truths:
                gray = neutral(truth)
                outputs = run(feed(signature, gray, side))
                if signature == "image":
                    shown = outputs["colours"][0]
                else:
                    shown = join(gray, outputs["ab"][0], np.uint8)
                scores.append(psnr(truth, shown))
            given, times = feed(signature, neutral(truths[0]), side), []
            for _ in range(options.rounds):
                began = time.perf_counter()
                run(given)
                times.append(time.perf_counter() - began)
            score = float(np.mean(scores))
            network = score if network is None else network  # keras float32 comes first
            table[label] = {
                "megabytes": round(result["bytes"] / 1e6, 1),
                "milliseconds": round(statistics.median(times) * 1000, 1),
                "psnr": round(score, 3),
                "lost": round(network - score, 3),
            }
    for label, values in table.items():
        print(f"{label:28}", *(f"{v:>9} {k}" for k, v in values.items()), file=sys.stderr)
    print(json.dumps({"photographs": len(truths), "table": table}))


if __name__ == "__main__":
    main()
