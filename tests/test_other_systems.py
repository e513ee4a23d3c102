"""What other systems lack is not needed: modules, calls, signals, UTF-8 on the console, a wheel."""

import json
import os

import numpy as np
import pytest
from conftest import REPO, scene
from PIL import Image

POOR = """
import os, signal, sys
sys.modules.update(dict.fromkeys(["fcntl", "resource", "pwd", "grp", "termios"]))
for name in ("sched_getaffinity", "memfd_create", "sysconf", "fork"):
    if hasattr(os, name): delattr(os, name)
for name in ("SIGHUP", "SIGPIPE"):
    if hasattr(signal, name): delattr(signal, name)
"""
NO_WHEEL = "\nsys.modules['ai_edge_litert'] = None\n"


@pytest.fixture
def poor(tmp_path):
    def environment(more=""):
        (tmp_path / "site").mkdir(exist_ok=True)
        (tmp_path / "site" / "sitecustomize.py").write_text(POOR + more)
        path = os.pathsep.join([str(tmp_path / "site"), str(REPO)])
        return {"PYTHONPATH": path, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}

    return environment


def test_it_colours_without_what_is_posix_alone(colorize, small_model, tmp_path, poor):
    name = "Großmutter 祖母.png"
    Image.fromarray(scene(1)[..., 0]).save(tmp_path / name)
    done = colorize(
        "predict", tmp_path / name, "-m", small_model, "-o", tmp_path / "out/", "--json", "-v",
        env=poor(),
    )  # fmt: skip
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    assert json.loads(done.stdout)["status"] == "done" and (tmp_path / "out" / name).is_file()
    listed = tmp_path / "list.txt"
    listed.write_bytes(f"{tmp_path / name}\r\n".encode())
    again = colorize(
        "predict", "--files-from", listed, "-m", small_model, "-o", tmp_path / "two/", env=poor()
    )
    assert again.returncode == 0, again.stderr


def test_without_the_light_runtime_tensorflow_serves(colorize, small_model, tmp_path, poor):
    Image.fromarray(scene(1)[..., 0]).save(tmp_path / "a.png")
    done = colorize(
        "predict", tmp_path / "a.png", "-m", small_model, "-o", tmp_path / "b.png",
        env=poor(NO_WHEEL),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = colorize("predict", tmp_path / "a.png", "-m", small_model, "-o", tmp_path / "c.png")
    assert here.returncode == 0
    one, other = (
        np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("b.png", "c.png")
    )
    assert np.abs(one - other).max() <= 2  # kernels differ in their last bits
