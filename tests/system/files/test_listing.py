import io
import os
from types import SimpleNamespace

import pytest

from colorcli.system.errors import UsageError
from colorcli.system.files import listing
from colorcli.system.files.listing import Listing, read_names

ODD = ["plain.jpg", "with space", "new\nline", os.fsdecode(b"no-utf8-\xff.png"), "ü/ü.jpg"]


def test_names_come_back(tmp_path):
    names = Listing(tmp_path / "names", iter(ODD))
    assert len(names) == 5 and list(names) == ODD
    assert names[-1] == ODD[-1] and names[1:3] == ODD[1:3]
    with pytest.raises(IndexError):
        names[5]
    again = Listing(tmp_path / "again", ODD)
    assert again.digest == names.digest != Listing(tmp_path / "less", ODD[1:]).digest
    names.close()


def test_no_names(tmp_path):
    names = Listing(tmp_path / "names", [])
    assert len(names) == 0 and list(names) == []
    names.close()


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize("nul", [False, True])
def test_lists_are_read_in_pieces(tmp_path, monkeypatch, block, nul):
    monkeypatch.setattr(listing, "BLOCK", block)
    names = ODD if nul else [name for name in ODD if "\n" not in name]
    separator = b"\0" if nul else b"\n"
    data = separator.join(map(os.fsencode, [*names, "", "last"]))
    (tmp_path / "list").write_bytes(data)
    assert list(read_names(str(tmp_path / "list"), nul)) == [*names, "last"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data + separator)))
    assert list(read_names("-", nul)) == [*names, "last"]


def test_no_such_list(tmp_path):
    with pytest.raises(UsageError, match=r"none: .*--files-from"):
        list(read_names(str(tmp_path / "none")))


@pytest.mark.parametrize("block", [1, 1000])
def test_lists_of_windows_editors(tmp_path, monkeypatch, block):
    monkeypatch.setattr(listing, "BLOCK", block)
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfa.jpg\r\n\r\nb c.jpg\r\nlast\r\n")
    assert list(read_names(str(tmp_path / "list"))) == ["a.jpg", "b c.jpg", "last"]
    (tmp_path / "list").write_bytes(b"a\r\0b")  # a name may hold anything but NUL
    assert list(read_names(str(tmp_path / "list"), nul=True)) == ["a\r", "b"]


def test_closed_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="stdin is closed"):
        list(read_names("-"))


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_lists_that_windows_wrote(tmp_path, monkeypatch, block, encoding):
    monkeypatch.setattr(listing, "BLOCK", block)
    names = ["plain.jpg", "Großmutter 祖母.png", "𝒳.tif"]
    data = ("\ufeff" + "\r\n".join(names) + "\r\n").encode(encoding)
    (tmp_path / "list").write_bytes(data)
    assert list(read_names(str(tmp_path / "list"))) == names
    if encoding != "utf-8":
        (tmp_path / "list").write_bytes(data + "\ud800".encode(encoding, "surrogatepass") * 2)
        with pytest.raises(UsageError, match="damaged UTF-16"):
            list(read_names(str(tmp_path / "list")))


def test_a_list_in_bytes_that_no_name_here_can_have_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsdecode", lambda name: name.decode("utf-8"))  # as on Windows
    (tmp_path / "list").write_bytes("Großmutter.png\n".encode("cp1252"))
    with pytest.raises(UsageError, match="not UTF-8; save the list as UTF-8"):
        list(read_names(str(tmp_path / "list")))
