"""The parts of a page put into one file: markup, style, scripts, facts, runtime and model."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from colorcli import __version__
from colorcli.color import bins, lab
from colorcli.colorizing import framing, hints
from colorcli.colorizing.scans import windows
from colorcli.exporting.page.runtime import LICENCE, PACKAGE, VERSION, Runtime
from colorcli.imaging.tags.icc import srgb_profile
from colorcli.imaging.tags.origin import Origin
from colorcli.network.decoding import AB, KNOBS, LOGITS, of_stage
from colorcli.network.model_folder import BUNDLED, ModelFolder
from colorcli.system.disk import digest_of

if TYPE_CHECKING:
    import jinja2

PARTS = Path(__file__).parent
# In the order in which they build upon each other.
COMPUTING = ("lab", "framing", "windows", "decoding", "hints")  # what has a twin in Python
WORKER = ("bytes", *COMPUTING, "kinds", "tags", "network", "worker")
PAGE = ("bytes", "album", "film", "compare", "sliders", "markers", "zip", "saving", "app")
_PACKED = re.compile(r'<script type="text/plain" id="model">([^<]*)</script>')


def facts(folder: ModelFolder, side: int, stride: int, *, digest: str = "") -> dict[str, Any]:
    """Every number that the scripts share with this program, and what the page says of itself.

    ``side`` of the L that the network takes, ``stride`` of the ab that it gives, in pixels;
    ``digest``: sha256 of the file that runs.
    """
    return {
        "version": __version__,
        "model": folder.name,
        "side": side,
        "stride": stride,
        "centres": bins.centres().ravel().tolist(),
        "logPrior": np.log(folder.prior).astype(np.float32).tolist(),
        "knobs": [
            {"name": name, "neutral": k.neutral, "default": k.default, **asdict(k.slider)}
            for name, k in KNOBS.items()
        ],
        "lab": _lab(),
        "framing": {
            "narrow": framing.NARROW, "tails": framing.TAILS,
            "spread": framing.SPREAD, "blank": framing.BLANK,
        },
        "windows": {
            "long": windows.LONG, "step": windows.STEP, "many": windows.MANY,
            "parts": windows.PARTS, "canvas": windows.CANVAS // 2, "room": windows.ROOM,
        },
        "hints": {
            name: getattr(hints, name.upper())
            for name in ("near", "light", "stuff", "elsewhere", "same", "noise", "fine", "rounds")
        },
        "profile": base64.b64encode(srgb_profile()).decode(),
        "xmp": Origin(model=folder.name, digest=digest).packet().decode("utf-8"),
    }  # fmt: skip


def _lab() -> dict[str, Any]:
    return {
        "neutral": lab.NEUTRAL,
        "luminance": lab.XYZ_FROM_RGB[1].tolist(),
        "fFromRgb": lab.F_FROM_RGB.tolist(),
        "rgbFromF": np.linalg.inv(lab.F_FROM_RGB).tolist(),
    }


def script(names: tuple[str, ...], known: dict[str, Any]) -> str:
    """Scripts of this folder as one, which knows the facts and what each knob does."""
    parts = [(PARTS / f"{name}.js").read_text("utf-8") for name in names]
    told = json.dumps(known, separators=(",", ":")).replace("<", "\\u003c")
    tables = [_acting("ON_LOGITS", LOGITS), _acting("ON_AB", AB)]
    return "\n".join(['"use strict";', f"const FACTS = {told};", *tables, *parts])


def _acting(table: str, stage: str) -> str:
    """What the knobs of a stage do, by name."""
    rows = [f"{k.name}: (x, value, logPrior) => {k.script}" for k in of_stage(stage)]
    return f"const {table} = {{ {', '.join(rows)} }};"


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PARTS), undefined=jinja2.StrictUndefined,
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html")


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def _permitted(text: str) -> str:
    """A source of the content security policy that lets this very text in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def assemble(model: bytes, folder: ModelFolder, runtime: Runtime, *, side: int, stride: int) -> str:
    """The page, one HTML file that needs no other: ``model`` is a LiteRT file of static shapes."""
    from markupsafe import Markup

    known = facts(folder, side, stride, digest=digest_of(model))
    style = (PARTS / "style.css").read_text("utf-8")
    app = script(PAGE, {key: known[key] for key in ("version", "knobs")})
    packed = {
        "worker": script(WORKER, known).encode(), "core": runtime.core, "glue": runtime.glue,
        "wasm": runtime.wasm, "model": model,
    }  # fmt: skip
    return _template().render(
        version=__version__, model=folder, licences=_licences(folder),
        runtime=f"{PACKAGE} {VERSION} ({LICENCE})",
        policy={"script": _permitted(app), "style": _permitted(style)},
        style=Markup(style), app=Markup(app),
        packed={name: Markup(_packed(data)) for name, data in packed.items()},
    )  # fmt: skip


def _licences(folder: ModelFolder) -> dict[str, str]:
    """What the page shows of licences: of the model, and the text of the program's and runtime's."""
    bundled = folder.path.parent == BUNDLED
    return {
        "model": str(folder.metadata.get("licence", "not recorded")),
        "weights": (BUNDLED / "LICENSES.md").read_text("utf-8") if bundled else "",
        "apache": (PARTS / "apache-2.0.txt").read_text("utf-8"),
    }


def model_in(page: Path) -> bytes:
    """The LiteRT file inside a page; ``ValueError`` where there is none."""
    found = _PACKED.search(page.read_text("utf-8"))
    if found is None:
        raise ValueError("no page with a model in it")
    return gzip.decompress(base64.b64decode(found[1]))
