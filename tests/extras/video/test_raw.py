"""Raw frames through pipes."""

import io
import threading

import numpy as np
import pytest

from colorcli.extras.video import raw
from colorcli.extras.video.colouring import Means
from colorcli.system.errors import ImageError, UsageError

WIDTH, HEIGHT, COUNT = 46, 31, 5


class Red:
    side, origin = 32, None

    def like(self, view):
        return view

    def ab_of(self, view):
        return np.full((8, 8, 2), (30, 0), np.float32)


def lumas(bits=8):
    random = np.random.default_rng(0)
    low, high = 16 << (bits - 8), 235 << (bits - 8)
    kind = np.uint8 if bits == 8 else np.uint16
    return [random.integers(low, high, (HEIGHT, WIDTH)).astype(kind) for _ in range(COUNT)]


def coloured(format, data):
    frames = raw.parsed(f"{WIDTH}x{HEIGHT}:{format}")
    means = Means(Red(), 0.5, 2, threading.Event())
    run = raw.Coloured(frames, io.BytesIO(data), means, 25)
    return list(run), run


@pytest.mark.parametrize(("format", "bits"), [("yuv420p", 8), ("yuv420p10le", 10)])
def test_luma_goes_through_and_chroma_is_new(format, bits):
    planes = lumas(bits)
    half = (HEIGHT + 1) // 2 * ((WIDTH + 1) // 2)
    gray = np.full(half, 128 << (bits - 8), planes[0].dtype).tobytes()
    out, run = coloured(format, b"".join(p.tobytes() + 2 * gray for p in planes))
    assert (len(out), run.count, run.shots > 0) == (COUNT, COUNT, True)
    for luma, data in zip(planes, out, strict=True):
        assert data[: luma.nbytes] == luma.tobytes()
        cr = np.frombuffer(data, luma.dtype)[-half:]
        assert len(data) == luma.nbytes + 2 * half * luma.itemsize
        assert cr.mean() > 1.05 * (128 << (bits - 8))


def test_gray_of_the_whole_range_becomes_that_of_studios():
    plane = np.linspace(0, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
    (data,), _ = coloured("gray8", plane.tobytes())
    luma = np.frombuffer(data, np.uint8, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    assert (luma[:, 0] == 16).all() and (luma[:, -1] == 235).all()
    np.testing.assert_allclose(luma, plane * (219 / 255) + 16, atol=0.5)


@pytest.mark.parametrize("text", ["640:gray8", "0x4:gray8", "4x4:rgb24", "4x4", "axb:gray8"])
def test_what_is_no_raw_format(text):
    with pytest.raises(UsageError, match="WIDTHxHEIGHT:FORMAT.*gray8.*yuv420p"):
        raw.parsed(text)


def test_frames_beyond_memory_are_refused_before_one_is_read():
    with pytest.raises(UsageError, match="--raw 99999x99999:gray8: frames of more than 512 mega"):
        raw.parsed("99999x99999:gray8")


@pytest.mark.parametrize(("data", "words"), [
    (bytes(WIDTH * HEIGHT + 7), "ends inside frame 2 of 46 × 31 gray8"), (b"", "no raw frames"),
])  # fmt: skip
def test_a_stream_that_is_not_whole(data, words):
    with pytest.raises(ImageError, match=words):
        coloured("gray8", data)


def test_the_command_is_a_filter(colorize, tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 3 * WIDTH * HEIGHT).astype(np.uint8).tobytes()
    size = 3 * (WIDTH * HEIGHT + 2 * 16 * 23)
    arguments = ("predict", "--raw", f"{WIDTH}x{HEIGHT}:gray8", "-")
    done = colorize(*arguments, input=data)
    assert (done.returncode, len(done.stdout)) == (0, size), done.stderr
    kept = colorize(*arguments, "-o", tmp_path / "out.yuv", input=data)
    assert kept.returncode == 0 and (tmp_path / "out.yuv").read_bytes() == done.stdout
    short = colorize(*arguments, "-o", tmp_path / "short.yuv", input=data[:-1])
    assert short.returncode == 3 and b"inside frame 3" in short.stderr
    assert not (tmp_path / "short.yuv").exists()
    assert colorize(*arguments, "more.jpg", input=data).returncode == 2
