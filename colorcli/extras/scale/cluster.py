"""A Ray cluster: joined, asked for its processors, and what of this machine its workers need."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colorcli import __version__
from colorcli.network import model_folder
from colorcli.system.atomic import PART
from colorcli.system.errors import DataError, UsageError, reason
from colorcli.system.parallel import cores

WAIT = 10.0  # seconds for a head to answer
STORE = 256 << 20  # bytes of a cluster begun here for rows: they are small
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0", "RAY_USAGE_STATS_ENABLED": "0",
}  # fmt: skip


class _Ours:
    """Stdout without what Ray's own threads print there: it carries data."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's, unless it is a thread of Ray that writes."""
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return int(self._stream.write(text))


def _knock(address: str | None) -> None:
    """Raise ``DataError`` where nothing listens at HOST:PORT: Ray would wait for it, long."""
    host, colon, port = (address or "").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), WAIT).close()
    except (OSError, ValueError, OverflowError) as error:
        raise DataError(
            f"--address {address}: no Ray cluster can be joined there ({reason(error)}); start one "
            "by: ray start --head"
        ) from None


@contextlib.contextmanager
def joined(address: str | None) -> Iterator[Any]:
    """The module ``ray``, connected meanwhile. Raises ``UsageError``, and ``DataError`` of none there."""
    for name, text in _QUIET.items():
        os.environ.setdefault(name, text)
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray: needs pip install 'colorcli[ray]'") from None
    if address and "://" in address:
        raise UsageError(
            f"--address {address}: give HOST:PORT of the cluster's head, on a machine of the "
            "cluster; from elsewhere by: ray job submit"
        )
    _knock(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        try:
            ray.init(address=address or "auto", **quiet)
        except ConnectionError:
            if address:
                raise
            ray.init(num_cpus=cores(), include_dashboard=False, object_store_memory=STORE, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise DataError(
            f"--address {address or 'auto'}: no Ray cluster can be joined there "
            f"({reason(error)[:200]}); start one by: ray start --head"
        ) from None
    stdout = sys.stdout
    try:
        with contextlib.redirect_stdout(stdout and _Ours(stdout)):
            yield ray
    finally:
        ray.shutdown()


def processors(ray: Any) -> int:
    """Processors that the cluster has at present, at least one."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


# --- what workers need of this machine ---------------------------------------------------------


@dataclass(frozen=True)
class Carried:
    """A model for machines that have not its files: a name, or the files with their names."""

    name: str
    files: dict[str, bytes]

    @classmethod
    def of(cls, model: str) -> Carried:
        """What ``--model`` names. Raises ``ModelError``."""
        if model in model_folder.bundled():
            return cls(model, {})
        path = model_folder.find(model)
        if path.is_file():
            return cls(path.name, {path.name: path.read_bytes()})
        whole = {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}
        return cls(path.name, {f"{path.name}/{name}": data for name, data in whole.items()})

    @contextlib.contextmanager
    def here(self) -> Iterator[str]:
        """What ``--model`` is on this machine meanwhile."""
        if not self.files:
            yield self.name
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, data in self.files.items():
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
            yield str(Path(folder, self.name))


@dataclass(frozen=True)
class Home:
    """Where the command was given: names are relative to ``folder``, ``mark`` is a file in the place
    where results go ("": none), and ``version`` the package's.
    """

    folder: str
    mark: str
    version: str = __version__

    def missing(self) -> str | None:
        """Why this machine cannot work for it, or None; goes into its folder."""
        host = socket.gethostname()
        if self.version != __version__:
            return f"{host} has colorcli {__version__}, not {self.version}; install the same"
        with contextlib.suppress(OSError):
            os.chdir(self.folder)
        if self.mark and not os.path.exists(self.mark):
            return (
                f"{os.path.dirname(self.mark)}: not seen by {host}; all machines need one disk "
                "for it, or an address such as s3://BUCKET/FOLDER/"
            )
        return None


@contextlib.contextmanager
def home(output: str | None) -> Iterator[Home]:
    """A ``Home`` for a ``with`` block; ``output`` is the folder of results where it is on a disk."""
    folder = os.getcwd()
    if output is None:
        yield Home(folder, "")
        return
    try:
        os.makedirs(output, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=PART, dir=output) as mark:
            yield Home(folder, os.path.abspath(mark.name))
    except OSError as error:
        raise DataError(f"{output}: cannot be written: {reason(error)}") from None
