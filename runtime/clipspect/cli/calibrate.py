"""`clipspect calibrate`: a recipe's limits from good parts, with what they promise; or by hand."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import RecipeError
from clipspect.cli.arguments import add_bundle, add_engine, engine_options, number, open_bundle, rate, share_of_work
from clipspect.cli.limit_words import Rows, limit_rows, scorer_rows
from clipspect.cli.recipe_place import add_out, changed_place, name_at
from clipspect.cli.window_words import window_rows

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """Set the limits of a recipe by photographs of good parts that are not in its gallery: of good parts to
come at most --false-reject-rate fail, at most --uncertain are not passed, with --confidence. Nothing is written where
that cannot be promised, unless --anyway. The parts with the highest scores are listed: look at them, and --strike one
that is not good, with --good again. With other rates and without --good the limits are found again from the scores that
the recipe keeps. docs/limits.md says what a promise is worth."""

_FEWEST_LISTED, _MOST_LISTED = 5, 20  # of the highest scores; in between, those that make the limit
WIDTH = 16


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "calibrate", help="set a recipe's limits by good parts, with a promise", description=_DESCRIPTION
    )
    add_bundle(parser)
    parser.add_argument("recipe", metavar="RECIPE", help="recipe of the bundle, or the path of a recipe's file")
    add_parts(parser, required=False)
    parser.add_argument(
        "--strike",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="parts of --good that a person found not to be good, as they were listed: they count no more, and stay on "
        "record",
    )
    parser.add_argument(
        "--anyway", action="store_true", help="with too few parts: take the largest score, and say what it is worth"
    )
    parser.add_argument(
        "--estimate",
        action="store_true",
        help="--good are the recipe's references, each scored without its own rows: an estimate, nothing is promised",
    )
    parser.add_argument(
        "--cascade",
        metavar="P",
        type=share_of_work,
        help="encode WinCLIP's windows two patches apart first, and all of them only where these are over a limit, so "
        "that good parts take this share of the work, as 50%%; 100%% for all windows. What it changes is measured",
    )
    by_hand = parser.add_argument_group("by hand", "limits without photographs: nothing is promised")
    by_hand.add_argument("--review", metavar="X", type=number, help="scores from here are uncertain")
    by_hand.add_argument("--reject", metavar="X", type=number, help="scores from here fail")
    by_hand.add_argument("--map", metavar="X", type=number, help="regions are where the anomaly map is over this")
    parser.add_argument("--why", metavar="TEXT", help="reason, for the recipe's history")
    add_engine(parser)
    add_out(parser, "the recipe's own file")
    parser.add_argument(
        "--report", metavar="FILE", type=Path, help="write the page that says what the verdict is worth"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def add_parts(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Which parts limits come from, and what is to be promised of them."""
    from clipspect.recipes.promise import CONFIDENCE, FALSE_REJECT_RATE, UNCERTAIN, percent

    parser.add_argument(
        "--good", metavar="PATH", nargs="+", default=[], required=required, help="good parts: images, folders, globs"
    )
    parser.add_argument(
        "--defective", metavar="PATH", nargs="+", default=[], help="defective parts, scored beside: what is caught"
    )
    for name, words, default in (
        ("--false-reject-rate", "good parts that at most fail", percent(FALSE_REJECT_RATE)),
        (
            "--uncertain",
            "good parts that are at most not passed, or show a region",
            f"{percent(UNCERTAIN)}, or --false-reject-rate if that is more",
        ),
        ("--confidence", "of both", percent(CONFIDENCE)),
    ):
        text = f"{words}, as 1% or 0.01 (default: {default})"
        parser.add_argument(name, metavar="P", type=rate, help=text.replace("%", "%%"))
    parser.add_argument(
        "--group",
        metavar="PATTERN",
        help="regular expression whose first group, or match, in a path below its folder names the part: its frames "
        "count once, by their maximum",
    )


def rates_of(args: argparse.Namespace) -> dict[str, float]:
    """Those that are given."""
    given = {name: getattr(args, name) for name in ("false_reject_rate", "uncertain", "confidence")}
    return {name: value for name, value in given.items() if value is not None}


def run(args: argparse.Namespace) -> int:
    from clipspect.recipes.history import with_limits
    from clipspect.recipes.limits import Limits
    from clipspect.recipes.recalibrate import recalibrated
    from clipspect.recipes.recipe import write_recipe
    from clipspect.recipes.shelf import open_recipe, recipe_path

    bundle = open_bundle(args)
    by_hand = _asked_by_hand(args)
    path = changed_place(args, bundle, recipe_path(bundle, args.recipe), args.out)
    old = dataclasses.replace(open_recipe(bundle, args.recipe), name=name_at(path))
    if by_hand:
        limits = Limits(args.review, args.reject, args.map)
        kept = None if old.calibration is None else dataclasses.replace(old.calibration, by_hand=True)
        recipe = with_limits(old, limits, kept, why=args.why or "given by hand")
        write_recipe(path, recipe)
    elif not args.good:
        recipe = recalibrated(old, **rates_of(args), anyway=args.anyway, why=args.why)
        write_recipe(path, recipe)
    else:
        recipe = _calibrated(args, bundle, old, path)
    print(json.dumps(calibration_document(recipe, path), indent=2) if args.json else _page(recipe, path))
    return 0


def _asked_by_hand(args: argparse.Namespace) -> bool:
    """Whether the limits are given. Raises RecipeError where it is unclear."""
    given = [value is not None for value in (args.review, args.reject, args.map)]
    of_photographs = ("strike", "defective", "estimate", "group", "report", "backend", "cascade")
    ignored = [name for name in of_photographs if getattr(args, name)] + list(engine_options(args))
    if ignored and not args.good:
        option = f"--{ignored[0].replace('_', '-')}"
        raise RecipeError(f"{option} goes with photographs of good parts: give them with --good PATH, or leave it out")
    of_scores = args.anyway or bool(rates_of(args))
    if any(given) and (args.good or of_scores):
        raise RecipeError("limits are given by hand (--review, --reject, --map) or found from --good: leave one out")
    if any(given) and not all(given[:2]):
        raise RecipeError("limits by hand: give both --review and --reject, --map besides if wanted")
    if not (any(given) or args.good or of_scores):
        raise RecipeError(
            "give photographs of good parts with --good PATH, or limits by hand with --review and --reject"
        )
    return any(given)


def _calibrated(args: argparse.Namespace, bundle: Bundle, old: Recipe, path: Path) -> Recipe:
    """The recipe with limits from good parts, written, and its report with it."""
    from clipspect.cli.progress import ProgressBar
    from clipspect.inspection.calibrate import calibrate
    from clipspect.inspection.load import load
    from clipspect.recipes.recipe import write_recipe
    from clipspect.sinks.report import write_report
    from clipspect.sinks.report_pictures import WorstPictures
    from clipspect.sources.registry import files

    good, defective = files(*args.good), files(*args.defective)
    worst, nearest = WorstPictures(), WorstPictures(lowest=True)
    with (
        ProgressBar("image") as bar,
        load(bundle, old, args.backend, verdicts=False, **engine_options(args)) as inspector,
    ):
        recipe = calibrate(
            inspector,
            good,
            **rates_of(args),
            group=args.group,
            strike=args.strike,
            defective=defective,
            anyway=args.anyway,
            estimate=args.estimate,
            why=args.why,
            cascade=args.cascade,
            pictures=None if args.report is None else (worst, nearest),
            progress=bar,
        )
        map_range = inspector.map_range
    write_recipe(path, recipe)
    if args.report is not None:
        named = bundle.path.resolve().name
        write_report(args.report, recipe, worst.pictures, defects=nearest.pictures, bundle=named, map_range=map_range)
    return recipe


def _page(recipe: Recipe, path: Path) -> str:
    rows = [
        ("recipe", str(path)),
        *limit_rows(recipe),
        *scorer_rows(recipe),
        *window_rows(recipe),
        *defect_rows(recipe),
    ]
    lines = [f"{name:{WIDTH}}{value}" for name, value in rows]
    return "\n".join([*lines, *highest_lines(recipe)])


def defect_rows(recipe: Recipe) -> Rows:
    """What is known of escapes: never nothing."""
    from clipspect.recipes.defects import defects_of

    found = defects_of(recipe)
    return [("escape rate", "unknown: the recipe has no limits")] if found is None else found.rows()


def highest_lines(
    recipe: Recipe, remedy: str = "take one out that is not with --good again and --strike FILE"
) -> list[str]:
    """The good parts with the highest scores, by which the limits stand or fall."""
    if recipe.calibration is None:
        return []
    counting = [part for part in recipe.calibration.parts if not part.struck]
    promise = None if recipe.limits is None else recipe.limits.reject_promise
    rank = promise.rank if promise is not None else 1
    listed = sorted(counting, key=lambda part: -part.score)[: min(max(rank, _FEWEST_LISTED), _MOST_LISTED)]
    lines = ["", f"the highest scores: are these parts good? {remedy}"]
    for part in listed:
        group = f"  (part {part.name})" if part.name != part.worst_frame else ""
        lines.append(f"  {part.score:<{WIDTH - 2}.6g}{part.worst_frame}{group}")
    return lines


def calibration_document(recipe: Recipe, path: Path) -> dict[str, Any]:
    """What there is to say of limits, for programs."""
    from clipspect.recipes.defects import defects_of

    document, defects = recipe.document(), defects_of(recipe)
    kept = {key: document[key] for key in ("name", "limits", "calibration", "history")}
    kept |= {"windows": document["windows"]} if "windows" in document else {}
    return {"path": str(path), **kept, "defects": None if defects is None else defects.document()}
