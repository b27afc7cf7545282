"""What our reader accepts of an ONNX file, protobuf's parsers read alike; the engines' own parsers are the judges."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, helper

from clipspect.engines.onnx_file import TABLE, external_locations
from support import handmade_graphs

PAGE = Path(__file__).parents[3] / "docs/bundle-format.md"
GOOD, EVIL = "good.bin", "evil.bin"
VARINT, BYTES = 0, 2


def varint(number: int, length: int = 1) -> bytes:
    """As short as it can be, but of that many bytes at least."""
    parts = []
    while number or len(parts) < length:
        parts.append(number & 0x7F)
        number >>= 7
    return bytes([*(part | 0x80 for part in parts[:-1]), parts[-1]])


def field(number: int, payload: bytes, *, high: int = 0, key_length: int = 1, size_length: int = 1) -> bytes:
    return varint(high | number << 3 | BYTES, key_length) + varint(len(payload), size_length) + payload


def weights_in(location: str, name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def add_graph(tensor: TensorProto) -> GraphProto:
    """y = x + w."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    return helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", values[:1], values[1:], [tensor])


def model_of(graph: GraphProto) -> ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def with_entry(entry: bytes) -> bytes:
    """The model whose tensor's only entry of external data is these bytes."""
    model = model_of(add_graph(weights_in(GOOD)))
    tensor = TensorProto()
    tensor.CopyFrom(model.graph.initializer[0])
    del tensor.external_data[:]
    del model.graph.initializer[:]
    graph = model.graph.SerializeToString() + field(5, tensor.SerializeToString() + field(13, entry))
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph)


ENTRY = StringStringEntryProto(key="location", value=GOOD).SerializeToString()
KEY = field(1, b"location")
WITH_GOOD = with_entry(ENTRY)
EVIL_VALUE = EVIL.encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.array([1], np.float32).tofile(tmp_path / GOOD)
    np.array([666], np.float32).tofile(tmp_path / EVIL)
    return tmp_path


def onnxruntimes_weight(folder: Path, data: bytes) -> float:
    """Of the file that onnxruntime reads."""
    (folder / "model.onnx").write_bytes(data)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return float(session.run(None, {"x": np.zeros(1, np.float32)})[0][0])


def openvinos_weight(folder: Path, data: bytes) -> float:
    import openvino

    (folder / "model.onnx").write_bytes(data)
    return float(openvino.Core().compile_model(folder / "model.onnx", "CPU")([np.zeros(1, np.float32)])[0][0])


WEIGHTS = [onnxruntimes_weight, openvinos_weight]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_what_is_accepted_is_what_an_engine_reads(folder: Path, weight: Callable[[Path, bytes], float]) -> None:
    for location, value in ((GOOD, 1.0), (EVIL, 666.0)):
        data = model_of(add_graph(weights_in(location))).SerializeToString()
        assert external_locations(data) == {location}
        assert weight(folder, data) == value


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize(
    "entry",
    [
        ENTRY + field(2, EVIL_VALUE, high=1 << 32),  # a key of 33 bits, of which they take 32: the value again
        ENTRY + field(2, EVIL_VALUE, high=7 << 32),
        ENTRY + field(2, EVIL_VALUE),  # the last value wins
        ENTRY + field(2, EVIL_VALUE, key_length=2),
        ENTRY + field(2, EVIL_VALUE, key_length=5),
        ENTRY + field(2, EVIL_VALUE, size_length=2),
        StringStringEntryProto(key="location", value=f"./{EVIL}").SerializeToString(),
        StringStringEntryProto(key="location", value=f"x/../{EVIL}").SerializeToString(),
    ],
)
def test_what_engines_read_evil_weights_from_is_refused(
    folder: Path, weight: Callable[[Path, bytes], float], entry: bytes
) -> None:
    (folder / "x").mkdir()
    assert weight(folder, with_entry(entry)) == 666.0
    with pytest.raises(ValueError, match=r"twice|shortest|not in use|no plain file name"):
        external_locations(with_entry(entry))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY + field(0, b"x"), "external: field 0 of wire type 2 is not in use"),
        (ENTRY + field(2, EVIL_VALUE, high=1 << 63), "not in use"),
        (ENTRY + field(2, EVIL_VALUE, key_length=6), "not in its shortest form"),
        (KEY + field(2, EVIL_VALUE, size_length=10), "not in its shortest form"),
        (KEY + varint(2 << 3 | BYTES) + varint(1 << 64) + b"x", "not in its shortest form"),
        (KEY + varint(2 << 3 | BYTES) + varint(1 << 70) + b"x", "a number is cut short"),
        (ENTRY + varint(3 << 3 | 3) + field(2, EVIL_VALUE) + varint(3 << 3 | 4), "field 3 of wire type 3 is not"),
        (ENTRY + varint(2 << 3 | 6), "field 2 of wire type 6 is not in use"),
        (ENTRY + varint(2 << 3 | 7), "field 2 of wire type 7 is not in use"),
        (ENTRY + varint(2 << 3 | VARINT) + varint(5), "field 2 of wire type 0 is not in use"),
        (ENTRY + field(3, b"x"), "field 3 of wire type 2 is not in use"),
        (KEY + varint(2 << 3 | BYTES) + varint(9) + b"x", "cut short"),
        (ENTRY + b"\x80", "a number is cut short"),
        (KEY, "without a value"),
        (field(2, EVIL_VALUE), "external data with the key ''"),
        (field(1, b"basepath") + field(2, b"/etc"), "external data with the key 'basepath'"),
        (field(1, b"offset") + field(2, b"0"), "reads its weights from ''"),
    ],
)
def test_an_entry_that_no_exporter_writes_is_refused(entry: bytes, message: str) -> None:
    assert external_locations(WITH_GOOD) == {GOOD}
    with pytest.raises(ValueError, match=message):
        external_locations(with_entry(entry))


@pytest.mark.parametrize(
    "location",
    [
        "",
        ".",
        "..",
        "../good.bin",
        "/etc/passwd",
        "./good.bin",
        "a/good.bin",
        "a\\good.bin",
        "C:good.bin",
        "good.bin\0x",
        "good.bin\n",
        " good.bin",
        "gööd.bin",
        "-good.bin",
        ".good.bin",
        "*/_ORT_MEM_ADDR_/*",
    ],
)
def test_weights_lie_beside_the_graph_under_a_plain_name(location: str) -> None:
    with pytest.raises(ValueError, match="no plain file name"):
        external_locations(model_of(add_graph(weights_in(location))).SerializeToString())


def test_a_tensor_that_names_two_files_is_refused() -> None:
    tensor = weights_in(GOOD)
    tensor.external_data.add(key="location", value=EVIL)  # OpenVINO takes this one
    with pytest.raises(ValueError, match="says one thing twice"):
        external_locations(model_of(add_graph(tensor)).SerializeToString())


def test_offset_length_and_checksum_are_no_files() -> None:
    tensor = weights_in(GOOD)
    for key in ("offset", "length", "checksum"):
        tensor.external_data.add(key=key, value="0")
    assert external_locations(model_of(add_graph(tensor)).SerializeToString()) == {GOOD}


def test_graphs_that_protobuf_would_merge_are_refused() -> None:
    data = model_of(add_graph(weights_in(GOOD))).SerializeToString()
    merged = data + field(7, GraphProto(initializer=[weights_in(EVIL)]).SerializeToString())
    assert set(judged(onnx.load_from_string(merged))) == {GOOD, EVIL}
    with pytest.raises(ValueError, match="model: field 7 is there twice"):
        external_locations(merged)


def test_tensors_that_protobuf_would_merge_are_refused() -> None:
    node = helper.make_node("Constant", [], ["w"], value=weights_in(GOOD)).SerializeToString()
    attribute = NodeProto.FromString(node).attribute[0].SerializeToString()
    other = field(5, weights_in(EVIL).SerializeToString())
    for data, message in ((attribute, None), (attribute + other, "attribute: field 5 is there twice")):
        graph = field(1, NodeProto(op_type="Constant", output=["w"]).SerializeToString() + field(5, data))
        model = field(7, graph)
        if message is None:
            assert external_locations(model) == {GOOD}
            continue
        assert set(judged(onnx.load_from_string(model))) == {GOOD, EVIL}
        with pytest.raises(ValueError, match=message):
            external_locations(model)


def everywhere() -> ModelProto:
    """A model with external data in every place that holds a tensor."""
    sparse = onnx.SparseTensorProto(values=weights_in("b"), indices=weights_in("c"), dims=[4])
    branch = add_graph(weights_in("d"))
    attributes = [
        onnx.AttributeProto(name="t", type=onnx.AttributeProto.TENSOR, t=weights_in("e")),
        onnx.AttributeProto(name="ts", type=onnx.AttributeProto.TENSORS, tensors=[weights_in("f"), weights_in("g")]),
        onnx.AttributeProto(name="g", type=onnx.AttributeProto.GRAPH, g=branch),
        onnx.AttributeProto(name="gs", type=onnx.AttributeProto.GRAPHS, graphs=[add_graph(weights_in("h"))]),
        onnx.AttributeProto(name="s", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse),
        onnx.AttributeProto(name="i", type=onnx.AttributeProto.INT, i=-1),
        onnx.AttributeProto(name="fs", type=onnx.AttributeProto.FLOATS, floats=[0.5, 1.5]),
        onnx.AttributeProto(name="is", type=onnx.AttributeProto.INTS, ints=[1, -2]),
    ]
    graph = add_graph(weights_in("a"))
    graph.node[0].attribute.extend(attributes)
    graph.sparse_initializer.append(onnx.SparseTensorProto(values=weights_in("i"), indices=weights_in("j"), dims=[4]))
    graph.initializer.append(TensorProto(name="p", data_type=TensorProto.DOUBLE, dims=[2], double_data=[1, 2]))
    graph.initializer.append(TensorProto(name="q", data_type=TensorProto.INT64, dims=[2], int64_data=[1, -2]))
    model = model_of(graph)
    model.metadata_props.add(key="location", value="not weights")
    return model


def test_every_tensor_is_found_wherever_it_lies() -> None:
    assert external_locations(everywhere().SerializeToString()) == set("abcdefghij")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.functions.add(name="f"), "model: field 25 of wire type 2"),
        (lambda model: model.training_info.add(), "model: field 20 of wire type 2"),
        (lambda model: model.ClearField("graph"), "has no graph"),
        (
            lambda model: model.graph.node.add(op_type="EPContext", domain="com.microsoft"),
            "operator of 'com.microsoft'",
        ),
        (lambda model: model.graph.node.add(op_type="X", domain="org.openvinotoolkit"), "operator of 'org.openvino"),
    ],
)
def test_what_could_read_other_files_is_refused(change: Callable[[ModelProto], Any], message: str) -> None:
    model = everywhere()
    external_locations(model.SerializeToString())
    change(model)
    with pytest.raises(ValueError, match=message):
        external_locations(model.SerializeToString())


def test_the_standard_domain_has_two_names() -> None:
    model = model_of(add_graph(weights_in(GOOD)))
    model.graph.node[0].domain = "ai.onnx"
    assert external_locations(model.SerializeToString()) == {GOOD}


@pytest.mark.parametrize("depth", [10, 1000])
def test_graphs_inside_each_other_end_somewhere(depth: int) -> None:
    data = add_graph(weights_in(GOOD)).SerializeToString()
    for _ in range(depth):
        data = field(1, field(5, field(6, data)))
    if depth == 10:
        assert external_locations(field(7, data)) == {GOOD}
        return
    with pytest.raises(ValueError, match="nested too deeply"):
        external_locations(field(7, data))


def test_handmade_graphs_have_no_weights_elsewhere() -> None:
    for graph in (handmade_graphs.brightness(32, 4), handmade_graphs.colours(32, 4), handmade_graphs.word_sums()):
        assert external_locations(graph) == set()


MESSAGES: dict[str, type[Message]] = {
    "model": ModelProto,
    "graph": GraphProto,
    "node": NodeProto,
    "attribute": onnx.AttributeProto,
    "sparse": onnx.SparseTensorProto,
    "tensor": TensorProto,
    "entry": StringStringEntryProto,
    "external": StringStringEntryProto,
}
LEFT_OUT = {("model", 20), ("model", 25), ("model", 26), ("node", 10), ("tensor", 3)}
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


def judged(message: Message) -> Iterator[str]:
    """Every location in what protobuf's parser made of a model, by its own descriptors."""
    for item, value in message.ListFields():
        if item.type == item.TYPE_MESSAGE:
            for part in value if hasattr(value, "__len__") else [value]:
                yield from judged(part)
    if isinstance(message, TensorProto):
        yield from (entry.value for entry in message.external_data if entry.key == "location")


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


@settings(max_examples=3000, deadline=None)
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
