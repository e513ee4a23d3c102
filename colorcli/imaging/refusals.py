"""Why a picture is not read, and which of several readers' reasons says most."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from colorcli.system.errors import ColorizeError, ImageError, reason


class Declined(ImageError):
    """The reader has nothing to do with such a file."""


class Damaged(ImageError):
    """What a library said of bytes that it could not read."""


class Refused(ImageError):
    """The file may be whole; pictures of its kind are not read."""


class Wanting(Refused):
    """The file may be whole; what reads its kind is not installed."""


class Final(ImageError):
    """No other reader could do better."""


# A plain ImageError is that of a reader which knows the kind of file and found what is wrong.
_WEIGHTS = {Declined: -1, Damaged: 0, Refused: 1, Wanting: 2, Final: 4}
_PLAIN = 3


def best(reasons: Iterable[ImageError]) -> ImageError:
    """The reason that says most; of equal ones the first."""
    return max(reasons, key=lambda error: _WEIGHTS.get(type(error), _PLAIN))


@contextmanager
def failures(name: str = "") -> Iterator[None]:
    """Whatever decoders raise at damaged bytes, as one ``ImageError``, with ``name`` before it."""
    begin = f"{name}: " if name else ""
    try:
        yield
    except MemoryError:
        raise
    except ColorizeError as error:
        kind = type(error) if isinstance(error, ImageError) else ImageError
        message = str(error)
        raise kind(message if message.startswith(begin) else begin + message) from None
    except NotImplementedError as error:
        cause = textwrap.shorten(reason(error), 100, placeholder="…")
        raise Refused(f"{begin}not read ({cause}); save it as TIFF, PNG or JPEG") from None
    except Exception as error:
        cause = textwrap.shorten(reason(error), 100, placeholder="…")
        raise Damaged(f"{begin}damaged picture ({cause}); check the file") from None


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ``ImageError`` for no pixels, and for more than ``max_pixels``."""
    if width < 1 or height < 1:
        raise ImageError(f"damaged picture ({width} x {height} pixels); check the file")
    if width * height > max_pixels:
        raise Final(
            f"{width * height / 1e6:.0f} megapixels is over the limit; "
            "allow it with --max-megapixels"
        )
