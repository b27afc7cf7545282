"""The operators that the exporter writes, and what each answers: type, shape, and small integers where they are known.

An operator that is not here is in no graph that an engine is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clipspect.engines import onnx_shapes as shapes
from clipspect.engines.onnx_model import INTEGERS, Node
from clipspect.engines.onnx_shapes import Inputs, Known

_MOST_FOLLOWED = 1 << 16  # integers of a tensor that are followed through the graph

Rule = Callable[[Node, Inputs], "list[Known]"]


def answers(node: Node, inputs: Inputs) -> list[Known]:
    """What the operator answers. Raises ValueError for one that is not in use, and for inputs that do not fit."""
    rule = RULES.get(node.operator)
    if rule is None:
        raise ValueError(f"the operator {node.operator!r:.80} is not in use")
    try:
        known = rule(node, inputs)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{node.operator}: {error}") from error
    if any(side < 0 for item in known for side in item.shape):
        raise ValueError(f"{node.operator}: answers a negative length")
    if not 0 < len(node.outputs) <= len(known):
        raise ValueError(f"{node.operator}: {len(node.outputs)} outputs, expected {len(known)}")
    return [_followed(node, inputs, item) if len(known) == 1 else item for item in known]


def _followed(node: Node, inputs: Inputs, known: Known) -> Known:
    """The same with its values, where they are integers that follow from integers."""
    compute = _ARITHMETIC.get(node.operator)
    if compute is None or known.integers is not None or known.dtype not in INTEGERS or known.size > _MOST_FOLLOWED:
        return known
    values = [None if item is None else item.integers for item in inputs]
    if any(value is None and item is not None for value, item in zip(values, inputs)):
        return known
    with np.errstate(all="ignore"):
        computed = np.asarray(compute(node, values)).astype(INTEGERS[known.dtype])
    return Known(known.dtype, known.shape, computed.reshape(known.shape))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Clip", "Erf", "Identity", "LayerNormalization", "Reciprocal", "Sigmoid", "Softmax"), shapes.same),
    **dict.fromkeys(("Add", "Mul", "Sub"), shapes.together),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), shapes.reduced),
    **dict.fromkeys(("MatMul", "MatMulInteger"), shapes.matmul),
    "Cast": shapes.cast,
    "Concat": shapes.concat,
    "Conv": shapes.conv,
    "DequantizeLinear": shapes.as_the_second,
    "Div": shapes.divided,
    "Equal": shapes.compared,
    "Expand": shapes.expand,
    "Gather": shapes.gather,
    "QuantizeLinear": shapes.as_the_last,
    "Reshape": shapes.reshape,
    "Shape": shapes.shape_of,
    "Slice": shapes.sliced,
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
    "Div": lambda node, values: np.fix(values[0] / values[1]),
    "Cast": lambda node, values: values[0],
    "Identity": lambda node, values: values[0],
    "Concat": lambda node, values: np.concatenate(values, axis=node.attributes["axis"]),
    "Gather": lambda node, values: np.take(values[0], values[1], axis=node.attributes.get("axis", 0)),
    "Reshape": lambda node, values: values[0],
    "Squeeze": lambda node, values: values[0],
    "Unsqueeze": lambda node, values: values[0],
}
