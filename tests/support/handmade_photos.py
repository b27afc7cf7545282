"""Hand-written bundles that read no words: recipes are of photographs alone, of a gallery or of a subspace."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

from clipspect.bundle.manifest import write_manifest
from clipspect.engines.graph import PHOTOS, TensorSpec
from support import handmade

CELLS = 4  # a side; a row is the mean colours of a cell's quarters, 0 to 1, and of galleries made as long as 1
WIDTH = 12  # of a row


def write_photos_bundle(root: Path, *, subspace: bool = False) -> Path:
    """The bundle of a graph for photographs alone: it finds colours that the references lack.

    It compares with a gallery, or with a subspace.
    """
    root.mkdir(parents=True)
    side = handmade.SIDE
    gallery: dict[str, Any] = {"reference_cell": ("R", WIDTH), "spread": (1,)}
    inputs = {"mean": (WIDTH,), "components": (WIDTH, WIDTH)} if subspace else gallery
    outputs = {"score": ("N",), "anomaly_map": ("N", side, side), "features_cell": ("N", CELLS**2, WIDTH)}
    (root / "memory.onnx").write_bytes(_model(inputs, outputs, _subspace() if subspace else _nearest()))
    words = handmade.make_manifest()
    graph = dataclasses.replace(
        handmade.make_graph(),
        file="memory.onnx",
        inputs={"image": TensorSpec("uint8", ("N", side, side, 3)), **_specs(inputs)},
        outputs=_specs(outputs),
    )
    write_manifest(root, dataclasses.replace(words, method="memory", text=None, graphs={PHOTOS: graph}, parameters={}))
    return root


def _nearest() -> list[NodeProto]:
    """A cell's map is 1 - its largest cosine with the gallery, divided by the spread."""
    return [
        helper.make_node("ReduceL2", ["rows", "last"], ["length"], keepdims=1),
        helper.make_node("Div", ["rows", "length"], ["features_cell"]),
        helper.make_node("Transpose", ["reference_cell"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["features_cell", "turned"], ["cosines"]),
        helper.make_node("ReduceMax", ["cosines", "last"], ["nearest"], keepdims=0),
        helper.make_node("Sub", ["unity", "nearest"], ["far"]),
        helper.make_node("Div", ["far", "spread"], ["distances"]),
    ]


def _subspace() -> list[NodeProto]:
    """A cell's map is the length of what the components do not explain of its difference from the mean."""
    return [
        helper.make_node("Identity", ["rows"], ["features_cell"]),
        helper.make_node("Sub", ["rows", "mean"], ["centred"]),
        helper.make_node("Transpose", ["components"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["centred", "turned"], ["weights"]),
        helper.make_node("MatMul", ["weights", "components"], ["explained"]),
        helper.make_node("Sub", ["centred", "explained"], ["rest"]),
        helper.make_node("ReduceL2", ["rest", "last"], ["distances"], keepdims=0),
    ]


def _model(inputs: dict[str, Any], outputs: dict[str, Any], distances: list[NodeProto]) -> bytes:
    """`image` to cells' `rows`, these to `distances`, and these to the answer."""
    side = handmade.SIDE
    size, half = side // CELLS, side // CELLS // 2
    constants = {
        "split": np.array([-1, CELLS, 2, half, CELLS, 2, half, 3]),
        "within": np.array([3, 6]),
        "listed": np.array([-1, CELLS**2, WIDTH]),
        "last": np.array([2]),
        "scale": np.float32(1 / 255),
        "floor": np.float32(0.1),  # so that black has a direction
        "unity": np.float32(1),
        "cells": np.array([-1, CELLS, 1, CELLS, 1]),
        "enlarged": np.array([1, 1, size, 1, size]),
        "square": np.array([-1, side, side]),
        "sides": np.array([1, 2]),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "split"], ["parts"]),
        helper.make_node("ReduceMean", ["parts", "within"], ["colours"], keepdims=0),
        helper.make_node("Transpose", ["colours"], ["ordered"], perm=[0, 1, 3, 2, 4, 5]),
        helper.make_node("Reshape", ["ordered", "listed"], ["list"]),
        helper.make_node("Mul", ["list", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "floor"], ["rows"]),
        *distances,
        helper.make_node("Reshape", ["distances", "cells"], ["grid"]),
        helper.make_node("Expand", ["grid", "enlarged"], ["large"]),
        helper.make_node("Reshape", ["large", "square"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "sides"], ["score"], keepdims=0),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "photos",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", side, side, 3]),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    payload: bytes = model.SerializeToString()
    return payload


def _specs(tensors: dict[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec("float32", shape) for name, shape in tensors.items()}
