"""The int8 copy of a graph for CPUs: its linear layers in 8 bits, everything else in fp32 as it was.

Weights are int8 with a scale for each output; activations uint8 with one scale for all, fixed beforehand by what
calibration images gave (`calibration`). They are written as QuantizeLinear and DequantizeLinear around the products,
from which onnxruntime and OpenVINO make their int8 kernels. Attention, norms, softmax and scoring are not touched.

A norm's channels differ widely, and one scale for all is coarse for most of them. Where a norm is what a layer reads,
each channel is divided by a factor, which the norm's own weights take up, and the layer's rows are multiplied by it
(SmoothQuant, Xiao et al. 2023, equation 4): the product is the same, and both sides lose less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes import common as passes

from clipspect_export.graph.parts import add_constant, array_of, linear_layers, new_node

_FLOAT, _INT8, _UINT8 = ir.DataType.FLOAT, ir.DataType.INT8, ir.DataType.UINT8
_SMALLEST = 1e-5  # below it a channel's largest value counts as it: no factor is infinite

Array = npt.NDArray[np.float32]
Ranges = Mapping[str, tuple[Array, Array]]  # by a weight: least and largest of each channel that is multiplied by it


@dataclass(frozen=True)
class Scheme:
    """How values become whole numbers. Fewer bits than 8 use a part of the int8 range: for tests of what that costs."""

    bits: int = 8
    smoothing: float = 0.5  # how much of the channels' differences goes to the weights; 0: none

    @property
    def words(self) -> str:
        """For the manifest."""
        return (
            f"linear layers: weights int{self.bits} for each output, activations uint{self.bits} for each tensor; "
            f"SmoothQuant {self.smoothing:g}"
        )


INT8_SCHEME = Scheme()


def quantize(model: ir.Model, ranges: Ranges, scheme: Scheme = INT8_SCHEME) -> None:
    """Rewrite an fp32 graph in place. `ranges` are those of `calibration.measure_ranges`."""
    graph = model.graph
    readers: dict[ir.Value, list[ir.Node]] = {}  # q, k and v read one tensor: it is quantised once
    for layer in linear_layers(graph):
        if layer.inputs[0] is not None:
            readers.setdefault(layer.inputs[0], []).append(layer)
    for tokens, layers in readers.items():
        _quantize_together(graph, tokens, layers, ranges, scheme)
    passes.RemoveUnusedNodesPass()(model)  # the weights in fp32


def _quantize_together(
    graph: ir.Graph, tokens: ir.Value, layers: list[ir.Node], ranges: Ranges, scheme: Scheme
) -> None:
    weights = [array_of(layer.inputs[1]) for layer in layers]  # (in, out)
    names = [layer.inputs[1].name or "" for layer in layers if layer.inputs[1] is not None]
    low, high = ranges[names[0]]
    norm = tokens.producer()
    if norm is not None and norm.op_type == "LayerNormalization" and len(tokens.consumers()) == len(layers):
        factors = _factors(np.maximum(-low, high), weights, scheme.smoothing)
        for i in (1, 2):
            own = norm.inputs[i]
            norm.replace_input_with(i, add_constant(graph, f"{own and own.name}.smoothed", array_of(own) / factors))
        low, high = low / factors, high / factors
        weights = [weight * factors[:, None] for weight in weights]
    rounded = _quantized_tokens(graph, tokens, layers[0], low, high, scheme)
    for layer, name, weight in zip(layers, names, weights):
        layer.replace_input_with(0, rounded)
        layer.replace_input_with(1, _quantized_weight(graph, name, layer, weight, scheme))


def _factors(largest: Array, weights: list[Array], smoothing: float) -> Array:
    """Of each channel, their geometric mean 1."""
    of_weights = np.max([np.abs(weight).max(axis=1) for weight in weights], axis=0)
    largest, of_weights = np.maximum(largest, _SMALLEST), np.maximum(of_weights, _SMALLEST)
    log = smoothing * np.log(largest) - (1 - smoothing) * np.log(of_weights) if smoothing else np.zeros_like(largest)
    factors: Array = np.exp(log - log.mean()).astype(np.float32)
    return factors


def _quantized_tokens(
    graph: ir.Graph, tokens: ir.Value, reader: ir.Node, low: Array, high: Array, scheme: Scheme
) -> ir.Value:
    """Through uint8 and back: the range reaches from the least to the largest value, 0 included."""
    least, most = min(float(low.min()), 0.0), max(float(high.max()), _SMALLEST)
    steps = 2**scheme.bits - 1
    scale = add_constant(graph, f"{tokens.name}.scale", np.array((most - least) / steps, np.float32))
    zero = add_constant(graph, f"{tokens.name}.zero", np.array(round(-least / (most - least) * steps), np.uint8))
    down = new_node("QuantizeLinear", [tokens, scale, zero], f"{tokens.name}.uint8", tokens, _UINT8)
    up = new_node("DequantizeLinear", [down.outputs[0], scale, zero], f"{tokens.name}.rounded", tokens, _FLOAT)
    graph.insert_before(reader, [down, up])
    return up.outputs[0]


def _quantized_weight(graph: ir.Graph, name: str, layer: ir.Node, weight: Array, scheme: Scheme) -> ir.Value:
    most = 2 ** (scheme.bits - 1) - 1
    scale = np.maximum(np.abs(weight).max(axis=0) / most, np.finfo(np.float32).tiny).astype(np.float32)
    if (known := graph.initializers.get(f"{name}.int8")) is not None:  # AnomalyCLIP's two paths share a projection
        return known.consumers()[0].outputs[0]
    stored = add_constant(graph, f"{name}.int8", np.clip(np.rint(weight / scale), -most, most).astype(np.int8))
    parts = [stored, add_constant(graph, f"{name}.scale", scale)]
    parts.append(add_constant(graph, f"{name}.zero", np.zeros(len(scale), np.int8)))
    up = new_node("DequantizeLinear", parts, f"{name}.rounded", stored, _FLOAT, axis=1)
    graph.insert_before(layer, up)
    return up.outputs[0]
