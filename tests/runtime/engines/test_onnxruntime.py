"""onnxruntime: devices that are not here are refused, and the path of the devices that are not the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from clipspect.base.errors import BackendError
from clipspect.base.installation import pip_install
from clipspect.engines import open_backend
from clipspect.engines.onnxruntime import Options, probe, providers
from clipspect.engines.onnxruntime.binding import Binding
from clipspect.engines.tiny import TINY_GRAPH, TINY_INPUTS
from support import handmade

SIDE = handmade.SIDE


@pytest.fixture
def tiny_graph(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TINY_GRAPH)
    return path


@pytest.fixture
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "model.onnx"


def frames(count: int, grey: int) -> dict[str, Any]:
    text = np.ones((2, 1, handmade.DIM), np.float32)
    text.flags.writeable = False
    return {"image": np.full((count, SIDE, SIDE, 3), grey, np.uint8), "text_features": text}


# --- devices that are not here ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_without_its_provider_is_one_quiet_error_that_says_what_to_install(
    tiny_graph: Path, capfd: pytest.CaptureFixture[str], device: str
) -> None:
    if device in providers.built_in():
        pytest.skip("needs an onnxruntime without GPU providers: pip install onnxruntime")
    with pytest.raises(BackendError, match=rf"is built without {device} \(it has cpu\)") as caught:
        open_backend("onnxruntime", tiny_graph, probe=TINY_INPUTS, device=device)
    assert pip_install("gpu") in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_every_provider_that_is_built_in_is_probed_by_a_real_run(tiny_graph: Path) -> None:
    found = {answer.device: answer.works for answer in probe(tiny_graph, TINY_INPUTS)}
    assert list(found) == providers.built_in()
    assert found["cpu"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "bf16"}, "onnxruntime computes in that of the graph .* take openvino for bf16"),
        ({"cuda_graph": True}, "cuda_graph: is for the device cuda, found cpu"),
        ({"cuda_graph": 1}, "cuda_graph: expected True or False, found 1"),
        ({"map_weights": "yes"}, "map_weights: expected True or False, found 'yes'"),
        ({"batch": 0}, "batch: expected a number from 1, found 0"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(tiny_graph: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        open_backend("onnxruntime", tiny_graph, **options)


def test_another_precision_than_the_graphs_is_refused(tiny_graph: Path) -> None:
    with pytest.raises(BackendError, match="precision: the graph is fp32, found 'fp16': leave it out"):
        open_backend("onnxruntime", tiny_graph, precision="fp16")


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapped", [None, True, False])
def test_mapped_weights_give_the_same_scores(graph: Path, mapped: bool | None) -> None:
    with open_backend("onnxruntime", graph, map_weights=mapped) as backend:
        assert backend.run(frames(1, 51))["score"] == pytest.approx([0.2])


# --- tensors on the device: the same code with onnxruntime's CPU memory ----------------------------------------------


@pytest.fixture
def binding(graph: Path) -> Binding:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    return Binding(session, "cpu")


def run(binding: Binding, inputs: dict[str, Any]) -> dict[str, Any]:
    return binding.run(inputs, ("score", "anomaly_map"), onnxruntime.RunOptions())


def test_bound_tensors_answer_as_the_session_does(binding: Binding, graph: Path) -> None:
    with open_backend("onnxruntime", graph) as backend:
        for inputs in (frames(1, 51), frames(3, 102), frames(1, 204)):
            expected = backend.run(inputs)
            for name, values in run(binding, inputs).items():
                np.testing.assert_array_equal(values, expected[name])


def test_bound_outputs_survive_the_next_run(binding: Binding) -> None:
    first = run(binding, frames(1, 51))["anomaly_map"]
    run(binding, frames(1, 255))
    np.testing.assert_allclose(first, 0.2, atol=1e-6)


def test_a_constant_travels_once_and_another_takes_its_place(binding: Binding) -> None:
    inputs = frames(1, 51)
    assert run(binding, inputs)["score"] == pytest.approx([0.2])
    inputs["text_features"].flags.writeable = True
    inputs["text_features"][:] = 2  # against its word: to see that it is not read again
    inputs["text_features"].flags.writeable = False
    assert run(binding, inputs)["score"] == pytest.approx([0.2])
    twice = np.full((2, 1, handmade.DIM), 2, np.float32)
    assert run(binding, {**inputs, "text_features": twice})["score"] == pytest.approx([0.4])


def test_a_buffer_that_is_filled_again_is_read_again(binding: Binding) -> None:
    inputs = frames(1, 51)
    run(binding, inputs)
    inputs["image"][:] = 102
    assert run(binding, inputs)["score"] == pytest.approx([0.4])
    inputs["image"][:] = 255
    inputs["image"].flags.writeable = False
    assert run(binding, inputs)["score"] == pytest.approx([1])


def test_the_callers_arrays_are_never_written_to(binding: Binding) -> None:
    first, second = frames(1, 51), frames(1, 255)
    run(binding, first)
    run(binding, second)
    assert (first["image"] == 51).all()


# --- what the providers are told -------------------------------------------------------------------------------------


def test_cuda_computes_in_full_fp32(graph: Path) -> None:
    told = providers.settings(graph, "fp32", Options("cuda", cuda_graph=True), None)
    assert told == {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "enable_cuda_graph": "1"}


def tensorrt(graph: Path, cache: Path, batch: int = 4, precision: str = "fp32") -> dict[str, str]:
    return providers.settings(graph, precision, Options("tensorrt", batch=batch, cache=str(cache)), frames(1, 0))


def test_a_tensorrt_engine_is_built_for_up_to_batch_images(graph: Path, tmp_path: Path) -> None:
    told = tensorrt(graph, tmp_path)
    assert told["trt_profile_min_shapes"] == f"image:1x{SIDE}x{SIDE}x3,text_features:2x1x{handmade.DIM}"
    assert told["trt_profile_max_shapes"] == f"image:4x{SIDE}x{SIDE}x3,text_features:2x1x{handmade.DIM}"


def test_an_engine_is_kept_apart_from_those_of_other_graphs_precisions_and_shapes(graph: Path, tmp_path: Path) -> None:
    places = [
        tensorrt(graph, tmp_path)["trt_engine_cache_path"],
        tensorrt(graph, tmp_path, batch=2)["trt_engine_cache_path"],
        tensorrt(graph, tmp_path, precision="fp16")["trt_engine_cache_path"],
    ]
    assert places[0] == tensorrt(graph, tmp_path)["trt_engine_cache_path"]
    graph.write_bytes(TINY_GRAPH)
    places.append(tensorrt(graph, tmp_path)["trt_engine_cache_path"])
    assert len(set(places)) == 4
    assert all(Path(place).is_dir() for place in places)


def test_a_cache_that_cannot_be_made_is_refused(graph: Path) -> None:
    with pytest.raises(BackendError, match=r"no place for the tensorrt engine of model\.onnx"):
        tensorrt(graph, graph / "below a file")


def test_tensorrt_without_shapes_to_build_for_is_refused(graph: Path) -> None:
    with pytest.raises(BackendError, match="tensorrt builds for given shapes"):
        providers.settings(graph, "fp32", Options("tensorrt"), None)


def test_what_the_tensorrt_engine_was_not_built_for_is_refused_while_scoring() -> None:
    options = Options("tensorrt", batch=2)
    for count in (1, 2):
        providers.require_in_range(frames(count, 0), options, frames(1, 0))
    with pytest.raises(BackendError, match=r"takes image with the shape \(2, 32, 32, 3\), found \(3, 32, 32, 3\)"):
        providers.require_in_range(frames(3, 0), options, frames(1, 0))
    more = {**frames(1, 0), "text_features": np.ones((2, 5, handmade.DIM), np.float32)}
    with pytest.raises(BackendError, match=r"takes text_features with the shape \(2, 1, 4\), found \(2, 5, 4\)"):
        providers.require_in_range(more, options, frames(1, 0))
