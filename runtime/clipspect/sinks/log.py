"""results.jsonl: the one record of what was inspected. A line that is in it, to its end, is a fact; nothing else is."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path

from clipspect.base.document import MismatchError
from clipspect.base.errors import ClipspectError
from clipspect.base.files import DISK_FULL
from clipspect.base.folders import sync
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Link, Record
from clipspect.sinks.chain import Chain
from clipspect.sinks.kept_link import CHAIN, KeptLink
from clipspect.sinks.log_file import LogFile, Position, whole_size
from clipspect.sinks.log_files import LogFiles
from clipspect.sinks.records import first_link, parse_record, rotated_files
from clipspect.sinks.rotation import NEVER, Rotation, rotated_name
from clipspect.sinks.sink import Sink


class Log(Sink):
    """JSON lines of records of files that only grow, in files that follow each other. Each line is on the disk before
    `take` returns. The last file has the log's name; one that has ended has the time of that in its name.

    One thread takes, any may read. Opening it removes a last line that was cut short; `repaired` is its length in
    bytes. `broken` says what else is not as it was left; the chain goes on behind what was written last, so that an
    audit finds it, too. Another program may rename, copy, cut or remove files while the log is in use: the next line
    goes on in a file of the log's name, and `broken` says what is missing. Raises ClipspectError where it cannot be
    opened.
    """

    def __init__(self, path: Path, rotation: Rotation = NEVER) -> None:
        self.path = path
        self._rotation = rotation
        self.broken: str | None = None
        self._chain = Chain()
        self._kept_files = LogFiles()
        self.lines = self._kept_files.lines
        self.bytes_after = self._kept_files.bytes_after
        try:
            with ExitStack() as stack:
                self._file = self._opened()
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
        file = self._kept_files.last
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

    def resume(self, name: str | None, reached: Position) -> tuple[Position, int]:
        """Where a reader goes on that came to a place in the log of that name, see `LogFiles.resume`."""
        return self._kept_files.resume(reached) if name == self.name else (self._kept_files.start(), 0)

    def last(self) -> Record | None:
        """The last record; None when there is none."""
        for line, file in self._kept_files.backwards():
            with suppress(MismatchError):
                return parse_record(line, f"{file.path}: the last line")
        return None

    def close(self) -> None:
        os.close(self._file)
        self._kept.close()

    def _opened(self) -> int:
        """Each write goes to the end that the file has then, so that none leaves a hole where another program cuts."""
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _repair(self) -> int:
        found = os.fstat(self._file).st_size
        size = whole_size(self._file, found, self.path)
        self.repaired = found - size
        if self.repaired:
            os.ftruncate(self._file, size)
        os.fsync(self._file)
        sync(self.path.parent)
        return size

    def _join(self, size: int) -> None:
        """Find the files, and where the chain goes on."""
        before = [_log_file(path, link.line) for path in rotated_files(self.path) if (link := first_link(path))]
        current = LogFile(self.path, 0, size, os.fstat(self._file).st_ino)
        self._kept_files.replace([*before, current])
        last = self.last()
        found, kept = (None if last is None else last.chain), self._kept.link
        broken = self._kept.damaged if kept is None else _broken(found, kept, self.path)
        self.broken = broken or self.broken  # the chain shows it for good
        if (link := found if broken is None or kept is None else kept) is not None:
            self._chain = Chain(link)  # else the one that is, by whose name the first record can be linked already
        first = first_link(self.path) if size else None
        current.first = self._chain.next_line if first is None else first.line
        self._last_time = "" if last is None else last.time
        if self._chain.last is not None:
            self._kept.keep(self._chain.last)

    def _append(self, record: Record) -> None:
        data = record.to_json().encode() + b"\n"
        if not self._is_as_it_was():
            self._begin_again()
        if self._rotation.due(self._kept_files.last.size, len(data), self._last_time, record.time):
            self._rotate()
        size = self._kept_files.last.size
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)  # what there was room for; where that fails, too, it is as if others did it
            raise
        self._kept_files.grow(len(data))

    def _is_as_it_was(self) -> bool:
        """Whether the file has the log's name still, and ends where it was left."""
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False
        file = self._kept_files.last
        return file.path == self.path and (named.st_ino, named.st_size) == (file.inode, file.size)

    def _begin_again(self) -> None:
        """With the files as they are now. Raises ClipspectError where the one of the log's name is another program's,
        and OSError.
        """
        opened = self._opened()
        self._file, opened = opened, self._file
        os.close(opened)
        self._join(self._repair())

    def _rotate(self) -> None:
        """End the file, begin the next. Killed or failed in between, there is none of the log's name: it is made."""
        self._kept_files.rename_last(rotated_name(self.path))
        self._begin_again()


def _log_file(path: Path, first: int) -> LogFile:
    status = path.stat()
    return LogFile(path, first, status.st_size, status.st_ino)


def _broken(found: Link | None, kept: Link, path: Path) -> str | None:
    """What the last line says against the link that was kept of it; None where it is as it was left, or went on."""
    if found is not None and found.log == kept.log and (found == kept or found.line > kept.line):
        return None
    if found is None or (found.log == kept.log and found.line < kept.line):
        there = 0 if found is None else found.line
        missing = f"line {kept.line} was" if there + 1 == kept.line else f"lines {there + 1} to {kept.line} were"
        return f"{path}: {missing} written and cut off since; the chain goes on behind, so that an audit finds it"
    return f"{path}: the last line is not the one that was written; the chain goes on behind that"
