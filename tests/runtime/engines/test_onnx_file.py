"""What our reader accepts of an ONNX file, protobuf's parsers read alike; the engines' own parsers are the judges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import GraphProto, ModelProto, NodeProto, StringStringEntryProto, helper

from clipspect.engines.onnx_file import external_locations
from support import handmade_graphs
from support.onnx_models import (
    BYTES,
    ENTRY,
    EVIL,
    EVIL_VALUE,
    GOOD,
    KEY,
    VARINT,
    WITH_GOOD,
    add_graph,
    everywhere,
    field,
    judged,
    model_of,
    varint,
    weights_in,
    with_entry,
)


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
