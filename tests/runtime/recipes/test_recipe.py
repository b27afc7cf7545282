"""A recipe proves itself, wherever it is copied."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.calibration import Calibration, LimitsChange, PartScore, Scorer
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import check_recipe_name, read_recipe, write_recipe
from clipspect.recipes.recipe_file import pack
from clipspect.recipes.shelf import open_recipe
from support import handmade

RANGE = {"low": 1.0, "high": 2.0, "rate": 0.001, "smallest": 1.2, "largest": 1.8}


def test_a_recipe_survives_writing_and_reading(tmp_path: Path) -> None:
    scorer = Scorer("b" * 64, "c" * 64, "onnxruntime", "cpu", "fp32", "0")
    calibration = Calibration("2026-11-27T12:00:00+00:00", scorer, (PartScore("1.png", 0.5, 0.25),), group="(.*)")
    history = (LimitsChange("2026-11-27T12:00:00+00:00", "me", "first", None, {"review": 0.4, "reject": 0.6}),)
    recipe = handmade.make_recipe("metal nut", limits=Limits(0.4, 0.6), calibration=calibration, history=history)
    path = tmp_path / "metal nut.safetensors"
    write_recipe(path, recipe)
    again = read_recipe(path)
    assert again.document() == recipe.document()
    assert (again.limits, again.calibration, again.history) == (recipe.limits, recipe.calibration, recipe.history)
    np.testing.assert_array_equal(again.text_features, recipe.text_features)
    assert not again.text_features.flags.writeable


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"calibration": {"checks": {"contrast": RANGE | {"low": 3}}}}, "a range from 3.0 to 2.0 is reversed"),
        ({"calibration": {"checks": {"contrast": RANGE | {"high": "2"}}}}, "expected float | null, found str"),
        ({"calibration": {"checks": {"layout": RANGE}}}, "layout has 0 numbers, expected 48"),
        ({"calibration": {"layout": [0.5] * 47}}, "layout has 47 numbers, expected 48"),
        ({"calibration": {"frame_sizes": [[0, 48]]}}, "holds a size that no frame has"),
        ({"calibration": {"frame_sizes": [[64]]}}, "expected array of length 2"),
        ({"references": {"sizes": [[64]]}}, "references: sizes"),
        ({"references": {"size": "64"}}, "references: size"),
    ],
)
def test_what_frames_are_checked_by_is_refused_where_it_is_damaged(
    tmp_path: Path, changes: dict[str, dict[str, object]], reason: str
) -> None:
    scorer = Scorer("b" * 64, "c" * 64, "onnxruntime", "cpu", "fp32", "0")
    recipe = handmade.make_recipe("nut", calibration=Calibration("2026-11-27T12:00:00+00:00", scorer, ()))
    document = recipe.document()
    for name, changed in changes.items():
        document[name] = {**(document[name] or {}), **changed}
    (tmp_path / "nut.safetensors").write_bytes(pack(document, recipe.tensors)[1])
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "nut.safetensors")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_of_photographs_alone_is_written_and_read(tmp_path: Path) -> None:
    rows = np.eye(3, dtype=np.float32)
    recipe = handmade.make_recipe("nut", tensors={"reference_block_9": rows, "spread": rows[0]}, method="memory")
    write_recipe(tmp_path / "nut.safetensors", recipe)
    again = read_recipe(tmp_path / "nut.safetensors")
    assert (again.judge, again.has_references) == ("photos", True)
    np.testing.assert_array_equal(again.tensors["reference_block_9"], rows)


def test_a_recipe_that_the_bundle_has_no_graph_for_is_refused(tiny_bundle: Path) -> None:
    rows = np.eye(3, dtype=np.float32)
    for name, tensors in (("a", {"reference_x": rows}), ("b", {**handmade.make_recipe().tensors, "reference_x": rows})):
        write_recipe(tiny_bundle / f"recipes/{name}.safetensors", handmade.make_recipe(name, tensors=tensors))
    with pytest.raises(RecipeError, match="'a' is judged by photos, for which this clipspect knows no graph"):
        clipspect.load(tiny_bundle, "a")
    with pytest.raises(RecipeError, match="'b' has references, the bundle has no few-shot graph"):
        clipspect.load(tiny_bundle, "b")


@pytest.mark.parametrize("name", ["", " a", "a ", "../a", "a/b", "a.", ".a", "a\n", "x" * 81, "a\\b", "a:b"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="cannot be a recipe's name"):
        write_recipe(tmp_path / "x.safetensors", handmade.make_recipe(name))
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_of_other_weights_is_refused(tiny_bundle: Path) -> None:
    write_recipe(tiny_bundle / "recipes/b.safetensors", handmade.make_recipe("b", encoder_sha256="0" * 64))
    with pytest.raises(RecipeError, match="made for other encoder weights"):
        open_recipe(Bundle.open(tiny_bundle), "b")


def test_a_recipe_of_another_method_is_refused(tiny_bundle: Path) -> None:
    write_recipe(tiny_bundle / "recipes/b.safetensors", handmade.make_recipe("b", method="aprilgan"))
    with pytest.raises(RecipeError, match="was made for aprilgan, this bundle is winclip"):
        open_recipe(Bundle.open(tiny_bundle), "b")


def test_a_recipe_of_another_width_is_refused(tiny_bundle: Path) -> None:
    wide = {"text_features": np.ones((2, 1, 5), np.float32)}
    write_recipe(tiny_bundle / "recipes/b.safetensors", handmade.make_recipe("b", tensors=wide))
    with pytest.raises(RecipeError, match="width 5, expected 4"):
        open_recipe(Bundle.open(tiny_bundle), "b")


def test_a_recipe_of_a_bundle_with_other_parameters_is_refused(tiny_bundle: Path) -> None:
    other = handmade.make_recipe("nut", parameters={"scales": [2, 3, 5]})
    write_recipe(tiny_bundle / "recipes/nut.safetensors", other)
    with pytest.raises(RecipeError, match=r"made for a bundle with scales \[2, 3, 5\], this one has \[2, 3\]"):
        open_recipe(Bundle.open(tiny_bundle), "nut")


@pytest.mark.parametrize("name", ["CON", "nul.txt", "com1", "𝒏" * 60])
def test_a_name_that_some_file_system_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="cannot be a recipe's name"):
        check_recipe_name(name)


def test_the_arrays_of_a_recipe_are_read_only_from_its_construction_and_its_own() -> None:
    features = np.ones((2, 1, handmade.DIM), np.float32)
    recipe = handmade.make_recipe("nut", tensors={"text_features": features})
    with pytest.raises(ValueError, match="read-only"):
        recipe.text_features[0] = 0
    with pytest.raises(TypeError):
        recipe.tensors["text_features"] = features  # type: ignore[index]
    features[:] = 7  # the caller's array stays the caller's
    assert (recipe.text_features == 1).all()
    frozen = recipe.text_features
    assert dataclasses.replace(recipe, name="bolt").text_features is frozen  # which nobody can write: no copy
