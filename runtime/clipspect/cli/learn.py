"""`clipspect learn`: what a recipe becomes by answers to its records, and whether that helps. Writes only if told."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import RecipeError
from clipspect.cli.arguments import add_bundle, open_bundle
from clipspect.cli.limit_words import limit_rows
from clipspect.cli.recipe_place import add_out, changed_place, name_at

if TYPE_CHECKING:
    from clipspect.inspection.answered import AnsweredPart
    from clipspect.inspection.learn import Counts, Learned
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """Learn from the answers that clipspect feedback collected: parts answered to be good raise the limits,
or become references; a recipe of words gets text features that know the answered parts. Each way is tried by leaving
one out: an answered part is judged by what was learned from all others. What changes scores needs --good, photographs
of the parts that limits came from before: they come anew from these. Nothing is written without --apply.
docs/feedback.md says more."""

_WIDTH = 28


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "learn", help="make a recipe better by answers to its records", description=_DESCRIPTION
    )
    add_bundle(parser)
    parser.add_argument("recipe", metavar="RECIPE", help="recipe of the bundle, or the path of a recipe's file")
    parser.add_argument(
        "results", metavar="RESULTS.jsonl", nargs="+", type=Path, help="logs whose answers are learned from"
    )
    parser.add_argument(
        "--good",
        metavar="PATH",
        nargs="+",
        default=[],
        help="the parts that calibrated, others aside: images, folders, globs",
    )
    parser.add_argument(
        "--defective", metavar="PATH", nargs="+", default=[], help="defective parts, scored beside --good"
    )
    parser.add_argument(
        "--by", choices=("limits", "gallery", "words"), help="this way alone (default: all that can be, the best one)"
    )
    parser.add_argument("--apply", action="store_true", help="write the recipe that is recommended, or that of --by")
    add_out(parser, "the recipe's own file")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.cli.progress import ProgressBar
    from clipspect.inspection.learn import WAYS, learn
    from clipspect.recipes.recipe import write_recipe
    from clipspect.recipes.shelf import open_recipe, recipe_path
    from clipspect.sources.registry import files

    if args.out is not None and not args.apply:
        raise RecipeError("--out says where --apply writes: give both, or leave it out")
    if args.defective and not args.good:
        raise RecipeError("--defective goes with --good PATH: give both, or leave it out")
    bundle = open_bundle(args)
    path = changed_place(args, bundle, recipe_path(bundle, args.recipe), args.out) if args.apply else None
    recipe = open_recipe(bundle, args.recipe)
    answers, others = _answers(args.results, bundle.digest, recipe)
    with ProgressBar("image") as bar:
        learned = learn(
            bundle,
            recipe,
            answers,
            files(*args.good),
            defective=files(*args.defective),
            ways=WAYS if args.by is None else (args.by,),
            source=", ".join(map(str, args.results)),
            progress=bar,
        )
    if others:
        learned = dataclasses.replace(learned, left_out=(*learned.left_out, others))
    chosen = args.by or learned.best
    written = None
    if path is not None and chosen is not None:
        written = path
        write_recipe(path, dataclasses.replace(learned.proposals[chosen].recipe, name=name_at(path)))
    print(json.dumps(_document(learned, chosen, written), indent=2) if args.json else _page(learned, recipe, chosen))
    for line in learned.left_out:
        print(f"clipspect: left out: {line}", file=sys.stderr)
    if args.json:
        return 0
    if written is not None:
        print(f"written: {written}")
    elif chosen is not None:
        print("nothing is written: look at the figures, then give --apply")
    return 0


def _answers(logs: list[Path], bundle: str, recipe: Recipe) -> tuple[list[AnsweredPart], str]:
    """Answers to what this recipe judged, or what it was before, and words on others.

    Raises RecipeError where all are of others, ClipspectError for a log that is not there.
    """
    from clipspect.inspection.answered import AnsweredPart
    from clipspect.line.feedback import DEFECT, answers_of, feedback_path
    from clipspect.recipes.history import digests_before
    from clipspect.sinks.records import read_records

    for log in logs:
        if not feedback_path(log).exists():
            next(read_records(log), None)  # a log that is there can have no answers; another name is a mistake
    every = {answer.id: answer for log in logs for answer in answers_of(log).values()}
    own = digests_before(recipe)
    taken = [answer for answer in every.values() if answer.bundle == bundle and answer.recipe in own]
    if every and not taken:
        first = next(iter(every.values()))
        raise RecipeError(
            f"none of {len(every)} answers is of recipe {recipe.name!r} {recipe.digest[:12]} in bundle {bundle[:12]}: "
            f"{first.id} is of recipe {first.recipe[:12]} in bundle {first.bundle[:12]}"
        )
    others = f"{len(every) - len(taken)} answers are of other recipes or bundles" if len(every) > len(taken) else ""
    return [
        AnsweredPart(
            answer.id,
            Path(answer.picture),
            answer.answer == DEFECT,
            answer.sha256,
            answer.who,
            answer.recipe,
            (answer.engine.backend, answer.engine.device, answer.engine.precision),
            answer.score,
        )
        for answer in taken
    ], others


def _page(learned: Learned, recipe: Recipe, chosen: str | None) -> str:
    columns: dict[str, tuple[Counts, Recipe]] = {"now": (learned.now, recipe)}
    columns |= {way: (proposal.counts, proposal.recipe) for way, proposal in learned.proposals.items()}
    lines = ["".join([f"{'':{_WIDTH}}", *(f"{name:16}" for name in columns)]).rstrip()]
    for name, count, of in (
        ("good parts that fail", "failed", "good"),
        ("good parts not passed", "not_passed", "good"),
        ("defective parts that pass", "passed", "defective"),
        ("defective parts not failed", "not_failed", "defective"),
    ):
        cells = [f"{getattr(counts, count)} of {getattr(counts, of)}" for counts, _ in columns.values()]
        lines.append("".join([f"{name:{_WIDTH}}", *(f"{cell:16}" for cell in cells)]).rstrip())
    lines.append("answered parts, each judged by what was learned from all others")
    if learned.uncounted:
        lines.append(
            f"{learned.uncounted} more, which the recipe's words know already, teach again and are not counted"
        )
    for name, (_, shown) in columns.items():
        lines += ["", name, *(f"  {row:14}{words}" for row, words in limit_rows(shown))]
    lines += ["", *(f"not tried: {way}: {why}" for way, why in learned.not_tried.items())]
    if chosen is None:
        lines.append("recommended: none; these answers give no reason to change the recipe")
    else:
        lines.append(f"{'recommended' if chosen == learned.best else 'asked for'}: {chosen}")
        if learned.proposals[chosen].counts.cost > learned.now.cost:
            lines.append("it judges the answered parts worse than the recipe as it is")
    return "\n".join(lines)


def _document(learned: Learned, chosen: str | None, written: Path | None) -> dict[str, Any]:
    import msgspec

    return {
        "now": dataclasses.asdict(learned.now),
        "uncounted": learned.uncounted,
        "proposals": {
            way: {
                "counts": dataclasses.asdict(proposal.counts),
                "limits": msgspec.to_builtins(proposal.recipe.limits),
                "history": msgspec.to_builtins(proposal.recipe.history[-1]),
            }
            for way, proposal in learned.proposals.items()
        },
        "not_tried": learned.not_tried,
        "left_out": learned.left_out,
        "recommended": learned.best,
        "chosen": chosen,
        "written": None if written is None else str(written),
    }
