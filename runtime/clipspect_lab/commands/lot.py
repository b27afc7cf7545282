"""`clipspect lot`: the images of a folder judged against each other, without words, references or training."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.base.lock import only_writer_in
from clipspect.cli.arguments import add_bundle, add_engine, engine_options, open_bundle
from clipspect.cli.progress import ProgressBar

if TYPE_CHECKING:
    from clipspect.inspection.outcome import Outcome
    from clipspect.inspection.record import Record
    from clipspect.sinks.sink import Sink
    from clipspect_lab.lot.judge import Lot

_DESCRIPTION = """Rank the images of a folder by how unlike the others they are (MuSc): a patch that has its like in
most other images is good. It takes no words, no references and no training, but some dozens of images of one product,
most of them good. Scores compare images of this lot alone, there are no verdicts. The time grows with the square of the
images. An image that cannot be read is reported, the others are judged, and the exit status is then 1."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("lot", help="judge the images of a lot against each other", description=_DESCRIPTION)
    add_bundle(parser, help='bundle folder that answers patches, or the word "demo"')
    parser.add_argument("folder", metavar="FOLDER", help="the images, with those in its subfolders")
    add_engine(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, help="write results.jsonl, results.csv and overlays/ here")
    parser.add_argument("--report", metavar="PAGE.html", type=Path, help="write one HTML page")
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    from clipspect.sinks.chain import Chain
    from clipspect.sinks.sink import with_files
    from clipspect.sources.files import Files, images_of
    from clipspect_lab.lot.judge import judge_lot

    images = Files(args.folder, tuple(images_of(args.folder, args.out)))
    if args.out is not None:
        args.held.enter_context(only_writer_in(args.out))
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(ProgressBar())
        lot = judge_lot(open_bundle(args), tuple(images), args.backend, progress=bar, **engine_options(args))
        sinks = [*_sinks(args, lot, bar)]
        for sink in sinks:
            stack.enter_context(sink)
        chain, with_pictures = Chain(), any(sink.keeps_pictures for sink in sinks)
        for record, outcome in _recorded(lot, with_pictures):
            chained = chain.added(with_files(record, outcome, sinks))
            for sink in sinks:
                sink.take(chained, outcome)
    written = [str(path) for path in (args.out, args.report) if path is not None]
    parts = [f"{len(lot.ranked)} images ranked"]
    parts += [f"{len(lot.unread)} could not be read"] if lot.unread else []
    parts += [f"written to {', '.join(written)}"] if written else []
    print(f"clipspect: {', '.join(parts)}", file=sys.stderr)
    return 1 if lot.unread else 0


def _recorded(lot: Lot, with_pictures: bool) -> Iterator[tuple[Record, Outcome]]:
    """Each outcome with its record, the most anomalous first; pictures are read anew, so that one at a time is kept."""
    from clipspect.frame.prepare import prepare
    from clipspect.inspection.explanation import Explanation, LotRank
    from clipspect.inspection.record import record_of

    for rank, outcome in enumerate(lot.ranked, 1):
        explanation = Explanation(lot=LotRank(rank, len(lot.ranked)))
        record = dataclasses.replace(record_of(outcome, lot.inspector), map_limit=None, explanation=explanation)
        frame = prepare(outcome.item.frame, lot.inspector.bundle.manifest.image) if with_pictures else None
        yield record, dataclasses.replace(outcome, frame=frame)
    for outcome in lot.unread:
        yield record_of(outcome, lot.inspector), outcome


def _sinks(args: argparse.Namespace, lot: Lot, bar: ProgressBar) -> Iterable[Sink]:
    from clipspect.sinks.csv_file import CsvFile
    from clipspect.sinks.json_lines import JsonLines, JsonPrinter
    from clipspect.sinks.overlay_colours import HeatScale
    from clipspect.sinks.overlays import Overlays
    from clipspect.sinks.terminal import Remarks, Table
    from clipspect_lab.lot.page import LotPage

    scale = HeatScale(*lot.heat)
    if args.out is not None:
        yield from (Overlays(args.out, scale), JsonLines(args.out / "results.jsonl"), CsvFile(args.out / "results.csv"))
    if args.report is not None:
        yield LotPage(args.report, scale)
    yield Remarks(lambda line: bar.write(line, sys.stderr))
    printed = JsonPrinter if args.json else Table
    yield printed(lambda line: bar.write(line, sys.stdout))
