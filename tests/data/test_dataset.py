"""Prepared folders: what is taken for one, and damage that is never trained on."""

import json
import os
import shutil

import numpy as np
import pytest

from colorcli.config.prepare import PrepareConfig
from colorcli.data import dataset
from colorcli.data.prepare import prepare
from colorcli.system.errors import DataError


@pytest.fixture(scope="module")
def made(prepared):
    return prepared(val_fraction=0.3).folder


@pytest.fixture
def data(made, tmp_path):
    return shutil.copytree(made, tmp_path / "set")


def flip(path, keep_time=False):
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    stamp = times.st_mtime_ns if keep_time else times.st_mtime_ns + 10**9
    os.utime(path, ns=(times.st_atime_ns, stamp))


def test_what_was_prepared_comes_back(data):
    loaded = dataset.load(data)
    assert loaded.prior.sum() == pytest.approx(1, abs=1e-3) and loaded.prior.dtype == np.float32
    for split, shards in loaded.shards.items():
        pictures = list(dataset.photographs(loaded, split))
        assert len(pictures) == loaded.counts[split] == sum(s["images"] for s in shards)
        assert all(p.shape == (80, 96, 3) and p.dtype == np.uint8 for p in pictures)
    assert len(list(dataset.photographs(loaded, "val", 3))) == 3
    assert list(dataset.photographs(loaded, "val", 0)) == []


def test_tensorflow_sees_the_same_pictures(data):
    import tensorflow as tf

    loaded = dataset.load(data)
    records = tf.data.TFRecordDataset(loaded.files("train")).take(5)
    feature = {"image": tf.io.FixedLenFeature((), tf.string)}
    jpegs = [tf.io.parse_single_example(record, feature)["image"] for record in records]
    theirs = [
        tf.io.decode_jpeg(j, channels=3, dct_method="INTEGER_ACCURATE").numpy() for j in jpegs
    ]
    for ours, other in zip(dataset.photographs(loaded, "train", 5), theirs, strict=True):
        assert np.abs(ours.astype(int) - other).max() <= 2


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_flipped_byte_is_named_and_refused(data, split):
    shard = data / dataset.load(data).shards[split][-1]["file"]
    flip(shard)
    with pytest.raises(DataError, match=rf"{shard.name}: damaged, its checksum"):
        dataset.load(data)


def test_checksums_are_compared_once(data, monkeypatch):
    (data / dataset.VERIFIED).unlink()
    read = []
    monkeypatch.setattr(dataset, "digest", lambda p: read.append(p.name) or sums[p.name])
    shards = json.loads((data / "dataset.json").read_text())["shards"]
    sums = {s["file"]: s["sha256"] for split in shards.values() for s in split}
    calls = []
    dataset.load(data, progress=lambda done, total: calls.append((done, total)))
    assert sorted(read) == sorted(sums) and calls[-1] == (len(sums), len(sums))
    dataset.load(data)
    assert len(read) == len(sums)
    touched = next(iter(sums))
    os.utime(data / touched)
    dataset.load(data)
    assert read[len(sums) :] == [touched]


def test_bits_lost_by_the_disk_are_met_when_read(data):
    loaded = dataset.load(data)
    shard = data / loaded.shards["val"][0]["file"]
    flip(shard, keep_time=True)
    dataset.load(data)  # nothing tells that the file changed
    with pytest.raises(DataError, match=rf"{shard.name}: record \d+ is damaged"):
        list(dataset.photographs(loaded, "val"))
    listed = [(s["file"], s["bytes"], s["sha256"]) for s in loaded.shards["val"]]
    with pytest.raises(DataError, match=rf"{shard.name}: damaged"):
        dataset.verify(data, listed, known=False)


def test_what_is_no_data_set(data, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match=r"no dataset\.json; make it with: colorize prepare"):
            dataset.load(folder)
    (tmp_path / dataset.WORK).mkdir()
    with pytest.raises(DataError, match="not finished; repeat the prepare command"):
        dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=99), "schema 99, this version reads 1"),
        (lambda d: d.pop("shards"), "damaged.*prepare the data again"),
        (lambda d: d.update(shards=[]), "damaged"),
        (lambda d: d["shards"]["train"][0].pop("sha256"), "damaged"),
        (lambda d: d.update(prior=["x"]), "damaged"),
        (lambda d: d["shards"]["train"].append({"file": "x", "bytes": 1, "sha256": ""}), "missing"),
    ],
)
def test_a_damaged_index_is_one_line(data, change, message):
    index = json.loads((data / "dataset.json").read_text())
    change(index)
    (data / "dataset.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=message) as caught:
        dataset.load(data)
    assert "\n" not in str(caught.value)


def test_an_index_that_is_no_json(data):
    (data / "dataset.json").write_text("[1, 2")
    with pytest.raises(DataError, match="damaged"):
        dataset.load(data)
    (data / "dataset.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="damaged"):
        dataset.load(data)


def test_joined_sets_train_together_and_one_named_twice_counts_twice(data, photos, tmp_path):
    other_folder = tmp_path / "other"
    some = sorted(str(p) for p in photos.iterdir())[:12]
    prepare(some, other_folder, PrepareConfig(val_fraction=0, workers=1))
    one, other = dataset.load(data), dataset.load(other_folder)
    assert dataset.joined([one]) is one
    both = dataset.joined([one, other, other])
    assert both.counts["train"] == one.counts["train"] + 2 * other.counts["train"]
    assert both.distinct == one.counts["train"] + other.counts["train"]
    assert both.files("train") == one.files("train") + 2 * other.files("train")
    assert both.files("val") == one.files("val")
    assert str(both) == f"{data}, {other_folder}"
    weights = [one.counts["train"], 2 * other.counts["train"]]
    expected = np.average([one.prior, other.prior], 0, weights)
    np.testing.assert_allclose(both.prior, expected, rtol=1e-5)
    both.reread()
    flip(other_folder / other.shards["train"][0]["file"], keep_time=True)
    with pytest.raises(DataError, match=rf"{other_folder}.*damaged, its checksum"):
        both.reread()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d.update(prior=[0.5, 0.5]), "a prior of 2 values, not 261"),
        (lambda d: d.update(prior=[0.0] * 261), "no distribution"),
        (lambda d: d["shards"]["train"][0].update(file="../../x"), "no name below the folder"),
        (lambda d: d["shards"]["val"][0].update(file="/etc/passwd"), "no name below the folder"),
    ],
)
def test_an_index_that_lies_is_damage(data, change, word):
    index = json.loads((data / dataset.INDEX).read_text())
    change(index)
    (data / dataset.INDEX).write_text(json.dumps(index))
    with pytest.raises(DataError, match=f"{dataset.INDEX}: damaged .*{word}"):
        dataset.load(data)
