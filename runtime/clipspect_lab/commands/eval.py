"""`clipspect eval`: a bundle's accuracy on a labelled data set, class by class, as the papers' tables have it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.cli.arguments import add_bundle, add_engine, count, engine_options
from clipspect.cli.progress import ProgressBar

if TYPE_CHECKING:
    from clipspect_lab.evaluation.request import Request

_DESCRIPTION = """Measure a bundle on labelled images: image AUROC, AP and F1max, pixel AUROC, AP and F1max, and AUPRO
by both conventions, per class and their mean. What is done is kept in --out; the same command goes on from there."""
_EPILOG = """--compare A B measures two on the same images: the differences with bootstrap intervals, the images that
changed side, and the maps that differ most. A and B are each one of
  a bundle                        B.bundle, or demo
  an engine that runs BUNDLE      onnxruntime, openvino; with a precision, openvino:bf16
  a finished evaluation           the --out folder of an earlier run: scores and histograms, no maps
and otherwise what the other options say. --compare A alone compares BUNDLE with A:
  clipspect eval old.bundle DATASET --layout mvtec --compare new.bundle
  clipspect eval nuts.bundle DATASET --layout mvtec --compare onnxruntime openvino:bf16 --out DIR"""
# Those of clipspect_lab.evaluation, which need NumPy and are not imported for the help alone.
_LAYOUTS = ("mvtec", "visa", "folder")
_RESOLUTIONS = ("model", "256", "original")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "eval",
        help="measure accuracy on a labelled data set",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_bundle(parser)
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="the data set's folder")
    parser.add_argument("--layout", choices=_LAYOUTS, required=True, help="how the data set is laid out")
    parser.add_argument("--classes", metavar="CLASS", nargs="+", default=[], help="only these (default: all)")
    parser.add_argument("--recipe", metavar="NAME", help="recipe for every class (default: each class's own)")
    parser.add_argument("--names", metavar="FILE", type=Path, help="JSON object: class to what prompts call it")
    parser.add_argument(
        "--resolution", choices=_RESOLUTIONS, default="model", help="where maps meet masks (default: the model's size)"
    )
    parser.add_argument("--shots", metavar="K", type=count, default=0, help="good training images to compare with")
    parser.add_argument("--seed", metavar="S", type=_seed, default=0, help="of drawing them (default: 0)")
    add_engine(parser)
    parser.add_argument(
        "--compare", metavar=("A", "B"), nargs="+", help="bundles, engines or finished evaluations; see below"
    )
    parser.add_argument(
        "--resamples", metavar="N", type=count, default=1000, help="of the intervals of --compare (default: 1000)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="keep what is done, and write results.json, .csv, .md, or comparison.* and the maps that differ most",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    request = _request(args)
    found, text = _evaluated(request, args) if args.compare is None else _compared(request, args)
    print(json.dumps(found, indent=2) if args.json else text)
    if args.out is not None:
        print(f"clipspect: written to {args.out}", file=sys.stderr)
    return 0


def _request(args: argparse.Namespace) -> Request:
    from clipspect_lab.evaluation.recipes import read_names
    from clipspect_lab.evaluation.request import Request

    return Request(
        bundle=args.bundle,
        dataset=args.dataset,
        layout=args.layout,
        classes=tuple(args.classes),
        recipe=args.recipe,
        backend=args.backend,
        options=engine_options(args),
        resolution=args.resolution,
        shots=args.shots,
        seed=args.seed,
        names=read_names(args.names) if args.names is not None else {},
        require_signature=args.require_signature,
    )


def _evaluated(request: Request, args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The document, and as it is read in a terminal."""
    from clipspect_lab.evaluation.evaluate import evaluate
    from clipspect_lab.evaluation.report import document
    from clipspect_lab.evaluation.tables import table, write

    with ProgressBar("image") as bar:
        found = document(evaluate(request, args.out, bar))
    if args.out is not None:
        write(found, args.out)
    return found, table(found)


def _compared(request: Request, args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The same of a comparison."""
    from clipspect_lab.evaluation.compare import compare
    from clipspect_lab.evaluation.compared import two_compared
    from clipspect_lab.evaluation.comparison_report import comparison_document, comparison_table, write_comparison

    both = two_compared(args.compare, request)
    with ProgressBar("image") as bar:
        found = comparison_document(compare(request, both, args.out, resamples=args.resamples, progress=bar))
    if args.out is not None:
        write_comparison(found, args.out)
    return found, comparison_table(found)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, found {text!r}")
    return int(text)
