"""An ONNX file as operators and constants: what is looked at before an engine opens it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from clipspect.engines.onnx_file import Message, Value, external_data, varint

# Of onnx.TensorProto.DataType, the types that are in use, with their bytes.
FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, BFLOAT16 = 1, 2, 3, 6, 7, 9, 10, 16
BYTES = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, BOOL: 1, FLOAT16: 2, BFLOAT16: 2}
INTEGERS = {UINT8: "<u1", INT8: "<i1", INT32: "<i4", INT64: "<i8", BOOL: "?"}
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # of onnx.AttributeProto.AttributeType, those that are in use
_VALUES = {_FLOAT: 2, _INT: 3, _STRING: 4, _INTS: 8}  # the field that has such a value
_NAME, _DOC, _TYPE = 1, 13, 20  # the other fields of an attribute
_RAW, _PLACES, _LOCATION = 9, 13, 14  # of a tensor: its bytes, or where they lie, and that they lie elsewhere
_LISTS = {FLOAT: 4, UINT8: 5, INT8: 5, INT32: 5, INT64: 7, BOOL: 5, FLOAT16: 5, BFLOAT16: 5}
MOST_FOLLOWED = 1 << 12  # integers of a tensor whose values are looked at: shapes, axes, divisors
_MOST_LISTED = 1 << 16  # values that stand one by one
_MOST_NODES = 1 << 14  # the largest graph that the exporter writes has 4000; engines follow them by recursion
_MOST_AXES = 8
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f]")

Integers: TypeAlias = "npt.NDArray[Any]"


@dataclass(frozen=True)
class Constant:
    """A tensor that the file holds."""

    dtype: int
    shape: tuple[int, ...]
    integers: Integers | None = None  # its values, of at most MOST_FOLLOWED integers

    @property
    def bytes(self) -> int:
        return prod(self.shape) * BYTES[self.dtype]


@dataclass(frozen=True)
class Node:
    """An operator."""

    operator: str
    inputs: tuple[str, ...]  # empty where an optional one is left out
    outputs: tuple[str, ...]
    attributes: dict[str, Any]  # numbers, bytes, or tuples of integers


@dataclass(frozen=True)
class Described:
    """What the file says of an input or an output; a side that is free is None."""

    dtype: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Model:
    """The operators in the order in which they run, and the constants, inputs and outputs by name."""

    opset: int  # of the standard operators; the only set
    nodes: tuple[Node, ...]
    constants: dict[str, Constant]
    inputs: dict[str, Described]
    outputs: dict[str, Described]


def read_model(file: Message, folder: Path) -> Model:
    """Of a file that `read_file` has read, in that folder. Raises ValueError for what no exporter of ours writes,
    OSError."""
    opsets = [(_bytes(opset, 1, b""), _number(opset, 2)) for opset in _messages(file, 8)]
    if len(opsets) != 1 or opsets[0][0] not in (b"", b"ai.onnx"):
        raise ValueError("it uses other than the one set of standard operators")
    (graph,) = _messages(file, 7)
    if any(number == 15 for number, _ in graph):
        raise ValueError("it holds sparse tensors")
    if any(number == 14 for number, _ in graph):
        raise ValueError("it annotates quantized tensors, which the exporter does not")
    count = sum(number == 1 for number, _ in graph)
    if count > _MOST_NODES:
        raise ValueError(f"it has {count} operators, at most {_MOST_NODES} are taken")
    constants = _by_name("constants", (_tensor(value, folder) for value in _messages(graph, 5)))
    nodes = tuple(_node(value) for value in _messages(graph, 1))
    inputs, outputs = (
        _by_name(what, (_described(value) for value in _messages(graph, number)))
        for what, number in (("inputs", 11), ("outputs", 12))
    )
    return Model(opsets[0][1], nodes, constants, inputs, outputs)


def _by_name(what: str, items: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in items:
        if name in found or not name:
            raise ValueError(f"two {what} have the name {name!r:.80}" if name else f"one of the {what} has no name")
        found[name] = item
    return found


def _described(fields: Message) -> tuple[str, Described]:
    name = _text(_bytes(fields, 1, b""))
    tensor = next((inner for kind in _messages(fields, 2) for inner in _messages(kind, 1)), [])
    sides = [side for shape in _messages(tensor, 2) for side in _messages(shape, 1)]
    for side in sides:
        if {1, 2} <= {number for number, _ in side}:  # of the two, parsers take the last
            raise ValueError(f"{name!r:.80} has a side with a length and a name")
    lengths = (_signed(_number(side, 1)) if any(number == 1 for number, _ in side) else None for side in sides)
    return name, Described(_number(tensor, 1), tuple(lengths))


def _node(fields: Message) -> Node:
    if any(_bytes(fields, 8, b"")):
        raise ValueError("an operator is overloaded, which functions alone are")
    operator = _text(_bytes(fields, 4, b""))
    attributes = _by_name(f"attributes of {operator}", (_attribute(value) for value in _messages(fields, 5)))
    inputs, outputs = (tuple(_text(name) for name in _all_bytes(fields, number)) for number in (1, 2))
    return Node(operator, inputs, outputs, attributes)


def _attribute(fields: Message) -> tuple[str, Any]:
    name, kind = _text(_bytes(fields, _NAME, b"")), _number(fields, _TYPE)
    field = _VALUES.get(kind)
    if field is None:
        raise ValueError(f"the attribute {name!r:.80} is of the type {kind}, which is not in use")
    if not {number for number, _ in fields} <= {_NAME, _DOC, _TYPE, field}:
        raise ValueError(f"the attribute {name!r:.80} has values of more than one type")
    if kind == _FLOAT:
        return name, struct.unpack("<f", _bytes(fields, field, bytes(4)))[0]
    if kind == _INT:
        return name, _signed(_number(fields, field))
    if kind == _STRING:
        return name, _bytes(fields, field, b"")
    return name, tuple(_signed(value) for value in _numbers(fields, field, name))


def _tensor(fields: Message, folder: Path) -> tuple[str, Constant]:
    name, dtype = _text(_bytes(fields, 8, b"")), _number(fields, 2)
    shape = tuple(_signed(side) for side in _numbers(fields, 1, name))
    if dtype not in BYTES or any(side < 0 for side in shape) or len(shape) > _MOST_AXES:
        raise ValueError(f"the constant {name!r:.80} is of the type {dtype} and shape {shape!r:.80}")
    constant = Constant(dtype, shape)
    followed = dtype in INTEGERS and prod(shape) <= MOST_FOLLOWED
    places = list(_messages(fields, _PLACES))
    holds = {number for number, _ in fields} & {4, 5, 6, 7, _RAW, 10, 11, _PLACES}
    if len(holds) > 1 or not holds <= {_RAW, _PLACES, _LISTS[dtype]}:
        raise ValueError(f"the constant {name!r:.80} has its values more than once, or as those of another type")
    if _number(fields, _LOCATION) != bool(places):
        raise ValueError(f"the constant {name!r:.80} says that its values lie here and elsewhere")
    if places:
        raw = _from_place(name, external_data(places), folder, constant.bytes, whole=followed)
    elif _RAW in holds:
        raw = _bytes(fields, _RAW, b"")
    else:
        raw = _from_list(fields, name, constant)
    if raw is not None and len(raw) != constant.bytes:
        raise ValueError(f"the constant {name!r:.80} has {len(raw)} bytes, expected {constant.bytes}")
    if raw is None or not followed:
        return name, constant
    if dtype == BOOL and raw.strip(b"\0\1"):
        raise ValueError(f"the constant {name!r:.80} has values beyond its type")
    return name, Constant(dtype, shape, np.frombuffer(raw, INTEGERS[dtype]).reshape(shape))


def _from_list(fields: Message, name: str, constant: Constant) -> bytes:
    """The bytes of values that stand one by one, or packed."""
    number = _LISTS[constant.dtype]
    if constant.dtype == FLOAT:
        return b"".join(_all_bytes(fields, number))
    values = [_signed(value) for value in _numbers(fields, number, name)]
    kind = INTEGERS.get(constant.dtype, "<u2")  # of 16-bit floats the bits
    try:
        integers = np.array(values, np.int64).astype(kind)
    except OverflowError as error:
        raise ValueError(f"the constant {name!r:.80} has values beyond its type") from error
    if integers.tolist() != values:
        raise ValueError(f"the constant {name!r:.80} has values beyond its type")
    return integers.tobytes()


def _from_place(name: str, said: dict[bytes, bytes], folder: Path, size: int, *, whole: bool) -> bytes | None:
    """A constant's bytes, by the file's `external_data`, if they are looked at; that file holds them whole."""
    offset, length = said.get(b"offset", b"0"), said.get(b"length", b"%d" % size)
    path = folder / said.get(b"location", b"").decode("ascii")
    if not (offset.isdigit() and length.isdigit() and len(offset) < 20 and len(length) < 20):
        raise ValueError(f"the constant {name!r:.80} lies at {offset!r:.40}, {length!r:.40} bytes")
    if int(length) != size or int(offset) + size > path.stat().st_size:
        raise ValueError(f"the constant {name!r:.80} lies outside of {path.name}")
    if not whole:
        return None
    with path.open("rb") as file:
        file.seek(int(offset))
        return file.read(size)


def _messages(fields: Message, number: int) -> Iterator[Message]:
    return (value for found, value in fields if found == number and isinstance(value, list))


def _all_bytes(fields: Message, number: int) -> Iterator[bytes]:
    return (value for found, value in fields if found == number and isinstance(value, bytes))


def _bytes(fields: Message, number: int, default: bytes) -> bytes:
    for found, value in fields:
        if found == number and isinstance(value, bytes):
            return value
    return default


def _number(fields: Message, number: int) -> int:
    for found, value in fields:
        if found == number and isinstance(value, int):
            return value
    return 0


def _numbers(fields: Message, number: int, name: str) -> list[int]:
    """Of a field that repeats: one by one, or packed."""
    found = [value for at, value in fields if at == number]
    if sum(map(_length, found)) > 10 * _MOST_LISTED:
        raise ValueError(f"{name!r:.80} lists more than {_MOST_LISTED} numbers")
    numbers: list[int] = []
    for value in found:
        if isinstance(value, bytes):
            at = 0
            while at < len(value):
                unpacked, at = varint(value, at)
                numbers.append(unpacked)
        elif isinstance(value, int):
            numbers.append(value)
    return numbers


def _length(value: Value) -> int:
    return 1 if isinstance(value, int) else len(value)


def _signed(value: int) -> int:
    """Of a varint below 2^64 the integer of 64 bits that it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the name {value!r:.80} is no UTF-8") from error
    if _NO_TEXT.search(text):
        raise ValueError(f"the name {text!r:.80} holds control characters")
    return text
