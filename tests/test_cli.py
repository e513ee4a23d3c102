"""The command as a user meets it: real processes, pipes, exit codes."""

import json

import pytest

from colorcli import model_dir


def lines(output: bytes) -> list[str]:
    return output.decode().strip().splitlines()


@pytest.mark.slow
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
    out = tmp_path / "baseline.tflite"
    exported = colorize("export", "-m", run, "-o", out, "--json")
    assert exported.returncode == 0, exported.stderr
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
