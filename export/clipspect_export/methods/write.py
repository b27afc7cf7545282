"""The graphs of a method on disk: a file for each role, all over one file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from clipspect.engines.graph import BOTH, PHOTOS, WINDOWS, WORDS, Graph
from clipspect_export.graph.data_file import DataFile
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.graph.write import DATA_SUFFIX, OPSET, write_graph
from clipspect_export.methods.model import GraphForm, WindowsForm
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.dino_config import DinoConfig

GRAPH_FILES = {WORDS: "model.onnx", BOTH: "fewshot.onnx", PHOTOS: "memory.onnx", WINDOWS: "windows.onnx"}  # by role


def write_graphs(
    forms: Mapping[str, GraphForm],
    config: ClipConfig | DinoConfig,
    folder: Path,
    *,
    windows: WindowsForm | None = None,
    precision: str = "fp32",
    storage: str = "fp32",
) -> dict[str, Graph]:
    """Write each role's graph into a folder, and what it holds by role. Raises ExportError.

    `windows` adds the graph of windows on demand.
    """
    data = DataFile(folder / f"{GRAPH_FILES[next(iter(forms))]}{DATA_SUFFIX}")
    graphs = {}
    for role, form in forms.items():
        path, inputs = folder / GRAPH_FILES[role], form.inputs(config.image, config.text_dim)
        write_graph(form.module(), inputs, form.outputs, path, precision=precision, storage=storage, data=data)
        report = check_graph(path, {name: item.dynamic for name, item in inputs.items()})
        graphs[role] = Graph(path.name, OPSET, report.inputs, report.outputs, report.flops)
    if windows is not None:
        compares = BOTH in forms
        path, inputs, outputs = folder / GRAPH_FILES[WINDOWS], windows.inputs(config.image), windows.outputs(compares)
        write_graph(windows.module(compares), inputs, outputs, path, precision=precision, storage=storage, data=data)
        dynamic = {name: item.dynamic for name, item in inputs.items()}
        report = check_graph(path, dynamic, lengths=windows.lengths)
        graphs[WINDOWS] = Graph(path.name, OPSET, report.inputs, report.outputs, report.flops)
    return graphs
