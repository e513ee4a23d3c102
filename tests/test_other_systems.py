"""What other systems lack is not needed: modules, calls, signals, UTF-8 on the console, a wheel."""

import io
import json
import os
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from conftest import REPO, saved, scene
from PIL import Image

POOR = """
import builtins, io, os, signal, sys
sys.modules.update(dict.fromkeys(["fcntl", "resource", "pwd", "grp", "termios"]))
for name in ("sched_getaffinity", "memfd_create", "sysconf", "fork"):
    if hasattr(os, name): delattr(os, name)
for name in ("SIGHUP", "SIGPIPE"):
    if hasattr(signal, name): delattr(signal, name)

def without_devices(opened):
    def wrapped(name, *arguments, **options):
        if str(name).startswith(("/dev/", "/proc/", "/sys/")) and name != os.devnull:
            raise FileNotFoundError(2, "No such file or directory", name)
        return opened(name, *arguments, **options)
    return wrapped

os.open = without_devices(os.open)
builtins.open = io.open = without_devices(open)
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


@pytest.fixture
def begun(poor):
    """Starts a command that goes on until a signal, in the poor environment; reads lines of it."""
    running = []

    def begin(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "colorcli", *map(str, arguments)], bufsize=0,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **poor()},
        )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ended(process) -> bytes:
    """What a command still says after the signal that ends it well."""
    process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and b"Traceback" not in stderr, stderr
    return stderr


def test_a_folder_is_watched(begun, small_model, tmp_path):
    (tmp_path / "in").mkdir()
    name = "Großmutter 祖母.png"
    Image.fromarray(scene(1)[..., 0]).save(tmp_path / "in" / name)
    process = begun(
        "predict", tmp_path / "in", "-o", tmp_path / "out/", "-m", small_model, "--watch",
        "--settle", "0.1", "--json",
    )  # fmt: skip
    assert json.loads(process.stdout.readline())["status"] == "done"
    assert (tmp_path / "out" / name).is_file()
    ended(process)


def test_it_serves(begun, small_model):
    pytest.importorskip("uvicorn", reason="needs colorcli[serve]")
    process = begun("serve", "-m", small_model, "--port", "0")
    url = process.stderr.readline().decode().split()[1]
    picture = saved(Image.fromarray(scene(1)[..., 0]), "JPEG")
    request = urllib.request.Request(
        f"{url}colorize", picture, {"Content-Type": "image/jpeg"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        assert Image.open(io.BytesIO(answer.read())).mode == "RGB"
    ended(process)


def test_films_and_frames(colorize, small_model, tmp_path, poor):
    av = pytest.importorskip("av", reason="films need PyAV (colorcli[video])")
    with av.open(str(tmp_path / "Straße.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
        for i in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(scene(1 + i // 2), format="rgb24")))
        out.mux(stream.encode())
    for i in range(3):
        Image.fromarray(scene(1)[..., 0]).save(tmp_path / f"frame_{i}.png")
    film, frames = tmp_path / "Straße.mkv", tmp_path / "frame_%d.png"
    for source, output in ((film, "film.mkv"), (frames, "frames/")):
        done = colorize(
            "predict", source, "-m", small_model, "-o", tmp_path / output, "--json", env=poor()
        )
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    assert (tmp_path / "film.mkv").is_file() and len(list((tmp_path / "frames").iterdir())) == 3


def test_models_are_added_and_sets_prepared(colorize, photos, small_model, tmp_path, poor):
    environment = {**poor(), "COLORIZE_MODELS": str(tmp_path / "Modelle für祖母")}
    for arguments in (
        ("models", "add", small_model, "--name", "mine"),
        ("predict", photos / "gray.png", "-m", "mine", "-o", tmp_path / "x.png"),
        ("models", "remove", "mine"),
        ("prepare", "folder", photos, "-o", tmp_path / "data", "--min-side", "32", "-q"),
        ("eval", tmp_path / "data", "--split", "train", "-m", small_model, "--json"),
    ):
        done = colorize(*arguments, env=environment)
        assert done.returncode == 0 and b"Traceback" not in done.stderr, (arguments, done.stderr)


@pytest.mark.slow
def test_it_trains_and_exports(colorize, photos, tmp_path, poor):
    for arguments in (
        ("prepare", "folder", photos, "-o", "data", "--min-side", "32", "--val-fraction", "0.2"),
        ("train", "data", "-o", "run", "--steps", "2", "--batch", "4", "--preset", "finetune"),
        ("train", "data", "-o", "run", "--steps", "2", "--batch", "4", "--preset", "finetune"),
        ("export", "-m", "run", "-o", "mine.tflite"),
    ):
        done = colorize(*arguments, env=poor(), cwd=tmp_path)
        assert done.returncode == 0 and b"Traceback" not in done.stderr, (arguments, done.stderr)
    assert (tmp_path / "mine.tflite").is_file()


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
