"""`clipspect eval --compare`: two on the same images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.recipes.recipe import write_recipe
from support import drawn_datasets, handmade
from support.command_line import error_of
from support.eval_command import Capture, evaluated, inspected, run

FEW = ("--resamples", 40)


def test_two_bundles_differ_by_their_figures_their_sides_and_their_maps(
    tiny_bundle: Path, dim_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec")
    found = evaluated(capsys, *arguments, "--compare", tiny_bundle, dim_bundle, "--out", out, *FEW)
    alone = evaluated(capsys, *arguments)
    for row, expected in zip(found["classes"], alone["classes"]):
        assert row["one"] == expected["figures"]
        for key, (low, high) in row["interval"].items():  # half of everything ranks alike
            assert row["difference"][key] == pytest.approx(0, abs=1e-6)
            assert low == pytest.approx(0, abs=0.02), key
            assert high == pytest.approx(0, abs=0.02), key
        scores = {item["image"]: item["one"] for item in row["changed"]}
        assert len(scores) == 4  # at A's limit none of B's defects is found
        assert all(item["defective"] and item["other"] < row["limit"] <= item["one"] for item in row["changed"])
        assert all(item["other"] == pytest.approx(item["one"] / 2) for item in row["changed"])
        assert 0.4 < row["worst"]["largest"] <= 0.5
        with Image.open(out / row["worst"]["picture"]) as picture:
            assert picture.width > 3 * picture.height
    assert found["worst"]["largest"] == max(row["worst"]["largest"] for row in found["classes"])
    assert "40 paired resamples" in found["intervals"]
    assert "seed 0" in found["intervals"]


def test_the_folder_has_the_comparison_in_three_forms(
    tiny_bundle: Path, dim_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--compare", dim_bundle, "--out", out, *FEW) == 0
    table = capsys.readouterr().out
    document = json.loads((out / "comparison.json").read_text())
    rows = list(csv.DictReader((out / "comparison.csv").open()))
    markdown = (out / "comparison.md").read_text()
    assert {row["class"] for row in rows} == {"cable", "metal_nut", "mean"}
    assert float(rows[0]["difference"]) == document["classes"][0]["difference"]["image_auroc"]
    for text in (table, markdown):
        assert document["worst"]["image"] in text
        assert "limit " in text
    assert "(worst/metal_nut.png)" in markdown
    assert "8 images changed side" in table


def test_two_engines_of_one_bundle_say_the_same(tiny_bundle: Path, mvtec: Path, capsys: Capture) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--classes", "cable", *FEW)
    found = evaluated(capsys, *arguments, "--compare", "onnxruntime", "openvino:fp32")
    assert [found[side]["engine"] for side in ("one", "other")] == [
        "onnxruntime on cpu in fp32",
        "openvino on cpu in fp32",
    ]
    assert found["classes"][0]["changed"] == []
    assert found["worst"]["largest"] < 1e-5
    assert found["worst"]["picture"] is None


def test_finished_evaluations_are_compared_without_inspecting_again(
    full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--backend", "onnxruntime")
    zero = evaluated(capsys, *arguments, "--out", tmp_path / "zero")
    few = evaluated(capsys, *arguments, "--shots", "1", "--out", tmp_path / "few")
    before = (tmp_path / "zero/images.jsonl").read_bytes()
    found = evaluated(capsys, *arguments, "--compare", tmp_path / "zero", tmp_path / "few", *FEW)
    assert (tmp_path / "zero/images.jsonl").read_bytes() == before
    expected = few["mean"]["image_auroc"] - zero["mean"]["image_auroc"]
    assert found["mean"]["difference"]["image_auroc"] == pytest.approx(expected)
    assert found["mean"]["interval"]["pixel_aupro_exact"] is not None
    assert found["worst"] is None
    assert (found["one"]["shots"], found["other"]["shots"]) == (0, 1)


def test_a_finished_evaluation_is_compared_with_a_bundle(
    tiny_bundle: Path, dim_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec")
    evaluated(capsys, *arguments, "--out", tmp_path / "done")
    found = evaluated(capsys, *arguments, "--compare", tmp_path / "done", dim_bundle, *FEW)
    assert sum(len(row["changed"]) for row in found["classes"]) == 8


def test_a_comparison_that_was_cut_goes_on_to_the_same_figures(
    tiny_bundle: Path, dim_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, bad = tmp_path / "out", mvtec / "metal_nut/test/good/001.png"
    engine = "--backend", "onnxruntime"  # not the fastest, which can change from run to run
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--compare", dim_bundle, *engine, *FEW)
    expected = evaluated(capsys, *arguments, "--out", tmp_path / "whole")
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])  # its header is right
    assert run(*arguments, "--out", out) == 1
    assert f"{bad}: damaged or cut short" in error_of(capsys)
    kept = (out / "comparison.jsonl").read_bytes()
    assert kept.count(b"\n") == 1  # the class before
    bad.write_bytes(whole)
    found = evaluated(capsys, *arguments, "--out", out)
    assert found == expected
    assert len(inspected(out / "one")) == len(inspected(out / "other")) == 12
    assert (out / "comparison.jsonl").read_bytes().startswith(kept)
    assert not (out / "one/maps").exists()
    stamp = (out / "comparison.jsonl").stat().st_mtime_ns
    assert evaluated(capsys, *arguments, "--out", out) == expected
    assert (out / "comparison.jsonl").stat().st_mtime_ns == stamp


def test_data_without_masks_is_compared_by_its_scores(
    tiny_bundle: Path, dim_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    root = drawn_datasets.write_folder(tmp_path / "parts", masks=None)
    found = evaluated(capsys, tiny_bundle, root, "--layout", "folder", "--compare", dim_bundle, *FEW)
    assert found["mean"]["difference"]["image_auroc"] == 0
    assert found["mean"]["interval"]["pixel_auroc"] is None
    assert found["worst"]["image"].startswith(("good/", "defect/"))


def test_finished_evaluations_say_what_they_are_of_and_can_be_compared_by_some_classes(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = ("--layout", "mvtec", "--resolution", "256")
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        evaluated(capsys, tiny_bundle, mvtec, *arguments, "--out", folder)
    found = evaluated(
        capsys, tiny_bundle, tmp_path / "gone", *arguments, "--classes", "cable", "--compare", *folders, *FEW
    )
    assert (found["dataset"], found["layout"], found["resolution"]) == (mvtec.name, "mvtec", "256")
    assert [row["name"] for row in found["classes"]] == ["cable"]


def test_a_finished_class_is_compared_by_its_own_scores_while_it_is_evaluated_again(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec")
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        evaluated(capsys, *arguments, "--out", folder)
    lines = [json.loads(line) for line in (folders[0] / "images.jsonl").read_text().splitlines()]
    (folders[0] / "images.jsonl").write_text("".join(json.dumps({**line, "score": 0.5}) + "\n" for line in lines))
    found = evaluated(capsys, *arguments, "--compare", *folders, *FEW)
    assert found["mean"]["interval"]["image_auroc"] == [0, 0]
    assert all(row["changed"] == [] for row in found["classes"])


def test_other_resamples_need_no_image_again(
    tiny_bundle: Path, dim_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--compare", dim_bundle, "--out", out)
    first = evaluated(capsys, *arguments, "--resamples", "20")
    stamp = (out / "one/images.jsonl").stat().st_mtime_ns
    second = evaluated(capsys, *arguments, "--resamples", "30")
    assert (out / "one/images.jsonl").stat().st_mtime_ns == stamp
    assert "30 paired resamples" in second["intervals"]
    assert second["worst"] == first["worst"] is not None
    assert evaluated(capsys, *arguments, "--resamples", "20") == first


def test_another_recipe_makes_a_bundle_another_to_compare(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    other = handmade.write_bundle(tmp_path / "other.bundle")
    features = {"text_features": np.full((2, 1, handmade.DIM), 0.5, np.float32)}
    write_recipe(other / "recipes/object.safetensors", handmade.make_recipe(tensors=features))
    found = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec", "--compare", other, *FEW)
    assert found["worst"]["largest"] == 0
    assert sum(len(row["changed"]) for row in found["classes"]) == 8
