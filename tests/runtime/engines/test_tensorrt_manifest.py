"""The manifest of an engine: typed, read back as it was written, refused when it is something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import BackendError
from clipspect.base.files import FileEntry

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install tensorrt-rtx-cu13 (no GPU)")
pytest.importorskip("cuda.bindings", reason="needs NVIDIA's bindings: pip install cuda-bindings (no GPU)")
from clipspect.engines.tensorrt.cuda import Device
from clipspect.engines.tensorrt.manifest import EngineManifest, Facts, Range, read_engine_manifest

GPU = Device("Orin", "8.7", "CUDA 12.6")


def manifest(device: Device | None = GPU) -> EngineManifest:
    facts = Facts({"model.onnx": "a" * 64}, "fp16", "tensorrt", "10.3.0", "12.6", device, ("8.7",))
    shapes = Range((1, 32, 32, 3), (4, 32, 32, 3), (4, 32, 32, 3))
    return EngineManifest(
        1, "0.1.0", "/a/model.onnx", facts, {"image": shapes}, "x.engine", FileEntry("b" * 64, 9), 1.5
    )


@pytest.mark.parametrize("device", [GPU, None])
def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path, device: Device | None) -> None:
    path = tmp_path / "x.json"
    path.write_text(manifest(device).to_json())
    assert read_engine_manifest(path) == manifest(device)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "of version 2, not 1"),
        ({"file": "../x.engine"}, "names '../x.engine', which is no file beside it"),
        ({"facts": None}, "facts: expected object, found null"),
        ({"inputs": {"image": {"least": ["1"]}}}, r"inputs\[...\].least\[0\]: expected int, found str"),
        ({"engine": {"sha256": "b"}}, "engine.size is missing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**json.loads(manifest().to_json()), **change}))
    with pytest.raises(BackendError, match=message):
        read_engine_manifest(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(manifest().to_json()[:-20])
    with pytest.raises(BackendError, match=r"x\.json: not a readable engine manifest"):
        read_engine_manifest(tmp_path / "x.json")


def test_a_range_knows_its_shapes() -> None:
    shapes = manifest().inputs["image"]
    assert [shapes.holds((count, 32, 32, 3)) for count in (0, 1, 4, 5)] == [False, True, True, False]
    assert not shapes.holds((1, 32, 32))
    assert shapes.covers(Range((1, 32, 32, 3), (2, 32, 32, 3), (2, 32, 32, 3)))
    assert not shapes.covers(Range((1, 32, 32, 3), (8, 32, 32, 3), (8, 32, 32, 3)))
    assert str(shapes) == "1 to 4 x 32 x 32 x 3"
