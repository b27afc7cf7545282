"""What the report on the cost of speed calls emulated is rounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from bf16_graph import write_emulated
from cost_variants import EMULATOR, VARIANTS, Variant
from onnx import TensorProto, helper, numpy_helper

from clipspect.engines import open_backend


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """y = x @ w, w (8, 3)."""
    weights = np.random.default_rng(1).standard_normal((8, 3)).astype(np.float32)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", n]) for name, n in (("x", 8), ("y", 3))]
    node = helper.make_node("MatMul", ["x", "w"], ["y_"])
    last = helper.make_node("Identity", ["y_"], ["y"])
    graph = helper.make_graph([node, last], "product", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    path = tmp_path / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_an_emulated_product_is_torchs_in_bfloat16(product: Path) -> None:
    copy = product.with_name("copy.onnx")
    write_emulated(product, copy)
    x = np.random.default_rng(2).standard_normal((5, 8)).astype(np.float32)
    weights = numpy_helper.to_array(onnx.load(product).graph.initializer[0])
    with open_backend(EMULATOR, copy) as backend:
        found = backend.run({"x": x})["y"]
    narrow, matrix = torch.from_numpy(x).bfloat16(), torch.tensor(weights).bfloat16()
    expected = (narrow.float() @ matrix.float()).bfloat16().float().numpy()
    np.testing.assert_allclose(found, expected, rtol=2**-8)  # a last bit where the sum's order counts
    assert np.abs(found - x @ weights).max() > 1e-4


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.emulated], ids=lambda v: v.name)
def test_no_engine_that_leaves_out_the_rounding_emulates(variant: Variant) -> None:
    assert variant.backend == EMULATOR
    assert not variant.options
