"""What a person at the terminal sees of records: a table, and a line for each frame that could not be read."""

from __future__ import annotations

from collections.abc import Callable

from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.sink import Sink

_HEADER = f"{'score':>8}  {'verdict':9}  {'regions':>7}  {'ms':>7}  source"


class Table(Sink):
    """A row a frame that could be read, under a header."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` prints a line."""
        self._write = write
        self._headed = False

    def take(self, record: Record, outcome: Outcome) -> None:
        if record.score is None or record.timings_ms is None:
            return
        if not self._headed:
            self._write(_HEADER)
        self._headed = True
        verdict, milliseconds = record.verdict or "-", record.timings_ms.total
        self._write(
            f"{record.score:8.4f}  {verdict:9}  {len(record.regions):7d}  {milliseconds:7.1f}  {record.item.name}"
        )


class Errors(Sink):
    """A line a frame that could not be read, for standard error."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` prints a line."""
        self._write = write

    def take(self, record: Record, outcome: Outcome) -> None:
        if record.error is not None:
            self._write(f"clipspect: {record.error}")
