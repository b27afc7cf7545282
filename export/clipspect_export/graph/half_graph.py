"""The encoder in fp16: products and weights in half the width, while norms, softmax and scoring stay in fp32.

It is for engines that take the types as they are written (TensorRT, strongly typed). Without such an engine the graph
can be emulated: every fp16 operation computed in fp32 on values rounded to fp16, as tensor cores add up in fp32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common as passes

from clipspect.base.errors import ExportError
from clipspect_export.graph.encoder_end import encoder_nodes
from clipspect_export.graph.parts import MOVES, add_constant, array_of, is_constant, new_node

PRODUCTS = frozenset({"MatMul", "Gemm", "Conv"})  # in fp16 whatever comes in
EXACT = frozenset({"LayerNormalization", "Softmax"})  # in fp32 whatever comes in
LARGEST = float(np.finfo(np.float16).max)
_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def halve(model: ir.Model) -> None:
    """Rewrite the fp32 graph of a method. Raises ExportError for a weight outside fp16's range.

    All other operations of the encoder (biases, activations, residual sums) are in fp16 where all that they read is:
    the tokens that run through the blocks come from a norm and stay in fp32, what a product adds to them does not.
    """
    graph = model.graph
    encoder = set(encoder_nodes(graph))
    for node in list(graph):
        floats = [i for i, value in enumerate(node.inputs) if value is not None and value.dtype in (_FLOAT, _HALF)]
        flowing = [i for i in floats if not is_constant(node.inputs[i])]
        in_half = node in encoder and _in_half(node, [node.inputs[i] for i in flowing])
        for i in floats:
            node.replace_input_with(i, _as(graph, node, node.inputs[i], _HALF if in_half else _FLOAT))
        for output in node.outputs if in_half else ():
            output.type = ir.TensorType(_HALF)
    passes.RemoveUnusedNodesPass()(model)  # the weights in fp32


def _in_half(node: ir.Node, flowing: list[ir.Value | None]) -> bool:
    if node.op_type in EXACT or not flowing:
        return False
    return node.op_type in PRODUCTS or all(value is not None and value.dtype == _HALF for value in flowing)


def _as(graph: ir.Graph, reader: ir.Node, value: ir.Value | None, dtype: ir.DataType) -> ir.Value:
    """The value in that type, by a Cast that all later readers share; a constant is converted here."""
    if value is None:
        raise AssertionError("an input that is left out has no type")
    if value.dtype == dtype:
        return value
    if is_constant(value):
        return add_constant(graph, f"{value.name}.fp16", _rounded(value)) if dtype == _HALF else value
    name = f"{value.name}.{'fp16' if dtype == _HALF else 'fp32'}"
    for use in value.uses():
        if use.node.outputs[0].name == name:
            return use.node.outputs[0]
    cast = new_node("Cast", [value], name, value, dtype, to=int(dtype))
    graph.insert_before(reader, cast)
    return cast.outputs[0]


def _rounded(value: ir.Value) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    array = array_of(value)
    largest = float(np.abs(array).max(initial=0))
    if not largest <= LARGEST:
        raise ExportError(
            f"{value.name} holds {largest:.3g}, fp16 ends at {LARGEST:.0f}: these weights cannot be exported with "
            "--precision fp16, take fp32"
        )
    return array.astype(np.float16)


@contextlib.contextmanager
def emulated(path: Path) -> Iterator[Path]:
    """An fp16 graph on disk as one that a CPU computes, beside it while the block lasts; the weights are shared."""
    copy = path.with_name(f"{path.stem}.emulated.onnx")
    model = ir.load(path)
    _emulate(model.graph)
    try:
        ir.save(model, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _emulate(graph: ir.Graph) -> None:
    for value in [value for value in graph.initializers.values() if value.dtype == _HALF]:
        widened = new_node("Cast", [value], f"{value.name}.widened", value, _FLOAT, to=int(_FLOAT))
        value.replace_all_uses_with(widened.outputs[0])
        widened.replace_input_with(0, value)
        graph.insert_before(graph[0], widened)
    for node in list(graph):
        for output in node.outputs:
            if output.dtype == _HALF:
                _round_after(graph, node, output)


def _round_after(graph: ir.Graph, node: ir.Node, output: ir.Value) -> None:
    """The output in fp32, rounded to fp16 where the node computes something: what is moved was rounded before."""
    readers = list(output.uses())
    steps: list[ir.Node] = []
    rounded = output
    if node.op_type != "Cast":  # a Cast's own output is in fp16, and widened only
        output.type = ir.TensorType(_FLOAT)
        if node.op_type in MOVES:
            return
        steps.append(new_node("Cast", [output], f"{output.name}.rounded", output, _HALF, to=int(_HALF)))
        rounded = steps[0].outputs[0]
    steps.append(new_node("Cast", [rounded], f"{output.name}.widened", output, _FLOAT, to=int(_FLOAT)))
    for use in readers:
        use.node.replace_input_with(use.idx, steps[-1].outputs[0])
    graph.insert_after(node, steps)
