"""Camera raw through rawpy: what LibRaw develops as the camera would have."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np

from colorcli.imaging.refusals import Damaged, Declined, Final, Wanting
from colorcli.imaging.sixteen_bit import Samples

EXTRA = "camera raw needs another package; pip install 'colorcli[raw]'"
_SUBFILE, _PHOTOMETRIC, _COMPRESSION, _SUBDIRECTORIES, _DNG = 254, 262, 259, 330, 50706
_MOSAIC, _LINEAR = 32803, 34892  # photometric interpretations of sensors
_NIKON = 34713
_FORMS = {1: "B", 3: "H", 4: "I", 13: "I"}  # of TIFF's types that are whole numbers


def _directory(file: BinaryIO, order: str, at: int) -> dict[int, list[int]]:
    """Whole numbers of a TIFF directory by tag, where few; empty where there is no directory."""
    found: dict[int, list[int]] = {}
    try:
        file.seek(at)
        (count,) = struct.unpack(f"{order}H", file.read(2))
        entries = file.read(12 * min(count, 500))
        for tag, kind, number, place in struct.iter_unpack(f"{order}HHI4s", entries):
            form = _FORMS.get(kind, "")
            size = struct.calcsize(form) * number
            if not form or not 0 < number <= 64:
                continue
            if size > 4:
                file.seek(*struct.unpack(f"{order}I", place))
                place = file.read(size)
            found[tag] = list(struct.unpack(f"{order}{number}{form}", place[:size]))
    except (struct.error, OSError, ValueError):
        pass
    return found


def is_raw_tiff(file: BinaryIO) -> bool:
    """Whether a TIFF holds what a sensor saw, beside or instead of a picture: DNG, NEF, ARW, PEF."""
    file.seek(0)
    head = file.read(8)
    order = "<" if head[:2] == b"II" else ">"
    if head[2:4] not in (b"*\0", b"\0*") or len(head) < 8:
        return False
    first = _directory(file, order, struct.unpack(f"{order}I", head[4:])[0])
    if _DNG in first:
        return True
    below = [_directory(file, order, at) for at in first.get(_SUBDIRECTORIES, ())]
    return any(
        tags.get(_PHOTOMETRIC) in ([_MOSAIC], [_LINEAR]) or tags.get(_COMPRESSION) == [_NIKON]
        for tags in (first, *below)
    )


def size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of the photograph; raises whatever goes wrong."""
    import rawpy

    with rawpy.imread(file) as raw:
        return raw.sizes.width, raw.sizes.height


def read(data: bytes, max_pixels: int) -> Samples:
    """The developed photograph (H, W, 3) uint16 sRGB, upright; raises ``ImageError``."""
    try:
        import rawpy
    except ImportError:
        raise Wanting(EXTRA) from None
    try:
        return _developed(rawpy, data, max_pixels)
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else ""
        said = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
        raise Damaged(f"camera raw that LibRaw cannot read ({said}); check the file") from None


def _developed(rawpy: Any, data: bytes, max_pixels: int) -> Samples:
    with rawpy.imread(io.BytesIO(data)) as raw:
        if raw.sizes.width * raw.sizes.height > max_pixels:
            raise Final("over the limit of pixels; allow it with --max-megapixels")
        rgb = raw.postprocess(
            use_camera_wb=True, output_bps=16, gamma=(2.4, 12.92),
            output_color=rawpy.ColorSpace.sRGB,
        )  # fmt: skip
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise Declined("no photograph in this camera raw")
    return Samples(np.ascontiguousarray(rgb))
