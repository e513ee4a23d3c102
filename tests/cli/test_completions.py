"""Completion in real shells: the committed script is sourced, and Tab is pressed in a terminal."""

import os
import re
import select
import shutil
import subprocess
import time

import pytest
from conftest import REPO

from colorcli.config.choices import FORMAT_ALIASES, IMAGE_FORMATS

pty = pytest.importorskip("pty", reason="no terminals here")
SHELLS = ("bash", "zsh", "fish")
SUFFIX = {"powershell": "ps1"}  # of the scripts, where it is not the shell's name
INSTALLED = [
    pytest.param(shell, marks=[
        pytest.mark.skipif(not shutil.which(shell), reason="not installed"),
        *([] if shell == "bash" else [pytest.mark.slow]),
    ])
    for shell in SHELLS
]  # fmt: skip
COMMANDS = {"predict", "prepare", "train", "eval", "export", "models", "serve"}


def script(shell: str) -> str:
    return str(REPO / "completions" / f"colorize.{SUFFIX.get(shell, shell)}")


@pytest.mark.parametrize("shell", [*SHELLS, "powershell"])
def test_committed_script_is_what_the_program_writes(shell, colorize):
    done = colorize(env={"_COLORIZE_COMPLETE": f"source_{shell}"})
    with open(script(shell), "rb") as committed:
        assert done.stdout == committed.read(), "run make completions"


@pytest.fixture
def place(in_path, tmp_path, monkeypatch):
    """A working folder with pictures, for shells without their user's settings."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")
    folder = tmp_path / "work"
    (folder / "old prints").mkdir(parents=True)
    (folder / "old prints" / "first one.jpg").touch()
    (folder / "unique.tif").touch()
    return folder


START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {}"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -u -D && source {}"),
}


class Terminal:
    """An interactive shell without its user's settings, that has sourced the script."""

    def __init__(self, shell: str, folder) -> None:
        command, prepare = START[shell]
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, start_new_session=True
        )
        os.close(theirs)
        self.type(f"{prepare.format(script(shell))}; printf '(%s)' ready\n")
        self.until(rb"\(ready\)")

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def until(self, mark: bytes) -> bytes:
        shown, deadline = b"", time.monotonic() + 30
        while not re.search(mark, shown):
            assert time.monotonic() < deadline, shown
            if select.select([self.ours], [], [], 0.1)[0]:
                shown += os.read(self.ours, 65536)
        return shown

    def words(self, typed: str) -> list[str]:
        """The words of the line after Tab: printed by the shell itself, so unquoted."""
        self.type(f"{typed}\t\x01printf '[%s]\\n' \x05 end\n")
        shown = self.until(rb"\[end\]").decode()
        return re.findall(r"\[([^%\]\n]*)\]\r", shown)[:-1]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


TYPED = {
    "colorize pred": ["colorize", "predict"],
    "colorize prepare fo": ["colorize", "prepare", "folder"],
    "colorize predict --viv": ["colorize", "predict", "--vividness"],
    "colorize predict x --format web": ["colorize", "predict", "x", "--format", "webp"],
    "colorize predict --model def": ["colorize", "predict", "--model", "default"],
    "colorize models def": ["colorize", "models", "default"],
    "colorize eval x --with fi": ["colorize", "eval", "x", "--with", "fid"],
    # Files: inputs, folders with blanks, values of options, a model that is no bundled one.
    "colorize predict uni": ["colorize", "predict", "unique.tif"],
    "colorize predict old\\ prints/": ["colorize", "predict", "old prints/first one.jpg"],
    "colorize predict x -o uni": ["colorize", "predict", "x", "-o", "unique.tif"],
    "colorize predict -m ./uni": ["colorize", "predict", "-m", "./unique.tif"],
    "colorize eval --pairs uni": ["colorize", "eval", "--pairs", "unique.tif"],
    "colorize prepare folder uni": ["colorize", "prepare", "folder", "unique.tif"],
}


@pytest.mark.parametrize("shell", INSTALLED)
def test_tab_completes(shell, place):
    if shell == "fish":  # says itself what Tab would give
        for typed, (*_, last) in TYPED.items():
            assert candidates(shell, typed, place) == [last], typed
        return
    terminal = Terminal(shell, place)
    try:
        for typed, words in TYPED.items():
            assert terminal.words(typed) == words
        absolute = f"colorize predict -m {place}/uni"  # once took the program down
        assert terminal.words(absolute)[-1] == f"{place}/unique.tif"
    finally:
        terminal.close()


def candidates(shell: str, typed: str, folder) -> list[str]:
    """All that Tab would offer after a line."""
    if shell == "fish":
        code = f"source {script(shell)}; complete -C '{typed}'"
    else:
        words = typed.split(" ")
        code = (
            f"source {script(shell)}; COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}')\n"
            f"COMP_CWORD={len(words) - 1}; _colorize_completion colorize\n"
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
    plain = {"bash": ["--norc"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *plain, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", [p for p in INSTALLED if "zsh" not in p.values])
def test_everything_is_offered(shell, place):
    assert set(candidates(shell, "colorize ", place)) == COMMANDS
    assert set(candidates(shell, "colorize predict x --format ", place)) == {
        *IMAGE_FORMATS,
        *FORMAT_ALIASES,
    }
    options = set(candidates(shell, "colorize predict --", place))
    assert {"--model", "--output", "--recursive", "--dry-run"} <= options


POWERSHELL = {
    "colorize pred": {"predict"},
    "colorize prepare fo": {"folder"},
    "colorize predict --viv": {"--vividness"},
    "colorize predict x --format web": {"webp"},
    "colorize predict --model def": {"default"},
    "colorize ": COMMANDS,
    "colorize predict uni": set(),  # PowerShell then offers files
}


@pytest.mark.parametrize("typed", POWERSHELL)
def test_what_powershell_is_told(typed, colorize, tmp_path):
    """The script asks with these variables, and takes lines of word, ``:::`` and help."""
    environment = {
        "_COLORIZE_COMPLETE": "complete_powershell", "_TYPER_COMPLETE_ARGS": typed.strip(),
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": typed.rpartition(" ")[2],
    }  # fmt: skip
    with open(script("powershell"), encoding="utf-8") as committed:
        asked = committed.read()
    assert all(name in asked for name in environment) and '-Split ":::"' in asked
    done = colorize(env=environment, cwd=tmp_path)
    lines = [line.split(":::") for line in done.stdout.decode().splitlines() if line]
    assert done.returncode == 0 and {word for word, *_ in lines} == POWERSHELL[typed]
    assert all(len(line) == 2 and line[1] for line in lines)  # PowerShell refuses empty help
