"""`clipspect eval`, from the data set on disk to the tables: its figures, its files, going on, and what it refuses."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clipspect
import drawn_datasets
import handmade
import numpy as np
import pytest
from clipspect.backends import open_backend
from clipspect.bundle import Bundle
from clipspect.evaluation.datasets import LAYOUTS
from clipspect.evaluation.metrics import auroc, average_precision
from clipspect.evaluation.pixels import pixel_figures
from clipspect.evaluation.truth import RESOLUTIONS
from clipspect.maps import to_source_size
from clipspect.recipe import write_recipe
from clipspect.recipe_maker import make_recipe
from command_line import error_of
from command_line import run as run_command
from PIL import Image

MVTEC = ["bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw", "tile"]
MVTEC += ["toothbrush", "transistor", "wood", "zipper"]

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    return drawn_datasets.write_mvtec(tmp_path / "mvtec", ["metal_nut", "cable"])


def evaluated(capture: Capture, *arguments: object) -> dict[str, Any]:
    """The document of a run that succeeds."""
    assert run(*arguments, "--json") == 0
    document: dict[str, Any] = json.loads(capture.readouterr().out)
    return document


def run(*arguments: object) -> int:
    return run_command("eval", *arguments)


def inspected(out: Path) -> list[str]:
    """The images that the folder has a score for, in the order of their inspection."""
    return [json.loads(line)["image"] for line in (out / "images.jsonl").read_text().splitlines()]


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", ["model", "256", "original"])
def test_the_figures_are_those_of_the_runtimes_scores_and_maps(
    tiny_bundle: Path, mvtec: Path, capsys: Capture, resolution: str
) -> None:
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
    assert all(0 <= value <= 1 for value in found["mean"].values())


# --- recipes and references ------------------------------------------------------------------------------------------


def test_a_class_takes_the_recipe_of_its_name_else_words_are_made(
    full_bundle: Path, mvtec: Path, capsys: Capture
) -> None:
    write_recipe(full_bundle / "recipes/cable.safetensors", handmade.make_recipe("cable"))
    found = evaluated(capsys, full_bundle, mvtec, "--layout", "mvtec")
    assert [(row["object"], row["recipe"]) for row in found["classes"]] == [("cable", "cable"), ("metal nut", None)]
    assert found["notes"] == []


def test_names_may_be_mapped(full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture) -> None:
    names = tmp_path / "names.json"
    names.write_text('{"metal_nut": "bolt", "cable": "object"}')
    found = evaluated(capsys, full_bundle, mvtec, "--layout", "mvtec", "--names", names)
    assert [(row["object"], row["recipe"]) for row in found["classes"]] == [("object", "object"), ("bolt", None)]


def test_the_only_recipe_is_taken_where_no_words_can_be_made_and_a_note_says_so(
    tiny_bundle: Path, mvtec: Path, capsys: Capture
) -> None:
    found = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec")
    assert [row["recipe"] for row in found["classes"]] == ["object", "object"]
    assert found["notes"] == ["all classes: the bundle's only recipe, 'object', whatever the class is"]


def test_one_recipe_can_be_asked_for(full_bundle: Path, mvtec: Path, capsys: Capture) -> None:
    found = evaluated(capsys, full_bundle, mvtec, "--layout", "mvtec", "--recipe", "object")
    assert [row["recipe"] for row in found["classes"]] == ["object", "object"]


def test_few_shot_compares_with_the_references_that_it_lists(
    full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--shots", "2")
    zero_shot = evaluated(capsys, *arguments[:-2])
    found = evaluated(capsys, *arguments, "--seed", "1", "--out", tmp_path / "out")
    for row in found["classes"]:
        assert len(set(row["references"])) == 2
        assert all((mvtec / name).parent.name == "good" and "/train/" in name for name in row["references"])
    assert found["classes"][0]["figures"] != zero_shot["classes"][0]["figures"]
    assert found["classes"][0]["references"][0] in (tmp_path / "out/results.md").read_text()
    assert evaluated(capsys, *arguments, "--seed", "1")["classes"] == found["classes"]
    others = [evaluated(capsys, *arguments, "--seed", seed)["classes"][0]["references"] for seed in range(2, 6)]
    assert any(set(other) != set(found["classes"][0]["references"]) for other in others)


def write_fewshot_recipe(bundle: Path, name: str, photo: Path) -> None:
    write_recipe(bundle / f"recipes/{name}.safetensors", make_recipe(bundle, name, object=name, references=[photo]))


@pytest.mark.parametrize(("name", "options"), [("cable", []), ("other", ["--recipe", "other"])])
def test_without_shots_a_recipe_with_references_is_refused_and_with_shots_only_its_words_are_taken(
    full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, name: str, options: list[str]
) -> None:
    write_fewshot_recipe(full_bundle, name, mvtec / "cable/train/good/000.png")
    arguments = (full_bundle, mvtec, "--layout", "mvtec", *options)
    assert run(*arguments, "--out", tmp_path / "out") == 1
    assert f"recipe {name!r} has references, and an evaluation without --shots has none" in error_of(capsys)
    assert not (tmp_path / "out").exists()
    row = evaluated(capsys, *arguments, "--shots", "1")["classes"][0]
    assert (row["recipe"], len(row["references"])) == (name, 1)


def test_the_only_recipe_is_refused_too_where_it_has_references(
    full_bundle: Path, mvtec: Path, capsys: Capture
) -> None:
    write_fewshot_recipe(full_bundle, "object", mvtec / "cable/train/good/000.png")
    handmade.rewritten(full_bundle, text_encoder=None)
    assert run(full_bundle, mvtec, "--layout", "mvtec") == 1
    assert "recipe 'object' has references" in error_of(capsys)


def test_the_engine_is_chosen_once_for_references_and_frames(
    full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str | None, Any]] = []

    def noted(name: str | None, *arguments: Any, **options: Any) -> Any:
        asked.append((name, options.get("device")))
        return open_backend(name, *arguments, **options)

    monkeypatch.setattr("clipspect.recipe_maker.open_backend", noted)
    monkeypatch.setattr("clipspect.evaluation.class_run.open_backend", noted)
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--shots", "1", "--out", tmp_path / "out")
    engine = evaluated(capsys, *arguments, "--classes", "cable")["engine"]
    assert evaluated(capsys, *arguments)["engine"] == engine  # goes on with the other class
    assert asked[0] == (None, None)  # one competition, before the first class
    assert [f"{name} on {device} in fp32" for name, device in asked[1:]] == [engine, engine]


# --- files -----------------------------------------------------------------------------------------------------------


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
        "results.csv",
        "results.json",
        "results.md",
        "settings.json",
    ]


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


# --- going on --------------------------------------------------------------------------------------------------------


def test_what_is_done_is_kept_when_an_image_is_bad_and_the_next_run_goes_on(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, bad = tmp_path / "out", mvtec / "metal_nut/test/good/001.png"
    expected = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec")
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])  # its header is right
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--out", out)
    assert run(*arguments) == 1
    assert f"{bad}: damaged or cut short" in error_of(capsys)
    before = inspected(out)
    assert before[-1] == "metal_nut/test/good/000.png"
    assert len(before) == 7
    bad.write_bytes(whole)
    found = evaluated(capsys, *arguments)
    assert inspected(out)[:7] == before
    assert len(inspected(out)) == 12  # none of them twice
    assert found["classes"] == expected["classes"]


def test_a_run_that_was_cut_anywhere_goes_on_to_the_same_figures(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--out", out)
    expected = evaluated(capsys, *arguments)
    for name, keep in (("classes.jsonl", 1), ("images.jsonl", 9)):
        lines = (out / name).read_bytes().splitlines(keepends=True)
        (out / name).write_bytes(b"".join(lines[:keep]) + lines[keep][:10])  # the last line was being written
    assert evaluated(capsys, *arguments)["classes"] == expected["classes"]
    assert len(inspected(out)) == 12


def test_a_finished_evaluation_is_not_done_again_but_where_a_file_has_changed(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--out", out)
    first = evaluated(capsys, *arguments)
    kept = (out / "classes.jsonl").read_bytes()
    assert evaluated(capsys, *arguments) == first
    assert (out / "classes.jsonl").read_bytes() == kept
    image, _ = drawn_datasets.draw(np.random.default_rng(9), defects=4)
    drawn_datasets.save(mvtec / "cable/test/good/001.png", image)
    again = evaluated(capsys, *arguments)
    assert again["classes"][0]["figures"] != first["classes"][0]["figures"]
    assert again["classes"][1] == first["classes"][1]


def test_half_a_few_shot_class_is_inspected_again_when_a_reference_has_changed(
    full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, bad = tmp_path / "out", mvtec / "cable/test/scratch/001.png"
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--classes", "cable", "--shots", "3")
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])  # its header is right
    assert run(*arguments, "--out", out) == 1
    assert "damaged or cut short" in error_of(capsys)
    before = [json.loads(line)["score"] for line in (out / "images.jsonl").read_text().splitlines()]
    assert len(before) == 5
    bad.write_bytes(whole)
    for number in range(3):
        drawn_datasets.save(mvtec / f"cable/train/good/00{number}.png", np.full((30, 40, 3), 250 + number, np.uint8))
    found = evaluated(capsys, *arguments, "--out", out)
    after = [json.loads(line)["score"] for line in (out / "images.jsonl").read_text().splitlines()]
    assert all(new != old for new, old in zip(after, before))
    assert found["classes"] == evaluated(capsys, *arguments)["classes"]
    assert not (out / "maps").exists()


def test_more_threads_may_go_on(tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out")
    assert evaluated(capsys, *arguments, "--threads", "1") == evaluated(capsys, *arguments, "--threads", "2")


def test_classes_can_be_evaluated_one_by_one(tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out")
    one = evaluated(capsys, *arguments, "--classes", "metal_nut")
    assert [row["name"] for row in one["classes"]] == ["metal_nut"]
    assert evaluated(capsys, *arguments)["classes"][1] == one["classes"][0]
    assert len(inspected(tmp_path / "out")) == 12


def test_an_evaluation_goes_on_with_the_engine_that_it_began_with(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out")
    evaluated(capsys, *arguments, "--classes", "cable")
    settings = tmp_path / "out/settings.json"
    document = json.loads(settings.read_text())
    document |= {"backend": "onnxruntime", "engine": "onnxruntime on cpu in fp32"}
    settings.write_text(json.dumps(document))
    assert evaluated(capsys, *arguments)["engine"] == "onnxruntime on cpu in fp32"
    settings.write_text(json.dumps({**document, "engine": "onnxruntime on cuda in fp32"}))
    (tmp_path / "out/classes.jsonl").unlink()
    assert run(*arguments) == 1
    assert "other engine (onnxruntime on cuda in fp32, now onnxruntime on cpu in fp32)" in error_of(capsys)


def another_bundle(root: Path) -> None:
    handmade.write_manifest(root, dataclasses.replace(Bundle.open(root).manifest, versions={"clipspect": "1"}))


def another_recipe(root: Path) -> None:
    write_recipe(root / "recipes/object.safetensors", handmade.make_recipe(object="thing"))


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (None, ["--resolution", "256"], "other resolution (model, now 256)"),
        (None, ["--backend", "onnxruntime"], "other backend (None, now onnxruntime)"),
        (None, ["--precision", "bf16"], "other options (None, now {'precision': 'bf16'})"),
        (None, ["--device", "cpu"], "other options (None, now {'device': 'cpu'})"),
        (None, ["--shots", "1"], "other shots (0, now 1)"),
        (another_bundle, [], "other bundle"),
        (another_recipe, [], "other recipes"),
    ],
)
def test_figures_of_another_bundle_or_setting_are_not_mixed(
    full_bundle: Path,
    mvtec: Path,
    tmp_path: Path,
    capsys: Capture,
    change: Callable[[Path], None] | None,
    options: list[str],
    reason: str,
) -> None:
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out")
    evaluated(capsys, *arguments)
    if change is not None:
        change(full_bundle)
    assert run(*arguments, *options) == 1
    assert f"{tmp_path / 'out'}: holds an evaluation with {reason}" in error_of(capsys)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_mask_that_is_missing_is_refused_before_anything_is_inspected(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    mask = mvtec / "metal_nut/ground_truth/dent/001_mask.png"
    mask.unlink()
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out") == 1
    assert f"{mask}: no such file" in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--layout", "visa"], "it looks like --layout mvtec"),
        (["--layout", "mvtec", "--classes", "gear"], "no class 'gear'; there are: cable, metal_nut"),
        (["--layout", "mvtec", "--recipe", "gear"], "no recipe 'gear'"),
        (["--layout", "mvtec", "--shots", "4"], "4 references asked for, there are 3 good images"),
        (["--layout", "mvtec", "--shots", "1"], "export it with --few-shot"),
        (["--layout", "mvtec", "--names", "none.json"], "none.json: cannot be read as JSON"),
        (["--layout", "mvtec", "--backend", "tpu"], "no backend 'tpu'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    tiny_bundle: Path, mvtec: Path, capsys: Capture, options: list[str], reason: str
) -> None:
    assert run(tiny_bundle, mvtec, *options) == 1
    assert reason in error_of(capsys)


def test_several_recipes_and_no_words_ask_for_a_choice(tmp_path: Path, mvtec: Path, capsys: Capture) -> None:
    bundle = handmade.write_bundle(tmp_path / "b", recipes=("nut", "bolt"))
    assert run(bundle, mvtec, "--layout", "mvtec") == 1
    assert "class 'cable': no recipe 'cable'" in error_of(capsys)
    assert evaluated(capsys, bundle, mvtec, "--layout", "mvtec", "--recipe", "nut")["classes"][0]["recipe"] == "nut"


@pytest.mark.parametrize("names", ["[]", '{"cable": 3}', '{"cable": ""}', "{"])
def test_names_that_are_no_names_are_refused(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, names: str
) -> None:
    (tmp_path / "names.json").write_text(names)
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--names", tmp_path / "names.json") == 1
    assert 'expected a JSON object of names, such as {"pcb1"' in error_of(capsys)


@pytest.mark.parametrize(
    "arguments", [[], ["b", "d"], ["b", "d", "--layout", "mvtec", "--shots", "0"], ["b", "d", "--layout", "coco"]]
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert "usage: clipspect eval" in capsys.readouterr().err


def test_the_help_offers_every_layout_and_resolution(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    out = capsys.readouterr().out
    assert f"--layout {{{','.join(LAYOUTS)}}}" in out
    assert f"--resolution {{{','.join(RESOLUTIONS)}}}" in out
