"""Models from elsewhere: added under a name, tried first, checked at every use, removed."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from loopback import Server
from PIL import Image

from colorcli import Colorizer
from colorcli.network import model_folder
from colorcli.network.shelf import adding, places
from colorcli.system import windows
from colorcli.system.errors import DataError, ModelError, UsageError

GRAY = np.tile(np.arange(64, dtype=np.uint8), (64, 1)) * 4


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("COLORIZE_MODELS", str(tmp_path / "shelf"))
    monkeypatch.setenv("no_proxy", "*")


def archived(folder, kind, inside="some/where/") -> bytes:
    buffer = io.BytesIO()
    if kind == ".zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(inside + "run.sh", "#!/bin/sh")
            for path in folder.iterdir():
                archive.write(path, inside + path.name)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for path in folder.iterdir():
                archive.add(path, inside + path.name)
            odd = tarfile.TarInfo("../../escaped.py")
            archive.addfile(odd)
    return buffer.getvalue()


def sources(kind, small_model, tmp_path):
    """What names the same model in one of the ways there are."""
    if kind == "folder":
        return small_model
    if kind == "run":
        shutil.copytree(small_model, tmp_path / "small" / "model-best")
        return tmp_path / "small"
    if kind in (".zip", ".tar.gz"):
        (tmp_path / f"small{kind}").write_bytes(archived(small_model, kind))
        return tmp_path / f"small{kind}"
    shutil.copy(small_model / "model.tflite", tmp_path / "small.tflite")
    return tmp_path / "small.tflite"


@pytest.mark.parametrize("kind", ["folder", "run", ".zip", ".tar.gz", ".tflite"])
def test_every_way_gives_a_model_that_colours_alike(kind, small_model, tmp_path):
    done = adding.add(str(sources(kind, small_model, tmp_path)))
    assert done.name == "small" and places.names() == ["small"]
    wanted = Colorizer(small_model)
    got = Colorizer("small")
    assert np.array_equal(got.ab(GRAY), wanted.ab(GRAY))
    assert got.origin.model == "small" and got.origin.digest == wanted.origin.digest
    held = {p.name for p in (tmp_path / "shelf" / "small").iterdir()}
    assert held <= {*adding.PARTS, places.RECORD, "export.tflite"}
    assert {p.name for p in (tmp_path / "shelf").iterdir()} == {"small"}
    adding.remove("small")
    assert places.names() == [] and not list((tmp_path / "shelf").iterdir())


def test_from_an_address_with_its_checksum(small_model, tmp_path):
    data = archived(small_model, ".zip")
    server = Server({"/small.zip": data})
    try:
        url = f"{server.url}/small.zip"
        right = hashlib.sha256(data).hexdigest()
        adding.add(f"{url}#sha256={right}", name="mine")
        assert Colorizer("mine").side == 64
        with pytest.raises(DataError, match="another sha256 checksum"):
            adding.add(f"{url}#sha256={'0' * 64}", name="other")
        for bare in (url, f"{url}#sha256=12"):
            with pytest.raises(UsageError, match="needs the file's checksum"):
                adding.add(bare, name="third")
    finally:
        server.close()
    assert places.names() == ["mine"]


def pickled(folder):
    np.savez(folder / "weights.npz", odd=np.array([{"code": 1}], dtype=object))
    resigned(folder, "weights.npz")


def resigned(folder, name):
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "metadata.json").write_text(json.dumps(metadata))


def script(folder):
    (folder / "setup.py").write_text("import os")
    resigned(folder, "setup.py")


def no_graph(folder):
    (folder / "model.tflite").write_bytes(b"TFL3 nonsense")
    resigned(folder, "model.tflite")


REFUSED = {
    "a flipped bit": (lambda f: (f / "weights.npz").write_bytes(b"x"), "damaged"),
    "no metadata": (lambda f: (f / "metadata.json").unlink(), "holds no metadata.json"),
    "pickled weights": (pickled, "not a readable .npz"),
    "a script that is listed": (script, "setup.py, which is no part of a model"),
    "no graph": (no_graph, "not a usable LiteRT model"),
}


@pytest.mark.parametrize(("harm", "word"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_whole_model_is_not_added(harm, word, small_model, tmp_path):
    bad = shutil.copytree(small_model, tmp_path / "bad")
    harm(bad)
    with pytest.raises(ModelError, match=word) as error:
        adding.add(str(bad))
    assert str(bad) in str(error.value) and "\n" not in str(error.value)
    assert places.names() == [] and not list((tmp_path / "shelf").iterdir())


@pytest.mark.parametrize(("name", "data", "word"), [
    ("a.keras", b"PK", "not a model that can be added"), ("a.py", b"import os", "not a model"),
    ("a.zip", b"no zip", "not a readable archive"), ("a.tar.gz", b"no tar", "not a readable"),
    ("a.tflite", b"nonsense", "not a usable LiteRT model"),
])  # fmt: skip
def test_files_that_are_no_model(name, data, word, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=word):
        adding.add(str(tmp_path / name))
    with pytest.raises(ModelError, match="no such model"):
        adding.add(str(tmp_path / "none"))


def test_an_archive_of_two_models_or_a_bomb_is_refused(small_model, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for inside in ("a/", "b/"):
            for path in small_model.iterdir():
                archive.write(path, inside + path.name)
    with pytest.raises(ModelError, match="several models"):
        adding.add(str(tmp_path / "two.zip"))
    (tmp_path / "one.zip").write_bytes(archived(small_model, ".zip"))
    monkeypatch.setattr(adding, "_MOST", 1000)
    with pytest.raises(ModelError, match="is no part of a model"):
        adding.add(str(tmp_path / "one.zip"))


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "x" * 65, "dot.", "sp ace"])
def test_names_that_no_folder_should_have(name, small_model):
    with pytest.raises(UsageError):
        adding.add(str(small_model), name=name or ".")


def test_names_that_windows_keeps_for_devices(small_model, monkeypatch):
    monkeypatch.setattr(windows, "HERE", True)
    with pytest.raises(UsageError, match="nul: Windows keeps the name nul for a device"):
        adding.add(str(small_model), name="nul")


def test_names_are_not_taken_twice(small_model):
    with pytest.raises(UsageError, match="bundled"):
        adding.add(str(small_model), name="default")
    adding.add(str(small_model))
    with pytest.raises(UsageError, match="--overwrite"):
        adding.add(str(small_model))
    adding.add(str(small_model), overwrite=True)
    for name, word in (("default", "bundled with"), ("none", "added: small"), ("..", "no added")):
        with pytest.raises(UsageError, match=word):
            adding.remove(name)


@pytest.mark.parametrize("kind", ["folder", ".tflite"])
def test_what_was_changed_afterwards_is_refused(kind, small_model, tmp_path):
    adding.add(str(sources(kind, small_model, tmp_path)))
    folder = tmp_path / "shelf" / "small"
    file = folder / ("export.tflite" if kind == ".tflite" else "metadata.json")
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ModelError, match="is not what was added"):
        model_folder.find("small")
    adding.remove("small")


def test_the_command_adds_lists_colours_and_removes(colorize, small_model, tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    assert colorize("models", "add", small_model, "--name", "mine", "-q").returncode == 0
    exported = sources(".tflite", small_model, tmp_path)
    told = json.loads(colorize("models", "add", exported, "--json").stdout)
    assert told["name"] == "small" and told["source"] == str(exported)
    listed = colorize("models", "--verify").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in listed] == ["default", "mine", "small"]
    assert all(line.endswith("whole") for line in listed)
    for name in ("mine", "small"):
        done = colorize("predict", tmp_path / "a.png", "-m", name, "-o", tmp_path / f"{name}.png")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.png").read_bytes() != (tmp_path / "a.png").read_bytes()
    typed = {"_COLORIZE_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    words = colorize(env={**typed, "COMP_WORDS": "colorize predict -m mi"}).stdout.split()
    assert words == [b"mine"]
    words = colorize(env={**typed, "COMP_WORDS": "colorize models remove "}).stdout.split()
    assert words == [b"mine", b"small"]
    assert colorize("models", "remove", "mine", "small").returncode == 0
    gone = colorize("predict", tmp_path / "a.png", "-m", "mine", "-o", tmp_path / "x.png")
    assert gone.returncode == 4 and b"known models: default" in gone.stderr


def test_a_shelf_that_cannot_be_written(small_model, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLORIZE_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(DataError, match="cannot be written"):
        adding.add(str(small_model))
    assert places.names() == [] and os.path.isfile(tmp_path / "file")
