"""What a written graph must be: valid, plain, dynamic where it is meant to be, and how much it computes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from clipspect.base.errors import ExportError
from clipspect.engines.graph import TensorSpec
from clipspect.engines.onnx_operators import RULES
from clipspect_export.graph.write import OPSET

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})

Shapes = dict[str, list[int]]


@dataclass(frozen=True)
class GraphReport:
    """What a graph holds and costs."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    operators: Counter[str]
    # Of MatMul and Gemm for one image, one prompt a state and one row a gallery: two an element of each product's sum
    flops: int
    conv_flops: int  # of the patch embedding, counted apart


def check_graph(
    path: Path,
    dynamic: dict[str, dict[int, str]],
    *,
    patch_embedding: bool = True,
    lengths: Mapping[str, int] | None = None,
) -> GraphReport:
    """Check a graph on disk; `dynamic` names the inputs' dynamic dimensions. Raises ExportError.

    The one convolution of a vision tower is its patch embedding; a text tower has none. Operations are counted with
    the dynamic dimensions of these `lengths`, and 1 where they name none.
    """
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"the exported graph is not valid ONNX ({error}): report this with the package versions"
        ) from error
    model = onnx.load(path, load_external_data=False)
    operators = Counter(node.op_type for node in model.graph.node)
    _require_plain(model, operators, patch_embedding)
    inputs, outputs = (
        {value.name: _spec(value) for value in values} for values in (model.graph.input, model.graph.output)
    )
    for name, axes in dynamic.items():
        for axis, symbol in axes.items():
            if inputs[name].shape[axis] != symbol:
                raise ExportError(f"the exported graph fixes dimension {axis} of {name} to {inputs[name].shape[axis]}")
    flops, conv_flops = _count_flops(model, lengths or {})
    return GraphReport(inputs, outputs, operators, flops, conv_flops)


def _require_plain(model: onnx.ModelProto, operators: Counter[str], patch_embedding: bool) -> None:
    opsets = {item.domain: item.version for item in model.opset_import}
    domains = {node.domain for node in model.graph.node}
    if domains - {"", "ai.onnx"} or opsets.get("") != OPSET or model.functions:
        raise ExportError(f"the exported graph is not plain ONNX of opset {OPSET}: opsets {opsets}, domains {domains}")
    if found := sorted(operators.keys() - RULES.keys()):
        raise ExportError(f"the exported graph holds {', '.join(found)}, which the runtime gives no engine")
    convolutions = sum(operators[name] for name in CONVOLUTIONS)
    if convolutions != patch_embedding:
        expected = "the patch embedding alone" if patch_embedding else "none"
        raise ExportError(f"the exported graph holds {convolutions} convolutions, expected {expected}")


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return TensorSpec(dtype, tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim))


def _count_flops(model: onnx.ModelProto, lengths: Mapping[str, int]) -> tuple[int, int]:
    shapes = _static_shapes(model, lengths)
    flops = conv_flops = 0
    for node in model.graph.node:
        if node.op_type == "MatMul":
            flops += 2 * math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
        elif node.op_type == "Gemm":
            transposed = any(item.name == "transA" and item.i for item in node.attribute)
            flops += 2 * math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else 1]
        elif node.op_type in CONVOLUTIONS:
            conv_flops += 2 * math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    return flops, conv_flops


def _static_shapes(model: onnx.ModelProto, lengths: Mapping[str, int]) -> Shapes:
    """Every tensor's shape when the dynamic dimensions have these lengths, and those without one 1."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in (*fixed.graph.input, *fixed.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = lengths.get(dim.dim_param, 1)
    _fold_lengths(fixed)
    fixed = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    shapes = {item.name: list(item.dims) for item in fixed.graph.initializer}
    for value in (*fixed.graph.input, *fixed.graph.value_info, *fixed.graph.output):
        shapes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return shapes


def _fold_lengths(model: onnx.ModelProto) -> None:
    """Make constants of what follows from the shapes of the inputs: a Split by lengths that are computed has none."""
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in model.graph.input}
    known = {
        item.name: onnx.numpy_helper.to_array(item)
        for item in model.graph.initializer
        if item.data_type == onnx.TensorProto.INT64 and item.data_location != onnx.TensorProto.EXTERNAL
    }
    for node in list(model.graph.node):
        if node.op_type == "Shape" and node.input[0] in shapes:
            ends = {attribute.name: attribute.i for attribute in node.attribute}
            shape = shapes[node.input[0]]
            made = np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], np.int64)
        elif node.input and all(name in known for name in node.input):
            answers: Any = ReferenceEvaluator(node).run(None, {name: known[name] for name in node.input})
            made = np.asarray(answers[0])
        else:
            continue
        known[node.output[0]] = made
        model.graph.initializer.append(onnx.numpy_helper.from_array(made, name=node.output[0]))
        model.graph.node.remove(node)
