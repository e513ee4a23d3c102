"""Downloads from a server on loopback that misbehaves on purpose."""

import hashlib

import numpy as np
import pytest
from loopback import Server

from colorcli.system import disk, download
from colorcli.system.download import fetch
from colorcli.system.errors import DataError

BODY = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server({"/file.bin": BODY})
    server.file = f"{server.url}/file.bin"
    yield server
    server.close()


def left_over(folder):
    return sorted(p.name for p in folder.iterdir())


def test_plain_and_nothing_to_do(server, tmp_path):
    calls = []
    path = fetch(
        server.file, tmp_path / "deep" / "a.bin", sha256=SHA256, size=len(BODY),
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert path.read_bytes() == BODY and left_over(path.parent) == ["a.bin"]
    assert calls[0] == (0, len(BODY)) and calls[-1] == (len(BODY), len(BODY))
    assert calls == sorted(calls)
    fetch(server.file, path, sha256=SHA256.upper(), md5=MD5)
    assert len(server.seen) == 1
    path.write_bytes(b"damaged")
    fetch(server.file, path, md5=MD5)
    assert path.read_bytes() == BODY


def test_breaking_off_resumes(server, tmp_path):
    server.cuts = [1_000_000, 700_000, 0]
    path = fetch(server.file, tmp_path / "a.bin", sha256=SHA256, pause=0)
    assert path.read_bytes() == BODY
    assert [r for _, r, _ in server.seen] == [
        None, "bytes=1000000-", "bytes=1700000-", "bytes=1700000-",
    ]  # fmt: skip
    assert {v for _, r, v in server.seen if r} == {'"one"'}


def test_a_later_call_resumes(server, tmp_path, monkeypatch):
    server.cuts = [1_000_000, 0]
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    with pytest.raises(DataError, match=r"broke off after 1000000 of 3000000 bytes.*resume"):
        fetch(server.file, tmp_path / "a.bin", pause=0)
    assert left_over(tmp_path) == ["a.bin.part", "a.bin.part.json"]
    fetch(server.file, tmp_path / "a.bin", pause=0)
    assert (tmp_path / "a.bin").read_bytes() == BODY and server.seen[-1][1] == "bytes=1000000-"
    assert left_over(tmp_path) == ["a.bin"]


def test_a_changed_file_starts_over(server, tmp_path, monkeypatch):
    server.cuts = [1_000_000]
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DataError):
        fetch(server.file, tmp_path / "a.bin", pause=0)
    server.files["/file.bin"], server.etag = BODY[::-1], '"two"'
    fetch(server.file, tmp_path / "a.bin", pause=0)
    assert (tmp_path / "a.bin").read_bytes() == BODY[::-1]


def test_without_ranges_it_starts_over(server, tmp_path):
    server.ranges, server.cuts = False, [2_000_000]
    fetch(server.file, tmp_path / "a.bin", sha256=SHA256, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == BODY and len(server.seen) == 2


def test_part_of_another_file_is_caught_by_the_checksum(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    fetch(server.file, tmp_path / "a.bin", md5=MD5, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [r for _, r, _ in server.seen] == ["bytes=1000-", None]


@pytest.mark.parametrize("length", [len(BODY), len(BODY) + 5])
def test_part_that_is_already_whole_or_too_long(server, tmp_path, length):
    (tmp_path / "a.bin.part").write_bytes((BODY + b"extra")[:length])
    fetch(server.file, tmp_path / "a.bin", sha256=SHA256, pause=0)
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize(
    ("claimed", "options", "message"),
    [
        (len(BODY) + 9, {}, "broke off after 3000000 of 3000009"),
        (1000, {"sha256": SHA256}, "another sha256 checksum"),
        (1000, {"size": len(BODY)}, "offers 1000 bytes, not 3000000"),
        (None, {"size": 77, "md5": MD5}, r"offers 3000000 bytes, not 77.*by hand.*md5"),
        (None, {"md5": "0" * 32}, r"another md5 checksum than 000.*save it as .*a\.bin"),
    ],
)
def test_lies_are_refused(server, tmp_path, monkeypatch, claimed, options, message):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.length, server.ranges = claimed, False
    with pytest.raises(DataError, match=message) as caught:
        fetch(server.file, tmp_path / "a.bin", pause=0, **options)
    assert server.file in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "a.bin").exists()


def test_busy_servers_are_asked_again_and_refusals_are_not(server, tmp_path):
    server.states = [503, 429, 500]
    fetch(server.file, tmp_path / "a.bin", sha256=SHA256, pause=0)
    server.states, server.seen = [404], []
    with pytest.raises(DataError, match=r"404 Not Found.*by hand and save it as .*b\.bin"):
        fetch(server.file, tmp_path / "b.bin", pause=0)
    assert len(server.seen) == 1


def test_redirects_keep_the_range(server, tmp_path):
    server.cuts = [1_000_000]
    url = f"{server.url}/moved/file.bin"
    assert fetch(url, tmp_path / "a.bin", sha256=SHA256, pause=0).read_bytes() == BODY
    assert server.seen[-1][:2] == ("/file.bin", "bytes=1000000-")


def test_file_addresses(tmp_path):
    source = tmp_path / "source.bin"
    source.write_bytes(BODY)
    assert fetch(source.as_uri(), tmp_path / "a.bin", sha256=SHA256).read_bytes() == BODY
    with pytest.raises(DataError, match=r"none\.bin.*by hand"):
        fetch((tmp_path / "none.bin").as_uri(), tmp_path / "b.bin")
    with pytest.raises(DataError, match="not an http"):
        fetch("no-scheme", tmp_path / "b.bin")


def test_offline_says_what_to_do(server, tmp_path):
    server.close()
    with pytest.raises(DataError, match=r"refused.*check the network.*sha256 " + SHA256):
        fetch(server.file, tmp_path / "a.bin", sha256=SHA256, pause=0)
    assert left_over(tmp_path) == []


def test_places_that_cannot_be_written(server, tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(server.file, tmp_path / "plain" / "a.bin", pause=0)
    with pytest.raises(DataError, match="folder is in the way"):
        fetch(server.file, tmp_path, pause=0)


def test_a_full_disk_is_told_before_the_first_byte(server, tmp_path, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000_000}))
    with pytest.raises(
        DataError, match=r"would take \d+\.\d MB more.*1\.0 MB free; free some space"
    ):
        fetch(server.file, tmp_path / "a.bin", pause=0)
    assert left_over(tmp_path) == []
