"""Content Credentials: what is signed, by whom, that a change is seen, and what cannot sign."""

import datetime
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
import tifffile
from conftest import saved, scene
from PIL import Image

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.intake import Request, planned
from colorcli.colorizing.predict import predict
from colorcli.config.predict import PredictConfig, ScansConfig
from colorcli.imaging.tags.origin import SOURCE_TYPE
from colorcli.imaging.tags.signing import TYPES, Signer
from colorcli.system.errors import UsageError

c2pa = pytest.importorskip("c2pa", reason="needs colorcli[c2pa]")
x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

KEYS = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
}
NAME = "CN=Test signer,O=An archive"


def certificate(public, issuer_key, *, name=NAME, issuer="CN=Test root,O=Test", usage=True, root=False):  # fmt: skip
    """A certificate as C2PA wants it (specification 2.2, 14.5.1), unless ``usage`` is left out."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string(name))
        .issuer_name(x509.Name.from_rfc4514_string(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not root, key_cert_sign=root, crl_sign=root,
                content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, encipher_only=False, decipher_only=False,
            ), critical=True,
        )
    )  # fmt: skip
    if usage and not root:
        mail = x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION
        builder = builder.add_extension(x509.ExtendedKeyUsage([mail]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def credentials(folder, kind="es256", *, password=None, usage=True) -> str:
    """``CERT.pem,KEY.pem`` of a signer and the root that vouches for it."""
    root, key = KEYS["es256"](), KEYS[kind]()
    chain = certificate(key.public_key(), root, usage=usage)
    chain += certificate(root.public_key(), root, name="CN=Test root,O=Test", root=True)
    (folder / "cert.pem").write_bytes(chain)
    locked = serialization.BestAvailableEncryption(password) if password else None
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            locked or serialization.NoEncryption(),
        )
    )  # fmt: skip
    return f"{folder / 'cert.pem'},{folder / 'key.pem'}"


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return credentials(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


def coloured(colorizer, source, target, **options):
    config = PredictConfig(**options)
    _, jobs = planned(Request([str(source)], str(target), overwrite=True), config)
    (result,) = predict(jobs, colorizer, config)
    return result


def manifest(data: bytes, type: str) -> tuple[dict, dict]:
    """What a reader of C2PA makes of a file: its active manifest, and all."""
    told = json.loads(c2pa.Reader(type, io.BytesIO(data)).json())
    return told["manifests"][told["active_manifest"]], told


def actions(found) -> list[dict]:
    (assertion,) = (a for a in found["assertions"] if a["label"].startswith("c2pa.actions"))
    return assertion["data"]["actions"]


GRAY = Image.fromarray(scene(1)[..., 0])
SOURCES = {
    "a.jpg": saved(GRAY, "JPEG"), "a.png": saved(GRAY, "PNG"), "a.tif": saved(GRAY, "TIFF"),
    "a.webp": saved(GRAY, "WEBP", lossless=True), "a.avif": saved(GRAY, "AVIF"),
    "a.gif": saved(GRAY, "GIF"),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_every_format_is_signed_and_says_what_was_done(name, colorizer, given, tmp_path):
    (tmp_path / name).write_bytes(SOURCES[name])
    bare = coloured(colorizer, tmp_path / name, tmp_path / f"bare-{name}")
    result = coloured(colorizer, tmp_path / name, tmp_path / f"new-{name}", c2pa=given)
    assert result.status == "done", result.error
    assert result.provenance == {**bare.provenance, "signed_by": NAME}
    data, plain = ((tmp_path / f"{kind}-{name}").read_bytes() for kind in ("new", "bare"))
    found, told = manifest(data, TYPES[Image.open(io.BytesIO(data)).format.lower()])
    # Sound, by a signer whom nobody here has been told to trust.
    assert told["validation_state"] == "Valid"
    assert [s["code"] for s in told["validation_status"]] == ["signingCredential.untrusted"]
    assert found["signature_info"]["issuer"] == "An archive"
    opened, edited = actions(found)
    assert opened["action"] == "c2pa.opened" and edited["action"] == "c2pa.edited"
    assert edited["digitalSourceType"] == SOURCE_TYPE and "model=small" in edited["description"]
    (parent,) = found["ingredients"]
    assert parent["relationship"] == "parentOf" and parent["title"] == name
    pixels = [np.asarray(Image.open(io.BytesIO(d)).convert("RGB")) for d in (data, plain)]
    assert np.array_equal(*pixels) and b"DigitalSourceType" in data


def test_a_change_is_seen(colorizer, given, tmp_path):
    (tmp_path / "a.png").write_bytes(SOURCES["a.png"])
    coloured(colorizer, tmp_path / "a.png", tmp_path / "b.tif", c2pa=given)
    data = bytearray((tmp_path / "b.tif").read_bytes())
    offset = tifffile.TiffFile(io.BytesIO(data)).pages[0].dataoffsets[0]
    data[offset + 5] ^= 1
    assert manifest(bytes(data), "image/tiff")[1]["validation_state"] == "Invalid"


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind_sign(kind, colorizer, tmp_path):
    given = credentials(tmp_path, kind)
    (tmp_path / "a.png").write_bytes(SOURCES["a.png"])
    coloured(colorizer, tmp_path / "a.png", tmp_path / "b.png", c2pa=given)
    found, told = manifest((tmp_path / "b.png").read_bytes(), "image/png")
    assert told["validation_state"] == "Valid"
    assert found["signature_info"]["alg"].lower() == kind


def test_what_was_signed_before_is_handed_on(colorizer, given, tmp_path):
    (tmp_path / "a.jpg").write_bytes(SOURCES["a.jpg"])
    coloured(colorizer, tmp_path / "a.jpg", tmp_path / "b.jpg", c2pa=given)
    coloured(colorizer, tmp_path / "b.jpg", tmp_path / "c.jpg", c2pa=given, again=True)
    found, told = manifest((tmp_path / "c.jpg").read_bytes(), "image/jpeg")
    assert len(told["manifests"]) == 2 and "active_manifest" in found["ingredients"][0]


def test_sources_that_c2pa_cannot_read_are_not_named(colorizer, given, tmp_path):
    (tmp_path / "a.bmp").write_bytes(saved(GRAY, "BMP"))
    coloured(colorizer, tmp_path / "a.bmp", tmp_path / "b.png", c2pa=given)
    (only,) = actions(manifest((tmp_path / "b.png").read_bytes(), "image/png")[0])
    assert only["action"] == "c2pa.created" and only["digitalSourceType"] == SOURCE_TYPE


def test_pictures_in_strips_are_signed(colorizer, given, tmp_path):
    pytest.importorskip("pyvips", reason="needs colorcli[large]")
    (tmp_path / "a.png").write_bytes(SOURCES["a.png"])
    for name in ("b.png", "b.jpg", "b.tif"):
        result = coloured(
            colorizer, tmp_path / "a.png", tmp_path / name, c2pa=given, large=1000
        )  # fmt: skip
        assert result.status == "done" and result.provenance["signed_by"] == NAME, result.error
        data = (tmp_path / name).read_bytes()
        told = manifest(data, TYPES[Image.open(io.BytesIO(data)).format.lower()])[1]
        assert told["validation_state"] == "Valid"


def test_photographs_of_a_page_are_signed_and_say_where_they_come_from(colorizer, given, tmp_path):
    page = np.full((400, 700), 250, np.uint8)
    for i, left in enumerate((40, 380)):
        page[60:340, left : left + 280] = np.asarray(
            Image.fromarray(scene(i, 280, 280)[..., 0])
        )  # fmt: skip
    Image.fromarray(page).save(tmp_path / "page.png")
    scans = ScansConfig(split=True)
    coloured(colorizer, tmp_path / "page.png", tmp_path / "c.png", c2pa=given, scans=scans)
    for name in ("c.png", "c-1.png", "c-2.png"):
        data = (tmp_path / name).read_bytes()
        assert manifest(data, "image/png")[1]["validation_state"] == "Valid"
        assert b"DigitalSourceType" in data


def test_what_holds_no_signature_fails_alone(colorizer, given, tmp_path):
    (tmp_path / "a.png").write_bytes(SOURCES["a.png"])
    result = coloured(colorizer, tmp_path / "a.png", tmp_path / "b.bmp", c2pa=given)
    assert result.status == "failed" and "bmp holds no signature; choose" in result.error
    assert not (tmp_path / "b.bmp").exists()


def test_what_is_passed_on_in_its_own_colours_is_not_signed(colorizer, given, tmp_path):
    Image.fromarray(scene(3)).save(tmp_path / "a.png")
    result = coloured(
        colorizer, tmp_path / "a.png", tmp_path / "b.png", c2pa=given, keep_color=True
    )
    assert result.status == "kept" and result.provenance is None
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_who_cannot_sign_is_refused_before_any_work(tmp_path, given):
    cert, key = given.split(",")
    for name in ("other", "locked", "unfit"):
        (tmp_path / name).mkdir()
    strange = credentials(tmp_path / "other").split(",")[1]
    (tmp_path / "text.pem").write_text("hello")
    for text, word in {
        cert: "give two files", f"{cert},{tmp_path}/none.pem": "No such file",
        f"{tmp_path}/text.pem,{key}": "no certificate in PEM",
        f"{cert},{tmp_path}/text.pem": "no private key in PEM",
        f"{cert},{strange}": "not the key of",
        credentials(tmp_path / "locked", password=b"secret"): "locked by a password",
        credentials(tmp_path / "unfit", usage=False): "cannot be signed",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=f"--c2pa .*{word}"):
            Signer.open(text)


def test_the_command_signs_a_pipe_and_refuses_what_it_cannot(colorize, given, small_model):
    done = colorize("predict", "-", "-m", small_model, "--c2pa", given, input=SOURCES["a.jpg"])
    assert done.returncode == 0, done.stderr
    assert manifest(done.stdout, "image/png")[0]["ingredients"][0]["title"] == "stdin"
    for options in (["--no-provenance"], ["--sequence"], ["--engine", "ray"]):
        done = colorize("predict", "x.png", "-o", "o/", "--c2pa", given, *options)
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"--c2pa" in done.stderr


@pytest.mark.skipif(not shutil.which("exiftool"), reason="needs exiftool")
def test_exiftool_reads_it(colorizer, given, tmp_path):
    (tmp_path / "a.jpg").write_bytes(SOURCES["a.jpg"])
    coloured(colorizer, tmp_path / "a.jpg", tmp_path / "b.jpg", c2pa=given)
    done = subprocess.run(
        ["exiftool", "-j", "-G1", "-JUMBF:all", "-XMP:all", tmp_path / "b.jpg"],
        capture_output=True, check=True,
    )  # fmt: skip
    (told,) = json.loads(done.stdout)
    assert any("c2pa" in str(value) for name, value in told.items() if "JUMBF" in name), told
    assert told["XMP-iptcExt:DigitalSourceType"] == SOURCE_TYPE
