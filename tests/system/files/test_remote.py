"""Names that are addresses, by fsspec's stores in memory: found, read, written whole, refused."""

import os
import subprocess
import sys

import pytest
from conftest import REPO, saved, scene
from PIL import Image

from colorcli.colorizing import intake
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.predict import predict
from colorcli.config.predict import PredictConfig
from colorcli.system.errors import ColorizeError, DataError, UsageError
from colorcli.system.files import delivery, places, remote
from colorcli.system.files.inputs import find
from colorcli.system.files.outputs import plan
from colorcli.system.files.shards import Shard

fsspec = pytest.importorskip("fsspec", reason="needs colorcli[remote]")
SUFFIXES = {".jpg": ".jpg", ".png": ".png"}


@pytest.fixture
def store(monkeypatch):
    """An empty store in memory that waits for nothing."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    monkeypatch.setattr(remote, "FIRST_WAIT", 0)
    yield system
    system.store.clear()


def fill(store, *names, data=b"x"):
    for name in names:
        store.pipe_file(f"/{name}", data)


def relative(found):
    return [source.relative for source in found.sources]


@pytest.mark.parametrize(
    ("name", "is_address", "path"),
    [
        ("s3://bucket/a.jpg", True, None), ("gs://b", True, None), ("memory://in/a", True, None),
        ("abfs://c@account.dfs.core.windows.net/a", True, None),
        ("file:///tmp/a b.jpg", False, "/tmp/a b.jpg"), ("file://localhost/x", False, "/x"),
        ("C:\\a.jpg", False, None), ("a://", True, None), ("/a//b", False, None), ("a:b", False, None),
        ("1://x", False, None), ("-", False, None),
    ],
)  # fmt: skip
def test_what_is_an_address(name, is_address, path):
    is_address = is_address and len(name.partition("://")[0]) > 1  # one letter is a drive
    assert places.is_remote(name) is is_address and places.path_of(name) == path


@pytest.mark.parametrize(
    ("inputs", "recursive", "names"),
    [
        ("memory://in", False, ["a.jpg", "b.png"]),
        ("memory://in/", True, ["a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg"]),
        ("memory://in/*.jpg", False, ["a.jpg"]),
        ("memory://in/**/a.jpg", False, ["a.jpg", "sub/a.jpg"]),
        ("memory://in/s?b/*", False, ["sub/a.jpg", "sub/c d.jpg"]),
        ("memory://in/sub/a.jpg", False, ["a.jpg"]),
        ("memory://in/x.txt", False, ["x.txt"]),
    ],
)
def test_trees_and_globs_as_on_a_disk(store, inputs, recursive, names):
    fill(store, *(f"in/{n}" for n in ("a.jpg", "b.png", "sub/a.jpg", "sub/c d.jpg", "x.txt")))
    fill(store, "in/.hidden.jpg", "in/sub/Thumbs.db")
    found = find([inputs], SUFFIXES, recursive=recursive)
    assert relative(found) == names and not found.failures
    assert all(source.path.startswith("memory://in/") for source in found.sources)
    assert all(places.read(source.path) == b"x" for source in found.sources)


def test_each_once_and_what_names_nothing(store):
    fill(store, "in/a.jpg")
    given = [
        "memory://in",
        "memory://in/a.jpg",
        "memory://no",
        "memory://in/*.gif",
    ]
    found = find(given, SUFFIXES)
    assert relative(found) == ["a.jpg"]
    assert [name for name, _ in found.failures] == given[2:]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://KEY:SECRET@bucket/a.jpg", "seen by all"), ("zip://a.jpg::s3://b/c.zip", "unpack"),
        ("nosuch://a/b.jpg", "what stands before"), ("dropbox://a/b.jpg", "driver"),
    ],
)  # fmt: skip
def test_addresses_that_are_not_followed(address, words):
    ((path, why),) = find([address], SUFFIXES).failures
    assert words in why and "SECRET" not in path + why


@pytest.mark.parametrize(
    ("output", "words"),
    [("s3://KEY:SECRET@b/out/", "seen by all"), ("http://a.example/out/", "not fetched")],
)
def test_outputs_that_are_refused(output, words):
    with pytest.raises(UsageError, match=words) as error:
        places.located(output)
    assert "SECRET" not in str(error.value)
    assert places.located("file:///tmp/out/") == "/tmp/out/" and places.located(None) is None


def test_without_the_extra_one_line_names_it(tmp_path):
    (tmp_path / "fsspec.py").write_text("raise ImportError('no such module')")
    done = subprocess.run(
        [sys.executable, "-m", "colorcli", "predict", "s3://b/a.jpg", "-o", tmp_path / "o/"],
        capture_output=True, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{REPO}"},
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == b"colorize: s3://b/a.jpg: needs pip install 'colorcli[remote]'\n"


def test_results_are_found_by_one_listing_of_their_folder(store, monkeypatch):
    fill(store, *(f"in/{i}.jpg" for i in range(200)))
    fill(store, *(f"out/{i}.jpg" for i in range(50)))
    entries = find(["memory://in"], SUFFIXES).entries
    asked = []
    for name in ("ls", "info", "exists", "isdir", "isfile"):
        real = getattr(store, name)
        monkeypatch.setattr(
            store, name, lambda path, *a, _r=real, **o: asked.append(path) or _r(path, *a, **o)
        )
    jobs = plan(entries, "memory://out/", copies=SUFFIXES, existing="skip")
    assert sum(job.skip for job in jobs) == 50 and len(jobs) == 200
    assert jobs[0].target == "memory://out/0.jpg"
    assert len(asked) < 10
    with pytest.raises(UsageError, match="exists already"):
        plan(entries, "memory://out/", copies=SUFFIXES)
    with pytest.raises(UsageError, match="would replace a source"):
        plan(entries, "memory://in/", copies=SUFFIXES, existing="replace")


@pytest.mark.parametrize(
    ("output", "target"),
    [
        (None, "memory://in/sub/a-color.jpg"), ("memory://out", "memory://out/sub/a.jpg"),
        ("memory://out/{dir}/{stem}_{model}.png", "memory://out/sub/a_default.png"),
        ("memory://one.png", "memory://one.png"), ("out", "out/sub/a.jpg"),
    ],
)  # fmt: skip
def test_names_of_results(store, output, target):
    fill(store, "in/sub/a.jpg")
    (job,) = plan(
        find(["memory://in"], SUFFIXES, recursive=True).entries, output, copies=SUFFIXES
    )  # fmt: skip
    assert job.target == target


class Failing:
    """A store whose operations fail so often, with this error, before they work."""

    def __init__(self, monkeypatch, store, name, error, times):
        real, self.calls = getattr(store, name), 0

        def does(*arguments, **options):
            self.calls += 1
            if self.calls <= times:
                raise error
            return real(*arguments, **options)

        monkeypatch.setattr(store, name, does)


@pytest.mark.parametrize(
    ("error", "times", "calls", "words"),
    [
        (OSError("Slow Down"), 3, 4, None), (ConnectionResetError("reset"), 5, 6, None),
        (OSError("Slow Down"), 99, 6, "6 attempts"), (PermissionError("Forbidden"), 99, 1, "rights"),
        (type("NoCredentialsError", (Exception,), {})("Unable to locate"), 99, 1, "Unable to locate"),
    ],
)  # fmt: skip
def test_what_fails_for_a_moment_is_tried_again(store, monkeypatch, error, times, calls, words):
    fill(store, "in/a.jpg")
    for name, does in (
        ("cat_file", lambda: remote.read("memory://in/a.jpg")),
        ("pipe_file", lambda: remote.write("memory://in/b.jpg", b"new")),
    ):
        failing = Failing(monkeypatch, store, name, error, times)
        if words is None:
            does()
        else:
            with pytest.raises(DataError, match=words):
                does()
        assert failing.calls == calls
    assert ("/in/b.jpg" in store.store) is (words is None)


def test_what_is_not_an_object_store_gets_a_part_and_a_rename(store, monkeypatch):
    monkeypatch.setattr(remote, "OBJECT_STORES", set())
    seen = []
    real = store.mv
    monkeypatch.setattr(store, "mv", lambda a, b, **o: seen.append((a, b)) or real(a, b, **o))
    remote.write("memory://new/a.jpg", b"1")
    ((part, target),) = seen
    assert part.startswith("/new/.colorize-") and target == "/new/a.jpg"
    assert store.ls("/new", detail=False) == ["/new/a.jpg"]
    monkeypatch.setattr(store, "mv", lambda *_, **__: (_ for _ in ()).throw(PermissionError("no")))
    with pytest.raises(DataError, match="no"):
        remote.write("memory://new/b.jpg", b"1")
    assert store.ls("/new", detail=False) == ["/new/a.jpg"]


def test_a_result_in_strips_is_put_whole_or_not(store):
    with delivery.delivered("memory://out/a.tif") as file:
        file.write(b"12")
        assert not store.exists("/out/a.tif")
        file.write(b"3")
    assert store.cat_file("/out/a.tif") == b"123"
    with pytest.raises(KeyError), delivery.delivered("memory://out/b.tif") as file:
        file.write(b"1")
        raise KeyError
    assert not store.exists("/out/b.tif")


def test_photographs_are_coloured_where_they_are(store, small_model, tmp_path):
    for i in range(6):
        fill(store, f"in/{i % 2}/{i}.png", data=saved(Image.fromarray(scene(i)), "PNG"))
        (tmp_path / "in" / f"{i % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / f"{i % 2}" / f"{i}.png").write_bytes(
            store.cat_file(f"/in/{i % 2}/{i}.png")
        )
    fill(store, "in/bad.jpg", data=b"no picture")
    model, config = Colorizer(small_model), PredictConfig()

    def run(folder, out, **options):
        request = intake.Request([folder], out, recursive=True, **options)
        return list(predict(intake.planned(request, config)[1], model, config))

    told = run("memory://in", "memory://out/")
    assert [r.status for r in told] == ["failed", *["done"] * 6]
    assert told[0].error.startswith("memory://in/bad.jpg: ")
    here = run(str(tmp_path / "in"), str(tmp_path / "out"))
    for there, local in zip(told[1:], here, strict=True):
        with open(local.output, "rb") as file:  # the same bytes as on a disk
            assert store.cat_file(there.output.removeprefix("memory:/")) == file.read()
    assert [r.status for r in run("memory://in", "memory://out/", skip_existing=True)] == [
        "failed", *["skipped"] * 6
    ]  # fmt: skip
    results = run("memory://out", "memory://again/")  # known by their mark
    assert {r.status for r in results} == {"result"} and not store.exists("/again")


def test_a_store_that_takes_nothing_costs_each_photograph_one_line(store, small_model, monkeypatch):
    fill(store, "in/a.png", data=saved(Image.fromarray(scene(1)), "PNG"))
    Failing(monkeypatch, store, "pipe_file", PermissionError("Access Denied"), 99)
    request, config = intake.Request(["memory://in"], "memory://out/"), PredictConfig()
    (told,) = predict(intake.planned(request, config)[1], Colorizer(small_model), config)
    assert told.status == "failed" and "Access Denied; check name and rights" in told.error


# --- plans that stream -------------------------------------------------------------------------


def streamed(inputs, output, **options):
    return list(intake.streamed(intake.Request(inputs, output, **options), PredictConfig()))


def test_a_streamed_plan_is_the_whole_one(tree, tmp_path):
    out = tmp_path / "out"
    for options in ({}, {"shard": Shard(2, 3)}):
        request = intake.Request([str(tree)], str(out), recursive=True, **options)
        assert (
            streamed([str(tree)], str(out), recursive=True, **options)
            == intake.planned(request, PredictConfig())[1]
        )


def test_a_streamed_plan_costs_only_what_is_in_the_way(tmp_path):
    for name in ("a/x.jpg", "a/x.png", "a/y.jpg", "b/x.jpg", "b/z.jpg", "b/z-color.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    inputs = [str(tmp_path), str(tmp_path / "a" / "y.jpg")]
    jobs = streamed(inputs, str(tmp_path / "out" / "{stem}.jpg"), recursive=True)
    told = {os.path.relpath(j.source.path, tmp_path): j.source.error or j.result for j in jobs}
    assert told["a/x.jpg"] is told["a/y.jpg"] is told["b/z.jpg"] is False
    assert "both" in told["a/x.png"]
    assert "another photograph would go there" in told["b/x.jpg"]
    assert told["b/z-color.jpg"] is True
    assert len(jobs) == len(told)  # a/y.jpg, named twice, once


def test_a_streamed_plan_begins_before_all_is_found(tmp_path, monkeypatch):
    for i in range(50):
        (tmp_path / f"{i:02d}").mkdir()
        (tmp_path / f"{i:02d}" / "a.jpg").write_bytes(b"x")
    scanned = []
    real = places.scan
    monkeypatch.setattr(places, "scan", lambda folder: scanned.append(folder) or real(folder))
    request = intake.Request([str(tmp_path)], str(tmp_path / "out"), recursive=True)
    next(intake.streamed(request, PredictConfig()))
    assert len(scanned) <= 4


def test_errors_of_stores_are_ours():
    assert issubclass(DataError, ColorizeError)
    with pytest.raises(UsageError, match="nothing can be written"):
        remote.write("https://a.example/b.jpg", b"")
