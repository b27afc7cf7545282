"""A recipe proves itself, wherever it is copied."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import _digest, check_recipe_name, read_recipe, write_recipe
from clipspect.recipes.shelf import open_recipe
from support import handmade


def hostile(path: Path, tensors: dict[str, Any] | None = None, text: str | None = None, **changes: object) -> None:
    """A recipe file whose digest fits whatever is in it."""
    if tensors is None:
        tensors = {"text_features": np.ones((2, 1, 4), np.float32)}
    if text is None:
        document: dict[str, Any] = {"name": path.stem, "method": "winclip", "object": "x", "schema_version": 1}
        document |= {"encoder_sha256": "e" * 64, **changes}
        text = json.dumps({**document, "sha256": _digest(document, tensors)})
    save_file(tensors, path, metadata={"clipspect": text})


def refusal(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_recipe_survives_writing_and_reading(tmp_path: Path) -> None:
    recipe = handmade.make_recipe("metal nut", limits=Limits(0.4, 0.6), calibration={"good": 30})
    path = tmp_path / "metal nut.safetensors"
    write_recipe(path, recipe)
    again = read_recipe(path)
    assert (again.limits, again.calibration, again.prompts) == (recipe.limits, recipe.calibration, recipe.prompts)
    np.testing.assert_array_equal(again.text_features, recipe.text_features)


def test_the_same_recipe_is_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for folder in "abcdefgh":
        write_recipe(tmp_path / folder / "nut.safetensors", handmade.make_recipe("nut", limits=Limits(0.4, 0.6)))
        written.append((tmp_path / folder / "nut.safetensors").read_bytes())
    assert len(set(written)) == 1


def test_a_renamed_recipe_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path / "a.safetensors", handmade.make_recipe("a"))
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    assert "holds the recipe 'a'" in refusal(tmp_path / "b.safetensors")


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


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert str(path) in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": None},
        {"schema_version": "1"},
        {"schema_version": 2},
        {"method": 3},
        {"prompts": []},
        {"limits": {"review": 0.1}},
        {"limits": {"review": "low", "reject": 1}},
        {"limits": {"review": 2.0, "reject": 1.0}},
        {"limits": {"review": float("nan"), "reject": 1.0}},
        {"calibration": 1},
    ],
)
def test_a_wrong_value_under_a_right_digest_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    hostile(tmp_path / "a.safetensors", **changes)
    refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize("text", ["[]", "null", "{", "[" * 50_000, "1" * 5000])
def test_a_document_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    hostile(tmp_path / "a.safetensors", text=text)
    refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "features",
    [
        np.ones((2, 4), np.float32),
        np.ones((3, 1, 4), np.float32),
        np.ones((2, 0, 4), np.float32),
        np.ones((2, 1, 4), np.float64),
        np.full((2, 1, 4), np.nan, np.float32),
    ],
)
def test_text_features_of_the_wrong_kind_are_refused(tmp_path: Path, features: Any) -> None:
    hostile(tmp_path / "a.safetensors", {"text_features": features})
    assert "text_features" in refusal(tmp_path / "a.safetensors")


def test_a_link_is_no_recipe(tmp_path: Path) -> None:
    write_recipe(tmp_path / "a.safetensors", handmade.make_recipe("a"))
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "a.safetensors")
    assert "a link does not count" in refusal(tmp_path / "b.safetensors")


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
