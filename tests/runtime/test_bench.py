"""`clipspect bench`: what it measures, what it says of the machine, what it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import onnx
import onnxruntime
import pytest
from clipspect.benchmark.figures import Percentiles, Report
from clipspect.benchmark.gemm import FLOPS, INPUTS, SIDE, gemm_graph
from clipspect.benchmark.machine import read_machine
from clipspect.benchmark.measure import measure
from clipspect.cli import bench, main
from clipspect.errors import BackendError, ClipspectError

Capture = pytest.CaptureFixture[str]
ENGINE = "onnxruntime"
RUNS = 3


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says that it has work to do."""
    graph = dataclasses.replace(handmade.make_manifest().graph, flops=10**9)
    return handmade.write_bundle(tmp_path_factory.mktemp("bench") / "tiny.bundle", graph=graph)


@pytest.fixture(scope="module")
def steps() -> list[tuple[float, str]]:
    return []


@pytest.fixture(scope="module")
def report(bundle: Path, steps: list[tuple[float, str]]) -> Report:
    def step(done: float, phase: str) -> None:
        steps.append((done, phase))

    options = {"threads": 1}
    return measure(
        bundle, None, [ENGINE, ENGINE], batch=2, size=(90, 60), seconds=0.1, runs=RUNS, options=options, progress=step
    )


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(value)))


def test_a_row_tells_every_stage_and_what_it_comes_to(report: Report) -> None:
    (row,) = report.rows
    assert (row.backend, row.device, row.precision, row.threads, row.batch, row.runs) == (
        ENGINE,
        "cpu",
        "fp32",
        1,
        2,
        3,
    )
    assert row.version == onnxruntime.__version__
    assert list(row.stages) == ["decode", "preprocess", "infer", "post", "total", "map"]
    medians = {name: times.p50 for name, times in row.stages.items()}
    assert all(0 < median < 60_000 for median in medians.values())
    assert medians["total"] >= max(medians[name] for name in ("decode", "preprocess", "infer", "post"))
    assert row.engine_images_per_second == pytest.approx(1e3 / medians["infer"])
    assert row.images_per_second > 0
    assert row.stream_share == pytest.approx(row.images_per_second / row.engine_images_per_second)


def test_a_row_tells_the_engines_share_of_its_own_products(report: Report) -> None:
    (row,) = report.rows
    assert row.gflops == pytest.approx(row.engine_images_per_second)  # of 1 GFLOP an image
    assert row.gemm_gflops is not None
    assert row.gemm_gflops > 0.1
    assert row.gemm_share == pytest.approx(row.gflops / row.gemm_gflops)
    assert row.gemm_problem is None


def test_a_row_tells_what_a_fresh_process_takes(report: Report) -> None:
    (row,) = report.rows
    assert 0.05 < row.cold_start_s < 300
    assert row.peak_memory_bytes is not None
    assert 20e6 < row.peak_memory_bytes < 2e9


def test_the_report_says_what_was_measured(report: Report) -> None:
    assert (report.method, report.recipe, report.gflop, report.width, report.height) == (
        "winclip",
        "object",
        1.0,
        90,
        60,
    )
    assert report.left_out == {}


def test_progress_never_goes_back(report: Report, steps: list[tuple[float, str]]) -> None:
    assert report.rows
    shares = [share for share, _ in steps]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    assert any("warming up onnxruntime" in phase for _, phase in steps)


def test_the_page_has_the_machine_and_a_line_for_each_figure(report: Report) -> None:
    page = bench._page(report)
    assert max(len(line) for line in page.splitlines()) <= 120
    for word in ("winclip", "90 x 60", "cpu ", "clocks", "onnxruntime", "decode", "images/s", "cold start", "batch 2"):
        assert word in page
    (median,) = [line for line in page.splitlines() if "median" in line]
    assert [float(word) for word in median.split()[2:]] == pytest.approx(
        [times.p50 for times in report.rows[0].stages.values()], abs=0.006
    )
    assert "99 %" not in page  # of three runs
    busy = dataclasses.replace(report.machine.power, load=99.0)
    busy_report = dataclasses.replace(report, machine=dataclasses.replace(report.machine, power=busy))
    assert "busy before the runs (load 99.0" in bench._page(busy_report)


def test_json_is_one_document_of_every_engine_that_works(bundle: Path, capsys: Capture) -> None:
    assert run("bench", bundle, "--runs", 1, "--size", "64x48", "--threads", 1, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document.keys() == {field.name for field in dataclasses.fields(Report)}
    assert [row["runs"] for row in document["rows"]] == [1] * len(document["rows"])
    assert ENGINE in [row["backend"] for row in document["rows"]]
    assert document["machine"]["cpu"]["cores"] >= 1
    assert document["machine"]["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--backend", "tpu"], "no backend 'tpu'; there are"),
        (["--backend", ENGINE, "tpu"], "no backend 'tpu'; there are"),
        (["--recipe", "nut"], "no recipe 'nut'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    bundle: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    assert run("bench", bundle, *arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--batch", "0"],
        ["--runs", "0"],
        ["--seconds", "0"],
        ["--seconds", "nan"],
        ["--runs", "3", "--seconds", "3"],
        ["--size", "0x48"],
        ["--size", "64"],
        ["--threads", "0"],
    ],
)
def test_wrong_usage_is_status_2(bundle: Path, capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("bench", bundle, *arguments)
    assert caught.value.code == 2
    assert "usage: clipspect bench" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"batch": 0}, "batch: expected"), ({"size": (0, 9)}, "width: expected"), ({"runs": True}, "runs: expected")],
)
def test_numbers_that_make_no_sense_are_refused_before_anything_is_loaded(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClipspectError, match=reason):
        measure("no such bundle", **wrong)


def test_a_bundle_that_no_engine_runs_is_refused_with_each_engines_reason(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="fp16"):
        measure(handmade.write_bundle(tmp_path / "b", precision="fp16"), runs=1)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_products_are_an_onnx_graph_and_are_computed(precision: str) -> None:
    graph = gemm_graph(2, precision)
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    assert sum(node.op_type == "MatMul" for node in model.graph.node) == 2
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).astype(np.float32)
    assert weights.shape == (SIDE, SIDE)
    if precision == "fp32":  # the CPU has no other
        (found,) = onnxruntime.InferenceSession(graph).run(["y"], INPUTS)
        np.testing.assert_allclose(found, [[(weights @ weights @ weights).max()]], rtol=1e-3)
    assert FLOPS == 2 * SIDE**3


def test_percentiles_are_told_where_there_are_runs_for_them() -> None:
    assert Percentiles.of([3.0, 1.0, 2.0]) == Percentiles(2.0, None, None)
    assert Percentiles.of([float(number) for number in range(21)]) == Percentiles(10.0, 19.0, None)
    assert Percentiles.of([float(number) for number in range(101)]) == Percentiles(50.0, 95.0, 99.0)


def test_a_machine_that_says_nothing_is_described_all_the_same(tmp_path: Path, report: Report) -> None:
    machine = read_machine(tmp_path)
    assert machine.device is None
    page = bench._page(dataclasses.replace(report, machine=machine))
    assert "governor unknown, power mode unknown" in page
    assert plain(machine)["power"]["mode"] is None
