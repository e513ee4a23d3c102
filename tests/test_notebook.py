"""The notebook for Colab: whole, small, and every cell that needs no network, GPU or Colab runs."""

import sys

import pytest
from conftest import REPO

nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
sys.path.insert(0, str(REPO / "docs"))
import notebook  # noqa: E402


@pytest.fixture(scope="module")
def book():
    return nbformat.read(notebook.NOTEBOOK, as_version=4)


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def printed(cell) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_what_is_committed_is_whole_and_small(book):
    nbformat.validate(book)
    text = notebook.NOTEBOOK.read_text("utf-8")
    assert len(text) < 300_000
    assert not any(place in text for place in ("/tmp/", "/home/", "/root/", "\\u001b", "Traceback"))
    for cell in code(book):
        assert {*cell.metadata.get("tags", ())} <= {*notebook.SKIPPED, "parameters"}
        skipped = bool(notebook.missing(cell))
        assert printed(cell).startswith("Skipped here: it needs") == skipped, cell.source
        assert not any(output.output_type == "error" for output in cell.outputs)


def test_it_goes_the_whole_way(book):
    sources = "\n".join(cell.source for cell in code(book))
    for command in ("predict", "prepare folder", "prepare coco", "train", "eval", "export"):
        assert f"!colorize {command}" in sources
    for part in ("--preset finetune", "--preset baseline", "--preset default", "%tensorboard"):
        assert part in sources
    (parameters,) = (c for c in code(book) if "parameters" in c.metadata.get("tags", ()))
    assert all(f"{name} = " in parameters.source for name in notebook.SMALL)


def test_commands_that_fail_stop_it(tmp_path, monkeypatch):
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("!exit 3\nprint('on')")])
    nbformat.write(bad, tmp_path / "bad.ipynb")
    monkeypatch.setattr(notebook, "NOTEBOOK", tmp_path / "bad.ipynb")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="3"):
        notebook.executed(tmp_path)


def test_lines_that_were_written_over_are_not_kept():
    assert notebook._plain("a\r\n0%\r\x1b[2K50%\r100%\r\nb  \n") == "a\n100%\nb\n"


@pytest.mark.slow
def test_it_runs(tmp_path, in_path, book):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    done = notebook.executed(tmp_path)
    work = tmp_path / "work"
    for before, after in zip(code(book), code(done), strict=True):
        assert after.source == before.source
        kinds = [[output.output_type for output in cell.outputs] for cell in (before, after)]
        assert kinds[0] == kinds[1], after.source
    shown = "".join(map(printed, code(done)))
    assert notebook.FRAME in shown and "psnr ↑" in shown
    assert len(list((work / "coloured").iterdir())) == 4
    assert {p.name for p in (work / "runs").iterdir()} >= {"mine", "baseline", "default"}
    assert (work / "mine.tflite").stat().st_size > 1e6
