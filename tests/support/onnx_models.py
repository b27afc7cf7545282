"""ONNX models with weights in other files, as exporters write them and as nobody should."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import Message
from onnx import GraphProto, ModelProto, StringStringEntryProto, TensorProto, helper

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


def judged(message: Message) -> Iterator[str]:
    """Every location in what protobuf's parser made of a model, by its own descriptors."""
    for item, value in message.ListFields():
        if item.type == item.TYPE_MESSAGE:
            for part in value if hasattr(value, "__len__") else [value]:
                yield from judged(part)
    if isinstance(message, TensorProto):
        yield from (entry.value for entry in message.external_data if entry.key == "location")
