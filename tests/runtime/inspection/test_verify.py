"""`clipspect verify`: an engine that computes what was exported passes, another one is told apart."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file
from scipy.stats import spearmanr

from clipspect.base.errors import BundleError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import ALLOWANCE
from clipspect.cli import main
from clipspect.inspection.verify import rank_correlation, verify
from clipspect_models import DEMO_BUNDLE
from support import handmade

Capture = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    """`clipspect verify` with the engine that made the export."""
    return main(["verify", *map(str, arguments), "--backend", "onnxruntime"])


def tamper(root: Path, file: str, constant: str, value: Any) -> None:
    """Another value in a graph, under a manifest whose hashes fit."""
    model = onnx.load(root / file)
    for item in model.graph.initializer:
        if item.name == constant:
            old = numpy_helper.to_array(item)
            item.CopyFrom(numpy_helper.from_array(np.asarray(value, old.dtype), constant))
    onnx.save(model, root / file)
    handmade.rewritten(root)


@pytest.mark.parametrize("map_limits", [False, True])
def test_an_engine_that_computes_the_same_passes(tmp_path: Path, capsys: Capture, map_limits: bool) -> None:
    root = handmade.write_full_bundle(tmp_path / "b", map_limits=map_limits)
    assert run(root) == 0
    out, err = capsys.readouterr()
    assert err == ""
    header, zero_shot, few_shot, verdict = out.splitlines()
    columns = ["graph", "score", "map", "embedding", "tolerance", "map", "ranks", "ms", "a", "run", "images"]
    assert header.split() == columns
    assert zero_shot.startswith("zero-shot")
    assert few_shot.startswith("few-shot")
    assert verdict == "onnxruntime on cpu computes what was exported (fp32)"


def test_the_figures_are_those_of_the_engine(full_bundle: Path) -> None:
    result = verify(full_bundle, "onnxruntime", threads=1)
    assert (result.backend, result.device, result.precision, result.passed) == ("onnxruntime", "cpu", "fp32", True)
    assert [comparison.graph for comparison in result.comparisons] == ["zero-shot", "few-shot"]
    for comparison in result.comparisons:
        assert comparison.images == 3
        assert 0 <= max(comparison.score, comparison.anomaly_map) < 1e-6
        assert comparison.rank_correlation == pytest.approx(1, abs=1e-4)
        assert comparison.tolerance == ALLOWANCE * 1e-5
        assert comparison.milliseconds > 0


def test_a_bundle_without_a_few_shot_graph_has_one_comparison(full_bundle: Path) -> None:
    graphs = {"words": Bundle.open(full_bundle).manifest.graphs["words"]}
    handmade.rewritten(full_bundle, graphs=graphs)
    (comparison,) = verify(full_bundle, "onnxruntime").comparisons
    assert comparison.graph == "zero-shot"


def test_other_weights_in_the_zero_shot_graph_are_found(full_bundle: Path, capsys: Capture) -> None:
    tamper(full_bundle, "model.onnx", "scale", 1.01 / 255)
    assert run(full_bundle) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err.count("\n") == 1
    assert "onnxruntime on cpu does not compute what was exported: differs in the zero-shot score by 0.0" in err
    assert "the zero-shot map by 0.0" in err
    assert "few-shot" not in err


def test_other_weights_in_the_few_shot_graph_are_found(full_bundle: Path, capsys: Capture) -> None:
    tamper(full_bundle, "fewshot.onnx", "floor", 0.2)
    assert run(full_bundle, "--json") == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["passed"], document["backend"]) == (False, "onnxruntime")
    zero_shot, few_shot = document["comparisons"]
    assert zero_shot["anomaly_map"] <= zero_shot["tolerance"] < few_shot["anomaly_map"]
    assert 0.9 < few_shot["rank_correlation"] <= 1
    assert document["verdict"] in err
    assert "zero-shot" not in err


def test_another_embedding_of_the_whole_image_is_found(tmp_path: Path) -> None:
    root = Path(shutil.copytree(DEMO_BUNDLE, tmp_path / "demo.bundle"))
    assert all(0 < found.embedding < found.tolerance for found in verify(root, "onnxruntime").comparisons)
    check = load_file(root / "check.safetensors")
    check["memory_image_embedding"] = check["memory_image_embedding"][::-1].copy()
    save_file(check, root / "check.safetensors")
    handmade.rewritten(root)
    words, memory, on_demand = verify(root, "onnxruntime").comparisons
    assert (words.faults, len(memory.faults), on_demand.faults) == ([], 1, [])
    assert "the memory image's embedding by" in memory.faults[0]


def test_the_tolerance_can_be_given(full_bundle: Path) -> None:
    tamper(full_bundle, "model.onnx", "scale", 1.01 / 255)
    assert run(full_bundle, "--tolerance", "0.1") == 0
    assert run(full_bundle, "--tolerance", "0.001") == 1


def test_an_engine_that_answers_no_number_does_not_pass(full_bundle: Path, capsys: Capture) -> None:
    tamper(full_bundle, "model.onnx", "scale", math.nan)
    assert run(full_bundle, "--json") == 1
    comparison = json.loads(capsys.readouterr().out)["comparisons"][0]
    assert comparison["score"] is comparison["anomaly_map"] is comparison["rank_correlation"] is None


def test_an_old_bundle_without_check_images_says_so(tiny_bundle: Path, capsys: Capture) -> None:
    assert run(tiny_bundle) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "the bundle has no check images, it is an old one: export it again" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"images": np.zeros((3, 16, 16, 3), np.uint8)}, r"images has the shape \(3, 16, 16, 3\)"),
        ({"fewshot_score": np.zeros(2, np.float32)}, r"fewshot_score has the shape \(2,\)"),
        ({"score": None}, "not readable check images"),
        ({"fewshot_references": None}, "not readable check images"),
        ({"text_features": None}, "not readable check images .'text_features'"),
        ({"text_features": np.ones((2, 5), np.float32)}, r"text_features has the shape \(2, 5\)"),
    ],
)
def test_a_check_that_does_not_fit_the_bundle_is_refused(
    full_bundle: Path, changes: dict[str, npt.NDArray[Any] | None], reason: str
) -> None:
    check = {**handmade.make_check(), **changes}
    save_file({name: value for name, value in check.items() if value is not None}, full_bundle / "check.safetensors")
    handmade.rewritten(full_bundle)
    with pytest.raises(BundleError, match=reason):
        verify(full_bundle)


@pytest.mark.parametrize("name", ["images", "score", "anomaly_map", "text_features", "fewshot_references"])
def test_a_check_with_a_single_number_in_place_of_an_array_is_refused_in_one_line(full_bundle: Path, name: str) -> None:
    check = {**handmade.make_check(), name: np.array(1, np.float32)}
    save_file(check, full_bundle / "check.safetensors")
    handmade.rewritten(full_bundle)
    with pytest.raises(BundleError, match=rf"^[^\n]*not readable check images .'{name} is a single number'[^\n]*$"):
        verify(full_bundle)


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E5M2", "F4", "C64", "X9"])
@pytest.mark.parametrize("shape", [[2], [1 << 62, 8], []])
def test_a_check_of_types_that_numpy_lacks_is_refused_in_one_line(
    full_bundle: Path, kind: str, shape: list[int]
) -> None:
    header = json.dumps({"images": {"dtype": kind, "shape": shape, "data_offsets": [0, 4]}}).encode()
    (full_bundle / "check.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    handmade.rewritten(full_bundle)
    with pytest.raises(BundleError, match=r"^[^\n]*not readable check images[^\n]*$"):
        verify(full_bundle)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8 + b"{}", (100_000).to_bytes(8, "little") + b"[" * 100_000])
def test_a_check_that_is_no_safetensors_is_refused_in_one_line(full_bundle: Path, content: bytes) -> None:
    (full_bundle / "check.safetensors").write_bytes(content)
    handmade.rewritten(full_bundle)
    with pytest.raises(BundleError, match=r"^[^\n]*not readable check images[^\n]*$"):
        verify(full_bundle)


def test_a_check_without_the_map_limits_that_the_graph_takes_is_refused(tmp_path: Path) -> None:
    root = handmade.write_full_bundle(tmp_path / "b", map_limits=True)
    save_file(handmade.make_check(map_limits=False), root / "check.safetensors")
    handmade.rewritten(root)
    with pytest.raises(BundleError, match=r"not readable check images .'map_limits'"):
        verify(root)


# --- rank correlation ------------------------------------------------------------------------------------------------

VALUES = st.lists(st.tuples(st.integers(-3, 3), st.floats(-2, 2, width=32)), min_size=2, max_size=30)


@given(VALUES, st.booleans())
def test_the_rank_correlation_is_scipys_ties_included(pairs: list[tuple[int, float]], rounded: bool) -> None:
    first, second = np.array(pairs, np.float64).T
    if rounded:
        second = second.round()
    found = rank_correlation(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)


@given(st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=30, unique=True))
def test_only_the_order_counts(values: list[float]) -> None:
    array = np.array(values)
    assert rank_correlation(array, array**3) == pytest.approx(1)
    assert rank_correlation(array.reshape(1, -1), -array) == pytest.approx(-1)


def test_what_is_no_number_has_no_rank() -> None:
    assert rank_correlation([1, 2, math.nan], [1, 2, 3]) is None
