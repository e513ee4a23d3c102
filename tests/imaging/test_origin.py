"""Every result says that a model predicted its colours, beside what its source said."""

import hashlib
import io
import json
import shutil
import subprocess
from xml.dom import minidom

import numpy as np
import pytest
from conftest import saved, scene
from PIL import Image

from colorcli import Colorizer, __version__
from colorcli.colorizing.intake import Request, planned
from colorcli.colorizing.predict import predict
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.imaging.kinds import KINDS
from colorcli.imaging.tags.origin import SOURCE_TYPE, Origin

ORIGIN = Origin(model="default", digest="ab" * 32, knobs={"vividness": 0.3, "flip_average": True})
RGB = scene(3)
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SCANNED = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="uuid:7" xmlns:q="http://ns.adobe.com/xap/1.0/"
   xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
   xmlns:dc="http://purl.org/dc/elements/1.1/"
   q:CreatorTool="Scan &amp; Co">
  <e:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/print</e:DigitalSourceType>
  <dc:title><rdf:Alt><rdf:li xml:lang="x-default">Großmutter</rdf:li></rdf:Alt></dc:title>
  <h:History xmlns:h="http://ns.adobe.com/xap/1.0/mm/"><rdf:Seq>
   <rdf:li xmlns:s="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#" s:action="created"/>
  </rdf:Seq></h:History>
 </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
HOLD_NONE = {"bmp", "ppm"}  # XMP


def exiftool(data: bytes, tmp_path) -> dict:
    """What exiftool, which knows all these formats, reads of a file."""
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    (tmp_path / "picture").write_bytes(data)
    done = subprocess.run(
        ["exiftool", "-json", "-struct", "-a", "-G1", tmp_path / "picture"],
        capture_output=True, check=True,
    )  # fmt: skip
    (told,) = json.loads(done.stdout)
    return told


def encoded(format: str, extra=None, origin=ORIGIN, strip=False, rgb=RGB) -> bytes:
    if plugin := writing.FORMATS[format].kind:
        pytest.importorskip(KINDS[plugin].module)
    gray = rgb[..., 0].copy()
    depth = 8 * rgb.dtype.itemsize
    picture = reading.Picture(gray, depth=depth)
    document = reading.Document(format, [picture], extra or {}, "x")
    return writing.encode([(rgb, picture)], document, format, strip=strip, origin=origin)


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("format", sorted(writing.FORMATS.keys() - HOLD_NONE))
def test_exiftool_reads_what_made_the_colours(format, strip, tmp_path):
    told = exiftool(encoded(format, {"xmp": SCANNED.encode()}, strip=strip), tmp_path)
    assert "ExifTool:Warning" not in told, told
    assert told["XMP-iptcExt:DigitalSourceType"] == SOURCE_TYPE
    assert told["XMP-xmp:CreatorTool"] == f"colorize {__version__}"
    own = {k.split(":")[1]: v for k, v in told.items() if k.startswith("XMP-colorize:")}
    assert (own["Model"], own["ModelSHA256"]) == ("default", "ab" * 32)
    assert (own["Vividness"], own["Flip_average"]) == (0.3, True)
    assert ("SourceCreatorTool" in own) is not strip
    assert ("XMP-dc:Title" in told) is not strip
    history = told["XMP-xmpMM:History"]
    assert [e["Action"] for e in history] == (["edited"] if strip else ["created", "edited"])
    if not strip:
        assert own["SourceCreatorTool"] == "Scan & Co"
        assert own["SourceDigitalSourceType"].endswith("/print")
        assert told["XMP-dc:Title"] == "Großmutter"


@pytest.mark.parametrize("format", ["png", "tiff", "jp2"])
def test_16_bits_say_it_too(format, tmp_path):
    told = exiftool(encoded(format, rgb=RGB.astype(np.uint16) * 257), tmp_path)
    assert told["XMP-iptcExt:DigitalSourceType"] == SOURCE_TYPE


def test_a_comment_says_it_where_there_is_no_xmp():
    made = encoded("ppm")
    head = made[:600].split(b"\n")
    assert head[2].startswith(b"# DigitalSourceType=" + SOURCE_TYPE.encode())
    assert b"model=default" in head[2] and b"vividness=0.3" in head[2]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(made))), RGB)


@pytest.mark.parametrize("format", writing.FORMATS)
def test_what_is_not_to_be_said_is_not(format):
    made = encoded(format, origin=None)
    assert b"DigitalSourceType" not in made and b"CreatorTool" not in made


@pytest.mark.parametrize("format", writing.FORMATS)
def test_pixels_are_the_same(format):
    def pixels(data):
        return reading.decode(data, keep_color=True).frames[0].rgb

    assert np.array_equal(pixels(encoded(format)), pixels(encoded(format, origin=None)))


def properties(packet: bytes) -> dict:
    tree = minidom.parseString(packet)
    return {
        name: value for node in tree.getElementsByTagNameNS(RDF, "Description")
        for name, value in node.attributes.items() if not name.startswith("xmlns")
    }  # fmt: skip


def test_a_second_colouring_replaces_the_first_and_its_event_stays():
    first = Origin(model="old", knobs={"vividness": 0.5}).packet(SCANNED.encode())
    second = ORIGIN.packet(first)
    assert second.count(b"<rdf:Seq>") == 1 and second.count(b"colorize:Model=") == 1
    assert properties(second)["colorize:Model"] == "default"
    assert properties(second)["colorize:SourceCreatorTool"] == "Scan & Co"
    assert second.count(b'stEvt:action="edited"') == 2 and b"model=old" in second


DAMAGED = {
    "no XML": b"\xff\xfe nonsense", "no RDF": b"<a/>", "cut off": SCANNED.encode()[:400],
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]>' + SCANNED.encode(), "empty": b"\0\0 ",
}  # fmt: skip


@pytest.mark.parametrize("source", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_packet_of_the_source_is_left_out(source):
    assert properties(ORIGIN.packet(source)) == properties(ORIGIN.packet())


@pytest.mark.parametrize("source", [
    b"\0 \n" + SCANNED.encode() + b" " * 4096 + b"\0", SCANNED.encode("utf-16"),
])  # fmt: skip
def test_padded_and_wide_packets_are_kept(source):
    packet = ORIGIN.packet(source)
    assert "Großmutter".encode() in packet and properties(packet)["rdf:about"] == "uuid:7"


@pytest.mark.parametrize("model", ["bad\x01name", "sur\udcffrogate", 'q"<&>', "line\nbreak"])
def test_any_file_name_of_a_model_can_be_said(model):
    origin = Origin(model=model)
    packet = origin.packet()
    assert minidom.parseString(packet) and "\n" not in origin.comment()
    origin.comment().encode()


def test_a_packet_too_long_for_a_jpeg_gives_way_to_what_must_be_said(tmp_path):
    long = SCANNED.replace("Großmutter", "x" * 70000).encode()
    made = encoded("jpeg", {"xmp": long})
    xmp = Image.open(io.BytesIO(made)).info["xmp"]
    assert properties(xmp)["Iptc4xmpExt:DigitalSourceType"] == SOURCE_TYPE


def test_exif_of_the_source_stays():
    exif = Image.Exif()
    exif[0x0131], exif[0x013B] = "ScanTool 3", "A. Photographer"
    source = saved(Image.fromarray(RGB[..., 0]), "JPEG", exif=exif)
    document = reading.decode(source)
    made = writing.encode([(RGB, document.frames[0])], document, "jpeg", origin=ORIGIN)
    kept = Image.open(io.BytesIO(made)).getexif()
    assert (kept[0x0131], kept[0x013B]) == ("ScanTool 3", "A. Photographer")


def run(colorize, tmp_path, *arguments) -> dict:
    done = colorize("predict", *arguments, "-o", tmp_path / "out.png", "--json", "--overwrite")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_says_it_in_files_and_json(colorize, small_model, photos, tmp_path):
    gray, colour = photos / "gray.png", photos / "photo00.png"
    told = run(colorize, tmp_path, gray, "-m", small_model, "--vividness", "0.4")["provenance"]
    made = properties(Image.open(tmp_path / "out.png").info["xmp"])
    digest = hashlib.sha256((small_model / "model.tflite").read_bytes()).hexdigest()
    assert told["model_sha256"] == made["colorize:ModelSHA256"] == digest
    assert told["model"] == made["colorize:Model"] == "small"
    assert told["knobs"]["vividness"] == 0.4 and made["colorize:vividness"] == "0.4"
    assert told["digital_source_type"] == made["Iptc4xmpExt:DigitalSourceType"] == SOURCE_TYPE
    for arguments in ((gray, "--no-provenance"), (colour, "--keep-color", "--strip")):
        said = run(colorize, tmp_path, *arguments, "-m", small_model)
        assert said["provenance"] is None
        assert "xmp" not in Image.open(tmp_path / "out.png").info


def test_strips_say_it_too(small_model, tmp_path, monkeypatch):
    pytest.importorskip("pyvips")
    source = tmp_path / "in.jpg"
    Image.fromarray(RGB[..., 0]).save(source, xmp=SCANNED.encode())
    config = PredictConfig(large=1000)
    for name in ("a.jpg", "a.png", "a.tif"):
        jobs = planned(Request([str(source)], str(tmp_path / name)), config)[1]
        (result,) = predict(jobs, Colorizer(small_model), config)
        assert result.status == "done", result.error
        told = exiftool((tmp_path / name).read_bytes(), tmp_path)
        assert told["XMP-iptcExt:DigitalSourceType"] == SOURCE_TYPE
        assert told["XMP-colorize:SourceCreatorTool"] == "Scan & Co"
