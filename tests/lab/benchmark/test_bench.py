"""`clipspect bench`: what it measures, what it says of the machine, what it refuses."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import clipspect
from clipspect.base.errors import BackendError, ClipspectError
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect.engines import open_backend
from clipspect.engines.graph import WORDS
from clipspect.host.machine import read_machine
from clipspect.recipes.shelf import open_recipe
from clipspect_lab.benchmark.accuracy import has_accuracy, measure_accuracy
from clipspect_lab.benchmark.measure import measure
from clipspect_lab.benchmark.page import benchmark_page
from clipspect_lab.benchmark.profile import shares_of_time
from clipspect_lab.benchmark.report import BenchmarkReport, Percentiles
from clipspect_lab.benchmark.timed_engine import TimedEngine
from clipspect_lab.demo.pictures import read_demo_pictures
from support import handmade

Capture = pytest.CaptureFixture[str]
ENGINE = "onnxruntime"
RUNS = 3


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says that it has work to do."""
    graph = dataclasses.replace(handmade.make_graph(), flops=10**9)
    return handmade.write_bundle(tmp_path_factory.mktemp("bench") / "tiny.bundle", graphs={WORDS: graph})


@pytest.fixture(scope="module")
def steps() -> list[tuple[float, str]]:
    return []


@pytest.fixture(scope="module")
def report(bundle: Path, steps: list[tuple[float, str]]) -> BenchmarkReport:
    def step(phase: str, done: float, total: float, /) -> None:
        steps.append((done / total, phase))

    options = {"threads": 1}
    return measure(
        bundle, None, [ENGINE, ENGINE], batch=2, size=(90, 60), seconds=0.1, runs=RUNS, options=options, progress=step
    )


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(value)))


def test_a_row_tells_every_stage_and_what_it_comes_to(report: BenchmarkReport) -> None:
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


def test_a_row_tells_the_engines_share_of_its_own_products(report: BenchmarkReport) -> None:
    (row,) = report.rows
    assert row.gflops == pytest.approx(row.engine_images_per_second)  # of 1 GFLOP an image
    assert row.gemm_gflops is not None
    assert row.gemm_gflops > 0.1
    assert row.gemm_share == pytest.approx(row.gflops / row.gemm_gflops)
    assert row.gemm_problem is None
    assert row.gemm_target == 0.95


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_profile_tells_which_operators_take_the_time(bundle: Path, engine: str) -> None:
    pytest.importorskip(engine, reason=f"needs {engine}: pip install {engine}")
    opened = Bundle.open(bundle)
    shares = shares_of_time(opened, open_recipe(opened), engine, 2, {"threads": 1})
    *named, others = shares
    assert sum(shares.values()) == pytest.approx(1)
    assert named
    assert others == "others"
    assert [shares[name] for name in named] == sorted((shares[name] for name in named), reverse=True)
    with pytest.raises(BackendError, match="load with profile=True"), open_backend(engine, opened.graph_path) as plain:
        plain.profile()


def test_a_row_below_its_share_says_where_the_rest_goes(report: BenchmarkReport) -> None:
    (row,) = report.rows
    assert row.profile == {}  # this one says that its few operations are many
    low = dataclasses.replace(row, gemm_share=0.9, profile={"MatMul": 0.9, "Add": 0.08, "others": 0.02})
    page = benchmark_page(dataclasses.replace(report, rows=(low,)))
    words = "whose aim is 95% of GEMM, spends its time in: MatMul 90.0%, Add 8.0%, others 2.0%"
    assert f"onnxruntime fp32, {words}" in page
    assert "spends its time in" not in benchmark_page(report)


def test_of_weights_that_are_not_the_demos_the_shipped_pictures_say_nothing(report: BenchmarkReport) -> None:
    assert [row.accuracy for row in report.rows] == [None]


@pytest.mark.slow
def test_the_demos_accuracy_is_by_its_pictures_and_the_engine_that_is_measured() -> None:
    with clipspect.load("demo", backend=ENGINE) as inspector:
        assert has_accuracy(inspector.bundle)
        accuracy = measure_accuracy(inspector)
    assert accuracy is not None
    assert accuracy.pictures == len(read_demo_pictures()[1])
    assert 0.9 < accuracy.image_auroc <= 1
    assert 0.8 < accuracy.pixel_auroc < 1


def test_a_row_tells_what_a_fresh_process_takes(report: BenchmarkReport) -> None:
    (row,) = report.rows
    assert 0.05 < row.cold_start_s < 300
    assert row.peak_memory_bytes is not None
    assert 20e6 < row.peak_memory_bytes < 2e9


def test_the_report_says_what_was_measured(report: BenchmarkReport) -> None:
    assert (report.method, report.recipe, report.gflop, report.width, report.height) == (
        "winclip",
        "object",
        1.0,
        90,
        60,
    )
    assert report.left_out == {}


def test_progress_never_goes_back(report: BenchmarkReport, steps: list[tuple[float, str]]) -> None:
    assert report.rows
    shares = [share for share, _ in steps]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    assert any("warming up onnxruntime" in phase for _, phase in steps)


def test_the_page_has_the_machine_and_a_line_for_each_figure(report: BenchmarkReport) -> None:
    page = benchmark_page(report)
    assert max(len(line) for line in page.splitlines()) <= 120
    for word in ("winclip", "90 x 60", "cpu ", "clocks", "onnxruntime", "decode", "images/s", "cold start", "batch 2"):
        assert word in page
    (median,) = [line for line in page.splitlines() if "median" in line]
    assert [float(word) for word in median.split()[3:]] == pytest.approx(
        [times.p50 for times in report.rows[0].stages.values()], abs=0.006
    )
    assert "99 %" not in page  # of three runs
    busy = dataclasses.replace(report.machine.power, load=99.0)
    busy_report = dataclasses.replace(report, machine=dataclasses.replace(report.machine, power=busy))
    assert "busy before the runs (load 99.0" in benchmark_page(busy_report)


def test_json_is_one_document_of_every_engine_that_works(bundle: Path, capsys: Capture) -> None:
    assert run("bench", bundle, "--runs", 1, "--size", "64x48", "--threads", 1, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document.keys() == {field.name for field in dataclasses.fields(BenchmarkReport)}
    assert [row["runs"] for row in document["rows"]] == [1] * len(document["rows"])
    tried = {(row["backend"], row["precision"]) for row in document["rows"]}
    tried |= {tuple(name.split()) for name in document["left_out"]}  # a precision that the processor lacks, say
    assert (ENGINE, "fp32") in tried
    assert ("openvino" in {backend for backend, *_ in tried}) == (("openvino", "bf16") in tried)
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
    assert capsys.readouterr().err.endswith("; see: clipspect bench --help\n")


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


def test_percentiles_are_told_where_there_are_runs_for_them() -> None:
    assert Percentiles.of([3.0, 1.0, 2.0]) == Percentiles(2.0, None, None)
    assert Percentiles.of([float(number) for number in range(21)]) == Percentiles(10.0, 19.0, None)
    assert Percentiles.of([float(number) for number in range(101)]) == Percentiles(50.0, 95.0, 99.0)


def test_a_machine_that_says_nothing_is_described_all_the_same(tmp_path: Path, report: BenchmarkReport) -> None:
    machine = read_machine(tmp_path)
    assert machine.device is None
    page = benchmark_page(dataclasses.replace(report, machine=machine))
    assert "governor unknown, power mode unknown" in page
    assert plain(machine)["power"]["mode"] is None


def test_a_fresh_process_that_says_much_still_gives_its_verdict(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import json, sys; sys.stderr.write('w' * 1_000_000); print(json.dumps({'peak_bytes': 1}))"
    wordy = tmp_path / "python"
    wordy.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)}\n")
    wordy.chmod(0o755)
    frame = read_demo_pictures()[0] / read_demo_pictures()[1][0].file
    opened = Bundle.open(bundle)
    with TimedEngine(opened, open_recipe(opened, None), ENGINE, frame=frame, batch=1, options={}) as engine:
        monkeypatch.setattr(sys, "executable", str(wordy))
        assert engine.cold_start(1).peak_bytes == 1
