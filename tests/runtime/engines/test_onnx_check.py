"""No engine is given a graph that the exporter would not write; what is known of a graph's shapes is what ONNX says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import read_manifest, write_manifest
from clipspect.engines.onnx_check import check_onnx
from clipspect.engines.onnx_file import read_file
from clipspect.engines.onnx_model import Node, read_model
from clipspect.engines.onnx_operators import answers
from clipspect.engines.onnx_shapes import Known
from clipspect_models import DEMO_BUNDLE
from support.handmade import SIDE, write_full_bundle
from support.handmade_photos import write_photos_bundle
from support.hostile_graphs import FLOAT, INT64


@pytest.mark.parametrize("opset", [1, 11, 17, 19, 22])
def test_rules_are_of_one_opset_whatever_the_manifest_says(opset: int, tmp_path: Path) -> None:
    bundle = write_full_bundle(tmp_path / "tiny.bundle")
    model = onnx.load(bundle / "model.onnx")
    model.opset_import[0].version = opset  # with 17, an engine takes the axes of ReduceMean from elsewhere
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    manifest = read_manifest(bundle)[0]
    graphs = {name: dataclasses.replace(graph, opset=opset) for name, graph in manifest.graphs.items()}
    write_manifest(bundle, dataclasses.replace(manifest, graphs=graphs))
    with pytest.raises(clipspect.BundleError, match=f"is of opset {opset}, .* expected 18"):
        Bundle.open(bundle)


def test_graphs_of_all_roles_are_taken(tmp_path: Path) -> None:
    for bundle in (write_full_bundle(tmp_path / "full.bundle"), write_photos_bundle(tmp_path / "photos.bundle")):
        assert Bundle.open(bundle).manifest.known_graphs


@pytest.mark.parametrize("file", ["model.onnx", "memory.onnx"])
def test_shapes_are_those_that_onnx_infers(file: str) -> None:
    path = Path(DEMO_BUNDLE) / file
    graph = read_manifest(Path(DEMO_BUNDLE))[0].known_graphs[file]
    model = read_model(read_file(path.read_bytes()), path.parent)
    known = {name: Known(item.dtype, item.shape, item.integers) for name, item in model.constants.items()}
    known |= {
        name: Known(
            {"uint8": TensorProto.UINT8, "float32": FLOAT}[spec.dtype],
            tuple(side if isinstance(side, int) else 1 for side in spec.shape),
        )
        for name, spec in graph.inputs.items()
    }
    for item in model.nodes:
        known |= dict(zip(item.outputs, answers(item, [known[name] if name else None for name in item.inputs])))
    judged = fixed_shapes(onnx.load(path, load_external_data=False))
    compared = {name: (known[name].dtype, known[name].shape) for name in judged}
    assert len(judged) > 200
    assert compared == judged


def fixed_shapes(model: ModelProto) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Type and shape of every tensor, by ONNX's own inference, when what varies is 1."""
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return {
        value.name: (
            value.type.tensor_type.elem_type,
            tuple(side.dim_value for side in value.type.tensor_type.shape.dim),
        )
        for value in (*inferred.value_info, *inferred.output)
    }


@pytest.mark.parametrize("file", ["model.onnx", "memory.onnx"])
def test_the_work_is_what_the_exporter_counted(file: str) -> None:
    graph = read_manifest(Path(DEMO_BUNDLE))[0].known_graphs[file]
    work = check_onnx(read_file((Path(DEMO_BUNDLE) / file).read_bytes()), Path(DEMO_BUNDLE), graph).work
    assert graph.flops < work < 1.1 * graph.flops  # and the patch embedding's


def test_integers_are_followed_as_numpy_computes_them() -> None:
    image = Known(FLOAT, (7, SIDE, 3))
    (shape,) = answers(operator("Shape"), [image])
    three = Known(INT64, (1,), np.array([3]))
    (tripled,) = answers(operator("Mul"), [shape, three])
    (joined,) = answers(operator("Concat", axis=0), [tripled, three])
    (divided,) = answers(operator("Div"), [Known(INT64, (2,), np.array([-7, 7])), Known(INT64, (1,), np.array([2]))])
    assert joined.integers is not None
    assert joined.integers.tolist() == [21, 3 * SIDE, 9, 3]
    assert divided.integers is not None
    assert divided.integers.tolist() == [-3, 3]  # towards zero, as ONNX has it


def operator(name: str, **attributes: Any) -> Node:
    return Node(name, ("a", "b"), ("y",), attributes)
