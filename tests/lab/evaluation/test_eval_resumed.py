"""`clipspect eval --out`, again: it goes on where it stopped, and never mixes figures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipspect.bundle.bundle import Bundle
from clipspect.recipes.recipe import write_recipe
from support import drawn_datasets, handmade
from support.command_line import error_of
from support.eval_command import Capture, evaluated, inspected, run


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
    full_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    mvtec = drawn_datasets.write_mvtec(tmp_path / "mvtec", ["cable"], each=6)
    out, bad = tmp_path / "out", mvtec / "cable/test/good/005.png"
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--shots", "3")
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


def test_half_a_class_goes_on_with_the_labels_as_they_are(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    visa = drawn_datasets.write_visa(tmp_path / "visa", {"candle": (40, 30)})
    out, bad = tmp_path / "out", visa / "candle/Data/Images/Anomaly/test1.JPG"
    arguments = (tiny_bundle, visa, "--layout", "visa", "--out", out)
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-20])  # its header is right
    assert run(*arguments) == 1
    assert "damaged or cut short" in error_of(capsys)
    assert len(inspected(out)) == 3
    bad.write_bytes(whole)
    split = visa / "split_csv/1cls.csv"
    image = "candle/Data/Images/Anomaly/test0.JPG"
    split.write_text(split.read_text().replace(f"anomaly,{image}", f"melt,{image}"))
    evaluated(capsys, *arguments)
    rows = [json.loads(line) for line in (out / "images.jsonl").read_text().splitlines()]
    assert {row["image"]: row["defect"] for row in rows if row["defect"]} == {
        image: "melt",
        "candle/Data/Images/Anomaly/test1.JPG": "anomaly",
    }
    assert len(rows) == 4


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


def another_recipe_for_a_class(root: Path) -> None:
    write_recipe(root / "recipes/cable.safetensors", handmade.make_recipe("cable", object="thing"))


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (None, ["--resolution", "256"], "other resolution (model, now 256)"),
        (None, ["--backend", "onnxruntime"], "other backend (None, now onnxruntime)"),
        (None, ["--precision", "bf16"], "other options (None, now {'precision': 'bf16'})"),
        (None, ["--device", "cpu"], "other options (None, now {'device': 'cpu'})"),
        (None, ["--shots", "1"], "other shots (0, now 1)"),
        (another_bundle, [], "other bundle"),
        (another_recipe_for_a_class, [], "other recipe of class 'cable' (made of 'cable', now 'cable' "),
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


def test_scores_that_lost_their_settings_are_not_taken(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out")
    evaluated(capsys, *arguments)
    (tmp_path / "out/settings.json").unlink()
    assert run(*arguments, "--resolution", "original") == 1
    assert f"{tmp_path / 'out/images.jsonl'}: is there without settings.json" in error_of(capsys)
    assert (tmp_path / "out/images.jsonl").is_file()
    assert not (tmp_path / "out/settings.json").exists()


def test_the_recipe_that_inspects_a_class_may_not_change_and_any_other_may(
    full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    own, unrelated = (full_bundle / f"recipes/{name}.safetensors" for name in ("cable", "object"))
    write_recipe(own, handmade.make_recipe("cable"))
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out")
    expected = evaluated(capsys, *arguments)
    assert [row["recipe"] for row in expected["classes"]] == ["cable", None]
    write_recipe(unrelated, handmade.make_recipe(object="thing"))
    assert evaluated(capsys, *arguments) == expected
    write_recipe(own, handmade.make_recipe("cable", object="thing"))
    assert run(*arguments) == 1
    assert "other recipe of class 'cable' ('cable' " in error_of(capsys)
    assert evaluated(capsys, *arguments, "--classes", "metal_nut")["classes"] == expected["classes"][1:]


def test_a_class_without_masks_goes_on_from_its_scores_and_keeps_no_maps(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    root, out = drawn_datasets.write_folder(tmp_path / "parts", masks=None), tmp_path / "out"
    bad = root / "defect/bad2.jpg"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-20])  # its header is right
    arguments = (tiny_bundle, root, "--layout", "folder", "--out", out)
    assert run(*arguments) == 1
    assert "damaged or cut short" in error_of(capsys)
    before = inspected(out)
    assert len(before) == 5
    assert not (out / "maps").exists()
    bad.write_bytes(whole)
    found = evaluated(capsys, *arguments)
    assert inspected(out) == [*before, "defect/bad2.jpg"]
    assert found["classes"] == evaluated(capsys, *arguments[:-2])["classes"]
