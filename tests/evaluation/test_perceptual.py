"""LPIPS and FID: the arithmetic, and what happens where their networks are not."""

import dataclasses
import hashlib
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from conftest import scene
from scipy import linalg

from colorcli.config.evaluation import EvalConfig
from colorcli.data.sources.folder import Folder
from colorcli.evaluation import evaluate, perceptual
from colorcli.evaluation.contenders import Model
from colorcli.evaluation.metrics import METRICS, chosen
from colorcli.evaluation.perceptual import Moments, Weights, fetch, frechet
from colorcli.system.errors import DataError, UsageError

CONTENT = b"weights" * 1000


@pytest.fixture
def server():
    """A small web server: /good gives the file, /slow never does, anything else is not there."""
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow":
                release.wait(10)
                return
            self.send_response(200 if self.path == "/good" else 404)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    release.set()
    server.shutdown()


DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


def test_weights_are_fetched_once_and_checked(server, tmp_path):
    weights = Weights(f"{server}/good", DIGEST)
    path = fetch(weights, tmp_path / "hub")
    assert path.read_bytes() == CONTENT
    assert fetch(Weights("http://127.0.0.1:9/good", DIGEST), tmp_path / "hub") == path
    path.write_bytes(b"other")
    with pytest.raises(DataError, match="does not begin with"):
        fetch(weights, tmp_path / "hub")


@pytest.mark.parametrize("place", ["/gone", "/slow", "offline", "/good"])
def test_weights_that_cannot_be_had_are_named(server, tmp_path, place):
    url = "http://127.0.0.1:9/w.pth" if place == "offline" else server + place
    digest = "00000000" if place == "/good" else DIGEST
    with pytest.raises(DataError) as error:
        fetch(Weights(url, digest), tmp_path, timeout=0.5)
    assert url in str(error.value) and str(tmp_path) in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["lpips", "fid"])
def test_missing_network_names_the_extra(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"pip install 'colorcli\[perceptual\]'"):
        METRICS[name].opened()


def test_frechet_distance_is_that_of_the_matrix_square_root():
    random = np.random.default_rng(0)
    sets = [random.normal(0, 1, (200, 6)) @ random.normal(0, 1, (6, 6)) + shift for shift in (0, 1)]
    moments = [Moments(), Moments()]
    for moment, rows in zip(moments, sets, strict=True):
        for row in rows:
            moment.add(row)
    means = [s.mean(0) for s in sets]
    covariances = [np.cov(s, rowvar=False) for s in sets]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = ((means[0] - means[1]) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet(*moments) == pytest.approx(wanted, rel=1e-6)
    assert frechet(moments[0], moments[0]) == pytest.approx(0, abs=1e-6)
    assert np.isnan(frechet(moments[0], Moments()))


def test_both_join_an_evaluation(photos, small_model):
    """With random features in place of the published networks."""
    from colorcli.colorizing.colorizer import Colorizer

    mix = np.random.default_rng(0).normal(0, 1, (12, 5))

    def features(rgb):
        return np.concatenate([rgb.mean((0, 1)), rgb.std((0, 1)), rgb[0, 0], rgb[9, 9]]) @ mix

    networks = {
        "lpips": lambda c: float(np.abs(c.truth.rgb.astype(float) - c.image.rgb).mean()),
        "fid": lambda c: features(c.image.rgb),
    }
    metrics = {
        name: dataclasses.replace(metric, load=lambda name=name: networks[name]).opened()
        if metric.load
        else metric
        for name, metric in chosen(("lpips", "fid")).items()
    }
    names = [str(photos / f"photo{i:02d}.png") for i in range(8)]
    result = evaluate.evaluate(
        Folder(inputs=names).selection(), [Model("m", Colorizer(small_model))],
        EvalConfig("squash-32"), metrics=metrics,
    ).summary  # fmt: skip
    for row in (*result.models, result.gray):
        assert row.metrics["lpips"].mean > 0 and row.metrics["fid"].mean > 0
        assert row.metrics["fid"].low is None
    truth = [Moments(), Moments()]
    for i in range(8):
        truth[0].add(features(evaluate.protocols.named("squash-32")(scene(i))))
        truth[1].add(features(evaluate.protocols.named("squash-32")(scene(i)) // 2))
    assert frechet(*truth) > 0


def test_the_networks_are_asked_in_their_own_terms(monkeypatch, tmp_path):
    """A stand-in for torch sees the ranges and the layout that the packages ask for."""
    seen = {}

    class Tensor:
        def __init__(self, array):
            self.array = array

        def float(self):
            return Tensor(self.array.astype(np.float32))

        def double(self):
            return Tensor(self.array.astype(np.float64))

        def numpy(self):
            return self.array

        def __truediv__(self, other):
            return Tensor(self.array / other)

        def __sub__(self, other):
            return Tensor(self.array - other)

        def __getitem__(self, item):
            return Tensor(self.array[item])

    torch = types.ModuleType("torch")
    torch.from_numpy = Tensor
    torch.inference_mode = __import__("contextlib").nullcontext
    torch.hub = types.SimpleNamespace(get_dir=lambda: str(tmp_path))

    class Network:
        def __init__(self, *args, **kwargs):
            seen["made"] = (args, kwargs)

        def eval(self):
            return self

        def __call__(self, *tensors):
            seen["given"] = [t.array for t in tensors]
            return 0.25 if len(tensors) == 2 else [Tensor(np.arange(6.0).reshape(2, 3))]

    lpips = types.ModuleType("lpips")
    lpips.LPIPS = Network
    package = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    package.FeatureExtractorInceptionV3 = Network
    for name, module in (("torch", torch), ("lpips", lpips), (package.__name__, package),
                         ("torch_fidelity", types.ModuleType("torch_fidelity"))):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    fetched = []
    monkeypatch.setattr(perceptual, "fetch", lambda w, f: fetched.append(w) or tmp_path / w.name)
    rgb = scene(0)
    assert perceptual.lpips()(rgb, rgb // 2) == 0.25
    given = seen["given"][0]
    assert given.shape == (1, 3, 80, 96) and given.min() >= -1 and given.max() <= 1
    assert np.array_equal(perceptual.inception()(rgb), [0, 1, 2])
    assert seen["given"][0].dtype == np.uint8
    assert seen["made"][1]["feature_extractor_weights_path"].endswith("6726825d.pth")
    assert fetched == [perceptual.ALEXNET, perceptual.INCEPTION]
