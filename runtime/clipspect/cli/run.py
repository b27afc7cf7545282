"""`clipspect run`: inspect images, folders, globs, and whatever else a source gives."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import statistics
import sys
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from clipspect.base.errors import ClipspectError
from clipspect.base.lock import only_writer_in
from clipspect.cli.arguments import (
    RECIPE_HELP,
    add_bundle,
    add_engine,
    add_sinks,
    count,
    engine_options,
    interval,
    number,
    open_bundle,
)
from clipspect.cli.over_time import OverTime, add_over_time
from clipspect.cli.progress import ProgressBar

if TYPE_CHECKING:
    from clipspect.inspection.inspector import Inspector
    from clipspect.inspection.record import Record
    from clipspect.sinks.overlay_colours import HeatScale
    from clipspect.sinks.sink import Sink
    from clipspect.sources.registry import Sources

_MOST_TIMES = 100_000  # images, the last ones, that the median is of: a camera's run can last for months

_DESCRIPTION = """Inspect images and print one row each. An image that cannot be read is reported, the others are
inspected, and the exit status is then 1. A "fail" or "invalid" verdict is a result, not an error."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("run", help="inspect images, folders and globs", description=_DESCRIPTION)
    add_bundle(parser)
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="image, folder (with its subfolders), glob, video, or until ctrl-C: folder:PATH (one that grows), rtsp:// "
        "or http:// (a stream), camera:0 (USB); or a scheme of another package",
    )
    parser.add_argument("--recipe", metavar="NAME", help=RECIPE_HELP)
    parser.add_argument(
        "--policy",
        metavar="latest|block|queue:N",
        type=_policy,
        help="what becomes of frames that come faster than they are inspected: the newest counts, all are waited for, "
        "or N wait; what is dropped is counted (default: latest for cameras, block for videos; a video is read at its "
        "own speed with another)",
    )
    add_over_time(parser)
    add_engine(parser)
    parser.add_argument("--batch", metavar="N", type=count, default=1, help="images per run of the engine (default: 1)")
    parser.add_argument("--map-limit", metavar="X", type=number, help="regions are where the anomaly map is over this")
    parser.add_argument(
        "--heat-scale",
        metavar=("LO", "HI"),
        nargs=2,
        type=number,
        help="map values drawn coldest and hottest, the same for all images (default: the map's range, or the part of "
        "it with the map limit in its middle)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write results.jsonl, results.csv and overlays/ here")
    parser.add_argument(
        "--report",
        metavar="PAGE.html",
        type=Path,
        help="write one HTML page: counts, scores and limits, every image under its heat, to be sorted",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say why each region was raised: windows, words, the nearest reference (docs/reasons.md)",
    )
    add_sinks(parser)
    parser.add_argument(
        "--answer-within",
        metavar="S",
        type=interval,
        default=60.0,
        help="seconds that the engine has for an image; then the command ends with status 1 (default: 60)",
    )
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    from clipspect.inspection.load import load
    from clipspect.line.notify import Notifier
    from clipspect.line.stop import Stop
    from clipspect.line.watchdog import Watchdog, end_process
    from clipspect.sinks.registry import open_sink
    from clipspect.sources.registry import open_sources

    over_time = OverTime.of(args)
    sources = open_sources(args.sources, skip=args.out, policy=args.policy)
    others = [open_sink(text) for text in args.sinks]
    if args.out is not None:
        args.held.enter_context(only_writer_in(args.out))
    with contextlib.ExitStack() as stack:
        inspector = stack.enter_context(
            load(
                open_bundle(args),
                args.recipe,
                args.backend,
                map_limit=args.map_limit,
                explain=args.explain,
                **engine_options(args),
            )
        )
        if said := guard_line(inspector):
            print(said, file=sys.stderr)
        bar = stack.enter_context(ProgressBar("image"))
        sinks = [*_pictures(args, inspector), *others, *_documents(args.out), *_shown(args.json, bar)]
        for sink in sinks:
            stack.enter_context(sink)
        summary = _Summary()
        stop = Stop(sources.close)
        with contextlib.ExitStack() as watched:
            if sources.total is None:
                watched.enter_context(stop)
            watchdog = Watchdog((), None, args.answer_within * args.batch, stop, Notifier(), end_process)
            watched.enter_context(watchdog)
            watched.enter_context(watchdog.watching(inspector))
            _inspect(inspector, sources, over_time, args.batch, sinks, summary, bar)
    print(summary.line(inspector, args.out, args.report), file=sys.stderr)
    if stop.signal == signal.SIGINT:
        raise KeyboardInterrupt
    return 1 if summary.errors else 0


def _policy(text: str) -> str:
    from clipspect.sources.policy import parse_policy

    try:
        parse_policy(text)
    except ClipspectError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _inspect(
    inspector: Inspector,
    sources: Sources,
    over_time: OverTime,
    batch: int,
    sinks: list[Sink],
    summary: _Summary,
    bar: ProgressBar,
) -> None:
    from clipspect.inspection.record import record_of
    from clipspect.sinks.chain import Chain
    from clipspect.sinks.sink import with_files

    total = math.inf if sources.total is None or over_time.gate else sources.total
    keep_pictures = over_time.needs_pictures or any(sink.keeps_pictures for sink in sinks)
    chain = Chain()
    bar("", 0, total)
    items = over_time.items(sources)
    with contextlib.closing(inspector.stream(items, batch, keep_pictures=keep_pictures)) as outcomes:
        for done, outcome in enumerate(over_time.outcomes(outcomes), 1):
            record = chain.added(with_files(record_of(outcome, inspector), outcome, sinks))
            for sink in sinks:
                sink.take(record, outcome)
            summary.add(record)
            bar("", done, total)


def _pictures(args: argparse.Namespace, inspector: Inspector) -> Iterable[Sink]:
    from clipspect.sinks.overlays import Overlays
    from clipspect.sinks.report_run import RunReport

    scale = _heat_scale(args, inspector)
    if args.out is not None:
        overlays = Overlays(args.out, scale)
        if count := overlays.left_over:
            print(f"clipspect: {args.out}: {count} overlays of an earlier run stay among the new ones", file=sys.stderr)
        yield overlays
    if args.report is not None:
        yield RunReport(args.report, inspector, scale)


def _heat_scale(args: argparse.Namespace, inspector: Inspector) -> HeatScale:
    from clipspect.sinks.overlay_colours import HeatScale, heat_scale

    given = args.heat_scale
    scale = heat_scale(inspector.map_range, inspector.map_limit) if given is None else HeatScale(*given)
    if not scale.low < scale.high:
        raise ClipspectError(f"--heat-scale: {scale.low:g} is not below {scale.high:g}: give the lower value first")
    return scale


def _documents(out: Path | None) -> Iterable[Sink]:
    from clipspect.sinks.csv_file import CsvFile
    from clipspect.sinks.json_lines import JsonLines

    return [] if out is None else [JsonLines(out / "results.jsonl"), CsvFile(out / "results.csv")]


def _shown(as_json: bool, bar: ProgressBar) -> Iterable[Sink]:
    from clipspect.sinks.json_lines import JsonPrinter
    from clipspect.sinks.terminal import Remarks, Table

    def to_stdout(line: str) -> None:
        bar.write(line, sys.stdout)

    return [Remarks(lambda line: bar.write(line, sys.stderr)), JsonPrinter(to_stdout) if as_json else Table(to_stdout)]


def guard_line(inspector: Inspector) -> str:
    """What is to be said of limits that another engine calibrated; empty where there is nothing."""
    from clipspect.recipes.guard import guard_words

    said = guard_words(inspector.recipe, inspector.limits)
    return f"clipspect: {said}" if said else ""


def engine_words(inspector: Inspector) -> str:
    """What scored and, where it was not named, why."""
    engine = f"{inspector.backend} on {inspector.device}"
    if inspector.precision != "fp32":
        engine += f" in {inspector.precision}"
    return f"{engine} ({inspector.reason})" if inspector.reason else engine


class _Summary:
    """What there is to say at the end."""

    def __init__(self) -> None:
        self.errors = self.dropped = 0
        self._milliseconds: deque[float] = deque(maxlen=_MOST_TIMES)
        self._verdicts: Counter[str] = Counter()
        self._start = perf_counter()

    def add(self, record: Record) -> None:
        self.dropped += record.item.dropped
        if record.timings_ms is None:
            self.errors += 1
        else:
            self._milliseconds.append(record.timings_ms.total)
            self._verdicts[record.verdict or "scored"] += 1

    def line(self, inspector: Inspector, out: Path | None, report: Path | None) -> str:
        parts = [f"{count} {verdict}" for verdict, count in sorted(self._verdicts.items())]
        if not self._verdicts and not self.errors:
            parts.append("nothing was inspected")
        if self._milliseconds:
            rate = sum(self._verdicts.values()) / (perf_counter() - self._start)
            parts.append(f"median {statistics.median(self._milliseconds):.1f} ms an image, {rate:.1f} images a second")
            parts.append(engine_words(inspector))
        if self.errors:
            parts.append(f"{self.errors} could not be inspected")
        if self.dropped:
            parts.append(f"{self.dropped} dropped before they were inspected")
        if out is not None:
            parts.append(f"written to {out}")
        if report is not None:
            parts.append(f"report: {report}")
        return f"clipspect: {', '.join(parts)}"
