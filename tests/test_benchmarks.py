"""Benchmarks and what draws docs/: nobody runs them daily, so they break when a name moves.

Each answers ``--help``; what of the package they name, also in programs they hold as text, is there,
and takes the keywords it is called with. All of it without TensorFlow, and mostly without running.
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPO

SCRIPTS = sorted([*(REPO / "benchmarks").glob("*.py"), *(REPO / "docs").glob("*.py")])
PARTS = {"judged.py"}  # of other benchmarks, and no programs
PROGRAMS = [p for p in SCRIPTS if p.parent.name == "benchmarks" and p.name not in PARTS]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_says_what_it_does_before_anything_heavy(path):
    code = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print('heavy' if 'tensorflow' in sys.modules else 'light'))\n"
        "sys.path.insert(0, sys.argv[1].rpartition('/')[0])\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, "--help"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ") and done.stdout.endswith("light\n")


# --- names ---------------------------------------------------------------------------------------


def file_of(module: str) -> Path | None:
    path = REPO.joinpath(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


@functools.cache
def defined(module: str) -> dict[str, ast.AST]:
    """What a module of the package holds, by name, without importing it."""
    tree = ast.parse(file_of(module).read_text("utf-8"))
    held = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node in tree.body:
            held[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            held |= {(a.asname or a.name).split(".")[0]: node for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            held.setdefault(node.id, node)
    return held


def programs(path: Path) -> Iterator[ast.Module]:
    """A script, and every program that it holds as text."""
    tree = ast.parse(path.read_text("utf-8"))
    yield tree
    for node in ast.walk(tree):
        text = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and "import" in text and "colorcli" in text:
            try:
                yield ast.parse(text)
            except SyntaxError:  # words, not a program
                continue


def keywords(node: ast.AST) -> set[str] | None:
    """What a function or a dataclass takes by name; None where that is not to be seen."""
    if isinstance(node, ast.FunctionDef):
        given = node.args
        return None if given.kwarg else {a.arg for a in (*given.args, *given.kwonlyargs)}
    if isinstance(node, ast.ClassDef):
        made = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
        if made:
            return keywords(made[0])
        if not node.bases and "dataclass" in "".join(map(ast.unparse, node.decorator_list)):
            return {f.target.id for f in node.body if isinstance(f, ast.AnnAssign)}
    return None


def missing(tree: ast.Module) -> Iterator[str]:
    """Names of the package in a program that are not there, and keywords that nothing takes."""
    modules, names = {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("colorcli"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if file_of(full):
                    modules[alias.asname or alias.name] = full
                elif file_of(node.module) is None or (
                    node.module != "colorcli" and alias.name not in defined(node.module)
                ):
                    yield full
                elif node.module != "colorcli":
                    names[alias.asname or alias.name] = defined(node.module)[alias.name]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module and node.attr not in {"__name__", "__path__", *defined(module)}:
                yield f"{module}.{node.attr}"
        elif isinstance(node, ast.Call):
            of, target = node.func, None
            if isinstance(of, ast.Name):
                target = names.get(of.id)
            elif isinstance(of, ast.Attribute) and isinstance(of.value, ast.Name):
                target = (
                    defined(modules[of.value.id]).get(of.attr) if of.value.id in modules else None
                )
            taken = keywords(target)
            for keyword in node.keywords if taken is not None else ():
                if keyword.arg and keyword.arg not in taken:
                    yield f"{ast.unparse(of)}({keyword.arg}=)"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_it_takes_from_the_package_is_there(path):
    assert [name for tree in programs(path) for name in missing(tree)] == []


def test_what_is_missing_is_found():
    tree = ast.parse(
        "from colorcli.config.predict import PredictConfig, Gone\n"
        "from colorcli.color import lab\nfrom colorcli.nowhere import x\n"
        "PredictConfig(workers=1, odd=2)\nlab.gray_to_L(1)\nlab.no_such()\nlab.gray_to_L(grey=1)\n"
    )
    assert sorted(missing(tree)) == [
        "PredictConfig(odd=)", "colorcli.color.lab.no_such", "colorcli.config.predict.Gone",
        "colorcli.nowhere.x", "lab.gray_to_L(grey=)",
    ]  # fmt: skip
