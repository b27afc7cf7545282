"""The graphs of a bundle that inspect: written over one data file, and compared with torch."""

from __future__ import annotations

from pathlib import Path

import torch
from clipspect.manifest import ANOMALY_MAP, IMAGE, SCORE, FewShot, Graph, Parity
from clipspect.recipe import TEXT_FEATURES
from torch import nn

from clipspect_export.check import CHECK_FILE, Features, few_shot_check, write_check, zero_shot_check
from clipspect_export.config import ClipConfig
from clipspect_export.data_file import DataFile
from clipspect_export.graph import DATA_SUFFIX, OPSET, GraphInput, write_graph
from clipspect_export.graph_check import check_graph
from clipspect_export.methods import Model
from clipspect_export.parity import measure_parity

GRAPH_FILE, FEW_SHOT_FILE = "model.onnx", "fewshot.onnx"
_EXAMPLE_BATCH, _EXAMPLE_PROMPTS = 2, 3  # not 1: torch takes a 1 for a constant


def write_graphs(
    model: Model, config: ClipConfig, folder: Path, *, storage: str, few_shot: bool
) -> tuple[Graph, Graph | None]:
    """Write `model.onnx`, its weights and, if asked for, `fewshot.onnx` over the same. Raises ExportError."""
    side = config.image_size
    inputs = {
        IMAGE: GraphInput(torch.zeros(_EXAMPLE_BATCH, side, side, 3, dtype=torch.uint8), {0: "N"}),
        TEXT_FEATURES: GraphInput(torch.randn(2, _EXAMPLE_PROMPTS, config.embed_dim), {1: "P"}),
    }
    data = DataFile(folder / f"{GRAPH_FILE}{DATA_SUFFIX}")

    def write(file: str, module: nn.Module, inputs: dict[str, GraphInput], outputs: list[str]) -> Graph:
        write_graph(module, inputs, outputs, folder / file, storage=storage, data=data)
        report = check_graph(folder / file, {name: item.dynamic for name, item in inputs.items()})
        return Graph(file, OPSET, report.inputs, report.outputs, report.flops)

    graph, form = write(GRAPH_FILE, model.graph(), inputs, [SCORE, ANOMALY_MAP]), model.few_shot
    if not few_shot or form is None:
        return graph, None
    return graph, write(FEW_SHOT_FILE, form.graph(), form.inputs(inputs), form.outputs)


def compare_graphs(
    model: Model, few_shot: Graph | None, size: int, text_features: Features, folder: Path
) -> tuple[Parity, FewShot | None]:
    """Ask the torch references what the written graphs are asked, and write their answers beside the graphs.

    Returns what the manifest says of the zero-shot graph's parity, and of the few-shot graph. Raises ExportError.
    """
    check, few_shot_answers, record = zero_shot_check(model.reference, size, text_features), None, None
    parity = measure_parity(folder / GRAPH_FILE, check, model.tolerance)
    if few_shot is not None and model.few_shot is not None:
        few_shot_answers = few_shot_check(model.few_shot, size, text_features)
        few_shot_parity = measure_parity(folder / few_shot.file, few_shot_answers, model.tolerance)
        record = FewShot(few_shot, model.few_shot.map_range, few_shot_parity)
    write_check(folder / CHECK_FILE, check, few_shot_answers)
    return parity, record
