"""Where a command writes a recipe: into its bundle, over the file that was named, or to --out. Never into the demo."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.base.errors import RecipeError
from clipspect.base.lock import only_writer_of
from clipspect.recipes.recipe import RECIPE_SUFFIX, Recipe, check_recipe_name, read_recipe
from clipspect.recipes.shelf import is_recipe_path

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """--out."""
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help=f"write the recipe to this {RECIPE_SUFFIX} file, whose name becomes its own (default: {default}); "
        "commands take its path in the place of a recipe's name",
    )


def new_place(args: argparse.Namespace, bundle: Bundle, recipe: str, out: Path | None) -> Path:
    """The file of a recipe that is made, a name or a path; `out` goes before it. No other command writes there until
    this one has ended. Raises RecipeError.
    """
    if out is not None or is_recipe_path(recipe):
        path = Path(recipe) if out is None else out
        if not is_recipe_path(path):
            raise RecipeError(f"{path}: a recipe's file is called NAME{RECIPE_SUFFIX}: give it such a name")
        check_recipe_name(path.name[: -len(RECIPE_SUFFIX)])
    else:
        path = bundle.path / "recipes" / f"{check_recipe_name(recipe)}{RECIPE_SUFFIX}"
    copied = f"copy the folder {bundle.path} and make the recipe in the copy"
    _refuse_in_demo(bundle, path, f"give --out NAME{RECIPE_SUFFIX}, or {copied}")
    args.held.enter_context(only_writer_of(path, RecipeError))
    return path


def own_place(args: argparse.Namespace, bundle: Bundle, recipe: Path) -> Path:
    """The file of a recipe that is changed where it is, by a command without --out. No other command writes there
    until this one has ended. Raises RecipeError.
    """
    _refuse_in_demo(bundle, recipe, f"copy {recipe} to a folder of your own, and give the copy's path")
    args.held.enter_context(only_writer_of(recipe, RecipeError))
    return recipe


def changed_place(args: argparse.Namespace, bundle: Bundle, recipe: Path, out: Path | None) -> Path:
    """Where a recipe that is there goes, changed: over its own file, or to an `out` that is not there yet. No other
    command writes there until this one has ended. Raises RecipeError.
    """
    path = new_place(args, bundle, str(recipe), out)
    if out is not None and os.path.lexists(path):
        raise RecipeError(f"{path} exists: give that path in the place of the recipe's name, or choose another --out")
    return path


def _refuse_in_demo(bundle: Bundle, path: Path, instead: str) -> None:
    if bundle.is_embedded and path.resolve().is_relative_to(bundle.path.resolve()):
        raise RecipeError(f"the demo bundle is part of the installation and takes no recipes: {instead}")


def name_at(path: Path) -> str:
    """The name of the recipe in that file."""
    return path.name[: -len(RECIPE_SUFFIX)]


def replaces(path: Path, *, force: bool) -> bool:
    """Whether a recipe is replaced. Raises RecipeError where none may be."""
    exists = os.path.lexists(path)
    if exists and not force:
        raise RecipeError(f"{path} exists: choose another name, or replace it with --force")
    return exists


def old_recipe(bundle: Bundle, path: Path) -> Recipe | None:
    """The recipe that is replaced, for its history; None where it is damaged, and has none that could be told."""
    try:
        return read_recipe(path, bundle.key)
    except RecipeError:
        return None
