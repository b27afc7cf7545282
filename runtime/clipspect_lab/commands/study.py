"""`clipspect study`: how repeatable scores and verdicts are, and how they agree with an expert's labels."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from clipspect.base.lock import only_writer_in
from clipspect.cli.arguments import add_bundle, add_engine, engine_options, open_bundle
from clipspect.cli.progress import ProgressBar

_DESCRIPTION = """Measurement system analysis: every photograph of every part through the recipe. How much the score
moves when one part is photographed again, beside how much parts differ, and how far each part lies from the limits;
how often photographs of one part get several verdicts; and how verdicts agree with an expert's labels, each rate with
its interval and the usual bar. 30 parts, some of them borderline, with 3 photographs each are usual; place the part
anew each time. docs/study.md says what each figure means. A bar that is not met is a result: the exit status is 0."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "study", help="measure repeatability, and agreement with an expert", description=_DESCRIPTION
    )
    add_bundle(parser)
    parser.add_argument("recipe", metavar="RECIPE", help="the recipe that scores and judges")
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        help="a folder of photographs for each part: FOLDER/PART/, or FOLDER/good/PART/ and FOLDER/defect/PART/",
    )
    parser.add_argument(
        "--labels", metavar="FILE", type=Path, help="the expert's labels: CSV, first line part,label; good or defect"
    )
    add_engine(parser)
    parser.add_argument("--report", metavar="PAGE.html", type=Path, help="write one HTML page")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="write study.json, study.html and photographs.csv, a row a photograph"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    from clipspect.base.files import atomic_file
    from clipspect.inspection.load import load
    from clipspect_lab.studies.page import study_page
    from clipspect_lab.studies.report import photographs_csv, study_document, study_text
    from clipspect_lab.studies.study import study

    bundle = open_bundle(args)
    if args.out is not None:
        args.held.enter_context(only_writer_in(args.out))
    with load(bundle, args.recipe, args.backend, **engine_options(args)) as inspector, ProgressBar("image") as bar:
        found = study(inspector, args.folder, args.labels, skip=args.out, progress=bar)
    command = f"clipspect calibrate {shlex.quote(args.bundle)} {shlex.quote(args.recipe)} --good FOLDER"
    document = study_document(found, command)
    files = {} if args.report is None else {args.report: study_page(found, command)}
    if args.out is not None:
        files[args.out / "study.json"] = json.dumps(document, indent=2) + "\n"
        files[args.out / "study.html"] = study_page(found, command)
        files[args.out / "photographs.csv"] = photographs_csv(found)
    for path, text in files.items():
        with atomic_file(path) as file:
            file.write(text.encode(errors="backslashreplace"))
    print(json.dumps(document, indent=2) if args.json else study_text(found, command))
    if files:
        print(f"clipspect: written: {', '.join(map(str, files))}", file=sys.stderr)
    return 0
