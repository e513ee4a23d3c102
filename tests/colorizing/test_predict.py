"""``colorize predict`` as its users meet it: folders, pipes, odd names, odd places, exit codes."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from functools import partial

import numpy as np
import pytest
from conftest import scene, sepia, tiff
from PIL import Image

from colorcli.colorizing import predict
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.colorizing.result import STAGES
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading
from colorcli.system.atomic import PART
from colorcli.system.errors import ImageError, ModelError
from colorcli.system.files.inputs import Source
from colorcli.system.files.outputs import Job
from colorcli.system.parallel import Budget


def lines(output: bytes) -> list[str]:
    return output.decode().strip().splitlines()


def records(done) -> list[dict]:
    return [json.loads(line) for line in lines(done.stdout)]


def jpeg(seed=0, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene(seed)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


@pytest.fixture
def run(colorize, small_model):
    """``colorize predict`` with the small model."""

    def predict(*arguments, **options):
        return colorize("predict", "-m", small_model, *arguments, **options)

    return predict


# --- folders and names -------------------------------------------------------------------------


def test_folder_in_folder_out(run, photos, tmp_path):
    done = run(photos, "-o", tmp_path, "--json")
    told = records(done)
    assert done.returncode == 5  # broken.jpg
    assert Counter(r["status"] for r in told) == {"done": 49, "failed": 1}
    assert [r["input"] for r in told] == sorted(r["input"] for r in told)
    failed = next(r for r in told if r["status"] == "failed")
    assert "broken.jpg" in failed["error"]
    assert lines(done.stderr)[0] == f"colorize: {failed['error']}"
    assert "49 coloured, 1 failed" in lines(done.stderr)[-1]
    assert Image.open(tmp_path / "photo00.png").size == (96, 80)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert set(told[1]["milliseconds"]) == set(STAGES)


def mixed(root) -> dict[str, str]:
    """300 files in nested folders: relative name to what should become of it."""
    writers = {
        "jpg": lambda i: jpeg(i, dpi=(300, 300)),
        "png": lambda i: saved(scene(i), "PNG"),
        "tif": lambda i: saved(scene(i)[..., 0], "TIFF"),
        "webp": lambda i: saved(scene(i), "WEBP"),
        "bmp": lambda i: saved(scene(i)[..., 0], "BMP"),
        "pgm": lambda i: saved(scene(i)[..., 0], "PPM"),
    }
    broken = {
        "jpg": lambda i: jpeg(i)[: 400 + 7 * i],
        "png": lambda i: saved(scene(i), "PNG")[: 60 + 3 * i],
        "tif": lambda i: b"no picture at all",
        "webp": lambda i: b"",
    }
    wanted = {}
    for i in range(300):
        folder = os.path.join(*["ab"[i % 2], "deep er", f"{i % 5}"][: i % 4]) if i % 4 else ""
        kind, make = list((broken if i % 10 == 3 else writers).items())[
            i % (4 if i % 10 == 3 else 6)
        ]
        name = os.path.join(folder, f"scan {i:03d}.{kind}")
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(make(i))
        wanted[name] = "failed" if i % 10 == 3 else "done"
    for junk in ("Thumbs.db", ".DS_Store", "._scan 000.jpg", "a/.hidden.png", "notes.txt"):
        (root / junk).write_bytes(jpeg())
    os.symlink(root, root / "a" / "loop")
    return wanted


def saved(array, format, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format, **options)
    return buffer.getvalue()


def test_three_hundred_mixed_files_in_one_call(run, tmp_path):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    wanted = mixed(root)
    done = run(root, "-r", "-o", out, "--json")
    assert done.returncode == 5
    got = {os.path.relpath(r["input"], root): r for r in records(done)}
    assert {name: r["status"] for name, r in got.items()} == wanted
    assert len(lines(done.stdout)) == 300
    failures = [r for r in got.values() if r["status"] == "failed"]
    assert all(r["error"].startswith(r["input"]) for r in failures)
    assert len([line for line in lines(done.stderr) if "scan" in line]) == len(failures)
    made = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert made == {n.replace(".pgm", ".ppm") for n, s in wanted.items() if s == "done"}
    with Image.open(out / "scan 000.jpg") as first:
        assert first.info["dpi"] == (300, 300) and first.mode == "RGB"
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    again = run(root, "-r", "-o", out, "--json", "--skip-existing")
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before
    assert Counter(r["status"] for r in records(again)) == {"skipped": 270, "failed": 30}
    for name, status in wanted.items():
        if status == "failed":
            (root / name).unlink()
    third = run(root, "-r", "-o", out, "--skip-existing", "--json", "-m", "no model is loaded")
    assert third.returncode == 0  # nothing to do: nothing is opened
    assert Counter(r["status"] for r in records(third)) == {"skipped": 270}


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq")
def test_the_shell_pipeline(small_model, tmp_path):
    for i in range(5):
        path = tmp_path / "in" / f"{i % 2}" / f"a b\n{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(i) if i else b"broken")
    command = (
        f"find in -name '*.jpg' -print0 | '{sys.executable}' -m colorcli predict --files-from - -0 "
        f"-o out/ --json -m '{small_model}' 2>err | jq -r .status | sort | uniq -c"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=tmp_path, timeout=120)
    assert done.stdout.split() == b"4 done 1 failed".split()
    assert len(os.listdir(tmp_path / "out")) == 4


def test_odd_names_from_a_list_and_from_the_command_line(run, tmp_path):
    names = [b"with space.png", b"new\nline.png", b"-dash.png", b"caf\xe9.png", "ü.png".encode()]
    for i, name in enumerate(names):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(saved(scene(i), "PNG"))
    listed = b"\0".join(os.path.join(os.fsencode(tmp_path), name) for name in names)
    done = run("--files-from", "-", "-0", "-o", tmp_path / "out", "--json", input=listed)
    assert done.returncode == 0
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == sorted(names)
    assert records(done)[3]["input"].endswith("/caf\\xe9.png")  # valid JSON, documented
    assert records(done)[1]["input"].endswith("/new\nline.png")
    given = [os.fsdecode(name) for name in names]
    named = run("-o", "named", "-v", "--", *given, cwd=tmp_path, env={"PYTHONPATH": os.getcwd()})
    assert named.returncode == 0, named.stderr
    assert sorted(os.listdir(os.fsencode(tmp_path / "named"))) == sorted(names)
    assert len(lines(named.stderr)) == 6 and r"new\nline.png" in named.stderr.decode()


def test_lists_of_editors(run, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbf" + os.fsencode(tmp_path / "a.jpg") + b"\r\n\r\n")
    done = run("--files-from", tmp_path / "list", "--json")
    assert [r["status"] for r in records(done)] == ["done"]


def test_beside_its_source_and_again(run, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    first = run(tmp_path)
    assert first.returncode == 0 and "a-color.jpg" in first.stderr.decode()
    refused = run(tmp_path)
    assert refused.returncode == 2 and "exists already" in refused.stderr.decode()
    again = run(tmp_path, "--skip-existing", "--json")
    assert [r["status"] for r in records(again)] == ["skipped"]
    assert "1 earlier results left out" in again.stderr.decode()
    assert sorted(os.listdir(tmp_path)) == ["a-color.jpg", "a.jpg"]


def test_templates_and_formats(run, tmp_path):
    (tmp_path / "in" / "x").mkdir(parents=True)
    for name in ("x/a.jpg", "x/b.jpg", "c.png"):
        (tmp_path / "in" / name).write_bytes(jpeg())  # c.png by its suffix, JPEG by its content
    done = run(
        tmp_path / "in", "-r", "--format", "webp",
        "-o", f"{tmp_path}/out/{{dir}}/{{index:02d}}-{{stem}}_{{model}}.{{ext}}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = sorted(str(p.relative_to(tmp_path / "out")) for p in tmp_path.rglob("*.webp"))
    assert made == ["01-c_small.webp", "x/02-a_small.webp", "x/03-b_small.webp"]
    assert Image.open(tmp_path / "out" / made[0]).format == "WEBP"
    wrong = run(tmp_path / "in" / "c.png", "-o", f"{tmp_path}/{{name}}.png")
    assert wrong.returncode == 2 and "{stem} {ext} {dir} {model} {index}" in wrong.stderr.decode()


@pytest.mark.parametrize(("name", "kind"), [("jpg", "JPEG"), ("tif", "TIFF")])
def test_formats_by_their_suffix(run, tmp_path, name, kind):
    (tmp_path / "a.png").write_bytes(jpeg())
    done = run(tmp_path / "a.png", "--format", name, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "out" / f"a.{name}").format == kind


# --- streams -----------------------------------------------------------------------------------


def test_pipe_gives_a_png_and_nothing_else(run):
    done = run("-", input=jpeg())
    assert done.returncode == 0 and done.stderr == b""
    image = Image.open(io.BytesIO(done.stdout))
    assert image.format == "PNG" and image.size == (96, 80)
    assert len(done.stdout) == done.stdout.rindex(b"IEND") + 8
    asked = run("-", "-o", "-", "--format", "webp", input=jpeg())
    assert Image.open(io.BytesIO(asked.stdout)).format == "WEBP"


@pytest.mark.parametrize(
    ("kind", "options", "format", "frames"),
    [
        ("TIFF", {"save_all": True}, "TIFF", 2),
        ("GIF", {"save_all": True, "duration": 80}, "GIF", 2),
        ("WEBP", {"save_all": True, "duration": 80}, "WEBP", 2),
        ("PNG", {"save_all": True, "duration": 80}, "PNG", 2),
        ("TIFF", {}, "PNG", 1),
        ("GIF", {}, "PNG", 1),
    ],
)
def test_what_comes_from_stdin_goes_out_whole(
    here, small_model, tmp_path, kind, options, format, frames
):
    run = partial(here, "predict", "-m", small_model)
    pages = [Image.fromarray(scene(i)[..., 0]) for i in range(2)]
    more = {"append_images": pages[1:]} if options else {}
    buffer = io.BytesIO()
    pages[0].save(buffer, kind, **options, **more)
    (tmp_path / "noext").write_bytes(buffer.getvalue())
    shown = [
        run("-", input=buffer.getvalue()).stdout_bytes,
        run(tmp_path / "noext", "-o", "-").stdout_bytes,
    ]
    assert run("-", "-o", tmp_path / "out", input=buffer.getvalue()).exit_code == 0
    assert run(tmp_path / "noext").exit_code == 0
    (in_folder,) = (tmp_path / "out").iterdir()
    (beside,) = tmp_path.glob("noext-color.*")
    for data in (*shown, in_folder.read_bytes(), beside.read_bytes()):
        image = Image.open(io.BytesIO(data))
        assert (image.format, getattr(image, "n_frames", 1)) == (format, frames)
    assert reading.read(in_folder).gray.shape == (80, 96)  # its suffix is its format's
    assert Image.registered_extensions()[in_folder.suffix] == format


@pytest.mark.parametrize("pages", [1, 2])
def test_sixteen_bits_stay_on_their_way_through_a_pipe(run, pages):
    planes = np.stack([scene(i)[..., 0] for i in range(pages)]).astype(np.uint16) * 257
    done = run("-", input=tiff(planes if pages > 1 else planes[0]))
    document = reading.decode(done.stdout)
    assert len(document.frames) == pages and document.frames[0].depth == 16


def test_stdin_beside_files(run, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    done = run("-", tmp_path / "a.jpg", "-o", tmp_path / "out", "--json", input=jpeg())
    assert [r["input"] for r in records(done)] == ["-", str(tmp_path / "a.jpg")]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.jpg", "stdin.png"]
    both = run("-", tmp_path / "a.jpg", input=jpeg())  # one to stdout, one beside its source
    assert Image.open(io.BytesIO(both.stdout)).format == "PNG"
    assert (tmp_path / "a-color.jpg").is_file()
    file = run("-", "-o", tmp_path / "x.tiff", "--json", input=jpeg())
    assert records(file)[0]["output"] == str(tmp_path / "x.tiff")


@pytest.mark.parametrize(
    ("arguments", "stdout", "code", "word"),
    [
        (["-o", "-"], "/dev/full", 3, "No space left"),
        (["--dry-run", "--json"], "/dev/full", 3, "No space left"),
        (["-o", "-"], None, 3, "stdout is closed"),
        (["--dry-run", "--json"], None, 3, "stdout is closed"),
        (["-o", "/dev/full"], "/dev/null", 3, "/dev/full"),
    ],
)
def test_a_stdout_that_takes_nothing(photos, small_model, arguments, stdout, code, word):
    command = [sys.executable, "-m", "colorcli", "predict", photos / "photo00.png", *arguments,
               "-m", small_model]  # fmt: skip
    shell = 'exec "$@" >&-' if stdout is None else f'exec "$@" > {stdout}'
    done = subprocess.run(["bash", "-c", shell, "-", *command], capture_output=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert len(lines(done.stderr)) == 1 and word in done.stderr.decode()


def test_a_closed_stderr_spoils_nothing(small_model, tmp_path):
    command = [sys.executable, "-m", "colorcli", "predict", "-", "none.jpg", "-m", small_model]
    done = subprocess.run(["bash", "-c", 'exec "$@" 2>&-', "-", *command], input=jpeg(),
                          stdout=subprocess.PIPE, timeout=60)  # fmt: skip
    assert done.returncode == 5
    assert done.stdout.startswith(b"\x89PNG") and done.stdout.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize(("photograph", "code"), [("photo00.png", 0), ("none.png", 3)])
def test_a_full_disk_under_the_log_spoils_nothing(photos, small_model, tmp_path, photograph, code):
    command = [sys.executable, "-m", "colorcli", "predict", photos / photograph, "-o", tmp_path,
               "-m", small_model]  # fmt: skip
    done = subprocess.run(["bash", "-c", 'exec "$@" 2>/dev/full', "-", *command], timeout=60)
    assert done.returncode == code
    assert os.listdir(tmp_path) == ([] if code else [photograph])


def test_a_reader_of_messages_that_leaves_ends_it_quietly(small_model, tmp_path):
    for i in range(400):  # lines for more than a pipe holds, so that none is written in time
        (tmp_path / f"{i:0200}.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-m", "colorcli", "predict", tmp_path, "-m", small_model]
    shell = '"$@" 2>&1 >&3 | head -n 1 | cut -c -9; exit ${PIPESTATUS[0]}'
    done = subprocess.run(["bash", "-c", f"exec 3>&1; {shell}", "-", *command],
                          capture_output=True, timeout=60)  # fmt: skip
    assert done.returncode == 141
    assert done.stdout == b"colorize:\n" and done.stderr == b""


def test_a_reader_that_leaves_ends_it_quietly(photos, small_model, tmp_path):
    command = [sys.executable, "-m", "colorcli", "predict", photos, "-o", tmp_path / "out",
               "-m", small_model, "--json", "--workers", "1"]  # fmt: skip
    shell = '"$@" | head -n 1; exit ${PIPESTATUS[0]}'
    done = subprocess.run(["bash", "-c", shell, "-", *command], capture_output=True, timeout=60)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr and b"Broken" not in done.stderr
    assert not [n for n in os.listdir(tmp_path / "out") if n.startswith(PART)]


def test_a_live_line_on_a_terminal_leaves_json_alone(photos, small_model, tmp_path):
    pty = pytest.importorskip("pty", reason="no terminals here")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "predict", photos, "-o", tmp_path, "-m", small_model,
         "--json"], stdout=subprocess.PIPE, stderr=child, env={**os.environ, "TERM": "xterm",
         "COLUMNS": "120"},
    )  # fmt: skip
    os.close(child)
    shown = bytearray()

    def listen():
        try:
            while data := os.read(parent, 4096):
                shown.extend(data)
        except OSError:  # the terminal has gone
            pass

    listener = threading.Thread(target=listen)
    listener.start()
    stdout = process.communicate(timeout=120)[0]
    listener.join(10)
    os.close(parent)
    assert len([json.loads(line) for line in lines(stdout)]) == 50
    text = shown.decode()
    assert "colouring" in text and "failed 1" in text and "/s" in text and "50/50" in text
    assert "broken.jpg" in text


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["{photos}/none.png", "-o", "{out}"], 3, "none.png"),
        (["{photos}/broken.jpg", "-o", "{out}"], 3, "broken.jpg"),
        (["{photos}/photo00.png", "{photos}/none.png", "-o", "{out}"], 5, "none.png"),
        (["{photos}/photo00.png", "-o", "{photos}"], 2, "replace a source"),
        (["{photos}/photo00.png", "-o", "{out}/a.xyz", "--temperature", "0"], 2, "temperature"),
        (["{photos}/photo00.png", "-o", "{out}", "--saturation", "nan"], 2, "saturation"),
        (["{photos}/photo00.png", "-o", "/dev/null/x"], 2, "/dev/null/x"),
        (["{photos}/photo00.png", "{photos}/photo01.png", "-o", "-"], 2, "stdout"),
        (["-", "--json"], 2, "--json"),
        (["-", "--files-from", "-"], 2, "stdin cannot be both"),
        (["--files-from", "{photos}/none"], 2, "--files-from"),
        (["--files-from", "{photos}/none", "-0"], 2, "none"),
        ([], 2, "no photographs given"),
        (["{photos}/photo00.png", "--overwrite", "--skip-existing"], 2, "contradict"),
        (["{photos}/photo00.png", "-o", "{out}", "-q", "-v"], 2, "contradict"),
        (["{photos}/photo00.png", "-o", "{out}/{{stem}}.xyz"], 2, "known: .jpg"),
        (["{photos}/photo00.png", "-o", "{out}/{{index:999999999d}}.png"], 2, "too wide"),
        (["{photos}/photo00.png", "-o", "{out}.xyz"], 2, "unknown output suffix; known: .jpg"),
        (["{photos}", "-o", "{out}.doc"], 2, "unknown output suffix; known: .jpg"),
        (["{photos}/photo00.png", "-o", "{out}", "-m", "no-such"], 4, "no-such"),
        (["{photos}/photo00.png", "-o", "{out}", "--format", "psd"], 2, "psd"),
        (
            ["{photos}/photo00.png", "-o", "{out}/a.png", "--format", "webp"],
            2,
            "means png, not webp",
        ),
        (["{photos}/photo00.png", "-o", "{out}", "--max-megapixels", "0"], 2, "max-megapixels"),
        (["{photos}/photo00.png", "-o", "{out}", "--device", "tpu"], 2, "tpu"),
        (["{photos}/photo00.png", "-o", "{out}", "--saturation", "1e300"], 2, "at most 100"),
        (["{photos}/photo00.png", "-o", "{out}", "--vividness", "1e308"], 2, "at most 10"),
        (["/dev/zero", "-o", "{out}"], 3, "/dev/zero: a device, no file"),
        (
            ["{photos}/photo00.png", "-o", "{out}", "--log", "{out}/photo00.png"],
            2,
            "a picture's name; name it .jsonl",
        ),
    ],
)
def test_refusals_are_one_line_with_the_right_code(run, photos, tmp_path, arguments, code, word):
    given = [a.format(photos=photos, out=tmp_path / "out") for a in arguments]
    done = run(*given, *([] if "-v" in given else ["-q"]), input=b"")
    (told,) = lines(done.stderr)
    assert done.returncode == code
    assert told.startswith("colorize: ") and word in told
    assert not (tmp_path / "out").exists() or code == 5


def test_dry_run_touches_nothing(run, photos, tmp_path):
    done = run(photos, "-o", tmp_path / "out", "--dry-run")
    assert len(lines(done.stdout)) == 50 and not (tmp_path / "out").exists()
    assert lines(done.stdout)[0].endswith(f"broken.jpg -> {tmp_path}/out/broken.jpg")


# --- places that take nothing ------------------------------------------------------------------


def test_a_stdin_that_is_no_picture_and_has_no_end_is_refused_at_once(small_model):
    with open("/dev/zero", "rb") as endless:
        done = subprocess.run(
            [sys.executable, "-m", "colorcli", "predict", "-", "-m", small_model],
            stdin=endless, capture_output=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3 and done.stdout == b""
    (told,) = lines(done.stderr)
    assert told == "colorize: -: not a picture that can be read; check the file"


@pytest.fixture
def mounted(tmp_path):
    """``mounted(options)``: a small file system of its own; skips where that is not permitted."""
    places = []

    def mount(options):
        place = tmp_path / f"mount{len(places)}"
        place.mkdir()
        if (
            not shutil.which("mount")
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True
            ).returncode
        ):
            pytest.skip("mounting is not permitted here")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_loses_only_what_does_not_fit(run, mounted, tmp_path):
    place = mounted("size=256k")
    for i in range(8):
        noise = np.random.default_rng(i).integers(0, 256, (160, 160), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    done = run(tmp_path, "-o", place, "--json")
    told = Counter(r["status"] for r in records(done))
    assert done.returncode == 5 and told["failed"] and told["done"] and sum(told.values()) == 8
    assert "No space left" in done.stderr.decode()
    whole = {r["output"] for r in records(done) if r["status"] == "done"}
    assert {str(p) for p in place.iterdir()} == whole
    for path in whole:
        Image.open(path).load()


def test_a_folder_that_is_read_only(run, mounted, photos):
    place = mounted("ro")
    done = run(photos / "photo00.png", "-o", place)
    assert done.returncode == 3
    assert lines(done.stderr) == [
        f"colorize: {place}/photo00.png: cannot be written: Read-only file system; "
        "choose another place"
    ]


# --- the core ----------------------------------------------------------------------------------


def jobs_of(folder, out, count, suffix="jpg"):
    names = [f"{i}.{suffix}" for i in range(count)]
    return [Job(Source(f"{folder}/{name}", name), f"{out}/{name}") for name in names]


def test_results_in_order_whatever_takes_longest(colorizer, tmp_path):
    for i in range(12):
        size = (900, 900) if i == 0 else (40, 40)
        Image.fromarray(scene(i, *size)).save(tmp_path / f"{i}.jpg")
    (tmp_path / "5.jpg").unlink()  # vanished since it was found
    seen = []
    results = list(
        predict.predict(
            jobs_of(tmp_path, tmp_path / "out", 12), colorizer, PredictConfig(workers=3),
            progress=lambda done, total, **values: seen.append((done, total, values)),
        )
    )  # fmt: skip
    assert [r.input for r in results] == [f"{tmp_path}/{i}.jpg" for i in range(12)]
    assert [r.status for r in results] == ["done"] * 5 + ["failed"] + ["done"] * 6
    assert "No such file" in results[5].error
    assert seen[-1] == (12, 12, {"failed": 1})


def test_the_number_of_workers_changes_nothing(colorizer, tmp_path):
    for i in range(6):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(i))
    for workers in (1, 4):
        jobs = jobs_of(tmp_path, tmp_path / f"out{workers}", 6)
        assert {
            r.status for r in predict.predict(jobs, colorizer, PredictConfig(workers=workers))
        } == {"done"}
    for i in range(6):
        one, four = (tmp_path / f"out{w}" / f"{i}.jpg" for w in (1, 4))
        assert one.read_bytes() == four.read_bytes()


def test_one_bug_or_one_want_of_memory_costs_one_photograph(colorizer, tmp_path, monkeypatch):
    for i in range(4):
        Image.fromarray(scene(i)).save(tmp_path / f"{i}.png")
    real = colorize_bytes

    def faulty(data, name, *arguments, **options):
        if name.endswith("/1.png"):
            raise MemoryError
        if name.endswith("/2.png"):
            raise ZeroDivisionError("never thought of")
        return real(data, name, *arguments, **options)

    monkeypatch.setattr(predict, "colorize_bytes", faulty)
    results = list(predict.predict(jobs_of(tmp_path, tmp_path / "out", 4, "png"), colorizer))
    assert [r.status for r in results] == ["done", "failed", "failed", "done"]
    assert "not enough memory" in results[1].error and "please report" in results[2].error


def test_stop_gives_what_is_finished_and_begins_nothing_new(colorizer, tmp_path):
    for i in range(60):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(i % 7))
    stop, seen = threading.Event(), []
    jobs = jobs_of(tmp_path, tmp_path / "out", 60)
    for result in predict.predict(jobs, colorizer, PredictConfig(workers=1), stop=stop):
        assert result.status == "done"
        seen.append(result.output)
        if len(seen) == 3:
            stop.set()
    assert 3 <= len(seen) < 60
    assert sorted(os.listdir(tmp_path / "out")) == sorted(map(os.path.basename, seen))


def test_stale_temporaries_of_the_dead_are_removed(run, photos, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    from colorcli.system.atomic import host

    stale = tmp_path / f"{PART}{host()}-{dead.pid}-0123abcd-ffee"
    stale.write_bytes(b"half")
    assert run(photos / "photo00.png", "-o", tmp_path).returncode == 0
    assert os.listdir(tmp_path) == ["photo00.png"]


def test_bombs_are_refused_with_the_flag(run, tmp_path):
    Image.new("L", (2000, 1000)).save(tmp_path / "big.png")
    done = run(tmp_path / "big.png", "--max-megapixels", "1")
    assert done.returncode == 3 and "--max-megapixels" in done.stderr.decode()
    assert run(tmp_path / "big.png", "--max-megapixels", "2").returncode == 0


def test_keep_color_passes_colour_and_colours_the_rest(run, tmp_path):
    (tmp_path / "colour.jpg").write_bytes(jpeg(1))
    (tmp_path / "gray.jpg").write_bytes(saved(scene(2)[..., 0], "JPEG"))
    (tmp_path / "sepia.jpg").write_bytes(saved(sepia(3), "JPEG"))
    done = run(tmp_path, "-o", tmp_path / "out", "--keep-color", "--json")
    assert [r["status"] for r in records(done)] == ["kept", "done", "done"]
    assert (tmp_path / "out" / "colour.jpg").read_bytes() == jpeg(1)  # the very file
    turned = run(
        tmp_path / "colour.jpg", "-o", tmp_path / "c.png", "--keep-color", "--json", "--strip"
    )
    assert records(turned)[0]["status"] == "kept"
    kept = np.asarray(Image.open(tmp_path / "c.png"))
    assert np.array_equal(kept, np.asarray(Image.open(io.BytesIO(jpeg(1)))))
    plain = run(tmp_path / "colour.jpg", "-o", tmp_path / "d.png", "--json")
    assert records(plain)[0]["status"] == "done"
    assert not np.array_equal(np.asarray(Image.open(tmp_path / "d.png")), kept)


def test_every_frame_is_coloured(colorizer):
    pages = [Image.fromarray(scene(i)[..., 0]) for i in range(3)]
    data = io.BytesIO()
    pages[0].save(data, "TIFF", save_all=True, append_images=pages[1:])
    encoded, result = colorize_bytes(data.getvalue(), "x.tif", colorizer)
    assert (result.frames, result.width, result.height) == (3, 96, 80)
    document = reading.decode(encoded, "out", keep_color=True)
    assert [frame.rgb is not None for frame in document.frames] == [True] * 3


def test_damage_is_an_image_error_with_the_name(colorizer):
    with pytest.raises(ImageError, match=r"^x\.jpg: "):
        colorize_bytes(jpeg()[:500], "x.jpg", colorizer)


def test_the_budget_lets_one_large_or_many_small_run():
    budget = Budget(10)
    order = []
    inside = threading.Event()

    def large():
        with budget(50):
            order.append("large")

    with budget(6):
        thread = threading.Thread(target=large)
        thread.start()
        with budget(4):
            inside.set()
        thread.join(0.05)
        order.append("small")
    thread.join(5)
    assert order == ["small", "large"] and not thread.is_alive()


def test_unknown_model_is_a_model_error():
    with pytest.raises(ModelError, match="known models"):
        Colorizer("none such")


def test_native_libraries_do_not_speak_on_our_stderr(colorize, small_model, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(scene(0, 64, 64)[..., 0]).save(buffer, "TIFF", compression="tiff_lzw")
    data = bytearray(buffer.getvalue())
    data[200:260] = bytes(byte ^ 0x5A for byte in data[200:260])  # libtiff has a line for this
    (tmp_path / "bad.tif").write_bytes(data)
    command = ("predict", tmp_path / "bad.tif", "-m", small_model, "-o", tmp_path / "x.png")
    done = colorize(*command)
    assert done.returncode == 3
    assert len(lines(done.stderr)) == 1 and "bad.tif: damaged picture" in lines(done.stderr)[0]
    loud = colorize(*command, env={"COLORIZE_NATIVE_STDERR": "1"})
    assert lines(done.stderr)[0] in lines(loud.stderr) and len(lines(loud.stderr)) > 1


def test_notes_and_files_left_alone_are_told(colorize, small_model, tmp_path):
    from oddities import still

    (tmp_path / "moving.png").write_bytes(still())
    (tmp_path / "clip.doc").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    done = colorize("predict", tmp_path, "-o", tmp_path / "out", "-m", small_model)
    told = done.stderr.decode().splitlines()
    assert done.returncode == 0 and len(told) == 2
    note = "its animation is damaged; only its still picture was read"
    assert told[0] == f"colorize: {tmp_path / 'moving.png'}: {note}"
    assert "1 coloured, 2 files with other suffixes left alone in" in told[1]
    again = colorize(
        "predict", tmp_path / "moving.png", "-o", tmp_path / "b.png", "-m", small_model, "--json"
    )
    assert json.loads(again.stdout)["notes"] == [note]
    quiet = colorize("predict", tmp_path, "-o", tmp_path / "c", "-m", small_model, "-q")
    assert quiet.stderr == b""
