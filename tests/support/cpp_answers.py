"""What the C++ example answers, beside the Python runtime on the same engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import clipspect
from clipspect.inspection.record import record_of
from clipspect.sources.registry import files
from support.cpp_programs import ROOT, call

SCHEMA = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-4


def compare(built: Path, bundle: Path, recipe: str, images: list[Path], maps: Path) -> list[dict[str, Any]]:
    """Asserts that both runtimes answer the same to each image; the records of the C++ one."""
    maps.mkdir()
    arguments = [*images, "--bundle", bundle, "--recipe", recipe, "--json", "--maps", maps]
    lines = call(built / "inspect", *arguments)[0].splitlines()
    records = [json.loads(line) for line in lines]
    with clipspect.load(bundle, recipe, "openvino") as inspector:
        for outcome, record in zip(inspector.stream(files(*images)), records, strict=True):
            anomaly_map = np.load(maps / f"{Path(outcome.item.name).name}.npy")
            expected = outcome.require().anomaly_map
            np.testing.assert_allclose(anomaly_map, expected, rtol=0, atol=TOLERANCE, err_msg=outcome.item.name)
            compare_records(record, json.loads(record_of(outcome, inspector).to_json()))
    return records


def compare_records(record: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same keys in the same order, and the same values but for what no two runs share."""
    jsonschema.validate(record, SCHEMA)
    jsonschema.validate(expected, SCHEMA)
    name = record["item"]["name"]
    assert list(record) == list(expected)
    assert record["timings_ms"] is None or list(record["timings_ms"]) == list(expected["timings_ms"])
    for key in ("score", "peak"):
        assert record[key] == pytest.approx(expected[key], abs=TOLERANCE), name
    assert list(record["quality"]) == list(expected["quality"])
    distances = {name: value for name, value in expected["quality"].items() if name in {"layout", "embedding"}}
    assert {name: record["quality"].pop(name) for name in distances} == pytest.approx(distances, abs=TOLERANCE), name
    expected["quality"] = {name: value for name, value in expected["quality"].items() if name not in distances}
    for key in record.keys() - {"id", "time", "score", "peak", "regions", "timings_ms", "error"}:
        assert record[key] == expected[key], (name, key)
    assert (record["error"] is None) == (expected["error"] is None)
    assert len(record["regions"]) == len(expected["regions"]), name
    for found, wanted in zip(record["regions"], expected["regions"]):
        assert list(found) == list(wanted)
        box = "x", "y", "width", "height"
        assert [found[key] for key in box] == pytest.approx([wanted[key] for key in box], abs=1), name
        assert found["area"] == pytest.approx(wanted["area"], abs=2, rel=1e-3)
        assert found["centroid"] == pytest.approx(wanted["centroid"], abs=0.1)
