"""Speed, memory and room of ``prepare``: a table on stderr, JSON on stdout.

python benchmarks/prepare.py [PHOTOS ...] [--count N] [--workers N] [--rounds N]

The floor is what no preparation can do without: Pillow decodes the same files (JPEG in draft
mode) and shrinks them by its fastest averaging filter, in as many processes, and throws the result
away. Without PHOTOS, JPEG files of COCO's size and shapes are made from noise and
scikit-image's photographs.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

SIZE = 256
FEW = 128  # photographs that tell what starting costs
COCO = 118_287  # photographs of train2017
NAMES = ("astronaut", "chelsea", "coffee", "rocket")
SHAPES = ((640, 480), (640, 427), (480, 640), (500, 375))

RUN = """
import json, sys
from colorcli.config.prepare import PrepareConfig
from colorcli.data.prepare import prepare
if __name__ == "__main__":
    names = open(sys.argv[1]).read().split("\\n")
    result = prepare(names, sys.argv[2], PrepareConfig(workers=int(sys.argv[3])))
    print(json.dumps({"counts": result.counts, "bytes": result.bytes, "dropped": result.dropped}))
"""


def make(folder: Path, count: int) -> list[str]:
    """Files like COCO's: its sizes, about its bytes, no two alike."""
    import numpy as np
    from skimage import data

    out, random = [], np.random.default_rng(0)
    photos = [Image.fromarray(getattr(data, name)()[..., :3]) for name in NAMES]
    for i in range(count):
        photo, (width, height) = photos[i % len(photos)], SHAPES[i % len(SHAPES)]
        side = random.integers(150, min(photo.size))
        left, top = (int(random.integers(0, s - side + 1)) for s in photo.size)
        cut = photo.resize((width, height), box=(left, top, left + side, top + side))
        coarse = random.normal(0, 40, (6, 6, 3))
        cast = np.stack(
            [
                np.asarray(Image.fromarray(coarse[..., c]).resize((width, height), 3))
                for c in range(3)
            ],
            -1,
        )
        noisy = np.asarray(cut) + cast + random.normal(0, 7, (height, width, 1))
        path = folder / f"{i:06d}.jpg"
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=90)
        out.append(str(path))
    return out


def shrink(path: str) -> tuple[int, int]:
    image = Image.open(path)
    image.draft("RGB", (SIZE, SIZE))
    image.load()
    if image.mode != "RGB":
        image = image.convert("RGB")
    scale = SIZE / min(image.size)
    if scale < 1:
        target = tuple(round(side * scale) for side in image.size)
        image = image.resize(target, Image.Resampling.BOX)
    return image.size


def floor(paths: list[str], workers: int) -> tuple[float, float]:
    """Seconds, and seconds of all processors."""
    context = multiprocessing.get_context("spawn")
    start, before = time.perf_counter(), sum(os.times()[:4])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for _ in pool.map(shrink, paths, chunksize=8):
            pass
    return time.perf_counter() - start, sum(os.times()[:4]) - before


def ours(listed: Path, folder: Path, workers: int) -> tuple[float, float, float, dict]:
    """Seconds, seconds of all processors, peak megabytes of the largest process, the result."""
    command = [sys.executable, folder.parent / "run.py", listed, folder, str(workers)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"prepare failed with {status}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path, help="folders, looked into deeply")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        (scratch / "run.py").write_text(RUN)
        if options.photos:
            found = sorted(str(p) for f in options.photos for p in f.rglob("*.*") if p.is_file())
            paths = found[:: max(1, len(found) // options.count)][: options.count]
        else:
            (scratch / "photos").mkdir()
            paths = make(scratch / "photos", options.count)
        listed = scratch / "names"
        listed.write_text("\n".join(paths))
        few = scratch / "few"
        few.write_text("\n".join(paths[:FEW]))
        begun = floor(paths[:FEW], options.workers), ours(few, scratch / "begun", options.workers)
        floors, prepared = [], []
        for i in range(options.rounds):  # in turn, so that both meet the same neighbours
            floors.append(floor(paths, options.workers))
            prepared.append(ours(listed, scratch / f"set{i}", options.workers))
    count, result = len(paths), prepared[-1][3]
    kept = sum(result["counts"].values())
    floor_rate = count / statistics.median(seconds for seconds, _ in floors)
    rate = count / statistics.median(seconds for seconds, *_ in prepared)
    costs = []  # processor seconds of the whole, and of each photograph after the first few
    for first, runs in zip(begun, (floors, prepared), strict=True):
        whole = min(run[1] for run in runs)
        costs.append((whole, (whole - first[1]) / (count - FEW)))
    table = {
        "photographs": count,
        "kept": kept,
        "workers": options.workers,
        "floor_per_second": round(floor_rate, 1),
        "prepare_per_second": round(rate, 1),
        "share_of_floor": round(rate / floor_rate, 3),
        # Of processor time, which neighbours on a busy machine hardly change: of the whole, and
        # of what each further photograph costs once the processes run.
        "share_of_floor_cpu": round(costs[0][0] / costs[1][0], 3),
        "share_of_floor_cpu_each": round(costs[0][1] / costs[1][1], 3),
        "milliseconds_cpu_each": [round(1e3 * each, 2) for _, each in costs],
        "seconds_to_begin": [round(run[0], 2) for run in begun],
        "largest_process_megabytes": round(max(memory for _, _, memory, _ in prepared), 1),
        "source_bytes": round(sum(os.path.getsize(p) for p in paths) / count) if options.photos else None,
        "bytes_per_photograph": round(result["bytes"] / kept),
        "coco_train2017_gigabytes": round(result["bytes"] / kept * COCO / 1e9, 2),
    }  # fmt: skip
    for name, value in table.items():
        print(f"{name:28} {value}", file=sys.stderr)
    print(json.dumps({"cores": os.cpu_count(), "dropped": result["dropped"], **table}))


if __name__ == "__main__":
    main()
