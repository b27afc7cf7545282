"""Which parts are in the log, found without holding them all in memory. Made from the log, and made again if lost."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from clipspect.base.errors import ClipspectError
from clipspect.sinks.log import Log, parse_line
from clipspect.sources.part import Part

_ROWS_A_TRANSACTION = 10_000


class Index:
    """A SQLite table of ids on disk, and the byte offset of the log up to which it was made. Any thread may call.

    An entry costs about 30 bytes on disk; in memory there is only SQLite's cache of 2 MB. A transaction is not waited
    for until it is on the disk: after a power cut the table is an older state of itself, and the log brings it up to
    date. Raises ClipspectError when a line of the log cannot be read, or the table no longer can.
    """

    def __init__(self, path: Path, log: Log) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            self._table = _made_from(log, path)
        except sqlite3.DatabaseError:  # damaged: the log has all that it knew
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            try:
                self._table = _made_from(log, path)
            except sqlite3.DatabaseError as error:
                raise ClipspectError(f"{path}: cannot be written ({error}): choose another --out") from error

    def __contains__(self, part: Part) -> bool:
        try:
            with self._lock:
                found = self._table.execute("SELECT 1 FROM done WHERE id = ?", (bytes.fromhex(part.id),)).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error
        return found is not None

    def add(self, part: Part, offset: int) -> None:
        """A part whose line ends at that offset of the log. Raises sqlite3.OperationalError, e.g. on a full disk."""
        try:
            with self._lock:
                _add(self._table, [bytes.fromhex(part.id)], offset)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        with self._lock:
            self._table.close()

    def _unusable(self, error: sqlite3.DatabaseError) -> ClipspectError:
        return ClipspectError(f"{self._path}: cannot be read ({error}): start the command again, the log has all of it")


def _made_from(log: Log, path: Path) -> sqlite3.Connection:
    """The table on disk, brought up to date."""
    table = sqlite3.connect(path, check_same_thread=False)
    try:
        table.execute("PRAGMA locking_mode = EXCLUSIVE")
        table.execute("PRAGMA journal_mode = WAL")
        table.execute("PRAGMA synchronous = NORMAL")
        with table:
            table.execute("CREATE TABLE IF NOT EXISTS done (id BLOB PRIMARY KEY) WITHOUT ROWID")
            table.execute("CREATE TABLE IF NOT EXISTS reach (offset INTEGER NOT NULL)")
            table.execute("INSERT INTO reach SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM reach)")
        _catch_up(table, log)
    except BaseException:
        table.close()
        raise
    return table


def _catch_up(table: sqlite3.Connection, log: Log) -> None:
    (offset,) = table.execute("SELECT offset FROM reach").fetchone()
    if not log.starts_line(offset):  # it was made from another log than this
        with table:
            table.execute("DELETE FROM done")
        offset = 0
    ids: list[bytes] = []
    for line, offset in log.lines(offset):  # noqa: B020, the offset that was reached
        ids.append(_id(line, offset, log.path))
        if len(ids) == _ROWS_A_TRANSACTION:
            _add(table, ids, offset)
            ids = []
    _add(table, ids, offset)


def _add(table: sqlite3.Connection, ids: list[bytes], offset: int) -> None:
    with table:
        table.executemany("INSERT OR IGNORE INTO done VALUES (?)", [(id,) for id in ids])
        table.execute("UPDATE reach SET offset = ?", (offset,))


def _id(line: bytes, end: int, path: Path) -> bytes:
    try:
        return bytes.fromhex((parse_line(line) or {})["id"])
    except (KeyError, ValueError) as error:
        raise ClipspectError(
            f"{path}: the line before byte {end} is not readable: restore the file, or choose another --out"
        ) from error
