"""Which of its kernels OpenVINO takes for the linear layers: a hint in the graph, which computes nothing."""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset13 as operators

from clipspect.host.system import read_cpu

_VECTORS = "AVX-512"  # where this was measured


def steer_linear_layers(model: openvino.Model) -> None:
    """Give every linear layer oneDNN's convolution kernel, on processors where it is the faster one.

    In fp32 OpenVINO's CPU plugin computes a linear layer with MLAS, unless an activation follows, which MLAS cannot
    take along: then with oneDNN's 1 x 1 convolution, which is the faster of the two (WinCLIP in 0.967 of the CPU
    time, medians of alternating runs). So one follows here: a PReLU of slope 1, which is the identity, NaN and
    infinity included, and costs nothing inside the kernel. The answers are the same to rounding.
    """
    if _VECTORS not in read_cpu().features:
        return
    for product in model.get_ordered_ops():
        if product.get_type_name() == "MatMul" and product.input_value(1).partial_shape.rank == 2:
            layer = _with_bias(product)
            readers = layer.output(0).get_target_inputs()
            # more than one reader is a GELU, which is fused already; a result has its name from the layer itself
            if len(readers) == 1 and not any(reader.get_node().get_type_name() == "Result" for reader in readers):
                _follow_by_identity(layer, readers)


def _follow_by_identity(layer: openvino.Node, readers: set[openvino.Input]) -> None:
    identity = operators.prelu(layer.output(0), operators.constant(np.ones(1, np.float32)))
    for reader in readers:
        reader.replace_source_output(identity.output(0))


def _with_bias(product: openvino.Node) -> openvino.Node:
    """The bias's Add where that is all that reads the product, else the product."""
    readers = list(product.output(0).get_target_inputs())
    reader = readers[0].get_node() if len(readers) == 1 else product
    added = [value.get_node().get_type_name() == "Constant" for value in reader.input_values()]
    return reader if reader.get_type_name() == "Add" and any(added) else product
