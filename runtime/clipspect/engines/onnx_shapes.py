"""What an operator of ONNX answers, by the shapes of its inputs: https://onnx.ai/onnx/operators.

A rule raises ValueError, or another error of Python's, for inputs that do not fit; `onnx_operators` calls them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipspect.engines.onnx_model import BOOL, INT32, INT64, INTEGERS, MOST_FOLLOWED, Integers, Node


@dataclass(frozen=True)
class Known:
    """What is known of a tensor before the graph runs."""

    dtype: int
    shape: tuple[int, ...]
    integers: Integers | None = None  # its values, of a small tensor of integers that no input changes

    @property
    def size(self) -> int:
        return math.prod(self.shape)


Inputs = Sequence["Known | None"]  # None: an optional one that is left out


def _needed(inputs: Inputs, at: int) -> Known:
    item = inputs[at] if at < len(inputs) else None
    if item is None:
        raise ValueError(f"its input {at} is left out")
    return item


def _given(inputs: Inputs, at: int) -> Known | None:
    return inputs[at] if at < len(inputs) else None


def _integers(inputs: Inputs, at: int) -> list[int]:
    """Of an input that says a shape, axes or places: it must be known before the graph runs."""
    item = _needed(inputs, at)
    if item.integers is None:
        raise ValueError(f"its input {at} depends on the image, or has more than {MOST_FOLLOWED} values")
    return [int(value) for value in item.integers.ravel()]


def _axis(value: int, rank: int) -> int:
    if not -rank <= value < rank:
        raise ValueError(f"axis {value} of {rank}")
    return value % rank


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's rule, for sides of any length and any number of them."""
    rank = max(len(shape) for shape in shapes)
    sides = []
    for column in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes)):
        lengths = {side for side in column if side != 1}
        if len(lengths) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} do not fit")
        sides.append(lengths.pop() if lengths else 1)
    return tuple(sides)


def same(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    return [Known(first.dtype, first.shape)]


def _of_one_type(inputs: Inputs) -> list[Known]:
    items = [_needed(inputs, at) for at in range(len(inputs))]
    if len({item.dtype for item in items}) != 1:
        raise ValueError(f"inputs of the types {', '.join(str(item.dtype) for item in items)}")
    return items


def together(node: Node, inputs: Inputs) -> list[Known]:
    items = _of_one_type(inputs)
    return [Known(items[0].dtype, _broadcast(*(item.shape for item in items)))]


def compared(node: Node, inputs: Inputs) -> list[Known]:
    return [Known(BOOL, together(node, inputs)[0].shape)]


def divided(node: Node, inputs: Inputs) -> list[Known]:
    """Integers divide only by constants: by 0, and the least of them by -1, ends the process in both CPU engines."""
    (known,) = together(node, inputs)
    if known.dtype in INTEGERS:
        divisors = _integers(inputs, 1)
        if 0 in divisors or -1 in divisors:
            raise ValueError("integers are divided by 0 or -1")
    return [known]


def cast(node: Node, inputs: Inputs) -> list[Known]:
    return [Known(int(node.attributes["to"]), _needed(inputs, 0).shape)]


def shape_of(node: Node, inputs: Inputs) -> list[Known]:
    shape = _needed(inputs, 0).shape
    taken = shape[node.attributes.get("start", 0) : node.attributes.get("end")]
    return [Known(INT64, (len(taken),), np.array(taken, np.int64))]


def reshape(node: Node, inputs: Inputs) -> list[Known]:
    first, wanted = _needed(inputs, 0), _integers(inputs, 1)
    if not node.attributes.get("allowzero", 0):
        wanted = [first.shape[at] if side == 0 else side for at, side in enumerate(wanted)]
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise ValueError(f"a shape of {wanted}")
    rest = math.prod(side for side in wanted if side != -1)
    if -1 in wanted:
        if rest == 0 or first.size % rest:
            raise ValueError(f"{first.shape} as {wanted}")
        wanted[wanted.index(-1)] = first.size // rest
    elif rest != first.size:
        raise ValueError(f"{first.shape} as {wanted}")
    return [Known(first.dtype, tuple(wanted))]


def transpose(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    order = node.attributes.get("perm", tuple(range(len(first.shape)))[::-1])
    if sorted(order) != list(range(len(first.shape))):
        raise ValueError(f"the order {order} of {len(first.shape)} axes")
    return [Known(first.dtype, tuple(first.shape[at] for at in order))]


def unsqueeze(node: Node, inputs: Inputs) -> list[Known]:
    first, axes = _needed(inputs, 0), _integers(inputs, 1)
    rank = len(first.shape) + len(axes)
    places = {_axis(axis, rank) for axis in axes}
    rest = iter(first.shape)
    if len(places) != len(axes):
        raise ValueError(f"axes {axes}")
    return [Known(first.dtype, tuple(1 if at in places else next(rest) for at in range(rank)))]


def squeeze(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    if _given(inputs, 1) is None:  # which sides go must not depend on how many images there are
        if len(first.shape) != 1:
            raise ValueError(f"all sides of 1 of {first.shape}")
        axes = [0]
    else:
        axes = _integers(inputs, 1)
    places = {_axis(axis, len(first.shape)) for axis in axes}
    if len(places) != len(axes) or any(first.shape[at] != 1 for at in places):
        raise ValueError(f"axes {axes} of {first.shape}")
    return [Known(first.dtype, tuple(side for at, side in enumerate(first.shape) if at not in places))]


def concat(node: Node, inputs: Inputs) -> list[Known]:
    items = _of_one_type(inputs)
    first = items[0].shape
    axis = _axis(node.attributes["axis"], len(first))
    if len({(item.shape[:axis], item.shape[axis + 1 :]) for item in items}) > 1:
        raise ValueError(f"shapes {', '.join(str(item.shape) for item in items)} do not fit")
    total = sum(item.shape[axis] for item in items)
    return [Known(items[0].dtype, (*first[:axis], total, *first[axis + 1 :]))]


def split(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    axis = _axis(node.attributes.get("axis", 0), len(first.shape))
    if _given(inputs, 1) is not None:
        lengths = _integers(inputs, 1)
    else:
        parts = int(node.attributes.get("num_outputs", len(node.outputs)))
        each = -(-first.shape[axis] // max(parts, 1))
        lengths = [min(each, first.shape[axis] - each * at) for at in range(parts)]
    if sum(lengths) != first.shape[axis] or len(lengths) != len(node.outputs):
        raise ValueError(f"{first.shape[axis]} into {lengths}")
    return [Known(first.dtype, (*first.shape[:axis], side, *first.shape[axis + 1 :])) for side in lengths]


def sliced(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    starts, ends = _integers(inputs, 1), _integers(inputs, 2)
    axes = list(range(len(starts))) if _given(inputs, 3) is None else _integers(inputs, 3)
    steps = [1] * len(starts) if _given(inputs, 4) is None else _integers(inputs, 4)
    shape = list(first.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = _axis(axis, len(shape))
        shape[at] = len(range(*slice(start, end, step).indices(first.shape[at])))
    return [Known(first.dtype, tuple(shape))]


def gather(node: Node, inputs: Inputs) -> list[Known]:
    first, places = _needed(inputs, 0), _needed(inputs, 1)
    axis = _axis(node.attributes.get("axis", 0), len(first.shape))
    return [Known(first.dtype, (*first.shape[:axis], *places.shape, *first.shape[axis + 1 :]))]


def expand(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    return [Known(first.dtype, _broadcast(first.shape, tuple(_integers(inputs, 1))))]


def reduced(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    axes = [] if _given(inputs, 1) is None else _integers(inputs, 1)
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        return [Known(first.dtype, first.shape)]
    places = {_axis(axis, len(first.shape)) for axis in axes or range(len(first.shape))}
    if node.attributes.get("keepdims", 1):
        return [Known(first.dtype, tuple(1 if at in places else side for at, side in enumerate(first.shape)))]
    return [Known(first.dtype, tuple(side for at, side in enumerate(first.shape) if at not in places))]


def largest(node: Node, inputs: Inputs) -> list[Known]:
    first, (count,) = _needed(inputs, 0), _integers(inputs, 1)
    axis = _axis(node.attributes.get("axis", -1), len(first.shape))
    if count > first.shape[axis]:
        raise ValueError(f"the largest {count} of {first.shape[axis]}")
    shape = (*first.shape[:axis], count, *first.shape[axis + 1 :])
    return [Known(first.dtype, shape), Known(INT64, shape)]


def matmul(node: Node, inputs: Inputs) -> list[Known]:
    one, other = _needed(inputs, 0), _needed(inputs, 1)
    left = one.shape if len(one.shape) > 1 else (1, *one.shape)
    right = other.shape if len(other.shape) > 1 else (*other.shape, 1)
    if left[-1] != right[-2]:
        raise ValueError(f"shapes {one.shape}, {other.shape} do not fit")
    sides = (left[-2],) * (len(one.shape) > 1) + (right[-1],) * (len(other.shape) > 1)
    dtype = INT32 if node.operator == "MatMulInteger" else one.dtype
    return [Known(dtype, (*_broadcast(left[:-2], right[:-2]), *sides))]


def conv(node: Node, inputs: Inputs) -> list[Known]:
    image, kernel = _needed(inputs, 0), _needed(inputs, 1)
    space = len(image.shape) - 2
    strides = node.attributes.get("strides", (1,) * space)
    pads = node.attributes.get("pads", (0,) * 2 * space)
    fits = len(strides) == space and len(pads) == 2 * space and len(kernel.shape) == len(image.shape)
    if space < 1 or not fits or min(strides) < 1 or min(pads) < 0:
        raise ValueError(f"shapes {image.shape}, {kernel.shape}, strides {strides}, pads {pads}")
    if node.attributes.get("kernel_shape", kernel.shape[2:]) != kernel.shape[2:]:
        raise ValueError(f"a kernel of {node.attributes['kernel_shape']}, its weights are {kernel.shape}")
    if node.attributes.get("group", 1) != 1 or image.shape[1] != kernel.shape[1]:
        raise ValueError(f"{image.shape[1]} channels, expected {kernel.shape[1]}, in one group")
    if set(node.attributes.get("dilations", (1,))) != {1} or node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ValueError("it is dilated, or pads by itself")
    sides = (
        (image.shape[2 + at] + pads[at] + pads[at + space] - kernel.shape[2 + at]) // strides[at] + 1
        for at in range(space)
    )
    return [Known(image.dtype, (image.shape[0], kernel.shape[0], *sides))]


def quantized(node: Node, inputs: Inputs) -> list[Known]:
    """To the zero point's type."""
    return [Known(_scaled(node, inputs)[2].dtype, _needed(inputs, 0).shape)]


def dequantized(node: Node, inputs: Inputs) -> list[Known]:
    """To the scale's type."""
    return [Known(_scaled(node, inputs)[1].dtype, _needed(inputs, 0).shape)]


def _scaled(node: Node, inputs: Inputs) -> tuple[Known, Known, Known]:
    """The tensor, its scale and its zero point: one for all, or one for each place of an axis."""
    first, scale, zero = (_needed(inputs, at) for at in range(3))
    lengths = [()] if not first.shape else [(), (first.shape[_axis(node.attributes.get("axis", 1), len(first.shape))],)]
    if scale.shape not in lengths or zero.shape != scale.shape:
        raise ValueError(f"{first.shape} with the scale {scale.shape} and the zero point {zero.shape}")
    return first, scale, zero


def normalized(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    axis = _axis(node.attributes.get("axis", -1), len(first.shape))
    for at in range(1, len(inputs)):
        if _needed(inputs, at).shape != first.shape[axis:]:
            raise ValueError(f"{first.shape} from axis {axis} with {_needed(inputs, at).shape}")
    return [Known(first.dtype, first.shape)]


def softmax(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    _axis(node.attributes.get("axis", -1), len(first.shape))
    return [Known(first.dtype, first.shape)]


def clipped(node: Node, inputs: Inputs) -> list[Known]:
    first = _needed(inputs, 0)
    if any(limit is not None and limit.shape for limit in inputs[1:]):
        raise ValueError("limits that are no single numbers")
    return [Known(first.dtype, first.shape)]
