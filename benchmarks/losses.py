"""Every loss on the same data and budget: a table on stderr, JSON on stdout.

python benchmarks/losses.py DATA [--val DATA] [-o FOLDER] [--losses mse,…] [TRAIN OPTIONS…]

DATA are folders made by ``colorize prepare``. Other options go to ``colorize train``, such as
``--steps 2000``, ``--preset baseline`` or ``--minutes 10``; runs in FOLDER are resumed. All are then
judged together by ``colorize eval`` on the validation split, at the plain mean of their colours.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from colorcli.config import LOSS_NAMES

METRICS = ("psnr", "gain", "ciede2000", "auc", "cf", "cf_abs")


def colorize(*arguments: str) -> dict:
    """What a command prints with ``--json``."""
    command = [sys.executable, "-m", "colorcli", *arguments, "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("data")
    parser.add_argument("--val", help="prepared folder whose val split judges")
    parser.add_argument("-o", "--output", help="keep the runs here")
    parser.add_argument("--losses", default=",".join(LOSS_NAMES))
    options, passed = parser.parse_known_args()
    losses = options.losses.split(",")
    judges = ["--val", options.val] if options.val else []
    with tempfile.TemporaryDirectory() as scratch:
        runs = {loss: str(Path(options.output or scratch) / loss) for loss in losses}
        trained = {
            loss: colorize("train", options.data, "-o", run, "--loss", loss, *judges, *passed)
            for loss, run in runs.items()
        }
        shown = [text for run in runs.values() for text in ("--model", run)]
        knobs = ("--temperature", "1", "--vividness", "0")
        judged = colorize("eval", options.val or options.data, *shown, *knobs)
        table = {"gray": _figures(judged["gray"]["metrics"]), "truth": _figures(judged["truth"])}
        for loss, row in zip(losses, judged["models"], strict=True):
            run = {k: trained[loss][k] for k in ("steps", "minutes")}
            table[loss] = {**_figures(row["metrics"]), **run}
    names = (*METRICS, "steps", "minutes")
    print(f"{'loss':16}", *(f"{name:>10.10}" for name in names), file=sys.stderr)
    for loss, row in table.items():
        cells = (f"{row[n]:10.3f}" if row.get(n) is not None else " " * 10 for n in names)
        print(f"{loss:16}", *cells, file=sys.stderr)
    print(json.dumps({"judged": judged["judged"], "options": passed, "table": table}))


def _figures(metrics: dict) -> dict:
    return {n: metrics[n]["mean"] for n in METRICS if n in metrics}


if __name__ == "__main__":
    main()
