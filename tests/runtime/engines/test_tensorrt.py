"""TensorRT's backend: what is refused before a GPU is needed, and what goes to a stand-in for one and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import BackendError
from clipspect.engines import Backend, open_backend
from clipspect.engines.tiny import TINY_GRAPH, TINY_INPUTS
from clipspect.inspection.verify import verify
from clipspect.recipes.compile import compile_bundle
from clipspect.recipes.make import make_recipe
from support import handmade

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install tensorrt-rtx-cu13 (no GPU)")
pytest.importorskip("cuda.bindings", reason="needs NVIDIA's bindings: pip install cuda-bindings (no GPU)")
from clipspect.engines.tensorrt import backend as tensorrt_backend
from clipspect.engines.tensorrt import cuda, devices, execution, probe, store
from clipspect.engines.tensorrt.library import library
from support.stand_in_gpu import StandInCuda, StandInEngine, stand_in_library

SIDE = handmade.SIDE
GPU = cuda.Device("NVIDIA RTX A2000", "8.6", "580.65.06, CUDA 13.0")
RTX: dict[str, Any] = {"backend": "tensorrt", "package": "tensorrt_rtx"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLIPSPECT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> StandInCuda:
    """A GPU of compute capability 8.6 that runs graphs by onnxruntime."""
    stand_in = StandInCuda()
    real = library("tensorrt_rtx")

    def opened(graph: Path, *given: Any) -> Any:
        engine = StandInEngine(graph, stand_in)
        monkeypatch.setattr(tensorrt_backend, "library", lambda package: stand_in_library(engine, real))
        return really(graph, *given)

    really = tensorrt_backend.open_session
    monkeypatch.setattr("clipspect.engines.tensorrt.open_session", opened)
    monkeypatch.setattr(cuda, "device", lambda: GPU)
    monkeypatch.setattr(cuda, "runtime", stand_in)
    monkeypatch.setattr(execution, "runtime", stand_in)
    return stand_in


def compiled(root: Path, **sizes: Any) -> Path:
    compile_bundle(root, capabilities=["8.6"], package="tensorrt_rtx", **sizes)
    return root


def frames(count: int, grey: int, prompts: int = 1) -> dict[str, Any]:
    text = np.ones((2, prompts, handmade.DIM), np.float32)
    text.flags.writeable = False
    return {"image": np.full((count, SIDE, SIDE, 3), grey, np.uint8), "text_features": text}


def opened(root: Path, **options: Any) -> Backend:
    return open_backend("tensorrt", root / "model.onnx", package="tensorrt_rtx", **options)


# --- without a GPU ---------------------------------------------------------------------------------------------------


def test_scoring_without_a_gpu_is_one_quiet_error(tiny_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if devices():
        pytest.skip("needs a machine without an NVIDIA GPU")
    for root in (tiny_bundle, compiled(tiny_bundle)):  # there is no engine, then there is one
        with pytest.raises(
            BackendError, match="tensorrt runs on an NVIDIA GPU only: no NVIDIA GPU can be used"
        ) as caught:
            clipspect.load(root, **RTX)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_without_a_gpu_tensorrt_does_not_compete_and_its_probe_says_why(tmp_path: Path) -> None:
    if devices():
        pytest.skip("needs a machine without an NVIDIA GPU")
    (tmp_path / "tiny.onnx").write_bytes(TINY_GRAPH)
    (answer,) = probe(tmp_path / "tiny.onnx", TINY_INPUTS)
    assert (answer.device, answer.works) == ("cuda", False)
    assert "no NVIDIA GPU can be used here" in answer.detail
    with open_backend(None, tmp_path / "tiny.onnx", probe=TINY_INPUTS) as chosen:
        assert "tensorrt" not in chosen.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cpu"}, "device: tensorrt has cuda only, found 'cpu'"),
        ({"threads": 0}, "threads: expected a number from 1, found 0"),
        ({"precision": "bf16"}, "precision: expected one of fp32, fp16, tf32, found 'bf16'"),
        ({"precision": "fp16"}, "the graph is fp32, found 'fp16': .* export the bundle with --precision fp16"),
        ({"package": "torch"}, "package: expected one of tensorrt, tensorrt_rtx, found 'torch'"),
        ({"cuda_graph": 1}, "cuda_graph: expected True or False, found 1"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(tiny_bundle: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        clipspect.load(tiny_bundle, **{**RTX, **options})


def test_a_package_that_is_not_installed_names_its_extra(tiny_bundle: Path) -> None:
    if "tensorrt" in library().package.split("_") and library().package == "tensorrt":
        pytest.skip("needs a Python without the package tensorrt")
    with pytest.raises(BackendError, match=r"tensorrt is not installed \(there is: tensorrt_rtx\): pip install"):
        clipspect.load(tiny_bundle, backend="tensorrt", package="tensorrt")


# --- with a stand-in for a GPU ---------------------------------------------------------------------------------------


def test_a_compiled_bundle_scores_as_in_onnxruntime(tiny_bundle: Path, gpu: StandInCuda) -> None:
    pictures = [handmade.spotted(), np.full((8, 8), 51, np.uint8)]
    answers = []
    for options in ({"backend": "onnxruntime"}, RTX):
        with clipspect.load(compiled(tiny_bundle, batch=2), **options) as inspector:
            answers.append([inspector.inspect(pictures[0]), *inspector.inspect_batch(pictures)])
    assert (inspector.backend, inspector.device, inspector.precision) == ("tensorrt", "cuda", "fp32")
    for expected, found in zip(*answers):
        assert found.score == expected.score
        np.testing.assert_array_equal(found.anomaly_map, expected.anomaly_map)


def test_the_few_shot_graph_makes_recipes_and_verifies_one_image_at_a_time(full_bundle: Path, gpu: StandInCuda) -> None:
    compiled(full_bundle)
    assert verify(full_bundle, **RTX).passed
    photos = [np.full((SIDE, SIDE, 3), grey, np.uint8) for grey in (50, 90, 130, 170, 210)]
    made = [
        make_recipe(full_bundle, "nut", like="object", references=photos, **options)
        for options in ({"backend": "onnxruntime"}, RTX)
    ]
    for name, rows in made[0].tensors.items():
        np.testing.assert_allclose(made[1].tensors[name], rows, atol=1e-6)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_shapes_may_change_from_run_to_run(tiny_bundle: Path, gpu: StandInCuda, cuda_graph: bool) -> None:
    compiled(tiny_bundle, batch=3)
    with opened(tiny_bundle, cuda_graph=cuda_graph) as backend:
        for count, grey, prompts in ((1, 51, 1), (1, 102, 1), (3, 204, 2), (2, 51, 1), (3, 255, 2)):
            outputs = backend.run(frames(count, grey, prompts))
            assert outputs["score"] == pytest.approx([grey / 255] * count)
            assert outputs["anomaly_map"].shape == (count, SIDE, SIDE)
    assert gpu.launches == (5 if cuda_graph else 0)
    assert gpu.blocks == {"device": {}, "host": {}}  # all of it was given back


def test_outputs_survive_the_next_run_and_inputs_are_not_written_to(tiny_bundle: Path, gpu: StandInCuda) -> None:
    compiled(tiny_bundle)
    with opened(tiny_bundle) as backend:
        inputs = frames(1, 51)
        first = backend.run(inputs)["anomaly_map"]
        backend.run(frames(1, 255))
    np.testing.assert_allclose(first, 0.2, atol=1e-6)
    assert (inputs["image"] == 51).all()


def test_a_constant_travels_once_until_another_takes_its_place(tiny_bundle: Path, gpu: StandInCuda) -> None:
    compiled(tiny_bundle)
    inputs, image = frames(1, 51), SIDE * SIDE * 3
    text = inputs["text_features"].nbytes
    with opened(tiny_bundle) as backend:
        backend.run(inputs)
        backend.run(inputs)
        assert gpu.sent == [image, text, image]
        twice = np.full((2, 1, handmade.DIM), 2, np.float32)
        assert backend.run({**inputs, "text_features": twice})["score"] == pytest.approx([0.4])
        assert backend.run({**inputs, "text_features": twice})["score"] == pytest.approx([0.4])
        assert gpu.sent[3:] == [image, text, image, text]  # it may be written to: it may have changed
        assert backend.run(inputs)["score"] == pytest.approx([0.2])


def test_strided_inputs_are_taken_as_they_are(tiny_bundle: Path, gpu: StandInCuda) -> None:
    compiled(tiny_bundle)
    inputs = frames(1, 0)
    inputs["image"][:, :, :4] = 255
    with opened(tiny_bundle) as backend:
        whole = backend.run(inputs)["anomaly_map"]
        turned = backend.run({**inputs, "image": inputs["image"][:, :, ::-1]})["anomaly_map"]
    np.testing.assert_array_equal(turned, whole[:, :, ::-1])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (frames(2, 0), r"takes image as 1 x 32 x 32 x 3, found 2 x 32 x 32 x 3: clipspect compile .* --batch 2 "),
        (frames(1, 0, prompts=9), r"takes text_features as 2 x 1 to 8 x 4, found 2 x 9 x 4: .* --prompts 9$"),
        ({"image": frames(1, 0)["image"]}, "the graph takes image, text_features, found image"),
        ({**frames(1, 0), "image": np.zeros((1, SIDE, SIDE, 3))}, "takes image as uint8, found float64"),
    ],
    ids=["images", "prompts", "missing", "type"],
)
def test_what_the_engine_was_not_compiled_for_is_refused_with_the_command(
    tiny_bundle: Path, gpu: StandInCuda, inputs: dict[str, Any], message: str
) -> None:
    compiled(tiny_bundle, prompts=8)
    with opened(tiny_bundle) as backend:
        assert backend.most_images == 1
        with pytest.raises(BackendError, match=message):
            backend.run(inputs)


def test_after_closing_there_are_no_more_results(tiny_bundle: Path, gpu: StandInCuda) -> None:
    backend = opened(compiled(tiny_bundle))
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="the tensorrt backend is closed: load the bundle again"):
        backend.run(frames(1, 0))


def test_too_little_device_memory_is_one_error_with_the_figures(tiny_bundle: Path, gpu: StandInCuda) -> None:
    gpu.memory = 4000
    with opened(compiled(tiny_bundle)) as backend, pytest.raises(BackendError) as caught:
        backend.run(frames(1, 0))
    assert "the GPU's memory is too small: 0 of the GPU's 0 MB are free" in str(caught.value)
    assert gpu.blocks == {"device": {}, "host": {}}


def test_an_engine_that_tensorrt_does_not_load_says_what_it_said_and_how_to_go_on(
    tiny_bundle: Path, gpu: StandInCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = library("tensorrt_rtx")
    monkeypatch.setattr(tensorrt_backend, "library", lambda package: stand_in_library(None, real))
    monkeypatch.setattr("clipspect.engines.tensorrt.open_session", tensorrt_backend.open_session)
    with pytest.raises(BackendError, match=r"cannot load the engine \(out of memory, it says; .* --force$"):
        opened(compiled(tiny_bundle))


# --- engines that do not fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        (
            {"files": {"model.onnx": "0" * 64}},
            r"model.onnx is another file \(\w{12}\) than .* compiled \(000000000000\)",
        ),
        ({"precision": "tf32"}, "precision tf32, here is fp32"),
        ({"package": "tensorrt"}, r"with tensorrt [\d.]+, here is tensorrt_rtx"),
        ({"version": "1.0.0"}, r"with tensorrt_rtx 1.0.0, here is tensorrt_rtx \d"),
        ({"cuda": "12.6"}, r"CUDA 12.6, here is \d"),
        ({"compute_capabilities": ("8.9", "12.0")}, "for compute capability 8.9, 12.0, here is 8.6"),
        ({"device": dataclasses.replace(GPU, name="Orin")}, "GPU with name Orin, here is NVIDIA RTX A2000"),
        ({"device": dataclasses.replace(GPU, driver="570")}, "GPU with driver 570, here is 580"),
        ({"device": dataclasses.replace(GPU, compute_capability="8.7")}, "compute capability 8.7, here is 8.6"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_engine_with_another_fact_is_refused_with_the_fact_and_the_command(
    tiny_bundle: Path, gpu: StandInCuda, cache: Path, changes: dict[str, Any], difference: str
) -> None:
    compiled(tiny_bundle, batch=2)
    opened(tiny_bundle).close()
    (path,) = cache.glob("tensorrt/*.json")
    engine = store.compiled(path.parent)[0]
    path.write_text(dataclasses.replace(engine, facts=dataclasses.replace(engine.facts, **changes)).to_json())
    command = f"clipspect compile {tiny_bundle} --backend tensorrt --batch 2 --package tensorrt_rtx"
    with pytest.raises(BackendError, match=f"does not fit: .*{difference}.*: {command}$") as caught:
        opened(tiny_bundle)
    assert "\n" not in str(caught.value)


def test_an_engine_that_was_built_on_this_gpu_goes_before_one_for_its_kind(
    tiny_bundle: Path, gpu: StandInCuda, cache: Path
) -> None:
    compiled(tiny_bundle)
    folder = cache / "tensorrt"
    (other,) = store.compiled(folder)
    facts = dataclasses.replace(other.facts, device=GPU)
    own = dataclasses.replace(other, facts=facts)
    (folder / "0.json").write_text(own.to_json())
    assert store.fitting(folder, facts) == own
