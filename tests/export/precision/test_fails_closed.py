"""What was not measured is not used: a broken copy stops an export; the unmeasured needs a record of this box."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import clipspect
from clipspect.base.errors import BackendError, ExportError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.local_records import local_record
from clipspect.bundle.manifest import write_manifest
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.cli import main
from clipspect_export.check.answers import Check
from clipspect_export.precision.gate import require_passed
from clipspect_export.precision.records import measure_record
from clipspect_models import DEMO_IMAGES
from support.precision_cases import linear_graph

PART = DEMO_IMAGES / "gear-burn.jpg"
INT8 = ["--backend", "onnxruntime", "--precision", "int8"]
NOT_MEASURED = PrecisionRecord("int8", "onnxruntime", passed=None, detail="no such engine was there")


@pytest.fixture
def unmeasured(int8_bundle: Bundle, tmp_path: Path) -> Path:
    """The demo model's int8 bundle, its record gone as from a machine without the engine."""
    path = shutil.copytree(int8_bundle.path, tmp_path / "copy.bundle")
    write_manifest(path, dataclasses.replace(int8_bundle.manifest, precisions=(NOT_MEASURED,)))
    return path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_copy_that_an_engine_cannot_run_does_not_pass(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine, reason=f"needs {engine}: pip install {engine}")
    model = linear_graph(np.ones((4, 4), np.float32), np.zeros(4, np.float32))
    given = {"image": np.ones((2, 1, 1, 4), np.uint8), "text_features": np.ones((1, 1, 4), np.float32)}
    (product,) = (node for node in model.graph.node if node.op_type == "MatMul")
    product.op_type = "MatMulInteger"  # of whole numbers, which it does not get
    onnx.save(model, tmp_path / "model.int8.onnx")
    check = Check(given, {"score": np.ones((2, 1, 4), np.float32), "anomaly_map": np.ones((2, 1, 4), np.float32)})
    record = measure_record("int8", engine, {tmp_path / "model.int8.onnx": check})
    assert record.passed is False
    assert record.refused
    assert record.detail.startswith("it could not be measured: ")
    with pytest.raises(ExportError, match=f"precision int8 in {engine} does not pass: it could not be measured"):
        require_passed([record], force=False)
    (kept,) = require_passed([record], force=True)
    assert kept.refused


def test_an_engine_that_is_not_installed_is_not_measured_and_stops_no_export(tmp_path: Path) -> None:
    """In a process that finds no OpenVINO, as on a machine without it."""
    code = (
        "import sys, importlib.machinery as machinery\n"
        "find = machinery.PathFinder.find_spec\n"
        "machinery.PathFinder.find_spec = classmethod(lambda cls, name, path=None, target=None:"
        " None if name == 'openvino' else find(name, path, target))\n"
        f"sys.path[:0] = {[path for path in sys.path if path]!r}\n"
        "from pathlib import Path\n"
        "from clipspect_export.precision.gate import require_passed\n"
        "from clipspect_export.precision.records import measure_record\n"
        "record = measure_record('bf16', 'openvino', {Path('model.onnx'): None})\n"
        "assert record.passed is None and record.refused and 'not installed' in record.detail, record\n"
        "assert require_passed([record], force=False) == (record,)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_precision_that_was_not_measured_is_refused_until_this_box_has_measured_it(
    unmeasured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", str(unmeasured), str(PART), *INT8]
    assert main(run) == 1
    error = capsys.readouterr().err
    assert "precision int8 in onnxruntime was not measured for this bundle (no such engine was there)" in error
    assert "clipspect verify --backend onnxruntime --precision int8 --record" in error
    assert error.count("\n") == 1
    assert main([*run, "--force-precision"]) == 0
    assert main(["verify", str(unmeasured), *INT8, "--record"]) == 0
    assert "recorded: int8 in onnxruntime: score" in capsys.readouterr().err
    assert main(run) == 0
    with clipspect.load(unmeasured, backend="onnxruntime", precision="int8") as inspector:
        assert inspector.precision == "int8"


def test_a_copy_255_times_wrong_that_was_not_measured_neither_scores_nor_is_recorded_as_good(
    unmeasured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = Bundle.open(unmeasured).manifest
    for name in ("model.int8.onnx", "fewshot.int8.onnx"):
        model = onnx.load(unmeasured / name, load_external_data=False)
        scales = [item for item in model.graph.initializer if item.name.endswith(".scale") and not item.external_data]
        assert scales
        for item in scales:
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * np.float32(255), item.name))
        onnx.save(model, unmeasured / name)
    write_manifest(unmeasured, manifest)
    assert main(["run", str(unmeasured), str(PART), *INT8]) == 1
    assert "was not measured for this bundle" in capsys.readouterr().err
    assert main(["verify", str(unmeasured), *INT8, "--record"]) == 1
    capsys.readouterr()
    assert main(["run", str(unmeasured), str(PART), *INT8]) == 1
    assert "precision int8 in onnxruntime did not pass (the " in capsys.readouterr().err


def test_a_record_of_another_bundle_or_processor_says_nothing(unmeasured: Path) -> None:
    assert main(["verify", str(unmeasured), *INT8, "--record"]) == 0
    path = unmeasured / "precisions" / "onnxruntime-int8.json"
    bundle = Bundle.open(unmeasured)
    assert local_record(bundle, "onnxruntime", "int8") is not None
    kept = path.read_text(encoding="utf-8")
    for name, other in {"bundle": "0" * 64, "engine_version": "0.1", "features": [], "processor": "another"}.items():
        path.write_text(json.dumps({**json.loads(kept), name: other}), encoding="utf-8")
        assert local_record(bundle, "onnxruntime", "int8") is None
        with pytest.raises(BackendError, match="was not measured for this bundle"):
            clipspect.load(unmeasured, backend="onnxruntime", precision="int8")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BackendError, match=r"onnxruntime-int8\.json: .*: remove it, or measure again"):
        clipspect.load(unmeasured, backend="onnxruntime", precision="int8")


def test_the_bundles_own_precision_needs_no_record(unmeasured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(unmeasured), "--backend", "onnxruntime", "--record"]) == 1
    assert "precision fp32 in onnxruntime needs no record: leave --record out" in capsys.readouterr().err
