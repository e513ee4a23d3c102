"""The installation without TensorFlow: what it holds, that it colours, and what it says else."""

import io
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import REPO, saved, scene
from PIL import Image

sys.path.insert(0, str(REPO / "benchmarks"))
from installs import instructions

from colorcli.cli import LARGE_PARTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SMALL = REPO / "requirements-small.txt"
STEPS = instructions((REPO / "Containerfile").read_text())
LEFT_OUT = {"tensorflow", "scikit-image"}


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower()


def test_it_is_the_package_without_what_trains_and_exports():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    lines = SMALL.read_text().splitlines()
    small = [line for line in lines if line and not line.startswith("#")]
    assert small == [d for d in project["dependencies"] if name_of(d) not in LEFT_OUT]
    assert {name_of(d) for d in project["dependencies"]} >= LEFT_OUT
    assert set(LARGE_PARTS.values()) >= LEFT_OUT
    line = next(line for line in lines if "pip install" in line).lstrip("# ")
    assert line in (REPO / "README.md").read_text()


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """An environment whose Python has none of the large parts, nor what comes with them."""
    folder = tmp_path_factory.mktemp("without")
    hidden = [*LARGE_PARTS, "h5py", "scipy", "tensorboard"]
    (folder / "sitecustomize.py").write_text(
        f"import sys; sys.modules.update(dict.fromkeys({hidden}))"
    )
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(REPO)])}


@pytest.fixture
def run(colorize, without, tmp_path):
    return lambda *arguments, **options: colorize(*arguments, env=without, cwd=tmp_path, **options)


def test_it_colours_judges_and_prepares(run, photos, small_model, tmp_path):
    def out(*arguments, **options):
        done = run(*arguments, **options)
        assert done.returncode in (0, 5), done.stderr  # the photographs hold a broken one
        return done

    out("predict", photos, "-o", "out/", "-m", small_model)
    assert len(list((tmp_path / "out").iterdir())) == 49
    gray = saved(Image.fromarray(scene(0)[..., 0]), "PNG")
    assert Image.open(io.BytesIO(out("predict", "-", input=gray).stdout)).mode == "RGB"
    judged = json.loads(out("eval", photos, "--json", "--calibration", "--report", "r.html").stdout)
    assert judged["judged"] == 48
    out("prepare", "folder", photos, "-o", "data/", "--min-side", "32")
    assert json.loads(out("eval", "data/", "--split", "train", "--json").stdout)["judged"] > 10
    assert out("models", "--verify").stdout.strip().endswith(b"whole")
    out("models", "add", small_model, "--name", "mine")
    out("models", "remove", "mine")


@pytest.mark.parametrize("arguments", [
    ("train", "data/", "-o", "run"), ("export", "-o", "x.tflite"), ("export", "-o", "x.onnx"),
    ("predict", "a.png", "--device", "gpu"),
])  # fmt: skip
def test_what_needs_more_says_so_in_one_line(run, arguments, photos, tmp_path):
    shutil.copy(photos / "gray.png", tmp_path / "a.png")
    run("prepare", "folder", photos, "-o", "data/", "--min-side", "32", "-q")
    done = run(*arguments)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert "pip install tensorflow" in lines[0] and not (tmp_path / "run").exists()


# --- the image ---------------------------------------------------------------------------------


def test_the_image_runs_as_nobody_from_stdin_to_stdout():
    names = [name for name, _ in STEPS]
    assert names.count("FROM") == 2
    said = dict(STEPS)
    assert said["USER"] == "65534:65534" and names.index("USER") > names.index("ENV")
    assert json.loads(said["ENTRYPOINT"]) == ["colorize"]
    assert json.loads(said["CMD"]) == ["predict", "-"]
    copied = [w for name, rest in STEPS if name == "COPY" for w in rest.split()[:-1]]
    ours = [word for word in copied if not word.startswith(("--from", "/"))]
    let_in = (REPO / ".containerignore").read_text().splitlines()
    assert ours and all((REPO / word).exists() and f"!{word}" in let_in for word in ours)
    assert any("requirements-small.txt" in rest for name, rest in STEPS if name == "RUN")


BUILDER = next(filter(shutil.which, ("podman", "buildah")), None)


@pytest.mark.slow
@pytest.mark.skipif(BUILDER is None, reason="needs podman or buildah")
def test_the_image_is_built_and_colours():
    """``COLORIZE_BUILD_OPTIONS``: what building takes on a machine behind walls of its own."""
    base = next(rest.split()[0] for name, rest in STEPS if name == "FROM")
    had = subprocess.run([BUILDER, "inspect", "--type", "image", base], capture_output=True)
    if had.returncode and subprocess.run([BUILDER, "pull", base], capture_output=True).returncode:
        pytest.skip(f"{base} is neither here nor to be had")
    options = os.environ.get("COLORIZE_BUILD_OPTIONS", "").split()
    trial = subprocess.run(
        [BUILDER, "build", *options, "-f", "-", "-t", "colorize-trial", REPO / "completions"],
        input=f"FROM {base}\nRUN true\n", capture_output=True, text=True,
    )  # fmt: skip
    if trial.returncode:  # a machine on which no container starts says nothing of ours
        pytest.skip(f"{BUILDER} starts no container here: {trial.stderr.strip()[-200:]}")
    built = subprocess.run(
        [BUILDER, "build", *options, "-t", "colorize-test", REPO], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr[-2000:]
    if BUILDER == "podman":
        gray = saved(Image.fromarray(scene(0)[..., 0]), "JPEG")
        done = subprocess.run(
            ["podman", "run", "--rm", "-i", "--read-only", "--network", "none", "colorize-test"],
            input=gray, capture_output=True, check=True,
        )  # fmt: skip
        assert Image.open(io.BytesIO(done.stdout)).mode == "RGB"
        size, below = (
            int(
                subprocess.run(
                    ["podman", "image", "inspect", "--format", "{{.Size}}", image],
                    capture_output=True, text=True, check=True,
                ).stdout
            )
            for image in ("colorize-test", base)
        )  # fmt: skip
        # Of 500 MB, 125 are Debian's and Python's; a stand-in for the base may be larger.
        assert size - below <= 375e6 and (size <= 500e6 or below > 125e6)
