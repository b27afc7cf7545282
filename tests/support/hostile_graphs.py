"""Graphs that no exporter writes: each is refused before an engine sees it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

node = helper.make_node
INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT
Change = Callable[[ModelProto], Any]


def graph_of(*nodes: NodeProto, **constants: Any) -> Change:
    """The handmade graph with these operators before its own, and these constants."""

    def change(model: ModelProto) -> None:
        own = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *own])
        model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())

    return change


def body(*names: str) -> onnx.GraphProto:
    values = [helper.make_tensor_value_info(name, FLOAT, []) for name in names]
    return helper.make_graph([], "body", values[:1], values[1:])


def casts(to: int) -> NodeProto:
    return node("Cast", ["image"], ["many"], to=to)


def external(**said: str) -> Change:
    """A constant outside of the file, of four floats, where `said` tells."""

    def change(model: ModelProto) -> None:
        tensor = TensorProto(name="w", data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        for key, value in {"location": "model.onnx.data", **said}.items():
            tensor.external_data.add(key=key, value=value)
        model.graph.initializer.append(tensor)

    return change


def opset(domain: str, version: int) -> Change:
    return lambda model: model.opset_import.append(helper.make_opsetid(domain, version))


def with_constant(**members: Any) -> Change:
    return lambda model: model.graph.initializer.append(TensorProto(name="w", **members))


def doubled(times: int) -> list[NodeProto]:
    """Of a tensor that is joined with itself so many times."""
    names = ["pixels0", *(f"pixels{at}" for at in range(1, times + 1))]
    return [casts(FLOAT), node("Identity", ["many"], ["pixels0"])] + [
        node("Concat", [one, one], [other], axis=0) for one, other in itertools.pairwise(names)
    ]


DATA_BYTES = 1 << 24  # of model.onnx.data, zeros
LARGE = np.array([1 << 20, 1 << 20], np.int64)
GRAPHS: dict[str, tuple[Change, str]] = {
    "if": (graph_of(node("If", ["c"], ["x"], then_branch=body("a"), else_branch=body("b")), c=True), "is not in use"),
    "loop": (graph_of(node("Loop", ["m", ""], ["x"], body=body("a")), m=9), "is not in use"),
    "scan": (
        graph_of(node("Scan", ["m"], ["x"], body=body("a"), num_scan_inputs=1), m=np.float32([9])),
        "is not in use",
    ),
    "a graph in an attribute": (graph_of(node("Identity", ["scale"], ["x"], body=body("a"))), "the type 5"),
    "a custom domain": (graph_of(node("Anything", ["scale"], ["x"], domain="com.evil")), "only standard ones"),
    "a custom domain that is not used": (opset("com.evil", 1), "one set of standard operators"),
    "two opsets": (opset("ai.onnx", 11), "one set of standard operators"),
    "another opset": (lambda model: setattr(model.opset_import[0], "version", 11), "is of opset 11"),
    "no opset": (lambda model: model.ClearField("opset_import"), "one set of standard operators"),
    "a function": (
        lambda model: model.functions.append(
            helper.make_function("", "Cast", ["a"], ["b"], [node("Identity", ["a"], ["b"])], [])
        ),
        "field 25",
    ),
    "an operator nobody knows": (graph_of(node("Launch", ["scale"], ["x"])), "'Launch' is not in use"),
    "an operator without a name": (graph_of(node("", ["scale"], ["x"])), "'' is not in use"),
    "string normaliser": (graph_of(node("StringNormalizer", ["scale"], ["x"])), "is not in use"),
    "remainders": (graph_of(node("Mod", ["i", "j"], ["x"]), i=[1], j=[0]), "is not in use"),
    "integers over 0": (graph_of(node("Div", ["i", "j"], ["x"]), i=[1], j=[0]), "by 0 or -1"),
    "the least integer over -1": (graph_of(node("Div", ["i", "j"], ["x"]), i=[-(1 << 63)], j=[-1]), "by 0 or -1"),
    "integers over what the image says": (
        graph_of(casts(INT64), node("Div", ["i", "many"], ["x"]), i=[1]),
        "depends on the image",
    ),
    "bytes over bytes": (graph_of(node("Div", ["image", "image"], ["x"])), "depends on the image"),
    "a constant of a terabyte": (
        graph_of(node("Expand", ["scale", "large"], ["x"]), large=LARGE),
        "more than 1e+14 operations or 16 GB",
    ),
    "2^60 of a tensor": (graph_of(*doubled(60)), "16 GB"),
    "a product that takes days": (
        graph_of(node("Expand", ["scale", "s"], ["a"]), node("MatMul", ["a", "a"], ["x"]), s=[40_000, 40_000]),
        "operations",
    ),
    "a shape that the image says": (
        graph_of(casts(INT64), node("Reshape", ["scale", "many"], ["x"])),
        "depends on the image",
    ),
    "a shape that does not fit": (graph_of(node("Reshape", ["scale", "s"], ["x"]), s=[3, 5]), "as [3, 5]"),
    "negative lengths": (graph_of(node("Reshape", ["scale", "s"], ["x"]), s=[-7]), "as [-7]|shape of [-7]"),
    "more of the largest than there are": (
        graph_of(casts(FLOAT), node("TopK", ["many", "k"], ["x", "y"]), k=[9]),
        "9 of 3",
    ),
    "an axis that is not there": (
        graph_of(node("Sigmoid", ["scale"], ["x"]), node("Gather", ["scale", "i"], ["y"], axis=7), i=[0]),
        "axis 7",
    ),
    "a tensor from nowhere": (graph_of(node("Identity", ["nowhere"], ["x"])), "nothing before it answers 'nowhere'"),
    "a later operator's tensor": (graph_of(node("Identity", ["score"], ["x"])), "nothing before it answers 'score'"),
    "one name for two": (graph_of(node("Identity", ["scale"], ["pixels"])), "two tensors have the name 'pixels'"),
    "an input that is a constant": (graph_of(image=np.zeros(1, np.uint8)), "is a constant as well"),
    "a missing output": (lambda model: model.graph.node.pop(), "no output 'score'"),
    "an output of another shape": (
        lambda model: model.graph.node[-1].CopyFrom(node("Identity", ["grey"], ["score"])),
        "'score' has the shape (1, 32, 32)",
    ),
    "an output of another type": (
        lambda model: model.graph.node[0].CopyFrom(node("Cast", ["image"], ["pixels"], to=TensorProto.DOUBLE)),
        "the type 11",
    ),
    "a constant without its bytes": (
        with_constant(data_type=FLOAT, dims=[4], raw_data=b"1234"),
        "has 4 bytes, expected 16",
    ),
    "a constant without its integers": (
        with_constant(data_type=INT64, dims=[4], int64_data=[1]),
        "8 bytes, expected 32",
    ),
    "a constant of text": (with_constant(data_type=TensorProto.STRING, dims=[1], string_data=[b"a"]), "the type 8"),
    "a constant of negative length": (with_constant(data_type=FLOAT, dims=[-1]), "shape (-1,)"),
    "a constant that lies at no file's end": (external(offset=str(DATA_BYTES - 15)), "outside of model.onnx.data"),
    "a constant outside the weights": (external(offset="1000000000", length="16"), "outside of model.onnx.data"),
    "a constant at a negative place": (external(offset="-16", length="16"), "lies at"),
    "a constant of another length": (external(offset="0", length="8"), "outside of"),
    "a constant at no number": (external(offset="1e3"), "lies at"),
    "sparse constants": (lambda model: model.graph.sparse_initializer.add(), "sparse"),
    "an overloaded operator": (
        graph_of(NodeProto(op_type="Identity", input=["scale"], output=["x"], overload="b")),
        "overloaded",
    ),
    "one attribute twice": (
        graph_of(
            NodeProto(op_type="Cast", input=["scale"], output=["x"], attribute=[helper.make_attribute("to", 1)] * 2)
        ),
        "two attributes",
    ),
    "a dilated convolution": (
        graph_of(
            node("Expand", ["scale", "s"], ["a"]), node("Conv", ["a", "a"], ["x"], dilations=[9, 9]), s=[1, 1, 3, 3]
        ),
        "dilated",
    ),
}
