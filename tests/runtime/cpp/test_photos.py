"""Bundles without words, whose recipes are of photographs alone, answer in C++ as in Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import BundleError, RecipeError
from clipspect.bundle.manifest import RECIPES, read_manifest
from clipspect.recipes.recipe import write_recipe
from clipspect_models import DEMO_BUNDLE
from support import handmade
from support.command_line import run
from support.cpp_answers import compare
from support.handmade_photos import WIDTH, write_photos_bundle

Refusal = Callable[[Path], str]
GOOD = [Path(DEMO_BUNDLE).parent / "demo_images" / f"gear-{what}-good.jpg" for what in ("chip", "burn", "fibre")]


@pytest.fixture(params=[False, True], ids=["gallery", "subspace"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_photos_bundle(tmp_path / "photos.bundle", subspace=request.param)


def test_a_recipe_of_photographs_scores_like_python(
    built: Path, bundle: Path, photos: list[Path], tmp_path: Path
) -> None:
    assert run("recipe", bundle, "gear", "--references", *GOOD, "--backend", "openvino") == 0
    records = compare(built, bundle, "gear", photos[:4], tmp_path / "maps")
    assert len({record["score"] for record in records}) > 1


def test_a_recipe_that_reads_words_or_has_the_other_methods_tensors_is_refused(bundle: Path, refusal: Refusal) -> None:
    words = {"text_features": np.ones((2, 1, 4), np.float32)}
    tensors = {"reference_cell": np.ones((5, WIDTH), np.float32), "spread": np.ones(1, np.float32)}
    subspace = {"mean": np.ones(WIDTH, np.float32), "components": np.ones((WIDTH, WIDTH), np.float32)}
    takes_mean = "mean" in read_manifest(bundle)[0].graphs["photos"].inputs
    other, own = (tensors, subspace) if takes_mean else (subspace, tensors)
    wide = {name: np.concatenate([value, value], axis=-1) for name, value in own.items()}
    cases = [
        (words, "is judged by words, for which"),
        ({**words, **own}, "has references, the bundle has no few-shot graph"),
        (other, "the graph takes"),
        ({**own, "more": np.ones(1, np.float32)}, "does not take"),
        (wide, "has the shape"),
    ]
    path = bundle / RECIPES / "gear.safetensors"
    for given, reason in cases:
        recipe = handmade.make_recipe("gear", method="memory", parameters={}, tensors=given)
        write_recipe(path, recipe)
        assert reason in refusal(bundle)
        with pytest.raises(RecipeError):
            clipspect.load(bundle, backend="openvino")
    write_recipe(path, dataclasses.replace(recipe, tensors=own))
    with clipspect.load(bundle, backend="openvino") as inspector:
        assert inspector.recipe.judge == "photos"


def _graph(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda document: change(document["graphs"]["photos"])


@pytest.mark.parametrize(
    "change",
    [
        _graph(lambda graph: graph["inputs"].update(text_features={"dtype": "float32", "shape": [2, "P", 4]})),
        _graph(lambda graph: graph["outputs"].pop("features_cell")),
        _graph(lambda graph: graph["outputs"]["features_cell"].update(shape=["N", "rows", 12])),
        _graph(lambda graph: graph["outputs"]["features_cell"].update(shape=["N", 16, 5])),
        _graph(lambda graph: graph["outputs"].update(image_embedding={"dtype": "float32", "shape": ["N"]})),
        _graph(lambda graph: [graph["inputs"].pop(name) for name in list(graph["inputs"]) if name != "image"]),
        _graph(lambda graph: graph["parity"].pop("tolerance")),
        lambda document: document["graphs"].update(words=document["graphs"].pop("photos")),
        lambda document: document["graphs"].update(both=document["graphs"].pop("photos")),
        lambda document: document["graphs"].update(later=document["graphs"].pop("photos")),
    ],
)
def test_a_manifest_whose_graph_for_photographs_is_none_is_refused(
    bundle: Path, refusal: Refusal, change: Callable[[dict[str, Any]], object]
) -> None:
    handmade.edit(bundle, change)
    assert "bundle.json: " in refusal(bundle)
    with pytest.raises(BundleError):
        clipspect.Bundle.open(bundle)
