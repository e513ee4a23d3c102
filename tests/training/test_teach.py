"""A model is taught which way is up."""

import json
import shutil

import numpy as np
import pytest

from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.training import UprightConfig
from colorcli.network import model_folder
from colorcli.network.runtimes import open_model
from colorcli.network.upright import head as upright
from colorcli.training.upright import teach


@pytest.fixture(scope="module")
def model(small_model, tmp_path_factory):
    return shutil.copytree(small_model, tmp_path_factory.mktemp("taught") / "small")


def test_a_head_comes_into_the_folder_and_is_used(model, prepared):
    data = prepared(val_fraction=0)
    assert open_model(model).head is None
    config = UprightConfig(photographs=40, workers=1)
    done = teach.teach(str(model), data, config)
    assert done.photographs >= 32 and done.bytes == (model / upright.FILE).stat().st_size
    assert 0 <= done.accuracy <= 1 and 0 <= done.found <= 1 and 0 <= done.wrong <= 1
    opened = open_model(model)
    assert opened.head is not None and opened.head.sure == pytest.approx(done.sure, abs=1e-3)
    assert not any(model_folder.verify(model_folder.load(model)).values())
    told = json.loads((model / model_folder.METADATA).read_text())
    assert told["upright"]["photographs"] == done.photographs
    gray = np.random.default_rng(0).integers(0, 255, (60, 60), dtype=np.uint8)
    view = Colorizer(model).view(gray)
    assert view.looked[0] is not None
    ways = view.looked[0].ways
    assert ways is not None and ways.sum() == pytest.approx(1, abs=1e-4)


def test_what_can_be_told_apart_is_learned():
    random = np.random.default_rng(0)
    seen = random.normal(size=(60, 4, 4, 6)).astype(np.float32)
    for way in range(4):  # each has its own light cell
        seen[:, way, way, 0] += 6
    weights = teach._fitted(seen)
    judged, surer = (upright.Head((), w, 1.0) for w in (weights, teach.sharpened(weights, seen)))
    first, second = (np.mean([j.of(s[0]).max() for s in seen]) for j in (judged, surer))
    assert second > max(first, 0.7)
    right = [judged.of(seen[i, way]).argmax() == way for i in range(60) for way in range(4)]
    assert np.mean(right) > 0.9


def certain(*ways):
    """Shares (4 ways it lies, 4) of one photograph, each look at ``ways`` surely."""
    shares = np.full((4, 4), 0.02)
    shares[np.arange(4), ways] = 0.94
    return shares


def test_two_looks_decide():
    right, always = certain(0, 1, 2, 3), certain(2, 2, 2, 2)
    ways, sure = teach.looked(np.stack([right, always]))
    assert ways[0].tolist() == [0, 1, 2, 3] and np.all(sure[0, 1:] > 0.9) and sure[0, 0] == 0
    assert np.all(sure[1] < 0.6)  # it says the same of what it has turned
    assert teach.rates(np.stack([right, always]), 0.9) == (0.5, 0.0)


def test_the_threshold_keeps_its_precision():
    random = np.random.default_rng(1)
    rows = [certain(0, 1, 2, 3)] * 300
    for _ in range(40):  # upright ones that look turned, less surely
        wrong = certain(0, 1, 2, 3)
        wrong[0] = [0.3, 0.0, 0.7, 0.0]
        wrong[2] = [0.6 + 0.1 * random.random(), 0.0, 0.4, 0.0]
        rows.append(wrong / wrong.sum(axis=1, keepdims=True))
    shares = np.stack(rows)
    sure = teach.threshold(shares)
    found, wrong = teach.rates(shares, sure)
    weight = teach.TURNED * found / (teach.TURNED * found + (1 - teach.TURNED) * wrong)
    assert weight >= teach.PRECISION and found > 0.8 and wrong < teach.rates(shares, 0.0)[1]
