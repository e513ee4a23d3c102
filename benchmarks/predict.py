"""Start-up, and ``predict`` against its floor and the naive way: table on stderr, JSON on stdout.

python benchmarks/predict.py [--rounds N] [--only ROW ...]   run it on an idle machine.

The floor is Pillow alone: decode the same files, encode the same pixels as RGB with the same
settings, as many threads. The naive row is what a user would write: TensorFlow, Keras, and
scikit-image's Lab, one photograph after the other.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
COLORIZE = [sys.executable, "-m", "colorcli"]
PREDICT = [*COLORIZE, "predict", "--overwrite", "-q"]
TAB = {"_COLORIZE_COMPLETE": "complete_bash", "COMP_WORDS": "colorize pre", "COMP_CWORD": "1"}

FLOOR = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image

Image.MAX_IMAGE_PIXELS = None
out, workers, *paths = sys.argv[1:]
Path(out).mkdir(parents=True, exist_ok=True)

def copy(path):
    with Image.open(path) as image:
        colour = image.convert("RGB")
    colour.save(Path(out) / Path(path).name, quality=95, subsampling=0)

with ThreadPoolExecutor(int(workers)) as pool:
    list(pool.map(copy, paths))
"""

NAIVE = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from PIL import Image
from skimage import color
from skimage.transform import resize
from colorcli.network import model_folder
from colorcli.network.model import with_decode

network, folder = model_folder.load_network("default")
network = with_decode(network, folder.config, folder.prior)
side = folder.config.size
out, *paths = sys.argv[1:]
Path(out).mkdir(parents=True, exist_ok=True)
one = np.ones((1,), np.float32)
for path in paths:
    lab = color.rgb2lab(np.asarray(Image.open(path).convert("RGB")) / 255.0)
    small = resize(lab[..., 0], (side, side), anti_aliasing=True)
    feed = {"L": small[None, ..., None].astype(np.float32), "temperature": one, "vividness": 0 * one}
    ab = network.predict({k: v for k, v in feed.items() if k in network.input}, verbose=0)["ab"][0]
    lab[..., 1:] = resize(ab, lab.shape[:2], order=3)
    rgb = (color.lab2rgb(lab) * 255).round().astype(np.uint8)
    Image.fromarray(rgb).save(Path(out) / Path(path).name, quality=95, subsampling=0)
"""

NETWORK = """
import statistics
import time
import numpy as np
from colorcli import Colorizer

colorizer, spent = Colorizer("default"), []
gray = np.random.default_rng(0).integers(0, 256, (512, 512)).astype(np.uint8)
for _ in range(30):
    before = time.process_time()
    colorizer.ab(gray)
    spent.append(1000 * (time.process_time() - before))
print(statistics.median(spent[5:]))
"""

# A synthetic gray photograph of any size, written as it is made.
SYNTHETIC = """
import sys
import pyvips

path, side = sys.argv[1], int(sys.argv[2])
shades = pyvips.Image.perlin(side, side, cell_size=side // 40) * 60 + 128
grain = pyvips.Image.gaussnoise(side, side, sigma=6)
(shades + grain).cast("uchar").copy(interpretation="b-w").jpegsave(path, Q=92)
"""

# ``colorize`` with another size from which on photographs go by strips.
LARGE_FROM = """
import sys
from colorcli.config import predict

predict.LARGE = int(sys.argv.pop(1))
from colorcli.imaging.jpeg import luma

luma._library = lambda: None  # else JPEGs that fit keep their luma, and need no strips
from colorcli.cli import main

main()
"""


def run(command: list[str], **environment: str) -> dict[str, float]:
    """Wall and processor seconds and peak megabytes of one process."""
    before = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )  # fmt: skip
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[:6]}: failed with {status}: {told.decode()[-500:]}")
    return {
        "seconds": time.perf_counter() - before,
        "cpu": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2),
    }


def median(command: list[str], rounds: int, **environment: str) -> dict[str, float]:
    # The first warms the page cache.
    results = [run(command, **environment) for _ in range(rounds + 1)][1:]
    return {key: statistics.median(r[key] for r in results) for key in results[0]}


def photographs(scratch: Path, megapixels: float, count: int, *more: str) -> list[str]:
    folder = scratch / "".join([f"{count}x{megapixels:g}", *more])
    subprocess.run(
        [sys.executable, HERE / "photos.py", folder, "--megapixels", str(megapixels),
         "--count", str(count), *more], check=True,
    )  # fmt: skip
    return sorted(map(str, folder.iterdir()))


class Bench:
    """Each method is a row: measured figures, the bar, and whether it was met."""

    def __init__(self, scratch: Path, rounds: int) -> None:
        self.scratch, self.rounds = scratch, rounds
        self.out = str(scratch / "out")

    def colorize(self, paths: list[str], workers: int = 0, rounds: int | None = None) -> dict:
        command = [*PREDICT, "-o", f"{self.out}/", "--workers", str(workers), *paths]
        return median(command, rounds or self.rounds)

    def start_up(self) -> dict:
        """Seconds until the shell prompts again; importing TensorFlow for comparison."""
        rounds = 3 * self.rounds
        row = {
            "help": median([*COLORIZE, "--help"], rounds)["seconds"],
            "version": median([*COLORIZE, "--version"], rounds)["seconds"],
            "tab": median(COLORIZE, rounds, **TAB)["seconds"],
        }
        tensorflow = median([sys.executable, "-c", "import tensorflow"], 1)["seconds"]
        met = max(row["help"], row["version"]) <= 0.2
        return {**row, "tensorflow": tensorflow, "bar": "help, version ≤ 0.2 s", "met": met}

    def cpu_12mp(self) -> dict:
        return self._cpu(1.2)

    def cpu_12mp_colour(self) -> dict:
        return self._cpu(1.0, "--colour")

    def network(self) -> float:
        """Processor milliseconds of the network for one photograph."""
        command = [sys.executable, "-c", NETWORK]
        told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        return float(told)

    def _cpu(self, times: float, *more: str) -> dict:
        """Per photograph, in a batch, so that the start-up of both is not in it."""
        few, many = (photographs(self.scratch, 12, count, *more) for count in (2, 10))

        def each(measure: Callable[[list[str]], dict]) -> float:
            return (measure(many)["cpu"] - measure(few)["cpu"]) / 8 * 1000

        ours = each(lambda paths: self.colorize(paths, 1))
        floor = each(
            lambda paths: median([sys.executable, "-c", FLOOR, self.out, "1", *paths], self.rounds)
        )
        network = self.network()
        return {
            "milliseconds": ours, "floor": floor, "network": network,
            "ratio": (ours - network) / floor,
            "bar": f"cpu ≤ {times} × floor + network", "met": ours <= times * floor + network,
        }  # fmt: skip

    def small_files(self) -> dict:
        """A folder of pictures of 0.1 MP, where what each file costs anyway is most of it."""
        paths = photographs(self.scratch, 0.1, 400)
        start, all_of_them = (self.colorize(p)["seconds"] for p in (paths[:1], paths))
        network = self.network()
        rate = (len(paths) - 1) / (all_of_them - start)
        most = 1000 * (os.cpu_count() or 1) / network
        return {
            "per_second": rate, "network": network, "network_alone": most,
            "bar": "≥ 0.6 of the network alone", "met": rate >= 0.6 * most,
        }  # fmt: skip

    def many_workers(self) -> dict:
        """Throughput at 1 MP, pinned to so many cores: where the pipeline stops to scale."""
        paths, row = photographs(self.scratch, 1, 100), {}
        cores = sorted(os.sched_getaffinity(0))
        for count in (n for n in (1, 2, 4, 8, 16) if n <= len(cores)):
            os.sched_setaffinity(0, cores[:count])
            start, all_of_them = (self.colorize(p)["seconds"] for p in (paths[:1], paths))
            row[f"on_{count}"] = (len(paths) - 1) / (all_of_them - start)
        os.sched_setaffinity(0, cores)
        most = [n for n in (1, 2, 4, 8, 16) if n <= len(cores)][-1]
        share = row[f"on_{most}"] / (most * row["on_1"])
        return {**row, "share": share, "bar": "≥ 0.85 of so many times one", "met": share >= 0.85}

    def hundred_1mp(self) -> dict:
        paths = photographs(self.scratch, 1, 100)
        rate = len(paths) / self.colorize(paths)["seconds"]
        return {"per_second": rate, "bar": "≥ 60 a second on two cores", "met": rate >= 60}

    def two_workers_1mp(self) -> dict:
        return self._scaling(photographs(self.scratch, 1, 150))

    def two_workers_12mp(self) -> dict:
        return self._scaling(photographs(self.scratch, 12, 12))

    def _scaling(self, paths: list[str]) -> dict:
        """Throughput without start-up, which no number of workers shortens; with it, beside."""
        start = self.colorize(paths[:1], 1)["seconds"]
        one, two = (self.colorize(paths, w)["seconds"] for w in (1, 2))
        floor = [
            median([sys.executable, "-c", FLOOR, self.out, w, *paths], self.rounds)["seconds"]
            for w in "12"
        ]
        gain = (one - start) / (two - start)
        return {
            "one": len(paths) / one, "two": len(paths) / two, "gain": gain,
            "gain_with_start": one / two, "floor_gain": floor[0] / floor[1],
            "bar": "two workers ≥ 1.7 × one", "met": gain >= 1.7,
        }  # fmt: skip

    def one_1mp(self) -> dict:
        result = self.colorize(photographs(self.scratch, 1, 1))
        met = result["seconds"] <= 0.4 and result["megabytes"] <= 140
        return {**result, "bar": "≤ 0.4 s and ≤ 140 MB", "met": met}

    def one_100mp(self) -> dict:
        result = self.colorize(photographs(self.scratch, 100, 1), rounds=1)
        return {**result, "bar": "≤ 650 MB", "met": result["megabytes"] <= 650}

    def strips_400mp(self) -> dict:
        """A JPEG of 20,000 × 20,000 pixels by strips and whole, and the memory that 100 MP take."""
        row: dict = {}
        for side in (10_000, 20_000):
            path = str(self.scratch / f"synthetic{side}.jpg")
            subprocess.run([sys.executable, "-c", SYNTHETIC, path, str(side)], check=True)
            for way, large in (("strips", 0), ("whole", 10**12)):
                command = [sys.executable, "-c", LARGE_FROM, str(large), *PREDICT[3:]]
                result = run([*command, "-o", f"{self.out}/", path])
                for key, value in result.items():
                    row[f"{way}_{key}_{side**2 // 10**6}mp"] = value
        few, many = (row[f"strips_megabytes_{size}mp"] for size in (100, 400))
        met = many <= 1.25 * few
        return {**row, "bar": "400 MP within 25 % of 100 MP", "met": met}

    def memory_of_many(self) -> dict:
        paths = photographs(self.scratch, 1, 1000)
        few, many = (self.colorize(p, 2, 1)["megabytes"] for p in (paths[:50], paths))
        return {
            "megabytes_50": few, "megabytes_1000": many, "ratio": many / few,
            "bar": "1000 images within 10 % of 50", "met": many <= 1.1 * few,
        }  # fmt: skip

    def naive(self) -> dict:
        """One and ten 1-MP photographs, whole processes."""
        row: dict = {}
        for count in (1, 10):
            paths = photographs(self.scratch, 1, 10)[:count]
            naive = median([sys.executable, "-c", NAIVE, self.out, *paths], 1)
            ours = self.colorize(paths)
            row[f"naive_{count}"] = naive["seconds"]
            row[f"ours_{count}"] = ours["seconds"]
            row[f"times_faster_{count}"] = naive["seconds"] / ours["seconds"]
            row[f"naive_megabytes_{count}"] = naive["megabytes"]
        return {**row, "bar": "say the ratio", "met": True}


ROWS = (
    "start_up", "cpu_12mp", "cpu_12mp_colour", "two_workers_1mp", "two_workers_12mp", "many_workers", "hundred_1mp", "small_files", "one_1mp", "one_100mp",
    "strips_400mp", "memory_of_many", "naive",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=ROWS)
    options = parser.parse_args()
    table = {}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), options.rounds)
        for name in options.only:
            row = getattr(bench, name)()
            table[name] = {k: round(v, 3) if type(v) is float else v for k, v in row.items()}
            bar, met = row.pop("bar"), "met" if row.pop("met") else "NOT MET"
            shown = "  ".join(f"{k} {v:.3g}" for k, v in row.items())
            print(f"{name:18} {met:8} {bar:30} {shown}", file=sys.stderr, flush=True)
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"cores": os.cpu_count(), "load": load, "peak": peak, "table": table}))


if __name__ == "__main__":
    main()
