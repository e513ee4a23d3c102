import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorcli.data import tfrecord
from colorcli.system.errors import DataError


@settings(max_examples=50)
@given(st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=400), max_size=4))
def test_examples_come_back(features):
    assert tfrecord.features(tfrecord.example(features)) == features


def test_tensorflow_reads_ours_and_we_read_tensorflows(tmp_path):
    import tensorflow as tf

    features = {"image": bytes(range(256)) * 9, "name": b"\xff.jpg"}
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(tfrecord.frame(tfrecord.example(features)) * 2)
    read = [
        tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(ours))
    ]
    assert len(read) == 2
    for example in read:
        found = example.features.feature
        assert {key: found[key].bytes_list.value[0] for key in found} == features
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        writer.write(read[0].SerializeToString())
        writer.write(b"")
    first, second = tfrecord.records(theirs)
    assert tfrecord.features(first) == features and second == b""


@pytest.mark.parametrize("at", [0, 9, 12, 100, -5, -1])
def test_every_flipped_byte_is_noticed(tmp_path, at):
    data = bytearray(tfrecord.frame(b"first") + tfrecord.frame(bytes(300)))
    data[at] ^= 4
    path = tmp_path / "x.tfrecord"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"x\.tfrecord: record [01] is damaged"):
        list(tfrecord.records(path))


@pytest.mark.parametrize("length", [5, 13, -1])
def test_a_file_cut_short_is_noticed(tmp_path, length):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(tfrecord.frame(bytes(300))[:length])
    with pytest.raises(DataError, match="record 0 is damaged"):
        list(tfrecord.records(path))


@pytest.mark.parametrize("record", [b"\x08\x01", b"\x0a\x7f", b"\x0a\x02\x0a\x00", b"hello"])
def test_other_messages_are_refused(record):
    with pytest.raises(ValueError, match="not an Example"):
        tfrecord.features(record)
