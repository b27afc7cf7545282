"""One file of a log: its bytes up to the end of its last whole line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.sinks.kept_link import CHAIN
from clipspect.sinks.records import json_object

_BLOCK = 1 << 16
_BEGINNING = b'{"schema": 1, '
_LONGEST_BEGINNING = len(_BEGINNING)
_OLD_KEYS = {"id", "file", "sorted", "error"}  # of the lines that clipspect watch wrote before records


@dataclass(frozen=True)
class Position:
    """A place between two lines of a log."""

    line: int  # number in the chain of the line before it, 0 at the beginning
    first: int  # number in the chain of the first line of the file
    offset: int  # bytes of that file

    @classmethod
    def before(cls, first: int) -> Position:
        """The start of the file that begins with that line."""
        return cls(first - 1, first, 0)


@dataclass
class LogFile:
    """A file that lines are read from; `size` ends with its last whole line."""

    path: Path
    first: int
    size: int
    inode: int

    @property
    def start(self) -> Position:
        return Position.before(self.first)

    def open(self) -> int:
        """For reading, also where another program has renamed it in its folder. Raises OSError."""
        folder, stem = self.path.parent, self.path.stem
        others = (path for path in folder.iterdir() if path.name.startswith(stem))
        for path in chain((self.path,), others):
            with suppress(FileNotFoundError):
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                if os.fstat(handle).st_ino == self.inode:
                    return handle
                os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "it is another file now")

    def lines_backwards(self, handle: int) -> Iterator[bytes]:
        """Without their line feeds, the last one first."""
        end = self.size
        while end > 0:
            start = line_start(handle, end - 1)
            yield os.pread(handle, end - 1 - start, start)
            end = start


def whole_size(handle: int, size: int, path: Path) -> int:
    """The end of the last whole line. After a power cut a line can have its end, but zeros in its middle.

    Raises ClipspectError for a file that is none of clipspect watch or line. Of one that is, a last line that is not is
    left as it is.
    """
    end = line_start(handle, size)
    if end == 0:
        if not _may_begin_a_line(os.pread(handle, _LONGEST_BEGINNING, 0)) and not _is_known(path):
            raise ClipspectError(f"{path}: was not written by clipspect watch or line: choose another --out")
        return 0
    start = line_start(handle, end - 1)
    line = os.pread(handle, end - start, start)
    document = json_object(line) or {}
    if is_of_a_watched_file(document) and isinstance(document.get("chain"), dict):
        return end
    if b"\0" in line and line.startswith((b"{", b"\0")) and not is_of_a_watched_file(document):
        return start
    if _is_known(path):
        return end
    if is_of_a_watched_file(document) or document.keys() >= _OLD_KEYS:
        raise ClipspectError(f"{path}: was written by an older clipspect watch: keep it, choose another --out")
    raise ClipspectError(f"{path}: was not written by clipspect watch or line: choose another --out")


def _is_known(path: Path) -> bool:
    """Whether it is the log that chain.json is kept of."""
    return (path.parent / CHAIN).exists()


def _may_begin_a_line(content: bytes) -> bool:
    """Of a record, or of what a power cut left of one."""
    return content.startswith((b"\0", _BEGINNING)) or _BEGINNING.startswith(content)


def line_start(handle: int, before: int) -> int:
    """The offset after the last line's end that lies before an offset."""
    while before > 0:
        start = max(0, before - _BLOCK)
        found = os.pread(handle, before - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def starts_line(handle: int, offset: int) -> bool:
    """Whether a line starts, or the file ends, at an offset."""
    return offset == 0 or os.pread(handle, 1, offset - 1) == b"\n"


def is_of_a_watched_file(document: dict[str, Any]) -> bool:
    """Whether a line's JSON is a record of a watched file."""
    if document.get("schema") != 1 or not isinstance(document.get("id"), str):
        return False
    item = document.get("item")
    return isinstance(item, dict) and isinstance(item.get("file"), dict)
