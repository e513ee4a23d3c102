"""What a network starts from: arrays by name, folders, URLs."""

import dataclasses
import hashlib
import io

import numpy as np
import pytest
from loopback import Server

from colorcli import model_dir
from colorcli.config import PRESETS
from colorcli.errors import DataError, ModelError
from colorcli.initial import display_name, initialise
from colorcli.model import build_model


@pytest.fixture(scope="module")
def config(small_model):
    return dataclasses.replace(PRESETS["default"], model=model_dir.load(small_model).config)


@pytest.fixture
def served(small_model):
    network, _ = model_dir.load_network(small_model)
    arrays = model_dir.arrays_of(network)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    server = Server({"/weights/w.npz": buffer.getvalue()})
    yield server, arrays, hashlib.sha256(buffer.getvalue()).hexdigest()
    server.close()


@pytest.mark.parametrize("where", ["fragment", "option"])
def test_a_url_is_fetched_once_checked_and_loaded(served, config, tmp_path, monkeypatch, where):
    server, arrays, digest = served
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    url = f"{server.url}/weights/w.npz"
    if where == "fragment":
        config = dataclasses.replace(config, init=f"{url}#sha256={digest}")
    else:
        config = dataclasses.replace(config, init=url, init_sha256=digest)
    for _ in range(2):
        network = build_model(config.model)
        assert initialise(network, config) == "all weights from w.npz"
        for weight in network.weights:
            assert np.array_equal(np.asarray(weight), arrays[weight.path])
    assert len(server.seen) == 1


def test_a_wrong_checksum_or_no_server_is_one_line(served, config, tmp_path, monkeypatch):
    server, _, digest = served
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network, url = build_model(config.model), f"{server.url}/weights/w.npz"
    wrong = digest.translate(str.maketrans("0123456789", "1234567890"))
    with pytest.raises(DataError, match=r"w\.npz"):
        initialise(network, dataclasses.replace(config, init=url, init_sha256=wrong))
    with pytest.raises(ModelError, match="no sha256"):
        initialise(network, dataclasses.replace(config, init=url, init_sha256="abc"))


def test_a_folder_gives_all_that_fits(small_model, config):
    whole = dataclasses.replace(config, init=str(small_model))
    assert initialise(build_model(config.model), whole) == "all weights from small"
    other = dataclasses.replace(whole, model=dataclasses.replace(config.model, loss="smooth-l1"))
    assert initialise(build_model(other.model), other).startswith("backbone and ")
    plain = dataclasses.replace(whole, model=dataclasses.replace(config.model, backbone="plain"))
    with pytest.raises(ModelError, match="its backbone is efficientnet-lite0, not plain"):
        initialise(build_model(plain.model), plain)


def test_no_place_is_told():
    assert display_name("https://example.org/a/b.npz#sha256=00") == "b.npz"
    assert display_name("/home/me/b.npz") == "b.npz" and display_name("default") == "default"
