"""A grown gallery is that of a recipe made of all photographs, and comes apart again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from clipspect.base.errors import ImageError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.frame.tiling import Tiling
from clipspect.inspection.estimate import without_reference
from clipspect.recipes.grown_gallery import added_references, with_references
from clipspect.recipes.make import make_recipe
from support import handmade


def spots(count: int) -> list[np.ndarray]:
    drawn = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return [np.ascontiguousarray(picture.repeat(12, 0).repeat(16, 1)) for picture in drawn]


@pytest.mark.parametrize("rotations", [False, True])
def test_it_is_the_gallery_of_all_photographs(full_bundle: Path, rotations: bool) -> None:
    photos, opened = spots(5), Bundle.open(full_bundle)
    recipe = make_recipe(opened, "nut", references=photos[:3], rotations=rotations)
    added = added_references(opened, recipe, photos[3:], "onnxruntime")
    grown = with_references(recipe, added)
    whole = make_recipe(opened, "nut", references=photos, rotations=rotations)
    assert grown.tensors.keys() == whole.tensors.keys()
    for name, rows in whole.tensors.items():
        assert grown.tensors[name] == pytest.approx(rows, abs=1e-6)
    assert grown.references is not None
    assert whole.references is not None
    assert [file["content"] for file in grown.references["files"]] == [
        file["content"] for file in whole.references["files"]
    ]
    galleries = whole.references["galleries"]
    assert {name: gallery["kept"] for name, gallery in grown.references["galleries"].items()} == {
        name: gallery["kept"] for name, gallery in galleries.items()
    }
    back = without_reference(without_reference(grown, 4), 3)
    assert back.tensors_digest == recipe.tensors_digest
    assert with_references(recipe, []) is recipe


def test_a_thinned_gallery_says_where_each_row_is_from(full_bundle: Path) -> None:
    photos, opened = spots(4), Bundle.open(full_bundle)
    recipe = make_recipe(opened, "nut", references=photos[:3], gallery_size=5)
    grown = with_references(recipe, added_references(opened, recipe, photos[3:], "onnxruntime"))
    assert grown.references is not None
    for name, gallery in grown.references["galleries"].items():
        rows = grown.tensors[f"reference_{name}"]
        assert len(rows) == gallery["rows"] == sum(gallery["kept"]) > 5
        if "places" in gallery:
            assert len(gallery["places"]) == len(rows)
            assert gallery["places"][-gallery["kept"][-1] :] == list(range(gallery["kept"][-1]))
    assert any("places" in gallery for gallery in grown.references["galleries"].values())


def test_what_cannot_join_is_refused(full_bundle: Path) -> None:
    opened = Bundle.open(full_bundle)
    with pytest.raises(RecipeError, match="keeps no gallery that a good part could join"):
        added_references(opened, handmade.make_recipe(), spots(1), "onnxruntime")
    recipe = make_recipe(opened, "nut", references=spots(2))
    with pytest.raises(ImageError, match="a good part of 48 x 64 cannot join references of 64 x 48"):
        added_references(opened, recipe, [np.ascontiguousarray(spots(3)[2].transpose(1, 0, 2))], "onnxruntime")
    tiled = dataclasses.replace(recipe, tiling=Tiling((32, 32)))
    with pytest.raises(RecipeError, match="judges a region of interest or tiles"):
        added_references(opened, tiled, spots(3)[2:], "onnxruntime")
