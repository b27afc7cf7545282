"""Bundles that need no exporter: the model finds bright things. And an image for it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from clipspect.bundle.inspection_graph import InspectionGraph, Parity
from clipspect.bundle.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    RECIPES,
    Backbone,
    Manifest,
    TextEncoderSpec,
    TextSpec,
    Weights,
    read_manifest,
    write_manifest,
)
from clipspect.bundle.windows_graph import WindowsGraph
from clipspect.engines.graph import BOTH, PHOTOS, WORDS, Graph, TensorSpec
from clipspect.frame.quality import measure
from clipspect.frame.spec import ImageSpec
from clipspect.recipes.recipe import Recipe, write_recipe
from support import handmade_graphs

SIDE = 32  # pixels, of the tiny model
DIM = 4
ENCODER = "e" * 64
QUALITY = measure(np.zeros((1, SIDE, SIDE, 3), np.uint8))  # of a frame that a result was made up for


def write_bundle(root: Path, recipes: tuple[str, ...] = ("object",), **changes: object) -> Path:
    """A bundle whose model finds bright things: the map is the grey value (0 to 1), the score its maximum."""
    root.mkdir(parents=True)
    (root / "model.onnx").write_bytes(handmade_graphs.brightness(SIDE, DIM))
    for name in recipes:
        write_recipe(root / RECIPES / f"{name}.safetensors", make_recipe(name))
    write_manifest(root, dataclasses.replace(make_manifest(), **changes))
    return root


def write_full_bundle(root: Path, *, map_limits: bool = False, **changes: object) -> Path:
    """The same with a few-shot graph that finds colours that the references lack, a text encoder, and a check.

    With `map_limits` the few-shot score takes the map's maximum between them, as APRIL-GAN's does.
    """
    write_bundle(root)
    (root / "fewshot.onnx").write_bytes(handmade_graphs.colours(SIDE, DIM, map_limits=map_limits))
    (root / "text.onnx").write_bytes(handmade_graphs.word_sums())
    (root / "tokenizer.json").write_text(handmade_graphs.word_tokenizer(), encoding="utf-8")
    save_file(make_check(map_limits=map_limits), root / "check.safetensors")
    manifest = dataclasses.replace(
        make_manifest(),
        text=TextSpec(DIM, ensemble="winclip"),
        graphs={**make_manifest().graphs, BOTH: _few_shot_graph(map_limits)},
        text_encoder=TextEncoderSpec(_text_graph(), "tokenizer.json", context_length=16, parity=1e-7),
        check="check.safetensors",
    )
    write_manifest(root, dataclasses.replace(manifest, **changes))
    return root


def write_memory_bundle(root: Path, **changes: object) -> Path:
    """The full bundle with a graph for photographs alone, which finds colours that the references lack, too."""
    write_full_bundle(root)
    (root / "memory.onnx").write_bytes(handmade_graphs.remembered(SIDE))
    manifest = read_manifest(root)[0]
    both = manifest.graphs[BOTH]
    inputs = {name: spec for name, spec in both.inputs.items() if name != "text_features"}
    inputs["spread"] = TensorSpec("float32", (len(handmade_graphs.GRIDS),))
    memory = dataclasses.replace(both, file="memory.onnx", inputs=inputs, map_range=(0.0, 4.0))
    return rewritten(root, graphs={**manifest.graphs, PHOTOS: memory}, check=None, **changes)


def rewritten(root: Path, **changes: Any) -> Path:
    """The bundle with another manifest."""
    write_manifest(root, dataclasses.replace(read_manifest(root)[0], **changes))
    return root


def edit(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change bundle.json as a hostile hand would, with a digest that fits."""
    document = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    change(document)
    seal(root, json.dumps(document).encode())


def seal(root: Path, data: bytes) -> None:
    """Write these bytes as bundle.json, and their digest."""
    (root / MANIFEST).write_bytes(data)
    (root / MANIFEST_DIGEST).write_text(f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n", encoding="ascii")


def make_check(*, map_limits: bool = False) -> dict[str, npt.NDArray[Any]]:
    """Check images and what the graphs must answer to them, in NumPy."""
    drawn = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    images, references = drawn[:3], drawn[3:]
    text = np.ones((2, 1, DIM), np.float32)
    grey = (images.astype(np.float32) / 255).mean(axis=-1)
    limits = np.array([0.0, 2.0], np.float32) if map_limits else None
    galleries = {name: rows[0] for name, rows in handmade_graphs.colour_rows(references).items()}
    score, anomaly_map = handmade_graphs.colour_answer(images, galleries, text, limits)
    check = {"images": images, "text_features": text, "score": grey.max(axis=(1, 2)), "anomaly_map": grey}
    check |= {"fewshot_references": references, "fewshot_score": score, "fewshot_anomaly_map": anomaly_map}
    return check if limits is None else {**check, "map_limits": limits}


def make_recipe(name: str = "object", **changes: object) -> Recipe:
    features = np.ones((2, 1, DIM), np.float32)
    prompts, parameters = {"fusion": "mean"}, make_manifest().parameters
    recipe = Recipe(name, "winclip", name, ENCODER, {"text_features": features}, prompts=prompts, parameters=parameters)
    return dataclasses.replace(recipe, **changes)


def make_manifest() -> Manifest:
    return Manifest(
        schema_version=2,
        method="winclip",
        backbone=Backbone("tiny", "gelu", Weights("file", "tiny.safetensors", "f" * 64, ENCODER)),
        image=ImageSpec(SIDE, SIDE),
        graphs={WORDS: make_graph()},
        precision="fp32",
        storage="fp32",
        text=TextSpec(DIM),
        parameters={"scales": [2, 3]},
        versions={"clipspect": "0"},
    )


def make_graph() -> InspectionGraph:
    return InspectionGraph(
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
        map_range=(0.0, 1.0),
        parity=Parity(score=1e-7, anomaly_map=2e-7, tolerance=1e-5, images=2, engine="onnxruntime 1.0"),
    )


def make_windows_graph() -> WindowsGraph:
    """Of windows on demand, as far as a manifest goes: the file is the other graph's."""
    return WindowsGraph(
        file="model.onnx",
        opset=18,
        inputs={
            "image": TensorSpec("uint8", ("N", SIDE, SIDE, 3)),
            "windows_2": TensorSpec("int64", ("M_2", 5)),
        },
        outputs={
            "image_embedding": TensorSpec("float32", ("N", DIM)),
            "embeddings_2": TensorSpec("float32", ("M_2", DIM)),
        },
        flops=0,
        grid=(2, 2),
        scales=(2,),
        stride=1,
        fusion="harmonic",
        multi_crop=False,
        temperature=0.07,
        parity=Parity(score=1e-7, anomaly_map=2e-7, tolerance=1e-5, images=2, engine="onnxruntime 1.0"),
    )


def _few_shot_graph(map_limits: bool) -> InspectionGraph:
    zero_shot = make_graph()
    galleries = {
        f"reference_{name}": TensorSpec("float32", (f"R_{name}", handmade_graphs.WIDTH))
        for name in handmade_graphs.GRIDS
    }
    limits = {"map_limits": TensorSpec("float32", (2,))} if map_limits else {}
    features = {
        f"features_{name}": TensorSpec("float32", ("N", cells**2, handmade_graphs.WIDTH))
        for name, cells in handmade_graphs.GRIDS.items()
    }
    return dataclasses.replace(
        zero_shot,
        file="fewshot.onnx",
        inputs={**zero_shot.inputs, **limits, **galleries},
        outputs={**zero_shot.outputs, **features},
    )


def _text_graph() -> Graph:
    return Graph(
        file="text.onnx",
        opset=18,
        inputs={"tokens": TensorSpec("int64", ("B", "T"))},
        outputs={"embeddings": TensorSpec("float32", ("B", DIM))},
        flops=0,
    )


def grey(value: int) -> npt.NDArray[np.uint8]:
    """A frame of the model's size whose score is value / 255, and that is valid from 12: a part of it is darker."""
    frame = np.full((SIDE, SIDE), value, np.uint8)
    frame[-SIDE // 4 :] = max(value - 10, 0)
    return frame


def spotted(width: int = 64, height: int = 48, spot: int = 255) -> npt.NDArray[np.uint8]:
    """A dark RGB image with one bright rectangle, a quarter of each side, from a quarter of each side."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[height // 4 : height // 2, width // 4 : width // 2] = spot
    return image
