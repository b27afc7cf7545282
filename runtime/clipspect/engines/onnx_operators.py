"""The operators that the exporter writes, and what each answers: type, shape, and small integers where they are known.

An operator that is not here is in no graph that an engine is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clipspect.engines import onnx_shapes as shapes
from clipspect.engines.onnx_model import INTEGERS, MOST_FOLLOWED, Node
from clipspect.engines.onnx_shapes import Inputs, Known

_MOST_AXES = 8

Rule = Callable[[Node, Inputs], "list[Known]"]


def answers(node: Node, inputs: Inputs) -> list[Known]:
    """What the operator answers. Raises ValueError for one that is not in use, and for inputs that do not fit."""
    rule = RULES.get(node.operator)
    if rule is None:
        raise ValueError(f"the operator {node.operator!r:.80} is not in use")
    try:
        _require_attributes(node)
        known = rule(node, inputs)
        if any(side < 0 for item in known for side in item.shape):
            raise ValueError("answers a negative length")
        if any(len(item.shape) > _MOST_AXES for item in known):
            raise ValueError(f"answers more than {_MOST_AXES} axes")
        if not 0 < len(node.outputs) <= len(known):
            raise ValueError(f"{len(node.outputs)} outputs, expected {len(known)}")
        return [_followed(node, inputs, item) if len(known) == 1 else item for item in known]
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{node.operator}: {error}") from error


def _require_attributes(node: Node) -> None:
    """Refuse an attribute that the operator has not, or of another type: one engine would pass over it."""
    for name, value in node.attributes.items():
        if name not in _ATTRIBUTES.get(node.operator, ""):
            raise ValueError(f"has no attribute {name!r:.40}")
        if type(value) is not _TYPES.get(name, int):
            raise ValueError(f"the attribute {name} is of another type")
        if name in _SWITCHES and value not in (0, 1):
            raise ValueError(f"the attribute {name} is {value}, expected 0 or 1")


def _followed(node: Node, inputs: Inputs, known: Known) -> Known:
    """The same with its values, where they are integers that follow from integers."""
    compute = _ARITHMETIC.get(node.operator)
    if compute is None or known.integers is not None or known.dtype not in INTEGERS or known.size > MOST_FOLLOWED:
        return known
    values = [None if item is None else item.integers for item in inputs]
    if any(value is None and item is not None for value, item in zip(values, inputs)):
        return known
    with np.errstate(all="ignore"):
        computed = np.asarray(compute(node, values)).astype(INTEGERS[known.dtype])
    return Known(known.dtype, known.shape, computed.reshape(known.shape))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Erf", "Identity", "Reciprocal", "Sigmoid"), shapes.same),
    **dict.fromkeys(("Add", "Mul", "Sub"), shapes.together),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), shapes.reduced),
    **dict.fromkeys(("MatMul", "MatMulInteger"), shapes.matmul),
    "Cast": shapes.cast,
    "Clip": shapes.clipped,
    "Concat": shapes.concat,
    "Conv": shapes.conv,
    "DequantizeLinear": shapes.dequantized,
    "Div": shapes.divided,
    "Equal": shapes.compared,
    "Expand": shapes.expand,
    "Gather": shapes.gather,
    "LayerNormalization": shapes.normalized,
    "QuantizeLinear": shapes.quantized,
    "Reshape": shapes.reshape,
    "Shape": shapes.shape_of,
    "Slice": shapes.sliced,
    "Softmax": shapes.softmax,
    "Split": shapes.split,
    "Squeeze": shapes.squeeze,
    "TopK": shapes.largest,
    "Transpose": shapes.transpose,
    "Unsqueeze": shapes.unsqueeze,
}


_ARITHMETIC: Mapping[str, Callable[[Node, Sequence[Any]], Any]] = {
    "Add": lambda node, values: values[0] + values[1],
    "Mul": lambda node, values: values[0] * values[1],
    "Sub": lambda node, values: values[0] - values[1],
    "Div": lambda node, values: _towards_zero(values[0], values[1]),
    "Cast": lambda node, values: values[0],
    "Identity": lambda node, values: values[0],
    "Concat": lambda node, values: np.concatenate(values, axis=node.attributes["axis"]),
    "Gather": lambda node, values: np.take(values[0], values[1], axis=node.attributes.get("axis", 0)),
    "Reshape": lambda node, values: values[0],
    "Squeeze": lambda node, values: values[0],
    "Unsqueeze": lambda node, values: values[0],
}


def _towards_zero(number: Any, divisor: Any) -> Any:
    """Of integers, as ONNX divides them; floats would lose the last digits."""
    quotient = np.floor_divide(number, divisor)
    exact = quotient * divisor == number
    return quotient + (~exact & ((number < 0) != (divisor < 0)))


_REDUCES = ("keepdims", "noop_with_empty_axes")
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {  # of opset 18
    "Cast": ("to",),
    "Concat": ("axis",),
    "Conv": ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"),
    "DequantizeLinear": ("axis",),
    "Gather": ("axis",),
    "LayerNormalization": ("axis", "epsilon", "stash_type"),
    "QuantizeLinear": ("axis",),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), _REDUCES),
    "Reshape": ("allowzero",),
    "Shape": ("start", "end"),
    "Softmax": ("axis",),
    "Split": ("axis", "num_outputs"),
    "TopK": ("axis", "largest", "sorted"),
    "Transpose": ("perm",),
}
_TYPES: Mapping[str, type] = {  # of those that are no integer
    "auto_pad": bytes,
    **dict.fromkeys(("dilations", "kernel_shape", "pads", "strides", "perm"), tuple),
    "epsilon": float,
}
_SWITCHES = frozenset({*_REDUCES, "allowzero", "largest", "sorted", "stash_type"})
