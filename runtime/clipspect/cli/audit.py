"""`clipspect audit`: is a log as it was written, and what decided on which of its records?"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from datetime import datetime, time, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from clipspect.cli.progress import ProgressBar

if TYPE_CHECKING:
    from clipspect.line.audit import Audit, Span
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """Check that no record of a log was edited, deleted, inserted, moved or cut off since it was written,
and list which bundle, recipe, limits, engine, precision and version decided on which of them. Each line of a log names
the digest of the line before it (docs/audit.md). Files that results.jsonl was rotated to are found beside it."""

_EPILOG = """Exit status: 0 the chain is whole, 1 it is broken or cannot be read, 2 usage. Who can write the whole log
and DIR/.watch can make all of it again: keep the last digest elsewhere (MQTT's status and health.json have it, too),
and give it with --expect next time. Dates are UTC: 2026-11-27, or 2026-11-27T14:30."""

_MOST_BREAKS = 20  # that are shown


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "audit",
        help="check that a log is as it was written, and what decided",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "paths",
        metavar="RESULTS.jsonl",
        nargs="+",
        type=Path,
        help="the log; and files of it that were taken elsewhere",
    )
    parser.add_argument("--since", metavar="DATE", type=_since, help="list what decided from then on")
    parser.add_argument("--until", metavar="DATE", type=_until, help="list what decided up to then, the day included")
    parser.add_argument(
        "--expect", metavar="HEX", type=_digest, help="a line has this digest, kept from an earlier audit"
    )
    parser.add_argument(
        "--after", metavar="HEX", type=_digest, help="digest of the line before the first, if it is not 1"
    )
    parser.add_argument(
        "--recipe", metavar="PATH", type=Path, help="a recipe's file: show how its limits changed: when, who, what, why"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.line.audit import audit
    from clipspect.recipes.recipe import read_recipe

    recipe = None if args.recipe is None else read_recipe(args.recipe)
    with ProgressBar("line") as bar:
        found = audit(args.paths, args.since, args.until, after=args.after, expected=args.expect, progress=bar)
    if args.json:
        print(json.dumps(_document(found, recipe), indent=2))
    else:
        print("\n".join([*_chain_words(found), *_span_words(found), *_history_words(recipe)]))
    return 0 if found.whole else 1


def _document(found: Audit, recipe: Recipe | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "whole": found.whole,
        "files": [str(path) for path in found.files],
        "lines": found.lines,
        "last": msgspec.to_builtins(found.last),
        "breaks": [
            {"kind": item.kind, "file": str(item.file), "line": item.line, "text": item.text} for item in found.breaks
        ],
        "spans": msgspec.to_builtins(found.spans),
    }
    if recipe is not None:
        history = msgspec.to_builtins(recipe.history)
        document["recipe"] = {"name": recipe.name, "digest": recipe.digest, "history": history}
    return document


def _chain_words(found: Audit) -> list[str]:
    where = str(found.files[-1]) if len(found.files) == 1 else f"{len(found.files)} files up to {found.files[-1]}"
    counted = f"{found.lines} line{'' if found.lines == 1 else 's'} in {where}"
    if not found.whole:
        shown = [item.words for item in found.breaks[:_MOST_BREAKS]]
        more = len(found.breaks) - len(shown)
        return [f"BROKEN: {counted}", *shown, *([f"and {more} more"] if more else [])]
    if found.last is None:
        return [f"whole: {counted}"]
    return [
        f"whole: {counted}: log {found.last.log}, up to line {found.last.line} of the chain",
        f"last digest, to be kept elsewhere for --expect: {found.last.digest}",
    ]


def _span_words(found: Audit) -> list[str]:
    of_these = "" if found.whole else ", by the lines that prove themselves"
    lines = ["", f"what decided{of_these}" if found.spans else "no record of that time"]
    for span in found.spans:
        lines += _words_of(span)
    return lines


def _words_of(span: Span) -> list[str]:
    decision = span.decision
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(span.verdicts.items()))
    limits = "no limits" if decision.limits is None else replace(decision.limits, map=decision.map_limit).words
    bundle, engine = decision.bundle, decision.engine
    return [
        f"  lines {span.first_line} to {span.last_line}, {span.since} to {span.until}: {counts}",
        f"    recipe {decision.recipe.name!r} {decision.recipe.digest[:12]}: {limits}",
        f"    bundle {bundle.name} {bundle.digest[:12]} ({bundle.method}), {engine.backend} on {engine.device} in "
        f"{engine.precision}, clipspect {decision.version}",
    ]


def _history_words(recipe: Recipe | None) -> list[str]:
    if recipe is None:
        return []
    lines = ["", f"limits of recipe {recipe.name!r}, whose file is {recipe.digest[:12]} now"]
    for change in recipe.history:
        lines.append(
            f"  {change.time}  {change.who}: {_limit_words(change.old)} -> {_limit_words(change.new)}: {change.why}"
        )
    return lines if recipe.history else [*lines, "  no change is written in it"]


def _limit_words(limits: dict[str, float | None] | None) -> str:
    if limits is None:
        return "none"
    given = [(name, limits.get(name)) for name in ("review", "reject", "map")]
    return ", ".join(f"{name} {value:g}" for name, value in given if value is not None)


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"expected 64 hexadecimal digits in lower case, found {text!r:.80}")
    return text


def _since(text: str) -> datetime:
    return _moment(text, time.min)


def _until(text: str) -> datetime:
    return _moment(text, time.max)


def _moment(text: str, of_a_day: time) -> datetime:
    """A date, whose time is then the one given, or a date and a time; without a time zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected a date as 2026-11-27 or 2026-11-27T14:30, found {text!r}"
        ) from error
    if len(text) == len("2026-11-27"):
        moment = datetime.combine(moment.date(), of_a_day)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
