"""The gate: what a precision may cost, what its record says, and who heeds it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import ExportError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import write_manifest
from clipspect.bundle.precision_record import LIMITS, PrecisionRecord
from clipspect.cli import main
from clipspect.engines import open_backend
from clipspect.engines.openvino import backend as openvino_backend
from clipspect.recipes.shelf import open_recipe
from clipspect_export.check.answers import Check, check_images
from clipspect_export.check.parity import Differences, differences
from clipspect_export.precision.demo_model import AccuracyPoints
from clipspect_export.precision.gate import judge, require_passed
from clipspect_export.precision.int8_copy import read_calibration, write_int8
from clipspect_export.precision.quantize import Scheme
from clipspect_models import DEMO_IMAGES
from support import handmade
from support.exports import demo_command

PART = DEMO_IMAGES / "gear-burn.jpg"
NOTHING_LOST = AccuracyPoints(0, 0)


def found(
    score: float = 0.001, anomaly_map: float = 0.001, ranks: float | None = 0.999, embedding: float = 0.001
) -> Differences:
    return Differences({"score": score, "anomaly_map": anomaly_map, "image_embedding": embedding}, ranks, images=2)


@pytest.mark.parametrize(
    ("differences", "lost", "message"),
    [
        (found(score=0.06), NOTHING_LOST, "the score differs by 0.06, at most 0.05 may be"),
        (found(anomaly_map=0.07), NOTHING_LOST, "the map differs by 0.07, at most 0.05 may be"),
        (found(embedding=0.08), NOTHING_LOST, "the image's embedding differs by 0.08, at most 0.05 may be"),
        (found(ranks=0.8), NOTHING_LOST, "ranks correlate by 0.800, at least 0.9 must be"),
        (found(), AccuracyPoints(0.6, 0), "the demo model loses 0.60 points of image AUROC, at most 0.5 may be"),
        (found(), AccuracyPoints(0, 0.7), "the demo model loses 0.70 points of pixel AUROC, at most 0.5 may be"),
    ],
)
def test_each_limit_refuses_alone_and_says_by_what(
    differences: Differences, lost: AccuracyPoints, message: str
) -> None:
    record = judge("int8", "openvino", [found(), differences], lost)
    assert record.refused
    assert message in record.detail
    with pytest.raises(
        ExportError, match=r"precision int8 in openvino does not pass: .* keep it with --force-precision"
    ):
        require_passed([record], force=False)
    (forced,) = require_passed([record], force=True)
    assert (forced.passed, forced.forced, forced.refused) == (False, True, False)


def test_what_stays_within_the_limits_passes_and_the_worst_graph_is_recorded() -> None:
    record = judge(
        "int8", "openvino", [found(), found(anomaly_map=0.04, ranks=0.95), found(ranks=None)], AccuracyPoints(-1, 0.5)
    )
    assert (record.passed, record.detail, record.forced) == (True, "", False)
    assert (record.score, record.anomaly_map, record.rank_correlation) == (0.001, 0.04, 0.95)
    assert (record.image_auroc_lost, record.pixel_auroc_lost, record.tolerance) == (-1, 0.5, 0.05)
    assert require_passed([record], force=True) == (record,)


def test_an_answer_that_is_no_number_cannot_be_forced() -> None:
    with pytest.raises(ExportError, match="answers NaN or infinity"):
        judge("fp16", "onnxruntime, emulated", [found(score=float("nan"))], NOTHING_LOST)


def test_a_hint_that_does_not_pass_stops_no_export() -> None:
    record = judge("bf16", "openvino", [found(ranks=0.1)], NOTHING_LOST)
    assert require_passed([record], force=False) == (record,)
    assert record.refused


def test_a_coarse_quantisation_is_refused(int8_bundle: Bundle, tmp_path: Path) -> None:
    for file in ("model.onnx", "model.onnx.data"):
        shutil.copy(int8_bundle.path / file, tmp_path)
    calibration = read_calibration([], int8_bundle.manifest.image)
    copies = write_int8([tmp_path / "model.onnx"], calibration.images[:3], Scheme(bits=3))
    given = {"image": check_images(240), "text_features": open_recipe(int8_bundle).text_features}
    with open_backend("onnxruntime", int8_bundle.graph_path) as exact:
        check = Check(given, exact.run(given))
    with open_backend("onnxruntime", tmp_path / copies["model.onnx"], graph_precision="int8") as backend:
        record = judge("int8", "onnxruntime", [differences(backend, check)], NOTHING_LOST)
    assert record.refused
    assert "the map differs by" in record.detail


def test_a_calibration_that_has_seen_nothing_refuses_the_export_unless_it_is_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black, out = tmp_path / "black.png", tmp_path / "out" / "demo.bundle"
    Image.fromarray(np.zeros((240, 240, 3), np.uint8)).save(black)
    command = [*demo_command(out), "--scales", "3", "--int8", "--calibration", str(black)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "precision int8 in onnxruntime does not pass" in error
    assert "calibrate it with --calibration PHOTOS of your parts" in error
    assert error.count("\n") == 1
    assert list(out.parent.iterdir()) == []
    assert main([*command, "--force-precision"]) == 0
    bundle = Bundle.open(out)
    record = next(record for record in bundle.manifest.precisions if record.name == "int8")
    assert (record.passed, record.forced) == (False, True)
    assert main(["run", str(out), str(PART), "--backend", "onnxruntime", "--precision", "int8"]) == 0


def test_the_record_of_an_export_has_each_precision_and_engine(
    int8_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    records = {(record.name, record.engine): record for record in int8_bundle.manifest.precisions}
    assert records.keys() == {("bf16", "openvino"), ("int8", "onnxruntime"), ("int8", "openvino")}
    measured = {key for key, record in records.items() if record.passed is not None}
    here = {("bf16", "openvino")} if "bf16" in openvino_backend._precisions("cpu") else set()
    assert measured == {("int8", "onnxruntime"), ("int8", "openvino")} | here
    assert all(record.detail for key, record in records.items() if key not in measured)
    for name, engine in measured:
        record = records[name, engine]
        assert record.passed
        assert record.score is not None
        assert record.anomaly_map is not None
        assert 0 < max(record.score, record.anomaly_map) <= LIMITS[name].difference
        assert record.image_auroc_lost is not None
        assert record.image_auroc_lost <= 0.5
    assert main(["info", str(int8_bundle.path)]) == 0
    shown = capsys.readouterr().out
    assert all(record.words in shown for record in records.values())
    assert "model.int8.onnx, fewshot.int8.onnx" in shown


def test_a_precision_whose_record_is_bad_is_refused_on_the_box_unless_it_is_forced(
    int8_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shutil.copytree(int8_bundle.path, tmp_path / "copy.bundle")
    bad = PrecisionRecord("int8", "onnxruntime", passed=False, detail="the map differs by 0.3")
    others = [record for record in int8_bundle.manifest.precisions if record.engine != "onnxruntime"]
    manifest = dataclasses.replace(int8_bundle.manifest, precisions=(bad, *others))
    write_manifest(bundle, manifest)
    run = ["run", str(bundle), str(PART), "--precision", "int8"]
    assert main([*run, "--backend", "onnxruntime"]) == 1
    error = capsys.readouterr().err
    assert "precision int8 in onnxruntime did not pass (the map differs by 0.3)" in error
    assert error.count("\n") == 1
    assert main([*run, "--backend", "onnxruntime", "--force-precision"]) == 0
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    capsys.readouterr()
    assert main(run) == 0  # whichever engine has no bad record
    assert "openvino on cpu in int8 (the only engine here that can" in capsys.readouterr().err


def test_bundles_from_before_there_were_records_keep_working(int8_bundle: Bundle, tmp_path: Path) -> None:
    bundle = shutil.copytree(int8_bundle.path, tmp_path / "copy.bundle")
    for name in ("precisions", "int8"):
        handmade.edit(bundle, lambda document, name=name: document.pop(name))
    assert Bundle.open(bundle).manifest.precisions == ()
    assert main(["verify", str(bundle), "--backend", "onnxruntime"]) == 0
