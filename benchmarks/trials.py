"""Ways of training on the same data and budget: a table on stderr, JSON on stdout.

python benchmarks/trials.py DATA [--val DATA] [-o FOLDER] [--trial 'NAME OPTIONS…']… [TRAIN OPTIONS…]

DATA are folders made by ``colorize prepare``. Each ``--trial`` is a name and the options of
``colorize train`` that set it apart; without any, each loss is a trial. Other options go to all of
them, such as ``--steps 2000``, ``--preset baseline`` or ``--minutes 10``; runs in FOLDER are resumed.
All are then judged together by ``colorize eval`` on the validation split, at the plain mean of their
colours.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from colorcli.config.choices import LOSS_NAMES

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
    parser.add_argument("--trial", action="append", help="name, then options of train")
    options, passed = parser.parse_known_args()
    texts = options.trial or [f"{name} --loss {name}" for name in LOSS_NAMES]
    trials = {name: own for name, *own in map(shlex.split, texts)}
    judges = ["--val", options.val] if options.val else []
    with tempfile.TemporaryDirectory() as scratch:
        runs = {name: str(Path(options.output or scratch) / name) for name in trials}
        trained = {
            name: colorize("train", options.data, "-o", runs[name], *judges, *passed, *own)
            for name, own in trials.items()
        }
        shown = [text for run in runs.values() for text in ("--model", run)]
        knobs = ("--temperature", "1", "--vividness", "0")
        judged = colorize("eval", options.val or options.data, *shown, *knobs)
        table = {"gray": _figures(judged["gray"]["metrics"]), "truth": _figures(judged["truth"])}
        for name, row in zip(trials, judged["models"], strict=True):
            run = {k: trained[name][k] for k in ("steps", "minutes")}
            table[name] = {**_figures(row["metrics"]), **run}
    columns = (*METRICS, "steps", "minutes")
    print(f"{'trial':16}", *(f"{name:>10.10}" for name in columns), file=sys.stderr)
    for name, row in table.items():
        cells = (f"{row[n]:10.3f}" if row.get(n) is not None else " " * 10 for n in columns)
        print(f"{name:16}", *cells, file=sys.stderr)
    print(
        json.dumps(
            {"judged": judged["judged"], "options": passed, "trials": trials, "table": table}
        )
    )


def _figures(metrics: dict) -> dict:
    return {n: metrics[n]["mean"] for n in METRICS if n in metrics}


if __name__ == "__main__":
    main()
