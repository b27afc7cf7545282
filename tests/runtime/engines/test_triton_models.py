"""A model on a Triton server that is not the bundle's, whole and as it was written, is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import BackendError, UnreachableError
from clipspect.bundle.bundle import Bundle
from clipspect.engines.serving import model_name
from clipspect.engines.triton import backend
from clipspect.recipes.triton_repository import write_triton_repository
from support import handmade
from support.kserve import Server, load


def other_bundle(root: Path) -> Path:
    """With the tiny bundle's tensors and another manifest."""
    handmade.write_bundle(root)
    return handmade.rewritten(root, versions={"exporter": "later"})


def test_a_server_that_comes_back_with_another_bundle_is_refused(
    tiny_bundle: Path, server: Server, tmp_path: Path
) -> None:
    write_triton_repository(other_bundle(tmp_path / "other.bundle"), tmp_path / "other")
    with load(tiny_bundle, server) as inspector:
        server.stop()
        server.start(tmp_path / "other")
        with pytest.raises(BackendError, match=r"refuses \(NOT_FOUND|has no model clipspect-\w{12}-words") as refusal:
            inspector.inspect(handmade.grey(1))
    assert not isinstance(refusal.value, UnreachableError)


def test_a_server_that_comes_back_with_another_device_is_refused(
    tiny_bundle: Path, server: Server, tmp_path: Path
) -> None:
    write_triton_repository(tiny_bundle, tmp_path / "cuda", device="cuda")
    with load(tiny_bundle, server) as inspector:
        server.stop()
        server.start(tmp_path / "cuda")
        with pytest.raises(BackendError, match=r"NOT_FOUND: unknown version 1|than before: load it again"):
            inspector.inspect(handmade.grey(1))


def test_a_server_without_the_bundle_says_what_it_has(server: Server, tmp_path: Path) -> None:
    other = other_bundle(tmp_path / "other.bundle")
    digest = Bundle.open(other).digest
    with pytest.raises(BackendError, match=rf"has no model clipspect-{digest[:12]}-words for this bundle, it has: \w"):
        load(other, server)


def as_another_bundle(config: Any) -> None:
    config.parameters["clipspect_bundle"].string_value = "0" * 64


def without_parameters(config: Any) -> None:
    config.parameters.clear()


def of_another_encoder(config: Any) -> None:
    config.ensemble_scheduling.step[1].model_name = "resnet"


def as_another_version_of_its_parts(config: Any) -> None:
    config.ensemble_scheduling.step[0].model_version = -1


def with_crossed_tensors(config: Any) -> None:
    config.ensemble_scheduling.step[0].input_map["text_features"] = "image"


def with_crossed_answers(config: Any) -> None:
    config.ensemble_scheduling.step[0].output_map["score"] = "anomaly_map"


def of_joined_requests(config: Any) -> None:
    config.max_batch_size = 2


def with_other_tensors(config: Any) -> None:
    config.input[0].dims[1] = 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (as_another_bundle, "is of another bundle or graph (000000000000 words)"),
        (without_parameters, "does not say what it is"),
        (of_another_encoder, "is made of"),
        (as_another_version_of_its_parts, "is made of"),
        (with_crossed_tensors, "takes text_features for image, expected each tensor for itself"),
        (with_crossed_answers, "takes score for anomaly_map, expected each tensor for itself"),
        (of_joined_requests, "takes joined requests, expected each tensor for itself"),
        (with_other_tensors, "the manifest says"),
    ],
)
def test_a_model_that_is_not_what_was_written_is_refused(
    tiny_bundle: Path, server: Server, change: Callable[[Any], None], words: str
) -> None:
    change(server.repository.configs[model_name(Bundle.open(tiny_bundle).digest, "words")])
    with pytest.raises(BackendError, match=re.escape(words)):
        load(tiny_bundle, server)


def elsewhere(config: Any) -> None:
    config.instance_group[0].kind = config.instance_group[0].KIND_AUTO


def from_another_file(config: Any) -> None:
    config.default_model_filename = "other.onnx"


def from_a_file_a_gpu(config: Any) -> None:
    config.cc_model_filenames["8.6"] = "other.onnx"


def joining_other_requests(config: Any) -> None:
    config.max_batch_size += 1


@pytest.mark.parametrize("part", ["encoder", "head"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (elsewhere, "computes model.onnx with onnxruntime as KIND_AUTO,"),
        (from_another_file, "computes other.onnx with"),
        (from_a_file_a_gpu, "other.onnx"),
        (joining_other_requests, "images of joined requests"),
    ],
)
def test_a_part_that_may_compute_otherwise_is_refused(
    tiny_bundle: Path, server: Server, part: str, change: Callable[[Any], None], words: str
) -> None:
    change(server.repository.configs[f"{model_name(Bundle.open(tiny_bundle).digest, 'words')}-{part}"])
    with pytest.raises(BackendError, match=re.escape(words)):
        load(tiny_bundle, server)


def test_a_gpu_that_rounds_to_tf32_is_refused(tiny_bundle: Path, server: Server, tmp_path: Path) -> None:
    write_triton_repository(tiny_bundle, tmp_path / "cuda", device="cuda")
    server.stop()
    server.start(tmp_path / "cuda")
    with load(tiny_bundle, server) as inspector:  # the small server says so; it has no GPU
        assert inspector.device == "cuda"
    name = model_name(Bundle.open(tiny_bundle).digest, "words")
    config = server.repository.configs[f"{name}-encoder"]
    config.optimization.execution_accelerators.gpu_execution_accelerator[0].parameters["use_tf32"] = "1"
    with pytest.raises(BackendError, match=r"expected model\.onnx with onnxruntime as KIND_GPU"):
        load(tiny_bundle, server)


def test_another_version_on_the_server_is_refused(tiny_bundle: Path, server: Server) -> None:
    server.repository.versions[model_name(Bundle.open(tiny_bundle).digest, "words")] = ["4"]
    with pytest.raises(BackendError, match="has the version 4, expected 1 for cpu"):
        load(tiny_bundle, server)


def test_a_model_that_is_changed_while_the_server_runs_is_refused(
    tiny_bundle: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_COMPARE_S", 0.0)
    with load(tiny_bundle, server) as inspector:
        inspector.inspect(handmade.grey(1))
        config = server.repository.configs[f"{model_name(Bundle.open(tiny_bundle).digest, 'words')}-encoder"]
        config.instance_group[0].kind = config.instance_group[0].KIND_GPU
        with pytest.raises(BackendError, match=r"as KIND_GPU, .*, expected model\.onnx with onnxruntime as KIND_CPU"):
            inspector.inspect(handmade.grey(1))


def test_a_graph_of_no_bundle_is_refused(server: Server, tmp_path: Path) -> None:
    from clipspect.engines import open_backend

    (tmp_path / "model.onnx").touch()
    with pytest.raises(BackendError, match="is no graph of a bundle that inspects"):
        open_backend("triton", tmp_path / "model.onnx", url=server.url)
