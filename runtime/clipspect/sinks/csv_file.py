"""Records as a CSV file, a row each, for spreadsheets: a name that looks like a formula has an apostrophe before it."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from types import TracebackType
from typing import Any

from clipspect.base.plain_text import spreadsheet_row
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.partial_file import PartialFile
from clipspect.sinks.sink import Sink

CSV_COLUMNS = (
    "source", "score", "verdict", "regions", "largest_area", "peak", "width", "height",
    "decode_ms", "preprocess_ms", "infer_ms", "post_ms", "overlay", "reasons", "error",
)  # fmt: skip


class CsvFile(Sink):
    """A file with a header; it is whole when it has its name."""

    def __init__(self, path: Path) -> None:
        self._file = PartialFile(path)

    def take(self, record: Record, outcome: Outcome) -> None:
        cells = cells_of(record)
        self._writer.writerow(spreadsheet_row(cells[column] for column in CSV_COLUMNS))

    def __enter__(self) -> CsvFile:
        self._file.open()
        self._writer = csv.writer(self._file)
        self._writer.writerow(CSV_COLUMNS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close(whole=kind is None)


def cells_of(record: Record) -> dict[str, Any]:
    """The cells of a record by their column."""
    times = {} if record.timings_ms is None else dataclasses.asdict(record.timings_ms)
    stages = ("decode", "preprocess", "infer", "post")
    return {
        "source": record.item.name,
        "score": record.score,
        "verdict": record.verdict,
        "regions": len(record.regions) if record.error is None else None,
        "largest_area": max((region.area for region in record.regions), default=None),
        "peak": record.peak,
        "width": record.item.width,
        "height": record.item.height,
        **{f"{stage}_ms": f"{times[stage]:.3f}" if times else None for stage in stages},
        "overlay": record.files.get("overlay"),
        "reasons": "; ".join(record.reasons) or None,
        "error": record.error,
    }
