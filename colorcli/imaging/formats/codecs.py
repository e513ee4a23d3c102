"""Kinds of file that one call of a library reads: JPEG XR and Radiance HDR."""

from __future__ import annotations

import cv2
import numpy as np

from colorcli.imaging.refusals import Refused, Wanting
from colorcli.imaging.sixteen_bit import Samples, from_light, remarks
from colorcli.imaging.truncation import truncated


def read_jpeg_xr(data: bytes) -> Samples:
    """A JPEG XR by imagecodecs; raises ``ImageError``."""
    try:
        import imagecodecs
    except ImportError:
        raise Wanting("JPEG XR needs pip install 'colorcli[tiff]'") from None
    pixels = imagecodecs.jpegxr_decode(data)
    count = 3 if pixels.ndim == 3 and pixels.shape[2] in (3, 4) else 1
    if pixels.dtype.kind == "f":
        pixels = from_light(pixels)  # floats of JPEG XR are scRGB's
    if pixels.dtype not in (np.uint8, np.uint16) or (count == 1 and pixels.ndim != 2):
        raise Refused(f"JPEG XR of {pixels.dtype} samples; convert it first")
    if count == 1:
        return Samples(pixels)
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] > 3 else None
    return Samples(np.ascontiguousarray(pixels[..., :3]), alpha)


def read_radiance(data: bytes) -> Samples:
    """Radiance HDR by OpenCV: light, cut off at white; raises ``ImageError``."""
    light = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if light is None:
        raise truncated()
    rgb = cv2.cvtColor(light, cv2.COLOR_BGR2RGB)
    return Samples(from_light(rgb), notes=remarks(rgb))
