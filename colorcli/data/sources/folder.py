"""Files, folders and globs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from colorcli.data.sources.common import Files, Photographs, Selection, Source, drawn
from colorcli.system.errors import DataError
from colorcli.system.files.inputs import find, stream


@dataclass(frozen=True, kw_only=True)
class Folder(Source):
    """Files, folders and globs (``inputs``), and names ``listed`` somewhere, taken literally.

    ``files_from`` says where they were listed.
    """

    inputs: Sequence[str] = ()
    listed: Iterable[str] = ()
    files_from: str | None = None
    recursive: bool = False

    def selection(self, *, limit: int = 0, seed: int = 0) -> Selection:
        """See ``Source``."""
        from colorcli.imaging import writing

        found = find(
            self.inputs, writing.READABLE, listed=tuple(self.listed), recursive=self.recursive
        )
        broken = [{"path": name, "reason": f"{name}: {why}"} for name, why in found.failures]
        if not found.sources:
            raise DataError(broken[0]["reason"] if broken else "no photographs given")
        return Selection(items=Files(drawn(found.sources, limit, seed)), broken=broken)

    def photographs(self) -> Photographs:
        """See ``Source``."""
        from colorcli.imaging import writing

        files = stream(self.inputs, writing.READABLE, listed=self.listed, recursive=self.recursive)
        origin = {"kind": "folder", "inputs": list(self.inputs), "files_from": self.files_from}
        return Photographs(files=files, origin=origin)


SOURCE = Folder
