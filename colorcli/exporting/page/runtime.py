"""LiteRT.js, which runs LiteRT files in a browser: fetched by npm when a page is made, and pinned."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from colorcli.system.atomic import scratch, write_atomic
from colorcli.system.errors import DataError, UsageError, reason

PACKAGE, VERSION = "@litertjs/core", "2.5.3"
LICENCE = "Apache-2.0"
# As `npm view @litertjs/core@VERSION dist.integrity` has it.
INTEGRITY = "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ=="
ARCHIVE = f"litertjs-core-{VERSION}.tgz"  # what npm calls it
PATIENCE = 300.0  # seconds that npm may take
# The build without relaxed SIMD, which Safari and Firefox lack; the network is as fast with it.
_BUILD = "package/wasm/litert_wasm_compat_internal"
_IMPORT = 'import { createWasmLib } from "@litertjs/wasm-utils";'


@dataclass(frozen=True)
class Runtime:
    """Parts of LiteRT.js: WebAssembly, the script that wraps it, and the interface as a module.

    ``core`` takes ``createWasmLib`` from the global object.
    """

    wasm: bytes
    glue: bytes
    core: bytes


def runtime(given: str | None = None) -> Runtime:
    """LiteRT.js of the archive ``given``, of the user's cache, or from npm.

    Raises ``UsageError`` where it is neither at hand nor to be had, with what to do, and
    ``DataError`` for an archive that is not the pinned one.
    """
    with tarfile.open(fileobj=io.BytesIO(archive(given))) as package:
        core = _member(package, "package/dist/index.js").decode()
        wasm, glue = (_member(package, _BUILD + end) for end in (".wasm", ".js"))
    if core.count(_IMPORT) != 1:
        raise DataError(f"{PACKAGE} {VERSION}: built otherwise than this program expects")
    core = core.replace(_IMPORT, "const { createWasmLib } = self;")
    return Runtime(wasm=wasm, glue=glue, core=core.encode())


def archive(given: str | None = None) -> bytes:
    """The pinned archive, as ``runtime`` finds it; what npm brings is kept in the user's cache."""
    from colorcli.system.disk import cache

    if given is not None:
        try:
            data = Path(given).read_bytes()
        except OSError as error:
            raise DataError(f"{given}: cannot be read: {reason(error)}; {_by_hand()}") from None
        if not _is_pinned(data):
            raise DataError(f"{given}: not {PACKAGE} {VERSION} (another checksum); {_by_hand()}")
        return data
    kept = cache() / ARCHIVE
    if kept.is_file() and _is_pinned(data := kept.read_bytes()):
        return data
    data = _packed(kept.parent)
    write_atomic(str(kept), data)
    return data


def _is_pinned(data: bytes) -> bool:
    return f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}" == INTEGRITY


def _by_hand() -> str:
    return f"get it with `npm pack {PACKAGE}@{VERSION}` and give it as --runtime {ARCHIVE}"


def _packed(folder: Path) -> bytes:
    """What ``npm pack`` brings, by way of a scratch folder in ``folder``."""
    npm = shutil.which("npm")
    need = f"a page needs LiteRT.js ({PACKAGE} {VERSION})"
    if npm is None:
        raise UsageError(f"{need} and npm, which is not installed; install it, or {_by_hand()}")
    try:
        with scratch(folder) as place:
            done = subprocess.run(
                [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent"],
                cwd=place, capture_output=True, text=True, timeout=PATIENCE,
            )  # fmt: skip
            found = next(iter(place.glob("*.tgz")), None)
            data = found.read_bytes() if found else b""
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{need}; npm fails ({reason(error)}): {_by_hand()}") from None
    if not data:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UsageError(
            f"{need}, which npm cannot get ({lines[-1]}); on a machine with a network, {_by_hand()}"
        )
    if not _is_pinned(data):
        raise DataError(f"{PACKAGE} {VERSION} from npm has another checksum; check npm's registry")
    return data


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    assert file is not None, name
    return file.read()
