"""The command as a user meets it: real processes, pipes, exit codes."""

import json

import numpy as np
import pytest
from PIL import Image

from colorcli import model_dir


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
    done = colorize("models", "--json")
    names = [json.loads(line)["name"] for line in lines(done.stdout)]
    assert "default" in names
    for name in names:
        model_dir.load(name, needs=(model_dir.WEIGHTS, model_dir.LITERT))
