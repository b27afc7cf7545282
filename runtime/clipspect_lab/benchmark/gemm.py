"""How fast an engine multiplies large matrices here: the yardstick for a whole graph.

The yardstick is a chain of products with constant matrices, as a transformer's linear layers are: the engine may pack
them beforehand, and what comes in and goes out is next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from clipspect.engines.graph import FP16, INT8

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

SIDE = 2048  # of the matrices: large enough that nothing but the products counts
FLOPS = 2 * SIDE**3  # of one product
INPUTS = {"x": np.ones((1, SIDE), np.float32)}
_SIGMAS = 8.0  # that the 8 bits of the int8 graph reach to either side: of values whose standard deviation is 1
_IR_VERSION, _OPSET = 8, 18
_MOST_PRODUCTS = {INT8: 16}  # in a graph; each in int8 has 4 MB of weights of its own
_DEFAULT_MOST = 64


def most_products(precision: str) -> int:
    """How many a graph may have."""
    return _MOST_PRODUCTS.get(precision, _DEFAULT_MOST)


def gemm_graph(products: int, precision: str = "fp32") -> ModelProto:
    """ONNX: x float32 (1, SIDE) to y float32 (1, 1), the largest element of (x * w) @ w @ w ...

    So many products, in fp16 when that is the precision, in 8 bits when it is int8, else in fp32.
    """
    return _int8_graph(products) if precision == INT8 else _float_graph(products, half=precision == FP16)


def _float_graph(products: int, *, half: bool) -> ModelProto:
    from onnx import TensorProto, helper, numpy_helper

    # of variance 1 / SIDE: however many products, the values stay where they are
    weights = np.random.default_rng(0).standard_normal((SIDE, SIDE)) / np.sqrt(SIDE)
    nodes = [helper.make_node("Cast", ["x"], ["h0"], to=TensorProto.FLOAT16)] if half else []
    nodes.append(helper.make_node("Mul", ["h0" if half else "x", "w"], ["p0"]))
    nodes += [helper.make_node("MatMul", [f"p{step}", "w"], [f"p{step + 1}"]) for step in range(products)]
    nodes.append(helper.make_node("ReduceMax", [f"p{products}"], ["h1" if half else "y"]))
    nodes += [helper.make_node("Cast", ["h1"], ["y"], to=TensorProto.FLOAT)] if half else []
    return _model(nodes, [numpy_helper.from_array(weights.astype(np.float16 if half else np.float32), "w")])


def _int8_graph(products: int) -> ModelProto:
    """As int8 copies are written: uint8 values and int8 weights, widened before each product, which engines undo.

    Each product has weights of its own, a zero point included: where several products share one, onnxruntime 1.32
    with weights moved to uint8 (session.x64quantprecision, which our sessions set) adds it twice and gives up.
    """
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(0)
    constants: dict[str, npt.NDArray[Any]] = {
        "column": rng.standard_normal((SIDE, 1)).astype(np.float32),
        # as large as makes the products' standard deviation that of the values
        "w_scale": np.array(1 / np.sqrt(SIDE) / (254 / np.sqrt(12)), np.float32),
        "scale": np.array(_SIGMAS / 127, np.float32),
        "zero": np.array(128, np.uint8),
    }
    weights = rng.integers(-127, 128, (SIDE, SIDE), dtype=np.int8)
    for step in range(products):
        constants |= {f"w{step}_int8": weights, f"w{step}_zero": np.array(0, np.int8)}
    nodes = [helper.make_node("Mul", ["x", "column"], ["p0"])]
    for step in range(products):
        nodes += [
            helper.make_node("QuantizeLinear", [f"p{step}", "scale", "zero"], [f"q{step}"]),
            helper.make_node("DequantizeLinear", [f"q{step}", "scale", "zero"], [f"d{step}"]),
            helper.make_node("DequantizeLinear", [f"w{step}_int8", "w_scale", f"w{step}_zero"], [f"w{step}"]),
            helper.make_node("MatMul", [f"d{step}", f"w{step}"], [f"p{step + 1}"]),
        ]
    nodes.append(helper.make_node("ReduceMax", [f"p{products}"], ["y"]))
    return _model(nodes, [numpy_helper.from_array(values, name) for name, values in constants.items()])


def _model(nodes: list[NodeProto], constants: list[TensorProto]) -> ModelProto:
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, side]) for name, side in (("x", SIDE), ("y", 1)))
    graph = helper.make_graph(nodes, "gemm", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
