"""The page in an installed Firefox, by its own remote protocol: it opens from the disk and colours."""

import base64
import os
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest
from conftest import saved
from PIL import Image
from test_browser import file  # noqa: F401 - the fixture

from colorcli.colorizing.colorizer import Colorizer
from colorcli.exporting import photographs

pytestmark = pytest.mark.slow
FIREFOX = ("firefox-esr", "firefox")
PATIENCE = 120  # seconds
PREFERENCES = 'user_pref("marionette.port", {port});\nuser_pref("app.update.enabled", false);\n'
# By what a person sees: the page's own scripts are out of reach from here.
DROP = """
const [name, text] = arguments;
const data = new DataTransfer();
data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
document.body.dispatchEvent(
  new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
"""
SHOWN = """
const canvas = document.getElementById("after");
const { width, height } = canvas;
if (!width || document.getElementById("name").textContent !== arguments[0]) return null;
const rgba = canvas.getContext("2d").getImageData(0, 0, width, height).data;
return [width, height, Array.from(rgba), document.getElementById("problems").textContent];
"""


@pytest.fixture
def firefox(tmp_path):
    """A session of a Firefox of our own, with an empty profile."""
    driver = pytest.importorskip("marionette_driver.marionette", reason="needs marionette_driver")
    path = next(filter(None, map(shutil.which, FIREFOX)), None)
    if path is None:
        pytest.skip("no Firefox is installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "user.js").write_text(PREFERENCES.format(port=port))
    process = subprocess.Popen(
        [path, "--headless", "--marionette", "--no-remote", "--profile", tmp_path],
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        session = driver.Marionette(host="127.0.0.1", port=port)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                session.start_session()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
        session.timeout.script = session.timeout.page_load = PATIENCE
        yield session
    finally:
        process.terminate()
        process.wait(30)


def until(found):
    """What ``found`` gives, once it gives anything."""
    deadline = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return result


def test_firefox_shows_the_colours_of_predict(firefox, file):  # noqa: F811
    """A photograph of ordinary shape and a long one, within one level."""
    firefox.navigate(file.as_uri())
    until(
        lambda: firefox.execute_script("return document.documentElement.dataset.state === 'ready'")
    )
    whole = np.ascontiguousarray(photographs.bundled()[2][::2, ::2, 1])
    for index, gray in enumerate([whole, np.ascontiguousarray(whole[: len(whole) // 3])]):
        size, name = gray.shape[::-1], f"{index}.png"
        wanted = Colorizer("default")(gray).astype(int)
        png = base64.b64encode(saved(Image.fromarray(gray), "PNG")).decode()
        firefox.execute_script(DROP, script_args=[name, png])

        def colours(name=name, size=size):
            told = firefox.execute_script(SHOWN, script_args=[name])
            if told is None or tuple(told[:2]) != size:
                return None
            rgba = np.array(told[2], int).reshape(size[1], size[0], 4)
            return (rgba[..., :3], told[3]) if np.ptp(rgba[..., :3], axis=-1).any() else None

        shown, problems = until(colours)
        assert problems == "" and np.abs(shown - wanted).max() <= 1
        firefox.execute_script("document.getElementById('remove').click()")
