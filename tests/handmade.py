"""A bundle that needs no exporter: its model finds bright things. And an image for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from clipspect.bundle import RECIPES, sha256_of
from clipspect.manifest import (
    MANIFEST,
    Backbone,
    FileEntry,
    Graph,
    ImageSpec,
    Manifest,
    Parity,
    TensorSpec,
    TextSpec,
    Weights,
)
from clipspect.recipe import Recipe, write_recipe

SIDE = 32  # pixels, of the tiny model
DIM = 4
ENCODER = "e" * 64


def write_bundle(root: Path, recipes: tuple[str, ...] = ("object",), **changes: object) -> Path:
    """A bundle whose model finds bright things: the map is the grey value (0 to 1), the score its maximum."""
    root.mkdir(parents=True)
    (root / "model.onnx").write_bytes(_brightness_graph())
    for name in recipes:
        write_recipe(root / RECIPES / f"{name}.safetensors", make_recipe(name))
    write_manifest(root, dataclasses.replace(make_manifest(), **changes))
    return root


def make_recipe(name: str = "object", **changes: object) -> Recipe:
    features = np.ones((2, 1, DIM), np.float32)
    recipe = Recipe(name, "winclip", name, ENCODER, {"text_features": features}, prompts={"fusion": "mean"})
    return dataclasses.replace(recipe, **changes)


def make_manifest() -> Manifest:
    return Manifest(
        schema_version=1,
        method="winclip",
        backbone=Backbone("tiny", "gelu", Weights("file", "tiny.safetensors", "f" * 64, ENCODER)),
        image=ImageSpec(SIDE, SIDE),
        graph=Graph(
            file="model.onnx",
            opset=18,
            inputs={
                "image": TensorSpec("uint8", ("N", SIDE, SIDE, 3)),
                "text_features": TensorSpec("float32", (2, "P", DIM)),
            },
            outputs={
                "score": TensorSpec("float32", ("N",)),
                "anomaly_map": TensorSpec("float32", ("N", SIDE, SIDE)),
            },
            flops=0,
        ),
        precision="fp32",
        storage="fp32",
        text=TextSpec(DIM),
        map_range=(0.0, 1.0),
        parity=Parity(score=1e-7, anomaly_map=2e-7, tolerance=1e-5, images=2, engine="onnxruntime 1.0"),
        parameters={"scales": [2, 3]},
        versions={"clipspect": "0"},
    )


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write bundle.json with the hash of every file that is there."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = {path.relative_to(root).as_posix(): FileEntry(sha256_of(path), path.stat().st_size) for path in paths}
    manifest = dataclasses.replace(manifest, files=files)
    (root / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _brightness_graph() -> bytes:
    from onnx import TensorProto, checker, helper

    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "channel"], ["grey"], keepdims=0),
        helper.make_node("Mul", ["grey", "scale"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "sides"], ["largest"], keepdims=0),
        helper.make_node("ReduceMax", ["text_features"], ["one"], keepdims=0),
        helper.make_node("Mul", ["largest", "one"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3]),
            helper.make_tensor_value_info("text_features", TensorProto.FLOAT, [2, "P", DIM]),
        ],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, ["N", SIDE, SIDE]),
        ],
        [
            helper.make_tensor("channel", TensorProto.INT64, [1], [3]),
            helper.make_tensor("sides", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 255]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    payload: bytes = model.SerializeToString()
    return payload


def spotted(width: int = 64, height: int = 48, spot: int = 255) -> npt.NDArray[np.uint8]:
    """A dark RGB image with one bright rectangle, a quarter of each side, from a quarter of each side."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[height // 4 : height // 2, width // 4 : width // 2] = spot
    return image
