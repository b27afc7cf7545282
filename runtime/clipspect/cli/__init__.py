"""The command line: one module a command, each with `add_parser(subparsers)` and `run(args) -> int`."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence

from clipspect.cli import bench, compile, demo, doctor, export, info, recipe, run, verify, watch
from clipspect.cli import eval as evaluate
from clipspect.errors import ClipspectError
from clipspect.version import __version__

COMMANDS = {
    "export": export,
    "recipe": recipe,
    "run": run,
    "watch": watch,
    "eval": evaluate,
    "info": info,
    "compile": compile,
    "verify": verify,
    "bench": bench,
    "doctor": doctor,
    "demo": demo,
}

DONE, REFUSED, USAGE, INTERRUPTED, READER_GONE = 0, 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0 done, 1 refused with one line on stderr, 2 usage (from argparse), 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name can be any bytes
    args = build_parser().parse_args(argv)
    warnings.filterwarnings("ignore", module="PIL")  # what matters in them is an ImageError here
    try:
        status: int = COMMANDS[args.command].run(args)
        sys.stdout.flush()
    except ClipspectError as error:
        print(f"clipspect: error: {' '.join(str(error).split())}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("clipspect: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has left; Python would complain once more when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or error
        print(f"clipspect: error: {where}{reason}: check the path, its rights and the space left", file=sys.stderr)
        return REFUSED
    return status


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clipspect",
        description="Zero-shot and few-shot visual inspection with CLIP, compiled for the edge.",
        epilog='See "clipspect COMMAND --help". First steps without weights or network: clipspect demo. '
        "A bundle's way: export, recipe, verify and bench on the box (compile before, for TensorRT), run or watch.",
    )
    parser.add_argument("--version", action="version", version=f"clipspect {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS.values():
        command.add_parser(subparsers)
    return parser
