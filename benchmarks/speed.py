"""Speed and memory of the command line: a table on stderr, JSON on stdout.

python benchmarks/speed.py [--rounds N]   medians over whole processes; run on an idle machine.
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

COLORIZE = [sys.executable, "-m", "colorcli"]
HERE = Path(__file__).parent


def run(command: list[str], **environment: str) -> tuple[float, float]:
    """Seconds and peak megabytes of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    if status and not environment:
        raise SystemExit(f"{' '.join(command)}: failed with {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def median(command: list[str], rounds: int, **environment: str) -> dict[str, float]:
    run(command, **environment)  # warm the page cache
    results = [run(command, **environment) for _ in range(rounds)]
    return {
        "seconds": round(statistics.median(r[0] for r in results), 3),
        "megabytes": round(statistics.median(r[1] for r in results), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        one, many = Path(scratch, "one"), Path(scratch, "many")
        for folder, count in ((one, 1), (many, 100)):
            subprocess.run(
                [sys.executable, str(HERE / "photos.py"), str(folder), "--megapixels", "1",
                 "--count", str(count)], check=True,
            )  # fmt: skip
        into = ["-o", str(Path(scratch, "out")), "--overwrite", "-q"]
        ten = [str(p) for p in sorted(many.iterdir())[:10]]
        table = {
            "help": median([*COLORIZE, "--help"], rounds),
            "tab": median(
                COLORIZE,
                rounds,
                _COLORIZE_COMPLETE="complete_bash",
                COMP_WORDS="colorize pre",
                COMP_CWORD="1",
            ),
            "import tensorflow": median([sys.executable, "-c", "import tensorflow"], 3),
            "predict 1 x 1 MP": median(
                [*COLORIZE, "predict", str(next(one.iterdir())), *into], rounds
            ),
            "predict 10 x 1 MP": median([*COLORIZE, "predict", *ten, *into], 3),
            "predict 100 x 1 MP": median([*COLORIZE, "predict", str(many), *into], 3),
            "predict 100 x 1 MP, one worker": median(
                [*COLORIZE, "predict", str(many), *into, "--workers", "1"], 3
            ),
        }
    for name in ("predict 10 x 1 MP", "predict 100 x 1 MP", "predict 100 x 1 MP, one worker"):
        table[name]["images_per_second"] = round(int(name.split()[1]) / table[name]["seconds"], 1)
    for name, values in table.items():
        print(f"{name:32}", *(f"{v:9} {k}" for k, v in values.items()), file=sys.stderr)
    print(json.dumps({"cores": os.cpu_count(), "table": table}))


if __name__ == "__main__":
    main()
