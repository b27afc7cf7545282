"""`clipspect upgrade`: a bundle of an older clipspect in the form that this one reads."""

from __future__ import annotations

import argparse
from pathlib import Path

_DESCRIPTION = """Convert a bundle of schema 1, its recipes included, in place or to another folder. It is verified
before and after; graphs and weights stay as they are."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("upgrade", help="convert an older bundle", description=_DESCRIPTION)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="bundle folder")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="write the bundle there, and leave BUNDLE as it is")


def run(args: argparse.Namespace) -> int:
    from clipspect.recipes.upgrade import upgrade

    converted = upgrade(args.bundle, args.out)
    print(f"{args.out or args.bundle}: " + ("converted to schema 2" if converted else "is of schema 2 already"))
    return 0
