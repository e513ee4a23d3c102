import os
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorcli.system import windows
from colorcli.system.atomic import write_atomic
from colorcli.system.errors import UsageError
from colorcli.system.files import places
from colorcli.system.files.inputs import STREAM, Source, find
from colorcli.system.files.outputs import plan

SUFFIXES = {".jpg": ".jpg", ".png": ".png", ".pgm": ".ppm"}


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
        ("{stem:>4}-{stem:.1}-{index:+d}.png", "   a-a-+1.png"),
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


@pytest.mark.parametrize(
    ("name", "template", "wanted"),
    [
        ("g8.pgm", "o/{stem}_{ext}.png", "o/g8_pgm.png"),  # the source's
        ("g8.pgm", "o/{ext}/{stem}.png", "o/pgm/g8.png"),
        ("g8.pgm", "o/{stem}.{ext}", "o/g8.ppm"),  # the result's: gray cannot hold colours
        ("g8.PGM", "o/{stem}_{ext}.{ext}", "o/g8_PGM.ppm"),
        ("scan", "o/{stem}{ext}.{ext}", "o/scan.png"),
    ],
)
def test_ext_is_the_source_s_and_at_the_end_the_result_s(name, template, wanted):
    assert target(Source(name, name), template) == wanted


SPECS = ["999999999d", "999999999", "100", "0100d", ".999999999f", ".100", "{index}",
         "{index.__class__}", "9" * 5000, "*>999d", "\u0661\u0660\u0660", "q", "\0q", "/>60", "\\^9"]  # fmt: skip


@pytest.mark.parametrize("field", ["index", "stem", "ext", "dir", "model"])
@pytest.mark.parametrize("spec", SPECS)
def test_a_template_is_judged_before_work(field, spec):
    template = f"o/{{{field}:{spec}}}.png"
    with pytest.raises(UsageError, match=r"index:05d|double a brace") as refused:
        plan([], template, copies=SUFFIXES)  # whatever the photographs
    assert len(str(refused.value)) < 2 * len(template) + 300


@pytest.mark.parametrize("name", ["result.xyz", "result.mp4", "v1.0", "a.b/c.2024", "result."])
def test_an_unknown_suffix_makes_no_folder(tmp_path, name):
    output = str(tmp_path / name)
    for sources in (
        [Source("a.jpg", "a.jpg")],
        [Source("a.jpg", "a.jpg"), Source("b.jpg", "b.jpg")],
    ):
        with pytest.raises(
            UsageError, match=r"unknown output suffix; known: .jpg .png .ppm; a fol"
        ):
            plan(sources, output, copies=SUFFIXES)
        jobs = plan(sources, output + "/", copies=SUFFIXES)
        assert [job.target for job in jobs] == [f"{output}/{s.relative}" for s in sources]
    assert target(Source("a.jpg", "a.jpg"), output, suffix=".png") == output  # --format says it
    os.makedirs(output)
    assert target(Source("a.jpg", "a.jpg"), output) == f"{output}/a.jpg"


@pytest.mark.parametrize("name", ["a.txt/", "a.txt/sub", "a.txt/x.png", "a.txt/{stem}.png"])
def test_nothing_goes_below_a_file(tmp_path, name):
    (tmp_path / "a.txt").touch()
    for count in (1, 2):
        photographs = [Source(f"{n}.jpg", f"{n}.jpg") for n in range(count)]
        with pytest.raises(UsageError, match=r"a\.txt is a file, not a folder"):
            plan(photographs, f"{tmp_path}/{name}", copies={".png": ".png"})


@pytest.mark.parametrize("output", [None, "o", "o/{stem}{stem}.png"])
def test_a_name_too_long_costs_no_other_photograph(output):
    sources = [Source("x" * 251 + ".jpg", "x" * 251 + ".jpg"), Source("a.jpg", "a.jpg")]
    long, short = plan(sources, output and f"{output}", copies=SUFFIXES)
    assert short.todo
    assert long.todo == (output == "o")  # a name of 255 bytes is none too long
    assert output == "o" or "longer than 255 bytes" in long.source.error


def test_only_what_is_in_the_way_is_asked_whether_it_is_a_result(tmp_path):
    for name in ("a.jpg", "b.jpg", "old/a.jpg", "out/b.jpg", "out/c.jpg", "c.jpg"):
        write_atomic(tmp_path / name, b"x")
    found = find([str(tmp_path)], SUFFIXES, recursive=True).entries
    asked = []

    def is_result(path):
        asked.append(os.path.relpath(path, tmp_path))
        return "old" in path or "out" in path

    flat = [Source(s.path, os.path.basename(s.path)) for s in found]
    jobs = plan(
        flat, str(tmp_path / "out"), copies=SUFFIXES, is_result=is_result, existing="replace"
    )
    assert {os.path.relpath(j.source.path, tmp_path) for j in jobs if j.todo} == {
        "a.jpg", "b.jpg", "c.jpg",
    }  # fmt: skip
    assert [j.result for j in jobs] == [not j.todo for j in jobs] and len(jobs) == 6
    assert len(asked) == len(set(asked))
    asked.clear()
    plan(flat[:2], str(tmp_path / "new"), copies=SUFFIXES, is_result=is_result)
    assert asked == []


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=12))
@settings(max_examples=60)
def test_any_stem_fills_a_template(stem):
    filled = target(Source(f"/x/{stem}a.jpg", f"{stem}a.jpg"), "o/{dir}/{stem}_{index}.png")
    assert filled == f"o/{stem}a_1.png"


def test_plan_refuses_before_work(tree, tmp_path):
    both = [Source(str(tree / "a.jpg"), "a.jpg"), Source(str(tree / "sub" / "a.jpg"), "a.jpg")]
    with pytest.raises(UsageError, match="both"):
        plan(both, str(tmp_path / "out"), copies=SUFFIXES)
    with pytest.raises(UsageError, match="replace a source"):
        plan(both[:1], str(tree), copies=SUFFIXES, existing="replace")
    with pytest.raises(UsageError, match="one file cannot hold 2"):
        plan(both, str(tmp_path / "o.jpg"), copies=SUFFIXES)
    with pytest.raises(UsageError, match="one file cannot hold 2"):
        plan(both, STREAM, copies=SUFFIXES)
    write_atomic(tmp_path / "out" / "a.jpg", b"old")
    with pytest.raises(UsageError, match="exists already"):
        plan(both[:1], str(tmp_path / "out"), copies=SUFFIXES)
    assert plan(both[:1], str(tmp_path / "out"), copies=SUFFIXES, existing="skip")[0].skip
    assert plan(both[:1], str(tmp_path / "out"), copies=SUFFIXES, existing="replace")[0].todo


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_source_is_safe_behind_links_too(tree, tmp_path, link):
    (tmp_path / "out").mkdir()
    link(tree / "a.jpg", tmp_path / "out" / "a.jpg")
    with pytest.raises(UsageError, match="replace a source"):
        plan(find([str(tree)], SUFFIXES).entries, str(tmp_path / "out"), existing="replace",
             copies=SUFFIXES)  # fmt: skip


def test_a_linked_output_folder_is_seen_through(tree, tmp_path):
    os.symlink(tree, tmp_path / "alias")
    with pytest.raises(UsageError, match="replace a source"):
        plan(find([str(tree)], SUFFIXES).entries, str(tmp_path / "alias"), existing="replace",
             copies=SUFFIXES)  # fmt: skip


def test_names_apart_by_case_only_collide_where_case_is_ignored(monkeypatch):
    sources = [Source("x/A.jpg", "A.jpg"), Source("y/a.jpg", "a.jpg")]
    monkeypatch.setattr(places, "ignores_case", lambda path: True)
    with pytest.raises(UsageError, match="only by case"):
        plan(sources, "out", copies=SUFFIXES)
    monkeypatch.setattr(places, "ignores_case", lambda path: False)
    assert len(plan(sources, "out", copies=SUFFIXES)) == 2


def test_failures_and_skipped_keep_their_place(tmp_path):
    entries = [Source("no", "no", "no such file"), Source("a.jpg", "a.jpg")]
    jobs = plan(entries, str(tmp_path), copies=SUFFIXES)
    assert [job.todo for job in jobs] == [False, True] and jobs[0].target == ""


def test_a_pipe_is_a_target_even_where_a_folder_is_the_rule(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert target(Source("a.jpg", "a.jpg"), str(tmp_path / "pipe")) == str(tmp_path / "pipe")


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


# --- names that Windows takes --------------------------------------------------------------------


@pytest.fixture
def on_windows(monkeypatch):
    monkeypatch.setattr(windows, "HERE", True)


@pytest.mark.parametrize("output", [
    "{stem}:{index}.png", "out/{stem}?.png", "con.{ext}", "{dir}/aux/{stem}.png", "{stem}.", "out ./",
    "NUL.png", "a|b.png", "com1/",
])  # fmt: skip
def test_outputs_that_windows_cannot_have_are_refused(output, on_windows, monkeypatch):
    source = Source("a.jpg", "a.jpg")
    with pytest.raises(UsageError, match="Windows .*; choose another -o"):
        target(source, output)
    monkeypatch.setattr(windows, "HERE", False)
    assert target(source, output)  # elsewhere they are names like others


@pytest.mark.parametrize("relative", ["con.jpg", "x/nul.tif.jpg", "a:b.jpg", "dots./a.jpg"])
def test_a_photograph_whose_result_windows_cannot_have_fails_alone(relative, on_windows):
    good = Source("good.jpg", "good.jpg")
    bad, other = plan([Source(relative, relative), good], "out/", copies=SUFFIXES)
    assert not bad.todo and "Windows" in bad.source.error and "-o" in bad.source.error
    assert other.todo and other.target == os.path.join("out", "good.jpg")


def test_one_that_a_template_names_otherwise_does_not(on_windows):
    assert target(Source("con.jpg", "con.jpg"), "out/{index:03d}_{stem}.png") == "out/001_con.png"
    assert target(Source("con.jpg", "con.jpg"), None) == "con-color.jpg"
