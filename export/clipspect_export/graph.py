"""A torch module to one plain ONNX file with its weights beside it."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes
from torch import Tensor, nn

OPSET = 18  # the newest whose operators TensorRT 10.3 (JetPack 6) parses; 20 and 23 gain nothing here
DATA_SUFFIX = ".data"
HALF_STORED_FROM = 4096  # elements; smaller tensors are not worth a Cast node
DEDUPLICATED_UP_TO = 1 << 16  # elements; no two weights are equal, index tables are
_CHATTY = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")


@dataclass(frozen=True)
class GraphInput:
    """An input by its example and its dynamic dimensions.

    An example's dynamic dimension must be 2 or more: torch takes a 1 for a constant.
    """

    example: Tensor
    dynamic: dict[int, str]


def write_graph(
    module: nn.Module, inputs: dict[str, GraphInput], outputs: list[str], path: Path, *, storage: str = "fp32"
) -> None:
    """Write `path` and, beside it, `path` + ".data" with the weights.

    `storage="fp16"` stores the large tensors that lose nothing by it as float16 and casts them to float32 in the
    graph: the file is half the size and the values are the same. The names of `inputs` are the module's arguments.
    """
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(item.example for item in inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes={
                name: {axis: torch.export.Dim(symbol, min=1) for axis, symbol in item.dynamic.items()}
                for name, item in inputs.items()
            },
            verbose=False,
        )
    if program is None:
        raise AssertionError("torch.onnx.export(dynamo=True) returned nothing")
    model: ir.Model = program.model
    _tidy(model)
    if storage == "fp16":
        _store_halves(model.graph)
    ir.save(model, path, external_data=path.name + DATA_SUFFIX)


def _tidy(model: ir.Model) -> None:
    """No traces of this machine, no dead nodes, no constant twice."""
    for step in (
        passes.ClearMetadataAndDocStringPass(),
        passes.DeduplicateInitializersPass(size_limit=DEDUPLICATED_UP_TO),
        passes.RemoveUnusedNodesPass(),
    ):
        step(model)
    model.metadata_props.clear()
    graph = model.graph
    graph.metadata_props.clear()
    outputs = (output for node in graph for output in node.outputs)
    for value in (*graph.inputs, *graph.initializers.values(), *outputs):
        value.metadata_props.clear()


def _store_halves(graph: ir.Graph) -> None:
    first = graph[0]
    for name, value in list(graph.initializers.items()):
        constant = value.const_value
        if constant is None or constant.dtype != ir.DataType.FLOAT or constant.size < HALF_STORED_FROM:
            continue
        exact = constant.numpy()
        with np.errstate(over="ignore"):
            half = exact.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), exact):
            continue
        stored = ir.Value(
            name=f"{name}.fp16", shape=value.shape, type=ir.TensorType(ir.DataType.FLOAT16), const_value=ir.Tensor(half)
        )
        widen = ir.Node(
            "", "Cast", [stored], [ir.AttrInt64("to", int(ir.DataType.FLOAT))], name=f"{name}.widen", num_outputs=1
        )
        widen.outputs[0].shape, widen.outputs[0].type = value.shape, value.type
        value.replace_all_uses_with(widen.outputs[0])
        del graph.initializers[name]
        widen.outputs[0].name = name
        graph.register_initializer(stored)
        graph.insert_before(first, widen)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch tells the developers of its exporter from the user."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
