"""`clipspect recipe`: make a recipe on the box, from words, from photos of good parts, or both."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.cli.arguments import add_bundle, add_engine, count, engine_options, open_bundle
from clipspect.cli.limit_words import Rows
from clipspect.cli.recipe_place import add_out, name_at, new_place, old_recipe, replaces
from clipspect.cli.tiles import add_tiles, tiling_of
from clipspect.cli.window_words import made_again_rows
from clipspect.engines.graph import PHOTOS
from clipspect.recipes.judge import JUDGES

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """Make a recipe on the box, without torch: from words, with the bundle's text encoder, or from photos of
good parts, with its few-shot or memory graph, or both. Photos that are judged with words, and come without, take those
of a recipe that is there: the one called NAME, else the bundle's only one."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "recipe", help="make a recipe from words and photos of good parts", description=_DESCRIPTION
    )
    add_bundle(parser, help="bundle folder")
    parser.add_argument("name", metavar="NAME", help="of the recipe")
    words = parser.add_argument_group("words", "need a bundle that was exported with --with-text-encoder")
    words.add_argument(
        "--object",
        metavar="TEXT",
        help="what is inspected (default: NAME; with references alone, the words of a recipe that is there)",
    )
    words.add_argument("--normal", metavar="PROMPT", nargs="+", default=[], help="complete prompts of a good part")
    words.add_argument("--anomalous", metavar="PROMPT", nargs="+", default=[], help="and of a defective one")
    words.add_argument("--ensemble", metavar="NAME|FILE", help="prompts, by name or in a .toml file")
    words.add_argument("--prompt-fusion", choices=["mean", "max"], help="average them, or count by the closest")
    words.add_argument("--like", metavar="RECIPE", help="take the words of this recipe (needs no text encoder)")
    photos = parser.add_argument_group("references", "need a bundle that was exported with --few-shot or --memory")
    photos.add_argument("--references", metavar="PATH", nargs="+", default=[], help="images, folders, globs")
    photos.add_argument("--gallery-size", metavar="N", type=count, help="rows to keep of a gallery (default: all)")
    photos.add_argument(
        "--rotations", action="store_true", help="see each photo in turns of 45 degrees, too: parts that lie anyhow"
    )
    parser.add_argument(
        "--judge",
        choices=JUDGES,
        help="judge by words, by photos alone, or by both (default: words; with references both, where the bundle can, "
        "else photos)",
    )
    add_tiles(parser)
    add_engine(parser)
    add_out(parser, "recipes/NAME.safetensors in the bundle")
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace the recipe NAME; its limits go with it, its history, region of interest and tiles stay",
    )


def run(args: argparse.Namespace) -> int:
    from clipspect.cli.progress import ProgressBar
    from clipspect.recipes.history import made_again
    from clipspect.recipes.make import make_recipe
    from clipspect.recipes.recipe import write_recipe
    from clipspect.sources.files import find_images

    bundle = open_bundle(args)
    path = new_place(args, bundle, args.name, args.out)
    args.name = name_at(path)
    replaced = replaces(path, force=args.force)
    old = old_recipe(bundle, path) if replaced else None
    paths = find_images(args.references)
    taken_from = _words_taken_from(args, bundle)
    with ProgressBar() as bar:
        recipe = make_recipe(
            bundle,
            args.name,
            object=args.object,
            normal=args.normal,
            anomalous=args.anomalous,
            ensemble=args.ensemble,
            fusion=args.prompt_fusion,
            like=args.like,
            references=paths,
            judge=args.judge,
            rotations=args.rotations,
            gallery_size=args.gallery_size,
            tiling=tiling_of(args, bundle, old),
            region_of_interest=None if old is None else old.region_of_interest,
            backend=args.backend,
            progress=bar,
            **engine_options(args),
        )
    if old is not None:
        recipe = made_again(recipe, old, why="the recipe was made again, with --force")
    write_recipe(path, recipe)
    rows = [*_rows(recipe, path, taken_from, replaced), *made_again_rows(old)]
    print("\n".join(f"{name:18}{value}" for name, value in rows))
    return 0


def _words_taken_from(args: argparse.Namespace, bundle: Bundle) -> str | None:
    """The recipe whose words are taken, if any is. Raises RecipeError where the bundle cannot judge as it is asked."""
    from clipspect.recipes.judge import choose_judge
    from clipspect.recipes.words import WordsRequest, recipe_to_take_words_from

    asked = WordsRequest(args.object, args.normal, args.anomalous, args.ensemble, args.prompt_fusion)
    words = bool(asked) or args.like is not None
    judge = choose_judge(bundle, args.judge, words=words, photos=bool(args.references))
    if judge == PHOTOS or asked or not (args.like or args.references):
        return None
    return recipe_to_take_words_from(bundle, args.name, args.like)


def _rows(recipe: Recipe, path: Path, taken_from: str | None, replaces: bool) -> Rows:
    others = f", those of recipe {taken_from!r}" if taken_from is not None else ""
    rows = [
        ("recipe", f"{path}{', replaced; limits that it had are gone' if replaces else ''}"),
        ("judged by", recipe.judge),
        *([] if recipe.judge == PHOTOS else [("words", f"{prompt_words(recipe)}{others}")]),
    ]
    if recipe.tiling is not None:
        rows.append(("seen in", recipe.tiling.words()))
    if recipe.references is not None:
        rows += _reference_rows(recipe, recipe.references)
    return rows


def _reference_rows(recipe: Recipe, references: dict[str, Any]) -> list[tuple[str, str]]:
    from clipspect.engines.graph import REFERENCE
    from clipspect.recipes.references import reference_sizes, size_words

    sizes = reference_sizes(references)
    turned = f", each in {references['rotations']} turns" if "rotations" in references else ""
    pixels = ", ".join(map(size_words, sizes))
    squashed = "; all are squashed to the model's" if len(sizes) > 1 else ""
    rows = [("references", f"{references['count']} of {pixels} pixels{squashed}{turned}")]
    if subspace := references.get("subspace"):
        share = f"{subspace['explained']:.2%} of the variance of {subspace['rows']} patches"
        rows.append(("subspace", f"{subspace['rank']} components, {share}"))
    for name, gallery in references.get("galleries", {}).items():
        rows.append((f"gallery {name}", _gallery_words(gallery, dim=recipe.tensors[REFERENCE + name].shape[1])))
    if spread := references.get("spread"):
        rows.append(("spread", f"{', '.join(f'{value:.3g}' for value in spread)}, by which distances are divided"))
    if effect := references.get("thinning"):
        change = f"{effect['largest']:.2g} at most, {effect['mean']:.2g} on average"
        rows.append(("thinning", f"changes the references' own maps by {change} ({effect['images']} images)"))
    if limits := references.get("map_limits"):
        hint = " (one photo and its mirror images: more photos say more)" if references["count"] == 1 else ""
        rows.append(("map limits", f"{limits[0]:.4g} to {limits[1]:.4g}, of the map's maximum on good parts{hint}"))
    return rows


def _gallery_words(gallery: dict[str, Any], dim: int) -> str:
    rows, of, size = gallery["rows"], gallery["of"], 4 * dim  # bytes of a row
    if rows == of:
        return f"{rows} rows, {in_bytes(rows * size)}"
    farthest, average = gallery["largest_distance"], gallery["mean_distance"]
    return (
        f"{rows} of {of} rows, {in_bytes(rows * size)} of {in_bytes(of * size)}; cosine distance of a dropped row to "
        f"the nearest kept one {farthest:.2g} at most, {average:.2g} on average"
    )


def in_bytes(count: float) -> str:
    """A size in the unit that suits it."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def prompt_words(recipe: Recipe) -> str:
    """What a recipe's text features were made of."""
    if recipe.judge == PHOTOS:
        return "photos alone"
    prompts = recipe.prompts
    if not {"normal", "anomalous", "templates", "fusion"} <= prompts.keys():
        return f"object {recipe.object!r}, {recipe.text_features.shape[1]} prompt(s) a state"
    counts = [len(prompts[state]) * len(prompts["templates"]) for state in ("normal", "anomalous")]
    return f"object {recipe.object!r}, {counts[0]} normal and {counts[1]} anomalous prompts, {prompts['fusion']}"
