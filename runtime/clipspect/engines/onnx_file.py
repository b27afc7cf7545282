"""The little of the ONNX format that must be known before an engine opens a file: where its weights lie.

ONNX is protobuf; a message is a run of fields, each a key (number, wire type) and a value. Nothing but the path from
the model to its tensors is followed (field numbers from onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterator

Field = tuple[int, "bytes | int"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# (message, field number) to the message inside; the others are not followed
_INSIDE = {
    ("model", 7): "graph",
    ("model", 25): "function",
    ("function", 7): "node",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse",
    ("sparse", 1): "tensor",
    ("sparse", 2): "tensor",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse",
    ("attribute", 23): "sparse",
    ("tensor", 13): "entry",
}
_DEEPEST = 64  # messages inside each other


def external_locations(model: bytes) -> set[str]:
    """The files, as the model names them, that an engine reads weights from. Raises ValueError for what is no model."""
    return set(_locations(model, "model", 0))


def _locations(message: bytes, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("messages are nested too deeply")
    fields = list(_fields(message))
    if kind == "entry":
        entry = dict(fields)
        if entry.get(1) == b"location":
            value = entry.get(2, b"")
            yield value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else repr(value)
        return
    for number, value in fields:
        inside = _INSIDE.get((kind, number))
        if inside is not None and isinstance(value, bytes):
            yield from _locations(value, inside, depth + 1)


def _fields(message: bytes) -> Iterator[Field]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} is not in use")
        if at + size > len(message):
            raise ValueError("a field is cut short")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is cut short")
