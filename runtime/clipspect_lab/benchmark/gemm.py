"""How fast an engine multiplies large matrices here: the yardstick for a whole graph.

The graph is a chain of products with one constant matrix, as a transformer's linear layers are: the
engine may pack it beforehand, and what comes in and goes out is next to nothing. It is written by hand:
the runtime has no ONNX library (field numbers from onnx.proto).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 2048  # of the matrices: large enough that nothing but the products counts
FLOPS = 2 * SIDE**3  # of one product
INPUTS = {"x": np.ones((1, SIDE), np.float32)}
_FLOAT, _UINT8, _INT8, _FLOAT16 = 1, 2, 3, 10  # TensorProto.DataType
_DTYPES = {"<f4": _FLOAT, "|u1": _UINT8, "|i1": _INT8, "<f2": _FLOAT16}
_SIGMAS = 8.0  # that the 8 bits of the int8 graph reach to either side: of values whose standard deviation is 1
_IR_VERSION, _OPSET = 8, 18


def gemm_graph(products: int, precision: str = "fp32") -> bytes:
    """ONNX: x float32 (1, SIDE) to y float32 (1, 1), the largest element of (x * w) @ w @ w ...

    So many products, in fp16 when that is the precision, in 8 bits when it is int8, else in fp32.
    """
    if precision == "int8":
        return _int8_graph(products)
    half = precision == "fp16"
    # of variance 1 / SIDE: however many products, the values stay where they are
    weights = (np.random.default_rng(0).standard_normal((SIDE, SIDE)) / np.sqrt(SIDE)).astype("<f2" if half else "<f4")
    nodes = [_node("Cast", "x", to="h0", cast=_FLOAT16)] if half else []
    nodes.append(_node("Mul", "h0" if half else "x", "w", to="p0"))
    nodes += [_node("MatMul", f"p{step}", "w", to=f"p{step + 1}") for step in range(products)]
    nodes.append(_node("ReduceMax", f"p{products}", to="h1" if half else "y"))
    nodes += [_node("Cast", "h1", to="y", cast=_FLOAT)] if half else []
    return _model(nodes, {"w": weights})


def _int8_graph(products: int) -> bytes:
    """As int8 copies are written: uint8 values and int8 weights, widened before each product, which engines undo."""
    rng = np.random.default_rng(0)
    constants = {
        "column": rng.standard_normal((SIDE, 1)).astype("<f4"),
        "w8": rng.integers(-127, 128, (SIDE, SIDE), dtype="|i1"),
        # as large as makes the products' standard deviation that of the values
        "w_scale": np.array(1 / np.sqrt(SIDE) / (254 / np.sqrt(12)), "<f4"),
        "w_zero": np.array(0, "|i1"),
        "scale": np.array(_SIGMAS / 127, "<f4"),
        "zero": np.array(128, "|u1"),
    }
    nodes = [_node("DequantizeLinear", "w8", "w_scale", "w_zero", to="w"), _node("Mul", "x", "column", to="p0")]
    for step in range(products):
        nodes.append(_node("QuantizeLinear", f"p{step}", "scale", "zero", to=f"q{step}"))
        nodes.append(_node("DequantizeLinear", f"q{step}", "scale", "zero", to=f"d{step}"))
        nodes.append(_node("MatMul", f"d{step}", "w", to=f"p{step + 1}"))
    return _model([*nodes, _node("ReduceMax", f"p{products}", to="y")], constants)


def _model(nodes: list[bytes], constants: dict[str, npt.NDArray[Any]]) -> bytes:
    graph = b"".join(_bytes(1, node) for node in nodes)
    graph += _bytes(2, b"gemm")
    graph += b"".join(_bytes(5, _constant(name, values)) for name, values in constants.items())
    graph += _bytes(11, _float_value("x", 1, SIDE)) + _bytes(12, _float_value("y", 1, 1))
    return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _number(2, _OPSET))


def _node(operator: str, *inputs: str, to: str, cast: int | None = None) -> bytes:
    node = b"".join(_bytes(1, name.encode()) for name in inputs) + _bytes(2, to.encode())
    node += _bytes(4, operator.encode())
    if cast is not None:  # the attribute `to`, of type INT
        node += _bytes(5, _bytes(1, b"to") + _number(3, cast) + _number(20, 2))
    return node


def _constant(name: str, values: npt.NDArray[Any]) -> bytes:
    dimensions = b"".join(_number(1, side) for side in values.shape)
    return dimensions + _number(2, _DTYPES[values.dtype.str]) + _bytes(8, name.encode()) + _bytes(9, values.tobytes())


def _float_value(name: str, *shape: int) -> bytes:
    sides = b"".join(_bytes(1, _number(1, side)) for side in shape)
    tensor = _number(1, _FLOAT) + _bytes(2, sides)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
