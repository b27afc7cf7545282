"""More graphs that no exporter writes: constants said twice, attributes of other types, inputs that are others."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper

from support.hostile_graphs import DATA_BYTES, FLOAT, INT64, Change, casts, external, graph_of, node, with_constant


def divided_by(*, raw: bytes = b"", listed: tuple[int, ...] = (), places: bool = False, location: int = 0) -> Change:
    """1 over a constant, whose value is said in one place or several."""

    def change(model: ModelProto) -> None:
        graph_of(node("Div", ["i", "w"], ["x"]), i=np.int64([1]))(model)
        tensor = TensorProto(name="w", data_type=INT64, dims=[1], int64_data=listed)
        if raw:
            tensor.raw_data = raw
        if location:
            tensor.data_location = TensorProto.EXTERNAL
        if places:
            tensor.external_data.add(key="location", value="model.onnx.data")
        model.graph.initializer.append(tensor)

    return change


def with_attribute(operator: str, *inputs: str, **members: Any) -> Change:
    """An operator with an attribute that no exporter writes so."""
    return graph_of(
        NodeProto(op_type=operator, input=inputs, output=["x"], attribute=[AttributeProto(**members)]),
        s=np.int64([1]),
    )


def described(name: str, *, elem_type: int = FLOAT, shape: tuple[Any, ...] = ()) -> Change:
    """An input, or an output, as the file describes it."""

    def change(model: ModelProto) -> None:
        values = next(
            values for values in (model.graph.input, model.graph.output) if any(v.name == name for v in values)
        )
        for value in values:
            if value.name == name:
                value.CopyFrom(helper.make_tensor_value_info(name, elem_type, shape))

    return change


def many(count: int) -> list[NodeProto]:
    names = ["scale", *(f"many{at}" for at in range(count))]
    return [node("Identity", [one], [other]) for one, other in itertools.pairwise(names)]


def shared_weights(count: int) -> Change:
    """So many constants of 16 MB, all at one place."""

    def change(model: ModelProto) -> None:
        for at in range(count):
            external()(model)
            model.graph.initializer[-1].name = f"w{at}"
            model.graph.initializer[-1].dims[:] = [DATA_BYTES // 4]

    return change


def unfolded(count: int) -> list[NodeProto]:
    """Constants that an engine computes once, 4 GB each, and keeps; each is used at once."""
    nodes = []
    for at in range(count):
        nodes += [node("Expand", ["scale", "large"], [f"e{at}"]), node("ReduceMax", [f"e{at}"], [f"m{at}"])]
    return nodes


INT, FLOATS = AttributeProto.INT, AttributeProto.FLOATS
MODELS: dict[str, tuple[Change, str]] = {
    "a divisor that is 1 here and 0 elsewhere": (
        divided_by(raw=bytes([1, *bytes(7)]), places=True),
        "here and elsewhere|more than once",
    ),
    "a divisor that is 1 elsewhere and not at all here": (divided_by(places=True), "here and elsewhere"),
    "a divisor that is elsewhere, which is nowhere": (divided_by(raw=bytes(8), location=1), "here and elsewhere"),
    "a divisor that is 1 as bytes and 0 as a number": (
        divided_by(raw=bytes([1, *bytes(7)]), listed=(0,)),
        "more than once",
    ),
    "a divisor that is computed": (
        graph_of(node("Sub", ["i", "i"], ["zero"]), node("Div", ["i", "zero"], ["x"]), i=np.int64([1])),
        "by 0 or -1",
    ),
    "a divisor that is 0 for two images": (
        graph_of(
            node("Shape", ["image"], ["n"], start=0, end=1),
            node("Sub", ["i", "n"], ["d"]),
            node("Div", ["i", "d"], ["x"]),
            i=np.int64([2]),
        ),
        "only multiplied by constants",
    ),
    "a divisor that is -1 times the images": (
        graph_of(
            node("Shape", ["image"], ["n"], start=0, end=1),
            node("Mul", ["n", "i"], ["d"]),
            node("Div", ["i", "d"], ["x"]),
            i=np.int64([1 << 62]),
        ),
        "by what follows from how many images",
    ),
    "memory that grows with the eighth power of the images": (
        graph_of(
            node("Shape", ["image"], ["n"], start=0, end=1),
            node("Concat", ["n"] * 8, ["s"], axis=0),
            node("Expand", ["scale", "s"], ["x"]),
        ),
        "grows from (1, 1, 1, 1, 1, 1, 1, 1) to",
    ),
    "a graph for one image alone": (
        graph_of(
            node("Shape", ["image"], ["n"], start=0, end=1),
            node("Concat", ["n", "i"], ["s"], axis=0),
            node("Expand", ["rows", "s"], ["e"]),
            node("Add", ["e", "rows"], ["x"]),
            i=np.int64([1]),
            rows=np.float32([[1], [1], [1]]),
        ),
        "do not fit",
    ),
    "a divisor that wraps to 0": (
        graph_of(node("Mul", ["i", "i"], ["zero"]), node("Div", ["i", "zero"], ["x"]), i=np.int64([1 << 32])),
        "by 0 or -1",
    ),
    "a divisor that is cast to 0": (
        graph_of(
            node("Cast", ["i"], ["zero"], to=TensorProto.INT32),
            node("Cast", ["j"], ["one"], to=TensorProto.INT32),
            node("Div", ["one", "zero"], ["x"]),
            i=np.int64([1 << 32]),
            j=np.int64([1]),
        ),
        "by 0 or -1",
    ),
    "more divisors than are looked at": (
        graph_of(node("Div", ["i", "j"], ["x"]), i=np.int64([1]), j=np.ones(5000, np.int64)),
        "has more than 4096 values",
    ),
    "a place beyond what is followed": (
        graph_of(node("Gather", ["i", "j"], ["x"]), i=np.int64([1]), j=np.int64([9])),
        "Gather: index 9 is out of bounds",
    ),
    "bytes that are numbers beyond them": (
        with_constant(data_type=TensorProto.UINT8, dims=[1], int32_data=[300]),
        "beyond its type",
    ),
    "a truth of 2": (with_constant(data_type=TensorProto.BOOL, dims=[1], raw_data=b"\2"), "beyond its type"),
    "floats as integers": (with_constant(data_type=FLOAT, dims=[1], int32_data=[1]), "of another type"),
    "floats that are not there": (with_constant(data_type=FLOAT, dims=[1 << 40]), "has 0 bytes"),
    "floats of which one is there": (
        with_constant(data_type=FLOAT, dims=[2], float_data=[1]),
        "has 4 bytes, expected 8",
    ),
    "a constant of no name": (
        lambda model: model.graph.initializer.append(TensorProto(data_type=FLOAT, dims=[0], raw_data=b"")),
        "no name",
    ),
    "a constant of nine axes": (
        with_constant(data_type=FLOAT, dims=[1] * 9, raw_data=bytes(4)),
        "of the type 1 and shape",
    ),
    "a constant of a million axes": (
        with_constant(data_type=FLOAT, dims=[1] * 1_000_000, raw_data=bytes(4)),
        "lists more than|fields",
    ),
    "numbers one by one without end": (
        with_constant(data_type=INT64, dims=[2_000_000], int64_data=[0] * 2_000_000),
        "lists more than|fields",
    ),
    "complex numbers": (with_constant(data_type=TensorProto.COMPLEX64, dims=[1], float_data=[0, 1]), "the type 14"),
    "numbers of 4 bits": (with_constant(data_type=TensorProto.INT4, dims=[2], int32_data=[0]), "the type 22"),
    "one place for the weights of 17 GB": (shared_weights(1100), "16 GB"),
    "constants that are computed and kept": (
        graph_of(*unfolded(5), large=np.int64([1 << 10, 1 << 20])),
        "16 GB",
    ),
    "nine axes": (graph_of(node("Reshape", ["scale", "s"], ["x"]), s=np.ones(9, np.int64)), "more than 8 axes"),
    "a chain of operators without end": (graph_of(*many(20_000)), "at most 16384 are taken"),
    "a switch of 5": (with_attribute("ReduceMax", "scale", name="keepdims", type=INT, i=5), "keepdims is 5"),
    "an axis that is a float": (
        with_attribute("Softmax", "scale", name="axis", type=AttributeProto.FLOAT, f=0),
        "axis is of another type",
    ),
    "an attribute of two types": (
        with_attribute("Cast", "scale", name="to", type=INT, i=1, f=7),
        "values of more than one type",
    ),
    "an attribute of no type": (with_attribute("Cast", "scale", name="to", i=1), "the type 0"),
    "an attribute of a tensor": (
        with_attribute("Identity", "scale", name="a", type=AttributeProto.TENSOR, t=TensorProto()),
        "the type 4",
    ),
    "an attribute of another opset": (
        with_attribute("ReduceMax", "scale", name="axes", type=INT, i=0),
        "no attribute 'axes'",
    ),
    "an attribute that refers to a function's": (
        with_attribute("Cast", "scale", name="to", type=INT, ref_attr_name="to"),
        "values of more than one type",
    ),
    "an attribute of a body": (with_attribute("Cast", "scale", name="body", type=FLOATS, floats=[1]), "the type 6"),
    "more outputs than the manifest names": (
        lambda model: model.graph.output.append(helper.make_tensor_value_info("grey", FLOAT, None)),
        "its outputs are",
    ),
    "more inputs than the manifest names": (
        lambda model: model.graph.input.append(helper.make_tensor_value_info("more", FLOAT, [])),
        "its inputs are",
    ),
    "an input twice": (lambda model: model.graph.input.append(model.graph.input[0]), "two inputs"),
    "a million images at least": (
        described("image", elem_type=TensorProto.UINT8, shape=(1_000_000, 32, 32, 3)),
        "'image' has the shape (1000000,",
    ),
    "an input of floats": (described("image", shape=("N", 32, 32, 3)), "'image' has the type 1"),
    "an output of another length": (described("score", shape=(7,)), "'score' has the shape (7,)"),
    "an input that is a list": (
        lambda model: model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("image", FLOAT, [])),
        "type: field 4",
    ),
    "an input that is sparse": (
        lambda model: model.graph.input[0].CopyFrom(helper.make_sparse_tensor_value_info("image", FLOAT, [])),
        "type: field 8",
    ),
    "annotated as quantized": (lambda model: model.graph.quantization_annotation.add(tensor_name="scale"), "annotates"),
    "what was trained": (lambda model: model.training_info.add(), "field 20"),
    "a kernel that is not its weights'": (
        graph_of(
            node("Expand", ["scale", "s"], ["a"]), node("Conv", ["a", "a"], ["x"], kernel_shape=[1, 1]), s=[1, 1, 3, 3]
        ),
        "a kernel of",
    ),
    "pads for one side": (
        graph_of(node("Expand", ["scale", "s"], ["a"]), node("Conv", ["a", "a"], ["x"], pads=[1]), s=[1, 1, 3, 3]),
        "pads (1,)",
    ),
    "two types in one sum": (graph_of(node("Add", ["scale", "s"], ["x"]), s=np.int64([1])), "of the types 1, 7"),
    "a limit of several numbers": (
        graph_of(casts(FLOAT), node("Clip", ["many", "s"], ["x"]), s=np.float32([1, 2])),
        "no single numbers",
    ),
    "a scale for other places": (
        graph_of(
            node("DequantizeLinear", ["i", "s", "i"], ["x"], axis=0),
            i=np.int8([1, 2]),
            s=np.float32([1, 2, 3]),
        ),
        "with the scale",
    ),
    "a norm of other places": (
        graph_of(node("LayerNormalization", ["t", "s"], ["x"]), t=np.float32([[1, 2]]), s=np.float32([1, 2, 3])),
        "from axis 1",
    ),
    "an axis of Softmax that is not there": (graph_of(node("Softmax", ["scale"], ["x"], axis=3)), "axis 3"),
}
