"""The figures of an evaluation in words: bounds, bins, precision, and the published ones in every form."""

from __future__ import annotations

import csv
import functools
import json
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect_lab.evaluation import class_run
from clipspect_lab.evaluation.report import points_at_most
from support import drawn_datasets
from support.eval_command import Capture, evaluated, run


@given(st.floats(0, 1))
def test_a_bound_in_words_is_never_below_the_bound(bound: float) -> None:
    assert float(points_at_most(bound)) >= 100 * bound
    assert float(points_at_most(bound)) <= 110 * bound + 1e-12


def test_a_bound_has_two_digits() -> None:
    assert points_at_most(0.00001249) == "0.0013"


def test_too_many_pixels_are_counted_in_bins_within_the_error_that_is_stated(
    tiny_bundle: Path, mvtec: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec")
    assert all(row["largest_errors"] is None for row in exact["classes"])
    few = functools.partial(class_run.pixel_figures, exact_pixels=1000)
    monkeypatch.setattr(class_run, "pixel_figures", few)
    found = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec")
    for row, expected in zip(found["classes"], exact["classes"]):
        for key, error in row["largest_errors"].items():
            assert abs(row["figures"][key] - expected["figures"][key]) <= error + 1e-9
    assert any("in bins: no pixel figure is off by more than" in note for note in found["notes"])


def test_the_published_figures_and_the_differences_stand_in_the_csv_and_in_the_terminal(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    classes = json.loads(files("clipspect_lab.evaluation").joinpath("published.json").read_text())["datasets"][
        "MVTec AD"
    ]
    root, out = drawn_datasets.write_mvtec(tmp_path / "mvtec", classes, each=1, train=0), tmp_path / "out"
    assert run(tiny_bundle, root, "--layout", "mvtec", "--out", out) == 0
    shown = capsys.readouterr().out.splitlines()
    rows = {(row["class"], row["object"]): row for row in csv.DictReader((out / "results.csv").open())}
    paper = rows["published", "WinCLIP, the paper"]
    assert float(paper["image_auroc"]) == pytest.approx(0.918)
    difference = float(rows["mean less published", "WinCLIP, the paper"]["image_auroc"])
    assert difference == pytest.approx(float(rows["mean", ""]["image_auroc"]) - 0.918)
    line = shown[next(i for i, text in enumerate(shown) if "WinCLIP, the paper" in text) + 1]
    assert line.split()[:2] == ["difference", f"{100 * difference:+.1f}"]


def test_the_precision_is_the_one_that_was_computed_in(tiny_bundle: Path, mvtec: Path, capsys: Capture) -> None:
    found = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec", "--backend", "onnxruntime")
    assert (found["engine"], found["precision"]) == ("onnxruntime on cpu in fp32", "fp32")
