"""Results signed with the user's certificate, where that is asked for, before they get their names."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO, BinaryIO

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.result import Result
from colorcli.colorizing.scans.byproducts import Byproducts
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading
from colorcli.imaging.tags.origin import Origin
from colorcli.imaging.tags.signing import Signer
from colorcli.system.files.inputs import STREAM


@dataclass(frozen=True)
class Pen:
    """Signs for ``signer`` what came of ``source``, a path or bytes that ``header`` is the head of."""

    signer: Signer
    origin: Origin
    name: str
    source: str | bytes
    header: reading.Header | None

    def write(self, result: IO[bytes], signed: IO[bytes], format: str) -> None:
        """Write the file ``result`` with its signature; raises ``ImageError``."""
        with contextlib.ExitStack() as stack:
            source = (
                io.BytesIO(self.source)
                if isinstance(self.source, bytes)
                else stack.enter_context(open(self.source, "rb"))
            )
            self.signer.sign(
                result, signed, format, self.origin, name=self.name, source=source,
                kind=self.header.kind if self.header else "",
            )  # fmt: skip

    def signed(self, encoded: bytes) -> bytes:
        """An encoded picture with its signature; raises ``ImageError``."""
        header = reading.peek(encoded)
        signed = io.BytesIO()
        self.write(io.BytesIO(encoded), signed, header.format if header else "unknown")
        return signed.getvalue()

    def over(self, encoded: bytes, result: Result, beside: Byproducts) -> tuple[bytes, Result]:
        """A picture, its parts ``beside`` it and what is told of it, signed where it was coloured."""
        if result.provenance is None:
            return encoded, result
        beside.parts = list(map(self.signed, beside.parts))
        return self.signed(encoded), self.told(result)

    def told(self, result: Result) -> Result:
        """A result that says who signed it."""
        if result.provenance is None:
            return result
        return replace(result, provenance={**result.provenance, "signed_by": self.signer.name})


def colour_onto(
    pen: Pen | None, file: BinaryIO, format: str, colour: Callable[[BinaryIO], Result],
    folder: str | None,
) -> Result:  # fmt: skip
    """What ``colour`` makes, onto a file, of a picture too large for memory: signed, if it is to be.

    Until then it lies in ``folder``, without a name. Raises ``ImageError``.
    """
    if pen is None:
        return colour(file)
    with tempfile.TemporaryFile(dir=folder) as unsigned:
        result = colour(unsigned)
        unsigned.seek(0)
        if result.provenance is None:
            shutil.copyfileobj(unsigned, file, 1 << 20)
        else:
            pen.write(unsigned, file, format)
    return pen.told(result)


def signer_of(config: PredictConfig) -> Signer | None:
    """Who signs; None where nothing is signed. Raises ``UsageError`` for what cannot."""
    return Signer.open(config.c2pa) if config.c2pa else None


def pen(
    signer: Signer | None, colorizer: Colorizer, name: str, source: str | bytes,
    header: reading.Header | None,
) -> Pen | None:  # fmt: skip
    """What signs one photograph's results; None where nothing is signed."""
    if signer is None or colorizer.origin is None:
        return None
    title = "stdin" if name == STREAM else os.path.basename(name)
    return Pen(signer, colorizer.origin, title, source, header)
