"""`clipspect archive`: inspect an archive of images by many processes, on this machine or on a cluster, over Ray."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.cli.arguments import RECIPE_HELP, add_bundle, add_engine, count, engine_options, number
from clipspect.cli.progress import ProgressBar

if TYPE_CHECKING:
    from clipspect_lab.archive.archive import Archived

_DESCRIPTION = """Inspect an archive of images over Ray Data, each image once: the records come as Parquet files into
--out. The same command goes on where an earlier run ended, however it ended. An image that cannot be inspected, or that
ends the processes which try, gets a record with its error, and the exit status is then 1. docs/archive.md says more."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "archive", help="inspect an archive on one machine or a Ray cluster", description=_DESCRIPTION
    )
    add_bundle(parser)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder (with its subfolders), glob, s3://BUCKET/PREFIX or another address of fsspec: images, or Parquet",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        required=True,
        help="local: processes of this machine; or, on a machine of a cluster, auto or HOST:PORT",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the records are written")
    parser.add_argument(
        "--column", metavar="NAME", help="of Parquet files: the images' bytes or paths (default: the likeliest)"
    )
    parser.add_argument("--recipe", metavar="NAME", help=RECIPE_HELP)
    parser.add_argument(
        "--workers", metavar="N", type=count, help="processes that inspect (default: as many as have room, one a GPU)"
    )
    add_engine(parser)
    parser.add_argument("--batch", metavar="N", type=count, default=1, help="images per run of the engine (default: 1)")
    parser.add_argument("--map-limit", metavar="X", type=number, help="regions are where the anomaly map is over this")
    parser.add_argument(
        "--records", metavar="N", type=count, default=5000, help="most records in a Parquet file (default: 5000)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    from clipspect_lab.archive.extra import require_ray

    require_ray()
    from clipspect_lab.archive.archive import Request, archive
    from clipspect_lab.archive.worker import Task

    options = engine_options(args)
    if args.require_signature is not None:
        options["require_signature"] = args.require_signature
    task = Task(args.bundle, args.recipe, args.backend, options, args.map_limit, args.batch, os.getcwd())
    request = Request(task, args.source, args.column, args.out, args.ray, args.workers, args.records)
    with ProgressBar("image") as bar:
        done = archive(request, bar)
    if args.json:
        print(json.dumps(_document(done, args.out), indent=2))
    print(_line(done, args.out), file=sys.stderr)
    return 1 if done.tally.errors else 0


def _document(done: Archived, out: Path) -> dict[str, Any]:
    return {
        "out": os.fspath(out),
        "images": done.tally.images,
        "inspected": done.inspected,
        "errors": done.tally.errors,
        "verdicts": dict(sorted(done.tally.verdicts.items())),
        "seconds": round(done.seconds, 3),
        "workers": done.size.workers,
        "threads": done.size.threads,
        "workers_lost": done.lost,
    }


def _line(done: Archived, out: Path) -> str:
    tally, engine = done.tally, done.decided.engine
    parts = [f"{tally.images} images", *(f"{count} {verdict}" for verdict, count in sorted(tally.verdicts.items()))]
    if tally.errors:
        parts.append(f"{tally.errors} could not be inspected")
    before = tally.images - done.inspected
    if before:
        parts.append(f"{before} of them were done before")
    if done.inspected:
        precision = "" if engine.precision == "fp32" else f" in {engine.precision}"
        parts.append(
            f"{done.inspected / done.seconds:.1f} images a second, {done.size.workers} workers of {done.size.threads} "
            f"threads with {engine.backend} on {engine.device}{precision}"
        )
    return f"clipspect: {', '.join(parts)}, written to {out}"
