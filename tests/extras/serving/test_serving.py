"""The service as its clients meet it: kind ones, clumsy ones and hostile ones."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
from conftest import saved, scene
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")

import httpx

from colorcli.colorizing.colorizer import Colorizer
from colorcli.config.predict import PredictConfig
from colorcli.extras.serving import server
from colorcli.extras.serving.app import Limits, make
from colorcli.system.errors import UsageError

JPEG = saved(Image.fromarray(scene(3)[..., 0]), "JPEG")
LIMITS = Limits(upload=300_000, seconds=1.0, workers=2)


@pytest.fixture(scope="module")
def colorizer(small_model):
    return Colorizer(small_model)


@pytest.fixture
def served(colorizer, monkeypatch):
    """Start a service; gives a client of it."""
    monkeypatch.setattr(server.Impatient, "seconds", 1.0)
    running = []

    def start(**options):
        app = make(colorizer, PredictConfig(max_megapixels=1), **{"limits": LIMITS, **options})
        listening, stop = server.bound("127.0.0.1", 0), threading.Event()
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=(app, listening, stop))
        thread.start()
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
        running.append((stop, thread, client))
        for _ in range(100):
            try:
                client.get("/health")
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        return client

    yield start
    for stop, thread, client in running:
        client.close()
        stop.set()
        thread.join(40)
        assert not thread.is_alive()


def test_a_picture_in_a_picture_out(served):
    client = served()
    plain = client.post("/colorize", content=JPEG)
    assert plain.status_code == 200 and plain.headers["content-type"] == "image/jpeg"
    form = client.post("/colorize", files={"picture": ("a.jpg", JPEG, "image/jpeg")})
    assert form.content == plain.content
    image = Image.open(io.BytesIO(plain.content))
    assert image.mode == "RGB" and image.size == (96, 80) and b"DigitalSourceType" in plain.content
    query = {"format": "png", "saturation": "0", "no_provenance": "1"}
    gray = client.post("/colorize", params=query, content=JPEG)
    pixels = np.asarray(Image.open(io.BytesIO(gray.content))).astype(int)
    assert gray.headers["content-type"] == "image/png" and np.ptp(pixels, axis=2).max() <= 1
    assert client.post("/colorize", content=JPEG).content == plain.content  # knobs did not stay


def test_it_describes_itself_and_shows_a_page(served, tmp_path):
    (tmp_path / "p.html").write_text("<p>mine")
    client = served(page=tmp_path / "p.html")
    assert client.get("/").text == "<p>mine" and "default-src" in client.get("/").headers[
        "content-security-policy"
    ]  # fmt: skip
    told = client.get("/openapi.json").json()
    names = {p["name"] for p in told["paths"]["/colorize"]["post"]["parameters"]}
    assert told["openapi"] == "3.1.0" and {"format", "vividness", "flip_average"} <= names
    assert client.get("/health").json()["status"] == "ok"
    assert "colorize?" in served().get("/").text
    with pytest.raises(UsageError, match="give --page"):
        make(None, page=tmp_path / "none.html")


WRONG = {
    "no picture": ({"content": b"nonsense"}, 422), "nothing": ({"content": b""}, 422),
    "cut off": ({"content": JPEG[:700]}, 422), "too large": ({"content": b"x" * 400_000}, 413),
    "json": ({"json": {"a": 1}}, 415), "text": ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
    "unknown parameter": ({"content": JPEG, "params": {"colour": "1"}}, 400),
    "no number": ({"content": JPEG, "params": {"vividness": "much"}}, 400),
    "out of range": ({"content": JPEG, "params": {"temperature": "0"}}, 400),
    "no such format": ({"content": JPEG, "params": {"format": "doc"}}, 400),
    "a form without": ({"files": {}, "data": {"a": "b"}, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
    "another site": ({"content": JPEG, "headers": {"Origin": "https://evil.example"}}, 403),
    "another name": ({"content": JPEG, "headers": {"Host": "evil.example"}}, 403),
}  # fmt: skip


def test_what_is_wrong_is_answered_in_json_and_survived(served):
    client = served()
    for name, (request, code) in WRONG.items():
        answer = client.post("/colorize", **request)
        assert answer.status_code == code, (name, answer.text)
        assert answer.json()["error"], name
    big = saved(Image.new("L", (2000, 600)), "PNG")
    assert "over the limit" in client.post("/colorize", content=big).json()["error"]
    assert client.get("/colorize").status_code == 405 and client.get("/none").status_code == 404
    assert client.get("/none").json()["error"]
    assert client.post("/colorize", content=JPEG).status_code == 200


def test_a_token_is_asked_of_everybody(served):
    client = served(token="secret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
        answer = client.post("/colorize", content=JPEG, headers=headers)
        assert answer.status_code == 401 and "token" in answer.json()["error"]
    right = {"Authorization": "Bearer secret", "Host": "my.machine"}
    assert client.post("/colorize", content=JPEG, headers=right).status_code == 200


@pytest.mark.parametrize("sent", [
    b"POST /colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    b"POST /colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\nslow",
    b"",
])  # fmt: skip
def test_slow_clients_are_hung_up_on(served, sent):
    client = served()
    port = client.base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert time.monotonic() - began < 12
    assert (b" 408 " in answer) if b"Length" in sent else answer == b""
    assert client.post("/colorize", content=JPEG).status_code == 200


def test_malformed_requests_and_hang_ups_are_survived(served):
    client = served()
    for sent in (
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /colorize HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=15) as raw:
            raw.sendall(sent)
            assert raw.recv(100).startswith((b"HTTP/1.1 400", b""))
    for _ in range(5):
        raw = socket.create_connection(("127.0.0.1", client.base_url.port))
        raw.sendall(b"POST /colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\nx")
        raw.close()
    assert client.post("/colorize", content=JPEG).status_code == 200


def test_many_at_once_are_answered_or_told_to_wait(served):
    client = served(limits=Limits(upload=300_000, seconds=10, workers=1, waiting=2))
    codes = []

    def ask():
        codes.append(client.post("/colorize", content=JPEG).status_code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= {200, 503} and codes.count(200) >= 1 and len(codes) == 20


def test_others_may_ask_only_with_a_token(colorize):
    done = colorize("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2 and b"give --token" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_the_command_serves_until_a_signal(small_model):
    process = subprocess.Popen(
        [sys.executable, "-m", "colorcli", "serve", "-m", small_model, "--port", "0"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = process.stderr.readline().split()[1]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(100):
            try:
                told = json.load(opener.open(f"{url}health", timeout=5))
                break
            except OSError:
                time.sleep(0.1)
        assert told["model"] == "small"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
