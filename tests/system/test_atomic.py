import os
import subprocess
import sys

import pytest
from conftest import make

from colorcli.system.atomic import (
    PART,
    Part,
    _part_prefix,
    atomic,
    atomic_folder,
    atomic_text,
    host,
    scratch,
    sweep,
    write_atomic,
)
from colorcli.system.errors import DataError


def test_write_atomic_leaves_nothing_behind(tmp_path):
    write_atomic(tmp_path / "x" / "f", b"data")
    assert (tmp_path / "x" / "f").read_bytes() == b"data"
    with pytest.raises(DataError, match="cannot be written"):
        write_atomic(tmp_path / "x" / "f" / "g", b"data")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError):
        write_atomic(tmp_path / "folder", b"data")
    with pytest.raises(DataError, match="name too long"):
        write_atomic(tmp_path / ("n" * 300), b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "x"]


def test_an_atomic_file_can_be_read_and_is_dropped_after_an_error(tmp_path):
    with atomic(tmp_path / "f") as file:
        file.write(b"data")
        file.seek(1)
        assert file.read() == b"ata" and not (tmp_path / "f").exists()
    assert (tmp_path / "f").read_bytes() == b"data"
    for error, told in ((ValueError("bug"), ValueError), (OSError(28, "full"), DataError)):
        with pytest.raises(told), atomic(tmp_path / "f") as file:
            file.write(b"half")
            raise error
    assert os.listdir(tmp_path) == ["f"] and (tmp_path / "f").read_bytes() == b"data"


def test_write_atomic_obeys_umask_and_writes_through_links(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomic(tmp_path / "f", b"data")
    finally:
        os.umask(old)
    assert os.stat(tmp_path / "f").st_mode & 0o777 == 0o640
    os.symlink(tmp_path / "f", tmp_path / "link")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "f").read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    write_atomic(tmp_path / "pipe", b"through")
    assert reader.communicate(timeout=20)[0] == b"through" and (tmp_path / "pipe").is_fifo()


def test_sweep_takes_only_what_the_dead_left(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = host()
    dead = f"{PART}{here}-{ended.pid}-0123abcd-00ff"
    recycled = f"{PART}{here}-{os.getpid()}-0123abcd-00ff"  # our number, an earlier life
    living = f"{PART}{here}-{os.getppid()}-0123abcd-00ff"
    elsewhere = f"{PART}other-{ended.pid}-0123abcd-00ff"
    mine = _part_prefix() + "00ff"
    make(tmp_path, dead, recycled, living, elsewhere, mine, ".colorize-notes", "a.jpg")
    removed = sweep(str(tmp_path))
    assert sorted(map(os.path.basename, removed)) == sorted([dead, recycled])
    assert {p.name for p in tmp_path.iterdir()} == {
        living, elsewhere, mine, ".colorize-notes", "a.jpg",
    }  # fmt: skip


def test_a_part_is_kept_or_gone(tmp_path):
    with Part(tmp_path / "in" / "kept", sync=False) as part:
        part.file.write(b"whole")
        assert not (tmp_path / "in" / "kept").exists()
        part.keep()
    with pytest.raises(KeyError), Part(tmp_path / "in" / "lost") as part:
        part.file.write(b"half")
        raise KeyError
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["kept"]
    assert (tmp_path / "in" / "kept").read_bytes() == b"whole"


def test_text_keeps_its_line_ends_and_odd_names(tmp_path):
    with atomic_text(tmp_path / "a.jsonl") as file:
        file.write("ä\n\udcff\r\n")
    assert (tmp_path / "a.jsonl").read_bytes() == b"\xc3\xa4\n\\udcff\r\n"


def test_a_folder_appears_whole_in_place_of_an_older_one(tmp_path):
    folder = tmp_path / "in" / "model"
    for text in ("one", "two"):
        with atomic_folder(folder) as part:
            (part / text).write_text(text)
        assert [p.name for p in folder.iterdir()] == [text]
    with pytest.raises(KeyError), atomic_folder(folder) as part:
        (part / "three").write_text("half")
        raise KeyError
    assert [p.name for p in folder.iterdir()] == ["two"]
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_folder_whose_process_died_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f"{PART}{host()}-{ended.pid}-0123abcd-00ff"
    (dead / "inner").mkdir(parents=True)
    with scratch(tmp_path) as living:
        assert sweep(str(tmp_path)) == [str(dead)]
        assert living.is_dir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("error", "wanted"), [(28, "free some space"), (13, "choose another")])
def test_a_full_disk_has_a_remedy_of_its_own(tmp_path, error, wanted):
    with pytest.raises(DataError, match=wanted), atomic(tmp_path / "a"):
        raise OSError(error, "said so")
    assert list(tmp_path.iterdir()) == []
