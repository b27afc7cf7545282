"""`clipspect teach`: one folder of good photographs in, a recipe with limits and its report out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.cli.arguments import add_bundle, add_engine, engine_options, open_bundle, whole_number
from clipspect.cli.calibrate import WIDTH, add_parts, calibration_document, defect_rows, highest_lines, rates_of
from clipspect.cli.limit_words import limit_rows, scorer_rows, too_few_words
from clipspect.cli.recipe_place import add_out, name_at, new_place, old_recipe, replaces
from clipspect.cli.tiles import add_tiles, tiling_of
from clipspect.cli.window_words import made_again_rows
from clipspect.engines.graph import PHOTOS
from clipspect.recipes.judge import JUDGES

if TYPE_CHECKING:
    from clipspect.inspection.teach import Taught
    from clipspect.recipes.limits import Promise
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """Make a recipe of photographs of good parts, with limits, in one step: the shortest way to a verdict.
Where the bundle can compare with photographs, some become references: those of a third of the parts, drawn by chance,
that differ most from each other. The other parts set the limits. Too few parts for --false-reject-rate give limits all
the same, and it is said what they are worth. docs/limits.md says more."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "teach", help="make a recipe with limits from photographs of good parts", description=_DESCRIPTION
    )
    add_bundle(parser)
    parser.add_argument("name", metavar="NAME", help="of the recipe")
    add_parts(parser, required=True)
    parser.add_argument(
        "--object", metavar="TEXT", help="what is inspected (default: NAME, or the words of the bundle's only recipe)"
    )
    parser.add_argument(
        "--judge",
        choices=JUDGES,
        help="words, photos, or both (default: both where the bundle has a few-shot graph, else photos where it has a "
        "memory, else words; with --defective the one that fails most of them)",
    )
    parser.add_argument(
        "--references",
        metavar="N",
        type=whole_number,
        help="photographs that others are compared with (default: 16, in tiles 4, fewer of few; 0: words alone)",
    )
    add_tiles(parser)
    add_engine(parser)
    add_out(parser, "recipes/NAME.safetensors in the bundle; NAME.safetensors here for the demo")
    parser.add_argument(
        "--force", action="store_true", help="replace the recipe NAME; its history, region of interest and tiles stay"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="of the page (default: beside the recipe, .html)")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.cli.progress import ProgressBar
    from clipspect.inspection.teach import teach
    from clipspect.recipes.history import made_again, with_limits
    from clipspect.recipes.recipe import RECIPE_SUFFIX, write_recipe
    from clipspect.sinks.report import write_report
    from clipspect.sinks.report_pictures import WorstPictures
    from clipspect.sources.registry import files

    bundle = open_bundle(args)
    here = Path(f"{args.name}{RECIPE_SUFFIX}") if bundle.is_embedded and args.out is None else args.out
    path = new_place(args, bundle, args.name, here)
    old = old_recipe(bundle, path) if replaces(path, force=args.force) else None
    good, defective = files(*args.good), files(*args.defective)
    pictures = {judge: (WorstPictures(), WorstPictures(lowest=True)) for judge in JUDGES}
    with ProgressBar("image") as bar:
        taught = teach(
            bundle,
            name_at(path),
            good,
            object=args.object,
            judge=args.judge,
            defective=defective,
            references=args.references,
            tiling=tiling_of(args, bundle, old),
            **rates_of(args),
            group=args.group,
            region_of_interest=None if old is None else old.region_of_interest,
            backend=args.backend,
            pictures=pictures,
            progress=bar,
            **engine_options(args),
        )
    recipe = taught.recipe
    worst, nearest = pictures[recipe.judge]
    if old is not None:
        bare = dataclasses.replace(recipe, limits=None, calibration=None)
        gone = made_again(bare, old, why="taught again, with --force")
        recipe = with_limits(gone, recipe.limits, recipe.calibration, why=recipe.history[-1].why)
    write_recipe(path, recipe)
    report = path.with_suffix(".html") if args.report is None else args.report
    named = bundle.path.resolve().name
    write_report(report, recipe, worst.pictures, defects=nearest.pictures, bundle=named, map_range=taught.map_range)
    if args.json:
        document = calibration_document(recipe, path)
        compared = {"references": taught.references, "failed_by": taught.caught, "not_tried": taught.not_tried}
        print(json.dumps({**document, **compared, "report": str(report)}, indent=2))
    else:
        print(_page(args, taught, old, path, report))
    for line in _warnings(taught):
        print(f"clipspect: {line}", file=sys.stderr)
    return 0


def _page(args: argparse.Namespace, taught: Taught, old: Recipe | None, path: Path, report: Path) -> str:
    recipe = taught.recipe
    rows = [
        ("recipe", str(path)),
        ("report", str(report)),
        ("judged by", _judged_by(taught)),
        *([] if recipe.tiling is None else [("seen in", recipe.tiling.words())]),
        *made_again_rows(old),
        *_caught_rows(taught),
        *limit_rows(recipe),
        *scorer_rows(recipe),
        *defect_rows(recipe),
    ]
    lines = [f"{name:{WIDTH}}{value}" for name, value in rows]
    named = recipe.name if args.out is None and args.bundle != "demo" else str(path)
    remedy = "move the file of one that is not away, and teach again with --force"
    inspect = f"clipspect run {shlex.quote(args.bundle)} SOURCE --recipe {shlex.quote(named)}"
    return "\n".join([*lines, *highest_lines(recipe, remedy), "", f"inspect with: {inspect}"])


def _judged_by(taught: Taught) -> str:
    words = f"the words of {taught.recipe.object!r}"
    if not taught.references:
        return f"{words} alone"
    left, count = taught.left_aside, len(taught.references)
    aside = f"; {left} more of their parts {'is' if left == 1 else 'are'} left aside" if left else ""
    photos = "1 reference" if count == 1 else f"{count} references"
    return f"{photos} alone{aside}" if taught.recipe.judge == PHOTOS else f"{words} and {photos}{aside}"


def _caught_rows(taught: Taught) -> list[tuple[str, str]]:
    """Which judge catches how many of the defective parts, where several were tried."""
    calibration = taught.recipe.calibration
    if not taught.caught or calibration is None:
        return []
    found = ", ".join(f"{judge} {caught}" for judge, caught in taught.caught.items())
    return [
        ("", f"of {len(calibration.defects)} defective parts its limits fail: {found}; so {taught.recipe.judge} judge")
    ]


def _warnings(taught: Taught) -> list[str]:
    """What a person must know of these limits, loudly."""
    lines = [f"judged by {judge} it could not be compared: {why}" for judge, why in taught.not_tried.items()]
    limits = taught.recipe.limits
    promise = None if limits is None else limits.reject_promise
    if promise is not None and not promise.kept:
        worth = f"{too_few_words(promise)}{_parts_to_give(taught, promise)}"
        lines.append(f"the limits promise less than was asked for: {worth}")
    if taught.alike is not None:
        first, second = taught.alike
        lines.append(
            f"{first} and {second} look nearly the same: if photographs show one part, name the parts with --group, so "
            "that each counts once"
        )
    return lines


def _parts_to_give(taught: Taught, promise: Promise) -> str:
    """Those that calibrate and those that references were chosen from."""
    from clipspect.inspection.chosen_references import parts_for
    from clipspect.recipes.promise import parts_needed

    if not taught.references:
        return ""
    total = parts_for(parts_needed(promise.asked, promise.confidence), len(taught.references))
    return f"; give {total} in all, since references take a third of them"
