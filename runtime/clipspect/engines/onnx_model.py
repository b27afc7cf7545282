"""An ONNX file as operators and constants: what is looked at before an engine opens it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from clipspect.engines.onnx_file import Message, external_data, read_message, varint

# Of onnx.TensorProto.DataType, the types that are in use, with their bytes.
FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, BFLOAT16 = 1, 2, 3, 6, 7, 9, 10, 16
BYTES = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, BOOL: 1, FLOAT16: 2, BFLOAT16: 2}
INTEGERS = {UINT8: "<u1", INT8: "<i1", INT32: "<i4", INT64: "<i8", BOOL: "?"}
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS = 1, 2, 3, 4, 6, 7  # of onnx.AttributeProto.AttributeType

Integers: TypeAlias = "npt.NDArray[Any]"


@dataclass(frozen=True)
class Constant:
    """A tensor that the file holds."""

    dtype: int
    shape: tuple[int, ...]
    integers: Integers | None = None  # its values, where they are integers


@dataclass(frozen=True)
class Node:
    """An operator."""

    operator: str
    inputs: tuple[str, ...]  # empty where an optional one is left out
    outputs: tuple[str, ...]
    attributes: dict[str, Any]  # numbers, tuples of numbers, bytes, or a Constant


@dataclass(frozen=True)
class Model:
    """The operators in the order in which they run, and the constants by name."""

    opset: int  # of the standard operators; the only set
    nodes: tuple[Node, ...]
    constants: dict[str, Constant]


def read_model(path: Path) -> Model:
    """Of a file that `external_locations` accepts. Raises ValueError for what no exporter of ours writes, OSError."""
    fields = read_message(path.read_bytes(), "model")
    opsets = [_opset(value) for value in _messages(fields, 8)]
    if len(opsets) != 1 or opsets[0][0] not in (b"", b"ai.onnx"):
        raise ValueError("it uses other than the one set of standard operators")
    (graph,) = _messages(fields, 7)
    contents = read_message(graph, "graph")
    if any(number == 15 for number, _ in contents):
        raise ValueError("it holds sparse tensors")
    constants: dict[str, Constant] = {}
    for value in _messages(contents, 5):
        name, constant = _tensor(value, path.parent)
        if name in constants:
            raise ValueError(f"two constants have the name {name!r:.80}")
        constants[name] = constant
    nodes = tuple(_node(value, path.parent) for value in _messages(contents, 1))
    return Model(opsets[0][1], nodes, constants)


def _opset(data: bytes) -> tuple[bytes, int]:
    fields = read_message(data, "opset")
    return next(_messages(fields, 1), b""), _number(fields, 2)


def _node(data: bytes, folder: Path) -> Node:
    fields = read_message(data, "node")
    if any(_messages(fields, 8)):
        raise ValueError("an operator is overloaded, which functions alone are")
    attributes: dict[str, Any] = {}
    for value in _messages(fields, 5):
        name, attribute = _attribute(value, folder)
        if name in attributes:
            raise ValueError(f"an operator has two attributes of the name {name!r:.80}")
        attributes[name] = attribute
    operator = _text(next(_messages(fields, 4), b""))
    inputs, outputs = (tuple(_text(name) for name in _messages(fields, number)) for number in (1, 2))
    return Node(operator, inputs, outputs, attributes)


def _attribute(data: bytes, folder: Path) -> tuple[str, Any]:
    fields = read_message(data, "attribute")
    name, kind = _text(next(_messages(fields, 1), b"")), _number(fields, 20)
    floats = {number: value for number, value in fields if number == 2 and isinstance(value, bytes)}
    if kind == _FLOAT:
        return name, struct.unpack("<f", floats.get(2, bytes(4)))[0]
    if kind == _INT:
        return name, _signed(_number(fields, 3))
    if kind == _STRING:
        return name, next(_messages(fields, 4), b"")
    if kind == _TENSOR:
        return name, _tensor(next(_messages(fields, 5), b""), folder)[1]
    if kind == _INTS:
        return name, tuple(_signed(value) for value in _numbers(fields, 8))
    if kind == _FLOATS:
        return name, ()  # of no operator that is in use
    raise ValueError(f"the attribute {name!r:.80} is of the type {kind}, which is not in use")


def _tensor(data: bytes, folder: Path) -> tuple[str, Constant]:
    fields = read_message(data, "tensor")
    name, dtype = _text(next(_messages(fields, 8), b"")), _number(fields, 2)
    shape = tuple(_signed(side) for side in _numbers(fields, 1))
    if dtype not in BYTES or any(side < 0 for side in shape):
        raise ValueError(f"the constant {name!r:.80} is of the type {dtype} and shape {shape}")
    size = prod(shape) * BYTES[dtype]
    outside = [read_message(value, "external") for value in _messages(fields, 13)]
    raw = next(_messages(fields, 9), None)
    if outside:
        offset, length, path = _place(name, external_data(outside), folder, size)
        if dtype in INTEGERS:
            with path.open("rb") as file:
                file.seek(offset)
                raw = file.read(length)
    if dtype not in INTEGERS:
        if raw is not None and not outside and len(raw) != size:
            raise ValueError(f"the constant {name!r:.80} has {len(raw)} bytes, expected {size}")
        return name, Constant(dtype, shape)
    if raw is None:
        listed = _numbers(fields, 7 if dtype == INT64 else 5)
        values = np.array([_signed(value) for value in listed], np.int64).astype(INTEGERS[dtype])
    else:
        values = np.frombuffer(raw, INTEGERS[dtype]) if len(raw) == size else np.empty(0, INTEGERS[dtype])
    if values.size != prod(shape):
        raise ValueError(f"the constant {name!r:.80} has {values.size} values, expected {prod(shape)}")
    return name, Constant(dtype, shape, values.reshape(shape))


def _place(name: str, said: dict[bytes, bytes], folder: Path, size: int) -> tuple[int, int, Path]:
    """Where a constant's values lie, by the file's `external_data`; the file holds them whole."""
    offset, length = said.get(b"offset", b"0"), said.get(b"length", b"%d" % size)
    path = folder / said.get(b"location", b"").decode("ascii")
    if not (offset.isdigit() and length.isdigit() and len(offset) < 20 and len(length) < 20):
        raise ValueError(f"the constant {name!r:.80} lies at {offset!r:.40}, {length!r:.40} bytes")
    if int(length) != size or int(offset) + size > path.stat().st_size:
        raise ValueError(f"the constant {name!r:.80} lies outside of {path.name}")
    return int(offset), size, path


def _messages(fields: Message, number: int) -> Iterator[bytes]:
    return (value for found, value in fields if found == number and isinstance(value, bytes))


def _number(fields: Message, number: int) -> int:
    return next((value for found, value in fields if found == number and isinstance(value, int)), 0)


def _numbers(fields: Message, number: int) -> Iterator[int]:
    """Of a field that repeats: one by one, or packed."""
    for found, value in fields:
        if found != number:
            continue
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            unpacked, at = varint(value, at)
            yield unpacked


def _signed(value: int) -> int:
    """Of a varint below 2^64 the integer of 64 bits that it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
