"""Content Credentials: results signed with the user's own certificate (C2PA 2, by ``c2pa-python``).

A manifest says what ``origin`` says, that the source it names was opened and its colours predicted, and
binds that to the file's bytes, so that a change of either is seen. Nothing is asked of the network:
there is no time stamp, and a signature is worth what its certificate is on the day it is read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from colorcli.imaging.tags.origin import SOURCE_TYPE, Origin
from colorcli.system.errors import ImageError, UsageError, reason

EXTRA = "needs pip install 'colorcli[c2pa]'"
# Formats that hold a manifest.
TYPES: Mapping[str, str] = MappingProxyType({
    "jpeg": "image/jpeg", "png": "image/png", "tiff": "image/tiff", "webp": "image/webp",
    "avif": "image/avif", "heic": "image/heic", "gif": "image/gif",
})  # fmt: skip
# No manifest is fetched from where another says it lies, and no picture of a picture is stored.
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
# Kinds of sources, as Pillow calls them, that a manifest can name.
_SOURCES = {
    "JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "TIFF": "tiff", "WEBP": "webp", "AVIF": "avif",
    "HEIF": "heic", "GIF": "gif",
}  # fmt: skip
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A certificate with those above it, and its private key, both PEM; how the key signs, and for whom."""

    certificate: bytes
    key: bytes
    algorithm: str
    name: str

    @classmethod
    def open(cls, given: str) -> Signer:
        """That of the files ``CERT.pem,KEY.pem``; raises ``UsageError`` for what cannot sign."""
        certificate, comma, key = given.rpartition(",")
        if not comma:
            raise UsageError(f"--c2pa {given}: give two files, CERT.pem,KEY.pem")
        try:
            from cryptography import x509
            from cryptography.hazmat.primitives import serialization
        except ImportError:
            raise UsageError(f"--c2pa {EXTRA}") from None
        pem = {}
        for path in (certificate, key):
            try:
                pem[path] = Path(path).read_bytes()
            except OSError as error:
                raise UsageError(f"--c2pa {path}: {reason(error)}; give CERT.pem,KEY.pem") from None
        try:
            leaf = x509.load_pem_x509_certificates(pem[certificate])[0]
        except ValueError:
            raise UsageError(f"--c2pa {certificate}: no certificate in PEM; give one") from None
        try:
            private = serialization.load_pem_private_key(pem[key], password=None)
        except TypeError:
            raise UsageError(
                f"--c2pa {key}: locked by a password; give it unlocked, by openssl pkcs8"
            ) from None
        except ValueError:
            raise UsageError(f"--c2pa {key}: no private key in PEM; give one") from None
        if leaf.public_key() != private.public_key():
            raise UsageError(f"--c2pa {key}: not the key of {certificate}; give its own")
        unlocked = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )  # fmt: skip
        signer = cls(
            certificate=pem[certificate], key=unlocked, algorithm=_algorithm(private, key),
            name=leaf.subject.rfc4514_string(),
        )  # fmt: skip
        signer._try(certificate)
        return signer

    def _try(self, path: str) -> None:
        """Raise ``UsageError`` for a certificate that C2PA does not allow, before any work."""
        try:
            self.sign(
                io.BytesIO(_PICTURE), io.BytesIO(), "png", Origin(model="none"), name="a test"
            )
        except ImageError as error:
            raise UsageError(f"--c2pa {path}: {error}") from None

    def sign(
        self, result: IO[bytes], signed: IO[bytes], format: str, origin: Origin, *, name: str,
        source: IO[bytes] | None = None, kind: str = "",
    ) -> None:  # fmt: skip
        """Write the file ``result`` with a manifest into ``signed``. Raises ``ImageError``.

        ``source``: the photograph ``name`` that it was made of, a file of a ``kind`` as Pillow calls it.
        """
        if format not in TYPES:
            known = ", ".join(TYPES)
            raise ImageError(f"{name}: {format} holds no signature; choose --format of {known}")
        try:
            import c2pa
        except ImportError:
            raise UsageError(f"--c2pa {EXTRA}") from None
        try:
            builder = None
            if source is not None and kind in _SOURCES:
                builder = _opened(origin, format, name, source, TYPES[_SOURCES[kind]])
            if builder is None:
                builder = _builder(_manifest(origin, format, name, opened=False))
            info = c2pa.C2paSignerInfo(
                alg=self.algorithm.encode(), sign_cert=self.certificate, private_key=self.key,
                ta_url=None,
            )  # fmt: skip
            result.seek(0)
            builder.sign(c2pa.Signer.from_info(info), TYPES[format], result, signed)
        except c2pa.C2paError as error:
            raise ImageError(f"{name}: cannot be signed: {reason(error)}") from None


def _algorithm(private: Any, path: str) -> str:
    """C2PA's name for how a key signs (specification 2.2, 13.2.1)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return _CURVES[private.curve.name]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= 2048:
        return "ps256"
    raise UsageError(
        f"--c2pa {path}: C2PA takes no such key; give one of P-256, P-384, P-521, Ed25519 or RSA"
    )


def _builder(manifest: dict[str, Any]) -> Any:
    import c2pa

    return c2pa.Builder(manifest, c2pa.Context.from_dict(_SETTINGS))


def _opened(origin: Origin, format: str, name: str, source: IO[bytes], type: str) -> Any:
    """A builder that names the source; None where C2PA cannot read that."""
    import c2pa

    builder = _builder(_manifest(origin, format, name, opened=True))
    told = {"title": name, "relationship": "parentOf", "label": "source"}
    try:
        builder.add_ingredient(told, type, source)
    except c2pa.C2paError:
        return None
    return builder


def _manifest(origin: Origin, format: str, name: str, *, opened: bool) -> dict[str, Any]:
    """What is claimed (specification 2.2, 18.15: actions)."""
    tool, version = origin.tool.split(" ", 1)
    agent = {"name": tool, "version": version}
    does = {
        "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent,
        "description": f"colours predicted: {origin.event()}",
    }  # fmt: skip
    first = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}}
    actions = [first, {"action": "c2pa.edited", **does}]
    if not opened:  # a first action must be, and one opens only what is named
        actions = [{"action": "c2pa.created", **does}]
    return {
        "claim_generator_info": [agent], "title": name, "format": TYPES[format],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }  # fmt: skip


# One gray pixel, to try a certificate on.
_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c636800000082008177cd72b60000000049454e44ae426082"
)
