"""Engines: quiet, checked by a real run, and never replaced in silence."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from clipspect import backends
from clipspect.backends import open_backend
from clipspect.backends.tiny import TINY_GRAPH, TINY_INPUTS
from clipspect.errors import BackendError


@pytest.fixture
def tiny_graph(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TINY_GRAPH)
    return path


def test_the_tiny_graph_is_valid_onnx_and_computes_what_it_says(tiny_graph: Path) -> None:
    import onnx

    onnx.checker.check_model(onnx.load(tiny_graph), full_check=True)
    with open_backend("onnxruntime", tiny_graph) as backend:
        np.testing.assert_allclose(backend.run(TINY_INPUTS)["y"], [[7, 10], [15, 22]])


def test_without_a_name_the_engine_that_works_is_taken_and_named(tiny_graph: Path) -> None:
    with open_backend(None, tiny_graph, probe=TINY_INPUTS) as backend:
        assert (backend.name, backend.device) == ("onnxruntime", "cpu")


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_threads_can_be_set_or_left_to_the_engine(tiny_graph: Path, threads: int | None) -> None:
    with open_backend("onnxruntime", tiny_graph, threads=threads) as backend:
        assert backend.run(TINY_INPUTS)["y"].shape == (2, 2)


@pytest.mark.parametrize("threads", [0, -1, "4", 1.5, True])
def test_a_number_of_threads_that_is_none_is_refused(tiny_graph: Path, threads: object) -> None:
    with pytest.raises(BackendError, match="threads: expected a number from 1"):
        open_backend("onnxruntime", tiny_graph, threads=threads)


def test_an_engine_that_is_not_driven_yet_says_so(tiny_graph: Path) -> None:
    with pytest.raises(BackendError, match="does not drive openvino yet; take one of: onnxruntime"):
        open_backend("openvino", tiny_graph)


def test_an_unknown_backend_lists_the_known(tiny_graph: Path) -> None:
    with pytest.raises(BackendError, match="no backend 'tpu'; there are: onnxruntime"):
        open_backend("tpu", tiny_graph)


def test_an_unknown_option_lists_the_known(tiny_graph: Path) -> None:
    with pytest.raises(BackendError, match="no option 'thread'; there are: threads"):
        open_backend("onnxruntime", tiny_graph, thread=2)


@pytest.mark.parametrize("name", [None, "onnxruntime"])
def test_an_engine_that_is_not_installed_names_its_extra(
    tiny_graph: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(BackendError, match=r'pip install "clipspect\[cpu\]"'):
        open_backend(name, tiny_graph)


@pytest.mark.parametrize("name", [None, "onnxruntime"])
def test_a_graph_that_does_not_load_is_one_quiet_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str | None
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(BackendError, match=r"onnxruntime cannot load bad.onnx on cpu") as caught:
        open_backend(name, tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [None, "onnxruntime"])
def test_a_graph_that_loads_but_does_not_run_is_refused_at_once(
    tiny_graph: Path, capfd: pytest.CaptureFixture[str], name: str | None
) -> None:
    with pytest.raises(BackendError, match="onnxruntime failed on cpu"):
        open_backend(name, tiny_graph, probe={"x": np.ones((2, 3), np.float32)})
    assert capfd.readouterr() == ("", "")


def test_an_fp16_graph_is_refused_on_the_cpu_before_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot run a fp16 graph on the CPU: export with --precision fp32"):
        open_backend("onnxruntime", tmp_path / "does not even exist.onnx", precision="fp16")


def test_a_closed_backend_says_so(tiny_graph: Path) -> None:
    backend = open_backend("onnxruntime", tiny_graph)
    backend.close()
    with pytest.raises(BackendError, match="is closed"):
        backend.run(TINY_INPUTS)


def test_a_provider_that_cannot_run_here_is_not_taken_for_the_cpu(tiny_graph: Path) -> None:
    import onnxruntime
    from clipspect.backends.onnxruntime import session

    found = session._probe(tiny_graph, TINY_INPUTS, "CUDAExecutionProvider")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert (found.device, found.works) == ("cuda", False)


def test_every_engine_of_the_registry_has_its_folder() -> None:
    for engine in backends.ENGINES:
        assert importlib.util.find_spec(f"clipspect.backends.{engine.name}") is not None
