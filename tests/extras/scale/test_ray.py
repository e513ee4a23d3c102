"""``--engine ray`` on a cluster of two nodes of this machine, one of which is killed."""

import json
import os
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from conftest import saved, scene
from PIL import Image

pytest.importorskip("ray", reason="needs colorcli[ray]")
from nodes import QUIET, Cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    started = Cluster()
    yield started
    started.close()


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    kinds = [saved(Image.fromarray(scene(i)).convert("L"), "JPEG") for i in range(10)]
    for i in range(300):
        place = folder / f"{i % 6}"
        place.mkdir(exist_ok=True)
        (place / f"{i:03d}.jpg").write_bytes(kinds[i % 10])
    (folder / "0" / "bad.jpg").write_bytes(b"no picture")
    return folder


def begin(cluster, command, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "colorcli", *command.split(), *map(str, arguments), "--engine", "ray",
         "--address", cluster.address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **QUIET, **environment},
    )  # fmt: skip


def ended(process):
    out, errors = process.communicate(timeout=200)
    assert "Traceback" not in errors, errors
    assert all(line.startswith("{") for line in out.splitlines()), out  # data, and nothing of Ray's
    return [json.loads(line) for line in out.splitlines()], errors


def test_a_node_that_is_killed_loses_nothing(cluster, scans, small_model, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log.jsonl"
    process = begin(cluster, "predict -r --json", scans, "-o", out, "-m", small_model, "--log", log)
    deadline = time.monotonic() + 100
    while not (log.exists() and log.read_text().count("\n") >= 60):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    cluster.nodes.pop().kill()
    rows, errors = ended(process)
    assert process.returncode == 5, errors  # bad.jpg
    assert Counter(row["status"] for row in rows) == {"done": 300, "failed": 1}
    assert len({row["input"] for row in rows}) == 301  # each once
    assert sorted(row["output"] for row in rows if row["status"] == "done") == sorted(
        map(str, out.rglob("*.jpg"))
    )
    for path in out.rglob("*"):
        if path.is_file():
            Image.open(path).load()
    assert not [path for path in out.rglob(".*") if "127001" not in path.name and path.suffix]
    assert "300 coloured, 1 failed" in errors.splitlines()[-1]
    for told in (line for line in errors.splitlines() if "workers were lost" in line):
        lost, repeated = (int(word) for word in told.split() if word.isdecimal())
        assert lost == 1 and repeated <= 4  # what was in hand
    cluster.add()


def test_it_goes_on_where_it_was_and_colours_as_one_machine_does(
    cluster, scans, small_model, tmp_path, colorize
):
    arguments = [scans / "1", "-o", tmp_path / "out", "-m", small_model]
    process = begin(cluster, "predict --json --workers 2", *arguments)
    rows, errors = ended(process)
    assert process.returncode == 0 and len(rows) == 50, errors
    here = colorize("predict", scans / "1", "-o", tmp_path / "here", "-m", small_model, "--json")
    local = [json.loads(line) for line in here.stdout.splitlines()]
    assert {frozenset(row) for row in rows} == {frozenset(row) for row in local}
    for path in (tmp_path / "here").iterdir():
        pixels = [
            np.asarray(Image.open(p)).astype(int) for p in (path, tmp_path / "out" / path.name)
        ]
        assert np.abs(pixels[0] - pixels[1]).max() <= 4, path
    next((tmp_path / "out").iterdir()).unlink()
    rows, _ = ended(begin(cluster, "predict --json --skip-existing", *arguments))
    assert Counter(row["status"] for row in rows) == {"skipped": 49, "done": 1}


KILLER = """
import os
from colorcli.colorizing import predict
for way in ("colorize_luma", "colorize_bytes"):
    def deadly(data, name, *arguments, real=getattr(predict, way), **options):
        if "deadly" in name:
            os.kill(os.getpid(), 9)
        return real(data, name, *arguments, **options)
    setattr(predict, way, deadly)
"""


def test_a_photograph_that_kills_its_workers_is_reported_and_left(scans, small_model, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sitecustomize.py").write_text(
        "import sys, importlib.abc, importlib.machinery\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name != 'colorcli.extras.scale.worker': return None\n"
        "        sys.meta_path.remove(self)\n"
        f"        exec({KILLER!r}, {{}})\n"
        "        return None\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    os.environ["PYTHONPATH"] = f"{tmp_path / 'bin'}:{os.environ.get('PYTHONPATH', '')}"
    cluster = Cluster()
    try:
        del os.environ["PYTHONPATH"]
        inputs = tmp_path / "in"
        inputs.mkdir()
        for i in range(30):
            (inputs / f"{i:02d}.jpg").write_bytes((scans / "1" / "001.jpg").read_bytes())
        (inputs / "07-deadly.jpg").write_bytes((scans / "1" / "001.jpg").read_bytes())
        process = begin(
            cluster, "predict --json", inputs, "-o", tmp_path / "out", "-m", small_model
        )
        rows, errors = ended(process)
    finally:
        cluster.close()
    assert process.returncode == 5, errors
    assert Counter(row["status"] for row in rows) == {"done": 30, "failed": 1}
    (failed,) = (row for row in rows if row["status"] == "failed")
    assert "3 workers were lost" in errors
    assert "07-deadly.jpg" in failed["error"] and "killed its worker 3 times" in failed["error"]
    assert len(list((tmp_path / "out").iterdir())) == 30, errors


def test_prepare_makes_the_same_bytes_as_one_machine(cluster, photos, tmp_path, colorize):
    options = ["--size", "64", "--val-fraction", "0.2", "--json"]
    here = colorize("prepare", "folder", photos, "-o", tmp_path / "here", *options)
    process = begin(cluster, "prepare folder", photos, "-o", tmp_path / "there", *options)
    rows, errors = ended(process)
    assert process.returncode == here.returncode == 0, errors
    named = [p.name for p in (tmp_path / "here").iterdir() if p.name != ".verified.json"]
    assert "dataset.json" in named and len(named) >= 4
    for name in named:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    local = json.loads(here.stdout)
    assert {**rows[0], "folder": 0, "report": 0} == {**local, "folder": 0, "report": 0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "-o", "out/"], "stdin and stdout"), (["in", "-o", "-"], "stdin and stdout"),
        (["in", "-o", "out/{index}.png"], "does not wait"),
        (["in", "-o", "out/", "--address", "ray://h:1"], "HOST:PORT"),
    ],
)  # fmt: skip
def test_what_goes_on_one_machine_only_is_refused(arguments, words, colorize):
    done = colorize("predict", *arguments, "--engine", "ray")
    assert done.returncode == 2 and words in done.stderr.decode()


def test_without_a_cluster_one_line_says_how_to_start_one(colorize):
    done = colorize("predict", "in", "-o", "o/", "--engine", "ray", "--address", "127.0.0.1:9")
    assert done.returncode == 3 and b"start one by: ray start --head" in done.stderr
    assert len(done.stderr.splitlines()) == 1
