"""OpenVINO: the same scores as onnxruntime, in the precision and on the device that were asked for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.engines import open_backend
from clipspect.engines.tiny import TINY_GRAPH
from clipspect.host.system import read_cpu
from clipspect.recipes.recipe import write_recipe
from clipspect_models import DEMO_IMAGES
from support import handmade

pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
import openvino

from clipspect.engines.openvino import backend as openvino_backend
from clipspect.engines.openvino import devices, probe
from clipspect.engines.openvino.kernels import steer_linear_layers
from clipspect.recipes.shelf import open_recipe

PICTURES = 3
ATOL = 1e-4  # between engines, of scores and maps


@pytest.fixture
def tiny_graph(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TINY_GRAPH)
    return path


def missing_precision() -> str:
    """One that this processor does not compute in."""
    missing = {"bf16", "fp16"} - set(openvino_backend._precisions("cpu"))
    if not missing:
        pytest.skip("needs a processor that lacks bf16 or fp16")
    return sorted(missing)[0]


def test_the_demo_bundle_scores_as_in_onnxruntime() -> None:
    pictures = [np.asarray(Image.open(path)) for path in sorted(Path(DEMO_IMAGES).glob("*.jpg"))[:PICTURES]]
    answers = []
    for engine in ("onnxruntime", "openvino"):
        with clipspect.load("demo", backend=engine, threads=1) as inspector:
            together = inspector.inspect_batch(pictures)
            alone = inspector.inspect(pictures[1])
            assert (inspector.backend, inspector.device, inspector.precision) == (engine, "cpu", "fp32")
        assert alone.score == pytest.approx(together[1].score, abs=ATOL)
        answers.append(together)
    for expected, found in zip(*answers):
        assert found.score == pytest.approx(expected.score, abs=ATOL)
        np.testing.assert_allclose(found.anomaly_map, expected.anomaly_map, atol=ATOL)


def test_a_few_shot_graph_scores_as_in_onnxruntime(full_bundle: Path) -> None:
    bundle = Bundle.open(full_bundle)
    few_shot = bundle.manifest.graphs["both"]
    rng = np.random.default_rng(3)
    inputs = {
        name: rng.random([2 if isinstance(side, str) else side for side in spec.shape], np.float32)
        for name, spec in few_shot.inputs.items()
    }
    inputs["image"] = (inputs["image"] * 255).astype(np.uint8)
    answers = []
    for engine in ("onnxruntime", "openvino"):
        with open_backend(engine, full_bundle / few_shot.file) as backend:
            answers.append(backend.run(inputs))
    for name, values in answers[0].items():
        np.testing.assert_allclose(answers[1][name], values, atol=ATOL)


def test_a_recipe_with_other_prompts_needs_no_new_engine(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "b", recipes=("nut",))
    three = handmade.make_recipe("bolt", tensors={"text_features": np.full((2, 3, handmade.DIM), 2, np.float32)})
    write_recipe(root / "recipes/bolt.safetensors", three)
    grey = np.full((8, 8), 51, np.uint8)
    with clipspect.load(root, recipe="nut", backend="openvino") as inspector:
        assert inspector.inspect(grey).score == pytest.approx(0.2)
        inspector.use_recipe("bolt")
        assert inspector.inspect(grey).score == pytest.approx(0.4)
        inspector.use_recipe("nut")
        assert [result.score for result in inspector.inspect_batch([grey] * 3)] == pytest.approx([0.2] * 3)


def test_after_closing_there_are_no_more_results(tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle, backend="openvino") as inspector:
        inspector.inspect(handmade.spotted())
    with pytest.raises(BackendError, match="closed"):
        inspector.inspect(handmade.spotted())


def test_bf16_is_taken_where_it_is_there_and_named(tiny_graph: Path) -> None:
    if "bf16" not in openvino_backend._precisions("cpu"):
        pytest.skip("needs a processor with bf16")
    third = np.full((2, 2), 1 / 3, np.float32)  # not a number of bf16, whose mantissa has 8 bits
    with open_backend("openvino", tiny_graph, precision="bf16") as backend:
        assert backend.precision == "bf16"
        error = np.abs(backend.run({"x": third})["y"] - 2 / 9).max()
    assert 1e-5 < error < 1e-2


def test_a_precision_that_the_processor_lacks_is_refused_and_not_replaced(tiny_graph: Path) -> None:
    missing = missing_precision()
    with pytest.raises(BackendError, match=f"this cpu does not compute in {missing}, it has fp32"):
        open_backend("openvino", tiny_graph, precision=missing)


def test_a_precision_that_is_none_is_refused(tiny_graph: Path) -> None:
    with pytest.raises(BackendError, match="precision: expected one of fp32, bf16, fp16, int8, found 'int4'"):
        open_backend("openvino", tiny_graph, precision="int4")


def test_a_gpu_that_is_not_here_is_one_quiet_error(tiny_graph: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if any(device.startswith("gpu") for device in devices()):
        pytest.skip("needs a machine without an Intel GPU that OpenVINO drives")
    with pytest.raises(BackendError, match=r"openvino cannot load tiny\.onnx on gpu") as caught:
        open_backend("openvino", tiny_graph, device="gpu")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_every_device_is_probed_by_a_real_run(tiny_graph: Path) -> None:
    found = {answer.device: answer for answer in probe(tiny_graph, {"x": np.eye(2, dtype=np.float32)})}
    assert found["cpu"].works
    assert "computes in fp32" in found["cpu"].detail


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux, where a thread's processors are told")
def test_the_callers_thread_is_not_bound_to_a_core(tiny_graph: Path) -> None:
    before = os.sched_getaffinity(0)
    with open_backend("openvino", tiny_graph, threads=1) as backend:
        backend.run({"x": np.eye(2, dtype=np.float32)})
        assert os.sched_getaffinity(0) == before


def test_linear_layers_are_steered_by_an_identity_that_lets_nan_through(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.open("demo")
    inputs = {"image": np.asarray(handmade.spotted(240, 240))[None], **open_recipe(bundle).tensors}
    with open_backend("openvino", bundle.graph_path, threads=1) as backend:
        steered = backend.run(inputs)
        broken = backend.run({**inputs, "text_features": np.full_like(inputs["text_features"], np.nan)})
    monkeypatch.setattr(openvino_backend, "steer_linear_layers", lambda model: None)
    with open_backend("openvino", bundle.graph_path, threads=1) as backend:
        plain = backend.run(inputs)
    for name, values in plain.items():
        np.testing.assert_allclose(steered[name], values, atol=1e-6)
    assert np.isnan(broken["score"]).all()


def test_only_layers_with_one_reader_that_is_no_result_get_an_identity() -> None:
    if "AVX-512" not in read_cpu().features:
        pytest.skip("needs a processor with AVX-512")
    model = openvino.Core().read_model(Bundle.open("demo").graph_path)
    names = {port.get_any_name() for port in model.outputs}
    steer_linear_layers(model)
    added = [node for node in model.get_ordered_ops() if node.get_type_name() == "PRelu"]
    assert added
    for node in added:
        assert np.array_equal(node.input_value(1).get_node().get_data(), [1])
        assert node.input_value(0).get_node().get_type_name() in {"Add", "MatMul"}
        assert len(node.input_value(0).get_target_inputs()) == 1
    assert {port.get_any_name() for port in model.outputs} == names
