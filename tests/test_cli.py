"""The command as a user meets it: real processes, pipes, exit codes."""

import io
import json

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli import model_dir


def lines(output: bytes) -> list[str]:
    return output.decode().strip().splitlines()


def test_folder_in_folder_out(colorize, photos, small_model, tmp_path):
    done = colorize("predict", photos, "-o", tmp_path, "-m", small_model, "--json")
    records = [json.loads(line) for line in lines(done.stdout)]
    assert done.returncode == 5  # broken.jpg
    assert len(records) == 50 and sum(r["status"] == "done" for r in records) == 49
    assert [r["input"] for r in records] == sorted(r["input"] for r in records)
    failed = next(r for r in records if r["status"] == "failed")
    assert "broken.jpg" in failed["error"]
    assert lines(done.stderr)[0] == f"colorize: {failed['error']}"
    assert Image.open(tmp_path / "photo00.png").size == (96, 80)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    again = colorize(
        "predict", photos, "-o", tmp_path, "-m", small_model, "--json", "--skip-existing"
    )
    assert sum(json.loads(line)["status"] == "skipped" for line in lines(again.stdout)) == 49


def test_pipe_gives_a_png_and_nothing_else(colorize, small_model):
    buffer = io.BytesIO()
    Image.fromarray(scene(0)).save(buffer, "JPEG")
    done = colorize("predict", "-", "-m", small_model, input=buffer.getvalue())
    assert done.returncode == 0 and done.stderr == b""
    image = Image.open(io.BytesIO(done.stdout))
    assert image.format == "PNG" and image.size == (96, 80)
    end = done.stdout.rindex(b"IEND")
    assert len(done.stdout) == end + 8


def test_names_from_stdin_with_nul_and_odd_names(colorize, small_model, tmp_path):
    names = ["with space.png", "new\nline.png", "-dash.png"]
    for i, name in enumerate(names):
        Image.fromarray(scene(i)).save(tmp_path / name)
    listed = b"\0".join(str(tmp_path / name).encode() for name in names)
    done = colorize(
        "predict",
        "--files-from",
        "-",
        "-0",
        "-o",
        tmp_path / "out",
        "-m",
        small_model,
        input=listed,
    )
    assert done.returncode == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(names)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["{photos}/none.png", "-o", "{out}"], 3, "none.png"),
        (["{photos}/broken.jpg", "-o", "{out}"], 3, "broken.jpg"),
        (["{photos}/photo00.png", "{photos}/none.png", "-o", "{out}"], 5, "none.png"),
        (["{photos}/photo00.png", "-o", "{photos}"], 2, "replace a source"),
        (["{photos}/photo00.png", "-o", "{out}/a.xyz", "--temperature", "0"], 2, "temperature"),
        (["{photos}/photo00.png", "-o", "/dev/null/x"], 3, "/dev/null/x"),
        (["-", "{photos}/photo00.png"], 2, "one photograph"),
        ([], 2, "no photographs given"),
        (["{photos}/photo00.png", "-o", "{out}", "-m", "no-such"], 4, "no-such"),
        (["{photos}/photo00.png", "-o", "{out}", "--format", "psd"], 2, "psd"),
    ],
)
def test_refusals_are_one_line_with_the_right_code(
    colorize, photos, small_model, tmp_path, arguments, code, word
):
    given = [a.format(photos=photos, out=tmp_path / "out") for a in arguments]
    model = [] if "-m" in given else ["-m", small_model]
    done = colorize("predict", *given, *model, "-q", input=b"")
    assert done.returncode == code
    assert word in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    told = [line for line in lines(done.stderr) if line.startswith("colorize: ")]
    assert len(told) == 1 or "psd" in word


def test_dry_run_touches_nothing(colorize, photos, small_model, tmp_path):
    done = colorize("predict", photos, "-o", tmp_path / "out", "-m", small_model, "--dry-run")
    assert len(lines(done.stdout)) == 50 and not (tmp_path / "out").exists()


def test_eval_and_panels(colorize, photos, small_model, tmp_path):
    done = colorize("eval", photos, "-m", small_model, "--json", "--panels", tmp_path)
    result = json.loads(done.stdout)
    assert done.returncode == 5  # broken.jpg is named, the rest judged
    assert result["judged"] == 48 and result["gray_originals"] == 1 and len(result["broken"]) == 1
    rows = [row["metrics"] for row in (result["models"][0], result["gray"])]
    gain = rows[0]["psnr"]["mean"] - rows[1]["psnr"]["mean"]
    assert rows[0]["gain"]["mean"] == pytest.approx(gain, abs=2e-5)
    assert rows[1]["cf"]["mean"] < 1
    assert np.asarray(Image.open(next(tmp_path.glob("*.png")))).shape == (256, 3 * 256 + 8, 3)


def test_export_takes_any_name(colorize, small_model, tmp_path):
    """Keras insists on its suffix; the export gives the name asked for."""
    options = ["export", "-m", small_model, "--format", "keras", "-o", tmp_path / "x", "--json"]
    done = colorize(*options)
    result = json.loads(done.stdout)
    assert done.returncode == 0 and (tmp_path / "x").is_file()
    assert result["check"]["rgb_mean"] <= result["tolerance"]["rgb"] and result["bytes"] > 1e6
    again = colorize(*options)
    assert again.returncode == 2 and b"exists already" in again.stderr


def test_the_whole_pipeline(colorize, photos, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    made = colorize("prepare", "folder", photos, "-o", data, "--val-fraction", "0.2", "--json")
    assert json.loads(made.stdout)["dropped"] == {"gray": 1, "broken": 1}
    trained = colorize(
        "train", data, "-o", run, "--preset", "baseline", "--steps", "2", "--batch", "4",
        "--train-size", "32", "--size", "32", "--json",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["steps"] == 2
    judged = colorize("eval", data, "-m", run, "--json")
    assert json.loads(judged.stdout)["judged"] >= 1
    refused = colorize(
        "predict", photos / "photo00.png", "-o", tmp_path, "-m", run, "--vividness", "1"
    )
    assert refused.returncode == 2 and b"no colour distribution" in refused.stderr


def test_bundled_models_are_whole(colorize):
    done = colorize("models", "--json")
    names = [json.loads(line)["name"] for line in lines(done.stdout)]
    assert "default" in names
    for name in names:
        model_dir.load(name, needs=(model_dir.WEIGHTS, model_dir.LITERT))
