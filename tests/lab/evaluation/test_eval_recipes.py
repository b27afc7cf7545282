"""`clipspect eval`: which recipe inspects a class, and the references that it is made of."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipspect.bundle.bundle import Bundle
from clipspect.engines import open_backend
from clipspect.recipes.make import make_recipe
from clipspect.recipes.recipe import write_recipe
from support import command_line, handmade
from support.command_line import error_of
from support.eval_command import Capture, evaluated, run


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


def test_training_photos_that_are_equal_are_drawn_once(full_bundle: Path, mvtec: Path, capsys: Capture) -> None:
    photos = mvtec / "cable/train/good"
    shutil.copyfile(photos / "000.png", photos / "001.png")
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--classes", "cable")
    for seed in range(4):
        references = evaluated(capsys, *arguments, "--shots", "2", "--seed", seed)["classes"][0]["references"]
        assert len({(mvtec / name).read_bytes() for name in references}) == 2
    assert run(*arguments, "--shots", "3") == 1
    reason = "3 references asked for, there are 3 good images to train with, and only 2 of them differ from each other"
    assert reason in error_of(capsys)


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

    monkeypatch.setattr("clipspect.bundle.precision.open_backend", noted)
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--shots", "1", "--out", tmp_path / "out")
    engine = evaluated(capsys, *arguments, "--classes", "cable")["engine"]
    assert evaluated(capsys, *arguments)["engine"] == engine  # goes on with the other class
    assert asked[0] == (None, None)  # one competition, before the first class
    assert len(asked) >= 5  # it, and of each class the recipe's engine and that of the frames
    assert {f"{name} on {device} in fp32" for name, device in asked[1:]} == {engine}


def test_a_bundle_that_goes_by_photographs_alone_is_evaluated_with_shots(
    mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    root = handmade.write_memory_bundle(tmp_path / "b")
    memory = Bundle.open(root).manifest.graphs["photos"]
    handmade.rewritten(root, graphs={"photos": memory}, text=None, text_encoder=None)
    shutil.rmtree(root / "recipes")
    arguments = (root, mvtec, "--layout", "mvtec")
    row = evaluated(capsys, *arguments, "--shots", "2")["classes"][0]
    assert len(row["references"]) == 2
    assert run(*arguments) == 1
    assert "this bundle reads no words, it goes by photos of good parts: add --shots K" in error_of(capsys)


def test_a_recipes_region_of_interest_is_evaluated_alone_with_references_as_without(
    full_bundle: Path, mvtec: Path, capsys: Capture
) -> None:
    def scores(*options: str) -> list[Any]:
        found = evaluated(capsys, full_bundle, mvtec, "--layout", "mvtec", "--recipe", "object", *options)
        return [row["figures"] for row in found["classes"]]

    whole, few_shot = scores(), scores("--shots", "2")
    photo = next(mvtec.rglob("*.png"))
    width, height = Image.open(photo).size
    corner = f"0,0 {width // 4},0 {width // 4},{height // 4} 0,{height // 4}"
    assert command_line.run("roi", full_bundle, "object", corner, "--photo", photo) == 0
    capsys.readouterr()
    assert scores() != whole
    assert scores("--shots", "2") != few_shot
