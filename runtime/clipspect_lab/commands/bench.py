"""`clipspect bench`: how fast a bundle runs on this machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re

from clipspect.cli.arguments import add_bundle, add_engine_options, count, engine_options, number
from clipspect.cli.progress import ProgressBar

_DESCRIPTION = """Time a bundle on this machine: every engine that is installed and works, in turns, on a drawn JPEG
file, in fp32 and in the other precisions that they and the bundle have. Each stage's milliseconds an image, images a
second of a stream, the start of a fresh process, its memory, and what the engine reaches of its own speed at large
matrix products, with a profile where that is little."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("bench", help="time a bundle on this machine", description=_DESCRIPTION)
    add_bundle(parser)
    parser.add_argument("--backend", metavar="NAME", nargs="+", help="engines (default: all that work here)")
    parser.add_argument("--recipe", metavar="NAME", help="recipe of the bundle (default: its only one)")
    parser.add_argument("--batch", metavar="N", type=count, default=1, help="images per run (default: 1)")
    add_engine_options(parser)
    parser.add_argument("--size", metavar="WxH", type=_size, help="pixels of the frame (default: 1280x1024)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", metavar="S", type=_positive, help="for the runs of an engine (default: 20)")
    length.add_argument("--runs", metavar="N", type=count, help="runs of an engine, instead of a time")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect_lab.benchmark.measure import DEFAULT_SECONDS, DEFAULT_SIZE, measure
    from clipspect_lab.benchmark.page import benchmark_page

    with ProgressBar() as bar:
        report = measure(
            args.bundle,
            args.recipe,
            args.backend,
            batch=args.batch,
            size=args.size or DEFAULT_SIZE,
            seconds=args.seconds or DEFAULT_SECONDS,
            runs=args.runs,
            options=engine_options(args),
            require_signature=args.require_signature,
            progress=bar,
        )
    print(json.dumps(dataclasses.asdict(report), indent=2) if args.json else benchmark_page(report))
    return 0


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None or 0 in (size := (int(found[1]), int(found[2]))):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT in pixels, e.g. 1280x1024, found {text!r}")
    return size


def _positive(text: str) -> float:
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value
