"""How far threads of one process carry: what each photograph holds of the interpreter's lock.

python benchmarks/cores.py

One worker's processor time is measured plainly, and that of calls that let the lock go (OpenCV, the
network, libjpeg) under a profiler, which does not stretch them; the rest counts as held, so that the
share is an upper bound. Throughput on N cores then follows as that of a closed queue with one server,
the lock (mean value analysis), beside what `predict.py --only many_workers` measures where there are
so many cores.
"""

import argparse
import cProfile
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2

from colorcli import Colorizer
from colorcli.colorizing.intake import Request, planned
from colorcli.colorizing.predict import Worker
from colorcli.config.predict import PredictConfig

CORES = (1, 2, 4, 8, 16)
SIZES = {0.1: 40, 1: 20, 12: 5}  # megapixels, and how many photographs of them
# Beside OpenCV's: the network; `source` is what the profiler books simplejpeg's decoding to.
FREE = {*dir(cv2), "Invoke", "matmul", "source", "decode_jpeg", "encode_jpeg_yuv_planes"}


def released(profile: cProfile.Profile) -> float:
    """Seconds of calls that let the lock go."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    names = {key: key[2].strip("{}<>").split()[-1].split(".")[-1] for key in stats}
    return sum(row[2] for key, row in stats.items() if names[key] in FREE)


def speedup(held: float, free: float, threads: int) -> float:
    """How many times one thread's work so many do."""
    waiting = 0.0
    for count in range(1, threads + 1):
        at_lock = held * (1 + waiting)
        rate = count / (free + at_lock)
        waiting = rate * at_lock
    return rate * (held + free)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    colorizer, config = Colorizer(), PredictConfig(workers=1)
    cv2.setNumThreads(1)
    print("MP    ms  held  " + "  ".join(f"{n:>4} cores" for n in CORES))
    with tempfile.TemporaryDirectory() as scratch:
        for size, count in SIZES.items():
            folder = Path(scratch) / f"{size}"
            photos = Path(__file__).parent / "photos.py"
            command = [
                sys.executable,
                photos,
                folder,
                "--megapixels",
                str(size),
                "--count",
                str(count),
            ]
            subprocess.run([str(part) for part in command], check=True)
            request = Request([str(folder)], f"{scratch}/out/", overwrite=True)
            _, jobs = planned(request, config)
            worker, profile = Worker(colorizer, config, 1), cProfile.Profile(time.thread_time)
            worker(jobs[0])
            before = time.thread_time()
            results = [worker(job) for job in jobs]
            whole = time.thread_time() - before
            assert all(result.status == "done" for result in results), results
            profile.runcall(lambda jobs=jobs, worker=worker: [worker(job) for job in jobs])
            free = min(whole, released(profile))
            gains = "  ".join(f"{speedup(whole - free, free, n):9.1f} ×" for n in CORES)
            print(
                f"{size:<4} {1000 * whole / count:4.0f}  {1 - free / whole:4.0%}  {gains}",
                flush=True,
            )


if __name__ == "__main__":
    main()
