"""The command as a user meets it: real processes, pipes, exit codes."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from colorcli.network import model_folder
from colorcli.system.errors import ModelError


def lines(output: bytes) -> list[str]:
    return output.decode().strip().splitlines()


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


@pytest.mark.slow
def test_export_takes_any_name(colorize, small_model, tmp_path):
    """Keras insists on its suffix; the export gives the name asked for."""
    options = ["export", "-m", small_model, "--format", "keras", "-o", tmp_path / "x", "--json"]
    done = colorize(*options)
    result = json.loads(done.stdout)
    assert done.returncode == 0 and (tmp_path / "x").is_file()
    assert result["check"]["rgb_mean"] <= result["tolerance"]["rgb"] and result["bytes"] > 1e6
    again = colorize(*options)
    assert again.returncode == 2 and b"exists already" in again.stderr


def test_fine_tuning_takes_the_architecture_of_its_model(colorize, small_model):
    options = ["train", "--preset", "finetune", "--init", small_model, "--print-config"]
    shown = colorize(*options).stdout.decode()
    assert "size = 64 " in shown and "decoder = [16, 16, 16]" in shown
    shown = colorize(*options, "--size", "96").stdout.decode()
    assert "size = 96 " in shown and "decoder = [16, 16, 16]" in shown


@pytest.mark.slow
def test_the_whole_pipeline(colorize, photos, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    made = colorize("prepare", "folder", photos, "-o", data, "--val-fraction", "0.2", "--json")
    assert json.loads(made.stdout)["dropped"] == {"gray": 1, "broken": 1}
    trained = colorize(
        "train", data, "-o", run, "--preset", "baseline", "--steps", "2", "--batch", "4",
        "--stages", "32", "--size", "32", "--json",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["steps"] == 2
    judged = colorize("eval", data, "-m", run, "--json")
    assert json.loads(judged.stdout)["judged"] >= 1
    out = tmp_path / "baseline.tflite"
    exported = colorize("export", "-m", run, "-o", out, "--json")
    assert exported.returncode == 0 and exported.stderr == b"", exported.stderr
    assert json.loads(exported.stdout)["path"] == str(out) and out.stat().st_size > 1e6
    refused = colorize(
        "predict", photos / "photo00.png", "-o", tmp_path, "-m", run, "--vividness", "1"
    )
    assert refused.returncode == 2 and b"no colour distribution" in refused.stderr


def test_bundled_models_are_whole(colorize):
    done = colorize("models", "--verify", "--json")
    entries = list(map(json.loads, lines(done.stdout)))
    assert done.returncode == 0
    assert [entry["name"] for entry in entries] == model_folder.bundled() and len(entries) >= 1
    for entry in entries:
        assert entry["whole"] and set(entry["files"].values()) == {"ok"}
        assert {model_folder.WEIGHTS, model_folder.LITERT, model_folder.CONFIG} <= set(
            entry["files"]
        )


def test_models_says_where(colorize):
    done = colorize("models", "--path", "default")
    assert lines(done.stdout) == [str(model_folder.BUNDLED / "default")] and done.returncode == 0
    listed = lines(colorize("models").stdout)
    assert listed[0].split("\t")[:2] == ["default", str(model_folder.BUNDLED / "default")]
    assert colorize("models", "--path", "--json").returncode == 2


def test_damaged_models_are_told_apart(colorize, small_model, tmp_path):
    """One damaged file, one missing, one folder that is none: each named, the whole one listed."""
    flipped, incomplete = (shutil.copytree(small_model, tmp_path / name) for name in "ab")
    (flipped / model_folder.LITERT).write_bytes(b"x")
    (incomplete / model_folder.HISTORY).unlink()
    told = colorize("models", "--verify", "--json", flipped, tmp_path, incomplete, small_model)
    assert told.returncode == 4
    entries = [json.loads(line) for line in lines(told.stdout)]
    assert [entry["whole"] for entry in entries] == [False, False, True]
    faulty = [[k for k, v in entry["files"].items() if v != "ok"] for entry in entries]
    assert faulty == [[model_folder.LITERT], [model_folder.HISTORY], []]
    complaints = lines(told.stderr)
    assert len(complaints) == 3
    for path, line in zip(
        (flipped / model_folder.LITERT, tmp_path, incomplete / model_folder.HISTORY), complaints,
        strict=True,
    ):  # fmt: skip
        assert line.startswith(f"colorize: {path}: ")


def test_unlisted_files_are_not_trusted(small_model, tmp_path):
    copy = shutil.copytree(small_model, tmp_path / "copy")
    metadata = json.loads((copy / model_folder.METADATA).read_text())
    del metadata["files"][model_folder.WEIGHTS]
    (copy / model_folder.METADATA).write_text(json.dumps(metadata))
    states = model_folder.verify(model_folder.load(copy, needs=()))
    assert [name for name, fault in states.items() if fault] == [model_folder.WEIGHTS]
    (copy / model_folder.METADATA).write_text("{}")
    with pytest.raises(ModelError, match="lists no files"):
        model_folder.verify(model_folder.load(copy, needs=()))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["predict", "--help"], ["models"]]
)
def test_a_stdout_without_room(arguments):
    command = [sys.executable, "-m", "colorcli", *arguments]
    done = subprocess.run(["bash", "-c", 'exec "$@" >/dev/full', "-", *command],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == "colorize: stdout cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "says", "help"),
    [
        (["--nope"], "no such option: --nope", "colorize"),
        (["predicct", "a.jpg"], "no such command 'predicct'. Did you mean 'predict'?", "colorize"),
        (["predict", "--nope"], "no such option: --nope", "colorize predict"),
        (["predict", "a.jpg", "--format", "xyz"], "'xyz' is not one of 'jpeg', 'png'", "colorize predict"),
        (["predict", "a.jpg", "--quality", "101"], "'--quality'", "colorize predict"),
        (["predict", "a.jpg", "-o"], "option '-o' requires an argument", "colorize"),
        (["train", "x", "--steps", "many"], "'--steps'", "colorize train"),
        (["prepare", "folder", "x"], "missing option '--output'", "colorize prepare folder"),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_be(colorize, arguments, says, help):
    done = colorize(*arguments)
    (line,) = lines(done.stderr)
    assert done.returncode == 2 and done.stdout == b""
    assert line.startswith("colorize: ") and says in line
    assert line.endswith(f"; see {help} --help")


@pytest.mark.parametrize("arguments", [[], ["prepare"]])
def test_nothing_given_is_answered_with_the_help(colorize, arguments):
    done, help = colorize(*arguments), colorize(*arguments, "--help")
    assert done.returncode == 2 and done.stdout == b"" and done.stderr == help.stdout
