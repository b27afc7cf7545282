"""How an ONNX file is read before an engine opens it, and which other files it reads.

ONNX is protobuf; a message is a run of fields, each a key (number, wire type) and a value. Protobuf's readers are
lenient, each in its own way: two of them can see two models in the same bytes. So what no exporter writes is refused
here, and what is left reads the same everywhere. Specified in docs/bundle-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRES = {"V": _VARINT, "D": _FIXED64, "B": _BYTES, "F": _FIXED32}
# By message, its fields in onnx.proto (of ONNX 1.18 and later): the number; the wire type; * where it repeats; the
# message inside, where that is read. Functions (25 of a model) and training information (20) are left out: no exporter
# of ours writes them, and they hold tensors of their own.
TABLE = {
    "model": "1V 2B 3B 4B 5V 6B 7B=graph 8B* 14B*=entry",
    "graph": "1B*=node 2B 5B*=tensor 10B 11B* 12B* 13B* 14B* 15B*=sparse 16B*=entry",
    "node": "1B* 2B* 3B 4B 5B*=attribute 6B 7B=domain 8B 9B*=entry",
    "attribute": "1B 2F 3V 4B 5B=tensor 6B=graph 7F* 8V* 9B* 10B*=tensor 11B*=graph 13B 14B 15B* 20V 21B 22B=sparse "
    "23B*=sparse",
    "sparse": "1B=tensor 2B=tensor 3V*",
    "tensor": "1V* 2V 4F* 5V* 6B* 7V* 8B 9B 10D* 11V* 12B 13B*=external 14V 16B*=entry",
    "entry": "1B 2B",
    "external": "1B 2B",
}
_ROW = re.compile(r"(\d+)([VDBF])(\*?)(?:=(\w+))?")
_DEEPEST = 64  # messages inside each other
_LARGEST_KEY, _LARGEST = 1 << 32, 1 << 64
_EXTERNAL_KEYS = frozenset({b"location", b"offset", b"length", b"checksum"})
_LOCATION = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_STANDARD = (b"", b"ai.onnx")  # domains of operators


@dataclass(frozen=True)
class _Field:
    wire: int
    repeats: bool
    inside: str | None

    def takes(self, wire: int) -> bool:
        packed = self.repeats and wire == _BYTES  # numbers that follow each other under one key
        return wire == self.wire or packed


def _fields(rows: str) -> dict[int, _Field]:
    found = _ROW.findall(rows)
    return {int(number): _Field(_WIRES[wire], bool(repeats), inside or None) for number, wire, repeats, inside in found}


_FIELDS = {message: _fields(rows) for message, rows in TABLE.items()}
_FIELDS["opset"] = _fields("1B 2V")  # read by `onnx_model` alone

Message = list[tuple[int, "int | bytes"]]  # its fields in their order: the number, the value


def external_locations(model: bytes) -> set[str]:
    """The files beside the model that an engine reads weights from.

    Raises ValueError for what is no model, and for one in which parsers can differ or that can read other files.
    """
    fields = read_message(model, "model", 1)
    if not any(number == 7 for number, _ in fields):
        raise ValueError("it has no graph")
    return set(_locations(fields, "model", 1))


def _locations(fields: Message, message: str, depth: int) -> Iterator[str]:
    entries = []
    for number, value in fields:
        inside = _FIELDS[message][number].inside
        if isinstance(value, int):
            continue
        if inside == "domain":
            if value not in _STANDARD:
                raise ValueError(f"an operator of {_shown(value)}, only standard ones are in use")
        elif inside is not None:
            contents = read_message(value, inside, depth + 1)
            if inside == "external":
                entries.append(contents)
            else:
                yield from _locations(contents, inside, depth + 1)
    if entries:
        yield _location(entries)


def _location(entries: list[Message]) -> str:
    """Where a tensor's values lie, of its `external_data`."""
    location = external_data(entries).get(b"location", b"")
    if not _LOCATION.fullmatch(location):
        raise ValueError(f"reads its weights from {_shown(location)}, which is no plain file name beside it")
    return location.decode("ascii")


def external_data(entries: list[Message]) -> dict[bytes, bytes]:
    """What a tensor's `external_data` says, by its keys. Raises ValueError where that is not said once and clearly."""
    pairs: list[dict[int, bytes]] = [
        {number: value for number, value in entry if isinstance(value, bytes)} for entry in entries
    ]
    keys = [pair.get(1, b"") for pair in pairs]
    for key, pair in zip(keys, pairs):
        if key not in _EXTERNAL_KEYS or 2 not in pair:
            raise ValueError(f"external data with the key {_shown(key)}, or without a value")
    if len(set(keys)) != len(keys):
        raise ValueError("external data that says one thing twice")
    return {key: pair[2] for key, pair in zip(keys, pairs)}


def read_message(data: bytes, message: str, depth: int = 1) -> Message:
    """A message's fields; what is packed, or no number, as bytes. Raises ValueError for what no exporter writes."""
    if depth > _DEEPEST:
        raise ValueError("messages are nested too deeply")
    known, at = _FIELDS[message], 0
    fields: Message = []
    once: set[int] = set()
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        field = known.get(number)
        if key >= _LARGEST_KEY or field is None or not field.takes(wire):
            raise ValueError(f"{message}: field {number} of wire type {wire} is not in use")
        if not field.repeats and number in once:
            raise ValueError(f"{message}: field {number} is there twice")
        once.add(number)
        if wire == _VARINT:
            value, at = varint(data, at)
            fields.append((number, value))
            continue
        size = 4 if wire == _FIXED32 else 8
        if wire == _BYTES:
            size, at = varint(data, at)
        if size > len(data) - at:
            raise ValueError("a field is cut short")
        fields.append((number, data[at : at + size]))
        at += size
    return fields


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
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
