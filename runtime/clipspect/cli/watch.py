"""`clipspect watch`: inspect every new image of a folder."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.cli.arguments import (
    RECIPE_HELP,
    add_engine,
    add_require_signature,
    add_sinks,
    engine_options,
    interval,
    number,
    seconds,
)
from clipspect.sinks.rotation import DEFAULT_ROTATION, parse_rotation
from clipspect.sinks.sorting import MODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clipspect.inspection.inspector import Inspector
    from clipspect.line.plan import Plan
    from clipspect.sinks.sink import Sink

_DESCRIPTION = """Inspect every image that is in FOLDER or comes into it, subfolders included, once it is complete,
until the command is stopped. Each has exactly one line in DIR/results.jsonl, however often the command is
stopped, killed or without power in between. A file is known by its name, size and time of last change: one that
is overwritten, or touched, is a new part. Hidden files, links, and names that do not end as an image's
(part.png.tmp) are left alone; a file is complete, at once, when it is closed or renamed into place on this machine,
else, as on a network share, when it has not changed for --settle seconds, and when it can be decoded."""

_EPILOG = """DIR/results.jsonl has a record a line (docs/record.schema.json), as clipspect run --json prints and MQTT
publishes: its id is the file's, item.file has name, size and mtime_ns, files.sorted the image's path in DIR,
files.overlay its overlay's. Lines are chained: see clipspect audit. A recipe whose file is replaced is taken over
between two images. DIR/health.json, also a line on stderr, is renewed every minute, and says what ended the command if
it failed, and of drift what clipspect drift does.
Images are sorted to DIR/pass, uncertain, fail, unjudged (the recipe has no limits) and error (cannot be inspected).
SIGTERM ends the command with status 0, ctrl-C with 130; the image at hand is finished first. A full disk or a folder
that has gone is waited for. MQTT: records go to TOPIC/result, at least once each (compare their id), kept in the log
while the broker is away; TOPIC/status is retained, with a last will. A --sink gets a record before it is in the log: a
second time if the process is killed in between."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "watch", help="inspect every new image of a folder", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where a camera's software writes its images")
    parser.add_argument("--bundle", metavar="BUNDLE", required=True, help='bundle folder, or the word "demo"')
    add_require_signature(parser)
    parser.add_argument("--recipe", metavar="NAME", help=RECIPE_HELP)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="results, sorted images and state")
    parser.add_argument(
        "--sort",
        choices=MODES,
        default="copy",
        help="how an image comes into its verdict's folder (default: copy, which takes no space where files can share "
        "their blocks, as with Btrfs and XFS; with move FOLDER stays small, and what cannot be read stays there)",
    )
    add_engine(parser)
    parser.add_argument("--map-limit", metavar="X", type=number, help="regions are where the anomaly map is over this")
    parser.add_argument(
        "--settle",
        metavar="S",
        type=seconds,
        default=1.0,
        help="seconds without a change until a file is read that was there before or comes over a network (default: 1)",
    )
    parser.add_argument(
        "--give-up",
        metavar="S",
        type=seconds,
        default=30.0,
        help="seconds without a change until a file that cannot be decoded is an error (default: 30)",
    )
    parser.add_argument(
        "--health", metavar="S", type=interval, default=60.0, help="seconds between two health lines (default: 60)"
    )
    parser.add_argument(
        "--answer-within",
        metavar="S",
        type=interval,
        default=60.0,
        help="seconds that engine and FOLDER have for an answer; then the command ends with status 1 (default: 60)",
    )
    parser.add_argument(
        "--rotate",
        metavar="WHEN",
        type=_rotation,
        default=DEFAULT_ROTATION,
        help="results.jsonl becomes results-TIME.jsonl and a new one is begun: at a size, e.g. 20MB; each day (UTC): "
        f"day; or never (default: {DEFAULT_ROTATION})",
    )
    parser.add_argument(
        "--overlays",
        metavar="VERDICTS",
        type=_verdicts,
        default=(),
        help="write a picture beside its heat to DIR/overlays for each image with one of these verdicts, e.g. "
        "fail,uncertain,invalid; unjudged: the recipe has no limits",
    )
    parser.add_argument(
        "--mqtt", metavar="URL", help="publish, too: mqtt://[USER@]HOST[:PORT]/TOPIC, mqtts:// with TLS"
    )
    parser.add_argument("--mqtt-password", metavar="FILE", help="whose first line is the user's password")
    parser.add_argument(
        "--mqtt-ca",
        metavar="FILE",
        help="certificate of the authority that alone vouches for the broker, PEM: a plant's own",
    )
    parser.add_argument(
        "--mqtt-certificate", metavar="FILE", help="certificate that the broker asks for, with its private key, PEM"
    )
    add_sinks(parser)
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout instead of the table")


def run(args: argparse.Namespace) -> int:
    from clipspect.base.errors import ClipspectError
    from clipspect.line.plan import FOLDER, MqttPlan, Plan, SourcePlan

    of_mqtt = {name: getattr(args, f"mqtt_{name}") for name in ("password", "ca", "certificate")}
    for name, given in of_mqtt.items():
        if given is not None and args.mqtt is None:
            raise ClipspectError(f"--mqtt-{name}: there is no --mqtt that it belongs to")
    source = SourcePlan(
        f"{FOLDER}{args.folder}",
        recipe=args.recipe,
        sort=args.sort,
        settle=args.settle,
        give_up=args.give_up,
        overlays=args.overlays,
        sinks=tuple(args.sinks),
    )
    plan = Plan(
        args.bundle,
        str(args.out),
        (source,),
        mqtt=None if args.mqtt is None else MqttPlan(args.mqtt, **of_mqtt),
        backend=args.backend,
        map_limit=args.map_limit,
        require_signature=args.require_signature,
        rotate=args.rotate,
        health=args.health,
        answer_within=args.answer_within,
        **engine_options(args),
    )
    return run_line(plan, show_line(args.json), f"watching {args.folder}")


def run_line(plan: Plan, shown: Sequence[Sink], doing: str) -> int:
    """Run a line until it ends, or a signal ends it."""
    from clipspect.line.line import Line
    from clipspect.line.stop import Stop

    with Stop() as stop, Line(plan, stop, shown) as line:
        for name, inspector in line.load().items():
            _say_start(f"{name}: {doing}" if name else doing, inspector, plan.out)
        line.run()
        if stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
    return 0


def show_line(as_json: bool) -> list[Sink]:
    """What a person sees of a line."""
    from clipspect.sinks.json_lines import JsonPrinter
    from clipspect.sinks.terminal import Remarks, Table

    return [Remarks(_say), JsonPrinter(_print) if as_json else Table(_print)]


def _say_start(doing: str, inspector: Inspector, out: str) -> None:
    from clipspect.cli.run import engine_words, guard_line

    recipe = f"recipe {inspector.recipe.name!r}"
    if inspector.recipe.limits is None:
        recipe += " (it has no limits: no verdicts)"
    _say(f"clipspect: {doing} with {recipe}, {engine_words(inspector)}; results in {out}")
    if said := guard_line(inspector):
        _say(said)


def _print(line: str) -> None:
    print(line, flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _rotation(text: str) -> str:
    try:
        parse_rotation(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _verdicts(text: str) -> tuple[str, ...]:
    from clipspect.sinks.overlays import parse_verdicts

    try:
        return tuple(parse_verdicts(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
