"""Whether a graph may be given to an engine: the operators that the exporter writes, and bounded work and memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clipspect.engines.graph import Graph, TensorSpec
from clipspect.engines.onnx_file import Message
from clipspect.engines.onnx_model import (
    BOOL,
    BYTES,
    FLOAT,
    FLOAT16,
    INT8,
    INT32,
    INT64,
    INTEGERS,
    UINT8,
    Described,
    Model,
    Node,
    read_model,
)
from clipspect.engines.onnx_operators import answers
from clipspect.engines.onnx_shapes import Known

# Of one image, one prompt a state, one row a gallery. The dearest published setting, SubspaceAD's L/14 at 672, is
# 2e12 and 2 GB; a graph that is over these would hold up the box, or end for want of memory.
MOST_WORK = 10**14  # two an element of each product's sum, one an element of any other answer
MOST_BYTES = 16 << 30  # of the constants, and the tensors that are alive at once
OPSET = 18  # of which the rules are; operators change their inputs between two
MOST_ROWS = 1 << 40  # elements of one tensor, so that no product of sides is beyond 64 bits
# Of two of everything that is free, no tensor has more times the elements that it has of one: images, rows and prompts.
MOST_GROWTH = 2**3
DTYPES = {"float32": FLOAT, "uint8": UINT8, "int8": INT8, "int32": INT32, "int64": INT64, "bool": BOOL}
DTYPES["float16"] = FLOAT16


@dataclass(frozen=True)
class Cost:
    """What a graph takes for one image, one prompt a state and one row a gallery."""

    work: int  # two an element of each product's sum, convolutions among them; one an element of any other answer
    bytes: int  # of the constants, and the tensors that are alive at once


def check_onnx(file: Message, folder: Path, graph: Graph) -> Cost:
    """Refuse a graph that the exporter does not write so, of a file that was read. Raises ValueError, OSError."""
    model = read_model(file, folder)
    if not model.opset == graph.opset == OPSET:
        raise ValueError(f"it is of opset {model.opset}, the manifest says {graph.opset}, expected {OPSET}")
    for what, specs, described in (
        ("input", graph.inputs, model.inputs),
        ("output", graph.outputs, model.outputs),
    ):
        _require_described(what, specs, described)
    known, doubled = _known(model, graph, 1), _known(model, graph, 2)
    cost = _walk(model, graph, known, 1)
    for name, spec in graph.outputs.items():
        _require_output(name, spec, known)
    _walk(model, graph, doubled, MOST_GROWTH)
    for name, item in doubled.items():
        if item.size > MOST_GROWTH * max(known[name].size, 1):
            raise ValueError(f"{name!r:.80} grows from {known[name].shape} to {item.shape} for two images")
    return cost


def _known(model: Model, graph: Graph, count: int) -> dict[str, Known]:
    """What is known before the first operator, for so many images, prompts a state and rows a gallery."""
    known = {name: Known(item.dtype, item.shape, item.integers) for name, item in model.constants.items()}
    for name, spec in graph.inputs.items():
        if name in known:
            raise ValueError(f"its input {name!r} is a constant as well")
        known[name] = _input(spec, count)
    return known


def _walk(model: Model, graph: Graph, known: dict[str, Known], times: int) -> Cost:
    """Through the operators in their order, within so many times the limits; `known` gets what each answers."""
    last_use = {name: at for at, node in enumerate(model.nodes) for name in node.inputs}
    fixed = set(model.constants)  # what follows from constants alone: engines compute it once, and keep it
    kept = fixed | graph.inputs.keys() | graph.outputs.keys()
    alive = most = sum(_bytes(known[name]) for name in model.constants)
    work = 0
    for at, node in enumerate(model.nodes):
        inputs = [None if not name else _of(known, name, node) for name in node.inputs]
        outputs = answers(node, inputs)
        _require_steady(node, outputs, fixed)
        work += _work(node, inputs, outputs)
        for name, item in zip(node.outputs, outputs):
            if name in known or not name:
                raise ValueError(f"two tensors have the name {name!r:.80}")
            known[name] = item
            alive += _bytes(item)
        if all(name in fixed for name in node.inputs if name):
            fixed.update(node.outputs)
            kept.update(node.outputs)
        most = max(most, alive)
        if work > times * MOST_WORK or most > times * MOST_BYTES:
            raise ValueError(f"it takes more than {MOST_WORK:.0e} operations or {MOST_BYTES >> 30} GB for one image")
        for name in {name for name in node.inputs if name and last_use[name] == at} - kept:
            alive -= _bytes(known[name])
    return Cost(work, most)


def _require_steady(node: Node, outputs: list[Known], fixed: set[str]) -> None:
    """Refuse integers whose kind depends on how many images there are: a divisor can be 1 for one, and 0 for two."""
    if outputs[0].dtype not in INTEGERS:
        return
    counted = [name for name in node.inputs if name not in fixed]
    if node.operator == "Div" and node.inputs[1] in counted:
        raise ValueError("Div: integers are divided by what follows from how many images there are")
    sums = node.operator in ("Add", "Sub") or (node.operator == "Mul" and len(counted) > 1)
    if sums and counted and outputs[0].integers is not None:
        raise ValueError(f"{node.operator}: how many images there are is only multiplied by constants")


def _require_described(what: str, specs: Mapping[str, TensorSpec], described: Mapping[str, Described]) -> None:
    """Refuse a file whose inputs, or outputs, are others than the manifest's."""
    if specs.keys() != described.keys():
        raise ValueError(f"its {what}s are {_listed(described)}, the manifest says {_listed(specs)}")
    for name, spec in specs.items():
        found = described[name]
        sides = tuple(side if isinstance(side, int) else None for side in spec.shape)
        if found.dtype != _dtype(spec):
            raise ValueError(f"its {what} {name!r} has the type {found.dtype}, the manifest says {spec.dtype}")
        if found.shape != sides:
            raise ValueError(f"its {what} {name!r} has the shape {found.shape}, the manifest says {spec.shape}")


def _listed(names: Iterable[str]) -> str:
    return f"{', '.join(sorted(names))!a:.200}"


def _of(known: Mapping[str, Known], name: str, node: Node) -> Known:
    if name not in known:
        raise ValueError(
            f"{node.operator}: nothing before it answers {name!r:.80}, and the manifest names no such input"
        )
    return known[name]


def _dtype(spec: TensorSpec) -> int:
    if spec.dtype not in DTYPES:
        raise ValueError(f"a tensor of the type {spec.dtype!r:.40} is not in use")
    return DTYPES[spec.dtype]


def _input(spec: TensorSpec, count: int = 1) -> Known:
    return Known(_dtype(spec), tuple(side if isinstance(side, int) else count for side in spec.shape))


def _bytes(item: Known) -> int:
    if item.dtype not in BYTES:
        raise ValueError(f"a tensor is of the type {item.dtype}, which is not in use")
    if item.size > MOST_ROWS:
        raise ValueError(f"a tensor has the shape {item.shape}")
    return item.size * BYTES[item.dtype]


def _work(node: Node, inputs: list[Known | None], outputs: list[Known]) -> int:
    first, second = (*inputs, None, None)[:2]
    if node.operator in ("MatMul", "MatMulInteger") and first is not None:
        return 2 * outputs[0].size * first.shape[-1]
    if node.operator == "Conv" and second is not None:
        return 2 * outputs[0].size * math.prod(second.shape[1:])
    return sum(item.size for item in outputs)


def _require_output(name: str, spec: TensorSpec, known: Mapping[str, Known]) -> None:
    if name not in known:
        raise ValueError(f"it has no output {name!r:.80}")
    item, expected = known[name], _input(spec)
    sides = [
        (side, wanted) for side, wanted, said in zip(item.shape, expected.shape, spec.shape) if isinstance(said, int)
    ]
    if len(item.shape) != len(expected.shape) or item.dtype != expected.dtype or any(a != b for a, b in sides):
        raise ValueError(f"its output {name!r:.80} has the shape {item.shape}, the manifest says {spec.shape}")
