"""An ONNX file as a fuzz target: what our check takes `onnx` reads alike, and onnxruntime opens it and stays alive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from clipspect.engines.graph import Graph
from clipspect.engines.onnx_check import check_onnx
from clipspect.engines.onnx_file import Message, locations_of, read_file
from clipspect.engines.onnx_model import INTEGERS, Model, read_model
from fuzz.graph_seeds import WEIGHTS, graphs


class Engine:
    """onnxruntime in a process of its own, which is started again when it ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> dict[str, Any]:
        """What it answers. Raises AssertionError where it ended, or took too long."""
        if self._child is None or self._child.poll() is not None:
            command = [sys.executable, str(Path(__file__).with_name("engine_child.py"))]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{path}\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        assert answer, f"onnxruntime ended with {self._child.wait()} at a graph that was taken"
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
            self._child.wait()


engine = Engine()
_GRAPHS = graphs()


def graph(folder: Path, data: bytes) -> None:
    """Any bytes as a graph of any of the manifests that the seeds have."""
    try:
        file = read_file(data)
        locations = locations_of(file)
    except ValueError:
        return
    if not locations <= {WEIGHTS}:
        return
    said = next((spec for spec, _ in _GRAPHS.values() if _takes(file, folder, spec)), None)
    if said is None:
        return
    try:
        read = onnx.load_from_string(data)
    except DecodeError:
        read = None  # then no engine reads it
    if read is not None:
        require_alike(read_model(file, folder), read, folder)
    (folder / "model.onnx").write_bytes(data)
    found = engine.read(folder / "model.onnx")
    if "answers" in found:
        assert read is not None
        for name, spec in said.outputs.items():
            dtype, shape = found["answers"][name]
            assert dtype == spec.dtype
            assert len(shape) == len(spec.shape)


def _takes(file: Message, folder: Path, said: Graph) -> bool:
    try:
        check_onnx(file, folder, said)
    except ValueError:
        return False
    return True


def require_alike(ours: Model, theirs: onnx.ModelProto, folder: Path) -> None:
    """Operators, names, attributes, constants, inputs and outputs are the same as `onnx` reads them."""
    assert [(item.domain in ("", "ai.onnx"), item.version) for item in theirs.opset_import] == [(True, ours.opset)]
    assert not theirs.functions
    assert not theirs.training_info
    graph = theirs.graph
    assert not graph.sparse_initializer
    assert len(graph.node) == len(ours.nodes)
    for one, node in zip(ours.nodes, graph.node):
        assert (one.operator, one.inputs, one.outputs) == (node.op_type, tuple(node.input), tuple(node.output))
        assert node.domain in ("", "ai.onnx")
        theirs_by_name = {item.name: _value(item) for item in node.attribute}
        assert repr(theirs_by_name) == repr(one.attributes)  # NaN is not equal to itself
    assert [item.name for item in graph.initializer] == list(ours.constants)
    for item in graph.initializer:
        constant = ours.constants[item.name]
        assert (constant.dtype, constant.shape) == (item.data_type, tuple(item.dims))
        values = numpy_helper.to_array(item, str(folder))
        assert values.shape == constant.shape
        if item.data_type in INTEGERS:
            np.testing.assert_array_equal(values, constant.integers)
    for described, values in ((ours.inputs, graph.input), (ours.outputs, graph.output)):
        assert list(described) == [item.name for item in values]
        for item in values:
            tensor = item.type.tensor_type
            sides = tuple(side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim)
            assert (described[item.name].dtype, described[item.name].shape) == (tensor.elem_type, sides)


def _value(item: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(item)
    return tuple(value) if not isinstance(value, (int, float, bytes)) else value
