"""A graph in two: what reads the image alone, and what reads the recipe's features as well.

A server can join images of several clients for the first part, whatever their recipes; only the second part, which is
short, is of one recipe. Both are made of the operators of the file as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from math import prod
from pathlib import Path

from clipspect.engines.graph import IMAGE, Graph, TensorSpec
from clipspect.engines.onnx_check import DTYPES
from clipspect.engines.onnx_file import external_data, read_file, read_message
from clipspect.engines.onnx_model import BYTES, Model, read_model
from clipspect.engines.onnx_operators import answers
from clipspect.engines.onnx_shapes import Known
from clipspect.engines.serving import FOR_HEAD

_BATCHES = (2, 3)  # numbers of images: two runs of the shapes show what depends on the number
_GRAPH = 7  # field of onnx.ModelProto
_NODE, _NAME, _CONSTANT, _INPUT, _OUTPUT = 1, 2, 5, 11, 12  # fields of onnx.GraphProto; others say what is inside
_TITLE, _RAW, _EXTERNAL, _LOCATION = 8, 9, 13, 14  # fields of onnx.TensorProto

Specs = dict[str, TensorSpec]


@dataclass(frozen=True)
class Part:
    """An ONNX model and its tensors."""

    model: bytes
    inputs: Specs
    outputs: Specs


@dataclass(frozen=True)
class Split:
    """`encoder` reads the image, and the file's weights beside it. `head` reads what the encoder answers and the other
    inputs; its few constants are inside.

    Triton leaves steps out whose outputs a client did not ask for, and is wrong about those that another step reads as
    well. So what the head reads is for the head alone.
    """

    encoder: Part
    head: Part
    copied: dict[str, str]  # by the head's input, the encoder's output under another name


def split(path: Path, graph: Graph) -> Split | None:
    """The two parts of a verified ONNX file; None where it has not two, or its images are not apart in the first.

    What the encoder answers has one row an image, so that rows of several runs can be joined. Raises ValueError and
    OSError.
    """
    model = read_model(read_file(path.read_bytes()), path.parent)
    image = {IMAGE: graph.inputs[IMAGE]}
    others = {name: spec for name, spec in graph.inputs.items() if name != IMAGE}
    of_image, late = _reached(model, {IMAGE}), _reached(model, others.keys())
    shapes = [_known(model, graph, late, batch) for batch in _BATCHES]
    while flat := {name for name in _between(model, graph, of_image, late) if len(shapes[0][name].shape) == 1}:
        late |= flat  # Triton joins no numbers, one an image: the second part computes them
    passed = _between(model, graph, of_image, late)
    rows = _rows(shapes, sorted(passed - {IMAGE}))
    after = {name: spec for name, spec in graph.outputs.items() if name in late}
    if not rows or not after:
        return None
    read = {name for node in model.nodes if late.intersection(node.outputs) for name in node.inputs}
    between = {name: spec for name, spec in {**image, **rows}.items() if name in read}
    copied = {name: f"{name}{FOR_HEAD}" for name in between if name in graph.outputs}
    rows |= {copy: rows[name] for name, copy in copied.items()}
    between |= others
    return Split(
        Part(_written(path, model, image, rows, copied, whole=False), image, rows),
        Part(_written(path, model, between, after, {}, whole=True), between, after),
        copied,
    )


def _between(model: Model, graph: Graph, of_image: set[str], late: set[str]) -> set[str]:
    """What the second part and the clients read of the first; the image itself, where the second part reads that."""
    read = {name for node in model.nodes if late.intersection(node.outputs) for name in node.inputs} & of_image
    return (read | graph.outputs.keys()) - late


def _reached(model: Model, inputs: Set[str]) -> set[str]:
    """The tensors that depend on these inputs, and these."""
    found = set(inputs)
    for node in model.nodes:
        if found.intersection(node.inputs):
            found.update(node.outputs)
    return found


def _rows(shapes: list[dict[str, Known]], names: list[str]) -> Specs | None:
    """What these tensors are, whatever the number of images; None unless each has one row an image."""
    specs = {}
    for name in names:
        one, other = (known[name] for known in shapes)
        if (one.shape[:1], other.shape[:1]) != ((_BATCHES[0],), (_BATCHES[1],)) or one.shape[1:] != other.shape[1:]:
            return None
        dtype = next(name for name, number in DTYPES.items() if number == one.dtype)
        specs[name] = TensorSpec(dtype, ("N", *one.shape[1:]))
    return specs


def _known(model: Model, graph: Graph, left_out: set[str], batch: int) -> dict[str, Known]:
    """The tensors that are made of so many images alone."""
    known = {name: Known(item.dtype, item.shape, item.integers) for name, item in model.constants.items()}
    image = graph.inputs[IMAGE]
    sides = [batch if isinstance(side, str) else side for side in image.shape]
    known[IMAGE] = Known(DTYPES[image.dtype], tuple(sides))
    for node in model.nodes:
        if not left_out.intersection(node.outputs):
            found = answers(node, [known[name] if name else None for name in node.inputs])
            known.update(zip(node.outputs, found))
    return known


def _written(path: Path, model: Model, inputs: Specs, outputs: Specs, copied: dict[str, str], *, whole: bool) -> bytes:
    """The file with the operators alone that these outputs need of these inputs; `whole`: with all constants inside.

    `copied` are outputs that are tensors under other names.
    """
    needed, kept = set(outputs) - set(inputs), set[int]()
    for place, node in reversed([*enumerate(model.nodes)]):
        if needed.intersection(node.outputs):
            kept.add(place)
            needed.update(name for name in node.inputs if name not in inputs)
    fields = read_message(path.read_bytes(), "model")
    contents = read_message(next(_all(fields, _GRAPH)), "graph")
    nodes = list(_all(contents, _NODE))
    constants = [value for value in _all(contents, _CONSTANT) if _title(value) in needed]
    written = [
        *((_NODE, nodes[place]) for place in sorted(kept)),
        *((_NODE, _message([(1, one.encode()), (2, name.encode()), (4, b"Identity")])) for one, name in copied.items()),
        *((_NAME, title) for title in _all(contents, _NAME)),
        *((_CONSTANT, _constant(value, model, path, whole)) for value in constants),
        *((_INPUT, _described(name, spec)) for name, spec in inputs.items()),
        *((_OUTPUT, _described(name, spec)) for name, spec in outputs.items()),
    ]
    return _message((number, _message(written) if number == _GRAPH else value) for number, value in fields)


def _constant(tensor: bytes, model: Model, path: Path, whole: bool) -> bytes:
    """A constant of the graph; `whole`: with its values, where they lie in another file."""
    fields = read_message(tensor, "tensor")
    outside = [read_message(value, "external") for value in _all(fields, _EXTERNAL)]
    if not whole or not outside:
        return tensor
    said, constant = external_data(outside), model.constants[_title(tensor)]
    with (path.parent / said[b"location"].decode("ascii")).open("rb") as file:
        file.seek(int(said.get(b"offset", b"0")))
        values = file.read(prod(constant.shape) * BYTES[constant.dtype])
    kept = [(number, value) for number, value in fields if number not in (_EXTERNAL, _LOCATION)]
    return _message([*kept, (_RAW, values)])


def _title(tensor: bytes) -> str:
    return next(_all(read_message(tensor, "tensor"), _TITLE)).decode()


def _described(name: str, spec: TensorSpec) -> bytes:
    """An onnx.ValueInfoProto."""
    sides = [_message([(2, side.encode()) if isinstance(side, str) else (1, side)]) for side in spec.shape]
    tensor = _message([(1, DTYPES[spec.dtype]), (2, _message((1, side) for side in sides))])
    return _message([(1, name.encode()), (2, _message([(1, tensor)]))])


def _all(fields: Iterable[tuple[int, int | bytes]], number: int) -> Iterator[bytes]:
    return (value for found, value in fields if found == number and isinstance(value, bytes))


def _message(fields: Iterable[tuple[int, int | bytes]]) -> bytes:
    """Protobuf of numbers and bytes."""
    written = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            written += _varint(number << 3) + _varint(value)
        else:
            written += _varint(number << 3 | 2) + _varint(len(value)) + value
    return bytes(written)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
