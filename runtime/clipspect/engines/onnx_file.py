"""How an ONNX file is read before an engine opens it, and which other files it reads.

ONNX is protobuf; a message is a run of fields, each a key (number, wire type) and a value. Protobuf's readers are
lenient, each in its own way: two of them can see two models in the same bytes. So what no exporter writes is refused
here, and what is left reads the same everywhere. Specified in docs/bundle-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRES = {"V": _VARINT, "D": _FIXED64, "B": _BYTES, "F": _FIXED32}
# By message, its fields in onnx.proto (of ONNX 1.18 and later): the number; the wire type; * where it repeats; the
# message inside, where that is read. Functions (25 of a model) and training information (20) are left out: no exporter
# of ours writes them, and they hold tensors of their own. So are types other than tensors'.
TABLE = {
    "model": "1V 2B 3B 4B 5V 6B 7B=graph 8B*=opset 14B*=entry",
    "graph": "1B*=node 2B 5B*=tensor 10B 11B*=value 12B*=value 13B* 14B* 15B*=sparse 16B*=entry",
    "node": "1B* 2B* 3B 4B 5B*=attribute 6B 7B 8B 9B*=entry",
    "attribute": "1B 2F 3V 4B 5B=tensor 6B=graph 7F* 8V* 9B* 10B*=tensor 11B*=graph 13B 14B 15B* 20V 21B 22B=sparse "
    "23B*=sparse",
    "sparse": "1B=tensor 2B=tensor 3V*",
    "tensor": "1V* 2V 4F* 5V* 6B* 7V* 8B 9B 10D* 11V* 12B 13B*=external 14V 16B*=entry",
    "opset": "1B 2V",
    "value": "1B 2B=type 3B 4B*=entry",
    "type": "1B=shaped 6B",
    "shaped": "1V 2B=shape",
    "shape": "1B*=side",
    "side": "1V 2B 3B",
    "entry": "1B 2B",
    "external": "1B 2B",
}
_ROW = re.compile(r"(\d+)([VDBF])(\*?)(?:=(\w+))?")
_DEEPEST = 64  # messages inside each other
_MOST_BYTES = 1 << 26  # of the file; weights lie elsewhere, and the largest that the exporter writes has 1 MB
_MOST_FIELDS = 1 << 18  # that is read of it; the same has 40,000
_LARGEST = 1 << 64
_EXTERNAL_KEYS = frozenset({b"location", b"offset", b"length", b"checksum"})
_LOCATION = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_WITH_TENSORS = frozenset({"graph", "node", "attribute", "sparse", "tensor"})
_STANDARD = (b"", b"ai.onnx")  # domains of operators


class _Field(NamedTuple):
    number: int
    wire: int
    repeats: bool
    inside: str | None
    is_domain: bool  # of an operator


def _fields(message: str) -> dict[int, _Field]:
    """What a message can have, by the key that stands before it."""
    fields = {}
    for number, letter, repeats, inside in _ROW.findall(TABLE[message]):
        # numbers that repeat follow each other under one key, too: packed
        for wire in {_WIRES[letter], _BYTES} if repeats else {_WIRES[letter]}:
            is_domain = message == "node" and number == "7"
            fields[int(number) << 3 | wire] = _Field(int(number), wire, bool(repeats), inside or None, is_domain)
    return fields


_FIELDS = {message: _fields(message) for message in TABLE}

Value: TypeAlias = "int | bytes | Message"
Message: TypeAlias = (
    "list[tuple[int, Value]]"  # the fields in their order: the number; a message that is in TABLE as one
)


def external_locations(model: bytes) -> set[str]:
    """The files beside the model that an engine reads weights from. Raises ValueError as `read_file` does."""
    return locations_of(read_file(model))


def read_file(data: bytes) -> Message:
    """The whole file, as every parser must read it.

    Raises ValueError for what is no model, and for one in which parsers can differ.
    """
    if len(data) > _MOST_BYTES:
        raise ValueError(f"{len(data)} bytes besides its weights, at most {_MOST_BYTES} are read")
    fields = _Reader().message(data, "model", 1)
    if not any(number == 7 for number, _ in fields):
        raise ValueError("it has no graph")
    return fields


def read_message(data: bytes, message: str) -> list[tuple[int, int | bytes]]:
    """One message of a file that was read, the messages in it as their bytes. Raises ValueError."""
    fields = _Reader(whole=False).message(data, message, 1)
    return [(number, value) for number, value in fields if not isinstance(value, list)]


def locations_of(model: Message) -> set[str]:
    """The same of a file that was read. Raises ValueError for a location that is no plain file name."""
    return set(_locations(model, "model"))


def _locations(fields: Message, message: str) -> Iterator[str]:
    entries = []
    for number, value in fields:
        if isinstance(value, list):
            inside = _FIELDS[message][number << 3 | _BYTES].inside
            if inside == "external":
                entries.append(value)
            elif inside in _WITH_TENSORS:
                yield from _locations(value, inside)
    if entries:
        yield _location(entries)


def _location(entries: list[Any]) -> str:
    """Where a tensor's values lie, of its `external_data`."""
    location = external_data(entries).get(b"location", b"")
    if not _LOCATION.fullmatch(location):
        raise ValueError(f"reads its weights from {_shown(location)}, which is no plain file name beside it")
    return location.decode("ascii")


def external_data(entries: list[Any]) -> dict[bytes, bytes]:
    """What a tensor's `external_data` says, by its keys. Raises ValueError where that is not said once and clearly."""
    pairs: list[dict[int, bytes]] = [dict(entry) for entry in entries]
    keys = [pair.get(1, b"") for pair in pairs]
    for key, pair in zip(keys, pairs):
        if key not in _EXTERNAL_KEYS or 2 not in pair:
            raise ValueError(f"external data with the key {_shown(key)}, or without a value")
    if len(set(keys)) != len(keys):
        raise ValueError("external data that says one thing twice")
    return {key: pair[2] for key, pair in zip(keys, pairs)}


class _Reader:
    """Reads messages, and those in them if it is to be the whole; counts the fields of all."""

    def __init__(self, *, whole: bool = True) -> None:
        self._whole = whole
        self._left = _MOST_FIELDS

    def message(self, data: bytes, message: str, depth: int) -> Message:
        """A message's fields. Raises ValueError for what no exporter writes."""
        if depth > _DEEPEST:
            raise ValueError("messages are nested too deeply")
        known, at, end = _FIELDS[message], 0, len(data)
        fields: Message = []
        once: set[int] = set()
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"more than {_MOST_FIELDS} fields")
            key, at = varint(data, at)
            field = known.get(key)
            if field is None:
                raise ValueError(f"{message}: field {key >> 3} of wire type {key & 7} is not in use")
            if not field.repeats:
                if key in once:
                    raise ValueError(f"{message}: field {field.number} is there twice")
                once.add(key)
            if field.wire == _VARINT:
                value, at = varint(data, at)
                fields.append((field.number, value))
                continue
            size, at = varint(data, at) if field.wire == _BYTES else (4 if field.wire == _FIXED32 else 8, at)
            if size > end - at:
                raise ValueError("a field is cut short")
            fields.append((field.number, self._value(data[at : at + size], field, depth)))
            at += size
        return fields

    def _value(self, data: bytes, field: _Field, depth: int) -> Value:
        if field.inside is not None and self._whole:
            return self.message(data, field.inside, depth + 1)
        if field.is_domain and data not in _STANDARD:
            raise ValueError(f"an operator of {_shown(data)}, only standard ones are in use")
        return data


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    if at < len(data) and (byte := data[at]) < 0x80:  # most have one byte
        return byte, at + 1
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift > 0) or value >= _LARGEST:
                raise ValueError("a number is not in its shortest form")
            return value, at
    raise ValueError("a number is cut short")


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "backslashreplace"))[:120]
