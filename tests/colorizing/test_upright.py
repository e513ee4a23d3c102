"""Which way is up: seen upright where the network is sure, turned where that is asked for."""

import io
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from conftest import scene
from PIL import Image

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.confidence_maps import Witness
from colorcli.colorizing.encoded.luma import colorize_luma
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.colorizing.scans.records import Given
from colorcli.config.predict import PredictConfig, ScansConfig
from colorcli.imaging.tags import metadata


@dataclass(frozen=True)
class Opinion:
    """A head that hears what is said for it."""

    sure: float = 0.9


class Sunny(Colorizer):
    """It holds the lightest side of what it sees for the upper one, so surely."""

    share = 0.99
    looks = 0

    def __init__(self, model, scans=ScansConfig()):
        super().__init__(model, scans=scans)
        self._first = replace(self._first, head=Opinion())

    def _square(self, lightness, limits=None, *, shares=True):
        self.looks += 1
        rim = len(lightness) // 8
        sides = [lightness[:rim], lightness[:, :rim], lightness[-rim:], lightness[:, -rim:]]
        ways = np.full(4, (1 - self.share) / 3)
        ways[int(np.argmax([side.mean() for side in sides]))] = self.share
        return replace(super()._square(lightness, limits, shares=shares), ways=ways)


def photograph(turned=0, width=96, height=64) -> np.ndarray:
    """Gray (H, W) uint8 with a light sky; it takes so many degrees clockwise to set it upright."""
    gray = cv2.cvtColor(scene(3, width, height), cv2.COLOR_RGB2GRAY) // 2
    gray[: height // 4] += 120
    return np.ascontiguousarray(np.rot90(gray, turned // 90))


def png(gray: np.ndarray, **more) -> bytes:
    file = io.BytesIO()
    Image.fromarray(gray).save(file, "PNG", **more)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_it_is_seen_upright_and_coloured_as_it_lies(small_model, turned):
    colorizer = Sunny(small_model)
    upright = colorizer.ab(photograph())
    view = colorizer.view(photograph(turned))
    assert view.turn == view.turned == turned and view.stands == 0
    ab = np.rot90(colorizer.ab_of(view), -turned // 90)
    assert np.abs(ab - upright).max() < 0.05 and np.ptp(upright) > 0.5


@pytest.mark.parametrize(("turned", "looks"), [(0, 1), (90, 2)])
def test_what_lies_upright_costs_one_look(small_model, turned, looks):
    colorizer = Sunny(small_model)
    colorizer.ab(photograph(turned))
    assert colorizer.looks == looks


def test_a_doubtful_one_is_seen_as_it_lies(small_model):
    colorizer = Sunny(small_model)
    colorizer.share = 0.7  # worth another look, and not enough
    view = colorizer.view(photograph(90))
    assert view.turn == 0 and colorizer.looks == 2
    plain = Colorizer(small_model).ab(photograph(90))
    assert np.abs(colorizer.ab_of(view) - plain).max() < 1e-5 and colorizer.looks == 2


@pytest.mark.parametrize("scans", [ScansConfig(regions="none"), None])
def test_nobody_looks_where_nobody_asks(small_model, scans):
    colorizer = Sunny(small_model, scans) if scans else Colorizer(small_model)
    view = colorizer.view(photograph(90))
    assert view.turn == 0 and view.looked == ()


@pytest.mark.parametrize("passes", [4, 0])
def test_a_long_one_is_seen_upright_square_by_square(small_model, passes):
    colorizer = Sunny(small_model, ScansConfig(passes=passes))
    upright = colorizer.ab_of(colorizer.view(photograph(0, 240, 64)))
    view = colorizer.view(photograph(90, 240, 64))
    assert view.turn == 90 and view.passes > 2
    ab = np.rot90(colorizer.ab_of(view), -1)
    assert ab.shape == upright.shape and np.abs(ab - upright).mean() < 0.3


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_results_stand_upright_where_that_is_asked_for(small_model, turned):
    config = PredictConfig(scans=ScansConfig(upright=True))
    lying = photograph(turned)
    plain, _ = colorize_bytes(png(lying), "p", Sunny(small_model))
    stood, result = colorize_bytes(png(lying), "p", Sunny(small_model, config.scans), config=config)
    assert np.array_equal(pixels(stood), np.rot90(pixels(plain), -turned // 90))
    assert (result.width, result.height, result.turned) == (96, 64, turned)
    said = any(f"turned by {turned} degrees" in note for note in result.notes)
    assert said == bool(turned)


def test_alpha_and_exif_go_along(small_model):
    config = PredictConfig(scans=ScansConfig(upright=True))
    lying = photograph(90)
    alpha = np.arange(lying.size, dtype=np.uint8).reshape(lying.shape)
    exif = Image.Exif()
    exif[0x0110] = "camera"
    data = png(np.dstack([lying, alpha]), exif=exif)
    stood, _ = colorize_bytes(data, "p", Sunny(small_model, config.scans), config=config)
    assert np.array_equal(pixels(stood)[..., 3], np.rot90(alpha, -1))
    kept = Image.open(io.BytesIO(stood)).getexif()
    assert kept[0x0110] == "camera" and kept.get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", [1, 6, 3])
def test_a_jpeg_stands_upright_whatever_its_exif_says_first(small_model, orientation):
    pytest.importorskip("simplejpeg")
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = orientation, "camera"
    file = io.BytesIO()
    Image.fromarray(photograph(90)).save(file, "JPEG", quality=95, exif=exif)
    shown = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    as_shown = {1: shown, 6: np.rot90(shown, -1), 3: np.rot90(shown, 2)}[orientation]
    config = PredictConfig(scans=ScansConfig(upright=True))
    done = colorize_luma(file.getvalue(), "p", Sunny(small_model, config.scans), config)
    assert done is not None
    stood, result = done
    turned = {1: 90, 6: 0, 3: 270}[orientation]
    assert result.turned == turned and (result.width, result.height) == (96, 64)
    picture = Image.open(io.BytesIO(stood))
    kept = picture.getexif()
    assert kept[0x0110] == "camera"
    lies = kept.get(0x0112, 1)
    assert lies == (1 if turned else orientation)
    if turned:
        gray = np.asarray(picture.convert("L")).astype(int)
        assert np.abs(gray - np.rot90(as_shown, -turned // 90)).mean() < 4


def test_the_map_of_confidence_stands_like_its_picture(small_model):
    maps = []
    for upright in (False, True):
        witness = Witness(Sunny(small_model, ScansConfig(upright=upright)))
        witness.ab_of(witness.view(photograph(90)))
        maps.append(witness.seen[0])
    lying, stood = maps
    assert lying.size == (96, 64) and stood.size == (64, 96)
    assert np.array_equal(stood.confidence, np.rot90(lying.confidence, -1))


def test_what_is_told_is_taken_back(small_model, tmp_path):
    file = tmp_path / "regions.json"
    file.write_text('[{"input": "a/p.png", "regions": [], "turned": 270}]')
    given = Given(str(file))
    assert given.of("a/p.png", (64, 96)) == () and given.turn("a/p.png") == 270
    assert given.turn("other/p.png") == 270 and given.turn("q.png") is None
    colorizer = Sunny(small_model, ScansConfig(regions=str(file)))
    view = colorizer.view(photograph(90), name="a/p.png")  # a person knows better
    assert view.turn == 270 and colorizer.looks == 0
    assert colorizer.view(photograph(90), name="q.png").turn == 90


def test_metadata_of_what_was_turned_says_so():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003] = 5, 7
    extra = {"exif": exif.tobytes(), "xmp": b'<x tiff:Orientation="6"/>'}
    told = metadata.of_size(extra, (7, 5), upright=True)
    kept = Image.Exif()
    kept.load(told["exif"])
    assert kept[0x0112] == 1 and kept.get_ifd(0x8769)[0xA002] == 7
    assert told["xmp"] == b'<x tiff:Orientation="1"/>'
