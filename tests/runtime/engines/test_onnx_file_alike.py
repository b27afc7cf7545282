"""The table of our ONNX reader is ONNX's own, and what it accepts of any bytes, protobuf reads alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx
import pytest
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto

from clipspect.engines.onnx_file import TABLE, external_locations
from support.onnx_models import (
    ENTRY,
    EVIL,
    EVIL_VALUE,
    GOOD,
    WITH_GOOD,
    add_graph,
    everywhere,
    field,
    judged,
    model_of,
    weights_in,
)

PAGE = Path(__file__).parents[3] / "docs/bundle-format.md"


MESSAGES: dict[str, type[Message]] = {
    "model": ModelProto,
    "graph": GraphProto,
    "node": NodeProto,
    "attribute": onnx.AttributeProto,
    "sparse": onnx.SparseTensorProto,
    "tensor": TensorProto,
    "opset": onnx.OperatorSetIdProto,
    "value": onnx.ValueInfoProto,
    "type": onnx.TypeProto,
    "shaped": onnx.TypeProto.Tensor,
    "shape": onnx.TensorShapeProto,
    "side": onnx.TensorShapeProto.Dimension,
    "entry": StringStringEntryProto,
    "external": StringStringEntryProto,
}
LEFT_OUT = {("model", 20), ("model", 25), ("model", 26), ("node", 10), ("tensor", 3)}
LEFT_OUT |= {("type", number) for number in (4, 5, 7, 8, 9)}  # lists, maps, sparse tensors ...
LETTER = {1: "D", 2: "F", 3: "V", 4: "V", 5: "V", 9: "B", 11: "B", 12: "B", 14: "V"}  # by protobuf's type


def rows(text: str) -> dict[int, str]:
    return {int(number): rest for number, rest in re.findall(r"(\d+)\s?([VDBF]\*?)", text)}


def _repeats(item: Any) -> bool:
    """Protobuf 6 has a name of its own for it, and 7 no other."""
    return bool(item.is_repeated) if hasattr(item, "is_repeated") else item.label == item.LABEL_REPEATED


@pytest.mark.parametrize("message", MESSAGES)
def test_the_table_is_onnxs_own_schema(message: str) -> None:
    expected = {
        item.number: LETTER[item.type] + ("*" if _repeats(item) else "")
        for item in MESSAGES[message].DESCRIPTOR.fields
        if (message, item.number) not in LEFT_OUT
    }
    assert rows(TABLE[message]) == expected


@pytest.mark.parametrize("message", [name for name in TABLE if name != "external"])
def test_the_page_has_the_table(message: str) -> None:
    (row,) = re.findall(rf"^\| {message} \| (\d.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows(row.replace("\\", "")) == rows(TABLE[message])


SEEDS = [everywhere().SerializeToString(), WITH_GOOD, model_of(add_graph(weights_in(GOOD))).SerializeToString()]
fields = st.builds(
    field,
    st.integers(0, 30),
    st.sampled_from([b"", b"x", EVIL_VALUE, ENTRY, weights_in(EVIL).SerializeToString(), b"\x00", b"location"]),
    high=st.sampled_from([0, 0, 0, 1 << 29, 1 << 32, 5 << 32, 1 << 63]),
    key_length=st.integers(1, 6),
    size_length=st.integers(1, 6),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A model in which a few bytes are other ones, left out, repeated or pushed in."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 40)))
        new = draw(st.binary(max_size=3) | fields | st.just(data[at:end] * 2) | st.just(b""))
        data = data[:at] + new + data[end if draw(st.booleans()) else at :]
    return data


@settings(max_examples=3000)
@given(mutated() | st.binary(max_size=40))
def test_what_is_accepted_protobuf_reads_alike(data: bytes) -> None:
    try:
        ours = external_locations(data)
    except ValueError:
        return
    try:
        model = onnx.load_from_string(data)
    except DecodeError:
        return  # an engine refuses it as well
    assert set(judged(model)) == ours
    assert len(UnknownFieldSet(model)) == len(UnknownFieldSet(model.graph)) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_onnx_writes_is_accepted(seed: bytes) -> None:
    model = onnx.load_from_string(seed)
    assert external_locations(model.SerializeToString()) == set(judged(model)) != set()
