"""What a person at the terminal sees of records: a table, and beside it what could not be inspected and what is odd."""

from __future__ import annotations

from collections.abc import Callable

from clipspect.base.plain_text import one_line
from clipspect.inspection.explanation_words import explanation_lines
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.sink import Sink

_HEADER = f"{'score':>8}  {'verdict':9}  {'regions':>7}  {'ms':>7}  source"


class Table(Sink):
    """A row a frame that could be read, under a header; below it why it is invalid, or its regions are there."""

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
        verdict, milliseconds, name = record.verdict or "-", record.timings_ms.total, one_line(record.item.name)
        self._write(f"{record.score:8.4f}  {verdict:9}  {len(record.regions):7d}  {milliseconds:7.1f}  {name}")
        for reason in record.reasons:
            self._write(f"{'':10}{reason}")
        if record.explanation is not None and record.map_limit is not None:
            for line in explanation_lines(record.explanation, record.regions, record.map_limit):
                self._write(f"{'':10}{one_line(line)}")


class Remarks(Sink):
    """A line a frame that could not be inspected, and each note once, for standard error."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` prints a line."""
        self._write = write
        self._noted: set[str] = set()

    def take(self, record: Record, outcome: Outcome) -> None:
        if record.error is not None:
            self._write(f"clipspect: {one_line(record.error)}")
        for note in record.notes:
            if note not in self._noted:
                self._noted.add(note)
                self._write(f"clipspect: {note}; the first is {one_line(record.item.name)}")
