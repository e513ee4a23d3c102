"""Names and open files as Windows has them, with Windows put on for the time of a test."""

import os

import pytest

from colorcli.system import atomic, windows
from colorcli.system.errors import reason


class Held(PermissionError):
    """What Windows raises for a file that another program has open."""

    winerror = 32


@pytest.fixture
def on_windows(monkeypatch):
    monkeypatch.setattr(windows, "HERE", True)


@pytest.mark.parametrize("name", [
    "con.png", "out/NUL", r"C:\scans\aux.tar.gz", "com1", "lpt¹.jpg", "PRN .png", "conout$.png",
    "ab:c.png", r"C:\scans\a:b.png", "what?.png", 'say "cheese".png', "a|b", "tab\t.png", "x<1>.png",
    "dot.", "space ", "folder./a.png", "x/space /a.png", "n" * 252 + ".png",
])  # fmt: skip
def test_names_that_windows_refuses(name, on_windows, monkeypatch):
    assert windows.refused(name)
    monkeypatch.setattr(windows, "HERE", False)
    assert windows.refused(name) is None


@pytest.mark.parametrize("name", [
    "console.png", "xcon.png", "com10.png", "a con.png", ".hidden", "a.b c.png", "../a/./b.png",
    r"C:\scans\a.png", r"\\server\share\a.png", "C:a.png", "祖母.png", "n" * 251 + ".png", "ü" * 200,
])  # fmt: skip
def test_names_that_windows_takes(name, on_windows):
    assert windows.refused(name) is None


@pytest.mark.parametrize(("path", "reached"), [
    (r"C:\short.png", r"C:\short.png"),
    ("C:\\" + "d\\" * 200 + "a.png", "\\\\?\\C:\\" + "d\\" * 200 + "a.png"),
    ("C:/" + "d/" * 200 + "../a.png", "\\\\?\\C:\\" + "d\\" * 199 + "a.png"),
    (r"\\server\share" + "\\d" * 200, r"\\?\UNC\server\share" + "\\d" * 200),
    (r"\\?\C:" + "\\d" * 200, r"\\?\C:" + "\\d" * 200),
])  # fmt: skip
def test_long_paths_are_given_as_windows_opens_them(path, reached, on_windows, monkeypatch):
    assert windows.reachable(path) == reached
    monkeypatch.setattr(windows, "HERE", False)
    assert windows.reachable(path) == path


def test_a_result_held_for_a_moment_is_put_into_place_after_it(tmp_path, monkeypatch):
    calls, replace = [], os.replace

    def held(*names):
        calls.append(names)
        if len(calls) < 3:
            raise Held(13, "Zugriff verweigert")
        replace(*names)

    monkeypatch.setattr(windows, "_WAIT", 0)
    monkeypatch.setattr(os, "replace", held)
    atomic.write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new" and len(calls) == 3


@pytest.mark.parametrize(("error", "tries"), [(Held(13, "in use"), 10), (OSError(5, "broken"), 1)])
def test_one_that_stays_held_is_told_in_one_line(error, tries, tmp_path, monkeypatch):
    calls = []

    def held(*names):
        calls.append(names)
        raise error

    monkeypatch.setattr(windows, "_WAIT", 0)
    monkeypatch.setattr(os, "replace", held)
    with pytest.raises(atomic.DataError, match=f"{tmp_path / 'a'}: cannot be written: ") as told:
        atomic.write_atomic(tmp_path / "a", b"new")
    assert reason(error) in str(told.value) and len(calls) == tries
    assert ("another program holds it open" in str(told.value)) == isinstance(error, Held)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["con.txt", "map:1.png", "dots."])
def test_nothing_is_written_under_such_a_name(name, on_windows, tmp_path):
    with pytest.raises(atomic.DataError, match="cannot be written: Windows .*; choose another"):
        atomic.write_atomic(tmp_path / name, b"x")
    assert not list(tmp_path.iterdir())
