"""Engines: quiet, checked by a real run, chosen by their time, and never replaced in silence."""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipspect import engines as backends
from clipspect.base.errors import BackendError
from clipspect.base.installation import pip_install
from clipspect.engines import Backend, open_backend
from clipspect.engines.tiny import TINY_GRAPH, TINY_INPUTS

NAMES = [
    "onnxruntime",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("openvino") is None, reason="needs OpenVINO: pip install openvino"
        ),
    ),
]
both = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def tiny_graph(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TINY_GRAPH)
    return path


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest, tiny_graph: Path) -> Iterator[Backend]:
    with open_backend(request.param, tiny_graph, threads=1) as opened:
        yield opened


@pytest.fixture
def only_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package if package == "onnxruntime" else None)


def test_the_tiny_graph_is_valid_onnx() -> None:
    import onnx

    onnx.checker.check_model(onnx.load_from_string(TINY_GRAPH), full_check=True)


def test_every_engine_computes_what_the_tiny_graph_says(backend: Backend) -> None:
    np.testing.assert_allclose(backend.run(TINY_INPUTS)["y"], [[7, 10], [15, 22]])
    assert (backend.device, backend.precision, backend.reason) == ("cpu", "fp32", "")


def test_outputs_survive_the_next_run(backend: Backend) -> None:
    first = backend.run(TINY_INPUTS)["y"]
    backend.run({"x": np.zeros((2, 2), np.float32)})
    np.testing.assert_allclose(first, [[7, 10], [15, 22]])
    first[:] = 0  # the caller's own


def test_read_only_and_strided_inputs_are_taken_as_they_are(backend: Backend) -> None:
    constant = TINY_INPUTS["x"].copy()
    constant.flags.writeable = False
    np.testing.assert_allclose(backend.run({"x": constant})["y"], [[7, 10], [15, 22]])
    np.testing.assert_allclose(backend.run({"x": TINY_INPUTS["x"].T})["y"], [[7, 15], [10, 22]])


@pytest.mark.parametrize(
    "inputs",
    [{}, {"z": TINY_INPUTS["x"]}, {"x": np.ones((2, 3), np.float32)}, {"x": np.ones((2, 2), np.int64)}],
    ids=["missing", "unknown", "shape", "type"],
)
def test_inputs_that_the_graph_does_not_take_are_one_quiet_error(
    backend: Backend, inputs: dict[str, np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    backend.run(TINY_INPUTS)  # what is left of it must not stand in for what is missing
    with pytest.raises(BackendError) as caught:
        backend.run(inputs)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_closed_backend_says_so(backend: Backend) -> None:
    backend.close()
    with pytest.raises(BackendError, match="is closed: load the bundle again"):
        backend.run(TINY_INPUTS)
    backend.close()


@both
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_threads_can_be_set_or_left_to_the_engine(tiny_graph: Path, name: str, threads: int | None) -> None:
    with open_backend(name, tiny_graph, threads=threads) as opened:
        assert opened.run(TINY_INPUTS)["y"].shape == (2, 2)


@both
@pytest.mark.parametrize("threads", [0, -1, "4", 1.5, True])
def test_a_number_of_threads_that_is_none_is_refused(tiny_graph: Path, name: str, threads: object) -> None:
    with pytest.raises(BackendError, match="threads: expected a number from 1"):
        open_backend(name, tiny_graph, threads=threads)


@both
@pytest.mark.parametrize("device", ["tpu", "AUTO", "", 3, None])
def test_a_device_that_the_engine_does_not_know_is_refused(tiny_graph: Path, name: str, device: object) -> None:
    with pytest.raises(BackendError, match=r"device: .* has .*, found"):
        open_backend(name, tiny_graph, device=device)


@both
def test_an_unknown_option_lists_the_known(tiny_graph: Path, name: str) -> None:
    with pytest.raises(BackendError, match="no option 'thread'; there are: device, threads, precision"):
        open_backend(name, tiny_graph, thread=2)


@both
def test_a_graph_that_does_not_load_is_one_quiet_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(BackendError, match=f"{name} cannot load bad.onnx on cpu") as caught:
        open_backend(name, tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@both
def test_an_fp16_graph_is_refused_on_the_cpu_before_it_is_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(BackendError, match="a fp16 graph on the CPU: export with --precision fp32"):
        open_backend(name, tmp_path / "does not even exist.onnx", graph_precision="fp16")


def test_an_unknown_backend_lists_the_known(tiny_graph: Path) -> None:
    with pytest.raises(BackendError, match="no backend 'tpu'; there are: onnxruntime, openvino, tensorrt"):
        open_backend("tpu", tiny_graph)


@pytest.mark.parametrize("name", [None, "onnxruntime"])
def test_an_engine_that_is_not_installed_names_its_extra(
    tiny_graph: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(BackendError, match=re.escape(pip_install("cpu"))):
        open_backend(name, tiny_graph)


def test_an_engine_that_finds_no_device_is_named_with_what_to_install(
    tiny_graph: Path, monkeypatch: pytest.MonkeyPatch, only_onnxruntime: None
) -> None:
    monkeypatch.setattr("clipspect.engines.onnxruntime.devices", list)
    remedies = re.escape(f"{pip_install('cpu')} or {pip_install('openvino')}")
    with pytest.raises(BackendError, match=f"onnxruntime found no device here .*{remedies}$"):
        open_backend(None, tiny_graph)


def test_every_engine_of_the_registry_has_its_folder() -> None:
    for engine in backends.registry():
        assert importlib.util.find_spec(engine.folder) is not None


# --- without a name --------------------------------------------------------------------------------------------------


def test_without_a_name_the_fastest_by_a_real_run_is_taken_and_says_the_times(tiny_graph: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    with open_backend(None, tiny_graph, probe=TINY_INPUTS, threads=1) as chosen:
        np.testing.assert_allclose(chosen.run(TINY_INPUTS)["y"], [[7, 10], [15, 22]])
    times = chosen.reason.removeprefix("a run: ").split(", ")
    assert times[0].startswith(f"{chosen.name} on cpu ")
    assert sorted(time.split()[0] for time in times) == ["onnxruntime", "openvino"]


def test_an_engine_that_cannot_list_its_devices_leaves_the_others(
    tiny_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = importlib.import_module("clipspect.engines.openvino.backend")

    class Broken:
        @property
        def available_devices(self) -> list[str]:
            raise RuntimeError("no plugin\nto be found")

    monkeypatch.setattr(openvino, "_core", Broken)
    with open_backend(None, tiny_graph, probe=TINY_INPUTS) as chosen:
        assert chosen.name == "onnxruntime"
        assert "openvino cannot list its devices: no plugin" in chosen.reason


def test_the_slower_engine_loses(tiny_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = importlib.import_module("clipspect.engines.openvino.backend")
    monkeypatch.setattr("clipspect.engines.choice.perf_counter", iter(range(100)).__next__)  # every run takes 1 s
    quick = openvino.OpenVinoBackend.run
    monkeypatch.setattr(
        openvino.OpenVinoBackend, "run", lambda *given: [backends.choice.perf_counter(), quick(*given)][1]
    )
    with open_backend(None, tiny_graph, probe=TINY_INPUTS) as chosen:
        assert chosen.name == "onnxruntime"
        assert chosen.reason == "a run: onnxruntime on cpu 1000 ms, openvino on cpu 2000 ms"


@pytest.mark.parametrize(("seconds", "runs"), [(0.001, 6), (0.5, 4), (1, 2), (3, 1)])
def test_the_slower_a_run_the_fewer_are_timed(
    tiny_graph: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int
) -> None:
    onnxruntime = importlib.import_module("clipspect.engines.onnxruntime.backend")
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    counted: list[object] = []
    engine = onnxruntime.OnnxRuntimeBackend
    really = engine.run
    monkeypatch.setattr("clipspect.engines.choice.perf_counter", itertools.count(0, seconds).__next__)
    monkeypatch.setattr(
        onnxruntime.OnnxRuntimeBackend, "run", lambda *given: [counted.append(given), really(*given)][1]
    )
    open_backend(None, tiny_graph, probe=TINY_INPUTS).close()
    assert len(counted) == runs


def test_the_only_engine_is_not_made_to_run_first(tiny_graph: Path, only_onnxruntime: None) -> None:
    with open_backend(None, tiny_graph, probe={"x": np.ones((2, 3), np.float32)}) as chosen:
        assert (chosen.name, chosen.reason) == ("onnxruntime", "the only engine here that can")


def test_without_a_probe_the_first_that_loads_is_taken(tiny_graph: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    with open_backend(None, tiny_graph) as chosen:
        assert (chosen.name, chosen.reason) == ("onnxruntime", "the first that loads")


def test_a_precision_that_one_engine_has_leaves_that_one(tiny_graph: Path) -> None:
    openvino = importlib.import_module("clipspect.engines.openvino.backend")
    if "bf16" not in openvino._precisions("cpu"):
        pytest.skip("needs a processor with bf16")
    with open_backend(None, tiny_graph, probe=TINY_INPUTS, precision="bf16") as chosen:
        assert (chosen.name, chosen.precision) == ("openvino", "bf16")
        assert "onnxruntime computes in that of the graph" in chosen.reason


@pytest.mark.parametrize("probe", [None, TINY_INPUTS])
def test_when_no_engine_works_every_one_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], probe: dict[str, np.ndarray] | None
) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(BackendError, match=r"onnxruntime cannot load bad.onnx.*; openvino cannot load bad.onnx"):
        open_backend(None, tmp_path / "bad.onnx", probe=probe)
    assert capfd.readouterr() == ("", "")


def test_engines_that_compete_but_cannot_run_the_graph_are_refused_at_once(tiny_graph: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    with pytest.raises(BackendError, match=r"onnxruntime: the graph takes x as .*; openvino: the graph takes x as"):
        open_backend(None, tiny_graph, probe={"x": np.ones((2, 3), np.float32)})
