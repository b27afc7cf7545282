"""How fast an engine multiplies large matrices here: the yardstick for a whole graph.

The graph is a chain of products with one constant matrix, as a transformer's linear layers are: the
engine may pack it beforehand, and what comes in and goes out is next to nothing. It is written by hand:
the runtime has no ONNX library (field numbers from onnx.proto).
"""

from __future__ import annotations

import numpy as np

SIDE = 2048  # of the matrices: large enough that nothing but the products counts
FLOPS = 2 * SIDE**3  # of one product
INPUTS = {"x": np.ones((1, SIDE), np.float32)}
_FLOAT, _FLOAT16 = 1, 10  # TensorProto.DataType
_IR_VERSION, _OPSET = 8, 18


def gemm_graph(products: int, precision: str = "fp32") -> bytes:
    """ONNX: x float32 (1, SIDE) to y float32 (1, 1), the largest element of (x * w) @ w @ w ...

    So many products, in fp16 when that is the precision, else in fp32.
    """
    half = precision == "fp16"
    # of variance 1 / SIDE: however many products, the values stay where they are
    weights = (np.random.default_rng(0).standard_normal((SIDE, SIDE)) / np.sqrt(SIDE)).astype("<f2" if half else "<f4")
    nodes = [_node("Cast", "x", to="h0", cast=_FLOAT16)] if half else []
    nodes.append(_node("Mul", "h0" if half else "x", "w", to="p0"))
    nodes += [_node("MatMul", f"p{step}", "w", to=f"p{step + 1}") for step in range(products)]
    nodes.append(_node("ReduceMax", f"p{products}", to="h1" if half else "y"))
    nodes += [_node("Cast", "h1", to="y", cast=_FLOAT)] if half else []
    graph = b"".join(_bytes(1, node) for node in nodes)
    graph += _bytes(2, b"gemm")
    graph += _bytes(5, _constant("w", _FLOAT16 if half else _FLOAT, weights))
    graph += _bytes(11, _float_value("x", 1, SIDE)) + _bytes(12, _float_value("y", 1, 1))
    return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _number(2, _OPSET))


def _node(operator: str, *inputs: str, to: str, cast: int | None = None) -> bytes:
    node = b"".join(_bytes(1, name.encode()) for name in inputs) + _bytes(2, to.encode())
    node += _bytes(4, operator.encode())
    if cast is not None:  # the attribute `to`, of type INT
        node += _bytes(5, _bytes(1, b"to") + _number(3, cast) + _number(20, 2))
    return node


def _constant(name: str, dtype: int, values: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> bytes:
    dimensions = b"".join(_number(1, side) for side in values.shape)
    return dimensions + _number(2, dtype) + _bytes(8, name.encode()) + _bytes(9, values.tobytes())


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
