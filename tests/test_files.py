import os

import pytest

from colorcli.errors import DataError, UsageError
from colorcli.files import Source, find, plan, stream, write_atomic

SUFFIXES = (".jpg", ".png")


@pytest.fixture
def tree(tmp_path):
    for name in ("a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg", ".hidden.jpg", "Thumbs.db", "x.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    os.symlink(tmp_path / "in", tmp_path / "in" / "sub" / "loop")
    return tmp_path / "in"


def relative(found):
    return [str(s.relative) for s in found.sources]


def test_folder_flat_and_recursive(tree):
    assert relative(find([str(tree)], SUFFIXES)) == ["a.jpg", "b.png"]
    assert relative(find([str(tree)], SUFFIXES, recursive=True)) == [
        "a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize("recursive", [False, True])
def test_a_stream_names_what_find_does(tree, recursive):
    inputs = [str(tree), str(tree / "sub" / "*.jpg"), str(tree / "x.txt"), str(tree / "none")]
    met = list(stream(iter(inputs), SUFFIXES, recursive=recursive))
    found = find(inputs, SUFFIXES, recursive=recursive)
    assert {path for path, message in met if not message} == {str(s.path) for s in found.sources}
    assert [(p, m) for p, m in met if m] == [
        (str(tree / "none"), "no such file or folder, and no file matches it; check the path")
    ]
    (tree / "empty").mkdir()
    assert list(stream([str(tree / "empty")], SUFFIXES)) == [
        (str(tree / "empty"), "no photographs in this folder; -r looks into folders below it")
    ]


def test_each_photograph_once_and_globs(tree):
    twice = find([str(tree), str(tree / "a.jpg"), str(tree / "**" / "*.jpg")], SUFFIXES)
    assert sorted(relative(twice)) == ["a.jpg", "a.jpg", "b.png", "c d.jpg"]


def test_inputs_that_name_nothing_are_failures_beside_the_rest(tree, tmp_path):
    (tmp_path / "none").mkdir()
    found = find(
        [str(tmp_path / "no.jpg"), str(tmp_path / "none"), str(tmp_path / "*.gif"), str(tree)],
        SUFFIXES,
    )
    assert len(found.failures) == 3 and len(found.sources) == 2


def test_plan_default_folder_file_and_suffix(tmp_path):
    source = Source(tmp_path / "a.jpg", tmp_path.relative_to(tmp_path) / "sub" / "a.jpg")
    target = lambda *a, **k: plan([source], *a, **k)[0][0].target  # noqa: E731
    assert target(None) == tmp_path / "a-color.jpg"
    assert target(None, suffix=".png") == tmp_path / "a-color.png"
    assert target(str(tmp_path / "o")) == tmp_path / "o" / "sub" / "a.jpg"
    assert target(str(tmp_path / "o.png"), file_suffixes=SUFFIXES) == tmp_path / "o.png"


def test_plan_refuses_before_work(tree, tmp_path):
    both = [Source(tree / "a.jpg", tree.relative_to(tree) / "a.jpg"),
            Source(tree / "sub" / "a.jpg", tree.relative_to(tree) / "a.jpg")]  # fmt: skip
    with pytest.raises(UsageError, match="both"):
        plan(both, str(tmp_path / "out"))
    with pytest.raises(UsageError, match="replace a source"):
        plan(both[:1], str(tree), overwrite=True)
    with pytest.raises(UsageError, match="one file cannot hold"):
        plan(both, str(tmp_path / "o.jpg"), file_suffixes=SUFFIXES)
    write_atomic(tmp_path / "out" / "a.jpg", b"old")
    with pytest.raises(UsageError, match="exists already"):
        plan(both[:1], str(tmp_path / "out"))
    assert len(plan(both[:1], str(tmp_path / "out"), skip_existing=True)[1]) == 1
    assert len(plan(both[:1], str(tmp_path / "out"), overwrite=True)[0]) == 1


def test_write_atomic_leaves_nothing_behind(tmp_path):
    write_atomic(tmp_path / "x" / "f", b"data")
    assert (tmp_path / "x" / "f").read_bytes() == b"data"
    with pytest.raises(DataError, match="cannot be written"):
        write_atomic(tmp_path / "x" / "f" / "g", b"data")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError):
        write_atomic(tmp_path / "folder", b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "x"]
