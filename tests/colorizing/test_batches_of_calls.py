"""Large works in many calls: shares, their log, an early end; by GNU parallel and xargs too."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import saved, scene
from PIL import Image


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    for i in range(24):
        place = folder / "abc"[i % 3]
        place.mkdir(exist_ok=True)
        (place / f"{i:02d}.jpg").write_bytes(saved(Image.fromarray(scene(i)).convert("L"), "JPEG"))
    return folder


@pytest.fixture
def run(colorize, small_model):
    return lambda *arguments, **o: colorize("predict", "-m", small_model, *arguments, **o)


def told(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def relative(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_shares_colour_each_once_into_one_log(run, scans, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log.jsonl"
    for i in (1, 2, 3):
        done = run(scans, "-r", "-o", out, "--shard", f"{i}/3", "--log", log)
        assert done.returncode == 0, done.stderr
    assert relative(out) == relative(scans)
    lines = told(log)
    assert sorted(line["output"] for line in lines) == sorted(map(str, out.rglob("*.jpg")))
    assert {line["status"] for line in lines} == {"done"} and all(line["time"] for line in lines)
    again = run(scans, "-r", "-o", out, "--log", log, "--skip-existing", "--json")
    assert len(told(log)) == 48 and {x["status"] for x in told(log)[24:]} == {"skipped"}
    (first, *_) = map(json.loads, again.stdout.splitlines())
    assert first == {key: value for key, value in told(log)[24].items() if key != "time"}


@pytest.mark.parametrize(("most", "failed"), [("0", 1), ("2", 3)])
def test_too_many_failures_end_a_call_early(run, tmp_path, most, failed):
    for i in range(40):
        (tmp_path / f"{i:02d}.jpg").write_bytes(b"no picture")
    done = run(tmp_path, "-o", tmp_path / "out", "--max-errors", most, "--json", "--workers", "1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 3 and failed <= len(lines) < 40
    assert f"more failed than --max-errors {most}" in done.stderr.decode().splitlines()[-1]


def test_few_failures_do_not(run, scans, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"")
    done = run(scans, tmp_path / "bad.jpg", "-r", "-o", tmp_path / "out", "--max-errors", "1")
    assert done.returncode == 5 and len(relative(tmp_path / "out")) == 24
    assert b"--max-errors" not in done.stderr


RECIPES = {
    "parallel": "parallel --will-cite -j2 colorize predict {scans} -r -o {out} -m {model} -q --shard "
    "{{}}/4 --log {log} ::: 1 2 3 4",
    "xargs": "seq 4 | xargs -I N -P 2 colorize predict {scans} -r -o {out} -m {model} -q --shard N/4 "
    "--log {log}",
    "array": "for SLURM_ARRAY_TASK_ID in 1 2 3 4; do colorize predict {scans} -r -o {out} -m {model} "
    "-q --shard $SLURM_ARRAY_TASK_ID/4 --log {log} || exit; done",
    "lists": "find {scans} -name '*.jpg' | parallel --will-cite -j2 -N8 --pipe colorize predict "
    "--files-from - -o '{out}/{{stem}}.png' -m {model} -q --log {log}",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("in_path")
@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name, scans, small_model, tmp_path):
    program = RECIPES[name]
    if "parallel" in program and not shutil.which("parallel"):
        pytest.skip("GNU parallel is not installed")
    out, log = tmp_path / "out", tmp_path / "log.jsonl"
    command = program.format(scans=scans, out=out, log=log, model=small_model)
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=True)
    assert len(relative(out)) == 24
    assert sorted(line["input"] for line in told(log)) == sorted(map(str, scans.rglob("*.jpg")))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize(("number", "kept"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_term_finishes_what_is_in_hand_and_int_drops_it(number, kept, small_model, tmp_path):
    photograph = saved(Image.fromarray(scene(1)).convert("L"), "JPEG")
    names = [tmp_path / f"{i}.jpg" for i in range(40)]
    for name in names:
        name.write_bytes(photograph)
    names[1].unlink()
    os.mkfifo(names[1])  # in hand until it is written
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "predict", *names, "-o", out, "-m", small_model,
         "--json", "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        process.stdout.readline()
        with open(names[1], "wb") as held:
            process.send_signal(number)
            time.sleep(2)  # it has long been told, and what it waits for is still to come
            held.write(photograph)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    left = {name.name for name in out.iterdir() if not name.name.startswith(".")}
    assert len(left) == len(list(out.iterdir())) < len(names)
    assert ("1.jpg" in left) == kept and "0.jpg" in left
    for name in left:
        Image.open(out / name).load()
