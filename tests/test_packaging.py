"""What a stranger gets: wheel and sdist, and a clean environment that has never seen the sources."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import REPO
from PIL import Image

pytestmark = pytest.mark.slow
LEFT_OUT = (".*", "*.egg-info", "__pycache__")
LEFT_OUT_AT_THE_TOP = ("build", "dist", "data", "runs", "demo")


def left_out(folder: str, names: list[str]) -> set[str]:
    """What of a checkout is not source; ``colorcli/data`` is."""
    patterns = LEFT_OUT + (LEFT_OUT_AT_THE_TOP if Path(folder) == REPO else ())
    return shutil.ignore_patterns(*patterns)(folder, names)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of a wheel that was built from the sdist, as `make wheel` does."""
    pytest.importorskip("build")
    scratch = tmp_path_factory.mktemp("built")
    shutil.copytree(REPO, scratch / "tree", ignore=left_out)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", scratch / "dist", "."],
        cwd=scratch / "tree", capture_output=True, text=True, env=outside(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "absent from the `packages`" not in done.stdout + done.stderr
    return scratch / "dist"


def outside() -> dict[str, str]:
    """The environment without what could lead back to the sources."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}


def test_wheel_holds_the_package_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {
        str(path.relative_to(REPO))
        for path in (REPO / "colorcli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("colorcli/")} == package
    assert {"colorcli/py.typed", "colorcli/models/default/model.tflite"} <= package
    beside = {name.split(".dist-info/")[-1] for name in names - package}
    assert {"licenses/LICENSE", "licenses/colorcli/models/LICENSES.md", "METADATA"} <= beside
    shared = {name.split(".data/data/")[1] for name in names if ".data/data/" in name}
    assert shared == {
        "share/man/man1/colorize.1",
        "share/bash-completion/completions/colorize.bash",
        "share/fish/vendor_completions.d/colorize.fish",
    }
    assert all(".dist-info/" in name or ".data/data/" in name for name in names - package)


def test_what_is_published_describes_itself(built):
    """As the registry will show it: metadata whole, the description rendered without a warning."""
    pytest.importorskip("twine")
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()],
        capture_output=True, text=True, env={**outside(), "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("PASSED") == 2, done.stdout + done.stderr


def test_sdist_can_be_tested_and_rebuilt(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    wanted = {"pyproject.toml", "Makefile", "README.md", "LICENSE", "tests/conftest.py"}
    wanted |= {str(p.relative_to(REPO)) for p in (REPO / "tests").rglob("*.py")}
    wanted |= {str(p.relative_to(REPO)) for p in (REPO / "docs").glob("*") if p.is_file()}
    assert wanted <= names
    assert not {n for n in names if n.startswith(("data/", "runs/", ".")) or n.endswith(".pyc")}


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """A new virtual environment with the wheel; what it depends on is lent by this one."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index",
         "--no-deps", "--disable-pip-version-check", wheel], check=True, env=outside(),
    )  # fmt: skip
    (site,) = home.glob("lib/python*/site-packages")
    # All such folders of this one: it may have others lent to itself.
    lent = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "lent.pth").write_text("\n".join(lent) + "\n")
    return home


def test_installed_wheel_colours_without_the_sources(installed, photos, tmp_path):
    def run(*command: object) -> str:
        done = subprocess.run(
            [str(part) for part in command], cwd=tmp_path, env=outside(), capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(installed / "bin" / "python", "-c", "import colorcli; print(colorcli.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    colorize = installed / "bin" / "colorize"
    told = json.loads(run(colorize, "predict", photos / "gray.png", "-o", "c.png", "--json"))
    assert told["status"] == "done"
    with Image.open(tmp_path / "c.png") as colour:
        assert colour.mode == "RGB" and colour.size == (96, 80)
    (entry,) = map(json.loads, run(colorize, "models", "--json").splitlines())
    assert Path(entry["path"]).is_relative_to(installed)
    assert (installed / "share" / "man" / "man1" / "colorize.1").is_file()
