import io

import numpy as np
import pytest
from coefficients import coefficients
from conftest import saved, scene
from PIL import Image

from colorcli.imaging.jpeg import scans

GRAY = Image.fromarray(scene(0, 61, 43)).convert("L")
# Ways in which a gray JPEG is laid out.
LAYOUTS: dict[str, dict] = {
    "plain": {},
    "coarse": {"quality": 20},
    "finest": {"quality": 100},
    "own codes": {"optimize": True},
    "restarts": {"restart_marker_blocks": 3},
    "rows": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "metadata": {"comment": b"\xff\xd9 no end", "dpi": (300, 300)},
    "deep table": {"qtables": [[300] * 64]},
}


def halves(progressive: bool) -> list[scans.Component]:
    random = np.random.default_rng(1)
    planes = [Image.fromarray(random.integers(100, 160, (22, 31)).astype(np.uint8)) for _ in "ab"]
    return [scans.component(saved(plane, "JPEG", progressive=progressive)) for plane in planes]


def head(data: bytes) -> bytes:
    return data[: scans.body(data)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_luma_stays_bit_for_bit(layout):
    data = saved(GRAY, "JPEG", **LAYOUTS[layout])
    whole = scans.component(data)
    assert whole.size == GRAY.size
    joined = scans.assembled(head(data), whole, halves(layout == "progressive"))
    for scan in whole.scans:
        assert bytes(scan.bits) in joined
    image = Image.open(io.BytesIO(joined))
    image.draft("L", image.size)
    assert np.array_equal(np.asarray(image.convert("L")), np.asarray(Image.open(io.BytesIO(data))))
    if layout != "progressive":
        before, after = coefficients(data), coefficients(joined)
        assert np.array_equal(before[0], after[0]) and len(after) == 3
        assert [part.shape[:2] for part in after.values()] == [(6, 8), (3, 4), (3, 4)]


def test_chroma_may_be_as_large_as_luma():
    whole = scans.component(saved(GRAY, "JPEG"))
    data = scans.assembled(head(saved(GRAY, "JPEG")), whole, [whole, whole])
    y, b, r = Image.open(io.BytesIO(data)).convert("YCbCr").split()
    # Colours beyond RGB are cut: what they were is told by the coefficients.
    assert y.size == b.size == r.size
    assert len({part.tobytes() for part in coefficients(data).values()}) == 1


def test_a_small_picture_is_its_own_half():
    one = scans.component(saved(GRAY.resize((1, 1)), "JPEG"))
    data = scans.assembled(head(saved(GRAY, "JPEG")), one, [one, one])
    assert Image.open(io.BytesIO(data)).convert("RGB").size == (1, 1)


@pytest.mark.parametrize("size", [(61, 22), (30, 22), (122, 86)])
def test_chroma_of_another_size_is_refused(size):
    other = scans.component(saved(GRAY.resize(size), "JPEG"))
    with pytest.raises(ValueError, match="chroma of"):
        scans.assembled(b"", scans.component(saved(GRAY, "JPEG")), [other, other])


def test_progressive_and_sequential_do_not_mix():
    with pytest.raises(ValueError, match="progressive"):
        scans.assembled(b"", scans.component(saved(GRAY, "JPEG", progressive=True)), halves(False))


PLAIN = saved(GRAY, "JPEG")
SOS = PLAIN.index(b"\xff\xda")
ODD = {
    "nothing": b"",
    "colour": saved(Image.fromarray(scene(0)), "JPEG"),
    "no end": PLAIN[:-2],
    "half": PLAIN[: len(PLAIN) // 2],
    "no scan": PLAIN[:SOS] + b"\xff\xd9",
    "bytes between segments": PLAIN[:2] + bytes(5) + PLAIN[2:],
    "bytes behind the scan": PLAIN[:-2] + b"\xff\xdc\0\4\0\x2b\xff\xd9",  # DNL
    "two scans": PLAIN[:-2] + PLAIN[SOS:],
    "arithmetic codes": PLAIN.replace(b"\xff\xc0", b"\xff\xc9"),
    "12 bits": PLAIN.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c"),
    "no table": PLAIN.replace(b"\xff\xdb", b"\xff\xee"),
    "another's scan": PLAIN[: SOS + 5] + b"\7" + PLAIN[SOS + 6 :],
    "part of the coefficients": PLAIN[: SOS + 8] + b"\5" + PLAIN[SOS + 9 :],
}


@pytest.mark.parametrize("kind", ODD)
def test_other_layouts_are_left_alone(kind):
    assert scans.component(ODD[kind]) is None


def test_every_cut_is_noticed():
    for data in (PLAIN, saved(GRAY, "JPEG", progressive=True)):
        for end in range(0, len(data) - 1, 7):
            assert scans.component(data[:end]) is None
