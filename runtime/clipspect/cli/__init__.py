"""The command line: one module a command, each with `add_parser(subparsers)` and `run(args) -> int`.

Other packages add commands of their own by entry points of the group `clipspect.commands`, named as the command.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from typing import Any, NoReturn

from clipspect.base.errors import ClipspectError
from clipspect.base.plug_ins import described
from clipspect.base.version import __version__
from clipspect.cli import (
    audit,
    calibrate,
    compile,
    doctor,
    drift,
    feedback,
    info,
    learn,
    line,
    recipe,
    reuse,
    roi,
    run,
    sign,
    teach,
    triton,
    upgrade,
    verify,
    watch,
)
from clipspect.cli.plain_stream import open_streams, plain_streams

BUILT_IN: dict[str, Any] = {
    "recipe": recipe,
    "roi": roi,
    "teach": teach,
    "calibrate": calibrate,
    "reuse": reuse,
    "run": run,
    "watch": watch,
    "line": line,
    "audit": audit,
    "drift": drift,
    "feedback": feedback,
    "learn": learn,
    "info": info,
    "compile": compile,
    "triton": triton,
    "verify": verify,
    "sign": sign,
    "upgrade": upgrade,
    "doctor": doctor,
}
PLUG_INS = "clipspect.commands"  # the entry points of other packages' commands: the exporter's, the lab's, anyone's

DONE, REFUSED, USAGE, INTERRUPTED, READER_GONE = 0, 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0 done, 1 refused, 2 wrong usage, each with one line on stderr, 130 interrupted."""
    open_streams()
    log = logging.getLogger("clipspect")
    if not log.handlers:
        log.addHandler(_ToStderr())
    commands = all_commands()
    args = build_parser(commands).parse_args(argv)
    warnings.filterwarnings("ignore", module="PIL")  # what matters in them is an ImageError here
    with plain_streams():
        return _run(commands[args.command].run, args)


def _run(command: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    try:
        with ExitStack() as args.held:  # what is to be let go when the command ends, such as locks
            status = command(args)
        sys.stdout.flush()
    except ClipspectError as error:
        print(f"clipspect: error: {' '.join(str(error).split())}", file=sys.stderr)
        return REFUSED
    except MemoryError:
        print("clipspect: error: not enough memory for this: see docs/limits-of-input.md", file=sys.stderr)
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


class _Parser(argparse.ArgumentParser):
    """Of a command, or of all. What is wrong is said in one line that names the help, without the list of options."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: error: {message}; see: {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """What a command does not know is that command's error, so that its own help is named."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            options = re.findall(r"--[a-z-]+", self.format_usage())
            meant = difflib.get_close_matches(unknown[0].partition("=")[0], options, n=1)
            hint = "".join(f" (did you mean {option}?)" for option in meant)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return known, unknown


class _ToStderr(logging.Handler):
    """What the library logs, a line each, to the stream that standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(f"clipspect: {record.getMessage()}", file=sys.stderr, flush=True)
        except OSError:  # nobody reads it any more: what is logged ends nothing
            self.handleError(record)


def all_commands() -> dict[str, Any]:
    """By name, the modules of all commands: our own, then those of other packages that load."""
    commands = dict(BUILT_IN)
    for entry in sorted(metadata.entry_points(group=PLUG_INS), key=lambda entry: entry.name):
        if entry.name in BUILT_IN:
            continue
        try:
            command = entry.load()
            command.add_parser(argparse.ArgumentParser().add_subparsers())  # or it would fail where all are added
        except Exception as error:  # another package's fault must not take the other commands away
            said = described(error)
            print(f"clipspect: the command {entry.name} of {entry.value} does not load: {said}", file=sys.stderr)
        else:
            commands[entry.name] = command
    return commands


def build_parser(commands: Mapping[str, Any] | None = None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="clipspect",
        description="Zero-shot and few-shot visual inspection with CLIP, compiled for the edge.",
        epilog='See "clipspect COMMAND --help". First steps without weights or network: clipspect demo. '
        "A bundle's way: export, recipe, verify and bench on the box (compile before, for TensorRT), run or watch.",
    )
    parser.add_argument("--version", action="version", version=f"clipspect {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (all_commands() if commands is None else commands).values():
        command.add_parser(subparsers)
    return parser
