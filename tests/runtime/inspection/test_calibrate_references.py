"""Calibration knows the references: they are no good parts, and of them alone limits are estimates."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import RecipeError
from clipspect.recipes.make import make_recipe

RATES = {"false_reject_rate": 0.1, "uncertain": 0.2, "confidence": 0.9}  # 22 parts are needed


def spots(count: int) -> list[np.ndarray]:
    """Pictures of 16 colours each: the few-shot graph knows colours that it has seen."""
    drawn = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return [np.ascontiguousarray(picture.repeat(12, 0).repeat(16, 1)) for picture in drawn]


def test_photographs_of_the_gallery_are_refused_by_what_they_show(full_bundle: Path, tmp_path: Path) -> None:
    photos = spots(33)
    recipe = make_recipe(full_bundle, "nut", references=photos[:3])
    Image.fromarray(photos[1]).save(tmp_path / "another name.bmp")
    with clipspect.load(full_bundle, recipe, "onnxruntime") as inspector:
        for given in ({"good": [*photos[3:], photos[0]]}, {"good": photos[3:], "defective": [photos[2]]}):
            with pytest.raises(RecipeError, match=r"caller#(30|0) is in the gallery of recipe 'nut'"):
                clipspect.calibrate(inspector, **given, **RATES)
        with pytest.raises(RecipeError, match=r"another name\.bmp is in the gallery"):
            clipspect.calibrate(inspector, [*photos[3:], tmp_path / "another name.bmp"], **RATES)
        assert clipspect.calibrate(inspector, photos[3:], **RATES).limits is not None


def test_references_that_nothing_is_known_of_are_refused(full_bundle: Path) -> None:
    recipe = make_recipe(full_bundle, "nut", references=spots(2))
    assert recipe.references is not None
    for file in recipe.references["files"]:
        del file["content"]
    with (
        clipspect.load(full_bundle, recipe, "onnxruntime") as inspector,
        pytest.raises(RecipeError, match="does not say what its references show"),
    ):
        clipspect.calibrate(inspector, spots(9)[2:], anyway=True)


@pytest.mark.parametrize("gallery_size", [None, 20])
def test_an_estimate_scores_each_reference_without_its_own_rows_and_promises_nothing(
    full_bundle: Path, gallery_size: int | None
) -> None:
    photos = spots(6)
    recipe = make_recipe(full_bundle, "nut", references=photos, gallery_size=gallery_size)
    with clipspect.load(full_bundle, recipe, "onnxruntime") as inspector:
        found = clipspect.calibrate(inspector, photos[::-1], estimate=True)
        with pytest.raises(RecipeError, match="caller#6 is not one of the references"):
            clipspect.calibrate(inspector, [*photos, spots(7)[6]], estimate=True)
        with pytest.raises(RecipeError, match="the reference photo 6 is missing"):
            clipspect.calibrate(inspector, photos[:5], estimate=True)
        own = [inspector.inspect(photo).score for photo in photos[::-1]]
        if gallery_size is None:
            others = [make_recipe(full_bundle, "nut", references=photos[:i] + photos[i + 1 :]) for i in range(6)]
            expected = [inspector.with_recipe(other).inspect(photo).score for other, photo in zip(others, photos)]
            assert found.calibration is not None
            assert [part.score for part in found.calibration.parts[::-1]] == pytest.approx(expected, abs=1e-6)
    assert found.calibration is not None
    assert found.limits is not None
    assert found.calibration.estimate
    assert all(part.score >= score for part, score in zip(found.calibration.parts, own))
    assert any(part.score > score for part, score in zip(found.calibration.parts, own))
    assert (found.limits.reject_promise, found.limits.review_promise, found.limits.map_promise) == (None,) * 3
    assert found.history[-1].why.startswith("estimated on 6 good parts")


def test_an_estimate_holds_one_gallery_more_at_a_time(full_bundle: Path) -> None:
    photos, times = spots(24), 400
    recipe = make_recipe(full_bundle, "nut", references=photos)
    assert recipe.references is not None
    large, galleries = {}, {}
    for name, gallery in recipe.references["galleries"].items():
        rows = recipe.tensors[f"reference_{name}"]
        galleries[name] = {**gallery, "kept": [times * kept for kept in gallery["kept"]]}
        large[f"reference_{name}"] = np.repeat(rows, times, axis=0)  # of each reference all rows, so many times
    references = {**recipe.references, "galleries": galleries}
    recipe = dataclasses.replace(recipe, tensors={**recipe.tensors, **large}, references=references)
    size = sum(value.nbytes for value in recipe.tensors.values())
    with clipspect.load(full_bundle, recipe, "onnxruntime") as inspector:
        tracemalloc.start()
        try:
            clipspect.calibrate(inspector, photos, estimate=True)
            assert tracemalloc.get_traced_memory()[1] < 4 * size
        finally:
            tracemalloc.stop()


def test_a_recipe_of_words_or_of_one_reference_has_no_estimate(full_bundle: Path) -> None:
    with clipspect.load(full_bundle, backend="onnxruntime") as inspector:
        with pytest.raises(RecipeError, match="has no references to estimate with"):
            clipspect.calibrate(inspector, spots(2), estimate=True)
        inspector.use_recipe(make_recipe(full_bundle, "nut", references=spots(1)))
        with pytest.raises(RecipeError, match="an estimate needs two references at least"):
            clipspect.calibrate(inspector, spots(1), estimate=True)
