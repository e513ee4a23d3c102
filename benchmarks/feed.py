"""How well a real run's network is fed: a table on stderr, JSON on stdout.

python benchmarks/feed.py DATA [--size 128] [--batch 32] [--seconds 60]

DATA is a folder made by ``colorize prepare``. The same compiled step, backbone frozen and released,
is fed by turns from the input pipeline and from one batch in memory, in slices of a few seconds so
that both see the same machine. The bar is 0.9. Also: CPU time of the pipeline alone.
"""

import argparse
import dataclasses
import json
import sys
import time

from colorcli.config.training import TrainConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60, help="for each of the two stages")
    parser.add_argument("--slice", type=float, default=5)
    options = parser.parse_args()
    import tensorflow as tf

    from colorcli.data import dataset
    from colorcli.network.model import output_stride
    from colorcli.training.feed import batches
    from colorcli.training.step import compiled, new_state

    config = dataclasses.replace(TrainConfig(), batch=options.batch)
    data, strategy = dataset.load(options.data), tf.distribute.get_strategy()
    state = new_state(config, data.prior, "float32", strategy)

    def stream():
        view = batches.View(
            size=options.size, stride=output_stride(config.model), crop=config.crop,
            augment=config.augment,
        )  # fmt: skip
        return iter(batches.batches(data, view, batch=config.batch, seed=0))

    alone = stream()
    memory = next(alone)
    for _ in range(8):
        next(alone)
    start, count = time.process_time(), 0
    until = time.monotonic() + options.slice
    while time.monotonic() < until:
        next(alone)
        count += config.batch
    table = {
        "pipeline": {"cpu_ms_per_image": round(1e3 * (time.process_time() - start) / count, 3)}
    }
    del alone
    keep, told = tf.constant(0.99), tf.zeros(2)
    for name, released in (("frozen", False), ("released", True)):
        step, coming = compiled(state, strategy, released), stream()
        sources = {"memory": lambda: memory, "fed": lambda it=coming: next(it)}
        for source in sources.values():  # compile, and fill the pipeline
            step(*source(), keep, told)
        spent, images = dict.fromkeys(sources, 0.0), dict.fromkeys(sources, 0)
        while sum(spent.values()) < options.seconds:
            for key, source in sources.items():
                if key == "fed":  # what was prepared meanwhile is a gift of the other's time
                    for _ in range(4):
                        step(*source(), keep, told)
                start = time.monotonic()
                while time.monotonic() - start < options.slice:
                    float(step(*source(), keep, told)["loss"])
                    images[key] += config.batch
                spent[key] += time.monotonic() - start
        speed = {key: round(images[key] / spent[key], 1) for key in sources}
        table[name] = {**speed, "ratio": round(speed["fed"] / speed["memory"], 3)}
    for name, row in table.items():
        print(f"{name:10}", *(f"{v:9} {k}" for k, v in row.items()), file=sys.stderr)
    print(json.dumps({"size": options.size, "batch": options.batch, "table": table}))


if __name__ == "__main__":
    main()
