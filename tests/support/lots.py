"""`clipspect lot` by its module: as the command line calls it, whether or not the package was installed since."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from clipspect_lab.commands import lot


def run_lot(*arguments: object) -> int:
    """The exit status. Raises the ClipspectError that the command line would print."""
    parser = argparse.ArgumentParser()
    lot.add_parser(parser.add_subparsers())
    args = parser.parse_args(["lot", *map(str, arguments)])
    with ExitStack() as args.held:
        return lot.run(args)
