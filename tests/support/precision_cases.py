"""Graphs small enough to be computed by hand, with an encoder and a scoring as the methods' have, and fp16 forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from clipspect_export.graph.half_graph import halve

Array = npt.NDArray[np.float32]


def linear_graph(weight: Array, bias: Array, gain: Array | None = None) -> onnx.ModelProto:
    """Score = (image @ weight + bias) * text_features[0, 0]; with a gain, the image is normalised and scaled before.

    uint8 images (1, 1, 1, W) or, flattened by the graph, tokens (1, 1, W); the weight is (W, D).
    """
    width, dim = weight.shape
    constants = {"weight": weight, "bias": bias, "shape": np.array([1, -1, width], np.int64)}
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "shape"], ["tokens"]),
    ]
    read = "tokens"
    if gain is not None:
        constants |= {"gain": gain, "shift": np.zeros(width, np.float32)}
        nodes.append(helper.make_node("LayerNormalization", ["tokens", "gain", "shift"], ["normalised"]))
        read = "normalised"
    nodes += [
        helper.make_node("MatMul", [read, "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["encoded.0"]),
        helper.make_node("Mul", ["encoded.0", "text_features"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", width]),
            helper.make_tensor_value_info("text_features", TensorProto.FLOAT, [1, 1, dim]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def halved(graph: Path, folder: Path) -> Path:
    """The fp16 form of a graph on disk."""
    model = ir.load(graph)
    halve(model)
    ir.save(model, folder / "half.onnx", external_data="half.onnx.data")
    return folder / "half.onnx"
