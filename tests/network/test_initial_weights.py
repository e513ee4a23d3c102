import dataclasses
import hashlib
import shutil

import numpy as np
import pytest
from published import published

from colorcli.config.model import ModelConfig
from colorcli.config.training import TrainConfig
from colorcli.network import initial_weights, model_folder
from colorcli.network.model import build_model
from colorcli.system.errors import DataError, ModelError

SMALL = ModelConfig(size=64, decoder=(16, 16, 16))


def start(model: ModelConfig, init, sha256=""):
    network = build_model(model)
    config = TrainConfig(model=model, init=str(init), init_sha256=sha256)
    return network, initial_weights.initialise(network, config)


@pytest.fixture(scope="module")
def theirs(small_model):
    return model_folder.arrays_of(model_folder.load_network(small_model)[0])


def same(network, arrays, prefix=""):
    return all(
        np.array_equal(np.asarray(w), arrays[w.path])
        for w in network.weights if w.path.startswith(prefix)
    )  # fmt: skip


def test_a_model_folder_gives_all_its_weights(small_model, theirs):
    network, words = start(SMALL, small_model)
    assert words.startswith("all weights") and same(network, theirs)


def test_its_weights_file_means_the_folder(small_model, theirs):
    network, _ = start(SMALL, small_model / "weights.npz")
    assert same(network, theirs)


@pytest.mark.parametrize("changes", [{"loss": "mse"}, {"decoder": (8, 8)}])
def test_another_head_or_decoder_still_takes_the_backbone(changes, small_model, theirs):
    network, words = start(dataclasses.replace(SMALL, **changes), small_model)
    assert words.startswith("backbone") and same(network, theirs, "backbone_")


def test_another_backbone_is_refused(small_model):
    with pytest.raises(ModelError, match="its backbone is efficientnet-lite0, not plain"):
        start(dataclasses.replace(SMALL, backbone="plain"), small_model)


def test_arrays_of_a_whole_network_and_published_backbones(tmp_path, theirs):
    np.savez(tmp_path / "whole.npz", **theirs)
    network, words = start(SMALL, tmp_path / "whole.npz")
    assert words == "all weights from whole.npz" and same(network, theirs)
    np.savez(tmp_path / "port.npz", **published(network))
    assert start(SMALL, tmp_path / "port.npz")[1] == "backbone from port.npz"
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    with pytest.raises(ModelError, match="foreign.npz"):
        start(SMALL, tmp_path / "foreign.npz")
    with pytest.raises(ModelError, match="no published ones"):
        start(dataclasses.replace(SMALL, backbone="plain"), tmp_path / "foreign.npz")


def test_an_address_is_fetched_once_checked_and_kept(tmp_path, theirs, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    np.savez(tmp_path / "whole.npz", **theirs)
    right = hashlib.sha256((tmp_path / "whole.npz").read_bytes()).hexdigest()
    url = (tmp_path / "whole.npz").as_uri()
    with pytest.raises(DataError):
        start(SMALL, f"{url}#sha256={'0' * 64}")
    with pytest.raises(ModelError, match="no sha256"):
        start(SMALL, f"{url}#sha256=123")
    network, words = start(SMALL, f"{url}#sha256={right}")
    assert words == "all weights from whole.npz" and same(network, theirs)
    shutil.move(tmp_path / "whole.npz", tmp_path / "away.npz")
    assert same(start(SMALL, url, right)[0], theirs)  # from the cache


@pytest.mark.parametrize(
    ("init", "name"),
    [
        ("/home/me/private/weights.npz", "weights.npz"),
        ("https://example.org/a/b.npz#sha256=00", "b.npz"),
        ("default", "default"),
    ],
)
def test_names_tell_no_places(init, name):
    assert initial_weights.display_name(init) == name
