"""One file of a log: its bytes up to the end of its last whole line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.sinks.kept_link import CHAIN
from clipspect.sinks.records import json_object

_BLOCK = 1 << 16
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

    @property
    def start(self) -> Position:
        return Position.before(self.first)


def whole_size(handle: int, size: int, path: Path) -> int:
    """The end of the last whole line. After a power cut a line can have its end, but zeros in its middle.

    Raises ClipspectError where the last line is none of clipspect watch or line.
    """
    end = line_start(handle, size)
    if end == 0:
        return 0
    start = line_start(handle, end - 1)
    line = os.pread(handle, end - start, start)
    document = json_object(line) or {}
    is_ours = is_of_a_watched_file(document) or (path.parent / CHAIN).exists()
    if is_ours and isinstance(document.get("chain"), dict):
        return end
    if line.startswith(b"{") and b"\0" in line and not is_of_a_watched_file(document):
        return start
    if is_of_a_watched_file(document) or document.keys() >= _OLD_KEYS:
        raise ClipspectError(f"{path}: was written by an older clipspect watch: keep it, choose another --out")
    raise ClipspectError(f"{path}: was not written by clipspect watch or line: choose another --out")


def last_line(handle: int, size: int) -> bytes:
    """Without its line feed; size is that of the file's whole lines."""
    start = line_start(handle, size - 1)
    return os.pread(handle, size - 1 - start, start)


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
