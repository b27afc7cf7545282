"""`clipspect eval --out`: what it writes, and the published figures beside ours."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from clipspect.bundle.presets import read_preset
from clipspect_lab.evaluation.published import published
from support import drawn_datasets
from support.eval_command import Capture, evaluated, run

MVTEC = ["bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw", "tile"]
MVTEC += ["toothbrush", "transistor", "wood", "zipper"]
VISA = ["candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "macaroni2", "pcb1", "pcb2", "pcb3", "pcb4"]
VISA += ["pipe_fryum"]


def test_the_output_folder_has_the_figures_in_three_forms_and_a_score_for_every_image(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--out", out) == 0
    table = capsys.readouterr().out
    found = json.loads((out / "results.json").read_text())
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [row["class"] for row in rows] == ["cable", "metal_nut", "mean"]
    assert float(rows[2]["pixel_ap"]) == found["mean"]["pixel_ap"]
    markdown = (out / "results.md").read_text()
    for text in (table, markdown):
        assert f"{100 * found['mean']['pixel_ap']:.1f}" in text
        assert "32 x 32" in text
    assert "200 thresholds" in markdown
    images = [json.loads(line) for line in (out / "images.jsonl").read_text().splitlines()]
    assert len(images) == 12
    assert images[0]["image"] == "cable/test/good/000.png"
    assert sorted(os.listdir(out)) == [
        "classes.jsonl",
        "images.jsonl",
        "pixels",
        "results.csv",
        "results.json",
        "results.md",
        "settings.json",
    ]


def test_the_papers_figures_are_those_of_the_presets_and_stand_nowhere_else() -> None:
    preset = read_preset("aprilgan")
    known = preset.published.find("VisA", shots=4)
    assert known is not None
    (row,) = published("aprilgan", frozenset(VISA), shots=4)
    assert (row.source, row.backbone, row.side) == ("APRIL-GAN, the paper", preset.backbone.name, 518)
    assert row.percent == {"image_auroc": known.image.auroc, "pixel_auroc": known.pixel.auroc}
    zero_shot = [row.source for row in published("winclip", frozenset(MVTEC), shots=0)]
    assert zero_shot == ["WinCLIP, the paper", "WinCLIP, best public re-implementation"]
    assert published("winclip", frozenset(MVTEC[1:]), shots=0) == []


def test_published_figures_stand_beside_ours_when_method_and_classes_are_theirs(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    root = drawn_datasets.write_mvtec(tmp_path / "mvtec", MVTEC, each=1, train=0)
    found = evaluated(capsys, tiny_bundle, root, "--layout", "mvtec", "--out", tmp_path / "out")
    paper = found["published"][0]
    assert (paper["source"], paper["percent"]["image_auroc"]) == ("WinCLIP, the paper", 91.8)
    assert paper["difference"]["image_auroc"] == pytest.approx(found["mean"]["image_auroc"] - 0.918)
    assert paper["difference"]["pixel_aupro_exact"] is None
    assert any("published figures are of ViT-B-16-plus-240, pixels compared at 240" in note for note in found["notes"])
    points = 100 * found["mean"]["pixel_aupro_papers"] - 64.6
    row = next(line for line in (tmp_path / "out/results.md").read_text().splitlines() if "ours less that" in line)
    assert row.endswith(f"| {points:+.1f} |")
    assert evaluated(capsys, tiny_bundle, root, "--layout", "mvtec", "--classes", "pill")["published"] == []
