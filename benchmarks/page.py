"""The page in a browser: its size, seconds until it is ready, milliseconds of a pass of the network,
of a picture to its colours on the screen, and of saving it. Table on stderr, JSON on stdout.

python benchmarks/page.py colorize.html [--rounds N]   needs an installed Chromium, and playwright
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
SIDES = {"1 MP": (1200, 833), "12 MP": (4000, 3000)}
# Notes when each message of the worker comes.
WATCH = """() => {
  globalThis.came = {};
  const heard = worker.onmessage;
  worker.onmessage = (event) => { came[event.data.did] = performance.now(); heard(event); };
}"""


def visit(browser, url: str, picture: str) -> dict[str, float]:
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("html[data-state=ready]")
    told = {"ready s": time.perf_counter() - began}
    page.wait_for_timeout(500)
    page.evaluate(WATCH)
    start = page.evaluate("performance.now()")
    page.set_input_files("#choose", picture)
    while not page.evaluate("came.shown ?? 0"):
        time.sleep(0.02)
    told["shown ms"] = page.evaluate("came.shown") - start
    told["pass ms"] = page.evaluate("chosen.pass")
    for type in ("png", "jpeg"):
        page.check(f"input[value='image/{type}']")
        start = page.evaluate("performance.now()")
        with page.expect_download():
            page.click("#save")
        told[f"{type} ms"] = page.evaluate("came.saved") - start
    page.close()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    path = next(filter(None, map(shutil.which, BROWSERS)))
    rows = {}
    with TemporaryDirectory() as folder, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, side in SIDES.items():
            picture = f"{folder}/{name}.jpg"
            Image.fromarray(data.astronaut()).convert("L").resize(side).save(picture, quality=90)
            url = Path(options.page).resolve().as_uri()
            visits = [visit(browser, url, picture) for _ in range(options.rounds)]
            rows[name] = {
                key: round(statistics.median(v[key] for v in visits), 2) for key in visits[0]
            }
            print(
                name,
                *(f"{key}: {value:g}" for key, value in rows[name].items()),
                sep="  ",
                file=sys.stderr,
            )
        browser.close()
    print(json.dumps({"megabytes": Path(options.page).stat().st_size / 1e6, **rows}))


if __name__ == "__main__":
    main()
