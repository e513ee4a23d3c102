"""COCO: filters on annotations in its real format, archives from a server on loopback."""

import hashlib
import io
import json
import stat
import zipfile
from pathlib import Path

import pytest
from conftest import scene
from loopback import Server
from PIL import Image
from typer.testing import CliRunner

from colorcli.cli import app
from colorcli.data import coco
from colorcli.data.coco import Archive, Filter, obtain, select, unpack
from colorcli.system import disk, download
from colorcli.system.errors import DataError, UsageError

PERSON, BICYCLE, DOG = 1, 2, 18
OBJECTS = [  # image, category, iscrowd
    (0, PERSON, 0), (1, DOG, 0), (1, PERSON, 0), (2, PERSON, 1), (4, DOG, 0), (5, DOG, 1),
    (5, DOG, 0), (6, BICYCLE, 0),
]  # fmt: skip


def document() -> dict:
    """Eight photographs as in instances_*.json: the eighth has no objects."""
    licenses = [1, 4, 4, 2, 1, 4, 5, 5]
    return {
        "info": {"description": "fixture", "year": 2017},
        "licenses": [
            {"id": i, "name": f"License {i}", "url": f"http://license/{i}"} for i in (1, 2, 4, 5, 8)
        ],
        "images": [
            {
                "id": 100 + i, "file_name": f"{i:012d}.jpg", "width": 96, "height": 80,
                "license": licenses[i], "coco_url": "", "date_captured": "2013-11-14 17:02:52",
            } for i in range(8)
        ],
        "categories": [
            {"id": PERSON, "name": "person", "supercategory": "person"},
            {"id": BICYCLE, "name": "bicycle", "supercategory": "vehicle"},
            {"id": DOG, "name": "dog", "supercategory": "animal"},
        ],
        "annotations": [
            {
                "id": n, "image_id": 100 + i, "category_id": c, "iscrowd": crowd, "area": 6.5,
                "bbox": [1.0, 2.0, 3.0, 4.0],
                "segmentation": {"counts": [9, 3], "size": [80, 96]} if crowd
                else [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
            } for n, (i, c, crowd) in enumerate(OBJECTS)
        ],
    }  # fmt: skip


def jpeg(i: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene(i)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def split(tmp_path):
    """Annotations of eight photographs, of which the fifth is not on disk."""
    folder = tmp_path / "split"
    folder.mkdir()
    (tmp_path / "instances.json").write_text(json.dumps(document()))
    for i in (0, 1, 2, 3, 5, 6, 7):
        (folder / f"{i:012d}.jpg").write_bytes(b"x")
    return folder


def numbers(paths):
    return [int(p[-16:-4]) for p in paths]


@pytest.mark.parametrize(
    ("wanted", "present", "missing"),
    [
        (Filter(), [0, 1, 2, 3, 5, 6, 7], [4]),
        (Filter(("dog",)), [1, 5], [4]),
        (Filter(("1",)), [0, 1, 2], []),
        (Filter(("Person", "18")), [0, 1, 2, 5], [4]),
        (Filter(("person", "dog"), "all"), [1], []),
        (Filter(("person",), crowds=False), [0, 1], []),
        (Filter(("dog",), crowds=False), [1, 5], [4]),
        (Filter(licenses=(4,)), [1, 2, 5], []),
        (Filter(licenses=(1, 5)), [0, 6, 7], [4]),
        (Filter(("person", "dog"), "any", False, (4,)), [1, 5], []),
    ],
)
def test_filters_give_exactly_the_right_photographs(split, wanted, present, missing, capsys):
    chosen = select(split.parent / "instances.json", split, wanted)
    assert numbers(chosen.paths) == present and numbers(chosen.missing) == missing
    assert capsys.readouterr().out == ""


OUTSIDE = ["../../x.jpg", "/etc/passwd", "..", "", ".", "a/../../x.jpg", "x\0.jpg"]


def with_names(names):
    changed = document()
    for i, name in enumerate(names):
        changed["images"].append({**changed["images"][3], "id": 900 + i, "file_name": name})
    return json.dumps(changed)


def test_names_that_lead_out_of_the_folder_are_bad_entries(split):
    annotations = split.parent / "instances.json"
    (split.parent.parent / "x.jpg").write_bytes(b"secret")
    (split / "sub").mkdir()
    (split / "sub" / "y.jpg").write_bytes(b"x")
    annotations.write_text(with_names([*OUTSIDE, "sub/y.jpg", "./sub/../sub/z.jpg"]))
    chosen = select(annotations, split)
    assert sorted(chosen.outside) == sorted([*OUTSIDE, "./sub/../sub/z.jpg"])
    assert str(split / "sub" / "y.jpg") in chosen.paths
    assert all(Path(p).is_relative_to(split) for p in chosen.paths + chosen.missing)
    changed = document()
    changed["images"] = [{**changed["images"][0], "file_name": "/etc/passwd"}]
    changed["annotations"] = []
    annotations.write_text(json.dumps(changed))
    with pytest.raises(DataError, match="all 1 names lead out of .*, e.g. /etc/passwd"):
        select(annotations, split)


@pytest.mark.parametrize("command", ["prepare", "eval"])
def test_no_command_opens_what_lies_outside(colorize, small_model, tmp_path, command):
    root = tmp_path / "coco"
    (root / "s").mkdir(parents=True)
    for i in range(8):
        (root / "s" / f"{i:012d}.jpg").write_bytes(jpeg(i))
    (tmp_path / "x.jpg").write_bytes(jpeg(20))
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_s.json").write_text(
        with_names(["../../x.jpg", "/etc/passwd"])
    )
    if command == "prepare":
        done = colorize("prepare", "coco", "--root", root, "--split", "s", "-o", tmp_path / "set",
                        "--json", "--min-side", "8", "--workers", "1")  # fmt: skip
        result = json.loads(done.stdout)
        assert done.returncode == 0 and result["dropped"] == {"broken": 2}
        assert sum(result["counts"].values()) == 8
        report = (tmp_path / "set" / "report.jsonl").read_text().splitlines()
        assert [json.loads(line)["path"] for line in report] == ["../../x.jpg", "/etc/passwd"]
    else:
        done = colorize("eval", "--coco", root, "--split", "s", "-m", small_model, "--json")
        result = json.loads(done.stdout)
        assert done.returncode == 5 and result["judged"] == 8
        assert [e["path"] for e in result["broken"]] == ["../../x.jpg", "/etc/passwd"]
    told = done.stderr.decode()
    assert told.count("leads out of the folder of photographs") == 2 and "../../x.jpg" in told


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Filter(("cat",)), "no category 'cat'.*known: bicycle, dog, person"),
        (Filter(("persn",)), "did you mean 'person'"),
        (Filter(("99",)), "no category '99'"),
        (Filter(licenses=(3,)), r"no license 3; known: 1 \(License 1\)"),
        (Filter(("bicycle", "dog"), "all"), "no photograph passes the filters"),
        (Filter(licenses=(8,)), "no photograph passes the filters"),
    ],
)
def test_filters_that_name_nothing(split, wanted, message):
    with pytest.raises(DataError, match=message):
        select(split.parent / "instances.json", split, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), "not a COCO annotation file"),
        (lambda d: d.update(images=3), "not a COCO annotation file"),
        (lambda d: d["images"][0].pop("file_name"), "not a COCO annotation file.*file_name"),
        (lambda d: d["images"][0].pop("id"), "not a COCO annotation file.*id"),
        (lambda d: d["annotations"][0].pop("image_id"), "not a COCO annotation file.*image_id"),
    ],
)
def test_damaged_annotations(split, change, message):
    changed = document()
    change(changed)
    (split.parent / "instances.json").write_text(json.dumps(changed))
    with pytest.raises(DataError, match=message) as caught:
        select(split.parent / "instances.json", split)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["hello", "[]", "", "{}", '{"images": [3]}', "\xff"])
def test_files_that_are_no_annotations(split, text):
    (split.parent / "instances.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="not a COCO annotation file"):
        select(split.parent / "instances.json", split)


def test_no_annotations_and_no_photographs(split, tmp_path):
    with pytest.raises(DataError, match=r"none\.json.*--download"):
        select(tmp_path / "none.json", split)
    with pytest.raises(DataError, match=r"none of the 8 photographs.*e\.g\. 000000000000\.jpg"):
        select(tmp_path / "instances.json", tmp_path / "elsewhere")


def test_captions_and_image_lists_have_no_categories(split, tmp_path):
    captions = document()
    del captions["categories"]
    captions["annotations"] = [{"id": 1, "image_id": 100, "caption": "a dog"}]
    images = document()
    del images["annotations"]
    for content in (captions, images):
        (tmp_path / "other.json").write_text(json.dumps(content))
        assert len(select(tmp_path / "other.json", split).paths) == 7
        with pytest.raises(DataError, match="--category needs the instances file"):
            select(tmp_path / "other.json", split, ["dog"])


# --- archives ----------------------------------------------------------------------------------


def zipped(files: dict, compression=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\x", "C:x"])
def test_members_outside_the_folder_are_refused(tmp_path, name):
    path, folder = tmp_path / "a.zip", tmp_path / "into"
    path.write_bytes(zipped({"good": b"1", name: b"2"}))
    with pytest.raises(DataError, match="not safe to unpack; nothing was"):
        unpack(path, folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "into"]
    assert list(folder.iterdir()) == []


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    (tmp_path / "a.zip").write_bytes(zipped({"good": b"1", link: b"/etc/passwd"}))
    with pytest.raises(DataError, match="'link' is not safe"):
        unpack(tmp_path / "a.zip", tmp_path / "into")


def test_unpacking_resumes_and_checks(tmp_path):
    path, folder = tmp_path / "a.zip", tmp_path / "into"
    files = {f"d/{i}": bytes([i]) * 1000 for i in range(5)}
    path.write_bytes(zipped({"d/": b"", **files}))
    assert unpack(path, folder) == 5
    kept = folder / "d" / "1"
    kept.write_bytes(b"y" * 1000)  # has the size: taken as done
    (folder / "d" / "2").write_bytes(b"half")
    (folder / "d" / "3").unlink()
    assert unpack(path, folder) == 5
    assert (folder / "d" / "2").read_bytes() == files["d/2"] and kept.read_bytes() == b"y" * 1000
    content = bytearray(path.read_bytes())
    content[content.index(files["d/4"]) + 500] ^= 1
    path.write_bytes(content)
    (folder / "d" / "4").unlink()
    with pytest.raises(DataError, match=r"a\.zip: not a whole zip archive \(Bad CRC-32"):
        unpack(path, folder)
    assert sorted(p.name for p in (folder / "d").iterdir()) == ["0", "1", "2", "3"]
    for content in (b"", b"no zip", path.read_bytes()[:-40]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a whole zip archive"):
            unpack(path, folder)


@pytest.fixture
def server(monkeypatch):
    """COCO in small: eight photographs and their annotations, sums and sizes as published."""
    annotations = document()
    bodies = {
        "val2017": ("/zips/val2017.zip", 8, zipped(
            {f"val2017/{i:012d}.jpg": jpeg(i) for i in range(8)}
        )),
        "annotations": ("/annotations/annotations_trainval2017.zip", 2, zipped(
            {f"annotations/{kind}_val2017.json": json.dumps(annotations)
             for kind in ("instances", "captions")}, zipfile.ZIP_DEFLATED,
        )),
    }  # fmt: skip
    archives = {
        name: Archive(path[1:], len(body), hashlib.sha256(body).hexdigest(), files)
        for name, (path, files, body) in bodies.items()
    }
    monkeypatch.setattr(coco, "ARCHIVES", archives)
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setenv("no_proxy", "*")
    server = Server({path: body for path, _, body in bodies.values()})
    yield server
    server.close()


def test_the_official_archives_are_what_the_field_knows():
    assert set(coco.ARCHIVES) == {"train2017", "val2017", "annotations"}
    sizes = [a.size for a in coco.ARCHIVES.values()]
    assert sizes == [19336861798, 815585330, 252907541]
    assert all(len(a.sha256) == 64 for a in coco.ARCHIVES.values())


def test_from_nothing_to_a_data_set(server, tmp_path):
    """One command, over connections that break off; again, and nothing is fetched twice."""
    server.cuts = [500, 100, None, 300, 9000]
    command = [
        "prepare", "coco", "--split", "val2017", "--root", str(tmp_path / "coco"), "--download",
        "--base-url", server.url, "--category", "person,dog", "--val-fraction", "0", "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "set")])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["counts"] == {"train": 5, "val": 0}  # 0, 1, 2, 4, 5
    resumed = [r for _, r, _ in server.seen if r]
    assert resumed[0] == "bytes=500-" and len(resumed) == 4
    assert sorted(p.name for p in (tmp_path / "coco").iterdir()) == [
        "annotations", "annotations_trainval2017.zip", "val2017", "val2017.zip",
    ]  # fmt: skip
    index = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert index["source"]["category"] == "person,dog" and index["source"]["kind"] == "coco"
    before = len(server.seen)
    again = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "set")])
    assert again.exit_code == 0 and len(server.seen) == before


def test_archives_go_when_asked_and_wrong_ones_are_refused(server, tmp_path):
    obtain(tmp_path / "a", "val2017", base_url=server.url, keep=False)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["annotations", "val2017"]
    body = bytearray(server.files["/zips/val2017.zip"])
    body[700] ^= 1
    server.files["/zips/val2017.zip"] = bytes(body)
    with pytest.raises(DataError, match="another sha256 checksum"):
        obtain(tmp_path / "b", "val2017", base_url=server.url)
    assert not (tmp_path / "b" / "val2017").exists()
    del server.files["/zips/val2017.zip"]
    with pytest.raises(DataError, match=r"404.*by hand and save it as .*val2017\.zip"):
        obtain(tmp_path / "b", "val2017", base_url=server.url)
    with pytest.raises(UsageError, match="--split annotations: no archive.*known: val2017"):
        obtain(tmp_path, "annotations", base_url=server.url)


def test_no_room_for_coco_is_told_before_the_download(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"archive and photographs would take .*--root"):
        obtain(tmp_path, "val2017", base_url=server.url)
    assert server.seen == []


def test_missing_photographs_are_named_and_the_rest_is_prepared(server, tmp_path):
    obtain(tmp_path, "val2017", base_url=server.url)
    (tmp_path / "val2017" / "000000000003.jpg").unlink()
    command = ["prepare", "coco", "--split", "val2017", "--root", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "set")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["dropped"] == {"missing": 1}
    assert "1 photographs are not on disk, e.g." in done.stderr
    first = json.loads((tmp_path / "set" / "report.jsonl").read_text().splitlines()[0])
    assert first["reason"] == "missing" and first["path"].endswith("000000000003.jpg")
