"""Small seeded photographs and one small model folder, made once; who works beside whom."""

import contextlib
import functools
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import settings
from PIL import Image

REPO = Path(__file__).parents[1]

settings.register_profile("ours", deadline=None)  # nothing hangs on who is faster
settings.load_profile("ours")


@functools.cache
def _group(module: str) -> str:
    """Which tests share a worker: those of a module, and all that work with TensorFlow.

    TensorFlow takes all cores and a gigabyte: of several workers (make test: two) one has it.
    """
    path = REPO / module
    heavy = path.parent.name in ("network", "training") or re.search(
        r"^(import|from) (tensorflow|keras)\b", path.read_text("utf-8"), re.MULTILINE
    )
    return "tensorflow" if heavy else module


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_collection_modifyitems(items) -> None:
    items.sort(key=lambda item: _group(_module(item.nodeid)) != "tensorflow")  # the longest first


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(_module(nodeid))

    config.option.loadscopereorder = False
    return ByGroup(config, log)


def scene(seed: int, width: int = 96, height: int = 80) -> np.ndarray:
    """A colourful synthetic photograph (H, W, 3) uint8: sky, ground, a disc, texture."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    sky, ground, disc = random.integers(30, 225, (3, 3))
    image = np.where((y < 0.5)[..., None], sky, ground) * (0.6 + 0.4 * x[..., None])
    inside = (x - random.uniform(0.3, 0.7)) ** 2 + (y - 0.5) ** 2 < 0.06
    image[inside] = disc
    return np.clip(image + random.normal(0, 6, image.shape[:2])[..., None], 0, 255).astype(np.uint8)


def sepia(seed):
    """A scene in brown tones: (H, W, 3) uint8."""
    gray = scene(seed)[..., 0].astype(float)
    return np.clip(gray[..., None] * [1.0, 0.86, 0.67] + [20, 10, 0], 0, 255).astype(np.uint8)


def saved(image: Image.Image, format: str, **options) -> bytes:
    """The file that Pillow writes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options) -> bytes:
    """The TIFF that tifffile writes of an array."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=options.pop("byteorder", "<")) as writer:
        writer.write(pixels, metadata=None, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session", autouse=True)
def shelf(tmp_path_factory) -> Path:
    """An empty folder of added models, instead of the user's."""
    folder = tmp_path_factory.mktemp("shelf") / "models"
    os.environ["COLORIZE_MODELS"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder of 48 colour photographs, one gray, one broken."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(48):
        Image.fromarray(scene(i)).save(folder / f"photo{i:02d}.png")
    Image.fromarray(scene(99)).convert("L").save(folder / "gray.png")
    (folder / "broken.jpg").write_bytes(b"this is no picture")
    return folder


@pytest.fixture(scope="session")
def prepared(photos, tmp_path_factory):
    """Prepares the photographs in twenties, unless told otherwise: options to a data set."""
    from colorcli.config.prepare import PrepareConfig
    from colorcli.data import dataset
    from colorcli.data.prepare import prepare

    def make(**options):
        folder = tmp_path_factory.mktemp("data") / "set"
        paths = sorted(str(p) for p in photos.iterdir())
        prepare(paths, folder, PrepareConfig(**{"shard_images": 20, "workers": 1, **options}))
        return dataset.load(folder)

    return make


@pytest.fixture(scope="session")
def data(prepared):
    """The photographs as a prepared set of three shards and one to validate."""
    return prepared(val_fraction=0.15)


@pytest.fixture
def no_press(monkeypatch) -> None:
    """As on a machine that brings no CMYK profile."""
    from colorcli.imaging import planes
    from colorcli.imaging.tags import icc

    monkeypatch.setattr(planes, "_press", icc.Conversion)


def _once(root: Path, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of this session that one worker makes and all use."""
    from colorcli.system.errors import DataError
    from colorcli.system.lock import alone

    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    while not folder.exists():
        with contextlib.ExitStack() as lock:
            try:
                lock.enter_context(alone(Path(f"{folder}.lock"), folder, "test", "wait for it"))
            except DataError:  # another worker makes it
                time.sleep(0.1)
                continue
            if not folder.exists():
                make(folder)
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    """A model folder of random weights: the real path, a small size."""
    return _once(tmp_path_factory.getbasetemp(), "small", _small_model)


def _small_model(folder: Path) -> None:
    import keras

    from colorcli.color import bins
    from colorcli.config.model import ModelConfig
    from colorcli.network import model_folder
    from colorcli.network.model import build_model

    keras.utils.set_random_seed(0)
    config = ModelConfig(size=64, decoder=(16, 16, 16))
    prior = bins.prior(np.random.default_rng(0).integers(1, 100, len(bins.centres())))
    model_folder.save(build_model(config), config, prior, folder)


@pytest.fixture(scope="session")
def colorize():
    """Run the command as its own process: ``colorize("predict", ..., input=b"")``."""

    def run(*arguments, **options) -> subprocess.CompletedProcess:
        options.setdefault("timeout", 240)
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, "-m", "colorcli", *map(str, arguments)],
            capture_output=True,
            env=environment,
            **options,
        )

    return run


@pytest.fixture
def here():
    """Run the command in this process, which has loaded what it takes: ``here("train", ...)``.

    What the parser refuses is said in its own words, and ``main`` is not there.
    """
    from typer.testing import CliRunner

    from colorcli.cli import app

    return lambda *arguments, **given: CliRunner().invoke(app, [*map(str, arguments)], **given)


@pytest.fixture
def in_path(tmp_path, monkeypatch) -> None:
    """A ``colorize`` in the PATH of shells that is this source tree's."""
    command = tmp_path / "bin" / "colorize"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m colorcli "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(REPO))


def make(root, *names):
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "in"
    make(root, "a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg", ".hidden.jpg", "Thumbs.db", "x.txt")
    make(root, ".hidden/h.jpg", "._a.jpg", "sub/.DS_Store")
    os.symlink(root, root / "sub" / "loop")
    os.symlink(root / "sub", root / "sub" / "again")
    return root
