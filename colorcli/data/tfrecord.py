"""TFRecord files of ``tf.train.Example`` records, written and read without TensorFlow.

The format (tensorflow.org/tutorials/load_data/tfrecord): each record is its length as uint64, the
masked CRC-32C of that, the bytes, and their masked CRC-32C, little-endian. Files may be joined end
to end. Of Example (tensorflow/core/example/example.proto) only lists of byte strings are needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from colorcli.system.errors import DataError, reason

_DELTA = 0xA282EAD8


def _masked(data: bytes) -> int:
    import google_crc32c

    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _DELTA) & 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    """One record as it stands in a file."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (length, struct.pack("<I", _masked(length)), data, struct.pack("<I", _masked(data)))
    )


def records(path: Path | str) -> Iterator[bytes]:
    """The records of a file, in order; raises ``DataError`` naming the file where one is damaged."""
    try:
        with open(path, "rb") as file:
            number = 0
            while head := file.read(12):
                length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
                if len(head) < 12 or struct.unpack("<I", head[8:])[0] != _masked(head[:8]):
                    raise _damaged(path, number)
                data, check = file.read(length), file.read(4)
                if len(check) < 4 or struct.unpack("<I", check)[0] != _masked(data):
                    raise _damaged(path, number)
                yield data
                number += 1
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}; check the disk") from None


def _damaged(path: Path | str, number: int) -> DataError:
    return DataError(f"{path}: record {number} is damaged; prepare the data again")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def example(features: Mapping[str, bytes]) -> bytes:
    """A serialized ``tf.train.Example`` of one byte string for each key."""
    entries = (
        _field(1, _field(1, key.encode()) + _field(2, _field(1, _field(1, value))))
        for key, value in features.items()
    )
    return _field(1, b"".join(entries))


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Field numbers and contents of a message whose fields are all length-delimited."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key, length = varint(), varint()
        if key & 7 != 2 or at + length > len(data):
            raise ValueError("not an Example of byte strings")
        yield key >> 3, data[at : at + length]
        at += length


def features(record: bytes) -> dict[str, bytes]:
    """The byte strings of a serialized Example; raises ``ValueError`` for anything else."""
    out: dict[str, bytes] = {}
    try:
        for _, message in _fields(memoryview(record)):
            for _, entry in _fields(message):
                parts = dict(_fields(entry))
                value = dict(_fields(dict(_fields(parts[2]))[1]))
                out[bytes(parts[1]).decode()] = bytes(value[1])
    except (KeyError, IndexError) as error:
        raise ValueError(f"not an Example of byte strings ({error})") from None
    return out
