"""What the linear layers of a graph read when it inspects given images: the range of each channel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes import common as passes

from clipspect.engines import open_backend
from clipspect.engines.graph import IMAGE
from clipspect_export.graph.parts import add_constant, linear_layers, new_node
from clipspect_export.graph.write import ENGINE
from clipspect_export.precision.quantize import Array, Ranges

Layer = tuple[str, str]  # names of the weight, and of the tensor that it is multiplied by

_LEAST, _LARGEST = "ReduceMin", "ReduceMax"
_AXES = "channels_stay"


def measure_ranges(graph: Path, images: Sequence[npt.NDArray[np.uint8]]) -> Ranges:
    """By the name of a weight, the least and largest value of each channel that it is multiplied by, in all images.

    `images` are uint8 (H, W, 3) of the model's size, one at least. Raises BackendError.
    """
    ranges: dict[str, tuple[Array, Array]] = {}
    with _observed(graph) as (observed, layers), open_backend(ENGINE, observed) as backend:
        for image in images:
            found = backend.run({IMAGE: image[None]})
            for weight, tokens in layers:
                low, high = found[f"{tokens}.{_LEAST}"], found[f"{tokens}.{_LARGEST}"]
                if weight in ranges:
                    low, high = np.minimum(low, ranges[weight][0]), np.maximum(high, ranges[weight][1])
                ranges[weight] = low, high
    return ranges


@contextlib.contextmanager
def _observed(graph: Path) -> Iterator[tuple[Path, list[Layer]]]:
    """A graph that answers with the ranges alone, beside the given one while the block lasts; the weights are shared.

    And the layers.
    """
    model, copy = ir.load(graph), graph.with_name(f"{graph.stem}.observed.onnx")
    read = _observe(model)
    try:
        ir.save(model, copy)
        yield copy, read
    finally:
        copy.unlink(missing_ok=True)


def _observe(model: ir.Model) -> list[Layer]:
    graph = model.graph
    layers = linear_layers(graph)
    graph.outputs.clear()
    axes = add_constant(graph, _AXES, np.array([0, 1], np.int64))  # (N, T, W): all but the channels
    read: list[Layer] = []
    for layer in layers:
        tokens, weight = layer.inputs
        if tokens is None or weight is None or tokens.shape is None:
            raise AssertionError("a product reads two tensors whose shape the exporter knows")
        if all(known != tokens.name for _, known in read):
            for extreme in (_LEAST, _LARGEST):
                node = new_node(
                    extreme, [tokens, axes], f"{tokens.name}.{extreme}", tokens, ir.DataType.FLOAT, keepdims=0
                )
                node.outputs[0].shape = ir.Shape([tokens.shape[-1]])
                graph.append(node)
                graph.outputs.append(node.outputs[0])
        read.append((str(weight.name), str(tokens.name)))
    passes.RemoveUnusedNodesPass()(model)  # the scoring
    for value in [value for value in graph.inputs if value.name != IMAGE]:
        graph.inputs.remove(value)
    return read
