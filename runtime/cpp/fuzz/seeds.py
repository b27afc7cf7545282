"""Seeds for the fuzz targets, from the demo bundle and onnx: `seeds.py FOLDER` writes FOLDER/<target>/."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BUNDLE = Path(__file__).resolve().parents[3] / "models" / "clipspect_models" / "demo.bundle"


def main(folder: Path) -> None:
    recipe = (BUNDLE / "recipes" / "object.safetensors").read_bytes()
    length = int.from_bytes(recipe[:8], "little")
    seeds = {
        "manifest": [(BUNDLE / "bundle.json").read_bytes()],
        "recipe": [recipe, recipe[8 : 8 + length] + b"\n" + recipe[8 + length :]],
        "onnx_file": [model()],
        "exif": [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"],
    }
    for target, contents in seeds.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (folder / target / f"seed{number}").write_bytes(content)


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
