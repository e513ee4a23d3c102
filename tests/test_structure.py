"""The shape of the package: rooms, layers, tables, and what a quick command may load."""

import ast
import graphlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO

from colorcli import cli

PACKAGE = REPO / "colorcli"
# From the bottom up; what stands in one row does not know each other.
LAYERS = (
    ("color", "system"), ("config", "system.files", "imaging"), ("network",), ("colorizing",), ("data",),
    ("evaluation",), ("training",), ("exporting",), ("extras.video", "extras.scale", "extras.serving"),
    ("cli",), ("__main__",),
)  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FOLDERS = sorted(p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py")))
SHIPPED = {"models"}  # folders without code
BARE = [name for name in FOLDERS if name != "cli"]


def modules(folder: Path = PACKAGE) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if p != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path): path for path in modules()}


def imports(path: Path) -> set[str]:
    """Full names of the package's modules that a file imports, at the top or later."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "colorcli"}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports name the full path"
            if (node.module or "").split(".")[0] == "colorcli":
                full = {f"{node.module}.{a.name}" for a in node.names}
                found |= {name if name in NAMES else node.module for name in full}
    return found - {"colorcli"}


def room(name: str) -> str:
    """The longest name in ``LEVEL`` that a module lies in."""
    inside = name.removeprefix("colorcli.")
    return max((r for r in LEVEL if f"{inside}.".startswith(f"{r}.")), key=len, default=inside)


def test_every_room_has_a_layer_and_few_modules():
    assert {room(name) for name in NAMES} <= {*LEVEL, "extras"}
    # What a checkout holds: rooms that moved away leave a folder of compiled modules behind.
    held = (p.relative_to(PACKAGE) for p in PACKAGE.rglob("*") if p.is_file())
    shown = {path.parts[0] for path in held if "__pycache__" not in path.parts}
    assert len(shown) <= 16, sorted(shown)
    assert shown == {*FOLDERS, "__init__.py", "__main__.py", "py.typed"} | (SHIPPED & shown)
    for folder in {path.parent for path in modules()} - {PACKAGE}:
        names = [p.stem for p in folder.glob("*.py") if p.stem != "__init__"]
        rooms = [path.parent for path in folder.glob("*/__init__.py")]
        assert (names or rooms) and len(names) <= 10, f"{folder}: {names}"
        assert (folder / "__init__.py").is_file(), folder


@pytest.mark.parametrize("folder", BARE)
def test_a_room_says_what_it_does_and_nothing_else(folder):
    for path in (PACKAGE / folder).rglob("__init__.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert len(tree.body) == 1 and len(ast.get_docstring(tree).split(".\n")) >= 2, path


@pytest.mark.parametrize("layer", LEVEL)
def test_imports_point_down(layer):
    mine = [path for name, path in NAMES.items() if room(name) == layer]
    assert mine
    for path in mine:
        rooms = {room(name) for name in imports(path)} - {layer}
        assert not {r for r in rooms if LEVEL[r] >= LEVEL[layer]}, path


def test_no_module_imports_itself_by_a_detour():
    graph = {name: imports(path) - {name} for name, path in NAMES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, and names the cycle


PARTS = "cli.running"  # of one command, that are too many for a module


def test_commands_share_options_and_terminal_alone():
    shared = {f"colorcli.cli.{name}" for name in ("options", "parsing", "terminal")}
    for path in (PACKAGE / "cli").glob("*.py"):
        if path.stem != "__init__":
            others = {name for name in imports(path) if room(name) == "cli" and PARTS not in name}
            assert others <= (set() if name_of(path) in shared else shared), path


def test_tests_mirror_the_package():
    for folder in {p.parent.relative_to(REPO / "tests") for p in (REPO / "tests").rglob("*.py")}:
        assert (PACKAGE / folder / "__init__.py").is_file(), folder
    names = [p.name for p in (REPO / "tests").rglob("test_*.py")]
    assert len(names) == len({*names})  # pytest imports them by their last name


HEAVY = (
    "tensorflow",
    "keras",
    "cv2",
    "skimage",
    "numpy",
    "h5py",
    "PIL",
    "rich.console",
    "pydantic",
    *(EXTRAS := ("ray", "fsspec", "av", "starlette")),
)
LOADED = f"""
import atexit, json, os, sys
def loaded():
    found = sorted(set({HEAVY!r}) & set(sys.modules))
    with open(os.environ["LOADED"], "w") as file:
        json.dump({{"ours": "colorcli.cli" in sys.modules, "heavy": found}}, file)
atexit.register(loaded)
"""


def run(code: str, tmp_path: Path, **environment: str) -> tuple[str, list[str]]:
    """What a process prints, and which heavy modules it had loaded when it ended."""
    loaded = tmp_path / "loaded.json"
    done = subprocess.run(
        [sys.executable, "-c", LOADED + code], capture_output=True, text=True, check=True,
        env={**os.environ, "LOADED": str(loaded), **environment},
    )  # fmt: skip
    told = json.loads(loaded.read_text())
    assert told["ours"]
    return done.stdout, told["heavy"]


MAIN = "from colorcli.cli import main\nsys.argv = ['colorize', *{!r}]\nmain()\n"


COMMANDS = sorted({module.partition(":")[0] for module in cli.COMMANDS.values()})


def test_the_import_of_commands_and_tables_of_names_loads_nothing_heavy(tmp_path):
    names = [*(f"cli.{name}" for name in COMMANDS), "exporting.formats.table", "data.sources.table"]
    code = "".join(f"import colorcli.{name}\n" for name in names)
    assert run(code, tmp_path) == ("", [])


COMMANDS_LOADED = """
atexit.register(lambda: print(*[n for n in sorted(sys.modules) if n.startswith("colorcli.cli.")]))
"""


@pytest.mark.parametrize(
    ("arguments", "modules"), [(["--help"], []), (["models", "--path"], ["models", "options"])]
)
def test_a_command_is_imported_when_it_is_called(arguments, modules, tmp_path):
    said, _ = run(COMMANDS_LOADED + MAIN.format(arguments), tmp_path)
    *shown, loaded = said.splitlines()
    assert shown and loaded.split() == [
        f"colorcli.cli.{m}" for m in [*modules, "parsing", "terminal"]
    ]


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_quick_commands_load_nothing_heavy(arguments, tmp_path):
    said, heavy = run(MAIN.format(arguments), tmp_path)
    assert said and heavy == []


@pytest.mark.parametrize(("typed", "offered"), [
    ("colorize pred", "predict"), ("colorize predict --viv", "--vividness"),
    ("colorize predict --model def", "default"), ("colorize export --format on", "onnx"),
])  # fmt: skip
def test_a_press_of_tab_loads_nothing_heavy(typed, offered, tmp_path):
    said, heavy = run(
        MAIN.format([]), tmp_path, _COLORIZE_COMPLETE="complete_bash", COMP_WORDS=typed,
        COMP_CWORD=str(len(typed.split()) - 1),
    )  # fmt: skip
    assert offered in said.split() and heavy == []


@pytest.mark.parametrize("model", ["bundled", "small"])
def test_predict_never_loads_tensorflow(model, photos, small_model, tmp_path):
    chosen = ["-m", str(small_model)] if model == "small" else []
    values = ["--workers", "1", "--vividness", "0.2", "--quality", "90"]  # Typer's pydantic, too
    arguments = ["predict", str(photos / "photo00.png"), "-o", str(tmp_path), *values, *chosen]
    _, heavy = run(MAIN.format(arguments), tmp_path)
    unasked = {"tensorflow", "keras", "skimage", "h5py", "pydantic", *EXTRAS}
    assert not unasked & {*heavy} and "numpy" in heavy
    assert (tmp_path / "photo00.png").is_file()


MADE = {
    "docs/commands.md": "commands.py", "docs/colorize.1": "manpage.py",
    "colorcli/config/choices.py": "choices.py", "docs/eval-schema.json": "schema.py",
}  # fmt: skip


@pytest.mark.parametrize("made", MADE)
def test_what_is_generated_is_what_the_program_says(made):
    done = subprocess.run(
        [sys.executable, REPO / "docs" / MADE[made]], capture_output=True, text=True, check=True
    )
    assert done.stdout == (REPO / made).read_text(), "run make docs"


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


# --- sizes ---------------------------------------------------------------------------------------

LINES, PARAMETERS, POSITIONAL, MODULE = 60, 7, 5, 400
# Keras makes a layer from its settings by keyword, so that they cannot be a record.
BY_KEYWORD = {"colorcli.network.layers.ConvNorm.__init__"}


def functions(tree, prefix):
    """Every function of a syntax tree with its full name."""
    for node in ast.iter_child_nodes(tree):
        name = f"{prefix}.{node.name}" if hasattr(node, "name") else prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, node
        yield from functions(node, name)


def parameters(node):
    """How many a caller may give; of a method without the instance, of a command none.

    Typer makes a command's options of its parameters.
    """
    if any(re.search("command|configur", ast.unparse(d)) for d in node.decorator_list):
        return 0
    given = node.args
    names = [a.arg for a in (*given.posonlyargs, *given.args)]
    own = names[:1] in (["self"], ["cls"])
    return len(names) - own + len(given.kwonlyargs) + bool(given.vararg) + bool(given.kwarg)


def oversized(name, text):
    """What of a module is larger than a reader should have to take in."""
    tree = ast.parse(text)
    told = "lines: " in (ast.get_docstring(tree) or "")  # why it is long
    if (length := text.count("\n")) > MODULE and not told:
        yield f"{name}: {length} lines"
    for full, node in functions(tree, name):
        if (length := node.end_lineno - node.lineno + 1) > LINES:
            yield f"{full}: {length} lines"
        if full not in BY_KEYWORD and (count := parameters(node)) > PARAMETERS:
            yield f"{full}: {count} parameters"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > POSITIONAL:
            call = ast.unparse(node.func)
            if call != "struct.pack":
                yield f"{name}:{node.lineno}: {call} with {len(node.args)} positional arguments"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_larger_than_a_reader_can_hold(name):
    assert not list(oversized(name, NAMES[name].read_text("utf-8")))


@pytest.mark.parametrize(("code", "words"), [
    ("x = 1\n" * 401, "401 lines"),
    ("def f():\n" + "    x = 1\n" * 60, "m.f: 61 lines"),
    ("class A:\n    def f(self, a, b, c, d, e, f, g, *, h): ...\n", "m.A.f: 8 parameters"),
    ("f(1, 2, 3, 4, 5, 6)\n", "f with 6 positional arguments"),
])  # fmt: skip
def test_what_is_too_large_is_found(code, words):
    assert [line.endswith(words) for line in oversized("m", code)] == [True]
