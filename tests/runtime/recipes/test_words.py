"""Words made into text features on the box, through the public face of recipes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.make import make_recipe
from clipspect.recipes.prompts import read_ensemble, text_features
from support import handmade, handmade_graphs


def embed(prompts: list[str]) -> npt.NDArray[np.float32]:
    """What the hand-made text encoder answers: the sum of a prompt's words, unknown ones included."""
    known = handmade_graphs.VOCABULARY
    rows = []
    for prompt in prompts:
        words = re.findall(r"\w+|[^\w\s]+", prompt.lower())
        rows.append(sum(handmade_graphs.EMBEDDINGS[known.index(word) if word in known else 1] for word in words))
    return np.array(rows, np.float32)


def test_the_object_is_the_recipes_name_and_the_prompts_the_methods(full_bundle: Path) -> None:
    recipe = make_recipe(full_bundle, "metal nut")
    expected = text_features(read_ensemble("winclip"), "metal nut", embed)
    np.testing.assert_allclose(recipe.text_features, expected, rtol=1e-4, atol=1e-5)
    assert (recipe.name, recipe.object, recipe.method, recipe.encoder_sha256) == (
        "metal nut",
        "metal nut",
        "winclip",
        handmade.ENCODER,
    )
    assert recipe.prompts["fusion"] == "mean"
    assert recipe.prompts["normal"] == list(read_ensemble("winclip").normal)
    assert recipe.references is None


def test_an_object_can_be_called_otherwise_than_its_recipe(full_bundle: Path) -> None:
    recipe = make_recipe(full_bundle, "line 3", object="nut")
    assert (recipe.name, recipe.object) == ("line 3", "nut")
    np.testing.assert_array_equal(recipe.text_features, make_recipe(full_bundle, "nut").text_features)


def test_prompt_fusion_max_keeps_every_prompt(full_bundle: Path) -> None:
    recipe = make_recipe(full_bundle, "nut", fusion="max")
    assert recipe.text_features.shape == (2, 7 * 21, handmade.DIM)
    assert recipe.prompts["fusion"] == "max"
    expected = text_features(read_ensemble("winclip"), "nut", embed, fusion="max")
    np.testing.assert_allclose(recipe.text_features, expected, atol=1e-4)


def test_the_bundle_says_what_a_mean_averages(full_bundle: Path) -> None:
    unit = handmade.rewritten(
        full_bundle, text=dataclasses.replace(Bundle.open(full_bundle).manifest.text, mean="unit embeddings")
    )
    np.testing.assert_allclose(np.linalg.norm(make_recipe(unit, "nut").text_features, axis=-1), 1, atol=1e-6)


def test_prompts_of_ones_own_make_the_words(full_bundle: Path) -> None:
    recipe = make_recipe(full_bundle, "nut", normal=["a flawless nut"], anomalous=["a damaged nut", "a {} with flaw"])
    prompts = embed(["a flawless nut", "a damaged nut", "a nut with flaw"])
    np.testing.assert_allclose(recipe.text_features, np.stack([prompts[:1], prompts[1:].mean(axis=0)[None]]), atol=1e-6)


def test_an_ensemble_in_a_file_makes_the_words(full_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('normal = ["{}"]\nanomalous = ["damaged {}"]\ntemplates = ["{} flaw"]\n')
    recipe = make_recipe(full_bundle, "nut", ensemble=path)
    np.testing.assert_allclose(recipe.text_features[:, 0], embed(["nut flaw", "damaged nut flaw"]), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"normal": ["a nut"]}, "prompts for --normal but none for --anomalous"),
        ({"anomalous": ["a nut"]}, "prompts for --anomalous but none for --normal"),
        ({"normal": ["a nut"], "anomalous": ["a bad one"]}, "'a bad one' has no place for the object"),
        ({"normal": ["a nut"], "anomalous": ["bad nut"], "ensemble": "winclip"}, "leave one of the two out"),
        ({"ensemble": "mine"}, "mine: no such ensemble"),
        ({"fusion": "median"}, "prompt fusion 'median': expected mean or max"),
        ({"object": " "}, "the object has no name"),
        ({"object": ""}, "the object has no name"),
        ({"object": "nut", "like": "object"}, "words are given, and those of recipe 'object' asked for"),
        ({"fusion": "max", "like": "object"}, "words are given"),
        ({"like": "bolt"}, "no recipe 'bolt'; there are: 'object'"),
        ({"gallery_size": 5}, "a gallery size without references"),
        ({"object": "very " * 20}, "tokens, the text encoder reads 16"),
    ],
)
def test_words_that_make_no_recipe_are_refused(full_bundle: Path, words: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason) as caught:
        make_recipe(full_bundle, "nut", **words)
    assert "\n" not in str(caught.value)


def test_without_a_text_encoder_both_ways_out_are_named(full_bundle: Path) -> None:
    bundle = handmade.rewritten(full_bundle, text_encoder=None)
    with pytest.raises(RecipeError, match='--object "NAME"') as caught:
        make_recipe(bundle, "nut")
    assert "--with-text-encoder" in str(caught.value)


def test_learned_prompts_take_no_words(full_bundle: Path) -> None:
    bundle = handmade.rewritten(full_bundle, method="anomalyclip", text=handmade.TextSpec(handmade.DIM))
    for words in ({}, {"object": "nut"}, {"normal": ["a nut"], "anomalous": ["bad nut"]}):
        with pytest.raises(RecipeError, match="prompts of this anomalyclip bundle were learned"):
            make_recipe(bundle, "nut", **words)
