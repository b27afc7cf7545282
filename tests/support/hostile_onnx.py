"""ONNX files that no writer of protobuf writes, byte by byte."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from support.onnx_models import field as _field
from support.onnx_models import varint


def in_graph(*fields: bytes) -> Callable[[bytes], bytes]:
    """The model with more fields in its graph."""

    def spoilt(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        graph = model.graph.SerializeToString() + b"".join(fields)
        model.ClearField("graph")
        return model.SerializeToString() + _field(7, graph)

    return spoilt


def _identity(*names: bytes) -> bytes:
    """An Identity from `scale` to x, whose names are these bytes."""
    return _field(1, _field(1, b"scale") + b"".join(_field(2, name) for name in names) + _field(4, b"Identity"))


_TENSOR = varint(1 << 3) + b"\1" + varint(2 << 3) + b"\1" + _field(9, bytes(4))  # one float
_SIDE = varint(1 << 3) + b"\1" + _field(2, b"N")
FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda data: b"", "no graph"),
    "half of it": (lambda data: data[: len(data) // 2], "cut short|not in use"),
    "a page": (lambda data: b"<html></html>", "not in use"),
    "67 MB of text": (lambda data: data + _field(6, bytes(1 << 26)), "bytes besides its weights"),
    "a million fields": (lambda data: data + _field(14, b"") * 1_100_000, "more than 262144 fields"),
    "a million operators": (in_graph(_identity(b"x") * 100_000), "at most 16384|fields"),
    "a name of no UTF-8": (in_graph(_identity(b"\xff")), "no UTF-8"),
    "a name with a zero": (in_graph(_identity(b"x\0y")), "control characters"),
    "an escape in a name": (in_graph(_identity(b"\x1b[2J")), "control characters"),
    "a constant's name of no UTF-8": (in_graph(_field(5, _TENSOR + _field(8, b"\xc0\x80"))), "no UTF-8"),
    "a type beyond 32 bits": (
        in_graph(_field(5, _field(8, b"w") + varint(2 << 3) + varint((1 << 32) + 1))),
        "the type 4294967297",
    ),
    "a place beyond 32 bits": (
        in_graph(_field(5, _TENSOR + _field(8, b"w") + varint(14 << 3) + varint((1 << 32) + 1))),
        "here and elsewhere",
    ),
    "a side with a length and a name": (
        in_graph(_field(12, _field(1, b"x") + _field(2, _field(1, varint(8) + b"\1" + _field(2, _field(1, _SIDE)))))),
        "a length and a name",
    ),
    "an unknown field in a side": (
        in_graph(_field(12, _field(1, b"x") + _field(2, _field(1, _field(2, _field(1, _field(9, b""))))))),
        "side: field 9",
    ),
    "two types of an input": (
        in_graph(_field(11, _field(1, b"x") + _field(2, b"") * 2)),
        "value: field 2 is there twice",
    ),
    "two versions of an opset": (lambda data: data + _field(8, b"\x10\x12\x10\x13"), "opset: field 2 is there twice"),
    "a key of 33 bits in a constant": (
        in_graph(_field(5, _TENSOR + _field(8, b"w") + varint(1 << 35 | 9 << 3 | 2) + b"\0")),
        "is not in use",
    ),
    "a number of more than 64 bits": (lambda data: data + b"\x28" + b"\xff" * 9 + b"\x7f", "shortest form|cut short"),
    "a constant in another constant": (
        in_graph(_field(5, _TENSOR + _field(8, b"w") + _field(3, b""))),
        "tensor: field 3",
    ),
}
