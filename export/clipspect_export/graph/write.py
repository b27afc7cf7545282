"""A torch module to one plain ONNX file with its weights in a file beside it."""

from __future__ import annotations

import contextlib
import inspect
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes
from torch import Tensor, nn

from clipspect.engines.graph import FP16
from clipspect_export.graph.data_file import DataFile
from clipspect_export.graph.encoder_end import ENCODER, mark_encoder
from clipspect_export.graph.half_graph import halve
from clipspect_export.graph.half_storage import store_halves

OPSET = 18  # the newest whose operators TensorRT 10.3 (JetPack 6) parses; 20 and 23 gain nothing here
DATA_SUFFIX = ".data"
DEDUPLICATED_UP_TO = 1 << 16  # elements; no two weights are equal, index tables are
ENGINE = "onnxruntime"  # that written graphs are asked in
_CHATTY = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")


@dataclass(frozen=True)
class GraphInput:
    """An input by its example and its dynamic dimensions.

    An example's dynamic dimension must be 2 or more: torch takes a 1 for a constant.
    """

    example: Tensor
    dynamic: dict[int, str]


def write_graph(
    module: nn.Module,
    inputs: dict[str, GraphInput],
    outputs: list[str],
    path: Path,
    *,
    storage: str = "fp32",
    precision: str = "fp32",
    data: DataFile | None = None,
) -> None:
    """Write `path`, and its weights into `data`, by default the file `path` + ".data".

    `storage="fp16"` stores the large tensors that lose nothing by it as float16 and casts them to float32 in the
    graph: the file is half the size and the values are the same. `precision="fp16"`, of the graphs that inspect,
    computes the encoder in fp16 (half_graph.py). The `inputs` are the module's arguments in order,
    and those that it takes as *args.
    """
    dimensions = [
        {axis: torch.export.Dim(symbol, min=1) for axis, symbol in item.dynamic.items()} for item in inputs.values()
    ]
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(item.example for item in inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=inspect.signature(module.forward).bind(*dimensions).arguments,
            verbose=False,
        )
    if program is None:
        raise AssertionError("torch.onnx.export(dynamo=True) returned nothing")
    model: ir.Model = program.model
    passes.RemoveUnusedNodesPass()(model)
    if hasattr(module, ENCODER):
        mark_encoder(model.graph)
    _tidy(model)
    if precision == FP16:
        halve(model)
    if storage == "fp16":
        store_halves(model.graph)
    if data is None:
        data = DataFile(path.with_name(path.name + DATA_SUFFIX))
    data.take_weights(model.graph)
    ir.save(model, path)


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
