"""Graphs that fuzzing begins with: the handmade ones, and one that has every operator that the exporter writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, load_from_string, numpy_helper

from clipspect.engines.graph import Graph, TensorSpec
from support import handmade_graphs
from support.handmade import DIM, make_graph

SIDE = 8  # pixels
WEIGHTS = "model.onnx.data"

_node = helper.make_node


def graphs() -> dict[str, tuple[Graph, bytes]]:
    """What a manifest says, and the file."""
    brightness = make_graph()
    inputs = {**brightness.inputs, "image": TensorSpec("uint8", ("N", SIDE, SIDE, 3))}
    outputs = {**brightness.outputs, "anomaly_map": TensorSpec("float32", ("N", SIDE, SIDE))}
    words = Graph("model.onnx", 18, inputs, outputs, 0)
    galleries = {f"reference_{name}": TensorSpec("float32", (f"R_{name}", 3)) for name in handmade_graphs.GRIDS}
    features = {
        f"features_{name}": TensorSpec("float32", ("N", cells**2, 3)) for name, cells in handmade_graphs.GRIDS.items()
    }
    both = Graph("model.onnx", 18, {**inputs, **galleries}, {**outputs, **features}, 0)
    text = Graph(
        "model.onnx",
        18,
        {"tokens": TensorSpec("int64", ("B", "T"))},
        {"embeddings": TensorSpec("float32", ("B", 4))},
        0,
    )
    return {
        "words": (words, handmade_graphs.brightness(SIDE, DIM)),
        "every": (words, every_operator()),
        "both": (both, handmade_graphs.colours(SIDE, DIM)),
        "text": (text, handmade_graphs.word_sums()),
    }


def write_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(np.arange(1024, dtype=np.float32).tobytes())


def every_operator() -> bytes:
    """The graph of brightness with all other operators beside its own, and a constant in another file."""
    model: ModelProto = load_from_string(handmade_graphs.brightness(SIDE, DIM))
    constants = {
        "i0": np.int64([0]), "i1": np.int64([1]), "i2": np.int64([2]), "rows": np.int64([-1, SIDE * SIDE * 3]),
        "f": np.float32(0.5), "fs": np.ones(3, np.float32), "u": np.uint8(3),
        "kernel": np.ones((2, SIDE, 2, 2), np.float32),
        "q": np.ones((3, 2), np.int8), "qs": np.ones(2, np.float32), "qz": np.zeros(2, np.int8),
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": WEIGHTS, "offset": "64", "length": "24"}.items():
        outside.external_data.add(key=key, value=value)
    model.graph.initializer.append(outside)
    own = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([own[0], *_others(), *own[1:]])
    return model.SerializeToString()


def _others() -> list[NodeProto]:
    return [
        _node("Shape", ["pixels"], ["shape"], start=0, end=1),
        _node("Mul", ["shape", "i2"], ["twice"]),
        _node("Div", ["twice", "i2"], ["once"]),
        _node("Concat", ["once", "i1", "i1"], ["lengths"], axis=0),
        _node("Reshape", ["pixels", "rows"], ["r"], allowzero=0),
        _node("Expand", ["f", "lengths"], ["expanded"]),
        _node("MatMul", ["pixels", "w"], ["product"]),
        _node("LayerNormalization", ["pixels", "fs", "fs"], ["norm"], axis=-1, epsilon=1e-5, stash_type=1),
        _node("Softmax", ["norm"], ["soft"], axis=-1),
        _node("Sigmoid", ["soft"], ["sigmoid"]),
        _node("Erf", ["sigmoid"], ["erf"]),
        _node("Reciprocal", ["erf"], ["reciprocal"]),
        _node("Clip", ["reciprocal", "f", ""], ["clipped"]),
        _node(
            "Conv",
            ["pixels", "kernel"],
            ["conv"],
            auto_pad="NOTSET",
            group=1,
            kernel_shape=[2, 2],
            pads=[0, 0, 0, 0],
            strides=[1, 1],
            dilations=[1, 1],
        ),
        _node("Transpose", ["conv"], ["turned"], perm=[0, 2, 3, 1]),
        _node("Gather", ["turned", "i0"], ["gathered"], axis=1),
        _node("Squeeze", ["gathered", "i1"], ["squeezed"]),
        _node("Unsqueeze", ["squeezed", "i0"], ["unsqueezed"]),
        _node("Slice", ["pixels", "i0", "i2", "i1", "i1"], ["sliced"]),
        _node("Split", ["pixels"], ["half", "other"], axis=1, num_outputs=2),
        _node("TopK", ["pixels", "i1"], ["most", "places"], axis=-1, largest=1, sorted=1),
        _node("ReduceL2", ["pixels", "i1"], ["length"], keepdims=1, noop_with_empty_axes=0),
        _node("ReduceMin", ["pixels", "i1"], ["least"], keepdims=0),
        _node("ReduceSum", ["pixels", "i1"], ["sum"]),
        _node("Sub", ["sum", "length"], ["difference"]),
        _node("Equal", ["sum", "length"], ["equal"]),
        _node("Identity", ["equal"], ["alike"]),
        _node("QuantizeLinear", ["pixels", "f", "u"], ["quantized"]),
        _node("DequantizeLinear", ["q", "qs", "qz"], ["dequantized"], axis=1),
        _node("MatMulInteger", ["quantized", "q"], ["integers"]),
        _node("Cast", ["integers"], ["cast"], to=TensorProto.FLOAT),
    ]
