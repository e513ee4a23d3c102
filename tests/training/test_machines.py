"""Several machines by ``TF_CONFIG``, as two processes: one is killed, both are started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

STEPS, KILLED_AT = 14, 4
FLAGS = [
    "--preset", "baseline", "--size", "32", "--stages", "32", "--decoder", "8", "--batch", "8",
    "--warmup", "2", "--val-images", "4", "--val-steps", "1000", "--panel", "0",
    "--checkpoint-minutes", "0", "--steps", STEPS,
]  # fmt: skip
# Every step in the log. TensorFlow's part in a cluster comes before all else of it.
MAIN = """
import sys
from colorcli.cli import main
from colorcli.training import devices
joined = devices.strategy
def strategy():
    found = joined()
    from colorcli.training import train
    train.LOG_EVERY = 1
    return found
devices.strategy = strategy
sys.argv = ["colorize", *sys.argv[1:]]
main()
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def begin(data, run, index=None, cluster=None):
    task = {"cluster": {"worker": cluster}, "task": {"type": "worker", "index": index}}
    extra = {"TF_CONFIG": json.dumps(task)} if cluster else {}
    command = [sys.executable, "-c", MAIN, "train", data.folder, "-o", run, *FLAGS]
    return subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", **extra},
    )  # fmt: skip


def steps(run):
    path = run / "log.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # being written
            continue
    return [entry for entry in found if "norm" in entry]


@pytest.mark.slow
def test_a_killed_worker_and_a_new_start_give_the_run_that_one_worker_gives(data, tmp_path):
    run = tmp_path / "two"
    cluster = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    first = [begin(data, run, index, cluster) for index in range(2)]
    deadline = time.monotonic() + 150
    while len(steps(run)) < KILLED_AT and time.monotonic() < deadline:
        assert first[0].poll() is None, first[0].communicate()[1][-2000:]
        time.sleep(0.01)
    os.kill(first[1].pid, signal.SIGKILL)
    first[1].communicate()
    try:
        _, errors = first[0].communicate(timeout=60)
    finally:
        first[0].kill()
    reached = len(steps(run))
    assert KILLED_AT <= reached < STEPS, reached
    assert first[0].returncode == 3, errors[-3000:]
    (line,) = [text for text in errors.splitlines() if text.startswith("colorize: worker 0")]
    assert "lost the others" in line and "start all of them again" in line

    cluster = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    second = [begin(data, run, index, cluster) for index in range(2)]
    for process in second:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors[-2000:]
    alone = begin(data, tmp_path / "one")
    _, errors = alone.communicate(timeout=200)
    assert alone.returncode == 0, errors[-2000:]
    both = [[(e["step"], e["loss"]) for e in steps(tmp_path / name)] for name in ("two", "one")]
    assert [step for step, _ in both[0]] == list(range(1, STEPS + 1))  # each once
    assert np.allclose(both[0], both[1], rtol=1e-3)
    assert (run / "model-best" / "model.tflite").is_file()
