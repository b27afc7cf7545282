"""`make bench-gpu`: without a GPU a clear word; and its results, with the engine of the CPU in place of a GPU's."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from clipspect.bundle.bundle import Bundle

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_gpu.py"

pytest.importorskip("cuda.bindings", reason="needs NVIDIA's bindings: pip install cuda-bindings (no GPU)")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_gpu", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BATCHES", (1,))
    monkeypatch.setattr("clipspect_lab.benchmark.measure._STARTS", 1)
    return module


def test_without_a_gpu_it_fails_with_a_clear_word_and_writes_nothing(tmp_path: Path) -> None:
    from clipspect.engines.tensorrt import devices

    if devices():
        pytest.skip("needs a machine without an NVIDIA GPU")
    out = tmp_path / "gpu.json"
    done = subprocess.run([sys.executable, SCRIPT, "--out", out], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("bench-gpu: no NVIDIA GPU can be used here")
    assert done.stderr.endswith(": run it on a machine with one\n")
    assert done.stderr.count("\n") == 1
    assert not out.exists()


def test_results_are_json_and_what_is_refused_says_why(bench: ModuleType, full_bundle: Path) -> None:
    ways = [bench.Way("onnxruntime", {"device": "cpu", "threads": 1}), bench.Way("onnxruntime", {"device": "tpu"})]
    ran, refused = json.loads(json.dumps(bench.examine([Bundle.open(full_bundle)], ways, 0.01)))
    assert ran["refused"] is None
    assert ran["verification"]["passed"]
    (row,) = ran["rows"]
    assert (row["device"], row["batch"]) == ("cpu", 1)
    assert "device: onnxruntime has" in refused["refused"]
    assert bench.faults([ran]) == []
    failed = {**ran, "verification": {**ran["verification"], "passed": False, "verdict": "it differs"}}
    assert bench.faults([failed]) == ["full.bundle: it differs"]
    assert bench.faults([{**failed, "exact": False}]) == []
    assert bench.faults([ran, refused])[0].startswith("refused: device: onnxruntime has")
