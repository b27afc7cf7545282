"""The yardstick of `clipspect bench`: large products, in every precision that an engine for CPUs multiplies in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from clipspect.base.errors import BackendError
from clipspect.engines import open_backend
from clipspect_lab.benchmark.gemm import FLOPS, INPUTS, SIDE, gemm_graph
from clipspect_lab.benchmark.gemm_runs import GemmRuns


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_runs_a_chain_of_int8_products_as_it_runs_an_int8_copy(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine, reason=f"needs {engine}: pip install {engine}")
    path = tmp_path / "products.onnx"
    path.write_bytes(gemm_graph(3, "int8").SerializeToString())
    exact = onnxruntime.InferenceSession(gemm_graph(3, "int8").SerializeToString()).run(["y"], INPUTS)[0]
    with open_backend(engine, path, graph_precision="int8", probe=INPUTS, precision="int8") as backend:
        found = backend.run(INPUTS)["y"]
    np.testing.assert_allclose(found, exact, rtol=0.02)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_runs_of_the_products_give_a_rate(precision: str, tmp_path: Path) -> None:
    runs = GemmRuns("onnxruntime", precision, tmp_path, {"threads": 1})
    try:
        assert runs.spent == 0
        assert 0.1 < runs.gflops() < 1e5
        assert runs.spent > 0
    finally:
        runs.close()


def test_without_the_onnx_package_there_are_no_products_and_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BackendError, match=r"the products are written with the onnx package .*\[lab\]"):
        GemmRuns("onnxruntime", "fp32", tmp_path, {})


def test_the_int8_products_are_widened_eight_bit_ones_and_are_computed() -> None:
    model = gemm_graph(2, "int8")
    onnx.checker.check_model(model, full_check=True)
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    weights = constants["w0_int8"].astype(np.float32) * constants["w_scale"]
    assert weights.std() == pytest.approx(1 / np.sqrt(SIDE), rel=0.02)
    exact = (constants["column"] * INPUTS["x"]) @ weights @ weights
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], INPUTS)
    np.testing.assert_allclose(found, [[exact.max()]], rtol=0.1)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_products_are_an_onnx_graph_and_are_computed(precision: str) -> None:
    model = gemm_graph(2, precision)
    onnx.checker.check_model(model, full_check=True)
    assert sum(node.op_type == "MatMul" for node in model.graph.node) == 2
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).astype(np.float32)
    assert weights.shape == (SIDE, SIDE)
    if precision == "fp32":  # the CPU has no other
        (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], INPUTS)
        np.testing.assert_allclose(found, [[(weights @ weights @ weights).max()]], rtol=1e-3)
    assert FLOPS == 2 * SIDE**3
