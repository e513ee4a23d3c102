"""The shape of the package: layers, tables, and what a quick command may load."""

import ast
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import REPO

PACKAGE = REPO / "colorcli"
LAYERS = (
    "errors", "native", "config", "settings", "shares", "lab", "bins", "decoding", "losses", "interpreter", "layers", "backbones", "atomic", "lock", "files", "targets", "download",
    "listing", "tfrecord", "interrupt", "pipeline", "provenance", "icc", "metadata", "refusals", "whole", "kinds", "deep", "netpbm", "tiff", "tiff_writing", "jp2", "jpeg", "bitmap", "psd", "raw", "vips", "planes", "pillow", "images", "encoding", "strips", "metrics", "coco", "aging", "model",
    "packing", "schema_1", "model_dir", "engine", "framing", "colorizer", "dataset", "mixture", "enlargement", "duplicates", "rims", "samples",
    "pool", "blocks", "prepare", "feed", "devices", "partners", "schedule", "initial", "validation", "journal",
    "checkpoints", "step", "tail", "spent", "resume", "train", "intake", "predict",
    "runtimes", "bootstrap", "protocols", "perceptual", "sources", "evaluate", "records", "page",
    "photographs", "graphs", "formats", "cards", "export", "report", "cli", "__main__",
)  # fmt: skip


COMMANDS = ("options", "predict", "prepare", "train", "evaluate", "export", "models", "__init__")


def imported(path, package: str) -> set[str]:
    """Modules of ``package`` that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            names.add(node.module.removeprefix(f"{package}.").split(".")[0])
    return names


def test_every_module_has_a_layer():
    found = {p.stem for p in PACKAGE.glob("*.py")} | {
        p.parent.name for p in PACKAGE.glob("*/__init__.py")
    }
    assert found - {"__init__"} == set(LAYERS)
    assert {p.stem for p in (PACKAGE / "cli").glob("*.py")} == set(COMMANDS)


@pytest.mark.parametrize("module", LAYERS)
def test_imports_point_down(module):
    paths = (
        [path] if (path := PACKAGE / f"{module}.py").is_file() else (PACKAGE / module).glob("*.py")
    )
    names = set().union(*(imported(path, "colorcli") for path in paths)) & {*LAYERS} - {module}
    assert not [name for name in names if LAYERS.index(name) > LAYERS.index(module)]


@pytest.mark.parametrize("module", COMMANDS)
def test_commands_share_options_alone(module):
    allowed = {"__init__": {*COMMANDS} - {"__init__"}, "options": set()}.get(module, {"options"})
    assert imported(PACKAGE / "cli" / f"{module}.py", "colorcli.cli") <= allowed


HEAVY = ("tensorflow", "keras", "cv2", "skimage", "numpy", "PIL", "rich.console")


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_quick_commands_load_nothing_heavy(arguments):
    code = (
        "import sys; from colorcli.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_predict_never_loads_tensorflow(photos, small_model, tmp_path):
    arguments = [
        "predict",
        str(photos / "photo00.png"),
        "-o",
        str(tmp_path),
        "-m",
        str(small_model),
    ]
    code = (
        "import sys; from colorcli.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "print(sorted({'tensorflow', 'keras', 'skimage', 'h5py'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert (tmp_path / "photo00.png").is_file()


def test_names_in_config_are_the_tables_keys():
    from colorcli import (
        backbones,
        cards,
        config,
        encoding,
        engine,
        formats,
        graphs,
        losses,
        model_dir,
        perceptual,
        protocols,
    )

    assert tuple(backbones.BACKBONES) == config.BACKBONE_NAMES
    assert tuple(losses.LOSSES) == config.LOSS_NAMES
    assert tuple(encoding.FORMATS) == config.IMAGE_FORMATS
    read = [encoding.SUFFIXES[f".{n}"] for n in config.IMAGE_FORMATS + config.FORMAT_ALIASES]
    assert tuple(read) == (*config.IMAGE_FORMATS, "jpeg", "tiff")
    assert tuple(formats.FORMATS) == tuple(cards.RUNTIMES) == config.EXPORT_FORMATS
    assert {p for f in formats.FORMATS.values() for p in f.precisions} == set(
        config.EXPORT_PRECISIONS
    )
    assert tuple(graphs.SIGNATURES) == config.EXPORT_SIGNATURES
    assert tuple(protocols.GRAYS) == config.GRAYS
    assert tuple(perceptual.PERCEPTUAL) == config.PERCEPTUAL_METRICS
    assert tuple(engine.FILES) == model_dir.EXPORTED
    assert tuple(engine.ENGINES) == config.DEVICES


@pytest.mark.parametrize("made", ["commands.md", "colorize.1"])
def test_documents_are_what_the_program_says(made):
    maker = {"commands.md": "commands.py", "colorize.1": "manpage.py"}[made]
    done = subprocess.run(
        [sys.executable, REPO / "docs" / maker], capture_output=True, text=True, check=True
    )
    assert done.stdout == (REPO / "docs" / made).read_text(), "run make docs"


@pytest.mark.parametrize("command", ["groff -man -ww -Tutf8", "man --warnings -l"])
def test_manual_page_renders_without_a_warning(command):
    program, *options = command.split()
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [program, *options, REPO / "docs" / "colorize.1"], capture_output=True, check=True,
        env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.stderr == b""
    shown = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout.decode())
    for words in ("colorize prepare folder", "--temperature float", "EXIT STATUS", "130"):
        assert words in shown
