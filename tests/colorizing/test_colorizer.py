"""The library: images and arrays in and out, knobs, batches, threads."""

import subprocess
import sys
import threading
from itertools import count, islice

import cv2
import numpy as np
import pytest
from conftest import scene
from PIL import Image

import colorcli
from colorcli.color.lab import gray_to_L, neutral, rgb_to_lab
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.framing import stretch
from colorcli.config.choices import DEVICES
from colorcli.network import model_folder
from colorcli.network.decoding import KNOBS, LOGITS, NEUTRAL, Knob, Knobs, Slider
from colorcli.network.model import with_decode
from colorcli.network.runtimes import ENGINES, Keras, LiteRT
from colorcli.system import native
from colorcli.system.errors import ImageError, ModelError, UsageError

MEAN = Knobs(**NEUTRAL)
VIVID = Knobs(**{name: knob.default for name, knob in KNOBS.items()})


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


def test_the_package_gives_its_names_late():
    code = (
        "import sys, colorcli\n"
        "assert not {'numpy', 'cv2', 'PIL'} & set(sys.modules)\n"
        "from colorcli import Colorizer, Knobs\n"
        "assert Colorizer is colorcli.Colorizer and 'Colorizer' in dir(colorcli)\n"
        "print(Colorizer.__module__, Knobs().saturation)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "colorcli.colorizing.colorizer None\n"
    with pytest.raises(AttributeError, match="nothing"):
        _ = colorcli.nothing


def modes():
    """One picture in every mode."""
    rgb = Image.fromarray(scene(0))
    yield from (rgb.convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"))
    yield Image.fromarray(scene(0)[..., 0].astype(np.uint16) * 257)
    yield Image.fromarray(scene(0)[..., 0].astype(np.int32) * 257)


@pytest.mark.parametrize("image", list(modes()), ids=lambda image: image.mode)
def test_every_mode_becomes_colour_of_the_same_size(colorizer, image):
    image.info["dpi"] = (300, 300)
    before = image.tobytes()
    coloured = colorizer(image)
    assert coloured.size == image.size and coloured.info["dpi"] == (300, 300)
    assert coloured.mode == ("RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    assert image.tobytes() == before
    chroma = np.ptp(np.asarray(coloured.convert("RGB")).astype(int), axis=2).max()
    assert (chroma > 0) == (image.mode != "1")  # black and white alone have none


def test_alpha_stays_and_palette_transparency_counts(colorizer):
    image = Image.fromarray(scene(1)).convert("P")
    image.info["transparency"] = 0
    assert colorizer(image).mode == "RGBA"
    rgba = Image.fromarray(scene(1))
    rgba.putalpha(Image.fromarray(scene(2)[..., 1]))
    assert np.array_equal(np.asarray(colorizer(rgba))[..., 3], scene(2)[..., 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_arrays_in_arrays_out(colorizer, dtype, channels):
    array = scene(3).astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    array = {None: array[..., 0], 1: array[..., :1], 3: array}.get(
        channels, np.dstack([array, array[..., 0]])
    )
    coloured = colorizer(array)
    assert coloured.dtype == dtype and coloured.shape == (80, 96, 4 if channels == 4 else 3)
    full = np.iinfo(dtype).max
    rgb = array if channels == 3 else None
    if channels in (None, 1):
        rgb = np.dstack([array.reshape(80, 96)] * 3)
    if rgb is not None:  # the photograph's lightness is untouched
        error = np.abs(
            rgb_to_lab(rgb / full)[..., 0] - rgb_to_lab(coloured[..., :3] / full)[..., 0]
        )
        assert error.max() < (0.25 if dtype == np.uint8 else 0.05)
    if channels == 4:
        assert np.array_equal(coloured[..., 3], array[..., 3])


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4)), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8),
     np.zeros((2, 4, 4, 3), np.uint8), np.zeros((4, 4), np.int32), np.zeros(4, np.uint8)],
)  # fmt: skip
def test_other_arrays_are_refused_with_the_remedy(colorizer, array):
    with pytest.raises(ImageError, match=r"give gray \(H, W\)"):
        colorizer(array)


def test_views_and_single_pixels(colorizer):
    gray = scene(4)[..., 0]
    assert np.array_equal(colorizer(gray[::-1, ::2]), colorizer(gray[::-1, ::2].copy()))
    assert colorizer(np.full((1, 1), 90, np.uint8)).shape == (1, 1, 3)
    assert colorizer(np.full((1, 500), 90, np.uint8)).shape == (1, 500, 3)


def test_map_keeps_the_order_and_takes_no_more_than_it_needs(colorizer):
    taken = []

    def endless():
        for i in count():
            taken.append(i)
            yield np.full((20 + i, 10), 100, np.uint8)

    first = list(islice(colorizer.map(endless(), workers=3), 8))
    assert [a.shape[0] for a in first] == list(range(20, 28))
    assert len(taken) <= 8 + 2 * 3
    images = [Image.fromarray(scene(i)) for i in range(5)]
    alone = [colorizer(image) for image in images]
    assert all(np.array_equal(a, b) for a, b in zip(alone, colorizer.map(images), strict=True))


def test_map_raises_in_its_turn(colorizer):
    given = [np.zeros((4, 4), np.uint8), np.zeros(4), np.zeros((4, 4), np.uint8)]
    results = colorizer.map(given, workers=2)
    assert next(results).shape == (4, 4, 3)
    with pytest.raises(ImageError):
        next(results)


def test_one_colorizer_serves_many_threads(colorizer):
    arrays = [scene(i)[..., 0] for i in range(6)]
    wanted = [colorizer(a) for a in arrays]
    got = [None] * 6

    def work(i):
        for _ in range(5):
            got[i] = colorizer(arrays[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(wanted, got, strict=True))


def test_flip_average_does_not_know_left_from_right():
    gray = scene(5)[..., 0]
    flipped = Colorizer("default", Knobs(temperature=0.7, vividness=0.2, flip_average=True))
    plain = Colorizer("default", Knobs(temperature=0.7, vividness=0.2))
    ab, mirrored = flipped.ab(gray), flipped.ab(gray[:, ::-1])
    assert np.allclose(ab, mirrored[:, ::-1], atol=1e-3)
    alone = plain.ab(gray), plain.ab(gray[:, ::-1])[:, ::-1]
    assert np.allclose(ab, (alone[0] + alone[1]) / 2, atol=1e-3)
    assert np.abs(alone[0] - alone[1]).max() > 0.1


def test_saturation_is_a_factor_and_zero_is_gray(small_model):
    gray = scene(6)[..., 0]
    ab = Colorizer(small_model).ab(gray)
    assert np.allclose(Colorizer(small_model, Knobs(saturation=0.5)).ab(gray), ab / 2)
    none = Colorizer(small_model, Knobs(saturation=0.0))(gray)
    assert np.array_equal(none, np.dstack([gray] * 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lightness_stays_at_any_saturation(small_model, dtype):
    gray = np.repeat(np.arange(256, dtype=dtype)[:, None], 256, axis=1) * dtype(
        np.iinfo(dtype).max // 255
    )
    coloured = Colorizer(small_model, Knobs(saturation=20.0))(gray)
    light = rgb_to_lab(coloured / np.iinfo(dtype).max)[..., 0]
    assert np.abs(light - gray_to_L(gray)).max() < (0.25 if dtype == np.uint8 else 0.05)
    assert np.ptp(coloured.astype(int), axis=-1).max() > np.iinfo(dtype).max // 4
    assert (np.ptp(coloured[[0, 1, 2, 3, 253, 254, 255]].astype(int), axis=-1) == 0).all()


def test_knobs_not_given_suit_the_model():
    assert Knobs().suiting(True) == VIVID and Knobs().suiting(False) == MEAN
    assert Knobs(vividness=0.0).suiting(True) == Knobs(**{**VIVID.values, "vividness": 0.0})
    assert MEAN.suiting(False) == MEAN  # said aloud, but nothing to do
    with pytest.raises(UsageError, match="no colour distribution"):
        Knobs(temperature=0.9).suiting(False)


def test_a_model_takes_what_suits_it(small_model):
    gray = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    chosen = Colorizer(small_model)
    assert chosen.knobs == VIVID
    assert np.array_equal(chosen.ab(gray), Colorizer(small_model, VIVID).ab(gray))


@pytest.mark.parametrize(
    "knobs",
    [Knobs(temperature=0), Knobs(temperature=float("nan")), Knobs(vividness=-1),
     Knobs(saturation=float("inf")), Knobs(saturation=-0.1)],
)  # fmt: skip
def test_knobs_out_of_range(small_model, knobs):
    with pytest.raises(UsageError, match="must be at least 0"):
        Colorizer(small_model, knobs)


def test_unknown_knobs_name_the_nearest():
    with pytest.raises(TypeError, match="did you mean saturation"):
        Knobs(saturaton=1.0)
    with pytest.raises(AttributeError):
        _ = Knobs().contrast


def test_a_knob_is_one_row(small_model, monkeypatch, tmp_path):
    """Files made before it have no input for it: it acts on their logits, or is refused."""
    gray = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    wanted = Colorizer(small_model, Knobs(temperature=0.5)).ab(gray)
    sharp = Knob(
        name="sharp", neutral=1.0, default=1.0, help="Factor on the logits.", stage=LOGITS,
        apply=lambda z, value, log_prior: z * value, script="x * value",
        slider=Slider(most=3.0, label="Sharp", words="more of the likeliest"),
    )  # fmt: skip
    monkeypatch.setitem(KNOBS, "sharp", sharp)
    found = Colorizer(small_model, Knobs(temperature=1.0, sharp=2.0)).ab(gray)
    assert np.abs(found - wanted).max() < 0.05
    exported = tmp_path / "old.tflite"
    exported.write_bytes((small_model / model_folder.LITERT).read_bytes())
    assert Colorizer(exported, Knobs(sharp=1.0)).ab(gray).shape == wanted.shape
    with pytest.raises(UsageError, match="no input sharp; give --sharp 1"):
        Colorizer(exported, Knobs(sharp=2.0)).ab(gray)
    network, folder = model_folder.load_network(small_model)
    model = with_decode(network, folder.config, folder.prior)
    assert set(model.input) == {"L", "vividness", "temperature", "sharp"}


def test_devices(small_model):
    assert set(ENGINES) == set(DEVICES)
    with pytest.raises(UsageError, match="known: auto, cpu, gpu"):
        Colorizer(small_model, device="tpu")
    with pytest.raises(ModelError, match="known models"):
        Colorizer("none such", device="gpu")


def test_keras_says_what_litert_says(small_model):
    lightness = np.random.default_rng(0).uniform(0, 100, (64, 64)).astype(np.float32)
    keras, litert = (
        Keras(small_model / model_folder.WEIGHTS),
        LiteRT(small_model / model_folder.LITERT),
    )
    assert (keras.size, keras.distribution) == (litert.size, litert.distribution)
    for values in (NEUTRAL, {**NEUTRAL, "temperature": 0.4, "vividness": 0.3}):
        a, b = (engine(lightness, values) for engine in (keras, litert))
        assert a.shape == b.shape and np.abs(a - b).max() < 0.5
        assert np.abs(keras.logits() - litert.logits()).max() < 0.2
    twin = keras.another()
    twin(100 - lightness)
    assert not np.array_equal(twin.logits(), keras.logits())


def test_no_gpu_is_one_line(small_model):
    native.tensorflow()
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        assert Colorizer(small_model, device="gpu").ab(scene(0)[..., 0]).ndim == 3
    else:
        with pytest.raises(UsageError, match="finds no GPU here; use --device cpu"):
            Colorizer(small_model, device="gpu")


def test_only_a_narrow_range_is_stretched():
    random = np.random.default_rng(0)
    normal = random.uniform(5, 95, (64, 64)).astype(np.float32)
    assert stretch(normal) is normal
    faded = stretch(40 + 0.2 * normal)
    assert np.ptp(faded) > 90 and faded.min() >= 0 and faded.max() <= 100
    assert np.corrcoef(faded.ravel(), normal.ravel())[0, 1] > 0.999
    blank = stretch(np.full((64, 64), 80, np.float32))
    assert np.ptp(blank) == 0 and 0 <= blank.min() <= 100


def test_fading_changes_the_colours_little(small_model):
    gray = neutral(scene(3, 160, 160))
    faded = (16000 + 0.35 * gray).astype(np.uint16)
    colorizer = Colorizer(small_model)
    clean, old = colorizer.ab(gray), colorizer.ab(faded)
    plain = colorizer._first.engine(
        gray_to_L(cv2.resize(faded, (64, 64), interpolation=cv2.INTER_AREA))
    )
    assert np.abs(old - clean).mean() < np.abs(plain - clean).mean()
