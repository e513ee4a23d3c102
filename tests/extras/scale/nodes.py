"""Ray nodes on this machine, started and killed as their owners would."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RAY = [sys.executable, "-c", "import sys; from ray.scripts.scripts import main; sys.exit(main())"]
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def descendants(pid: int) -> list[int]:
    """Processes that a process began, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


class Node:
    """A node: ``ray start --block`` and what it began."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [*RAY, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000",
             "--disable-usage-stats", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **QUIET},
        )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL for all of it at once, as by a power cut."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


class Cluster:
    """A head and one more node, of one processor each."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # paths of sockets are short
        self.address = f"127.0.0.1:{free_port()}"
        port = self.address.partition(":")[2]
        self.nodes = [
            Node("--head", f"--port={port}", "--include-dashboard=false",
                 f"--temp-dir={self.folder}", "--node-ip-address=127.0.0.1")
        ]  # fmt: skip
        self._await(1)
        self.add()

    def add(self) -> Node:
        self.nodes.append(Node(f"--address={self.address}", "--node-ip-address=127.0.0.1"))
        self._await(len(self.nodes))
        return self.nodes[-1]

    def _await(self, nodes: int) -> None:
        """Until so many have joined."""
        deadline = time.monotonic() + 120
        code = f"""
import logging, sys, ray
ray.init({self.address!r}, logging_level=logging.CRITICAL, log_to_driver=False)
sys.exit(sum(node["Alive"] for node in ray.nodes()) < {nodes})
"""
        while time.monotonic() < deadline:
            assert all(node.process.poll() is None for node in self.nodes)
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, env={**os.environ, **QUIET}
            )
            if done.returncode == 0:
                return
            time.sleep(0.5)
        raise TimeoutError(done.stderr.decode()[-500:])

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
