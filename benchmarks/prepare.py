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
COCO = 118_287  # photographs of train2017
NAMES = ("astronaut", "chelsea", "coffee", "rocket")
SHAPES = ((640, 480), (640, 427), (480, 640), (500, 375))

RUN = """
import json, sys
from colorcli.config import PrepareConfig
from colorcli.prepare import prepare
if __name__ == "__main__":
    names = open(sys.argv[1]).read().split("\\n")
    config = PrepareConfig(workers=int(sys.argv[3]), duplicate_distance=int(sys.argv[4]))
    result = prepare(names, sys.argv[2], config)
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


def floor(paths: list[str], workers: int) -> float:
    context = multiprocessing.get_context("spawn")
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for _ in pool.map(shrink, paths, chunksize=8):
            pass
    return time.perf_counter() - start


def ours(listed: Path, folder: Path, workers: int, distance: int) -> tuple[float, float, dict]:
    """Seconds, peak megabytes of the main process, and the result of a whole process."""
    command = [
        sys.executable,
        folder.parent / "run.py",
        listed,
        folder,
        str(workers),
        str(distance),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"prepare failed with {status}")
    return seconds, usage.ru_maxrss / 1024, json.loads(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path, help="folders, looked into deeply")
    parser.add_argument("--count", type=int, default=1500)
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
        floors, prepared = [], []
        for i in range(options.rounds):  # in turn, so that both meet the same neighbours
            floors.append(floor(paths, options.workers))
            # Without near copies: made files resemble each other, and each must be encoded.
            distance = 4 if options.photos else -1
            prepared.append(ours(listed, scratch / f"set{i}", options.workers, distance))
    count, result = len(paths), prepared[-1][2]
    kept = sum(result["counts"].values())
    floor_rate = count / statistics.median(floors)
    rate = count / statistics.median(seconds for seconds, _, _ in prepared)
    table = {
        "photographs": count,
        "kept": kept,
        "workers": options.workers,
        "floor_per_second": round(floor_rate, 1),
        "prepare_per_second": round(rate, 1),
        "share_of_floor": round(rate / floor_rate, 3),
        "best_share_of_floor": round(min(floors) / min(seconds for seconds, _, _ in prepared), 3),
        "main_process_megabytes": round(max(memory for _, memory, _ in prepared), 1),
        "source_bytes": round(sum(os.path.getsize(p) for p in paths) / count) if options.photos else None,
        "bytes_per_photograph": round(result["bytes"] / kept),
        "coco_train2017_gigabytes": round(result["bytes"] / kept * COCO / 1e9, 2),
    }  # fmt: skip
    for name, value in table.items():
        print(f"{name:28} {value}", file=sys.stderr)
    print(json.dumps({"cores": os.cpu_count(), "dropped": result["dropped"], **table}))


if __name__ == "__main__":
    main()
