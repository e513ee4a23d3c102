"""What a result says of where its colours come from, in words that archives and newsrooms read.

The IPTC's digital source type ``compositeWithTrainedAlgorithmicMedia`` ("Edited using Generative AI:
modification or augmentation of media using a Generative AI model", the vocabulary at
https://cv.iptc.org/newscodes/digitalsourcetype/, version of 2024-09-17): the picture is a
photograph, to which a trained model added what the camera never saw. ``trainedAlgorithmicMedia``
is for media without any capture in them; ``algorithmicallyEnhanced`` says "without changing the
main content", "not using generative AI". Regulation (EU) 2024/1689, article 50(2), asks for such a
mark. Beside it stand IPTC Photo Metadata 2025.1's ``AISystemUsed`` and ``AISystemVersionUsed``,
``xmp:CreatorTool``, and an event in ``xmpMM:History`` (XMP part 2, 8.4 and 8.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any
from xml.dom import minidom

from colorcli import __version__

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NAMESPACES = {
    "rdf": _RDF,
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    # Of our own: the model, and what the source said where ours replaced it.
    "colorize": "urn:uuid:6a2d3c0f-5b7e-4f0e-9a4b-636f6c6f7269#",
}
# What a source may have said already, and under which name of ours it is kept.
_REPLACED = {
    "xmp:CreatorTool": "colorize:SourceCreatorTool",
    "Iptc4xmpExt:DigitalSourceType": "colorize:SourceDigitalSourceType",
    "Iptc4xmpExt:AISystemUsed": "colorize:SourceAISystemUsed",
    "Iptc4xmpExt:AISystemVersionUsed": "colorize:SourceAISystemVersionUsed",
}
_BEGIN = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = b'\n<?xpacket end="w"?>'
_LONGEST = 16 << 20  # bytes of a source's packet that are read; a tree takes ten times as many


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What predicted a picture's colours.

    ``digest``: sha256, in hex, of the file that ran. ``knobs``: decoding's, by name.
    """

    model: str
    digest: str = ""
    knobs: Mapping[str, float | bool] = field(default_factory=dict)

    @property
    def tool(self) -> str:
        """The program and its version, as ``xmp:CreatorTool`` has it."""
        return f"colorize {__version__}"

    def told(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "digital_source_type": SOURCE_TYPE, "creator_tool": self.tool, "model": self.model,
            "model_sha256": self.digest, "knobs": dict(self.knobs),
        }  # fmt: skip

    def _steered(self) -> dict[str, str]:
        return {
            name: str(value) if isinstance(value, bool) else f"{value:g}"
            for name, value in self.knobs.items()
        }

    @property
    def _named(self) -> str:
        """The model's name as XML and a line of text may hold it."""
        name = self.model.encode("utf-8", "backslashreplace").decode()
        return "".join(c if c.isprintable() else "?" for c in name)

    def event(self) -> str:
        """The model and its knobs, for one line of text."""
        digest = {"sha256": self.digest} if self.digest else {}
        parts = {"model": self._named, **digest, **self._steered()}
        return " ".join(f"{name}={value}" for name, value in parts.items())

    def comment(self) -> str:
        """All of it on one line."""
        return f"DigitalSourceType={SOURCE_TYPE} CreatorTool={self.tool!r} {self.event()}"

    def _properties(self) -> dict[str, str]:
        """Simple properties by qualified name."""
        own = {f"colorize:{name}": value for name, value in self._steered().items()}
        return {
            "xmp:CreatorTool": self.tool,
            "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE,
            "Iptc4xmpExt:AISystemUsed": f"colorize, model {self._named}",
            "Iptc4xmpExt:AISystemVersionUsed": __version__,
            "colorize:Model": self._named,
            **({"colorize:ModelSHA256": self.digest} if self.digest else {}),
            **own,
        }

    def packet(self, source: bytes = b"") -> bytes:
        """An XMP packet that says it all beside what the ``source``'s packet says.

        A source that is no XMP is left out.
        """
        if not source:
            return self._alone
        ours = _tree(self._properties(), self.event())
        try:
            tree = _merged(ours, source)
        except Exception:  # no XML, or no RDF in it: what nobody can read is nobody's loss
            tree = ours
        return _BEGIN + tree.documentElement.toxml().encode() + _END

    @cached_property
    def _alone(self) -> bytes:
        """The packet of all photographs that bring none."""
        tree = _tree(self._properties(), self.event())
        return _BEGIN + tree.documentElement.toxml().encode() + _END

    def onto(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Metadata for a copy, see ``metadata.collect``, with this beside it."""
        return {**extra, "xmp": self.packet(extra.get("xmp", b"")), "origin": self}


def _quoted(value: str) -> str:
    return f'"{escape(value)}"'


def _tree(properties: Mapping[str, str], event: str) -> Any:
    """An XMP document of simple ``properties`` and one event of the history."""
    spaces = " ".join(f"xmlns:{name}={_quoted(uri)}" for name, uri in _NAMESPACES.items())
    simple = " ".join(f"{name}={_quoted(value)}" for name, value in properties.items())
    agent = _quoted(properties["xmp:CreatorTool"])
    return minidom.parseString(
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about="" {spaces} {simple}><xmpMM:History><rdf:Seq>'
        f'<rdf:li stEvt:action="edited" stEvt:softwareAgent={agent} '
        f"stEvt:parameters={_quoted('colours predicted: ' + event)}/>"
        "</rdf:Seq></xmpMM:History></rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def _split(name: str) -> tuple[str, str]:
    prefix, local = name.split(":")
    return _NAMESPACES[prefix], local


def _descriptions(tree: Any) -> list[Any]:
    """The top descriptions of an XMP document; raises ``IndexError`` where there is no RDF."""
    rdf = tree.getElementsByTagNameNS(_RDF, "RDF")[0]
    return [node for node in rdf.childNodes if node.localName == "Description"]


def _taken(description: Any, name: str) -> str | None:
    """The text of a simple property, which goes; None where a description lacks it."""
    space, local = _split(name)
    text = None
    if description.hasAttributeNS(space, local):
        text = description.getAttributeNS(space, local)
        description.removeAttributeNS(space, local)
    for node in [n for n in description.childNodes if n.namespaceURI == space]:
        if node.localName == local:
            text = "".join(t.data for t in node.childNodes if t.nodeType == t.TEXT_NODE).strip()
            description.removeChild(node)
    return text


def _merged(ours: Any, source: bytes) -> Any:
    """The document of ``source`` with the statements of ``ours``; raises for what is no XMP."""
    wide = source.startswith((b"\xff\xfe", b"\xfe\xff"))
    body = (source.decode("utf-16").encode() if wide else source).strip(b"\0 \t\r\n")
    if len(body) > _LONGEST or b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ValueError("no XMP")
    tree = minidom.parseString(body)
    theirs = _descriptions(tree)
    (said,) = _descriptions(ours)
    for description in theirs:
        for name, kept in _REPLACED.items():
            text = _taken(description, name)
            if text and text != said.getAttributeNS(*_split(name)):
                said.setAttributeNS(_split(kept)[0], kept, text)
        for name in said.attributes.keys():  # noqa: SIM118 - a map of nodes
            if name.startswith("colorize:") and name not in _REPLACED.values():
                _taken(description, name)  # of an earlier colouring
    mine = tree.importNode(said, True)
    if theirs:  # one packet is about one thing (XMP part 1, 7.4)
        mine.setAttributeNS(_RDF, "rdf:about", theirs[0].getAttributeNS(_RDF, "about"))
    history = next((h for d in theirs if (h := _history(d))), None)
    if history is not None:
        own = _history(mine)
        assert own is not None
        for event in own.getElementsByTagNameNS(_RDF, "li"):
            # It leaves the element whose declarations its prefixes stand on.
            event.setAttribute("xmlns:stEvt", _NAMESPACES["stEvt"])
            history.getElementsByTagNameNS(_RDF, "Seq")[0].appendChild(event)
        mine.removeChild(own)
    tree.getElementsByTagNameNS(_RDF, "RDF")[0].appendChild(mine)
    return tree


def _history(description: Any) -> Any:
    """A description's list of events that have happened, or None."""
    space, local = _split("xmpMM:History")
    found = [n for n in description.childNodes if (n.namespaceURI, n.localName) == (space, local)]
    return next((n for n in found if n.getElementsByTagNameNS(_RDF, "Seq")), None)
