"""The estimate from the references alone: each is scored against a gallery without its own rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from clipspect.base.errors import RecipeError
from clipspect.engines.graph import REFERENCE
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.photographs import Photograph, references_of
from clipspect.recipes.recipe import Recipe


def estimated(inspector: Inspector, photographs: Sequence[Photograph], *, keep_pictures: bool) -> Iterator[Outcome]:
    """The references' outcomes in their order. Raises RecipeError where the photographs are not the references."""
    recipe = inspector.recipe
    known = references_of(recipe)
    if not known:
        raise RecipeError(f"recipe {recipe.name!r} has no references to estimate with: calibrate on good parts")
    strangers = [photograph.name for photograph in photographs if photograph.content not in known]
    if strangers:
        raise RecipeError(f"{strangers[0]} is not one of the references: an estimate is of these alone")
    missing = set(known.values()) - {known[photograph.content] for photograph in photographs}
    if missing:
        name = (recipe.references or {})["files"][min(missing)]["name"]
        raise RecipeError(f"the reference {name} is missing: an estimate needs all of them")
    others = [without_reference(recipe, known[photograph.content]) for photograph in photographs]
    for photograph, other in zip(photographs, others):
        with inspector.with_recipe(other) as alone:
            yield from alone.stream([photograph.item], keep_pictures=keep_pictures)


def without_reference(recipe: Recipe, number: int) -> Recipe:
    """The recipe less the rows of one reference. Raises RecipeError where that cannot be."""
    galleries = (recipe.references or {}).get("galleries", {})
    tensors = dict(recipe.tensors)
    names = [name for name in tensors if name.startswith(REFERENCE)]
    if not names or not all("kept" in galleries.get(name.removeprefix(REFERENCE), {}) for name in names):
        raise RecipeError(
            f"recipe {recipe.name!r} does not say which rows are of which reference: there is no estimate for it"
        )
    for name in names:
        kept = galleries[name.removeprefix(REFERENCE)]["kept"]
        start = sum(kept[:number])
        tensors[name] = np.delete(tensors[name], slice(start, start + kept[number]), axis=0)
        if not len(tensors[name]):
            raise RecipeError(
                f"recipe {recipe.name!r}: without reference {number + 1} nothing is left of a gallery: an estimate "
                "needs two references at least, and rows of both"
            )
    return dataclasses.replace(recipe, tensors=tensors)
