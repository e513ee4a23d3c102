"""What the two installations take: seconds, megabytes, and whether they colour. Needs the network.

    python benchmarks/installs.py [--only small]

The small one is made by the steps of the Containerfile themselves, in a folder instead of an image,
and coloured with as its last stage would: as nobody, from stdin to stdout, on files it cannot write.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

REPO = Path(__file__).parents[1]
NOBODY = 65534


def instructions(text: str) -> list[tuple[str, str]]:
    """Those of a Containerfile, by name."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]


def megabytes(folder: Path) -> float:
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return sum(p.stat().st_size for p in files) / 1e6


def built(home: Path) -> list[str]:
    """The venv of the Containerfile's first stage at ``home``; what the image is called with."""
    source = home.parent / "src"
    source.mkdir()
    steps = instructions((REPO / "Containerfile").read_text())
    for name, rest in steps:
        rest = rest.replace("/opt/colorize", str(home))
        if name == "COPY" and not rest.startswith("--from"):
            *what, where = rest.split()
            for item in what:
                if (REPO / item).is_dir():
                    shutil.copytree(REPO / item, source / where, dirs_exist_ok=True)
                else:
                    shutil.copy(REPO / item, source / where)
        elif name == "RUN":
            rest = re.sub("^python ", f"{shlex.quote(sys.executable)} ", rest)
            subprocess.run(rest, shell=True, cwd=source, check=True, stdout=subprocess.DEVNULL)
    called = dict(steps)
    return [*json.loads(called["ENTRYPOINT"]), *json.loads(called["CMD"])]


def picture() -> bytes:
    gray = np.add.outer(np.arange(600), np.arange(800)) // 6
    buffer = io.BytesIO()
    Image.fromarray(gray.astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def reachable(home: Path) -> bool:
    """Whether nobody may run the environment's Python, which may lie in somebody's home."""
    python = str((home / "bin" / "python").resolve())
    try:
        subprocess.run([python, "-c", ""], user=NOBODY, group=NOBODY, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        print("nobody cannot run this Python, which lies in a private folder: run as ourselves")
        return False
    return True


def colours(home: Path, command: list[str]) -> float:
    """Seconds of a photograph through a pipe, as nobody where we may be somebody else."""
    options = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 and reachable(home) else {}
    environment = {"PATH": str(home / "bin"), "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
    program = [str(home / "bin" / command[0]), *command[1:]]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(
            program, input=picture(), capture_output=True, check=True, cwd="/", env=environment,
            **options,
        )  # fmt: skip
        seconds.append(time.perf_counter() - began)
        assert Image.open(io.BytesIO(done.stdout)).mode == "RGB"
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("small", "whole"))
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        for name in ("small", "whole"):
            if only not in (None, name):
                continue
            place = Path(scratch) / name
            place.mkdir()
            home, command, began = place / "venv", ["colorize", "predict", "-"], time.perf_counter()
            if name == "small":
                command = built(home)
            else:
                subprocess.run([sys.executable, "-m", "venv", home], check=True)
                pip = [
                    home / "bin" / "python",
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--no-cache-dir",
                    REPO,
                ]
                subprocess.run(pip, check=True)
            spent, size = time.perf_counter() - began, megabytes(home)
            first = colours(home, command)
            print(
                f"{name}: {size:.0f} MB, installed in {spent:.0f} s, a photograph in {first:.2f} s"
            )


if __name__ == "__main__":
    main()
