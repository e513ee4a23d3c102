"""Y'CbCr of films against exact colour arithmetic."""

import numpy as np
import pytest

from colorcli.color.lab import lab_to_shown, lightness
from colorcli.extras.video.chroma import MATRICES, Codes, matrix_of, shrunk


def rgb_of(codes, luma, planes):
    """Exact R'G'B' in 0…1 of the codes, by the standard's own equations."""
    red, blue = MATRICES[codes.matrix]
    scale = (1 << codes.bits) - 1 if codes.full else 219 << (codes.bits - 8)
    span = scale if codes.full else 224 << (codes.bits - 8)
    y = (luma.astype(float) - (0 if codes.full else 16 << (codes.bits - 8))) / scale
    cb, cr = ((p.astype(float) - (1 << (codes.bits - 1))) / span for p in planes)
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], axis=-1)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("bits", "full"), [(8, False), (8, True), (10, False), (12, True)])
def test_chroma_shows_the_colours_that_were_predicted(matrix, bits, full):
    codes = Codes(bits, full, matrix)
    low, high = (0.25, 0.75)
    top = (1 << bits) - 1
    luma = np.linspace(low * top, high * top, 40).astype(codes.dtype)[None].repeat(40, 0)
    ab = np.broadcast_to(np.float32([12, -16]), (4, 4, 2))
    shown = rgb_of(codes, luma, codes.chroma(luma, ab))
    gray = codes.gray(luma) / (255 if bits == 8 else 65535)
    wanted = lab_to_shown(
        np.dstack([lightness(gray), np.full((40, 40), 12.0), np.full((40, 40), -16.0)])
    )
    # Y' is kept where Lab keeps L: a few levels of green lie between them.
    assert np.abs(shown - wanted).max() < 0.03
    difference = (shown[..., [0, 2]] - shown[..., [1]]) - (wanted[..., [0, 2]] - wanted[..., [1]])
    assert np.abs(difference).max() < 0.035


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 16])
@pytest.mark.parametrize("full", [False, True])
def test_no_colour_is_the_middle_and_gray_the_whole_range(bits, full):
    codes = Codes(bits, full, 1)
    luma = np.arange(1 << bits, dtype=codes.dtype)[None]
    for plane in codes.chroma(
        luma[:, :: max(1, len(luma[0]) // 256)].copy(), np.zeros((2, 2, 2), np.float32)
    ):
        assert plane.dtype == codes.dtype and (plane == 1 << (bits - 1)).all()
    gray = codes.gray(luma)[0]
    assert gray[0] == 0 and gray[-1] == np.iinfo(gray.dtype).max
    assert (np.diff(gray.astype(int)) >= 0).all()


@pytest.mark.parametrize(("said", "height", "meant"), [
    (2, 1080, 1), (2, 720, 1), (2, 576, 6), (3, 480, 6), (9, 2160, 9), (5, 1080, 5),
])  # fmt: skip
def test_the_matrix_that_is_meant(said, height, meant):
    assert matrix_of(said, height) == meant


@pytest.mark.parametrize("said", [0, 8, 10, 14])
def test_matrices_without_luma_are_refused(said):
    with pytest.raises(KeyError):
        matrix_of(said, 720)


def test_shrinking_keeps_fields_apart():
    luma = np.zeros((8, 8), np.uint8)
    luma[0::2] = 200  # one field
    assert (shrunk(luma, 1, 1) == 100).all()
    fields = shrunk(luma, 1, 1, fields=True)
    assert (fields[0::2] == 200).all() and (fields[1::2] == 0).all()
    assert shrunk(np.ones((5, 7), np.uint16), 1, 1).shape == (3, 4)
    assert shrunk(np.ones((5, 7), np.uint8), 0, 1).shape == (5, 4)
