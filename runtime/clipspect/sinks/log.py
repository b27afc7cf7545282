"""results.jsonl: the one record of what was inspected. A line that is in it, to its end, is a fact; nothing else is."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import ClipspectError
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.sink import Sink

_BLOCK = 1 << 16
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_OLD_KEYS = {"id", "file", "sorted", "error"}  # of the lines that clipspect watch wrote before records


class Log(Sink):
    """JSON lines of records of files that only grow. Each is on the disk before `append` returns.

    One thread appends, any may read. Opening it removes a last line that was cut short; `repaired` is its length in
    bytes. Raises ClipspectError where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            found = os.fstat(self._file).st_size
            self.size = self._whole(found)  # bytes, up to the end of the last line
            self.repaired = found - self.size
            if self.repaired:
                os.ftruncate(self._file, self.size)
            os.fsync(self._file)
            _sync_folder(path.parent)
        except OSError as error:
            raise ClipspectError(
                f"{path}: cannot be written ({error.strerror}): check its rights, or choose another --out"
            ) from error

    def take(self, record: Record, outcome: Outcome) -> None:
        """Raises OSError while the disk is full; ClipspectError when it cannot be written for another reason."""
        try:
            self.append(record.to_json())
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise ClipspectError(
                f"{self.path}: cannot be written ({error.strerror}): check the disk, then start the command again"
            ) from error

    def append(self, line: str) -> None:
        """Raises OSError; the line then does not count, and can be appended again."""
        data = line.encode() + b"\n"
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], self.size + written)
        os.fsync(self._file)
        self.size += len(data)

    def lines(self, start: int = 0) -> Iterator[tuple[bytes, int]]:
        """The lines from a byte offset on, each with the offset of the next."""
        rest, offset = b"", start
        while (at := offset + len(rest)) < self.size:
            block = os.pread(self._file, min(_BLOCK, self.size - at), at)
            if not block:
                raise ClipspectError(f"{self.path}: was cut while it was in use: start clipspect watch again")
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                offset += len(line) + 1
                yield line, offset

    def last(self) -> Record | None:
        """The last record; None when there is none."""
        if self.size == 0:
            return None
        start = self._line_start(self.size - 1)
        document = parse_line(os.pread(self._file, self.size - start, start))
        try:
            return build(Record, document, f"{self.path}: the last line")
        except MismatchError as error:
            raise ClipspectError(f"{error}: choose another --out") from error

    def starts_line(self, offset: int) -> bool:
        """Whether a line starts, or the log ends, at a byte offset."""
        return offset == 0 or (0 < offset <= self.size and os.pread(self._file, 1, offset - 1) == b"\n")

    def close(self) -> None:
        os.close(self._file)

    def _whole(self, size: int) -> int:
        """The end of the last whole line. After a power cut a line can have its end, but zeros in its middle."""
        end = self._line_start(size)
        if end == 0:
            return 0
        start = self._line_start(end - 1)
        line = os.pread(self._file, end - start, start)
        if parse_line(line) is not None:
            return end
        if line.startswith(b"{") and b"\0" in line:
            return start
        if (_object(line) or {}).keys() >= _OLD_KEYS:
            raise ClipspectError(
                f"{self.path}: was written by an older clipspect watch, in other words: keep it, choose another --out"
            )
        raise ClipspectError(f"{self.path}: was not written by clipspect watch: choose another --out")

    def _line_start(self, before: int) -> int:
        """The offset after the last line's end that lies before an offset."""
        while before > 0:
            start = max(0, before - _BLOCK)
            found = os.pread(self._file, before - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            before = start
        return 0


def parse_line(line: bytes) -> dict[str, Any] | None:
    """A line's record as parsed JSON; None when it is not one of a watched file."""
    document = _object(line)
    if document is None or document.get("schema") != 1 or not isinstance(document.get("id"), str):
        return None
    item = document.get("item")
    return document if isinstance(item, dict) and isinstance(item.get("file"), dict) else None


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _sync_folder(folder: Path) -> None:
    """What was created in a folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
