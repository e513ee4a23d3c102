"""What large works cost: finding and naming files, beginning, memory, Ray beside one process.

    python benchmarks/scale.py                  # 100,000 small files, of which 2,000 are coloured
    python benchmarks/scale.py --ray 10000      # and 10,000 by Ray on two nodes of this machine

docs/scale.md stands on these figures. Files are made in a temporary folder and removed.
"""

import argparse
import contextlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

REPO = Path(__file__).parents[1]
sys.path[:0] = [str(REPO / "tests"), str(REPO / "tests" / "extras" / "scale")]

from conftest import saved, scene  # noqa: E402
from nodes import Cluster, descendants  # noqa: E402

PREDICT = [sys.executable, "-m", "colorcli", "predict"]
TICKS = os.sysconf("SC_CLK_TCK")
STAGES = ("read", "decode", "network", "join", "encode", "write")


def make(root: Path, count: int) -> None:
    """``count`` gray JPEGs of 192 × 160 pixels in folders of 1,000."""
    kinds = [saved(Image.fromarray(scene(i, 192, 160)).convert("L"), "JPEG") for i in range(50)]
    for i in range(count):
        folder = root / f"{i // 1000:03d}"
        if i % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{i:06d}.jpg").write_bytes(kinds[i % 50])


def peak(pid: int) -> float:
    """Megabytes that a process has held at most."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) / 1024


def planning(root: Path, out: Path) -> None:
    """Seconds and bytes of a plan, whole and streamed."""
    from colorcli.colorizing import intake
    from colorcli.config.predict import PredictConfig

    request = intake.Request([str(root)], str(out), recursive=True, skip_existing=True)
    began, first, number = time.perf_counter(), 0.0, 0
    busy = time.process_time()
    for _ in intake.streamed(request, PredictConfig()):
        number += 1
        first = first or time.perf_counter() - began
    busy, spent = time.process_time() - busy, time.perf_counter() - began
    print(f"streamed plan: first job after {first:.3f} s, {spent / number * 1e6:.1f} µs a name "
          f"({busy / number * 1e6:.1f} of CPU), "
          f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")  # fmt: skip
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, busy = time.perf_counter(), time.process_time()
    jobs = intake.planned(request, PredictConfig())[1]
    busy, spent = time.process_time() - busy, time.perf_counter() - began
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held
    print(f"whole plan: {spent:.2f} s ({busy:.2f} of CPU), {spent / len(jobs) * 1e6:.1f} µs and "
          f"{more * 1024 / len(jobs):.0f} bytes a name")  # fmt: skip


def colouring(root: Path, out: Path, count: int) -> None:
    """The beginning, the memory and the stages of a plain call, ended after ``count``."""
    one = next(root.rglob("*.jpg"))
    for what, command in (
        ("one", [one, "-o", out.parent / "one.jpg"]),
        ("all", [root, "-r", "-o", out.parent / "first"]),
    ):
        print(f"first result of {what}: {first(command)}")
    process = subprocess.Popen(
        [*PREDICT, root, "-r", "-o", out, "--json", "-q"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    rows, marks = [], {}
    for line in process.stdout:
        rows.append(json.loads(line))
        if len(rows) in (100, count // 2, count):
            marks[len(rows)] = peak(process.pid)
        if len(rows) == count:
            process.send_signal(signal.SIGTERM)
    process.wait()
    shown = ", ".join(f"{mark:.0f} MB at {n}" for n, mark in marks.items())
    spent = {s: statistics.mean(r["milliseconds"][s] for r in rows) for s in STAGES}
    print(f"memory: {shown}; exit {process.returncode}")
    print("ms a photograph: " + ", ".join(f"{s} {ms:.1f}" for s, ms in spent.items()))


def first(command: list[object]) -> str:
    """Seconds until the first result of a call, which is then ended."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PREDICT, *command, "--json", "-q"], stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout
    process.stdout.readline()
    seconds, busy = time.perf_counter() - began, spent([process.pid])[process.pid]
    process.send_signal(signal.SIGTERM)
    process.communicate()
    return f"after {seconds:.2f} s, {busy:.2f} of CPU"


def rays(root: Path, out: Path, count: int) -> None:
    """``count`` photographs by one process on two cores and by Ray on two nodes of one core."""
    folders = sorted(root.iterdir())[: -(-count // 1000)]
    count = sum(len(list(folder.iterdir())) for folder in folders)
    rows: dict[str, list[dict[str, float]]] = {}
    cluster = Cluster()
    try:
        for way in ("plain", "ray", "ray", "plain"):
            target = out.parent / f"{way}-{len(rows.setdefault(way, []))}"
            command = [*PREDICT, *folders, "-o", f"{target}/{{stem}}.jpg", "-q", "--workers", "2"]
            if way == "ray":
                command += ["--engine", "ray", "--address", cluster.address]
            rows[way].append(timed(command, [node.process.pid for node in cluster.nodes], count))
            shown = "  ".join(f"{name} {value:.1f}" for name, value in rows[way][-1].items())
            print(f"{way}: {shown}", flush=True)
    finally:
        cluster.close()
    for name, how in (("photographs/s", 1), ("CPU ms a photograph", -1)):
        means = {way: statistics.mean(row[name] for row in found) for way, found in rows.items()}
        print(f"ray / plain by {name}: {(means['ray'] / means['plain']) ** how:.2f}")


def timed(command: list[object], others: list[int], count: int) -> dict[str, float]:
    """Speed of a call with start-up, its CPU and that of what ``others`` began for it.

    The share is of what this machine computed meanwhile: other work on it is no fault of the call's.
    """
    before, busy, began = spent(others), machine(), time.perf_counter()
    process = subprocess.Popen(command)
    seen: dict[int, float] = {}
    while process.poll() is None:  # what ends takes its figures along
        seen |= spent([process.pid, *others])
        time.sleep(0.1)
    assert process.returncode == 0
    seconds, busy = time.perf_counter() - began, machine() - busy
    own = sum(at - before.get(pid, 0.0) for pid, at in seen.items())
    return {
        "photographs/s": count / seconds, "CPU ms a photograph": own * 1000 / count,
        "% of the machine": 100 * own / (seconds * (os.cpu_count() or 1)),
        "% of its work": 100 * own / busy,
    }  # fmt: skip


def spent(pids: list[int]) -> dict[int, float]:
    """Seconds of CPU of processes and of all that they began, by number."""
    found = {}
    for pid in {*pids, *(below for one in pids for below in descendants(one))}:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[pid] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


def machine() -> float:
    """Seconds of CPU that this machine has spent on anything."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    return (int(user) + int(nice) + int(system)) / TICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--colour", type=int, default=2000)
    parser.add_argument("--ray", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder, "in"), Path(folder, "out")
        make(root, given.files)
        planning(root, out)
        if given.colour:
            colouring(root, out, given.colour)
        if given.ray:
            rays(root, out, given.ray)


if __name__ == "__main__":
    main()
