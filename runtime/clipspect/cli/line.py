"""`clipspect line`: several cameras and folders, with their recipes and sinks, over one engine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.cli.watch import run_line, show_line

if TYPE_CHECKING:
    from clipspect.line.plan import Plan

_DESCRIPTION = """Run the line that LINE.toml describes: sources with their recipes and sinks over one engine, in one
process, until the command is stopped or all sources have ended. Sources take turns at the engine: none waits for more
than one run of each other. A source that fails is a problem in the health document, and the others go on."""

_EPILOG = """docs/line.md has an example, and every key. Results of a source go to OUT/NAME as clipspect watch writes
them; OUT/health.json has the state of all. A recipe is switched by a message to TOPIC/command. An engine that raises
or does not answer ends the command with status 1, for systemd to start it again: runtime/systemd has a unit."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "line", help="inspect what several cameras and folders give", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("plan", metavar="LINE.toml", type=Path, help="what the line is: docs/line.md")
    parser.add_argument(
        "--check",
        action="store_true",
        help="open everything that the line needs, say what was found, and end; nothing is inspected or written",
    )
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout instead of the table")


def run(args: argparse.Namespace) -> int:
    from clipspect.line.plan import read_plan

    plan = read_plan(args.plan)
    return _check(plan, args.json) if args.check else run_line(plan, show_line(args.json), "inspecting")


def _check(plan: Plan, as_json: bool) -> int:
    import dataclasses

    from clipspect.line.check import check_line

    wrong = 0
    for finding in check_line(plan):
        wrong += finding.wrong
        if as_json:
            print(json.dumps(dataclasses.asdict(finding)), flush=True)
        else:
            print(f"{'WRONG' if finding.wrong else 'ok':5}  {finding.what}: {finding.text}", flush=True)
    if wrong:
        print(f"clipspect: {wrong} {'part' if wrong == 1 else 'parts'} of the line cannot be used", file=sys.stderr)
    return 1 if wrong else 0
