"""Sources, protocols, contenders, gates: what ``colorize eval`` judges and how."""

import csv
import dataclasses
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from conftest import REPO, scene
from PIL import Image
from scipy import stats
from skimage import data
from test_metrics import independent
from typer.testing import CliRunner

from colorcli.cli import app, terminal
from colorcli.color.lab import join, neutral, rgb_to_lab
from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.evaluation import EvalConfig
from colorcli.data.sources.folder import Folder
from colorcli.data.sources.pairs import Pairs
from colorcli.evaluation import evaluate, per_image, protocols, statistics
from colorcli.evaluation.contenders import Model, Pictures, distinct
from colorcli.evaluation.gates import gate
from colorcli.evaluation.metrics import METRICS
from colorcli.evaluation.metrics import chosen as chosen_metrics
from colorcli.system.errors import DataError, UsageError

SCHEMA = json.loads((REPO / "docs" / "eval-schema.json").read_text())


def run(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """The colour photographs of scikit-image, at half their size."""
    folder = tmp_path_factory.mktemp("four")
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        Image.fromarray(getattr(data, name)()[::2, ::2]).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A truth and a coloured folder: four pairs, one of them of another size."""
    root = tmp_path_factory.mktemp("pairs")
    for i in range(4):
        truth = scene(i)
        for side, rgb, suffix in (("truth", truth, "png"), ("mine", truth // 2 + 40, "tiff")):
            path = root / side / f"sub/{i}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rgb).save(path)
    return root


# --- statistics --------------------------------------------------------------------------------


def test_bootstrap_interval_is_that_of_the_mean_and_seeded():
    values = np.random.default_rng(0).normal(5, 2, (400, 1))
    stat = statistics.summarise(values, seed=1)[0]
    half = 1.96 * values.std() / 20
    assert stat.mean == pytest.approx(values.mean())
    assert stat.median == pytest.approx(np.median(values))
    assert stat.low == pytest.approx(values.mean() - half, abs=0.05)
    assert stat.high == pytest.approx(values.mean() + half, abs=0.05)
    assert statistics.summarise(values, seed=1)[0] == stat
    assert statistics.summarise(values, seed=2)[0] != stat


def test_bootstrap_draws_are_paired_weighted_and_bounded(monkeypatch):
    values = np.random.default_rng(0).normal(0, 1, (50, 2))
    both = np.column_stack([values, values[:, 0] - 3])
    one, _, shifted = statistics.summarise(both)
    assert shifted.low == pytest.approx(one.low - 3) and shifted.high == pytest.approx(one.high - 3)
    weights = np.array([[1.0], [3.0]])
    stat = statistics.summarise(np.array([[0.0], [4.0]]), weights=weights)[0]
    assert stat.mean == 3 and stat.median == 2
    flipped = statistics.summarise(-np.ones((5, 1)), magnitude=np.array([True]))[0]
    assert flipped.mean == flipped.low == 1
    whole = statistics.summarise(values)
    monkeypatch.setattr(statistics, "CELLS", 100)  # in many small parts: the same draws
    assert statistics.summarise(values) == whole


def test_bootstrap_draws_what_scipy_draws():
    """Paired and weighted, to the last digit that is kept."""
    random = np.random.default_rng(0)
    values, weights = random.normal(1, 1, (60, 3)), random.uniform(0.5, 2, (60, 3))
    found = statistics.summarise(values, weights=weights, samples=200, seed=4)
    wanted = stats.bootstrap(
        (values, weights), lambda v, w, axis: np.average(v, axis, w), paired=True,
        vectorized=True, method="percentile", n_resamples=200, rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    assert [s.low for s in found] == pytest.approx(wanted.low, abs=2e-6)
    assert [s.high for s in found] == pytest.approx(wanted.high, abs=2e-6)


# --- protocols ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("squash-256", None, (256, 256)), ("squash", 64, (64, 64)), ("crop-48", None, (48, 48)),
        ("crop", None, (256, 256)), ("native", None, (80, 96)), ("squash-64", 64, (64, 64)),
    ],
)  # fmt: skip
def test_protocols_by_name(name, size, shape):
    protocol = protocols.named(name, size)
    assert protocol(scene(0)).shape[:2] == shape
    assert protocols.named(protocol.name).name == protocol.name


@pytest.mark.parametrize(
    ("name", "size"),
    [("squash-64", 32), ("native", 64), ("native-64", None), ("tall", None), ("crop-16", None)],
)
def test_impossible_protocols_are_refused(name, size):
    with pytest.raises(UsageError):
        protocols.named(name, size)


def test_crop_takes_the_middle():
    picture = np.zeros((40, 100, 3), np.uint8)
    picture[:, 30:70] = 200
    assert (protocols.named("crop-40")(picture) == 200).all()


# --- judging -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["squash-128", "crop-96", "native"])
@pytest.mark.parametrize("gray", protocols.GRAYS)
def test_rows_are_what_an_independent_computation_says(four, small_model, protocol, gray):
    """On scikit-image's photographs, within 1e-3, for the model and for doing nothing."""
    colorizer = Colorizer(small_model)
    config = EvalConfig(protocol, gray=gray, samples=10)
    chosen = Folder(inputs=[str(four)]).selection()
    result = evaluate.evaluate(chosen, [Model("m", colorizer)], config)
    wanted: dict[str, list[dict[str, float]]] = {"m": [], "gray": []}
    for item in chosen.items:
        truth = protocols.named(protocol)(item.read())
        if gray == "lab":
            fed = neutral(truth)
        else:
            fed = cv2.cvtColor(truth, cv2.COLOR_RGB2GRAY)
        wanted["m"].append(independent(truth, colorizer.colorize(fed, np.uint8)))
        nothing = join(fed, np.zeros((1, 1, 2), np.float32), np.uint8)
        wanted["gray"].append(independent(truth, nothing))
    for row in (result.summary.models[0], result.summary.gray):
        for metric in wanted["m"][0]:
            mean = np.mean([entry[metric] for entry in wanted[row.name]])
            mean = abs(mean) if METRICS[metric].magnitude else mean
            assert row.metrics[metric].mean == pytest.approx(mean, abs=1e-3), metric
    gain = result.summary.models[0].metrics["gain"].mean
    psnr = [row.metrics["psnr"].mean for row in (result.summary.models[0], result.summary.gray)]
    assert gain == pytest.approx(psnr[0] - psnr[1])


def test_result_does_not_depend_on_workers_and_order_is_kept(photos, small_model):
    chosen = Folder(inputs=[str(photos)]).selection()
    rows = []
    results = []
    for workers in (1, 3):
        seen: list[str] = []
        result = evaluate.evaluate(
            chosen, [Model("m", Colorizer(small_model))],
            EvalConfig("squash-64", samples=50, workers=workers),
            each=lambda picture, row, figures, seen=seen: seen.append(f"{picture} {row}"),
        )  # fmt: skip
        rows.append(seen)
        results.append(result.summary)
    assert rows[0] == rows[1] == sorted(rows[0], key=lambda x: x.split()[0])
    for one, other in zip(*(r.models + [r.gray] for r in results), strict=True):
        for metric, stat in one.metrics.items():
            wanted = dataclasses.astuple(other.metrics[metric])
            assert dataclasses.astuple(stat) == pytest.approx(wanted, abs=2e-6), metric
    assert results[0].judged == 48 and results[0].gray_originals == 1
    assert [Path(entry["path"]).name for entry in results[0].broken] == ["broken.jpg"]


def test_nothing_to_judge_is_a_data_error(photos):
    chosen = Folder(inputs=[str(photos / "gray.png"), str(photos / "broken.jpg")]).selection()
    with pytest.raises(DataError, match="1 gray, 1 unreadable"):
        evaluate.evaluate(chosen, [], EvalConfig())


def test_names_of_rows_are_distinct():
    assert distinct(["default", "runs/a"]) == ["default", "a"]
    assert distinct(["x/model", "y/model"]) == ["x/model", "y/model"]
    assert len(set(distinct(["a", "a", "gray"]))) == 3 and "gray" not in distinct(["gray"])


# --- pairs -------------------------------------------------------------------------------------


def test_pairs_match_by_relative_stem(pairs, tmp_path):
    shutil.copytree(pairs, tmp_path / "p")
    truth, mine = tmp_path / "p" / "truth", tmp_path / "p" / "mine"
    (mine / "sub" / "3.tiff").unlink()
    Image.fromarray(scene(9)).save(mine / "stray.png")
    Image.fromarray(scene(2)[:40]).save(mine / "sub" / "2.tiff")
    done = run("--pairs", truth, mine, "--json", "--protocol", "native")
    result = json.loads(done.stdout)
    assert done.exit_code == 5
    assert result["judged"] == 2 and result["models"][0]["kind"] == "pictures"
    assert [Path(p).name for p in result["missing"]] == ["3.png"]
    assert [Path(p).name for p in result["extra"]] == ["stray.png"]
    assert "differ in size, 96×40 and 96×80" in result["broken"][0]["reason"]
    for word in ("3.png: missing", "stray.png: no true picture", "differ in size"):
        assert word in done.stderr
    wanted = np.mean([independent(scene(i), scene(i) // 2 + 40)["psnr"] for i in (0, 1)])
    assert result["models"][0]["metrics"]["psnr"]["mean"] == pytest.approx(wanted, abs=1e-3)


def test_pairs_beside_a_model(pairs, small_model):
    done = run("--pairs", pairs / "truth", pairs / "mine", "-m", small_model, "--json")
    assert done.exit_code == 0, done.stderr
    assert [row["kind"] for row in json.loads(done.stdout)["models"]] == ["model", "pictures"]


def test_a_perfect_tool_scores_the_cap(pairs):
    chosen = Pairs(truth=pairs / "truth", coloured=pairs / "truth").selection()
    result = evaluate.evaluate(chosen, [Pictures("it", chosen.coloured)], EvalConfig())
    figures = result.summary.models[0].metrics
    assert figures["psnr"].mean == 100 and figures["ssim"].mean == pytest.approx(1)
    assert figures["auc"].mean == 1 and figures["delta_cf"].mean == 0


@pytest.mark.parametrize("which", ["ambiguous", "empty", "strangers", "absent"])
def test_pairs_that_cannot_be_told(pairs, tmp_path, which):
    mine = shutil.copytree(pairs / "mine", tmp_path / "mine")
    if which == "ambiguous":
        Image.fromarray(scene(0)).save(mine / "sub" / "0.png")
        with pytest.raises(UsageError, match="the same name without suffix"):
            Pairs(truth=pairs / "truth", coloured=mine).selection()
        return
    shutil.rmtree(mine)
    if which != "absent":
        mine.mkdir()
    if which == "strangers":
        Image.fromarray(scene(0)).save(mine / "other.png")
    with pytest.raises(DataError, match=r"mine: no (pictures|name|such folder)"):
        Pairs(truth=pairs / "truth", coloured=mine).selection()


# --- the command -------------------------------------------------------------------------------


def test_json_keeps_its_schema(photos, small_model, pairs):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    comparison = run(photos, "-m", small_model, "-m", "default", "--json", "--gray", "bt601")
    alone = run("--pairs", pairs / "truth", pairs / "mine", "--json", "--protocol", "crop-64")
    for done in (comparison, alone):
        document = json.loads(done.stdout)
        validator.validate(document)
        assert set(document) == {*SCHEMA["required"], "calibration"}
        assert set(document["models"][0]["metrics"]) == set(chosen_metrics())
    assert set(METRICS) <= set(SCHEMA["$defs"]["row"]["properties"]["metrics"]["properties"])


def test_per_image_figures_make_the_means(four, small_model, tmp_path):
    for name in ("figures.csv", "figures.jsonl"):
        done = run(four, "-m", small_model, "--json", "--per-image", tmp_path / name, "--size", 64)
        assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    with (tmp_path / "figures.csv").open() as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").open()]
    assert len(table) == len(lines) == 8 and list(table[0]) == list(lines[0])
    assert [float(row["psnr"]) for row in table] == [line["psnr"] for line in lines]
    mine = [line["ciede2000"] for line in lines if line["row"] == small_model.name]
    mean = summary["models"][0]["metrics"]["ciede2000"]["mean"]
    assert np.mean(mine) == pytest.approx(mean)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ([], 2, "none was given"),
        (["{four}", "--pairs", "{four}", "{four}"], 2, "not pictures and --pairs"),
        (["{four}", "--split", "val"], 2, "--split belongs"),
        (["{four}", "--category", "dog"], 2, "belongs to --coco"),
        (["{four}", "--protocol", "squash-64", "--size", "32"], 2, "contradict"),
        (["{four}", "--fail-under", "psnr"], 2, "METRIC=VALUE"),
        (["{four}", "--fail-under", "psnr=high"], 2, "is no number"),
        (["{four}", "--fail-under", "vmaf=3"], 2, "unknown metric"),
        (["{four}", "--fail-under", "ciede2000=3"], 2, "use --fail-over"),
        (["{four}", "--fail-over", "ssim=0.9"], 2, "use --fail-under"),
        (["{four}", "--per-image", "{out}/x.xlsx"], 2, "known: .csv .jsonl"),
        (["{four}", "--with", "psnr-hvs"], 2, "unknown; known: lpips, fid"),
        (["{four}", "--report", "/dev/null/x/r.html"], 3, "cannot be written"),
        (["{four}", "--report", "{four}"], 2, "a folder is in the way"),
        (["{four}", "--report", "{out}/x.pdf"], 2, "known: .html .htm"),
        (["{four}", "--panels", "{out}/x.png"], 2, "give a folder, such as x"),
        (["{four}", "--per-image", "{four}/astronaut.png"], 2, "exists already"),
        (["{four}", "--panels", "{four}"], 2, "holds something already"),
        (["{out}"], 3, "no photographs in this folder"),
        (["{out}/none.png"], 3, "no such file"),
        (["{four}", "-m", "{out}"], 4, "holds no config.json"),
        (["--coco", "{out}"], 3, "prepare coco --download"),
    ],
)
def test_bad_input_is_one_line(four, small_model, tmp_path, arguments, code, word):
    (tmp_path / "out").mkdir()
    given = [a.format(four=four, out=tmp_path / "out") for a in arguments]
    model = [] if "-m" in given or "--pairs" in given else ["-m", small_model]
    done = run(*given, *model, "-q")
    assert done.exit_code == code, done.stderr
    assert not list((tmp_path / "out").iterdir()) or "x.xlsx" in arguments[-1]
    assert word in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.html"))


def test_gates_exit_5_and_say_which(four, small_model):
    common = [four, "-m", small_model, "--size", 64, "-q"]
    passed = run(*common, "--fail-under", "psnr=1", "--fail-over", "ciede2000=90")
    assert passed.exit_code == 0 and passed.stderr == ""
    short = run(*common, "--fail-under", "psnr=90", "--fail-over", "ciede2000=0.1")
    assert short.exit_code == 5
    lines = short.stderr.strip().splitlines()
    assert len(lines) == 2
    assert "psnr" in lines[0] and "is under 90" in lines[0] and small_model.name in lines[0]
    assert "ciede2000" in lines[1] and "is over 0.1" in lines[1]
    with pytest.raises(UsageError, match="not a number"):
        gate("psnr=nan", METRICS, under=True)


def test_files_from_limit_and_seed(photos, small_model, tmp_path):
    listed = tmp_path / "list"
    listed.write_text("\n".join(str(photos / f"photo{i:02d}.png") for i in range(20)))
    judged = []
    for seed in (1, 1, 2):
        target = tmp_path / f"{len(judged)}.csv"
        done = run("--files-from", listed, "-m", small_model, "--limit", 5, "--seed", seed,
                   "--per-image", target, "--size", 32, "-q")  # fmt: skip
        assert done.exit_code == 0, done.stderr
        judged.append([row["picture"] for row in csv.DictReader(target.open())][::2])
    assert len(judged[0]) == 5 and judged[0] == judged[1] != judged[2]


def test_coco_split(photos, small_model, tmp_path):
    folder = tmp_path / "val2017"
    folder.mkdir()
    for i in range(3):
        shutil.copy(photos / f"photo{i:02d}.png", folder / f"{i}.png")
    names = [{"id": i, "file_name": f"{i}.png", "width": 96, "height": 80} for i in range(4)]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val2017.json").write_text(
        json.dumps({"images": names, "annotations": [], "categories": []})
    )
    done = run("--coco", tmp_path, "--split", "val2017", "-m", small_model, "--json")
    result = json.loads(done.stdout)
    assert done.exit_code == 5 and result["judged"] == 3
    assert [Path(p).name for p in result["missing"]] == ["3.png"]


@pytest.mark.parametrize("options", [(), ("-q",), ("-v",)])
def test_the_table_is_data(colorize, four, small_model, options):
    done = colorize("eval", four, "-m", small_model, "--size", 64, *options)
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.decode().splitlines()
    assert head.split() == [small_model.name, "gray", "truth"]
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == list(chosen_metrics())  # a line for each, nothing between or around them
    assert len(lines) == len(names) if "-v" not in options else "median" in "".join(lines)
    told = done.stderr.decode()
    assert told == "" if "-q" in options else "4 photographs, squash-64, fed Lab L" in told
    assert len({line.rindex(line.split()[1]) + len(line.split()[1]) for line in (head,)}) == 1


def test_one_photograph_needs_few_lines(colorize, four, small_model, tmp_path):
    done = colorize("eval", four / "coffee.png", "-m", small_model, "--size", 64, "-v")
    lines = done.stdout.decode().splitlines()
    assert (
        len(lines) == 1 + len(chosen_metrics()) and "…" not in done.stdout.decode()
    )  # no interval of one
    assert done.stderr.decode() == "colorize: 1 photograph, squash-64, fed Lab L\n"
    psnr = next(line for line in lines if line.startswith("psnr"))
    document = json.loads(
        colorize("eval", four / "coffee.png", "-m", small_model, "--size", 64, "--json").stdout
    )
    assert float(psnr.split()[2]) == pytest.approx(
        document["models"][0]["metrics"]["psnr"]["mean"], abs=0.006
    )
    full = subprocess.run(
        ["bash", "-c", 'exec "$@" > /dev/full', "-", sys.executable, "-m", "colorcli", "eval",
         four / "coffee.png", "-m", small_model, "--size", "64", "-q"], capture_output=True,
    )  # fmt: skip
    assert full.returncode == 3 and b"stdout cannot be written" in full.stderr


def test_columns_stand_under_each_other(capsys):
    terminal.table([["", "日本", "b"], ["psnr ↑", "1.00", "é"], ["x", "", "10000"]])
    assert capsys.readouterr().out.splitlines() == [
        "        日本      b",
        "psnr ↑  1.00      é",
        "x             10000",
    ]


def test_panels_show_every_contender(four, small_model, tmp_path):
    done = run(four, "-m", small_model, "-m", "default", "--size", 64, "--panels", tmp_path, "-q")
    assert done.exit_code == 0, done.stderr
    made = sorted(tmp_path.glob("*.png"))
    assert len(made) == 4
    assert np.asarray(Image.open(made[0])).shape == (64, 4 * 64 + 3 * 4, 3)


def test_records_leave_nothing_behind_after_an_error(tmp_path):
    class Stop(Exception):
        pass

    with pytest.raises(Stop), per_image.writer(tmp_path / "x.jsonl", ["a"]) as write:
        write({"a": math.nan})
        raise Stop
    assert list(tmp_path.iterdir()) == []
    with per_image.writer(tmp_path / "x.jsonl", ["a"]) as write:
        write({"a": math.nan})
    assert json.loads((tmp_path / "x.jsonl").read_text()) == {"a": None}


def test_confidence_is_judged_against_error(four, small_model):
    done = run(four, "-m", small_model, "--calibration", "--json")
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    (found,) = document["calibration"].values()
    levels = found["levels"]
    assert found["photographs"] == document["judged"]
    assert sum(level["share"] for level in levels) == pytest.approx(1, abs=1e-3)
    assert [level["confidence"] for level in levels] == sorted(x["confidence"] for x in levels)
    for level in levels:
        assert level["least"] - 1e-3 <= level["confidence"] <= level["most"] + 1e-3
    # The same error by another way: the mean over all pixels, of pictures of one size.
    mean = sum(level["share"] * level["ciede2000"] for level in levels)
    assert mean == pytest.approx(found["all"], rel=1e-3)
    assert found["all"] == pytest.approx(
        document["models"][0]["metrics"]["ciede2000"]["mean"], rel=1e-3
    )
    table = run(four, "-m", small_model, "--calibration", "-q").stdout
    assert f"{small_model.name}: confidence" in table and "all photographs" in table


def test_calibration_tells_true_confidence_from_none():
    """Errors that follow confidence are found to, and errors at random are not."""
    from colorcli.evaluation import calibration

    random = np.random.default_rng(0)
    sure = random.uniform(0, 1, 400)
    for error, least, most in (
        (10 - 8 * sure, -1.0, -0.99),
        (random.uniform(0, 9, 400), -0.2, 0.2),
    ):
        assert least <= calibration._correlation(sure, error) <= most


# --- true colours told ---------------------------------------------------------------------------


def test_what_is_told_is_true_and_fewer_points_are_the_first_of_more():
    truth = np.zeros((60, 80, 3), np.uint8)
    truth[:, :40], truth[:, 40:] = (200, 60, 40), (30, 90, 180)
    many = protocols.told(truth, 40, seed=3)
    assert many[:5] == protocols.told(truth, 5, seed=3) != protocols.told(truth, 5, seed=4)[:5]
    sides = [rgb_to_lab(truth[0, x] / 255) for x in (0, 79)]
    for known in many:
        if abs(known.x - 40) > 2:
            lab = sides[known.x > 40]
            assert (known.lightness, *known.ab) == pytest.approx(lab, abs=0.01)


def test_each_model_is_judged_with_and_without_true_colours(four, small_model):
    done = run(four, "-m", small_model, "--hints", 8, "--json", "-q")
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    alone, told = document["models"]
    assert told["name"] == f"{alone['name']} +8" and told["knobs"]["hints"] == 8
    assert "hints" not in alone["knobs"]
    assert told["metrics"]["gain"]["mean"] > alone["metrics"]["gain"]["mean"] + 1
