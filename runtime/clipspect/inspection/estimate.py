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
    for number in known.values():
        _require_others(recipe, number)
    for photograph in photographs:  # one gallery more at a time: all of them would be the square of one
        with inspector.with_recipe(without_reference(recipe, known[photograph.content])) as alone:
            yield from alone.stream([photograph.item], keep_pictures=keep_pictures)


def without_reference(recipe: Recipe, number: int) -> Recipe:
    """The recipe less the rows of one reference. Raises RecipeError where that cannot be."""
    _require_others(recipe, number)
    tensors = dict(recipe.tensors)
    for name, kept in _kept(recipe).items():
        start = sum(kept[:number])
        rows = np.delete(tensors[name], slice(start, start + kept[number]), axis=0)
        rows.flags.writeable = False  # nobody else has it: a recipe need not copy it
        tensors[name] = rows
    return dataclasses.replace(recipe, tensors=tensors)


def _require_others(recipe: Recipe, number: int) -> None:
    """Raises RecipeError where nothing is left of a gallery without that reference."""
    for kept in _kept(recipe).values():
        if sum(kept) == kept[number]:
            raise RecipeError(
                f"recipe {recipe.name!r}: without reference {number + 1} nothing is left of a gallery: an estimate "
                "needs two references at least, and rows of both"
            )


def _kept(recipe: Recipe) -> dict[str, list[int]]:
    """By gallery, how many rows each reference has in it. Raises RecipeError where the recipe does not say."""
    galleries = (recipe.references or {}).get("galleries", {})
    names = [name for name in recipe.tensors if name.startswith(REFERENCE)]
    if not names or not all("kept" in galleries.get(name.removeprefix(REFERENCE), {}) for name in names):
        raise RecipeError(
            f"recipe {recipe.name!r} does not say which rows are of which reference: there is no estimate for it"
        )
    return {name: galleries[name.removeprefix(REFERENCE)]["kept"] for name in names}
