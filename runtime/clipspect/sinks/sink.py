"""The one thing that every sink is: it takes records, and what was inspected where it draws."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Mapping
from types import TracebackType

from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record


class Sink(abc.ABC):
    """A context manager: it opens what it needs when it is entered. A record is first completed, then taken.

    A sink that writes a file of its own for a record says its name before, so that all sinks are given the same record.
    """

    keeps_pictures = False  # whether `outcome.frame` is needed, the frame in full size

    def files(self, record: Record, outcome: Outcome) -> Mapping[str, str]:
        """What `take` will write of this one: paths relative to the sink's folder, by their kind, e.g. "overlay"."""
        return {}

    @abc.abstractmethod
    def take(self, record: Record, outcome: Outcome) -> None:
        """Called once for a record, in the order of the frames. In `clipspect watch` once more after an OSError, and
        when the process was killed before the record was in its log: the record then has the same id.
        """

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def with_files(record: Record, outcome: Outcome, sinks: Iterable[Sink]) -> Record:
    """The record with the names of the files that the sinks will write."""
    files = dict(record.files)
    for sink in sinks:
        files.update(sink.files(record, outcome))
    return dataclasses.replace(record, files=files) if files else record
