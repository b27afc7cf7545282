"""States one by one: what a recipe keeps of them are the encoder's, and what is damaged is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect import make_recipe
from clipspect.base.errors import RecipeError
from clipspect.recipes.gallery import Gallery, thin
from clipspect.recipes.prompts import STATE_FEATURES, Ensemble, embedded_words
from clipspect.recipes.state_features import closest, embedded_states
from support import handmade

ENSEMBLE = Ensemble(("{}", "perfect {}"), ("broken {}", "{} with a hole", "bent {}"), ("a {}.", "one {}.", "the {}!"))
DIM = handmade.DIM


def embed(prompts: list[str]) -> np.ndarray:  # type: ignore[type-arg]
    """Something of its own for each prompt."""
    return np.array([np.random.default_rng(list(text.encode())).normal(size=DIM) for text in prompts], np.float32)


def test_the_states_are_the_means_over_the_templates_and_the_nearest_are_named() -> None:
    found = embedded_words(ENSEMBLE, "nut", embed)
    recipe = dataclasses.replace(
        handmade.make_recipe("nut"), object="nut", tensors={"text_features": found.features}, prompts=found.recorded
    )
    normal, anomalous = embedded_states(recipe)
    assert (normal.words, anomalous.words) == (("nut", "perfect nut"), ("broken nut", "nut with a hole", "bent nut"))
    mean = embed([f"{text}" for text in ("a bent nut.", "one bent nut.", "the bent nut!")]).mean(axis=0)
    np.testing.assert_allclose(anomalous.rows[2], mean / np.linalg.norm(mean), atol=1e-3)
    (_, first, cosine), *_ = closest([anomalous], anomalous.rows[2], 2)
    assert first == "bent nut"
    assert cosine == pytest.approx(1, abs=1e-3)


def test_with_fusion_max_every_prompt_is_named() -> None:
    found = embedded_words(ENSEMBLE, "nut", embed, fusion="max")
    recipe = dataclasses.replace(
        handmade.make_recipe("nut"), object="nut", tensors={"text_features": found.features}, prompts=found.recorded
    )
    normal, anomalous = embedded_states(recipe)
    assert (len(normal.words), len(anomalous.words)) == (6, 9)
    own = embed(["the bent nut!"])[0]
    assert closest([anomalous], own / np.linalg.norm(own), 1)[0][1] == "the bent nut!"


def test_a_recipe_that_is_made_on_the_box_keeps_its_states(full_bundle: Path) -> None:
    recipe = make_recipe(full_bundle, "nut", object="nut", backend="onnxruntime")
    assert {state.state for state in embedded_states(recipe)} == {"normal", "anomalous"}


def test_a_recipe_without_states_has_none_and_damaged_ones_are_refused() -> None:
    assert embedded_states(handmade.make_recipe("nut")) == ()
    found = embedded_words(ENSEMBLE, "nut", embed)
    for damaged in ("no base64!", found.recorded[STATE_FEATURES][:-8], "AH4A" * 10):
        recipe = dataclasses.replace(
            handmade.make_recipe("nut"),
            tensors={"text_features": found.features},
            prompts={**found.recorded, STATE_FEATURES: damaged},
        )
        with pytest.raises(RecipeError, match="its state_features cannot be read: make it again"):
            embedded_states(recipe)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 24), st.integers(0, 9))
def test_the_place_of_a_kept_row_is_the_one_that_it_came_from(photos: int, each: int, size: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(photos * each, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    gallery = Gallery(rows, np.repeat(np.arange(photos), each), thin(rows, size))
    photograph = np.repeat(np.arange(photos), gallery.kept_of_each)
    np.testing.assert_array_equal(rows[photograph * each + gallery.places_of_kept], gallery.kept)
