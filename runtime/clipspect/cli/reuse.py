"""`clipspect reuse`: a recipe for a fixed camera keeps what windows said while their pixels stay as they are."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING

from clipspect.base.errors import RecipeError
from clipspect.cli.arguments import add_bundle, count, open_bundle

if TYPE_CHECKING:
    from clipspect.frame.spec import ImageSpec
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """For a fixed camera: WinCLIP's windows whose pixels have not changed since they were encoded are not
encoded again. With a tolerance of 0 grey levels, the default, the answers are those of all windows; sensor noise then
leaves little to reuse. --still measures the noise: frames of one scene in which nothing moves. What is compared are
the pixels that an embedding was made of, not the frame before, and everything is encoded again every --refresh frames.
How much time that saves depends on the camera: nothing is promised."""

WIDTH = 16


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "reuse", help="for a fixed camera: encode again what has changed", description=_DESCRIPTION
    )
    add_bundle(parser)
    parser.add_argument("recipe", metavar="RECIPE", help="recipe of the bundle, or the path of a recipe's file")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--tolerance", metavar="N", type=int, help="grey levels that a sample may have moved (default: 0, exact)"
    )
    how.add_argument("--still", metavar="PATH", nargs="+", help="frames in which nothing moves: the noise between them")
    how.add_argument("--off", action="store_true", help="encode all windows of every frame again")
    parser.add_argument("--refresh", metavar="N", type=count, help="encode everything every N frames (default: 100)")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.cli.recipe_place import own_place
    from clipspect.cli.window_words import window_rows
    from clipspect.engines import CPU
    from clipspect.inspection.window_use import wants_windows
    from clipspect.recipes.on_demand import OnDemand, Reuse
    from clipspect.recipes.recipe import write_recipe
    from clipspect.recipes.shelf import open_recipe, recipe_path

    bundle = open_bundle(args)
    path = own_place(args, bundle, recipe_path(bundle, args.recipe))
    old = open_recipe(bundle, args.recipe)
    if args.off and args.refresh is not None:
        raise RecipeError("--refresh belongs to what is reused: leave --off or --refresh out")
    cascade = None if old.windows is None else old.windows.cascade
    if args.off:
        plan = None if cascade is None else OnDemand(cascade)
    else:
        tolerance = _noise(args.still, bundle.manifest.image, old) if args.still else args.tolerance or 0
        plan = OnDemand(cascade, Reuse(tolerance, **({} if args.refresh is None else {"refresh": args.refresh})))
    recipe = dataclasses.replace(old, windows=plan)
    wants_windows(bundle, recipe, None, CPU, None)
    write_recipe(path, recipe)
    if args.json:
        print(json.dumps({"path": str(path), "windows": recipe.document().get("windows")}, indent=2))
        return 0
    rows = [("recipe", str(path)), *(window_rows(recipe) or [("windows", "all of every frame are encoded")])]
    if plan is not None and plan.reuse is not None and plan.reuse.tolerance and recipe.limits is not None:
        rows.append(("limits", "were calibrated on whole frames: with a tolerance, what they promise is not the same"))
    print("\n".join(f"{name:{WIDTH}}{value}" for name, value in rows))
    return 0


def _noise(paths: list[str], spec: ImageSpec, recipe: Recipe) -> int:
    """Of still frames as the recipe sees them: in a crop noise is averaged less. Raises RecipeError, ImageError."""
    from clipspect.frame.prepare import prepare
    from clipspect.inspection.window_reuse import noise_floor
    from clipspect.sources.files import find_images

    return noise_floor(prepare(frame, spec, viewing=recipe.viewing).pixels[0] for frame in find_images(paths))
