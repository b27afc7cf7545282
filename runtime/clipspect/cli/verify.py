"""`clipspect verify`: does this engine, on this device, still compute what was exported?"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from clipspect.cli.arguments import add_bundle, add_engine, engine_options, number, open_bundle

if TYPE_CHECKING:
    from clipspect.inspection.verify import Comparison, Verification

_DESCRIPTION = """Run the bundle's check images through an engine on this box and compare with the torch reference's
stored answers: the largest differences of score and map, and the rank correlation of the map. Status 0 within the
tolerance, else 1."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "verify", help="check that this engine computes what was exported", description=_DESCRIPTION
    )
    add_bundle(parser)
    add_engine(parser)
    parser.add_argument(
        "--tolerance",
        metavar="X",
        type=number,
        help="largest difference that passes (default: ten times the export's: another engine sums in another order)",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep beside the bundle what --precision was found to cost: this box then takes it, or refuses it",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.inspection.verify import record_precision, verify

    bundle = open_bundle(args)
    result = verify(bundle, args.backend, tolerance=args.tolerance, **engine_options(args))
    print(json.dumps(_document(result), indent=2) if args.json else _page(result))
    if not result.passed:
        sys.stdout.flush()
        print(f"clipspect: {result.verdict}", file=sys.stderr)
    if args.record:
        record = record_precision(bundle, result)
        print(f"clipspect: recorded: {record.words}", file=sys.stderr)
        return 0 if record.passed else 1
    return 0 if result.passed else 1


def _document(result: Verification) -> dict[str, Any]:
    """Of fields and properties; JSON has no infinity, a difference that is infinite is null."""
    comparisons = [
        {name: None if value in (math.inf, None) else value for name, value in dataclasses.asdict(comparison).items()}
        for comparison in result.comparisons
    ]
    fields = {**dataclasses.asdict(result), "comparisons": comparisons}
    return {"passed": result.passed, "verdict": result.verdict, **fields}


def _page(result: Verification) -> str:
    names = f"{'score':>9}{'map':>9}{'embedding':>11}{'tolerance':>11}{'map ranks':>11}{'ms a run':>10}"
    lines = [f"{'graph':11}{names}  images"]
    lines += [_row(comparison) for comparison in result.comparisons]
    if result.passed:
        lines.append(f"{result.verdict} ({result.precision})")
    return "\n".join(lines)


def _row(comparison: Comparison) -> str:
    ranks = "-" if comparison.rank_correlation is None else f"{comparison.rank_correlation:.6f}"
    return (
        f"{comparison.graph:11}{comparison.score:9.1e}{comparison.anomaly_map:9.1e}{comparison.embedding:11.1e}"
        f"{comparison.tolerance:11.0e}{ranks:>11}{comparison.milliseconds:10.1f}  {comparison.images}"
    )
