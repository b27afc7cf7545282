"""Words: the half of a recipe that says what is inspected, made by the bundle's text encoder or lent by a recipe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.prompts import MEAN, Ensemble, embedded_words, own_prompts, read_ensemble, require_fusion
from clipspect.recipes.shelf import open_recipe, recipe_names
from clipspect.recipes.text_encoder import TextEncoder


@dataclass(frozen=True)
class WordsRequest:
    """Words as a person gives them; nothing at all by default."""

    object: str | None = None
    normal: Sequence[str] = ()  # complete prompts
    anomalous: Sequence[str] = ()
    ensemble: str | os.PathLike[str] | None = None  # the name of a shipped one, or a TOML file
    fusion: str | None = None

    def __bool__(self) -> bool:
        single = (self.object, self.ensemble, self.fusion)
        return bool(self.normal or self.anomalous or any(item is not None for item in single))


@dataclass(frozen=True, eq=False)
class Words:
    """An object's name, what a recipe says of its prompts, and the text features (2, P, D)."""

    object: str
    prompts: dict[str, Any]
    features: npt.NDArray[np.float32] = field(repr=False)


def words_of_prompts(
    bundle: Bundle,
    asked: WordsRequest,
    name: str,
    *,
    backend: str | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Words:
    """The words asked for, through the text encoder; the object's name is `name` where none is given.

    Raises RecipeError: for a method with learned prompts, a bundle without a text encoder, prompts of one state only.
    """
    method, text = bundle.manifest.method, bundle.manifest.text
    if text is None:
        raise RecipeError(
            f"{bundle.path}: this {method} bundle reads no words: leave them out, and give --references PATH"
        )
    if text.ensemble is None:
        raise RecipeError(
            f"{bundle.path}: the prompts of this {method} bundle were learned, for any object: it takes no words; "
            "use the recipe that it came with"
        )
    object_name = name if asked.object is None else asked.object
    fusion = require_fusion(asked.fusion or MEAN)
    ensemble = _ensemble(asked, object_name, text.ensemble)
    ensemble.prompts(object_name)  # a name that is none is refused before an engine is loaded
    with TextEncoder.open(bundle, backend, **options) as encoder:
        found = embedded_words(
            ensemble, object_name, lambda prompts: encoder.embed(prompts, progress), fusion=fusion, mean=text.mean
        )
    return Words(object_name, found.recorded, found.features)


def words_of_recipe(bundle: Bundle, name: str) -> Words:
    """The words of another recipe. Raises RecipeError."""
    recipe = open_recipe(bundle, name)
    return Words(recipe.object, recipe.prompts, recipe.text_features)


def recipe_to_take_words_from(bundle: Bundle, name: str, like: str | None = None) -> str:
    """The name of the recipe whose words a new one, `name`, gets that is given none.

    `like`; else the one that is there under the name already; else the bundle's only one. Raises RecipeError.
    """
    names = recipe_names(bundle)
    if like is not None or name in names:
        return name if like is None else like
    if len(names) != 1:
        there = (
            f"several recipes to take them from: {', '.join(map(repr, names))}"
            if names
            else "no recipe to take them from"
        )
        raise RecipeError(f"recipe {name!r} has no words, and there is {there}: give --object TEXT or --like RECIPE")
    return names[0]


def _ensemble(asked: WordsRequest, object_name: str, default: str) -> Ensemble:
    if not (asked.normal or asked.anomalous):
        return read_ensemble(default if asked.ensemble is None else asked.ensemble)
    if asked.ensemble is not None:
        raise RecipeError("the prompts come from --ensemble or from --normal and --anomalous: leave one of the two out")
    if not (asked.normal and asked.anomalous):
        given, missing = ("--normal", "--anomalous") if asked.normal else ("--anomalous", "--normal")
        raise RecipeError(f"prompts for {given} but none for {missing}: a score compares both, give both")
    return own_prompts(asked.normal, asked.anomalous, object_name)
