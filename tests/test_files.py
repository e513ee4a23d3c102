import os
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorcli import files
from colorcli.errors import DataError, UsageError
from colorcli.files import PART, STREAM, Source, atomic, find, plan, stream, sweep, write_atomic

SUFFIXES = {".jpg": ".jpg", ".png": ".png", ".pgm": ".ppm"}


def make(root, *names):
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "in"
    make(root, "a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg", ".hidden.jpg", "Thumbs.db", "x.txt")
    make(root, ".hidden/h.jpg", "._a.jpg", "sub/.DS_Store")
    os.symlink(root, root / "sub" / "loop")
    os.symlink(root / "sub", root / "sub" / "again")
    return root


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


def test_a_hundred_thousand_files_are_planned_in_little_memory(tmp_path):
    for i in range(10):
        (tmp_path / f"{i}").mkdir()
        for j in range(1000):
            os.close(os.open(tmp_path / f"{i}" / f"scan{j:05d}.jpg", os.O_CREAT))
    tracemalloc.start()
    found = find([str(tmp_path)], SUFFIXES, recursive=True)
    jobs = plan(found.entries, str(tmp_path / "out"), copies=SUFFIXES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(jobs) == 10_000
    assert peak / len(jobs) < 1500  # bytes for each: 150 MB for a hundred thousand


def target(source, *arguments, **options):
    return plan([source], *arguments, copies=SUFFIXES, **options)[0].target


def test_plan_default_folder_file_and_suffix(tmp_path):
    source = Source(f"{tmp_path}/a.jpg", "sub/a.jpg")
    assert target(source, None) == f"{tmp_path}/a-color.jpg"
    assert target(source, None, suffix=".png") == f"{tmp_path}/a-color.png"
    assert target(source, f"{tmp_path}/o") == f"{tmp_path}/o/sub/a.jpg"
    assert target(source, f"{tmp_path}/o.png") == f"{tmp_path}/o.png"
    assert target(source, f"{tmp_path}/o.png/") == f"{tmp_path}/o.png/sub/a.jpg"
    assert target(source, "-") == STREAM
    assert target(Source(STREAM, "stdin"), None) == STREAM
    assert target(Source(STREAM, "stdin"), "o") == "o/stdin.png"
    assert target(Source("x.PGM", "x.PGM"), None) == "x-color.ppm"  # gray cannot hold colours
    assert target(Source("x.JPG", "x.JPG"), None) == "x-color.JPG"
    assert target(Source("x", "x"), "o") == "o/x.png"


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("o/{dir}/{stem}_{model}.png", "o/sub/a_small.png"),
        ("o/{stem}.{ext}", "o/a.jpg"),
        ("{dir}/{index:04d}.png", "sub/0001.png"),
        ("o/{{{stem}}}.png", "o/{a}.png"),
        ("{stem}-{ext}.png", "a-jpg.png"),
    ],
)
def test_templates(template, wanted):
    assert target(Source("/x/sub/a.jpg", "sub/a.jpg"), template, model="small") == wanted


@pytest.mark.parametrize(
    "template", ["o/{name}.png", "o/{stem", "o/{stem.__class__}.png", "o/{}.png", "o/{stem!r}.png",
                 "o/{0}.png", "o/{stem:d}.png", "o/}.png"],
)  # fmt: skip
def test_templates_that_cannot_be_filled_name_the_fields(template):
    with pytest.raises(UsageError, match=r"\{stem\} \{ext\} \{dir\} \{model\} \{index\}|index:05d"):
        target(Source("a.jpg", "a.jpg"), template)


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_stem_fills_a_template(stem):
    filled = target(Source(f"/x/{stem}a.jpg", f"{stem}a.jpg"), "o/{dir}/{stem}_{index}.png")
    assert filled == f"o/{stem}a_1.png"


def test_plan_refuses_before_work(tree, tmp_path):
    both = [Source(str(tree / "a.jpg"), "a.jpg"), Source(str(tree / "sub" / "a.jpg"), "a.jpg")]
    with pytest.raises(UsageError, match="both"):
        plan(both, str(tmp_path / "out"), copies=SUFFIXES)
    with pytest.raises(UsageError, match="replace a source"):
        plan(both[:1], str(tree), copies=SUFFIXES, overwrite=True)
    with pytest.raises(UsageError, match="one file cannot hold 2"):
        plan(both, str(tmp_path / "o.jpg"), copies=SUFFIXES)
    with pytest.raises(UsageError, match="one file cannot hold 2"):
        plan(both, STREAM, copies=SUFFIXES)
    write_atomic(tmp_path / "out" / "a.jpg", b"old")
    with pytest.raises(UsageError, match="exists already"):
        plan(both[:1], str(tmp_path / "out"), copies=SUFFIXES)
    assert plan(both[:1], str(tmp_path / "out"), copies=SUFFIXES, skip_existing=True)[0].skip
    assert plan(both[:1], str(tmp_path / "out"), copies=SUFFIXES, overwrite=True)[0].todo


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_source_is_safe_behind_links_too(tree, tmp_path, link):
    (tmp_path / "out").mkdir()
    link(tree / "a.jpg", tmp_path / "out" / "a.jpg")
    with pytest.raises(UsageError, match="replace a source"):
        plan(find([str(tree)], SUFFIXES).entries, str(tmp_path / "out"), overwrite=True,
             copies=SUFFIXES)  # fmt: skip


def test_a_linked_output_folder_is_seen_through(tree, tmp_path):
    os.symlink(tree, tmp_path / "alias")
    with pytest.raises(UsageError, match="replace a source"):
        plan(find([str(tree)], SUFFIXES).entries, str(tmp_path / "alias"), overwrite=True,
             copies=SUFFIXES)  # fmt: skip


def test_names_apart_by_case_only_collide_where_case_is_ignored(monkeypatch):
    sources = [Source("x/A.jpg", "A.jpg"), Source("y/a.jpg", "a.jpg")]
    monkeypatch.setattr(files, "_ignores_case", lambda path: True)
    with pytest.raises(UsageError, match="only by case"):
        plan(sources, "out", copies=SUFFIXES)
    monkeypatch.setattr(files, "_ignores_case", lambda path: False)
    assert len(plan(sources, "out", copies=SUFFIXES)) == 2


def test_failures_and_skipped_keep_their_place(tmp_path):
    entries = [Source("no", "no", "no such file"), Source("a.jpg", "a.jpg")]
    jobs = plan(entries, str(tmp_path), copies=SUFFIXES)
    assert [job.todo for job in jobs] == [False, True] and jobs[0].target == ""


def test_write_atomic_leaves_nothing_behind(tmp_path):
    write_atomic(tmp_path / "x" / "f", b"data")
    assert (tmp_path / "x" / "f").read_bytes() == b"data"
    with pytest.raises(DataError, match="cannot be written"):
        write_atomic(tmp_path / "x" / "f" / "g", b"data")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError):
        write_atomic(tmp_path / "folder", b"data")
    with pytest.raises(DataError, match="name too long"):
        write_atomic(tmp_path / ("n" * 300), b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "x"]


def test_an_atomic_file_can_be_read_and_is_dropped_after_an_error(tmp_path):
    with atomic(tmp_path / "f") as file:
        file.write(b"data")
        file.seek(1)
        assert file.read() == b"ata" and not (tmp_path / "f").exists()
    assert (tmp_path / "f").read_bytes() == b"data"
    for error, told in ((ValueError("bug"), ValueError), (OSError(28, "full"), DataError)):
        with pytest.raises(told), atomic(tmp_path / "f") as file:
            file.write(b"half")
            raise error
    assert os.listdir(tmp_path) == ["f"] and (tmp_path / "f").read_bytes() == b"data"


def test_write_atomic_obeys_umask_and_writes_through_links(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomic(tmp_path / "f", b"data")
    finally:
        os.umask(old)
    assert os.stat(tmp_path / "f").st_mode & 0o777 == 0o640
    os.symlink(tmp_path / "f", tmp_path / "link")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "f").read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    assert target(Source("a.jpg", "a.jpg"), str(tmp_path / "pipe")) == str(tmp_path / "pipe")
    write_atomic(tmp_path / "pipe", b"through")
    assert reader.communicate(timeout=20)[0] == b"through" and (tmp_path / "pipe").is_fifo()


def test_sweep_takes_only_what_the_dead_left(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = files._host()
    dead = f"{PART}{host}-{ended.pid}-0123abcd-00ff"
    recycled = f"{PART}{host}-{os.getpid()}-0123abcd-00ff"  # our number, an earlier life
    living = f"{PART}{host}-{os.getppid()}-0123abcd-00ff"
    elsewhere = f"{PART}other-{ended.pid}-0123abcd-00ff"
    mine = files._part_prefix() + "00ff"
    make(tmp_path, dead, recycled, living, elsewhere, mine, ".colorize-notes", "a.jpg")
    removed = sweep(str(tmp_path))
    assert sorted(map(os.path.basename, removed)) == sorted([dead, recycled])
    assert {p.name for p in tmp_path.iterdir()} == {
        living, elsewhere, mine, ".colorize-notes", "a.jpg",
    }  # fmt: skip


def test_finding_is_quick_enough_to_be_forgotten(tmp_path):
    for j in range(2000):
        os.close(os.open(tmp_path / f"scan{j:05d}.jpg", os.O_CREAT))
    names = [str(tmp_path / f"scan{j:05d}.jpg") for j in range(2000)]
    calls = 0
    real = os.path.realpath

    def counted(*arguments, **options):
        nonlocal calls
        calls += 1
        return real(*arguments, **options)

    os.path.realpath = counted
    try:
        assert len(find(names, SUFFIXES).sources) == 2000
        assert len(plan(find(names, SUFFIXES).entries, "out", copies=SUFFIXES)) == 2000
    finally:
        os.path.realpath = real
    assert calls < 20  # folders are looked up once, not once for each file


@pytest.mark.parametrize("recursive", [False, True])
def test_a_stream_names_what_find_does(tree, recursive):
    inputs = [str(tree), str(tree / "sub" / "*.jpg"), str(tree / "x.txt"), str(tree / "none")]
    met = list(stream(iter(inputs), SUFFIXES, recursive=recursive))
    found = find(inputs, SUFFIXES, recursive=recursive)
    assert {s.path for s in met if not s.error} == {s.path for s in found.sources}
    assert [(s.path, s.error) for s in met if s.error] == list(found.failures)
