"""The graphs of a bundle that inspect: written over one data file, and compared with torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from clipspect.bundle.manifest import InspectionGraph
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.engines.graph import ANOMALY_MAP, BOTH, FP16, IMAGE, SCORE, TEXT_FEATURES, WORDS, Graph
from clipspect_export.check.answers import CHECK_FILE, Check, few_shot_check, write_check, zero_shot_check
from clipspect_export.check.parity import measure_parity
from clipspect_export.graph.data_file import DataFile
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.graph.write import DATA_SUFFIX, OPSET, GraphInput, write_graph
from clipspect_export.methods.model import Features, Model
from clipspect_export.precision.precisions import bf16_record, emulated_differences, emulated_parity, fp16_record
from clipspect_export.towers.config import ClipConfig

GRAPH_FILE, FEW_SHOT_FILE = "model.onnx", "fewshot.onnx"
_EXAMPLE_BATCH, _EXAMPLE_PROMPTS = 2, 3  # not 1: torch takes a 1 for a constant


@dataclass(frozen=True)
class Compared:
    """What the manifest says of the graphs' parity, and of the precision that they or an engine's hint have."""

    graphs: dict[str, InspectionGraph]  # by role
    record: PrecisionRecord


def write_graphs(
    model: Model, config: ClipConfig, folder: Path, *, precision: str, storage: str, few_shot: bool
) -> tuple[Graph, Graph | None]:
    """Write `model.onnx`, its weights and, if asked for, `fewshot.onnx` over the same. Raises ExportError."""
    side = config.image_size
    inputs = {
        IMAGE: GraphInput(torch.zeros(_EXAMPLE_BATCH, side, side, 3, dtype=torch.uint8), {0: "N"}),
        TEXT_FEATURES: GraphInput(torch.randn(2, _EXAMPLE_PROMPTS, config.embed_dim), {1: "P"}),
    }
    data = DataFile(folder / f"{GRAPH_FILE}{DATA_SUFFIX}")

    def write(file: str, module: nn.Module, inputs: dict[str, GraphInput], outputs: list[str]) -> Graph:
        write_graph(module, inputs, outputs, folder / file, precision=precision, storage=storage, data=data)
        report = check_graph(folder / file, {name: item.dynamic for name, item in inputs.items()})
        return Graph(file, OPSET, report.inputs, report.outputs, report.flops)

    graph, form = write(GRAPH_FILE, model.graph(), inputs, [SCORE, ANOMALY_MAP]), model.few_shot
    if not few_shot or form is None:
        return graph, None
    return graph, write(FEW_SHOT_FILE, form.graph(), form.inputs(inputs), form.outputs)


def ask_references(
    model: Model, few_shot: Graph | None, size: int, text_features: Features, folder: Path
) -> dict[Path, Check]:
    """What the torch references answer to the check images, by graph, the few-shot one last; written beside them."""
    zero_shot = zero_shot_check(model.reference, size, text_features)
    checks = {folder / GRAPH_FILE: zero_shot}
    if few_shot is not None and model.few_shot is not None:
        checks[folder / few_shot.file] = few_shot_check(model.few_shot, zero_shot, size)
    write_check(folder / CHECK_FILE, *checks.values())
    return checks


def compare_graphs(
    model: Model, graph: Graph, few_shot: Graph | None, checks: dict[Path, Check], precision: str
) -> Compared:
    """The written graphs asked what the references were asked. Raises ExportError beyond the tolerance."""
    if precision == FP16:
        found = [emulated_differences(graph, check) for graph, check in checks.items()]
        parities = [emulated_parity(differences) for differences in found]
        record = fp16_record(found)
    else:
        parities = [measure_parity(graph, check, model.tolerance) for graph, check in checks.items()]
        record = bf16_record(checks)
    graphs = {WORDS: InspectionGraph(**vars(graph), map_range=model.map_range, parity=parities[0])}
    if few_shot is not None and model.few_shot is not None:
        map_range = model.few_shot.map_range
        graphs[BOTH] = InspectionGraph(**vars(few_shot), map_range=map_range, parity=parities[1])
    return Compared(graphs, record)
