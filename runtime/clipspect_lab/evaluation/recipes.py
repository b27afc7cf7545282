"""Which recipe inspects a class: the bundle's own, or one made of the class's name, and of references for few-shot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.base.errors import ClipspectError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import BOTH, PHOTOS, WORDS
from clipspect.recipes.recipe import Recipe, check_recipe_name
from clipspect.recipes.shelf import open_recipe, recipe_names

_NAMES_ARE = 'expected a JSON object of names, such as {"pcb1": "printed circuit board"}'


@dataclass(frozen=True)
class RecipeChoice:
    """Where the words of a class's recipe come from."""

    object: str  # what the class is called in prompts
    recipe: str | None  # the bundle's recipe; None: made of `object`
    digest: str | None = None  # of the bundle's recipe
    note: str | None = None  # what a reader of the figures must know
    has_limits: bool = False  # as a recipe can that is the bundle's own
    words: bool = True  # False: references judge alone

    @property
    def identity(self) -> str:
        """Changes with whatever the words depend on besides the bundle."""
        if not self.words:
            return "photographs alone"
        return f"made of {self.object!r}" if self.recipe is None else f"{self.recipe!r} {self.digest}"


def role_of(bundle: Bundle, shots: int) -> str:
    """What judges: the words without `shots`, with them both where the bundle can, else the references alone."""
    if not shots:
        return WORDS
    return BOTH if BOTH in bundle.manifest.graphs else PHOTOS


def choose_class_recipe(
    bundle: Bundle, class_name: str, names: Mapping[str, str], recipe: str | None = None, shots: int = 0
) -> RecipeChoice:
    """The recipe asked for; else the bundle's of that name; else one of the name; else the bundle's only one.

    A class's name, for prompts and recipes, is that of `names`, or its own with spaces for underscores. Raises
    RecipeError when there is nothing to take, or when without `shots` the recipe has references of its own. With
    `shots` a bundle that compares with references alone reads no words.
    """
    name = names.get(class_name, class_name.replace("_", " "))
    there = recipe_names(bundle)
    manifest = bundle.manifest
    if recipe is not None:
        return _from_bundle(bundle, recipe, shots)
    if role_of(bundle, shots) == PHOTOS:
        check_recipe_name(name)
        return RecipeChoice(name, None, words=False)
    if manifest.text is None:
        raise RecipeError(f"{bundle.path}: this bundle reads no words, it goes by photos of good parts: add --shots K")
    if name in there:
        return _from_bundle(bundle, name, shots)
    if manifest.text.ensemble is not None and manifest.text_encoder is not None:
        check_recipe_name(name)
        return RecipeChoice(name, None)
    if len(there) == 1:
        return _from_bundle(bundle, there[0], shots, f"the bundle's only recipe, {there[0]!r}, whatever the class is")
    raise RecipeError(
        f"class {class_name!r}: no recipe {name!r} in {bundle.path} and no text encoder to make one with: choose one "
        "with --recipe or --names, or export the bundle with --with-text-encoder"
    )


def _from_bundle(bundle: Bundle, name: str, shots: int, note: str | None = None) -> RecipeChoice:
    """The words of a recipe of the bundle. One with references would make few-shot figures that say zero-shot."""
    recipe = open_recipe(bundle, name)
    if recipe.has_references and not shots:
        raise RecipeError(
            f"recipe {name!r} has references, and an evaluation without --shots has none: choose another with --recipe "
            "or --names, or add --shots K, which takes its words and draws references"
        )
    return RecipeChoice(recipe.object, name, recipe.digest, note, not shots and recipe.limits is not None)


def make(bundle: Bundle, choice: RecipeChoice, references: Sequence[Path], backend: str | None, options: Any) -> Recipe:
    """The recipe itself, in memory. Raises RecipeError, ImageError, BackendError."""
    from clipspect.recipes.make import make_recipe

    if choice.recipe is not None and not references:
        return open_recipe(bundle, choice.recipe)
    name = choice.object if choice.recipe is None else choice.recipe
    words_from: dict[str, Any] = {"object": choice.object} if choice.recipe is None else {"like": choice.recipe}
    if not choice.words:
        words_from = {}
    looking: dict[str, Any] = {}
    if choice.recipe is not None:  # as it looks at frames, so do the recipes that take its words
        given = open_recipe(bundle, choice.recipe)
        looking = {"region_of_interest": given.region_of_interest, "tiling": given.tiling}
    return make_recipe(bundle, name, **words_from, references=references, **looking, backend=backend, **options)


def read_names(path: Path) -> dict[str, str]:
    """A JSON object of class names and what prompts call them. Raises ClipspectError."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ClipspectError(f"{path}: cannot be read as JSON ({error}): {_NAMES_ARE}") from error
    if not isinstance(document, dict) or not all(isinstance(name, str) and name for name in document.values()):
        raise ClipspectError(f"{path}: {_NAMES_ARE}")
    return document
