"""Records as JSON lines: into a file that is whole when it has its name, or to whoever reads standard output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from clipspect.base.errors import ClipspectError
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.kept_link import CHAIN, RESULTS
from clipspect.sinks.partial_file import PartialFile
from clipspect.sinks.sink import Sink


class JsonLines(Sink):
    """A file, a line a record."""

    def __init__(self, path: Path) -> None:
        """Raises ClipspectError where the file is the log of a watched folder, which only grows."""
        if path.name == RESULTS and (path.parent / CHAIN).exists():
            raise ClipspectError(f"{path}: is the log of clipspect watch or line: choose another place")
        self._file = PartialFile(path)

    def take(self, record: Record, outcome: Outcome) -> None:
        self._file.write(record.to_json() + "\n")

    def __enter__(self) -> JsonLines:
        self._file.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close(whole=kind is None)


class JsonPrinter(Sink):
    """Lines for a program that reads them as they come."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` prints a line."""
        self._write = write

    def take(self, record: Record, outcome: Outcome) -> None:
        self._write(record.to_json())
