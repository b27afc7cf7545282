"""Recipes in memory: references through the few-shot graph, and the words that they take."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import BackendError, ImageError, RecipeError
from clipspect.base.files import sha256_of
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.make import make_recipe
from clipspect.recipes.recipe import read_recipe, write_recipe
from clipspect.recipes.references import content_digest
from clipspect.recipes.shelf import open_recipe
from support import handmade, handmade_graphs


@pytest.fixture
def photo_files(tmp_path: Path) -> list[Path]:
    """Three photos of one size, each a spot of another brightness."""
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"photo{number}.png")
        Image.fromarray(handmade.spotted(64, 48, 100 + 50 * number)).save(paths[-1])
    return paths


def expected_galleries(frames: list[npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.float32]]:
    resized = [
        np.asarray(Image.fromarray(frame).resize((handmade.SIDE, handmade.SIDE), Image.Resampling.BICUBIC))
        for frame in frames
    ]
    rows = handmade_graphs.colour_rows(np.stack(resized))
    return {f"reference_{name}": value.reshape(-1, 3) for name, value in rows.items()}


def test_paths_images_and_arrays_make_the_same_galleries(full_bundle: Path, photo_files: list[Path]) -> None:
    arrays = [np.asarray(Image.open(path)) for path in photo_files]
    for frames in (photo_files, [Image.open(path) for path in photo_files], arrays, iter(map(str, photo_files))):
        recipe = make_recipe(full_bundle, "nut", references=frames)
        assert set(recipe.tensors) == {"text_features", "reference_fine", "reference_coarse"}
        for name, rows in expected_galleries(arrays).items():
            np.testing.assert_allclose(recipe.tensors[name], rows, atol=1e-6)


def test_a_recipe_says_what_its_references_were(full_bundle: Path, photo_files: list[Path]) -> None:
    array = np.asarray(Image.open(photo_files[1]))
    recipe = make_recipe(full_bundle, "nut", references=[photo_files[0], array], gallery_size=10)
    references = recipe.references
    assert references is not None
    assert (references["count"], references["size"]) == (2, [64, 48])
    contents = [content_digest(np.asarray(Image.open(path).resize((32, 32), 3))) for path in photo_files[:2]]
    assert references["files"] == [
        {"name": "photo0.png", "sha256": sha256_of(photo_files[0]), "content": contents[0]},
        {"name": "photo 2", "sha256": hashlib.sha256(array.tobytes()).hexdigest(), "content": contents[1]},
    ]
    assert sum(references["galleries"]["fine"]["kept"]) == 10
    assert references["galleries"]["coarse"]["kept"] == [4, 4]
    assert {name: (item["rows"], item["of"]) for name, item in references["galleries"].items()} == {
        "fine": (10, 32),
        "coarse": (8, 8),
    }
    assert references["galleries"]["fine"]["largest_distance"] >= references["galleries"]["fine"]["mean_distance"]
    assert references["galleries"]["coarse"]["largest_distance"] == 0
    assert references["thinning"]["images"] == 2
    assert "map_limits" not in references


def test_the_recipe_scores_at_once_and_after_being_written(full_bundle: Path, photo_files: list[Path]) -> None:
    recipe = make_recipe(full_bundle, "nut", references=photo_files[:2])
    frames = [np.asarray(Image.open(path)) for path in photo_files]
    galleries = {
        name.removeprefix("reference_"): rows for name, rows in recipe.tensors.items() if name != "text_features"
    }
    pixels = np.stack([np.asarray(Image.fromarray(f).resize((32, 32), Image.Resampling.BICUBIC)) for f in frames])
    score, _ = handmade_graphs.colour_answer(pixels, galleries, recipe.text_features)
    at_once = clipspect.load(full_bundle, recipe=recipe).inspect_batch(frames)
    write_recipe(full_bundle / RECIPES / "nut.safetensors", recipe)
    written = clipspect.load(full_bundle, recipe="nut").inspect_batch(frames)
    for expected, *found in zip(score, at_once, written):
        assert [result.score for result in found] == pytest.approx([expected] * 2, abs=1e-6)
    again = read_recipe(full_bundle / RECIPES / "nut.safetensors")
    assert again.references == recipe.references == json.loads(json.dumps(recipe.references))


def test_map_limits_are_a_tensor_of_the_recipe_and_in_its_words(tmp_path: Path, photo_files: list[Path]) -> None:
    bundle = handmade.write_full_bundle(tmp_path / "limited", map_limits=True)
    recipe = make_recipe(bundle, "nut", references=photo_files)
    low, high = recipe.tensors["map_limits"].tolist()
    assert recipe.references is not None
    assert recipe.references["map_limits"] == [low, high]
    text = recipe.text_features.max()
    good = clipspect.load(bundle, recipe=recipe).inspect(photo_files[0])
    assert good.score == pytest.approx(0.5 * (text + (good.anomaly_map.max() - low) / (high - low)), abs=0.1)


def test_references_take_the_words_of_the_only_recipe(full_bundle: Path, photo_files: list[Path]) -> None:
    bundle = handmade.rewritten(full_bundle, text_encoder=None)  # none is needed
    recipe = make_recipe(bundle, "nut", references=photo_files)
    only = open_recipe(Bundle.open(bundle))
    assert (recipe.name, recipe.object, recipe.prompts) == ("nut", "object", only.prompts)
    np.testing.assert_array_equal(recipe.text_features, only.text_features)


def test_references_rather_take_the_words_of_the_recipe_that_has_the_name(
    full_bundle: Path, photo_files: list[Path]
) -> None:
    bolt = handmade.make_recipe(
        "bolt", tensors={"text_features": np.full((2, 1, 4), 3, np.float32)}, limits=Limits(0.1, 0.2)
    )
    write_recipe(full_bundle / RECIPES / "bolt.safetensors", bolt)
    recipe = make_recipe(full_bundle, "bolt", references=photo_files)
    np.testing.assert_array_equal(recipe.text_features, bolt.text_features)
    assert recipe.limits is None
    with pytest.raises(RecipeError, match="several recipes to take them from: 'bolt', 'object': give --object TEXT or"):
        make_recipe(full_bundle, "nut", references=photo_files)
    like = make_recipe(full_bundle, "nut", references=photo_files, like="bolt")
    np.testing.assert_array_equal(like.text_features, bolt.text_features)


def test_references_without_any_words_are_refused(full_bundle: Path, photo_files: list[Path]) -> None:
    manifest = Bundle.open(full_bundle).manifest
    (full_bundle / RECIPES / "object.safetensors").unlink()
    handmade.write_manifest(full_bundle, manifest)
    with pytest.raises(RecipeError, match="no recipe to take them from: give --object TEXT"):
        make_recipe(full_bundle, "nut", references=photo_files)


def test_new_words_and_references_together_need_no_other_recipe(full_bundle: Path, photo_files: list[Path]) -> None:
    recipe = make_recipe(full_bundle, "line 3", object="nut", references=photo_files)
    np.testing.assert_array_equal(recipe.text_features, make_recipe(full_bundle, "nut").text_features)
    assert recipe.has_references


def test_words_can_be_lent_without_references(full_bundle: Path) -> None:
    recipe = make_recipe(full_bundle, "nut", like="object")
    assert (recipe.name, recipe.object) == ("nut", "object")


def test_references_of_another_aspect_are_refused_and_of_another_size_are_taken(
    full_bundle: Path, photo_files: list[Path]
) -> None:
    Image.new("RGB", (48, 64)).save(photo_files[2])
    with pytest.raises(ImageError, match=r"another aspect: photo2\.png is 48 x 64, photo0\.png is 64 x 48"):
        make_recipe(full_bundle, "nut", references=photo_files)
    Image.new("RGB", (127, 95)).save(photo_files[2])
    recipe = make_recipe(full_bundle, "nut", references=photo_files)
    assert recipe.references is not None
    assert (recipe.references["size"], recipe.references["sizes"]) == ([64, 48], [[64, 48], [127, 95]])
    with clipspect.load(full_bundle, recipe, backend="onnxruntime") as inspector:
        notes = [inspector.inspect(handmade.spotted(*size)).notes for size in ((64, 48), (127, 95), (128, 96))]
    assert notes == [(), (), ("frames of 128 x 96: calibration and references are 64 x 48, 127 x 95",)]


def test_the_same_photo_twice_is_refused_and_both_are_named(full_bundle: Path, photo_files: list[Path]) -> None:
    copy, array = photo_files[0].with_name("copy.png"), np.asarray(Image.open(photo_files[0]))
    copy.write_bytes(photo_files[0].read_bytes())
    for twice in (copy, photo_files[0].parent / "." / ".." / photo_files[0].parent.name / photo_files[0].name):
        with pytest.raises(ImageError) as caught:
            make_recipe(full_bundle, "nut", references=[*photo_files, twice])
        expected = f"the same reference twice: {photo_files[0]} and {twice} are equal: leave one of them out"
        assert str(caught.value) == expected
    with pytest.raises(ImageError, match="twice: photo 2 and photo 3 are equal"):
        make_recipe(full_bundle, "nut", references=[photo_files[1], array, array.copy()])


def test_a_reference_that_is_no_image_is_named(full_bundle: Path, photo_files: list[Path]) -> None:
    photo_files[1].write_text("no image")
    with pytest.raises(ImageError, match=r"photo1\.png: not an image"):
        make_recipe(full_bundle, "nut", references=photo_files)


def test_one_photo_is_not_taken_for_several(full_bundle: Path, photo_files: list[Path]) -> None:
    for frame in (photo_files[0], str(photo_files[0]), Image.new("RGB", (4, 4)), np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match="pass them as a list"):
            make_recipe(full_bundle, "nut", references=frame)  # type: ignore[arg-type]


def test_references_need_the_few_shot_graph(tiny_bundle: Path, photo_files: list[Path]) -> None:
    with pytest.raises(RecipeError, match="no few-shot graph to compare with references: export it with --few-shot"):
        make_recipe(tiny_bundle, "nut", references=photo_files)


@pytest.mark.parametrize("size", [0, -3, True])
def test_a_gallery_keeps_at_least_a_row(full_bundle: Path, photo_files: list[Path], size: int) -> None:
    with pytest.raises(RecipeError, match="gallery size: expected a number of rows from 1"):
        make_recipe(full_bundle, "nut", references=photo_files, gallery_size=size)


def test_galleries_that_no_recipe_can_hold_are_refused_before_the_work(
    full_bundle: Path, photo_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipspect.recipes.memory.MAX_BYTES", 4 * 3 * (16 + 4) * 3 - 1)
    with pytest.raises(RecipeError, match=r"3 references make galleries of .* MB.*: thin them with --gallery-size"):
        make_recipe(full_bundle, "nut", references=photo_files)
    assert make_recipe(full_bundle, "nut", references=photo_files, gallery_size=20).has_references


def test_a_name_that_no_recipe_can_have_is_refused(full_bundle: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be a recipe's name"):
        make_recipe(full_bundle, "../nut")


def test_the_engine_and_its_options_are_the_ones_asked_for(full_bundle: Path, photo_files: list[Path]) -> None:
    assert make_recipe(full_bundle, "nut", references=photo_files, backend="onnxruntime", threads=1).has_references
    for given in ({"like": "object"}, {"object": "nut"}):
        with pytest.raises(BackendError, match="no backend 'tpu'"):
            make_recipe(full_bundle, "nut", references=photo_files, backend="tpu", **given)  # type: ignore[arg-type]


def test_tensorrts_fixed_shapes_are_refused_before_any_work(full_bundle: Path, photo_files: list[Path]) -> None:
    for given in ({"references": photo_files, "like": "object"}, {"object": "nut"}):
        with pytest.raises(BackendError, match=r"lengths that vary: use --device cuda or cpu") as caught:
            make_recipe(full_bundle, "nut", device="tensorrt", **given)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
