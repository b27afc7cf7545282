"""Which parts are in the log, found without holding them all in memory. Made from the log, and made again if lost."""

from __future__ import annotations

import errno
import sqlite3
import threading
from pathlib import Path

from clipspect.base.errors import ClipspectError
from clipspect.sinks.log import Log
from clipspect.sinks.log_file import Position
from clipspect.sinks.records import json_object
from clipspect.sources.part import Part

_ROWS_A_TRANSACTION = 10_000
_FULL = "disk is full"  # in what SQLite says; the error's number is known from Python 3.11 on


class Index:
    """A SQLite table of ids on disk, and the place in the log up to which it was made. Any thread may call.

    An entry costs about 30 bytes on disk; in memory there is only SQLite's cache of 2 MB. A transaction is not waited
    for until it is on the disk: after a power cut the table is an older state of itself, and the log brings it up to
    date. Files of the log that have been taken elsewhere, even all of them, stay known; `unknown` says of which lines
    the index is not sure, because it was lost and their files are not here, or they cannot be read. Raises
    ClipspectError when the table can no longer be read.
    """

    def __init__(self, path: Path, log: Log) -> None:
        self._path, self._log, self._lock = path, log, threading.Lock()
        try:
            self._table, self.unknown = _made_from(log, path)
        except sqlite3.DatabaseError as error:  # damaged: the log has all that it knew
            if _FULL in str(error):
                full = OSError(errno.ENOSPC, str(error), path)
                raise ClipspectError(f"{path}: cannot be written ({error}): choose another --out") from full
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            try:
                self._table, self.unknown = _made_from(log, path)
            except sqlite3.DatabaseError as error:
                raise ClipspectError(f"{path}: cannot be written ({error}): choose another --out") from error

    def __contains__(self, part: Part) -> bool:
        try:
            with self._lock:
                found = self._table.execute("SELECT 1 FROM done WHERE id = ?", (bytes.fromhex(part.id),)).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error
        return found is not None

    def add(self, part: Part) -> None:
        """The part of the log's last line. Raises sqlite3.OperationalError, e.g. on a full disk."""
        reached = self._log.end
        try:
            with self._lock:
                _add(self._table, [(bytes.fromhex(part.id), reached.line)], self._log.name, reached)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        with self._lock:
            self._table.close()

    def _unusable(self, error: sqlite3.DatabaseError) -> ClipspectError:
        return ClipspectError(f"{self._path}: cannot be read ({error}): start the command again, the log has all of it")


def _made_from(log: Log, path: Path) -> tuple[sqlite3.Connection, str | None]:
    """The table on disk, brought up to date, and what it is not sure of."""
    table = sqlite3.connect(path, check_same_thread=False)
    try:
        table.execute("PRAGMA locking_mode = EXCLUSIVE")
        table.execute("PRAGMA journal_mode = WAL")
        table.execute("PRAGMA synchronous = NORMAL")
        with table:
            table.execute("CREATE TABLE IF NOT EXISTS done (id BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID")
            table.execute("CREATE TABLE IF NOT EXISTS reach (log TEXT, line INTEGER, first INTEGER, offset INTEGER)")
            table.execute("INSERT INTO reach SELECT '', 0, 1, 0 WHERE NOT EXISTS (SELECT 1 FROM reach)")
        return table, _catch_up(table, log)
    except BaseException:
        table.close()
        raise


def _catch_up(table: sqlite3.Connection, log: Log) -> str | None:
    name, *numbers = table.execute("SELECT log, line, first, offset FROM reach").fetchone()
    reached = Position(*numbers)
    place, known = log.resume(name, reached)
    unknown = None
    if name != log.name and log.link is None:  # all of the log is gone: what was inspected is known for all that
        with table:
            table.execute("UPDATE done SET line = 0")
        if reached.line:
            unknown = f"{log.path}: the log that was here, {reached.line} lines, is gone: bring it back"
    elif known < reached.line:
        with table:
            table.execute("DELETE FROM done WHERE line > ?", (known,))
    if place.line > known:
        unknown = (
            f"{log.path}: lines {known + 1} to {place.line} are in files that are not here: their images are inspected "
            "again if they are still in the folder"
        )
    rows: list[tuple[bytes, int]] = []
    for line, place in log.lines(place):  # noqa: B020, the place that was reached
        id = _id(line)
        if id is None:
            unknown = unknown or (
                f"{log.path}: line {place.line} of the log is not readable, see clipspect audit: its image is "
                "inspected again if it is still in the folder"
            )
            continue
        rows.append((id, place.line))
        if len(rows) == _ROWS_A_TRANSACTION:
            _add(table, rows, log.name, place)
            rows = []
    _add(table, rows, log.name, place)
    return unknown


def _add(table: sqlite3.Connection, rows: list[tuple[bytes, int]], log: str, reached: Position) -> None:
    with table:
        table.executemany("INSERT OR IGNORE INTO done VALUES (?, ?)", rows)
        table.execute(
            "UPDATE reach SET log = ?, line = ?, first = ?, offset = ?",
            (log, reached.line, reached.first, reached.offset),
        )


def _id(line: bytes) -> bytes | None:
    """Of its record; None where it is none."""
    try:
        return bytes.fromhex((json_object(line) or {})["id"])
    except (KeyError, TypeError, ValueError):
        return None
