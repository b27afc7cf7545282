"""`clipspect eval`: its figures are those of the runtime, on every layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.frame.tiling import Tiling
from clipspect.inspection.maps import to_source_size
from clipspect.recipes.recipe import write_recipe
from clipspect_lab.evaluation.datasets import open_dataset
from clipspect_lab.evaluation.metrics import auroc, average_precision
from clipspect_lab.evaluation.pixels import pixel_figures
from support import drawn_datasets, handmade
from support.eval_command import Capture, evaluated


@pytest.mark.parametrize(
    ("resolution", "tiling"),
    [("model", None), ("256", None), ("original", None), ("original", Tiling(size=(20, 20)))],
)
def test_the_figures_are_those_of_the_runtimes_scores_and_maps(
    tiny_bundle: Path, mvtec: Path, capsys: Capture, resolution: str, tiling: Tiling | None
) -> None:
    write_recipe(tiny_bundle / "recipes" / "object.safetensors", handmade.make_recipe(tiling=tiling))
    found = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec", "--resolution", resolution)
    size = {"model": (32, 32), "256": (256, 256), "original": (40, 30)}[resolution]
    scores, labels, pairs = [], [], []
    with clipspect.load(tiny_bundle) as inspector:
        for path in sorted((mvtec / "cable/test").glob("*/*.png")):
            result = inspector.inspect(path)
            good = path.parent.name == "good"
            mask = Image.new("L", (40, 30))
            if not good:
                mask = Image.open(mvtec / "cable/ground_truth" / path.parent.name / f"{path.stem}_mask.png")
            mask = mask.resize(size, Image.Resampling.BILINEAR) if mask.size != size else mask
            scores.append(result.score)
            labels.append(not good)
            pairs.append((to_source_size(result.model_map, *size), np.asarray(mask) > 127))
    row = found["classes"][0]["figures"]
    pixel = pixel_figures(lambda: pairs).figures
    assert row["image_auroc"] == pytest.approx(auroc(labels, scores))
    assert row["image_ap"] == pytest.approx(average_precision(labels, scores))
    assert row["pixel_ap"] == pytest.approx(pixel.average_precision)
    assert row["pixel_aupro_exact"] == pytest.approx(pixel.aupro_exact)
    assert row["pixel_aupro_papers"] == pytest.approx(pixel.aupro_papers)
    assert found["mean"]["pixel_f1_max"] == pytest.approx(
        np.mean([item["figures"]["pixel_f1_max"] for item in found["classes"]])
    )
    words = {"model": "the model's size, 32 x 32", "256": "256 x 256", "original": "the size of the images"}
    assert words[resolution] in found["resolution"]


def test_visa_with_images_of_any_size_and_class_ids_is_evaluated(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    root = drawn_datasets.write_visa(tmp_path / "visa", {"candle": (40, 30), "pcb1": (24, 36)})
    found = evaluated(capsys, tiny_bundle, root, "--layout", "visa", "--resolution", "original")
    assert [(row["name"], row["good"], row["defective"]) for row in found["classes"]] == [
        ("candle", 2, 2),
        ("pcb1", 2, 2),
    ]
    assert found["classes"][0]["pixels"] == 4 * 40 * 30
    assert found["mean"]["pixel_auroc"] > 0.95


def test_a_plain_folder_without_masks_has_image_figures_only(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    root = drawn_datasets.write_folder(tmp_path / "parts", masks=None)
    found = evaluated(capsys, tiny_bundle, root, "--layout", "folder")
    figures = found["classes"][0]["figures"]
    assert figures["image_auroc"] == 1.0
    assert figures["pixel_auroc"] is None
    assert "parts: no masks, so no pixel figures" in found["notes"]


def test_the_demo_bundle_is_evaluated(tmp_path: Path, capsys: Capture) -> None:
    root = drawn_datasets.write_mvtec(tmp_path / "mvtec", ["twill"], each=1)
    found = evaluated(capsys, "demo", root, "--layout", "mvtec")
    assert (found["method"], found["classes"][0]["good"], found["classes"][0]["defective"]) == ("winclip", 1, 2)
    assert found["classes"][0]["pixels"] == 3 * 240 * 240
    (item,) = open_dataset(root, "mvtec")
    with clipspect.load("demo") as inspector:
        scores = [inspector.inspect(sample.path).score for sample in item.test]
    labels = [sample.defect is not None for sample in item.test]
    assert found["mean"]["image_auroc"] == pytest.approx(auroc(labels, scores))
    assert found["mean"]["image_ap"] == pytest.approx(average_precision(labels, scores))
