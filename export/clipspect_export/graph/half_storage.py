"""Weights stored as float16 where that loses nothing, and widened in the graph: half the file, the same values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

STORED_FROM = 4096  # elements; smaller tensors are not worth a Cast node
# A float16 times 1/8, the scale of q @ k.T of heads 64 wide that the query's weights hold, may fall below the smallest
# normal float16: stored times 8 it is what it was.
GAINS = (1.0, 8.0)
_STORED, _WIDENED, _SCALE = ".fp16", ".widened", ".scale"  # what the names of the parts end in


def store_halves(graph: ir.Graph) -> None:
    """Replace every large float32 initializer that is exact in float16 by that and a Cast to float32."""
    for name, value in list(graph.initializers.items()):
        constant = value.const_value
        if constant is None or constant.dtype != ir.DataType.FLOAT or constant.size < STORED_FROM:
            continue
        found = _exact_half(constant.numpy())
        if found is not None:
            del graph.initializers[name]
            _widen(graph, value, *found)


def _exact_half(exact: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float16], float] | None:
    """The array times a gain in float16, and the gain; None where no gain is exact."""
    for gain in GAINS:
        with np.errstate(over="ignore"):
            half = (exact * np.float32(gain)).astype(np.float16)
        if np.array_equal(half.astype(np.float32) / np.float32(gain), exact):
            return half, gain
    return None


def _widen(graph: ir.Graph, value: ir.Value, half: npt.NDArray[np.float16], gain: float) -> None:
    """Nodes at the graph's start that make `value` of its stored form. Its name goes to the last one's output."""
    name, first = value.name, graph[0]
    half_type, shape = ir.TensorType(ir.DataType.FLOAT16), value.shape
    stored = ir.Value(name=f"{name}{_STORED}", shape=shape, type=half_type, const_value=ir.Tensor(half))
    graph.register_initializer(stored)
    to_float = [ir.AttrInt64("to", int(ir.DataType.FLOAT))]
    nodes = [ir.Node("", "Cast", [stored], to_float, name=f"{name}.widen", num_outputs=1)]
    if gain != 1:
        scale = ir.Value(
            name=f"{name}{_SCALE}",
            shape=ir.Shape([]),
            type=ir.TensorType(ir.DataType.FLOAT),
            const_value=ir.Tensor(np.array(1 / gain, np.float32)),
        )
        graph.register_initializer(scale)
        nodes.append(ir.Node("", "Mul", [nodes[0].outputs[0], scale], name=f"{name}.rescale", num_outputs=1))
    for node in nodes:
        node.outputs[0].name = name if node is nodes[-1] else f"{name}{_WIDENED}"
        node.outputs[0].shape, node.outputs[0].type = shape, value.type
        graph.insert_before(first, node)
    value.replace_all_uses_with(nodes[-1].outputs[0])


def read_halves(graph: ir.Graph) -> None:
    """The inverse of `store_halves`: float32 initializers again, under the names that they had."""
    for stored, value in list(graph.initializers.items()):
        constant = value.const_value
        if constant is None or constant.dtype != ir.DataType.FLOAT16:
            continue
        name, nodes, array = stored.removesuffix(_STORED), [value.consumers()[0]], constant.numpy().astype(np.float32)
        if (scale := graph.initializers.get(f"{name}{_SCALE}")) is not None and scale.const_value is not None:
            nodes.append(nodes[0].outputs[0].consumers()[0])
            array *= scale.const_value.numpy()
        made = nodes[-1].outputs[0]
        made.name = f"{name}{_WIDENED}"  # the name is free for the constant
        exact = ir.Value(name=name, shape=made.shape, type=made.type, const_value=ir.Tensor(array, name=name))
        made.replace_all_uses_with(exact)
        graph.remove(nodes, safe=True)
        for gone in (stored, f"{name}{_SCALE}"):
            graph.initializers.pop(gone, None)
        graph.register_initializer(exact)
