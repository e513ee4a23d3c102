"""Run notebooks/colorize.ipynb on a CPU, offline, on a few photographs, and write what came of it into it.

python docs/notebook.py      (make notebook; needs colorcli[test])
"""

import json
import os
import re
import signal
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "colorize.ipynb"
# Tags of cells that do not run everywhere, and what they need.
SKIPPED = {"network": "the network", "gpu": "a GPU", "colab": "Colab"}
# What its cell of parameters says otherwise here: that training runs is shown, not what it brings.
SMALL = {"COCO": "data/mine", "FINETUNE": "--steps 2 --batch 4", "TRAIN": "--steps 2 --batch 4"}
SECONDS = 1200  # that a cell may take
FRAME = "TensorBoard: in a frame here while it runs.\n"
_COMMAND = re.compile(r"^!.*$", re.MULTILINE)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def missing(cell: Mapping) -> str:
    """What a cell needs that is not everywhere; "" for one that runs."""
    tags = cell.metadata.get("tags", ())
    return " and ".join(need for tag, need in SKIPPED.items() if tag in tags)


def _runnable(cell: Mapping, values: Mapping[str, str]) -> str:
    """The source of a cell as it runs here. A command that fails is to stop it, as it does not by itself."""
    if missing(cell):
        return ""
    source = _COMMAND.sub(
        lambda line: f"{line[0]}\nif _exit_code: raise SystemExit(_exit_code)", cell.source
    )
    if "parameters" in cell.metadata.get("tags", ()):
        source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())
    return source


def _plain(text: str) -> str:
    """What is left on the screen of a text that goes back over its lines."""
    lines = _ESCAPE.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in lines)


def _output(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def _told(outputs: list, folder: str) -> list:
    """Outputs of a cell as they are kept: what was printed in one, without what only here is so."""
    framed = [o for o in outputs if "tensorboard-frame" in o.get("data", {}).get("text/html", "")]
    kept = [o for o in outputs if o.output_type != "stream" and o not in framed]
    text = _plain("".join(o.text for o in outputs if o.output_type == "stream"))
    text += FRAME * len(framed)
    return [*([_output(text.replace(folder, "."))] if text.strip() else []), *kept]


def executed(folder: Path, values: Mapping[str, str] = SMALL) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in ``folder / "work"``; raises where a cell fails.

    Skipped cells say so in their output. What TensorBoard a cell began is ended.
    """
    book = nbformat.read(NOTEBOOK, as_version=4)
    sources = [cell.source for cell in book.cells]
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.source = _runnable(cell, values)
    temporary, folder = folder / "tmp", folder / "work"
    temporary.mkdir()
    folder.mkdir()
    # As in an activated environment, whose programs TensorBoard's cell looks for.
    path = f"{os.environ['PATH']}{os.pathsep}{sysconfig.get_path('scripts')}"
    environment = {**os.environ, "TMPDIR": str(temporary), "PATH": path}
    client = NotebookClient(book, timeout=SECONDS, resources={"metadata": {"path": str(folder)}})
    try:
        client.execute(env=environment)
    finally:
        for board in boards(temporary):
            os.kill(board["pid"], signal.SIGTERM)
    for cell, source in zip(book.cells, sources, strict=True):
        cell.source = source
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            need = missing(cell)
            skipped = [_output(f"Skipped here: it needs {need}.\n")]
            cell.outputs = skipped if need else _told(cell.outputs, str(folder))
    return book


def boards(temporary: Path) -> Iterator[dict]:
    """The TensorBoards that were begun with ``temporary`` for such files: their records."""
    for record in (temporary / ".tensorboard-info").glob("pid-*.info"):
        yield json.loads(record.read_text())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        book = executed(Path(folder))
    nbformat.write(book, NOTEBOOK)


if __name__ == "__main__":
    main()
