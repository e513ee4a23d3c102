"""The page in a real browser, opened as a file: what it shows, saves, refuses, and never sends."""

import io
import os
import shutil
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from conftest import REPO, saved, scene
from PIL import Image

from colorcli.color.lab import rgb_to_lab
from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.exporting import ExportConfig
from colorcli.exporting import photographs
from colorcli.exporting.export import export
from colorcli.exporting.page import runtime
from colorcli.imaging.tags import origin
from colorcli.network.decoding import Knobs
from colorcli.system.errors import DataError, UsageError

pytestmark = pytest.mark.slow
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000  # milliseconds
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A page of the bundled model; skipped where npm cannot bring its runtime."""
    folder = tmp_path_factory.mktemp("page")
    try:
        runtime.archive()
    except (UsageError, DataError) as error:
        pytest.skip(str(error))
    Image.fromarray(photographs.bundled()[2][::3, ::3]).save(folder / "check.png")
    export("default", folder / "c.html", ExportConfig("page", verify=(str(folder / "check.png"),)))
    return folder / "c.html"


@pytest.fixture(scope="module")
def browser():
    """An installed Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        # Without a sandbox, which containers do not allow; the page is ours.
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """The page, opened; what it asked for, and what the browser says is wrong with it."""

    def __init__(self, browser, file, **options):
        self.context = browser.new_context(viewport=DESK, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._noted)
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-state=ready]")

    def _noted(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def give(self, *files, opened=None):
        """Choose files (paths, or names with their bytes) and wait until all are dealt with."""
        given = [
            {"name": f[0], "mimeType": "", "buffer": f[1]} if isinstance(f, tuple) else f
            for f in files
        ]
        self.page.set_input_files("#choose", given)
        self.wait_for(len(given) if opened is None else opened)

    def wait_for(self, count):
        words = "1 photograph in colour." if count == 1 else f"{count} photographs in colour."
        self.page.locator("#state").get_by_text(words, exact=True).wait_for()

    def press(self, selector):
        """What a button downloads: its name and bytes."""
        with self.page.expect_download() as got:
            self.page.click(selector)
        return got.value.suggested_filename, got.value.path().read_bytes()

    def saved(self, type="png"):
        """The chosen photograph in colour, as an array of its own mode."""
        self.page.check(f"input[value='image/{type}']")
        return np.asarray(Image.open(io.BytesIO(self.press("#save")[1])))

    def complaints(self):
        return self.page.locator("#problems li > span").all_inner_texts()


@pytest.fixture
def visit(browser, file):
    """A fresh visit, which must leave no error and have made no request."""
    visits = []

    def open_page(**options):
        visits.append(Visit(browser, file, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
        assert one.errors == []
        assert {url.split(":")[0] for url in one.requests} <= {"file", "blob", "data"}
        assert [u for u in one.requests if u.startswith("file:")] == [file.as_uri()]


def png(array):
    return saved(Image.fromarray(array), "PNG")


def set_slider(page, name, value):
    page.locator(f"#knob-{name}").fill(str(value))


# --- colours ---------------------------------------------------------------------------------------


def test_the_colours_are_those_of_predict(visit):
    """Twenty photographs, gray and colour, enlarged and shrunk for the network: within one level."""
    views = list(photographs.views(photographs.bundled()))[:20]
    sizes = [1.0, 0.25, 0.55, 1.4]
    pictures = []
    for i, rgb in enumerate(views):
        rgb = cv2.resize(rgb, None, fx=sizes[i % 4], fy=sizes[i % 4], interpolation=cv2.INTER_AREA)
        pictures.append(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) if i % 2 else rgb)
    pictures[0] = cv2.resize(
        pictures[0], (1900, 1850), interpolation=cv2.INTER_CUBIC
    )  # halved first
    pictures[2], pictures[3] = (
        pictures[2][40:120],
        np.ascontiguousarray(pictures[3][:, :70]),
    )  # long
    visited = visit()
    visited.give(*[(f"{i:02d}.png", png(p)) for i, p in enumerate(pictures)])
    name, data = visited.press("#all")
    assert name == "colorize.zip"
    archive, colorizer = zipfile.ZipFile(io.BytesIO(data)), Colorizer("default")
    assert archive.namelist() == [f"{i:02d}-color.png" for i in range(20)]
    for i, picture in enumerate(pictures):
        shown = np.asarray(Image.open(archive.open(f"{i:02d}-color.png")).convert("RGB"))
        wanted = colorizer(picture).astype(int)
        apart = np.abs(shown - wanted)
        assert apart.max() <= 1 and (apart > 0).mean() < 0.03, i
        assert (wanted != wanted[..., :1]).any()


def test_sliders_are_the_knobs(visit):
    gray = cv2.cvtColor(photographs.bundled()[1], cv2.COLOR_RGB2GRAY)
    visited = visit()
    visited.give(("cat.png", png(gray)))
    for name, value in (("vividness", 0.5), ("temperature", 0.5), ("saturation", 1.3)):
        set_slider(visited.page, name, value)
    wanted = Colorizer("default", Knobs(vividness=0.5, temperature=0.5, saturation=1.3))(gray)
    assert np.abs(visited.saved()[..., :3].astype(int) - wanted).max() <= 1
    set_slider(visited.page, "saturation", 0)
    grayed = visited.saved()[..., :3]
    assert np.abs(grayed.astype(int) - gray[..., None]).max() <= 1
    visited.page.click("#reset")
    apart = visited.saved()[..., :3].astype(int) - Colorizer("default")(gray)
    assert np.abs(apart).max() <= 1


def test_sliders_may_be_used_for_all(visit):
    visited = visit()
    visited.give(("a.png", png(scene(1))), ("b.png", png(scene(2))))
    set_slider(visited.page, "saturation", 0)
    visited.page.click("#share")
    archive = zipfile.ZipFile(io.BytesIO(visited.press("#all")[1]))
    for name in archive.namelist():
        shown = np.asarray(Image.open(archive.open(name)).convert("RGB")).astype(int)
        assert np.ptp(shown, axis=-1).max() <= 1


# --- files out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["png", "jpeg"])
def test_downloads_are_results_of_colorize(visit, colorize, tmp_path, type):
    visited = visit()
    visited.give(("my photo.tiff.jpg", saved(Image.fromarray(scene(3)), "JPEG")))
    visited.page.check(f"input[value='image/{type}']")
    name, data = visited.press("#save")
    assert name == f"my photo.tiff-color.{'png' if type == 'png' else 'jpg'}"
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.size == (96, 80) and "icc_profile" in image.info
    said = image.info["xmp"].decode() if type == "jpeg" else image.info["XML:com.adobe.xmp"]
    assert origin.SOURCE_TYPE in said and "model default" in said
    (tmp_path / name).write_bytes(data)
    done = colorize("predict", tmp_path, "--json")
    assert b'"status": "result"' in done.stdout or b"earlier" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_names_in_an_archive_are_each_once(visit):
    visited = visit()
    same = png(scene(4))
    visited.give(("x.png", same), ("x.jpg", same), ("X.webp", same))
    visited.page.check("input[value='image/jpeg']")
    archive = zipfile.ZipFile(io.BytesIO(visited.press("#all")[1]))
    assert archive.namelist() == ["x-color.jpg", "x-color-2.jpg", "X-color-3.jpg"]
    assert archive.testzip() is None


def test_pictures_are_upright_and_keep_alpha(visit):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(Image.fromarray(scene(5)), "JPEG", exif=exif)
    alpha = np.dstack([scene(6), np.tile(np.arange(96, dtype=np.uint8) * 2, (80, 1))])
    visited = visit()
    visited.give(("turned.jpg", turned))
    assert visited.saved().shape[:2] == (96, 80)
    assert "EXIF" in visited.page.inner_text("#facts")
    visited.give(("alpha.png", png(alpha)), opened=2)
    visited.page.locator("#film button").nth(1).click()
    assert np.array_equal(visited.saved()[..., 3], alpha[..., 3])
    assert visited.saved("jpeg").shape == (80, 96, 3)


# --- hints -----------------------------------------------------------------------------------------


def hue_at(visited, x, y):
    """a and b of the coloured preview at a place in 0…1."""
    rgb = visited.page.evaluate("([x, y]) => colourAt(chosen, x, y)", [x, y])
    return rgb_to_lab(np.array(rgb, np.float64) / 255)[1:]


def settle(visited):
    """Wait until all that was asked of the worker is shown."""
    visited.page.evaluate(
        "() => new Promise((done) => { const heard = HEARD.compared;"
        " HEARD.compared = (m) => { HEARD.compared = heard; heard(m); done(); };"
        " setTimeout(() => ask({ task: 'compare', id: chosen.id }), 50); })"
    )


def test_a_click_gives_a_hint(visit):
    gray = cv2.cvtColor(photographs.bundled()[2], cv2.COLOR_RGB2GRAY)
    visited = visit()
    visited.give(("coffee.png", png(gray)))
    settle(visited)
    before = hue_at(visited, 0.7, 0.5)
    box = visited.page.locator("#after").bounding_box()
    visited.page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
    marker = visited.page.locator("#hints input")
    assert marker.count() == 1
    visited.page.keyboard.press("Escape")  # closes the browser's own colour chooser
    marker.fill("#2040c0")
    settle(visited)
    blue = hue_at(visited, 0.7, 0.5)
    assert blue[1] < before[1] - 10 and blue[1] < 0
    visited.page.get_by_role("button", name="As without hints at hint 1").click()
    settle(visited)
    assert np.abs(hue_at(visited, 0.7, 0.5) - before).max() < 0.5
    marker.fill("#2040c0")
    marker.press("Shift+ArrowLeft")  # moves by a twentieth
    assert float(marker.evaluate("m => m.style.left.slice(0, -1)")) == pytest.approx(65, abs=1)
    visited.page.get_by_role("button", name="Gray for hint 1").click()
    settle(visited)
    assert np.hypot(*hue_at(visited, 0.65, 0.5)) < 6
    visited.page.get_by_role("button", name="Remove hint 1").click()
    settle(visited)
    assert marker.count() == 0 and np.abs(hue_at(visited, 0.7, 0.5) - before).max() < 0.5
    visited.page.click("#add")
    assert marker.evaluate("m => m === document.activeElement")
    marker.press("Delete")
    assert marker.count() == 0


# --- ways in ---------------------------------------------------------------------------------------

TRANSFER = """([type, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(bytes)], "given.png", { type: "image/png" }));
  const how = type === "paste" ? { clipboardData: data } : { dataTransfer: data };
  const Event = type === "paste" ? ClipboardEvent : DragEvent;
  document.body.dispatchEvent(new Event(type, { bubbles: true, cancelable: true, ...how }));
}"""


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(visit, way):
    visited = visit()
    visited.page.evaluate(TRANSFER, [way, list(png(scene(7)))])
    visited.wait_for(1)
    assert visited.page.inner_text("#name") == "given.png"


# --- bad input -------------------------------------------------------------------------------------


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


HUGE = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12_500, 8_000, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(12_501 * 8_000), 1)) + chunk(b"IEND", b"")
)  # fmt: skip
BAD = {
    "notes.txt": (b"no picture", "not a picture that browsers know"),
    "empty.jpg": (b"", "an empty file"),
    "broken.jpg": (saved(Image.fromarray(scene(8)), "JPEG")[:200], "damaged JPEG"),
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "does not read HEIC; save it as JPEG"),
    "scan.tif": (saved(Image.fromarray(scene(9)), "TIFF"), "does not read TIFF; use the command"),
    "huge.png": (HUGE, "100 megapixels are too many for this page (at most 80)"),
    "paper.pdf": (b"%PDF-1.7", "does not read PDF"),
}


def test_what_is_no_picture_costs_no_other_one(visit):
    visited = visit()
    good = [(f"good{i:02d}.png", png(scene(i))) for i in range(20)]
    bad = [(name, data) for name, (data, _) in BAD.items()]
    visited.give(*bad[:4], *good, *bad[4:], opened=20)
    said = visited.complaints()
    assert len(said) == len(BAD)
    for name, (_, words) in BAD.items():
        assert any(line.startswith(f"{name}: ") and words in line for line in said), (name, said)
    assert visited.page.locator("#film li").count() == 20
    visited.page.get_by_role("button", name=f"Close: {said[0]}").click()
    assert visited.complaints() == said[1:]


def test_a_worker_that_dies_is_replaced(visit):
    visited = visit()
    visited.give(("a.png", png(scene(1))))
    wanted = visited.saved()
    visited.page.evaluate("() => { worker.onerror(new Event('error', { cancelable: true })) }")
    assert np.array_equal(visited.saved(), wanted)
    visited.give(("b.png", png(scene(2))), opened=2)


def test_taken_away_is_gone(visit):
    visited = visit()
    visited.give(("a.png", png(scene(1))), ("b.png", png(scene(2))))
    visited.page.click("#remove")
    assert visited.page.inner_text("#name") == "b.png"
    visited.page.click("#remove")
    assert visited.page.locator("#work").is_hidden()
    visited.give(("c.png", png(scene(3))))


# --- for everyone ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_serious_is_in_anyones_way(visit, scheme, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    visited = visit(color_scheme=scheme, bypass_csp=True)  # which keeps the checker out, too
    visited.page.set_viewport_size(size)
    for full in (False, True):
        if full:
            visited.give(
                ("a.png", png(scene(1))), ("notes.txt", b"x"), ("b.png", png(scene(2))), opened=2
            )
            visited.page.click("#add")
            for details in visited.page.locator("summary").all():
                details.click()
        found = axe.run(visited.page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []
        wide = visited.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= size["width"]


def test_all_can_be_done_by_keyboard(visit):
    visited = visit()
    visited.give(("a.png", png(scene(1))), ("b.png", png(scene(2))))
    reached = set()
    visited.page.locator("#choose").focus()
    for _ in range(40):
        visited.page.keyboard.press("Tab")
        reached.add(visited.page.evaluate("() => document.activeElement.id"))
    wanted = {"cut", "reset", "share", "add", "save", "all", "remove", "knob-vividness"}
    assert wanted <= reached
    visited.page.locator("#cut").press("End")
    cut = visited.page.evaluate("() => find('frame').style.getPropertyValue('--cut')")
    assert cut == "100%"


def test_a_browser_that_is_too_old_is_told(browser, file):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("delete globalThis.OffscreenCanvas")
    page.goto(file.as_uri())
    page.get_by_text("this browser lacks OffscreenCanvas").wait_for(timeout=PATIENCE)
    context.close()


def test_the_page_is_small_enough(file):
    assert file.stat().st_size <= 13e6
    assert not list((REPO / "colorcli").rglob("*.wasm"))
