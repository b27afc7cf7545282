"""`clipspect run`: inspect images, folders and globs."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import ClipspectError
from clipspect.cli.arguments import add_engine, count, engine_options, number

if TYPE_CHECKING:
    from clipspect.inspection.inspector import Inspector
    from clipspect.sinks.overlay import HeatScale
    from clipspect.sinks.results import ResultFolder, Row

_DESCRIPTION = """Inspect images and print one row each. An image that cannot be read is reported, the others are
inspected, and the exit status is then 1. A "fail" verdict is a result, not an error."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("run", help="inspect images, folders and globs", description=_DESCRIPTION)
    parser.add_argument("bundle", metavar="BUNDLE", help='bundle folder, or the word "demo"')
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help="image, folder (with its subfolders) or glob")
    parser.add_argument("--recipe", metavar="NAME", help="recipe of the bundle (default: its only one)")
    add_engine(parser)
    parser.add_argument("--batch", metavar="N", type=count, default=1, help="images per run of the engine (default: 1)")
    parser.add_argument("--map-limit", metavar="X", type=number, help="regions are where the anomaly map is over this")
    parser.add_argument(
        "--heat-scale",
        metavar=("LO", "HI"),
        nargs=2,
        type=number,
        help="map values drawn coldest and hottest, the same for all images (default: the method's range)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write results.jsonl, results.csv and overlays/ here")
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from clipspect.inspection.inspector import load
    from clipspect.sources.files import find_images

    paths = find_images(args.sources, skip=args.out)
    with contextlib.ExitStack() as stack:
        inspector = stack.enter_context(
            load(args.bundle, args.recipe, args.backend, map_limit=args.map_limit, **engine_options(args))
        )
        folder = _result_folder(args, paths, inspector)
        if folder is not None:
            stack.enter_context(folder)
        bar = stack.enter_context(tqdm(total=len(paths), unit=" images", disable=None, file=sys.stderr, leave=False))
        report = _Report(args.json, bar)
        for row in stack.enter_context(contextlib.closing(_inspect(inspector, paths, args.batch, folder))):
            report.add(row)
            if folder is not None:
                folder.write(row)
    report.finish(inspector, args.out)
    return 1 if report.errors else 0


def _result_folder(args: argparse.Namespace, paths: list[Path], inspector: Inspector) -> ResultFolder | None:
    scale = _heat_scale(args, inspector)
    if args.out is None:
        return None
    from clipspect.sinks.results import ResultFolder

    return ResultFolder(args.out, paths, scale)


def _heat_scale(args: argparse.Namespace, inspector: Inspector) -> HeatScale:
    from clipspect.sinks.overlay import HeatScale

    scale = HeatScale(*(args.heat_scale or inspector.map_range))
    if not scale.low < scale.high:
        raise ClipspectError(f"--heat-scale: {scale.low:g} is not below {scale.high:g}: give the lower value first")
    return scale


def _inspect(
    inspector: Inspector, paths: list[Path], batch: int, folder: ResultFolder | None
) -> Generator[Row, None, None]:
    """A row for every path, in their order; close it before the inspector."""
    from clipspect.sinks.results import row_of
    from clipspect.sources.files import items_of_files

    items = items_of_files(paths)
    with contextlib.closing(inspector.stream(items, batch, keep_pictures=folder is not None)) as outcomes:
        for outcome in outcomes:
            row = row_of(outcome)
            if folder is not None and outcome.result is not None and outcome.frame is not None:
                row["overlay"] = folder.draw(paths[outcome.item.number], outcome.frame, outcome.result)
            yield row


def engine_words(inspector: Inspector) -> str:
    """What scored and, where it was not named, why."""
    engine = f"{inspector.backend} on {inspector.device}"
    if inspector.precision != "fp32":
        engine += f" in {inspector.precision}"
    return f"{engine} ({inspector.reason})" if inspector.reason else engine


@dataclass
class _Report:
    """What a person or a program sees while the run goes on."""

    as_json: bool
    bar: Any  # tqdm; it keeps rows and progress bar apart on a terminal
    errors: int = 0
    milliseconds: list[float] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    start: float = field(default_factory=perf_counter)

    def add(self, row: Row) -> None:
        from clipspect.sinks.results import TABLE_HEADER, json_line, table_line

        self.bar.update()
        if row["error"] is None:
            self.milliseconds.append(sum(row["timings_ms"].values()))
            self.verdicts[row["verdict"] or "scored"] += 1
        else:
            self.errors += 1
            self._print(f"clipspect: {row['error']}", sys.stderr)
        if self.as_json:
            self._print(json_line(row))
        elif row["error"] is None:
            if len(self.milliseconds) == 1:
                self._print(TABLE_HEADER)
            self._print(table_line(row))

    def finish(self, inspector: Inspector, out: Path | None) -> None:
        """One line of summary on stderr."""
        parts = [f"{count} {verdict}" for verdict, count in sorted(self.verdicts.items())]
        if self.milliseconds:
            rate = len(self.milliseconds) / (perf_counter() - self.start)
            parts.append(f"median {statistics.median(self.milliseconds):.1f} ms an image, {rate:.1f} images a second")
            parts.append(engine_words(inspector))
        if self.errors:
            parts.append(f"{self.errors} could not be read")
        if out is not None:
            parts.append(f"written to {out}")
        print(f"clipspect: {', '.join(parts)}", file=sys.stderr)

    def _print(self, line: str, file: Any = None) -> None:
        file = file or sys.stdout
        self.bar.write(line, file=file)
        file.flush()  # a program that reads the rows gets each when it is there
