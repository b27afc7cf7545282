"""results.jsonl: the one record of what was inspected. A line that is in it, to its end, is a fact; nothing else is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipspect.base.errors import ClipspectError

_BLOCK = 1 << 16
_KEYS = {"id", "file", "sorted", "error"}  # that only lines of a watcher have


class Log:
    """JSON lines that only grow. Each is on the disk before `append` returns.

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

    def last(self) -> dict[str, Any] | None:
        """The last row; None when there is none."""
        start = self._line_start(self.size - 1)
        return parse(os.pread(self._file, self.size - start, start))

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
        if parse(line) is not None:
            return end
        if line.startswith(b"{") and b"\0" in line:
            return start
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


def parse(line: bytes) -> dict[str, Any] | None:
    """A line's row; None when it is not one of ours."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and row.keys() >= _KEYS else None


def _sync_folder(folder: Path) -> None:
    """What was created in a folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
