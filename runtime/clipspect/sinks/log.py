"""results.jsonl: the one record of what was inspected. A line that is in it, to its end, is a fact; nothing else is."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clipspect.base.document import MismatchError
from clipspect.base.errors import ClipspectError
from clipspect.base.files import DISK_FULL
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Link, Record
from clipspect.sinks.chain import Chain, link_of
from clipspect.sinks.kept_link import CHAIN, KeptLink
from clipspect.sinks.log_file import LogFile, Position, last_line, starts_line, whole_size
from clipspect.sinks.records import first_line, parse_record, rotated_files
from clipspect.sinks.rotation import NEVER, Rotation, rotated_name
from clipspect.sinks.sink import Sink

_BLOCK = 1 << 16


class Log(Sink):
    """JSON lines of records of files that only grow, in files that follow each other. Each line is on the disk before
    `take` returns. The last file has the log's name; one that has ended has the time of that in its name.

    One thread takes, any may read. Opening it removes a last line that was cut short; `repaired` is its length in
    bytes. `broken` says what else is not as it was left; the chain goes on behind what was written last, so that an
    audit finds it, too. Raises ClipspectError where it cannot be opened.
    """

    def __init__(self, path: Path, rotation: Rotation = NEVER) -> None:
        self.path = path
        self._rotation, self._lock = rotation, threading.Lock()
        try:
            with ExitStack() as stack:
                self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                stack.callback(os.close, self._file)
                size = self._repair()
                self._kept = KeptLink(path.parent / CHAIN)
                stack.callback(self._kept.close)
                self._join(size)
                stack.pop_all()
        except OSError as error:
            where = error.filename or path
            raise ClipspectError(
                f"{where}: cannot be written ({error.strerror}): check its rights, or choose another --out"
            ) from error

    @property
    def name(self) -> str:
        """The same for all of its files, and no other log has it."""
        return self._chain.log

    @property
    def link(self) -> Link | None:
        """Of the last line."""
        return self._chain.last

    @property
    def end(self) -> Position:
        with self._lock:
            file = self._files[-1]
            return Position(self._chain.next_line - 1, file.first, file.size)

    def linked(self, record: Record) -> Record:
        """The record with its place in the chain, as `take` wants it."""
        return self._chain.linked(record)

    def take(self, record: Record, outcome: Outcome | None = None) -> None:
        """Append a record that is linked. Raises OSError while the disk is full: it can be called again with the same
        record. Raises ClipspectError when it cannot be written for another reason.
        """
        link = record.chain
        assert link is not None, "the record is not linked"
        try:
            if link != self._chain.last:  # else only the last step is to be done again
                self._append(record)
                self._chain.last, self._last_time = link, record.time
            self._kept.keep(link)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            raise ClipspectError(
                f"{self.path}: cannot be written ({error.strerror}): check the disk, then start the command again"
            ) from error

    def lines(self, start: Position) -> Iterator[tuple[bytes, Position]]:
        """The lines from a place on, as far as they are written, each with the place behind it."""
        at = start
        with self._lock:
            file = next(file for file in self._files if file.first == start.first)
        while True:
            with self._lock:  # before the last look at its size: what is written after that, it holds for sure
                following = next((other for other in self._files if other.first > file.first), None)
            for line, offset in self._lines_of(file, at.offset):
                link = link_of(line)
                at = Position(at.line + 1 if link is None else link.line, file.first, offset)
                yield line, at
            if following is None:
                return
            file, at = following, following.start

    def bytes_after(self, place: Position) -> int:
        with self._lock:
            return sum(file.size for file in self._files if file.first >= place.first) - place.offset

    def resume(self, name: str | None, reached: Position) -> tuple[Position, int]:
        """Where a reader goes on that came to a place in the log of that name; and up to which line of the chain what
        it read is still true: lines after that are to be forgotten. That the file is not here any more is no reason,
        unless no other came after it.
        """
        with self._lock:
            files = list(self._files)
        if name != self.name:
            return files[0].start, 0
        for file in files:
            if file.first == reached.first:
                fits = reached.offset <= file.size and self._starts_line(file, reached.offset)
                return (reached, reached.line) if fits else (file.start, file.first - 1)
        for file in files:
            if file.first > reached.line and file.size > 0:
                return file.start, reached.line
        return files[-1].start, reached.first - 1

    def last(self) -> Record | None:
        """The last record; None when there is none."""
        line = self._last_line()
        try:
            return None if line is None else parse_record(line, f"{self.path}: the last line")
        except MismatchError as error:
            raise ClipspectError(f"{error}: choose another --out") from error

    def close(self) -> None:
        os.close(self._file)
        self._kept.close()

    def _repair(self) -> int:
        found = os.fstat(self._file).st_size
        size = whole_size(self._file, found, self.path)
        self.repaired = found - size
        if self.repaired:
            os.ftruncate(self._file, size)
        os.fsync(self._file)
        _sync_folder(self.path.parent)
        return size

    def _join(self, size: int) -> None:
        """Find the files, and where the chain goes on."""
        before = [LogFile(path, _first_line(path), path.stat().st_size) for path in rotated_files(self.path)]
        first = _first_line(self.path) if size else 0
        self._files = [*before, LogFile(self.path, first, size)]
        last = self.last()
        found, kept = (None if last is None else last.chain), self._kept.link
        self.broken = self._kept.damaged if kept is None else _broken(found, kept, self.path)
        self._chain = Chain(found if self.broken is None or kept is None else kept)
        self._files[-1].first = first or self._chain.next_line
        self._last_time = "" if last is None else last.time
        if self._chain.last is not None:
            self._kept.keep(self._chain.last)

    def _append(self, record: Record) -> None:
        data = record.to_json().encode() + b"\n"
        if self._rotation.due(self._files[-1].size, len(data), self._last_time, record.time):
            self._rotate()
        file = self._files[-1]
        if (found := os.fstat(self._file).st_size) < file.size:  # what is written behind that leaves a hole
            raise ClipspectError(
                f"{self.path}: was cut to {found} of {file.size} bytes while it was in use: let --rotate end "
                "its files, no other program; start the command again"
            )
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], file.size + written)
        os.fsync(self._file)
        with self._lock:
            file.size += len(data)

    def _rotate(self) -> None:
        """End the file, begin the next. Killed or failed in between, there is none of the log's name: it is made."""
        ended = self._files[-1]
        if ended.path == self.path:
            if not os.path.samestat(os.stat(self.path), os.fstat(self._file)):
                raise ClipspectError(f"{self.path}: was replaced while it was in use: start the command again")
            with self._lock:
                path = rotated_name(self.path)
                os.rename(self.path, path)
                ended.path = path
        opened = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.fstat(opened).st_size:
                raise ClipspectError(f"{self.path}: another program writes there: stop it, or choose another --out")
            _sync_folder(self.path.parent)
        except BaseException:
            os.close(opened)
            raise
        with self._lock:
            self._file, opened = opened, self._file
            self._files.append(LogFile(self.path, self._chain.next_line, 0))
        os.close(opened)

    def _lines_of(self, file: LogFile, start: int) -> Iterator[tuple[bytes, int]]:
        with self._opened(file) as handle:
            rest, offset = b"", start
            while (at := offset + len(rest)) < file.size:
                block = os.pread(handle, min(_BLOCK, file.size - at), at)
                if not block:
                    raise ClipspectError(f"{file.path}: was cut while it was in use: start clipspect watch again")
                *whole, rest = (rest + block).split(b"\n")
                for line in whole:
                    offset += len(line) + 1
                    yield line, offset

    def _starts_line(self, file: LogFile, offset: int) -> bool:
        with self._opened(file) as handle:
            return starts_line(handle, offset)

    def _last_line(self) -> bytes | None:
        for file in reversed(self._files):
            if file.size:
                with self._opened(file) as handle:
                    return last_line(handle, file.size)
        return None

    @contextmanager
    def _opened(self, file: LogFile) -> Iterator[int]:
        with self._lock:  # else it can get another name in between
            try:
                handle = os.open(file.path, os.O_RDONLY)
            except OSError as error:
                raise ClipspectError(
                    f"{file.path}: cannot be read ({error.strerror}): bring it back, or start clipspect watch again"
                ) from error
        try:
            yield handle
        finally:
            os.close(handle)


def _broken(found: Link | None, kept: Link, path: Path) -> str | None:
    """What the last line says against the link that was kept of it; None where it is as it was left, or went on."""
    if found is not None and found.log == kept.log and (found == kept or found.line > kept.line):
        return None
    if found is None or (found.log == kept.log and found.line < kept.line):
        there = 0 if found is None else found.line
        missing = f"line {kept.line} was" if there + 1 == kept.line else f"lines {there + 1} to {kept.line} were"
        return f"{path}: {missing} written and cut off since; the chain goes on behind, so that an audit finds it"
    return f"{path}: the last line is not the one that was written; the chain goes on behind that"


def _first_line(path: Path) -> int:
    first = first_line(path)
    if first is None:
        raise ClipspectError(f"{path}: no line of it is of a chain: keep it elsewhere, or choose another --out")
    return first


def _sync_folder(folder: Path) -> None:
    """What was created in a folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
