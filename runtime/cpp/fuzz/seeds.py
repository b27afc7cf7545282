"""Seeds for the fuzz targets, from the demo bundle and onnx: `seeds.py FOLDER` writes FOLDER/<target>/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from clipspect.recipes.calibration import Calibration, PartScore, Range, Scorer
from clipspect.recipes.history import with_limits
from clipspect.recipes.limits import Limits, Promise
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.recipe_file import pack

BUNDLE = Path(__file__).resolve().parents[3] / "models" / "clipspect_models" / "demo.bundle"


def main(folder: Path) -> None:
    recipes = [(BUNDLE / "recipes" / "object.safetensors").read_bytes(), calibrated()]
    seeds = {
        "manifest": [(BUNDLE / "bundle.json").read_bytes()],
        "recipe": [*recipes, *map(as_lines, recipes)],
        "onnx_file": [model()],
        "exif": [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"],
    }
    for target, contents in seeds.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (folder / target / f"seed{number}").write_bytes(content)


def as_lines(recipe: bytes) -> bytes:
    """The header, a line feed and the tensors, whose lengths and digest the target puts right."""
    length = int.from_bytes(recipe[:8], "little")
    return recipe[8 : 8 + length] + b"\n" + recipe[8 + length :]


def calibrated() -> bytes:
    """A recipe of photographs that has all that calibration writes."""
    tensors = {"mean": np.ones(3, np.float32), "components": np.ones((2, 3), np.float32)}
    promise = Promise(0.1, 0.95, 29, 1, 0.1)
    limits = Limits(0.4, 0.5, 0.3, promise, promise, promise)
    parts = (PartScore("1", 0.3, 0.2, worst_frame="1/2.png"),)
    seen: dict[str, Any] = {"layout": (0.5,) * 48, "embedding": (0.6, 0.8), "frame_sizes": ((64, 48),)}
    seen["checks"] = {"contrast": Range(1.0, 2.0, 0.001, 1.2, 1.8), "layout": Range(None, 2.0, 0.001, 1.2, 1.8)}
    scorer = Scorer("b" * 64, "c" * 64, "openvino", "cpu", "fp32", "0")
    recipe = Recipe("nut", "memory", "nut", "e" * 64, tensors, references={"sizes": [[64, 48]]})
    calibration = Calibration("2026-11-27T12:00:00+00:00", scorer, parts, "(.)", defects=parts, **seen)
    return pack(with_limits(recipe, limits, calibration, why="first", who="me").document(), tensors)[1]


def model() -> bytes:
    """An ONNX file that has every kind of message: weights elsewhere, a sparse constant, graphs in a node."""
    weights = TensorProto(name="weights", dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "model.onnx.data", "offset": "0", "length": "8"}.items():
        weights.external_data.add(key=key, value=value)
    few = numpy_helper.from_array(np.ones(1, np.float32), "few")
    sparse = helper.make_sparse_tensor(few, numpy_helper.from_array(np.zeros(1, np.int64), "places"), [2])
    constant = helper.make_node("Constant", [], ["scattered"], sparse_value=sparse)
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("scattered", 1, [2])])
    choice = helper.make_node("If", ["which"], ["chosen"], then_branch=branch, else_branch=branch)
    sum_of_all = helper.make_node("Sum", ["chosen", "weights"], ["sum"])
    inputs = [helper.make_tensor_value_info("which", TensorProto.BOOL, [])]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [2])]
    graph = helper.make_graph([choice, sum_of_all], "seed", inputs, outputs, [weights, few])
    made = helper.make_model(graph, producer_name="seeds")
    helper.set_model_props(made, {"name": "value"})
    return made.SerializeToString()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
