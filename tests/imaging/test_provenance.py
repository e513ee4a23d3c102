"""Results of earlier runs are known by what is in them, in every format, and left alone."""

import io
import os
import shutil
import subprocess
from functools import partial

import numpy as np
import pytest
from conftest import saved, scene, tiff
from PIL import Image

from colorcli.colorizing import intake
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.colorizing.scans.windows import whole
from colorcli.config.predict import PredictConfig
from colorcli.imaging import reading, writing
from colorcli.imaging.kinds import KINDS
from colorcli.imaging.tags import provenance

GRAY = scene(3)[..., 0]
SOURCES = {
    "8 bits": saved(Image.fromarray(GRAY), "PNG"),
    "16 bits": tiff(GRAY.astype(np.uint16) * 257),
    "alpha": saved(Image.merge("LA", [Image.fromarray(GRAY)] * 2), "PNG"),
    "animation": saved(
        Image.fromarray(GRAY), "GIF", save_all=True, append_images=[Image.fromarray(GRAY[::-1])]
    ),
    "pages": tiff(np.stack([GRAY, GRAY[::-1]])),
}


class _Colours:
    """Two hues; no network."""

    origin = None

    side = 32

    def view(self, gray, **_):
        return whole(gray)

    def ab_of(self, view):
        return np.dstack([np.full((4, 4), 20.0), np.full((4, 4), -10.0)]).astype(np.float32)


def header(data):
    found = reading.peek(data)
    assert found is not None
    return found


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("format", writing.FORMATS)
@pytest.mark.parametrize("kind", SOURCES)
def test_every_format_carries_the_mark(kind, format, strip):
    if plugin := writing.FORMATS[format].kind:
        pytest.importorskip(KINDS[plugin].module)
    source = SOURCES[kind]
    document = reading.decode(source)
    several = len(document.frames) > 1
    held = "animation" if document.frames[0].duration is not None else "pages"
    if several and held not in writing.FORMATS[format].holds:
        pytest.skip("holds one picture")
    assert not header(source).result
    made, _ = colorize_bytes(source, kind, _Colours(), format, PredictConfig(strip=strip))
    assert header(made).result
    again = reading.decode(made)
    assert len(again.frames) == len(document.frames) and again.size == document.size


@pytest.mark.parametrize("format", ["bmp", "gif", "jp2", "ppm"])
def test_other_readers_see_the_same_picture(format, monkeypatch):
    import cv2

    def read(data):
        if format == "gif":
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    marked, _ = colorize_bytes(SOURCES["8 bits"], "x", _Colours(), format)
    monkeypatch.setattr(provenance, "marked", lambda format, data, extra: data)
    plain, _ = colorize_bytes(SOURCES["8 bits"], "x", _Colours(), format)
    assert marked != plain and np.array_equal(read(marked), read(plain))
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(marked)).convert("RGB")),
        np.asarray(Image.open(io.BytesIO(plain)).convert("RGB")),
    )


def test_a_picture_passed_on_in_its_colours_is_no_result(tmp_path):
    data = saved(Image.fromarray(scene(1)), "JPEG")
    kept, result = colorize_bytes(data, "x", _Colours(), "jpeg", PredictConfig(keep_color=True))
    assert result.status == "kept" and kept == data and not header(kept).result
    (tmp_path / "pipe").mkdir()
    assert not intake.is_result(str(tmp_path / "none.jpg"))
    assert not intake.is_result(str(tmp_path / "pipe"))


@pytest.mark.skipif(not shutil.which("identify"), reason="needs ImageMagick")
@pytest.mark.parametrize("format", ["bmp", "gif", "jp2", "ppm"])
def test_imagemagick_opens_marked_files(format, tmp_path):
    made, _ = colorize_bytes(SOURCES["8 bits"], "x", _Colours(), format)
    (tmp_path / f"x.{format}").write_bytes(made)
    done = subprocess.run(
        ["identify", "-format", "%w %h", tmp_path / f"x.{format}"], capture_output=True, text=True
    )
    if "no decode delegate" in done.stderr:
        pytest.skip("built without this format")
    assert done.stdout == "96 80" and done.returncode == 0


@pytest.fixture
def scans(tmp_path):
    for i, name in enumerate(("a.jpg", "sub/b.jpg", "sub/c.pgm")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(scene(i)[..., 0]).save(tmp_path / name)
    return tmp_path


def everything(folder, *names):
    """NUL-ended paths of all pictures below ``folder``, as ``find . -print0`` gives them."""
    found = [p for pattern in names for p in sorted(folder.rglob(pattern))]
    return b"\0".join(os.fsencode(p.relative_to(folder)) for p in found)


@pytest.mark.parametrize("where", ["out", "out/{stem}-{model}.jpg", "{dir}/{stem}_in_colour.png"])
def test_find_lists_work_twice_and_after_others(here, small_model, scans, where, monkeypatch):
    monkeypatch.chdir(scans)
    run = partial(here, "predict", "-m", small_model)
    assert run(".", "-r", "-o", "earlier/").exit_code == 0
    for listed in range(2):
        names = everything(scans, "*.jpg", "*.png", "*.p?m")
        done = run("--files-from", "-", "-0", "-o", where, "--skip-existing", input=names)
        assert done.exit_code == 0, done.stderr
        told = done.stderr
        assert ("3 skipped" if listed else "3 coloured") in told
        assert f"{3 if not listed else 6} earlier results left out (--again colours them)" in told
    told = run("earlier", "-o", "again", "-r").stderr
    assert told.startswith("colorize: 0 coloured, 3 earlier results left out")
    assert not (scans / "again").exists()
    asked = run("earlier", "-o", "again/", "-r", "--again", "--json")
    assert asked.exit_code == 0 and len(list((scans / "again").rglob("*.*"))) == 3


def test_results_have_no_line_and_a_dry_run_tells_the_same(here, small_model, scans):
    run = ("predict", "-m", small_model, scans, "-r", "-o", scans / "out")
    assert here(*run).exit_code == 0
    for extra, status in ((), "done"), (("--dry-run",), "planned"):
        done = here("predict", "-m", small_model, scans, scans / "out", "-r", "--json", "-v",
                    "-o", scans / "more", *extra)  # fmt: skip
        told = done.stdout.splitlines()
        assert [f'"status": "{status}"' in line for line in told] == [True] * 3
        assert done.stderr.count("left out, the result of an earlier run") == 3
        shutil.rmtree(scans / "more", ignore_errors=True)
