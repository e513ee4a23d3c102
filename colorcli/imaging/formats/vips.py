"""libvips, where pyvips and it are installed: a reader that knows layouts which others do not."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from typing import Any

import numpy as np

from colorcli.imaging.refusals import Damaged, Declined, Refused
from colorcli.imaging.sixteen_bit import Samples, cut, from_floats


@lru_cache(maxsize=1)
def library() -> Any:
    """pyvips, or None where it, or the libvips it needs, is missing."""
    try:
        import pyvips
    except (ImportError, OSError):
        return None
    pyvips.cache_set_max(0)  # its cache of operations would hold on to files
    return pyvips


def cause(error: Any) -> str:
    """What libvips said last, and most plainly."""
    said = str(error.detail or error.message).strip().splitlines() or ["libvips does not say why"]
    return textwrap.shorten(said[-1], 100, placeholder="…")


_COLOURS = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb": 3, "rgb16": 3, "cmyk": 4}
_DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}


def read_page(data: bytes, index: int | None, max_pixels: int) -> Samples:
    """A page of a file, upright, by libvips; ``index`` None: of a kind without pages.

    Anything that libvips has to say of the file counts as damage: it goes on reading what others
    stop at. Raises ``ImageError``.
    """
    vips = library()
    if vips is None:
        raise Declined("libvips is not installed; pip install 'colorcli[large]'")
    options = {} if index is None else {"page": index}
    try:
        image = vips.Image.new_from_buffer(data, "", access="random", fail_on="warning", **options)
        if image.width * image.height > max_pixels:
            raise Refused("too large for libvips")
        profile = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None
        image = image.autorot()
        if image.interpretation == "xyz":  # light itself, as of LogLuv
            lab = image.colourspace("lab")[:3].cast("float")
            pixels = np.frombuffer(lab.write_to_memory(), np.float32)
            pixels = pixels.reshape(image.height, image.width, 3)
            return Samples(np.empty(pixels.shape[:2], np.uint16), lab=pixels)
        colours = _COLOURS.get(image.interpretation)
        if colours is None or image.format not in _DTYPES or image.bands < colours:
            raise Refused(f"{image.interpretation} samples of type {image.format}")
        pixels = np.frombuffer(image.write_to_memory(), _DTYPES[image.format])
    except vips.Error as error:
        raise Damaged(f"damaged picture ({cause(error)}); check the file") from None
    pixels = pixels.reshape(image.height, image.width, image.bands)
    if pixels.dtype == np.float32:
        pixels = from_floats(pixels, cut if profile else None)
    alpha = np.ascontiguousarray(pixels[..., colours]) if image.bands > colours else None
    shown = pixels[..., 0] if colours == 1 else pixels[..., :colours]
    return Samples(np.ascontiguousarray(shown), alpha, profile)


def press_profile() -> bytes | None:
    """The generic CMYK profile that libvips brings, or None."""
    vips = library()
    try:
        return None if vips is None else bytes(vips.Image.profile_load("cmyk"))
    except Exception:  # an older libvips, or one built without
        return None
