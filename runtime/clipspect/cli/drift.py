"""`clipspect drift`: has the light, the lens or the part changed?"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.cli.arguments import rate

if TYPE_CHECKING:
    from clipspect.line.drift import Drift
    from clipspect.line.drift_charts import Charts
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """Read the results of clipspect watch or run, rotated files included, and tell whether the light, the
lens or the part has changed since each recipe is in use: which quantity of the frames is no longer what it was, by how
much, and since about which part. Another recipe, other limits, another bundle or engine start anew."""

_EPILOG = """Status 0: no drift found; 1: drift, or refused. The alarm takes frames as they come in any order: a light
that wanders all day is drift, too. docs/drift.md says what is promised."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "drift", help="has the light, the lens or the part changed?", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("results", metavar="RESULTS.jsonl", type=Path, help="of clipspect watch, or of run --json")
    parser.add_argument(
        "--recipe",
        metavar="PATH",
        type=Path,
        help="the recipe's file, which judged the last parts: scores are compared with those of its calibration, too",
    )
    parser.add_argument(
        "--false-alarm",
        metavar="RATE",
        type=rate,
        default=0.01,
        help="of runs of 10,000 parts without a change, at most this share may have an alarm (default: 1%%)",
    )
    parser.add_argument("--chart", metavar="PAGE.html", type=Path, help="write control charts, one page")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.base.errors import ClipspectError
    from clipspect.line.drift import Drift
    from clipspect.line.drift_charts import Charts
    from clipspect.recipes.recipe import read_recipe
    from clipspect.sinks.records import read_records

    recipe = None if args.recipe is None else read_recipe(args.recipe)
    drift = Drift(args.false_alarm, recipe)
    charts: dict[str, Charts] = {}
    for record in read_records(args.results):
        drift.take(record)
        if args.chart is not None:
            charts.setdefault(record.recipe.name, Charts(recipe)).take(record, drift.part)
    if drift.parts == 0:
        raise ClipspectError(f"{args.results}: holds no records: give the results of clipspect watch or run --json")
    if recipe is not None:
        _require_used(args, drift, recipe)
    if args.chart is not None:
        from clipspect.line.drift_page import write_drift_page

        write_drift_page(args.chart, drift, charts)
    print(json.dumps(_document(drift), indent=2) if args.json else _page(drift))
    if args.chart is not None:
        print(f"clipspect: charts in {args.chart}", file=sys.stderr)
    return 1 if any(span.found for span in drift.spans) else 0


def _require_used(args: argparse.Namespace, drift: Drift, recipe: Recipe) -> None:
    from clipspect.base.errors import ClipspectError

    if any(span.scored_by.recipe == recipe.digest for span in drift.spans):
        return
    found = ", ".join(f"{span.recipe!r} {span.scored_by.recipe[:12]}" for span in drift.spans)
    raise ClipspectError(
        f"{args.recipe}: recipe {recipe.name!r} {recipe.digest[:12]} did not judge the last parts of {args.results}; "
        f"{found} did: give that one, or leave --recipe out"
    )


def _document(drift: Drift) -> dict[str, Any]:
    return {
        "parts": drift.parts,
        "false_alarm": drift.false_alarm,
        "drift": any(span.found for span in drift.spans),
        "recipes": [dataclasses.asdict(span) for span in drift.spans],
    }


def _page(drift: Drift) -> str:
    from clipspect.line.drift_words import promise, verdict

    several = len(drift.spans) > 1
    lines = [
        f"recipe {span.recipe!r}: {sentence}" if several else sentence
        for span in drift.spans
        for sentence in verdict(span)
    ]
    return "\n".join([*lines, promise(drift.false_alarm)])
