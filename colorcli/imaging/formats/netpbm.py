"""Netpbm that Pillow would flatten to 8 bits or not read: 16-bit PPM, PAM, and PFM of floats."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from colorcli.imaging.refusals import Final
from colorcli.imaging.sixteen_bit import Samples, from_floats, remarks
from colorcli.imaging.truncation import truncated

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PNM = re.compile(rb"P([36])" + (_GAP + rb"(\d{1,9})") * 3 + rb"\s")
_PAM = re.compile(rb"P7\n(?:[^\n]*\n){1,64}?ENDHDR\n")
_PAM_LINE = re.compile(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL)\s+(\d{1,9})\s*$", re.MULTILINE)
_PFM = re.compile(rb"P([Ff])\s+(\d{1,9})\s+(\d{1,9})\s+(-?[\d.eE+-]{1,20})\s")


@dataclass(frozen=True)
class Netpbm:
    """The header of a 16-bit PPM, a PAM or a PFM, and where its samples begin."""

    size: tuple[int, int]
    channels: int
    start: int
    peak: int = 0
    plain: bool = False
    order: str = ">"

    def read(self, data: bytes) -> Samples:
        """The picture; raises ``ImageError`` when it is not whole."""
        (width, height), channels = self.size, self.channels
        count = width * height * channels
        if self.plain:
            values = np.array(data[self.start :].split()[:count], np.uint32)
        else:
            sample = ("u2" if self.peak > 255 else "u1") if self.peak else "f4"
            dtype = np.dtype(f"{self.order}{sample}")
            if len(data) - self.start < count * dtype.itemsize:
                raise Final(str(truncated()))
            values = np.frombuffer(data, dtype, count, self.start)
        if values.size < count:
            raise Final(str(truncated()))
        shape = (height, width, channels) if channels > 1 else (height, width)
        if not self.peak:  # PFM: floats, bottom row first
            floats = values.reshape(shape)[::-1]
            return Samples(from_floats(floats), notes=remarks(floats))
        if values.max() > self.peak:
            raise Final("damaged picture (samples over the maximum); check the file")
        kept = np.uint16 if self.peak > 255 else np.uint8
        full = np.iinfo(kept).max
        scaled = values if self.peak == full else np.rint(values * (full / self.peak))
        return _parted(scaled.astype(kept).reshape(shape))


def _parted(pixels: np.ndarray) -> Samples:
    """Gray or colours, and the alpha that a second or fourth channel is."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels in (1, 3):
        return Samples(pixels)
    alpha = np.ascontiguousarray(pixels[..., -1])
    shown = pixels[..., 0] if channels == 2 else pixels[..., :3]
    return Samples(np.ascontiguousarray(shown), alpha)


def header(data: bytes) -> Netpbm | None:
    """The header when ``data`` is a Netpbm picture that Pillow would flatten or not read."""
    if match := _PNM.match(data):
        width, height, peak = (int(v) for v in match.groups()[1:])
        if 255 < peak < 65536 and width and height:
            return Netpbm((width, height), 3, match.end(), peak, match[1] == b"3")
    elif match := _PAM.match(data):
        said = {name: int(number) for name, number in _PAM_LINE.findall(match[0])}
        width, height, depth, peak = (
            said.get(name, 0) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
        )
        if width and height and 1 <= depth <= 4 and 0 < peak < 65536:
            return Netpbm((width, height), depth, match.end(), peak)
    elif match := _PFM.match(data):
        width, height = int(match[2]), int(match[3])
        if width and height:
            channels = 3 if match[1] == b"F" else 1
            order = "<" if match[4].startswith(b"-") else ">"
            return Netpbm((width, height), channels, match.end(), order=order)
    return None


def write_ppm(rgb: np.ndarray) -> bytes:
    """(H, W, 3) uint8 or uint16 as a binary PPM of that depth."""
    height, width = rgb.shape[:2]
    big = rgb.astype(rgb.dtype.newbyteorder(">"), copy=False)
    return b"P6\n%d %d\n%d\n" % (width, height, np.iinfo(rgb.dtype).max) + big.tobytes()
