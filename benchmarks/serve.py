"""The service under load on loopback: 4 clients, 1,000 requests; answers, p95, memory on its way.

python benchmarks/serve.py [--requests 1000] [--clients 4]
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

SIDE = (640, 480)
MARKS = 10  # times that memory is looked at


def memory(number: int) -> float:
    """Resident megabytes of a process (Linux)."""
    lines = Path(f"/proc/{number}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def photograph() -> bytes:
    random = np.random.default_rng(0)
    gray = np.add.outer(np.arange(SIDE[1]), np.arange(SIDE[0])) / 6 + random.normal(
        0, 8, SIDE[::-1]
    )
    buffer = io.BytesIO()
    Image.fromarray(np.clip(gray, 0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    wanted = parser.parse_args()
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url, data = process.stderr.readline().split()[1], photograph()
        client = httpx.Client(base_url=url, timeout=120, trust_env=False)

        def ask(_: int) -> tuple[int, float]:
            began = time.perf_counter()
            return client.post("/colorize", content=data).status_code, time.perf_counter() - began

        for i in range(20):
            ask(i)
        sizes, answers, began = [memory(process.pid)], [], time.perf_counter()
        with ThreadPoolExecutor(wanted.clients) as pool:
            for number, answer in enumerate(pool.map(ask, range(wanted.requests)), 1):
                answers.append(answer)
                if number * MARKS // wanted.requests > len(sizes) - 1:
                    sizes.append(memory(process.pid))
        spent, codes = time.perf_counter() - began, [code for code, _ in answers]
        times = sorted(seconds for _, seconds in answers)
        print(
            f"{codes.count(200)} of {wanted.requests} answered, {wanted.requests / spent:.1f}/s; "
            f"median {times[len(times) // 2] * 1000:.0f} ms, p95 {times[int(len(times) * 0.95)] * 1000:.0f} ms; "
            f"MB before and at each tenth: {' '.join(f'{size:.0f}' for size in sizes)}"
        )
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
