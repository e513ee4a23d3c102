import ntpath
import os
import posixpath

import pytest
from conftest import make

from colorcli.system.files import inputs
from colorcli.system.files.inputs import find, stream

SUFFIXES = {".jpg": ".jpg", ".png": ".png", ".pgm": ".ppm"}


def relative(found):
    return [s.relative for s in found.sources]


def test_folder_flat_and_recursive(tree):
    assert relative(find([str(tree)], SUFFIXES)) == ["a.jpg", "b.png"]
    assert relative(find([str(tree)], SUFFIXES, recursive=True)) == [
        "a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg",
    ]  # fmt: skip


def test_each_photograph_once_however_it_is_named(tree):
    os.symlink(tree / "a.jpg", tree / "link.jpg")
    found = find(
        [str(tree), str(tree / "a.jpg"), str(tree / "**" / "*.jpg"), str(tree / "sub" / ".."),
         str(tree / "link.jpg"), "-", "-"], SUFFIXES,
    )  # fmt: skip
    names = relative(found)
    assert names == ["a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg", "stdin"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", ["a.jpg"]),
        ("*", ["a.jpg", "b.png"]),
        ("*/*.jpg", ["sub/a.jpg", "sub/c d.jpg"]),
        ("**/a.jpg", ["a.jpg", "sub/a.jpg"]),
        ("**", ["a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg"]),
        ("**/sub/**/*.jpg", ["sub/a.jpg", "sub/c d.jpg", "sub/loop/a.jpg"]),  # a link, once
        ("sub/[ac]*.jpg", ["a.jpg", "c d.jpg"]),
        ("*.txt", ["x.txt"]),
        ("s?b/a.*", ["sub/a.jpg"]),
    ],
)
def test_globs_keep_the_folders_that_their_wildcards_match(tree, pattern, names):
    found = find([str(tree / pattern)], SUFFIXES)
    assert relative(found) == names and not found.failures


def test_globs_from_the_working_folder_and_a_literal_bracket(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert relative(find(["**/*.png"], SUFFIXES)) == ["b.png"]
    make(tree, "scan[1].jpg")
    assert relative(find(["scan[1].jpg"], SUFFIXES)) == ["scan[1].jpg"]
    listed = find([], SUFFIXES, listed=["*.jpg", "-"])
    assert [name for name, _ in listed.failures] == ["*.jpg", "-"]  # names, no patterns


def test_inputs_that_name_nothing_are_entries_in_their_place(tree, tmp_path):
    (tmp_path / "none").mkdir()
    os.symlink(tmp_path / "gone", tmp_path / "dangling.jpg")
    given = [str(tmp_path / n) for n in ("no.jpg", "in", "none", "*.gif", "dangling.jpg")]
    found = find([*given, "nul\0.jpg"], SUFFIXES)
    assert [entry.error is None for entry in found.entries] == [
        False, True, True, False, False, False, False,
    ]  # fmt: skip
    assert "leads nowhere" in dict(found.failures)[given[4]]
    assert "-r" in dict(found.failures)[given[2]]


@pytest.mark.parametrize("address", ["https://a.example/b.jpg", "http://a.example/b?c=[1]"])
def test_addresses_are_answered_with_a_remedy(address):
    ((path, error),) = find([address], SUFFIXES).failures
    assert path == address and "download it first" in error


def test_odd_names_come_through_whole(tmp_path):
    names = [b"with space.jpg", b"new\nline.jpg", b"-dash.jpg", b"caf\xe9.jpg", "é.jpg".encode()]
    make(tmp_path, *names)
    found = find([str(tmp_path)], SUFFIXES)
    assert sorted(os.fsencode(s.relative) for s in found.sources) == sorted(names)
    assert all(os.path.isfile(s.path) for s in found.sources)


def test_results_of_an_earlier_run_are_no_photographs(tmp_path):
    make(tmp_path, "a.jpg", "a-color.jpg", "a-color-color.png", "own-color.jpg", "sub/a-color.jpg")
    found = find([str(tmp_path)], SUFFIXES, recursive=True)
    assert relative(found) == ["a.jpg", "own-color.jpg", "sub/a-color.jpg"]
    assert [os.path.basename(p) for p in found.results] == ["a-color-color.png", "a-color.jpg"]
    named = [str(tmp_path / n) for n in ("a-color.jpg", "a.jpg")]
    assert relative(find(named, SUFFIXES)) == ["a.jpg"]
    assert relative(find(named[:1], SUFFIXES)) == ["a-color.jpg"]  # asked for, alone


def test_the_output_folder_is_not_searched(tmp_path):
    make(tmp_path, "a.jpg", "out/a.jpg", "out/deep/b.jpg")
    out = str(tmp_path / "out")
    assert relative(find([str(tmp_path)], SUFFIXES, recursive=True, leave_out=out)) == ["a.jpg"]
    assert relative(find([out], SUFFIXES, leave_out=out)) == ["a.jpg"]  # given itself


def test_special_files_in_folders_are_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    make(tmp_path, "a.jpg")
    assert relative(find([str(tmp_path)], SUFFIXES)) == ["a.jpg"]


def test_a_photograph_in_a_folder_whose_link_leads_nowhere_is_told(tmp_path):
    make(tmp_path, "a.jpg")
    for name in ("b.jpg", "b.txt"):
        os.symlink(tmp_path / "gone", tmp_path / name)
    found = find([str(tmp_path)], SUFFIXES)
    assert relative(found) == ["a.jpg"]
    ((path, said),) = found.failures
    assert path == str(tmp_path / "b.jpg") and "leads nowhere" in said


@pytest.mark.parametrize("recursive", [False, True])
def test_a_stream_names_what_find_does(tree, recursive):
    inputs = [str(tree), str(tree / "sub" / "*.jpg"), str(tree / "x.txt"), str(tree / "none")]
    met = list(stream(iter(inputs), SUFFIXES, recursive=recursive))
    found = find(inputs, SUFFIXES, recursive=recursive)
    assert {s.path for s in met if not s.error} == {s.path for s in found.sources}
    assert [(s.path, s.error) for s in met if s.error] == list(found.failures)


def test_files_passed_over_for_their_suffix_are_counted_once(tree):
    (tree / "sub" / "notes.md").write_bytes(b"x")
    (tree / "clip.mp4").write_bytes(b"x")
    found = find([str(tree), str(tree / "sub"), str(tree / "x.txt")], {".jpg", ".png"})
    assert found.others == 2  # x.txt is named outright; hidden and junk files do not count
    assert find([str(tree / "a.jpg")], {".jpg"}).others == 0
    empty = find([str(tree)], {".gif"})
    assert "no photographs in this folder, but 4 files with other suffixes" in empty.failures[0][1]


@pytest.mark.parametrize(("pattern", "system", "start", "parts"), [
    (r"C:\scans\**\*.tif", ntpath, "C:\\", ["scans", "**", "*.tif"]),
    ("C:/scans/*.tif", ntpath, "C:\\", ["scans", "*.tif"]),
    ("scans/old\\*.tif", ntpath, "", ["scans", "old", "*.tif"]),
    (r"\\server\share\x\*.tif", ntpath, "\\\\server\\share\\", ["x", "*.tif"]),
    ("/a//b/*.tif", posixpath, "/", ["a", "b", "*.tif"]),
    ("a\\*.tif", posixpath, "", ["a\\*.tif"]),
    ("s3://bucket/a/*.tif", ntpath, "s3://bucket/", ["a", "*.tif"]),
])  # fmt: skip
def test_patterns_are_taken_apart_as_the_system_does(pattern, system, start, parts):
    assert inputs._parts(pattern, system) == (start, parts)


def test_backslashes_of_a_list_from_windows_mean_folders(tree, monkeypatch):
    monkeypatch.chdir(tree)
    (tree / "sub").mkdir(exist_ok=True)
    (tree / "sub" / "old one.jpg").touch()
    (found,) = find([], SUFFIXES, listed=["sub\\old one.jpg"]).entries
    assert found.error is None and found.path == "sub/old one.jpg"
    (tree / "sub\\old one.jpg").touch()  # a name of its own here
    (found,) = find([], SUFFIXES, listed=["sub\\old one.jpg"]).entries
    assert found.path == "sub\\old one.jpg"
    (missing,) = find([], SUFFIXES, listed=["sub\\none.jpg"]).entries
    assert missing.path == "sub\\none.jpg" and "no such file" in missing.error
