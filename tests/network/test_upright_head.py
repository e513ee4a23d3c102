"""Features out of a model's own file, and the head that reads them."""

import cv2
import numpy as np
import pytest

from colorcli.network import model_folder, runtimes
from colorcli.network.upright import head as upright
from colorcli.network.upright.head import FILE, LAYERS, Head, agreed, cells
from colorcli.network.upright.tap import convolved, made_of, tapped
from colorcli.system.errors import ModelError


def head(tensors, channels=4, places=4, seed=0):
    random = np.random.default_rng(seed)
    shapes = {"cell": (channels, 3), "near": (9 * 3, 2), "ways": (2 * places, 4)}
    weights = {
        name: tuple(
            random.normal(size=shape).astype(np.float32)
            for shape in (shapes[name], shapes[name][1:])
        )
        for name in LAYERS
    }
    return Head(tensors, weights, 0.8)


@pytest.fixture(scope="module")
def taps(small_model):
    packed = model_folder.read_arrays(small_model / model_folder.WEIGHTS)
    litert = (small_model / model_folder.LITERT).read_bytes()
    joined = convolved(litert, int(packed["@decoder_stage0/kernel"][0]))
    deepest = convolved(litert, int(packed["@decoder_entry/kernel"][0]))
    return litert, (deepest, made_of(litert, joined)[1])


def test_a_tapped_file_colours_as_ever_and_gives_features(small_model, taps):
    litert, tensors = taps
    path = small_model / model_folder.LITERT
    lightness = np.random.default_rng(0).random((64, 64)).astype(np.float32) * 100
    plain, more = runtimes.LiteRT(path), runtimes.LiteRT(path, tensors)
    assert np.array_equal(plain(lightness), more(lightness))
    assert np.array_equal(plain.logits(), more.logits()) and plain.features() == []
    deepest, joined = more.another().features() and more.features()
    assert deepest.shape[:2] == (2, 2) and joined.shape[:2] == (4, 4)
    assert np.ptp(deepest) > 0 and np.ptp(joined) > 0
    assert path.read_bytes() == litert and len(tapped(litert, tensors)) < len(litert) + 64


def test_features_are_those_of_the_network(small_model, taps):
    _, tensors = taps
    lightness = np.random.default_rng(1).random((64, 64)).astype(np.float32) * 100
    light = runtimes.LiteRT(small_model / model_folder.LITERT, tensors)
    keras = runtimes.Keras(small_model / model_folder.WEIGHTS, features=True)
    light(lightness), keras(lightness)
    assert len(light.features()) == len(keras.features()) == 2
    for ours, theirs in zip(light.features(), keras.features(), strict=True):
        assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max() + 1e-3


def test_what_is_no_model_is_refused():
    for data in (b"", b"no model at all" * 9, bytes(64)):
        with pytest.raises((ValueError, runtimes.struct.error, IndexError)):
            tapped(data, [1])


def test_cells_are_means_of_what_is_finer():
    coarse = np.arange(8.0).reshape(2, 2, 2)
    fine = np.arange(16.0).reshape(4, 4, 1)
    made = cells([coarse, fine])
    assert made.shape == (4, 3) and made[0].tolist() == [0, 1, 2.5] and made[3, 2] == 12.5


def test_cells_see_their_neighbours_as_a_convolution_does():
    random = np.random.default_rng(3)
    x = random.normal(size=(5, 5, 2)).astype(np.float32)
    kernel = random.normal(size=(3, 3, 2)).astype(np.float32)
    ours = (upright.around(x.reshape(25, 2)) @ kernel.reshape(18)).reshape(5, 5)
    theirs = sum(
        cv2.filter2D(x[..., c], -1, kernel[..., c], borderType=cv2.BORDER_CONSTANT) for c in (0, 1)
    )
    assert np.allclose(ours, theirs, atol=1e-4)


def test_two_looks_agree_or_not():
    first = np.array([0.1, 0.8, 0.05, 0.05])
    assert agreed(first, np.array([0.9, 0.04, 0.03, 0.03]), 1)[1] > 0.8
    assert agreed(first, np.array([0.04, 0.03, 0.03, 0.9]), 1)[1] < 0.5  # it lay upright
    assert agreed(first, first, 1).sum() == pytest.approx(1)


def test_a_head_is_kept_whole_and_for_its_model_alone(tmp_path):
    one = head((3, 5))
    np.savez_compressed(tmp_path / FILE, **upright.arrays(one, "abc"))
    again = upright.load(tmp_path, "abc")
    assert again is not None and again.tensors == (3, 5) and again.sure == pytest.approx(0.8)
    features = np.random.default_rng(2).random((2, 2, 4)).astype(np.float32)
    assert np.allclose(again([features]), one([features]), atol=1e-2)
    assert again([features]).sum() == pytest.approx(1, abs=1e-5)
    assert upright.load(tmp_path, "another model's") is None
    assert upright.load(tmp_path / "nowhere", "abc") is None


@pytest.mark.parametrize("damage", ["cut", "missing", "narrow"])
def test_a_damaged_head_is_named(tmp_path, damage):
    kept = upright.arrays(head((3,)), "abc")
    if damage == "missing":
        del kept["ways/bias"]
    if damage == "narrow":
        kept["ways/kernel"] = kept["ways/kernel"][:, :3]
    path = tmp_path / FILE
    np.savez_compressed(path, **kept)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=FILE):
        upright.load(tmp_path, "abc")


def test_a_bundled_head_belongs_to_its_model():
    for name in model_folder.bundled():
        folder = model_folder.load(name, needs=())
        if (folder.path / FILE).is_file():
            digest = folder.metadata["files"][model_folder.LITERT]
            assert upright.load(folder.path, digest) is not None, "teach it again, or remove it"
