"""The linear layers of a written graph's encoder, and the small edits that passes over a graph make."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from clipspect_export.graph.encoder_end import encoder_nodes

# They move values and change none.
MOVES = frozenset({"Reshape", "Transpose", "Split", "Concat", "Slice", "Gather", "Unsqueeze", "Squeeze", "Expand"})


def linear_layers(graph: ir.Graph) -> list[ir.Node]:
    """The encoder's products with a constant matrix (in, out), all but the projection that is compared as it is."""
    encoder = encoder_nodes(graph)
    inside, compared = set(encoder), set[ir.Node]()
    for node in reversed(encoder):
        readers = [reader for output in node.outputs for reader in output.consumers()]
        if any(reader not in inside or (reader in compared and reader.op_type in MOVES) for reader in readers):
            compared.add(node)
    return [node for node in encoder if node not in compared and _is_linear(node)]


def _is_linear(node: ir.Node) -> bool:
    weight = node.inputs[1] if node.op_type == "MatMul" else None
    return weight is not None and weight.const_value is not None and len(weight.const_value.shape) == 2


def is_constant(value: ir.Value | None) -> bool:
    return value is not None and value.const_value is not None


def array_of(value: ir.Value | None) -> npt.NDArray[Any]:
    """A constant's array."""
    if value is None or value.const_value is None:
        raise AssertionError(f"{value} is no constant")
    return value.const_value.numpy()


def add_constant(graph: ir.Graph, name: str, array: npt.NDArray[Any]) -> ir.Value:
    """A new initializer; of the same name and content it is made once."""
    if name in graph.initializers:
        return graph.initializers[name]
    tensor = ir.Tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def new_node(op: str, inputs: list[ir.Value], output: str, like: ir.Value, dtype: ir.DataType, **ints: int) -> ir.Node:
    """A node that is in no graph yet, with one output of that name and type, and the shape of `like`."""
    attributes = [ir.AttrInt64(name, value) for name, value in ints.items()]
    node = ir.Node("", op, inputs, attributes, name=output, num_outputs=1)
    node.outputs[0].name, node.outputs[0].shape, node.outputs[0].type = output, like.shape, ir.TensorType(dtype)
    return node
