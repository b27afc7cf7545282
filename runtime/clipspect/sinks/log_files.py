"""The files of a log as its readers see them: lines over all of them, and where a reader goes on that stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clipspect.base.errors import ClipspectError
from clipspect.sinks.chain import link_of
from clipspect.sinks.log_file import LogFile, Position, starts_line

_BLOCK = 1 << 16


class LogFiles:
    """In the order of the chain; the last one grows. Any thread may read, one changes them."""

    def __init__(self) -> None:
        """None yet: `replace` says which."""
        self._files, self._lock = list[LogFile](), threading.Lock()

    @property
    def last(self) -> LogFile:
        with self._lock:
            return self._files[-1]

    def replace(self, files: Sequence[LogFile]) -> None:
        """They are others now."""
        with self._lock:
            self._files = list(files)

    def grow(self, count: int) -> None:
        """So many bytes have been written to the last one."""
        with self._lock:
            self._files[-1].size += count

    def rename_last(self, path: Path) -> None:
        with self._lock:  # a reader opens it by its name
            os.rename(self._files[-1].path, path)
            self._files[-1].path = path

    def lines(self, start: Position) -> Iterator[tuple[bytes, Position]]:
        """The lines from a place on, as far as they are written, each with the place behind it. Zeros before a line,
        which another program's cut can leave, are none of it.
        """
        at = start if self._holding(start) is not None else self.behind(start.line)
        file = self._holding(at)
        assert file is not None, "a place that was just found"
        while True:
            with self._lock:  # before the last look at its size: what is written after that, it holds for sure
                following = next((other for other in self._files if other.first > file.first), None)
            for line, offset in self._lines_of(file, at.offset):
                at = _after(at, line, file, offset)
                yield line.lstrip(b"\0"), at
            if following is None:
                return
            file, at = following, following.start

    def bytes_after(self, place: Position) -> int:
        with self._lock:
            return max(0, sum(file.size for file in self._files if file.first >= place.first) - place.offset)

    def resume(self, reached: Position) -> tuple[Position, int]:
        """Where a reader goes on that came to a place; and up to which line of the chain what it read is still true:
        lines after that are to be forgotten. That whole files are not here any more is no reason: others took them.
        """
        with self._lock:
            same = next((file for file in self._files if file.first == reached.first), None)
        if same is None:
            return self.behind(reached.line), reached.line
        if reached.offset <= same.size and self._starts_line(same, reached.offset):
            return reached, reached.line
        return same.start, same.first - 1  # it was cut at its end

    def start(self) -> Position:
        with self._lock:
            return self._files[0].start

    def behind(self, line: int) -> Position:
        """The place behind a line of the chain, or as near behind as there are lines."""
        with self._lock:
            files = list(self._files)
        for file in reversed([file for file in files if file.first <= line]):
            at = file.start
            for content, offset in self._lines_of(file, 0):
                after = _after(at, content, file, offset)
                if after.line > line:
                    break
                at = after
            if at.offset:
                return at
        return next((file.start for file in files if file.first > line), files[-1].start)

    def backwards(self) -> Iterator[tuple[bytes, LogFile]]:
        """Whole lines, the last one first, each with its file."""
        with self._lock:
            files = list(self._files)
        for file in reversed(files):
            if file.size:
                with self._opened(file) as handle:
                    for line in file.lines_backwards(handle):
                        yield line, file

    def _holding(self, place: Position) -> LogFile | None:
        with self._lock:
            fitting = (file for file in self._files if file.first == place.first and place.offset <= file.size)
            return next(fitting, None)

    def _lines_of(self, file: LogFile, start: int) -> Iterator[tuple[bytes, int]]:
        with self._opened(file) as handle:
            rest, offset = b"", start
            while (at := offset + len(rest)) < file.size:
                block = os.pread(handle, min(_BLOCK, file.size - at), at)
                if not block:
                    raise ClipspectError(f"{file.path}: has been cut while it was in use: waiting for its next line")
                *whole, rest = (rest + block).split(b"\n")
                for line in whole:
                    offset += len(line) + 1
                    yield line, offset

    def _starts_line(self, file: LogFile, offset: int) -> bool:
        with self._opened(file) as handle:
            return starts_line(handle, offset)

    @contextmanager
    def _opened(self, file: LogFile) -> Iterator[int]:
        with self._lock:  # else it can get another name in between
            try:
                handle = file.open()
            except OSError as error:
                raise ClipspectError(
                    f"{file.path}: cannot be read ({error.strerror}): bring it back, or start clipspect watch again"
                ) from error
        try:
            yield handle
        finally:
            os.close(handle)


def _after(at: Position, line: bytes, file: LogFile, offset: int) -> Position:
    """The place behind a line; one that does not say its number is the next."""
    link = link_of(line)
    return Position(at.line + 1 if link is None else link.line, file.first, offset)
