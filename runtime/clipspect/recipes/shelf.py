"""The recipes of a bundle: which there are, one of them, and the graph that serves it."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.bundle.manifest import RECIPES
from clipspect.engines.graph import BOTH, IMAGE
from clipspect.recipes.recipe import RECIPE_SUFFIX, Recipe, choose_recipe, is_recipe_name, read_recipe


def serving(bundle: Bundle, recipe: Recipe) -> InspectionGraph:
    """The graph that takes the recipe's tensors. Raises RecipeError."""
    graph = bundle.manifest.graphs.get(recipe.judge)
    if graph is None and recipe.judge == BOTH:
        raise RecipeError(
            f"recipe {recipe.name!r} has references, the bundle has no few-shot graph: export it with --few-shot"
        )
    if graph is None:
        raise RecipeError(
            f"recipe {recipe.name!r} is judged by {recipe.judge}, for which this clipspect knows no graph in the "
            f"bundle, but for {', '.join(bundle.manifest.graphs)}: make the recipe again for this bundle"
        )
    expected = {name: spec.shape for name, spec in graph.inputs.items() if name != IMAGE}
    if set(recipe.tensors) != set(expected):
        raise RecipeError(
            f"recipe {recipe.name!r} holds {', '.join(sorted(recipe.tensors))}, but the graph takes "
            f"{', '.join(sorted(expected))}: make the recipe again for this bundle"
        )
    for name, shape in expected.items():
        found = recipe.tensors[name].shape
        if not _fits(found, shape):
            raise RecipeError(
                f"recipe {recipe.name!r}: {name} has the shape {found}, the graph takes "
                f"({', '.join(map(str, shape))}): make the recipe again for this bundle"
            )
    return graph


def recipe_names(bundle: Bundle) -> list[str]:
    """Names of the recipes in the bundle, sorted."""
    names = [path.name[: -len(RECIPE_SUFFIX)] for path in (bundle.path / RECIPES).glob(f"*{RECIPE_SUFFIX}")]
    return sorted(name for name in names if is_recipe_name(unicodedata.normalize("NFC", name)))


def open_recipe(bundle: Bundle, recipe: str | os.PathLike[str] | None = None) -> Recipe:
    """The recipe of that name or in that file; without either, the bundle's only one.

    Where the bundle must be signed, so must the recipe, by the same key. Raises RecipeError, SignatureError.
    """
    return own(bundle, read_recipe(recipe_path(bundle, recipe), bundle.key))


def recipe_path(bundle: Bundle, recipe: str | os.PathLike[str] | None = None) -> Path:
    """Where it lies: what ends in .safetensors is a path, all else a name in the bundle. Raises RecipeError."""
    if recipe is not None and is_recipe_path(recipe):
        return Path(recipe)
    chosen = choose_recipe(recipe_names(bundle), None if recipe is None else os.fspath(recipe), bundle.path)
    return bundle.path / RECIPES / f"{chosen}{RECIPE_SUFFIX}"


def is_recipe_path(recipe: str | os.PathLike[str]) -> bool:
    """Whether a recipe is given as a file, which can lie outside the bundle."""
    return os.fspath(recipe).endswith(RECIPE_SUFFIX)


def recipe_for(bundle: Bundle, recipe: str | os.PathLike[str] | Recipe | None) -> Recipe:
    """A recipe in memory, or that of a name or file, if it was made for this bundle.

    One in memory is the caller's own work, of which no signature is asked. Raises RecipeError, SignatureError.
    """
    return own(bundle, recipe) if isinstance(recipe, Recipe) else open_recipe(bundle, recipe)


def own(bundle: Bundle, recipe: Recipe) -> Recipe:
    """The recipe itself, if it was made for this bundle. Raises RecipeError."""
    recipe.require(
        method=bundle.manifest.method,
        encoder_sha256=bundle.manifest.backbone.weights.encoder_sha256,
        dim=None if bundle.manifest.text is None else bundle.manifest.text.dim,
        parameters=bundle.manifest.parameters,
    )
    return recipe


def _fits(found: tuple[int, ...], shape: tuple[int | str, ...]) -> bool:
    """Whether an array's shape is one of those that a tensor can have; a name stands for any length from 1."""
    return len(found) == len(shape) and all(
        length >= 1 if isinstance(side, str) else length == side for length, side in zip(found, shape)
    )
