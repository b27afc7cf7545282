"""Hand-written ONNX graphs, so small that NumPy says in a line what they must answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

GRIDS = {"fine": 4, "coarse": 2}  # galleries of the few-shot graph: cells a side
WIDTH = 3  # of their rows: a cell's mean colour, made as long as 1
FLOOR = 0.1  # added to colours, so that black has a direction
VOCABULARY = ["<pad>", "?", "damaged", "flaw", "defect", "damage", "flawless", "perfect", "nut", "bolt"]
EMBEDDINGS = np.random.default_rng(1).normal(size=(len(VOCABULARY), 4)).astype(np.float32)
EMBEDDINGS[0] = 0

Array = npt.NDArray[np.float32]
Galleries = dict[str, Array]


def brightness(side: int, dim: int, scale: float = 1 / 255) -> bytes:
    """Zero-shot: the map is the grey value, 0 to 1; the score is its maximum times the largest text feature."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "channel"], ["grey"], keepdims=0),
        helper.make_node("Mul", ["grey", "scale"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "sides"], ["largest"], keepdims=0),
        helper.make_node("ReduceMax", ["text_features"], ["one"], keepdims=0),
        helper.make_node("Mul", ["largest", "one"], ["score"]),
    ]
    constants = {"channel": np.array([3]), "sides": np.array([1, 2]), "scale": np.float32(scale)}
    return _model(nodes, _zero_shot_inputs(side, dim), _zero_shot_outputs(side), constants)


def failing(side: int, dim: int) -> bytes:
    """The same, but that an engine cannot run it on an image with a white pixel: an index is out of range."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "channel"], ["grey"], keepdims=0),
        helper.make_node("Mul", ["grey", "scale"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "sides"], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["single", "place"], ["factor"]),
        helper.make_node("ReduceMax", ["text_features"], ["one"], keepdims=0),
        helper.make_node("Mul", ["largest", "factor"], ["product"]),
        helper.make_node("Mul", ["product", "one"], ["score"]),
    ]
    constants = {
        "channel": np.array([3]),
        "sides": np.array([1, 2]),
        "scale": np.float32(1 / 255),
        "single": np.ones(1, np.float32),
    }
    return _model(nodes, _zero_shot_inputs(side, dim), _zero_shot_outputs(side), constants)


def colours(side: int, dim: int, *, map_limits: bool = False) -> bytes:
    """Few-shot: a cell's map is 1 - its largest cosine with the gallery, the map is the mean over GRIDS.

    The score is the mean of the largest text feature and the map's maximum, between the limits where they are taken.
    """
    nodes = [helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT)]
    constants: dict[str, Any] = {
        "channels": np.array([2]),
        "sides": np.array([1, 2]),
        "square": np.array([-1, side, side]),
        "scale": np.float32(1 / 255),
        "floor": np.float32(FLOOR),
        "unity": np.float32(1),
        "half": np.float32(0.5),
        "first": np.array(0),
        "second": np.array(1),
        "within": np.array([2, 4]),
    }
    inputs, outputs = _zero_shot_inputs(side, dim), _zero_shot_outputs(side)
    for name, cells in GRIDS.items():
        grid_nodes, grid_constants = _grid(name, cells, side)
        nodes += grid_nodes
        constants |= grid_constants
        inputs[f"reference_{name}"] = (TensorProto.FLOAT, [f"R_{name}", WIDTH])
        outputs[f"features_{name}"] = (TensorProto.FLOAT, ["N", cells**2, WIDTH])
    nodes += [
        helper.make_node("Add", [f"map_{name}" for name in GRIDS], ["both"]),
        helper.make_node("Mul", ["both", "half"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "sides"], ["maximum"], keepdims=0),
        helper.make_node("ReduceMax", ["text_features"], ["text"], keepdims=0),
        helper.make_node("Add", ["text", "term"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["score"]),
    ]
    if map_limits:
        inputs["map_limits"] = (TensorProto.FLOAT, [2])
        nodes[-2:-2] = [
            helper.make_node("Gather", ["map_limits", "first"], ["low"]),
            helper.make_node("Gather", ["map_limits", "second"], ["high"]),
            helper.make_node("Sub", ["maximum", "low"], ["over"]),
            helper.make_node("Sub", ["high", "low"], ["span"]),
            helper.make_node("Div", ["over", "span"], ["term"]),
        ]
    else:
        nodes[-2:-2] = [helper.make_node("Identity", ["maximum"], ["term"])]
        del constants["first"], constants["second"]
    return _model(nodes, inputs, outputs, constants)


def remembered(side: int) -> bytes:
    """Photographs alone: a cell's map is 1 - its largest cosine with the gallery, divided by the gallery's spread; the
    map is the mean over GRIDS, the score its maximum."""
    nodes = [helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT)]
    constants: dict[str, Any] = {
        "channels": np.array([2]),
        "sides": np.array([1, 2]),
        "square": np.array([-1, side, side]),
        "scale": np.float32(1 / 255),
        "floor": np.float32(FLOOR),
        "unity": np.float32(1),
        "half": np.float32(0.5),
        "within": np.array([2, 4]),
    }
    inputs = {"image": _zero_shot_inputs(side, 1)["image"], "spread": (TensorProto.FLOAT, [len(GRIDS)])}
    outputs = _zero_shot_outputs(side)
    for place, (name, cells) in enumerate(GRIDS.items()):
        grid_nodes, grid_constants = _grid(name, cells, side)
        nodes += grid_nodes
        nodes += [
            helper.make_node("Gather", ["spread", f"{name}_place"], [f"{name}_divisor"]),
            helper.make_node("Div", [f"map_{name}", f"{name}_divisor"], [f"divided_{name}"]),
        ]
        constants |= {**grid_constants, f"{name}_place": np.array(place)}
        inputs[f"reference_{name}"] = (TensorProto.FLOAT, [f"R_{name}", WIDTH])
        outputs[f"features_{name}"] = (TensorProto.FLOAT, ["N", cells**2, WIDTH])
    nodes += [
        helper.make_node("Add", [f"divided_{name}" for name in GRIDS], ["both"]),
        helper.make_node("Mul", ["both", "half"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "sides"], ["score"], keepdims=0),
    ]
    return _model(nodes, inputs, outputs, constants)


def _grid(name: str, cells: int, side: int) -> tuple[list[NodeProto], dict[str, Any]]:
    """Nodes from `pixels` to `features_<name>` and `map_<name>`, and their constants."""
    size = side // cells
    constants = {
        f"{name}_split": np.array([-1, cells, size, cells, size, 3]),
        f"{name}_rows": np.array([-1, cells**2, 3]),
        f"{name}_cells": np.array([-1, cells, 1, cells, 1]),
        f"{name}_spread": np.array([1, 1, size, 1, size]),
    }
    nodes = [
        helper.make_node("Reshape", ["pixels", f"{name}_split"], [f"{name}_a"]),
        helper.make_node("ReduceMean", [f"{name}_a", "within"], [f"{name}_b"], keepdims=0),
        helper.make_node("Reshape", [f"{name}_b", f"{name}_rows"], [f"{name}_c"]),
        helper.make_node("Mul", [f"{name}_c", "scale"], [f"{name}_d"]),
        helper.make_node("Add", [f"{name}_d", "floor"], [f"{name}_e"]),
        helper.make_node("ReduceL2", [f"{name}_e", "channels"], [f"{name}_f"], keepdims=1),
        helper.make_node("Div", [f"{name}_e", f"{name}_f"], [f"features_{name}"]),
        helper.make_node("Transpose", [f"reference_{name}"], [f"{name}_g"], perm=[1, 0]),
        helper.make_node("MatMul", [f"features_{name}", f"{name}_g"], [f"{name}_h"]),
        helper.make_node("ReduceMax", [f"{name}_h", "channels"], [f"{name}_i"], keepdims=0),
        helper.make_node("Sub", ["unity", f"{name}_i"], [f"{name}_j"]),
        helper.make_node("Reshape", [f"{name}_j", f"{name}_cells"], [f"{name}_k"]),
        helper.make_node("Expand", [f"{name}_k", f"{name}_spread"], [f"{name}_l"]),
        helper.make_node("Reshape", [f"{name}_l", "square"], [f"map_{name}"]),
    ]
    return nodes, constants


def colour_rows(images: npt.NDArray[np.uint8]) -> Galleries:
    """The rows of each image, (N, cells ** 2, WIDTH), by gallery."""
    rows = {}
    for name, cells in GRIDS.items():
        size = images.shape[1] // cells
        split = images.reshape(-1, cells, size, cells, size, 3).astype(np.float32)
        colour = split.mean(axis=(2, 4)).reshape(-1, cells**2, 3) / 255 + np.float32(FLOOR)
        rows[name] = colour / np.linalg.norm(colour, axis=-1, keepdims=True)
    return rows


def colour_answer(
    images: npt.NDArray[np.uint8], galleries: Galleries, text: Array, limits: Array | None = None
) -> tuple[Array, Array]:
    """What `colours` must answer: score (N,) and map (N, H, W)."""
    maps = []
    for name, rows in colour_rows(images).items():
        cells = GRIDS[name]
        distances = 1 - (rows @ galleries[name].T).max(axis=-1)
        size = images.shape[1] // cells
        maps.append(distances.reshape(-1, cells, cells).repeat(size, axis=1).repeat(size, axis=2))
    anomaly_map = np.mean(maps, axis=0).astype(np.float32)
    low, high = (0, 1) if limits is None else limits
    score = 0.5 * (text.max() + (anomaly_map.max(axis=(1, 2)) - low) / (high - low))
    return score.astype(np.float32), anomaly_map


def word_sums() -> bytes:
    """The text encoder: a prompt's embedding is the sum of its words' EMBEDDINGS."""
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["words"]),
        helper.make_node("ReduceSum", ["words", "place"], ["embeddings"], keepdims=0),
    ]
    inputs = {"tokens": (TensorProto.INT64, ["B", "T"])}
    outputs = {"embeddings": (TensorProto.FLOAT, ["B", EMBEDDINGS.shape[1]])}
    return _model(nodes, inputs, outputs, {"table": EMBEDDINGS, "place": np.array([1])})


def word_tokenizer() -> str:
    """A tokenizer.json that knows the words of VOCABULARY."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(VOCABULARY)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    text: str = tokenizer.to_str()
    return text


def _zero_shot_inputs(side: int, dim: int) -> dict[str, tuple[int, list[Any]]]:
    return {
        "image": (TensorProto.UINT8, ["N", side, side, 3]),
        "text_features": (TensorProto.FLOAT, [2, "P", dim]),
    }


def _zero_shot_outputs(side: int) -> dict[str, tuple[int, list[Any]]]:
    return {"score": (TensorProto.FLOAT, ["N"]), "anomaly_map": (TensorProto.FLOAT, ["N", side, side])}


def _model(
    nodes: list[NodeProto],
    inputs: dict[str, tuple[int, list[Any]]],
    outputs: dict[str, tuple[int, list[Any]]],
    constants: dict[str, Any],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "handmade",
        [helper.make_tensor_value_info(name, *described) for name, described in inputs.items()],
        [helper.make_tensor_value_info(name, *described) for name, described in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    payload: bytes = model.SerializeToString()
    return payload
