"""Draw docs/page.jpg: the page in a browser, with photographs that come with scikit-image in gray.

python docs/page.py colorize.html   needs an installed Chromium, and playwright
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data

NAMES = ("coffee", "astronaut", "chelsea", "rocket")
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")


def gray(name: str) -> dict[str, object]:
    buffer = io.BytesIO()
    Image.fromarray(getattr(data, name)()).convert("L").save(buffer, "PNG")
    return {"name": f"{name}.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def main() -> None:
    path = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1160, "height": 900}, color_scheme="light")
        page.goto(Path(sys.argv[1]).resolve().as_uri())
        page.wait_for_selector("html[data-state=ready]")
        page.set_input_files("#choose", [gray(name) for name in NAMES])
        page.get_by_text("4 photographs in colour.").wait_for()
        page.wait_for_timeout(1500)  # until the small pictures are drawn
        shot = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    target = Path(__file__).with_name("page.jpg")
    shot.convert("RGB").resize((928, 720)).save(target, quality=85)


main()
