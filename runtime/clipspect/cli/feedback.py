"""`clipspect feedback`: what a person found an inspected part to be, kept beside the log."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from pathlib import Path

from clipspect.base.errors import ClipspectError

_DESCRIPTION = """Say of a record of clipspect watch or run what its part is: good, or defect. The answer is appended to
RESULTS.feedback.jsonl beside the log, which stays as it is; a later answer to the same record replaces it, and `none`
takes it back. Without ID all answers are listed. clipspect learn makes a better recipe of them."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "feedback", help="say which inspected parts are good or defective", description=_DESCRIPTION
    )
    parser.add_argument("results", metavar="RESULTS.jsonl", type=Path, help="of clipspect watch, or of run --json")
    parser.add_argument("id", metavar="ID", nargs="?", help="of the record")
    parser.add_argument("answer", metavar="good|defect|none", nargs="?", choices=("good", "defect", "none"))
    parser.add_argument(
        "--picture", metavar="FILE", type=Path, help="the frame, where it is no longer where the record says"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.line.feedback import answers_of, feedback_path, give_answer
    from clipspect.sinks.records import read_records

    if args.id is not None and args.answer is None:
        raise ClipspectError(f"{args.id}: say what this part is: good, defect, or none to take an answer back")
    if args.id is not None:
        given = None if args.answer == "none" else args.answer
        give_answer(args.results, args.id, given, picture=args.picture)
    elif args.picture is not None:
        raise ClipspectError("--picture goes with the ID of a record and an answer: give both, or leave it out")
    else:
        next(read_records(args.results), None)  # a log that cannot be read has no answers either
    answers = answers_of(args.results)
    if args.json:
        documents = [dataclasses.asdict(answer) for answer in answers.values()]
        print(json.dumps({"path": str(feedback_path(args.results)), "answers": documents}, indent=2))
        return 0
    counts = Counter(answer.answer for answer in answers.values())
    shown = answers.values() if args.id is None else [answers[args.id]] if args.id in answers else []
    for answer in shown:
        judged = answer.verdict or "no verdict"
        print(f"{answer.id}  {answer.answer:7} {judged:10} {answer.score:<12.6g} {answer.picture}")
    print(f"{counts['good']} good and {counts['defect']} defective parts in {feedback_path(args.results)}")
    return 0
