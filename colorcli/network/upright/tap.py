"""A LiteRT file in memory that gives some of its inner tensors as outputs, too.

The file itself stays as it is, for all who use it. It is a FlatBuffer of the public schema
(tensorflow/lite/schema/schema.fbs): what is read here are lists of numbers in it, and what is
changed is where the list of outputs lies: behind all else, and longer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FEATURES = ("deepest", "joined")  # what a network gives of its encoder, the second where it has it

# Places of fields in their tables, as the schema orders them.
_SUBGRAPHS, _OUTPUTS, _OPERATORS = 2, 2, 3
_OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 1, 2


@dataclass(frozen=True)
class _Buffer:
    """Tables and vectors of a FlatBuffer, by where they lie."""

    data: bytes | bytearray

    def _number(self, form: str, at: int) -> int:
        return int(struct.unpack_from("<" + form, self.data, at)[0])

    def follow(self, at: int) -> int:
        """Where the offset at ``at`` points to."""
        return at + self._number("I", at)

    def field(self, table: int, place: int) -> int:
        """Where a table keeps a field; ``ValueError`` where it has none."""
        layout = table - self._number("i", table)
        entry = 4 + 2 * place
        inside = entry + 2 <= self._number("H", layout)
        offset = self._number("H", layout + entry) if inside else 0
        if not offset:
            raise ValueError("a list is missing")
        return table + offset

    def numbers(self, table: int, place: int) -> list[int]:
        """A field that is a vector of int32."""
        vector = self.follow(self.field(table, place))
        count = self._number("I", vector)
        return list(struct.unpack_from(f"<{count}i", self.data, vector + 4))

    def tables(self, table: int, place: int) -> Iterator[int]:
        """The tables of a field that is a vector of them."""
        vector = self.follow(self.field(table, place))
        for index in range(self._number("I", vector)):
            yield self.follow(vector + 4 + 4 * index)

    @property
    def graph(self) -> int:
        """The table of the one graph; ``ValueError`` where there are more."""
        found = list(self.tables(self.follow(0), _SUBGRAPHS))
        if len(found) != 1:
            raise ValueError(f"{len(found)} graphs in a file")
        return found[0]


def tapped(litert: bytes, tensors: Sequence[int]) -> bytes:
    """The file with more outputs, the tensors of those numbers.

    Raises ``ValueError`` or ``struct.error`` for what is no such file.
    """
    data = bytearray(litert)
    buffer = _Buffer(data)
    graph = buffer.graph
    place = buffer.field(graph, _OUTPUTS)
    outputs = [*buffer.numbers(graph, _OUTPUTS), *tensors]
    data += bytes(-len(data) % 4)
    struct.pack_into("<I", data, place, len(data) - place)
    data += struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs)
    return bytes(data)


def convolved(litert: bytes, kernel: int) -> int:
    """The number of the tensor that is convolved by the constant of the number ``kernel``.

    A constant of half precision passes an operator of its own, which makes it float32, first.
    Raises ``ValueError`` where there is none.
    """
    buffer = _Buffer(litert)
    for table in buffer.tables(buffer.graph, _OPERATORS):
        inputs = buffer.numbers(table, _OPERATOR_INPUTS)
        if inputs == [kernel]:
            kernel = buffer.numbers(table, _OPERATOR_OUTPUTS)[0]
        elif kernel in inputs[1:]:
            return inputs[0]
    raise ValueError(f"nothing is convolved by the tensor {kernel}")


def made_of(litert: bytes, tensor: int) -> list[int]:
    """The numbers of the tensors that an operator makes the one of the number ``tensor`` of."""
    buffer = _Buffer(litert)
    for table in buffer.tables(buffer.graph, _OPERATORS):
        if tensor in buffer.numbers(table, _OPERATOR_OUTPUTS):
            return buffer.numbers(table, _OPERATOR_INPUTS)
    raise ValueError(f"nothing makes the tensor {tensor}")
